#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""How long a new version of one secret takes into every live container, and what a container costs.

live.py ROUNDS AGENT-PID RUN-DIR BUNDLE STILL HOOK PHIAL STORE NEXT COUNT...
Containers are processes with a root and a mount namespace of their own, which phial-hook is run for;
they see their file through /run/secrets. NEXT is a copy of the store, in which the new version is
sealed; its file is renamed into the store, and `phial reload` tells the agent. The clock starts
before the rename; a container is done when its link leads to another generation.
Prints "NAME MEDIAN P10 P90 N" in microseconds: last-COUNT, and for each container each-COUNT; then
"pss-COUNT KIB" of supervisor and worker together and "tmpfs BYTES" of one container's mount.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

SECRET = "live/key"


class Containers:
    def __init__(self, bundle, still, hook, run_dir):
        self.bundle, self.still, self.hook, self.run_dir = bundle, still, hook, run_dir
        self.all = []

    def grow(self, count):
        while len(self.all) < count:
            process = subprocess.Popen([self.still, os.path.join(self.bundle, "rootfs")],
                                       stdout=subprocess.PIPE)
            pid = int(process.stdout.readline())
            state = {"ociVersion": "1.0.2", "id": f"phial-bench-{pid}", "status": "creating",
                     "pid": pid, "bundle": self.bundle}
            subprocess.run([self.hook, "--run-dir", self.run_dir, "--workload", "live"], check=True,
                           input=json.dumps(state).encode(), cwd=self.bundle)
            self.all.append((process, f"/proc/{pid}/root/run/secrets/"))

    def end(self):
        for process, _ in self.all:
            process.send_signal(signal.SIGKILL)
        for process, _ in self.all:
            process.wait()


def generation(folder):
    try:
        return os.readlink(folder + "..data")
    except FileNotFoundError:
        return None


def seal(phial, store):
    subprocess.run([phial, "seal", SECRET, "--store", store], check=True, input=os.urandom(16).hex().encode(),
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def rotate(containers, phial, run_dir, store, following):
    """Microseconds until each container had the new version."""
    waiting = {folder: generation(folder) for _, folder in containers.all}
    seal(phial, following)
    name = SECRET + ".sealed"
    shutil.copy(os.path.join(following, name), os.path.join(store, ".new"))
    taken = []
    start = time.monotonic_ns()
    os.rename(os.path.join(store, ".new"), os.path.join(store, name))
    reload = subprocess.Popen([phial, "reload", "--run-dir", run_dir], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    while waiting:
        done = [folder for folder, before in waiting.items() if generation(folder) != before]
        now = time.monotonic_ns()
        taken += [(now - start) / 1000] * len(done)
        for folder in done:
            del waiting[folder]
        if now - start > 300e9:
            sys.exit(f"{len(waiting)} containers have no new version after 300 seconds")
        time.sleep(0.0005)
    reload.wait()
    return taken


def show(name, values):
    values = sorted(values)
    at = lambda share: values[min(len(values) - 1, int(len(values) * share))]
    print(name, *(round(at(share)) for share in (0.5, 0.1, 0.9)), len(values))


def pss_kib(agent):
    """Supervisor and worker; the waiting filler and the auditor come and go by other rules."""
    with open(f"/proc/{agent}/task/{agent}/children", encoding="ascii") as f:
        children = [int(pid) for pid in f.read().split()]
    total = 0
    for pid in [agent, *children]:
        with open(f"/proc/{pid}/comm", encoding="ascii") as f:
            named_worker = f.read().strip() == "phiald"
        if pid != agent and not (named_worker and os.stat(f"/proc/{pid}").st_uid != 0):
            continue
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
            total += next(int(line.split()[1]) for line in f if line.startswith("Pss:"))
    return total


def main():
    rounds, agent, run_dir, bundle, still, hook, phial, store, following, *counts = sys.argv[1:]
    containers = Containers(bundle, still, hook, run_dir)
    print("pss-0", pss_kib(int(agent)))
    try:
        for count in map(int, counts):
            containers.grow(count)
            print(f"pss-{count}", pss_kib(int(agent)))
            turns = [rotate(containers, phial, run_dir, store, following) for _ in range(int(rounds))]
            show(f"last-{count}", [max(turn) for turn in turns])
            show(f"each-{count}", [max(turn) / count for turn in turns])
        mount = os.statvfs(containers.all[0][1])
        print("tmpfs", (mount.f_blocks - mount.f_bfree) * mount.f_frsize)
    finally:
        containers.end()


main()
