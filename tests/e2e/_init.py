# SPDX-License-Identifier: ISC
"""What the tests of phial-init share: TAP, paths, waiting for a condition, an agent that says what
it is told. Values here are no secrets."""

import contextlib
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))
INIT = os.path.join(BUILD, "phial-init")
PROBE = os.path.join(BUILD, "tests/probes/init_probe")
LIMIT_S = 60
MAGIC = 0x314C4850
ASK, ANSWER, READY = 256, 257, 258
# In this, /run/phial is $1; the rest is the command.
AT_RUN_PHIAL = ('mount -t tmpfs none /run && mkdir /run/phial && mount --bind "$1" /run/phial && '
                'shift && exec "$@"')

count = failed = 0


def result(passed, what, detail=""):
    global count, failed
    count += 1
    failed += not passed
    print(f"{'ok' if passed else 'not ok'} {count} - {what}", flush=True)
    if not passed and detail != "":
        print("\n".join("# " + line for line in str(detail).splitlines()), flush=True)


def skip(what, reason):
    global count
    count += 1
    print(f"ok {count} - {what} # SKIP {reason}")


def wait_until(condition):
    """For conditions, not for speed. What the condition gave, or None after the limit."""
    deadline = time.monotonic() + LIMIT_S
    while not (value := condition()):
        if time.monotonic() > deadline:
            return None
        time.sleep(0.005)
    return value


def memory_of(pid):
    found = b""
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb") as mem:
        for line in maps:
            start, end = (int(word, 16) for word in line.split()[0].split("-"))
            if line.split()[1].startswith("r"):
                with contextlib.suppress(OSError, OverflowError):
                    mem.seek(start)
                    found += mem.read(end - start)
    return found


class Agent:
    """Listens at the socket of a grant directory and does what it is told with each question:
    "serve", "refuse", "close" (without an answer), "garbage", "silent". Without: no agent. Its
    generations are made as the filler makes them."""

    def __init__(self, *behaviours, late_s=0):
        self.behaviours = list(behaviours)
        self.asked = []
        self.ready = 0  # how often it was told
        self.generation = 1
        self.folder = tempfile.TemporaryDirectory(prefix="phial-test.")
        self.grant = os.path.join(self.folder.name, "grant")
        self.target = os.path.join(self.folder.name, "secrets")
        os.chmod(self.folder.name, 0o755)
        for path in (self.grant, self.target, self.target + "/..1"):
            os.mkdir(path)
        os.symlink("..1", self.target + "/..data")
        self.add("db_password", b"not secret")
        self.add("tls.key", b"with\nnewline\n")
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.stopped = False
        self.thread = threading.Thread(target=self.serve, args=(late_s,), daemon=True)

    def add(self, name, value):
        with open(f"{self.target}/..1/{name}", "wb") as file:
            file.write(value)
        os.symlink(f"..data/{name}", f"{self.target}/{name}")

    def rotate(self, **values):
        """The next generation: every file of this one, with some values in place of others."""
        old, self.generation = self.generation, self.generation + 1
        shutil.copytree(f"{self.target}/..{old}", f"{self.target}/..{self.generation}")
        for name, value in values.items():
            with open(f"{self.target}/..{self.generation}/{name}", "wb") as file:
                file.write(value)
        os.symlink(f"..{self.generation}", self.target + "/..data_tmp")
        os.rename(self.target + "/..data_tmp", self.target + "/..data")
        shutil.rmtree(f"{self.target}/..{old}")

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped = True
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()
        self.folder.cleanup()

    def serve(self, late_s):
        if not self.behaviours:
            return
        time.sleep(late_s)
        path = os.path.join(self.grant, "agent.sock")
        self.listener.bind(path)
        os.chmod(path, 0o666)
        self.listener.listen()
        while not self.stopped:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(ConnectionError):
                self.answer(connection)

    def answer(self, connection):
        data, ancillary, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(16))
        magic, kind, length, *fields = struct.unpack("<IIIIIII48s", data)
        assert (magic, length) == (MAGIC, 64) and kind in (ASK, READY), "bad frame"
        if kind == READY:
            assert fields == [1, 0, 0, 0, b"\0" * 48], "bad READY"
        for _, _, raw in ancillary:
            fd, = struct.unpack("<i", raw)
            with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as file:
                fields.append(re.search(r"^Pid:\t(\d+)$", file.read(), re.M).group(1))
            os.close(fd)
        if kind == READY:
            self.ready += 1
        else:
            self.asked.append(fields)
        what = self.behaviours.pop(0) if len(self.behaviours) > 1 else self.behaviours[0]
        if what == "close":
            return
        if what == "silent":
            connection.recv(1)
            return
        if what == "garbage":
            connection.send(b"\0" * 64)
            return
        status, target, text = 0, self.target, ""
        if what == "refuse":
            status, target = 16, ""
            text = "web: gate seccomp: none\nweb: gate \x1b[31m non_root: runs as root\n"
        payload = struct.pack("<IIII48s4096s4096s", 1, status, 0, 0, b"", target.encode(),
                              text.encode())
        connection.send(struct.pack("<III", MAGIC, ANSWER, len(payload)) + payload)

    def command(self, *arguments, before=()):
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", AT_RUN_PHIAL, "-",
                self.grant, *before, INIT, *arguments]

    def run(self, *arguments, before=(), **more):
        return subprocess.run(self.command(*arguments, before=before), capture_output=True,
                              text=True, check=False, timeout=60, **more)


def run_tests(tests):
    """Every function of a module that is named test_..., in the order written."""
    if not os.access(PROBE, os.X_OK):
        print("1..0 # SKIP the probes are not built (make probes)")
        sys.exit(0)
    if os.geteuid() != 0:
        print("1..0 # SKIP needs root")
        sys.exit(0)
    for number in (signal.SIGTERM, signal.SIGHUP):  # what is begun is ended, folders go away
        signal.signal(number, lambda *_: sys.exit(143))
    for name, test in list(tests.items()):
        if name.startswith("test_"):
            test()
    print(f"1..{count}")
    sys.exit(1 if failed else 0)
