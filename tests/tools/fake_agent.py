#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The agent's side of the hook protocol, for testing the hook alone: says and does what it is told.

It listens at RUN_DIR/hook.sock, answers one hook after the other, and writes one line for each
event to its log. --mode chooses what goes wrong, and where. See src/wire/hook_protocol.h.
"""

import argparse
import array
import json
import os
import socket
import struct
import sys

MAGIC = 0x314C4850
START, VERDICT, MOUNT, FILLED, ATTACHED, COMMITTED, CREATED = range(1, 8)
NO_GRANT, REFUSED, GO, DONE = range(1, 5)
CREATED_BYTES = 4 + 132 + 4096
MODES = ["go", "once", "refuse", "no-grant", "done", "wrong-pid", "garbage", "wrong-turn",
         "silent", "silent-at-mount", "silent-at-attached", "die-at-start", "die-at-mount", "die-at-attached", "fill-fails", "commit-fails"]


class Gone(Exception):
    pass


def receive(connection, *expected):
    data, ancillary, _, _ = connection.recvmsg(128 * 1024, socket.CMSG_SPACE(16))
    fds = array.array("i")
    for _, _, raw in ancillary:
        fds.frombytes(raw)
    if not data:
        raise Gone
    magic, kind, length = struct.unpack_from("<III", data)
    assert magic == MAGIC and length == len(data) - 12, "bad frame"
    assert kind in expected, f"frame {kind}, expected {expected}"
    return data[12:], list(fds)


def parse_start(start):
    """START of a hook, or CREATED of the runtime wrapper."""
    if len(start) == CREATED_BYTES:
        pid, name, bundle = struct.unpack("<i132s4096s", start)
        name, bundle = (text.split(bytes(1))[0].decode() for text in (name, bundle))
        return b"", {"pid": pid, "id": name, "bundle": bundle, "status": "created"}
    length, workload = struct.unpack_from("<I64s", start)
    assert len(start) == 68 + length, "bad START"
    return workload, json.loads(start[68:])


def send(connection, kind, payload):
    connection.send(struct.pack("<III", MAGIC, kind, len(payload)) + payload)


def result(status, text=b""):
    return struct.pack("<I512s", status, text)


def verdict(decision, status=0, pid=0, rootfs="", text="", **fields):
    return struct.pack(
        "<IIiIQIIQQ64s4096s4096s256s4096s", decision, status, pid, 64,
        1 << 20, fields.get("may_over", 0), 0, *fields.get("grant", (0, 0)), b"web",
        rootfs.encode(), fields.get("target", "").encode(), b"", text.encode())


def mapped(text, inside):
    for line in text.decode().splitlines():
        first, outside, count = map(int, line.split())
        if first <= inside < first + count:
            return outside + inside - first
    raise ValueError("not mapped")


class Agent:
    def __init__(self, options):
        self.options = options
        self.served = 0
        self.kept = []  # rw clones

    def log(self, text):
        with open(self.options.log, "a", encoding="ascii") as log:
            log.write(text + "\n")

    def go(self, state, config):
        root = config["root"]["path"]
        if not root.startswith("/"):
            root = os.path.join(state["bundle"], root)
        grant = (0, 0)
        if self.options.grant_dir:
            found = os.stat(self.options.grant_dir)
            grant = (found.st_dev, found.st_ino)
        pid = os.getpid() if self.options.mode == "wrong-pid" else state["pid"]
        return verdict(GO, pid=pid, rootfs=root, target=self.options.target, grant=grant,
                       may_over=int(self.options.may_over))

    def decide(self, state, config):
        mode = self.options.mode
        if mode == "refuse":
            return verdict(REFUSED, 16, text="web: gate non_root: runs as root\n"
                                             "web: gate seccomp: none\n")
        if mode == "no-grant":
            return verdict(NO_GRANT)
        if mode == "done" or (mode == "once" and self.served > 0):
            return verdict(DONE)
        return self.go(state, config)

    def fill(self, rw_fd, config, uid_map, gid_map):
        user = config["process"]["user"]
        with open(self.options.value_file, "rb") as value:
            content = value.read()
        os.umask(0)
        os.mkdir("..1", 0o755, dir_fd=rw_fd)
        for name in self.options.name:
            fd = os.open("..1/" + name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400, dir_fd=rw_fd)
            os.write(fd, content)
            os.fchown(fd, mapped(uid_map, user["uid"]), mapped(gid_map, user["gid"]))
            os.close(fd)
            os.symlink("..data/" + name, name, dir_fd=rw_fd)
        os.symlink("..1", "..data", dir_fd=rw_fd)

    def serve(self, connection):
        mode = self.options.mode
        start, fds = receive(connection, START, CREATED)
        assert len(fds) == 1, "no config"
        workload, state = parse_start(start)
        with os.fdopen(fds[0], "rb") as file:
            config = json.loads(file.read())
        self.log(f"START workload={workload.split(bytes(1))[0].decode()} status={state['status']}")
        if mode == "die-at-start":
            return
        if mode == "silent":
            receive(connection, MOUNT)
        if mode == "garbage":
            connection.send(b"\x00" * 40)
            return
        answer = self.decide(state, config)
        send(connection, FILLED if mode == "wrong-turn" else VERDICT, answer)
        if struct.unpack_from("<I", answer)[0] != GO:
            return
        mount, fds = receive(connection, MOUNT)
        uids, gids, kind = struct.unpack_from("<III", mount)
        self.log(f"MOUNT kind={kind} fds={len(fds)}")
        os.close(fds[0])
        self.kept.append(fds[1])
        if mode == "silent-at-mount":
            receive(connection, ATTACHED)
        if mode == "die-at-mount":
            return
        if mode == "fill-fails":
            send(connection, FILLED, result(1, b"web: write: No space left on device"))
            return
        maps = mount[32:]
        self.fill(fds[1], config, maps[:uids], maps[uids:uids + gids])
        send(connection, FILLED, result(0))
        receive(connection, ATTACHED)
        self.log("ATTACHED")
        if mode == "silent-at-attached":
            receive(connection, ATTACHED)
        if mode == "die-at-attached":
            return
        if mode == "commit-fails":
            send(connection, COMMITTED, result(1, b"web: the state directory is full"))
            return
        send(connection, COMMITTED, result(0))
        self.served += 1

    def run(self):
        path = os.path.join(self.options.run_dir, "hook.sock")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        os.umask(0o177)
        listener.bind(path)
        listener.listen()
        os.umask(0o022)
        self.log("LISTEN")
        while True:
            connection, _ = listener.accept()
            try:
                self.serve(connection)
            except (Gone, ConnectionError):
                self.log("GONE")
            finally:
                connection.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run-dir", required=True)
    parser.add_argument("--log", required=True)
    parser.add_argument("--value-file", default="/dev/null")
    parser.add_argument("--mode", choices=MODES, default="go")
    parser.add_argument("--target", default="/run/secrets")
    parser.add_argument("--name", action="append", help="file name (default: s)")
    parser.add_argument("--grant-dir", help="the one mount that may be covered")
    parser.add_argument("--may-over", action="store_true")
    options = parser.parse_args()
    options.name = options.name or ["s"]
    Agent(options).run()


if __name__ == "__main__":
    sys.exit(main())
