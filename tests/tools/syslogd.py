#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""A syslog for tests: each datagram that comes to a socket is a line of a file.

usage: syslogd.py SOCKET FILE
"""

import os
import socket
import sys


def main():
    path, output = sys.argv[1:]
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.bind(path)
    os.chmod(path, 0o666)
    with open(output, "ab", buffering=0) as out:
        while True:
            out.write(server.recv(65536) + b"\n")


main()
