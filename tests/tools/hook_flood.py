#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Hooks of one workload in bad condition, all at once, against a real agent.

hook_flood.py SOCKET STATE CONFIG WORKLOAD COUNT MODE
  silent   connect and say nothing
  hang     START, and nothing more after the verdict
  crash    START, and away with the verdict; again at once
COUNT connections are kept up, whatever the agent does. Prints "flooding" when all have been made.
"""

import array
import os
import selectors
import socket
import struct
import sys

MAGIC, START = 0x314C4850, 1


class Flood:
    def __init__(self, path, state, config, workload, mode):
        self.path, self.mode = path, mode
        self.config = os.open(config, os.O_RDONLY)
        body = struct.pack("<I64s", len(state), workload.encode()) + state
        self.start = struct.pack("<III", MAGIC, START, len(body)) + body
        self.selector = selectors.DefaultSelector()

    def connect(self):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.connect(self.path)  # waits while the agent's queue is full
        if self.mode != "silent":
            # A description of its own: the agent reads from where the last one ended.
            fd = os.open(f"/proc/self/fd/{self.config}", os.O_RDONLY)
            connection.sendmsg([self.start], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                               array.array("i", [fd]))])
            os.close(fd)
        self.selector.register(connection, selectors.EVENT_READ)

    def serve(self):
        for key, _ in self.selector.select():
            try:
                data = key.fileobj.recv(65536)
            except OSError:
                data = b""
            if not data or self.mode == "crash":
                self.selector.unregister(key.fileobj)
                key.fileobj.close()
                self.connect()


def main():
    path, state, config, workload, count, mode = sys.argv[1:]
    with open(state, "rb") as f:
        flood = Flood(path, f.read(), config, workload, mode)
    for _ in range(int(count)):
        flood.connect()
    print("flooding", flush=True)
    while True:
        flood.serve()


main()
