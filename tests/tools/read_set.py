# SPDX-License-Identifier: ISC
"""read_set.py DIRECTORY STOP GRACE_MS FILE...: read a secrets mount until the file STOP exists.

Each value begins with a number and a space; of two files that are published one after the other, the
first may be one ahead of the second. A pass opens `..data` as a directory and reads all files there,
then each by path. What it finds wrong is printed, unless the pass took as long as the grace: then an
old generation may be gone by right. The last line is "passes N".
"""

import os
import sys
import time

directory, stop, grace_ms, names = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:]
passes = 0


def number(name, dir_fd):
    fd = os.open(name, os.O_RDONLY, dir_fd=dir_fd)
    try:
        return int(os.read(fd, 64).split(b" ")[0])
    finally:
        os.close(fd)


def read_pinned():
    fd = os.open("..data", os.O_PATH | os.O_DIRECTORY, dir_fd=root)
    try:
        found = [number(name, fd) for name in names]
    finally:
        os.close(fd)
    if any(not 0 <= found[0] - n <= 1 for n in found):
        raise ValueError(f"torn: {found}")


def attempt(read):
    began = time.monotonic()
    try:
        read()
    except (OSError, ValueError) as error:
        if (time.monotonic() - began) * 1000 < grace_ms:
            print(f"{read.__name__}: {type(error).__name__} {error}", flush=True)


def read_by_path():
    for name in names:
        number(name, root)


root = os.open(directory, os.O_PATH | os.O_DIRECTORY)
while not os.path.exists(stop):
    attempt(read_pinned)
    attempt(read_by_path)
    passes += 1
    time.sleep(0.001)  # leave the processor to those who are watched
print("passes", passes)
