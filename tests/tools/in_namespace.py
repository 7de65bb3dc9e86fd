#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Run a command as user 1000, in a root of its own, in a mount namespace with a wanted number.

The kernel gives the lowest free number: one namespace after the other is made and kept, until the
number comes. The exit code is the command's, or 77 if the number has passed by.

usage: in_namespace.py NUMBER ROOT GRANT COMMAND...
NUMBER: 0 for any; ROOT: a folder with the command; GRANT: what is mounted at its /run/phial, read-only.
"""

import ctypes
import os
import signal
import sys

CLONE_NEWNS, CLONE_NEWPID = 0x20000, 0x20000000
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 0x20, 0x1000, 0x4000, 0x40000
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_CAPBSET_DROP = 1, 24
CAPABILITIES = range(64)
USER = 1000
TRIES = 2000
libc = ctypes.CDLL(None, use_errno=True)


def check(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), "in_namespace.py")


def mount(source, target, flags):
    check(libc.mount(source.encode() if source else None, target.encode(), None, flags, None))


def enter(root, grant):
    mount(None, "/", MS_REC | MS_PRIVATE)
    mount(root, root, MS_BIND)
    mount(grant, root + "/run/phial", MS_BIND)
    mount(None, root + "/run/phial", MS_REMOUNT | MS_BIND | MS_RDONLY)
    os.chdir(root)
    check(libc.pivot_root(b".", b"."))
    check(libc.umount2(b".", MNT_DETACH))
    os.chdir("/")
    check(libc.unshare(CLONE_NEWPID))


def run(root, grant, command):
    enter(root, grant)
    child = os.fork()
    if child == 0:  # the first of its process namespace: with it all others end
        for capability in CAPABILITIES:
            libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
        os.setgroups([])
        os.setgid(USER)
        os.setuid(USER)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        os.execv(command[0], command)
    os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def try_once(wanted, root, grant, command):
    """In a child, which waits to be ended if its number is another one. Returns it and the number."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        check(libc.unshare(CLONE_NEWNS))
        number = os.readlink("/proc/self/ns/mnt").strip("mnt:[]")
        os.write(writer, number.encode())
        if wanted in (0, int(number)):
            run(root, grant, command)
        signal.pause()
    os.close(writer)
    number = int(os.read(reader, 20))
    os.close(reader)
    return child, number


def main():
    wanted = int(sys.argv[1])
    kept = []
    code = 77
    while len(kept) < TRIES:
        child, number = try_once(wanted, sys.argv[2], sys.argv[3], sys.argv[4:])
        if wanted in (0, number):
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            break
        kept.append(child)
        if number > wanted:
            break
    for child in kept:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    sys.exit(code)


main()
