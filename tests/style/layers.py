#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Arrows between rooms point down only, and one room owns each library and each kernel power."""

import re

from _source import Tap, files, read, without_comments

# A room includes itself and rooms to its left. Doors stand on top and know no other door.
ROOMS = ["base", "crypt", "sealed", "json", "store", "audit", "keyring", "oci", "policy", "mount", "wire",
         "inject", "host"]
# Doors that are linked with less than everything (static, or inside a container).
DOORS = {"agent": ROOMS, "cli": ROOMS, "hook": ["base", "mount", "wire", "inject"],
         "init": ["base", "wire"],
         "runtime": ["base", "mount", "wire", "inject"]}
DOOR_FILES = tuple(f"src/{door}/" for door in DOORS)
# Which files may include a header.
OWNERS = {
    "sodium.h": ("src/crypt/", "src/base/secret.c"),
    "keyutils.h": ("src/keyring/",),
    "cjson/cJSON.h": ("src/json/",),
    "cJSON.h": ("src/json/",),
    "seccomp.h": ("src/agent/",),
    "cmocka.h": ("tests/unit/",),
}
# Which files may call these. The agent's sandbox empties a child's own namespaces.
POWERS = {
    r"(mount|umount2?|move_mount|open_tree|fsopen|fsconfig|fsmount|mount_setattr)":
        ("src/mount/", "src/agent/sandbox.c"),
    r"(setns|unshare|pivot_root|chroot)": ("src/mount/", "src/agent/sandbox.c"),
    r"(exit|quick_exit)": DOOR_FILES,
    r"(printf|puts|putchar|perror|fprintf|vprintf|vfprintf|fputs)":
        DOOR_FILES,
    r"(fork)": ("src/agent/", "src/cli/", "src/init/", "src/runtime/",
                "src/keyring/self_test.c"),
    r"(vfork|posix_spawn|execv|execve|execvp|execl|execlp|fexecve|system|popen)":
        DOOR_FILES,
}


def includes(path):
    for number, line in enumerate(read(path).split("\n"), 1):
        found = re.match(r'\s*#\s*include\s+[<"]([^>"]+)[>"]', line)
        if found:
            yield number, found.group(1)


def room_of(path):
    return path.split("/")[1]


def allowed_rooms(room):
    if room in DOORS:
        return [room] + DOORS[room]
    return ROOMS[:ROOMS.index(room) + 1]


def wrong_arrows(path):
    room = room_of(path)
    if room not in ROOMS and room not in DOORS:
        return [f"{path}: room {room} is not in the order of tests/style/layers.py"]
    problems = []
    for number, name in includes(path):
        target = name.split("/")[0]
        known = target in ROOMS or target in DOORS
        if known and target not in allowed_rooms(room):
            problems.append(f"{path}:{number}: {room} may not include {name}")
    return problems


def main():
    tap = Tap()
    sources = list(files(".c", ".h", below="src/"))
    code = {path: without_comments(read(path)) for path in sources}
    tap.result("there is something to check", [] if sources else ["no file below src/"])
    tap.result("rooms include only rooms below them",
               [p for path in sources for p in wrong_arrows(path)])
    tap.result("public headers include only each other",
               [f"{path}:{number}: {name}" for path in files(".h", below="include/")
                for number, name in includes(path)
                if "/" in name and not name.startswith(("phial/", "sys/"))])
    for header, owners in OWNERS.items():
        tap.result(f"{header} belongs to {' and '.join(owners)}",
                   [f"{path}:{number}" for path in sources if not path.startswith(owners)
                    for number, name in includes(path) if name == header])
    for calls, owners in POWERS.items():
        # A call, not a longer name and not a member.
        pattern = re.compile(r"(?<![\w.>])" + calls + r"\s*\(")
        tap.result(f"{calls} belongs to {' and '.join(owners)}",
                   [f"{path}:{text.count(chr(10), 0, m.start()) + 1}: {m.group(1)}"
                    for path, text in code.items() if not path.startswith(owners)
                    for m in pattern.finditer(text)])
    tap.finish()


main()
