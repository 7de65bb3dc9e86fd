#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""phial run in a shell with job control: Ctrl-C, Ctrl-Z, fg, pipes and kill, as without phial."""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WORK = tempfile.mkdtemp(prefix="phial-test.")
PHIAL = os.path.join(WORK, "phial")
PERSON = 54321  # an ordinary user, if root runs the test
STORE = os.path.join(WORK, "store")
ENV = {"HOME": WORK, "PATH": "/usr/local/bin:/usr/bin:/bin", "TERM": "dumb", "PS1": "ready> ",
       "PHIAL": PHIAL, "PYTHON": "/usr/bin/python3"}
CANARY = os.urandom(16).hex()
LIMIT_S = 60
# Counts what it is sent, and says so at the end.
COUNTER = """
import signal, sys, time
count = {"INT": 0, "TERM": 0}
def note(number, _):
    count[signal.Signals(number).name[3:]] += 1
signal.signal(signal.SIGINT, note)
signal.signal(signal.SIGTERM, note)
print("counting", flush=True)
end = time.monotonic() + 20
while not any(count.values()) and time.monotonic() < end:
    time.sleep(0.05)
time.sleep(0.3)
print("counted", count["INT"], count["TERM"], flush=True)
"""

count = failed = 0


def ok(passed, what, detail=""):
    global count, failed
    count += 1
    failed += not passed
    print(f"{'ok' if passed else 'not ok'} {count} - {what}")
    if not passed:
        print("\n".join("# " + line for line in repr(detail).splitlines()), flush=True)


def become_person():
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(PERSON)
        os.setuid(PERSON)


class Shell:
    """An interactive bash on a terminal of its own."""

    def __init__(self):
        self.shown = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            become_person()
            os.chdir(STORE)
            os.execve("/bin/bash", ["bash", "--norc", "--noediting", "-i"], ENV)
        self.wait_for(rb"ready> $")

    def wait_for(self, pattern):
        """What was shown up to a match, or None at the end or after the limit."""
        deadline = time.monotonic() + LIMIT_S
        while not (found := re.search(pattern, self.shown, re.M)):
            if not select.select([self.fd], [], [], max(0, deadline - time.monotonic()))[0]:
                return None
            try:
                self.shown += os.read(self.fd, 4096)
            except OSError:
                return None
        shown, self.shown = self.shown[:found.end()], self.shown[found.end():]
        return shown

    def type(self, text):
        os.write(self.fd, text.encode())

    def run(self, line):
        """Run a line to its end, and return what it showed."""
        self.type(line + "\n")
        return (self.wait_for(rb"ready> $") or b"") + b""

    def finish(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


def test_keys(shell):
    shell.type("$PHIAL run web -- sh -c 'echo on; exec sleep 1000'\n")
    shell.wait_for(rb"^on\r")
    shell.type("\x03")
    shown = shell.wait_for(rb"ready> $")
    ok(shown is not None, "Ctrl-C ends the command", shown)
    ok(b"status=130" in shell.run("echo status=$?"), "... with status 130")
    shell.type("$PHIAL run web -- $PYTHON counter.py\n")
    shell.wait_for(rb"counting\r")
    shell.type("\x03")
    ok(shell.wait_for(rb"counted 1 0") is not None, "a command that handles SIGINT gets one", shell.shown)
    shell.wait_for(rb"ready> $")
    shell.type("$PHIAL run web -- sh -c 'echo on; read -r x; echo read $x'\n")
    shell.wait_for(rb"^on\r")
    shell.type("\x1a")
    ok(shell.wait_for(rb"Stopped") is not None, "Ctrl-Z stops the command", shell.shown)
    shell.wait_for(rb"ready> $")
    shell.type("fg\n")
    shell.wait_for(rb"PHIAL run")
    shell.type("abc\n")
    ok(shell.wait_for(rb"^read abc") is not None, "fg lets it go on, and read from the terminal", shell.shown)
    shell.wait_for(rb"ready> $")
    ok(b"status=0" in shell.run("echo status=$?"), "... to its end")
    shell.type("$PHIAL run web -- sh -c 'echo on; exec sleep 1000'\n")
    shell.wait_for(rb"^on\r")
    shell.type("\x1c")
    shell.wait_for(rb"ready> $")
    ok(b"status=131" in shell.run("echo status=$?"), "Ctrl-\\ quits it, and no core is dumped")


def test_jobs(shell):
    shown = shell.run("$PHIAL run web -- sh -c 'seq 100000; echo said >&2' | head -1; echo ${PIPESTATUS[*]}")
    bare = shell.run("sh -c 'seq 100000; echo said >&2' | head -1; echo ${PIPESTATUS[*]}")
    ok(shown.split(b"\r\n")[1:] == bare.split(b"\r\n")[1:], "in a pipe it ends as it does without phial", (shown, bare))
    shell.type("$PHIAL run web -- $PYTHON counter.py &\n")
    shell.wait_for(rb"counting\r")
    shell.type("kill %1\n")
    ok(shell.wait_for(rb"counted 0 1") is not None, "kill %job: one SIGTERM", shell.shown)
    shell.run("wait")
    shown = shell.run("$PHIAL run web -- cat &")
    deadline = time.monotonic() + LIMIT_S
    while b"Stopped" not in shown and time.monotonic() < deadline:
        shown += shell.run("jobs")
    ok(b"Stopped" in shown, "in the background, reading the terminal stops it", shown)
    shell.run("kill -KILL %%; wait")


def prepare():
    def phial(*arguments, stdin=b""):
        subprocess.run([PHIAL, *arguments], input=stdin, check=True, capture_output=True, env=ENV,
                       cwd=WORK, timeout=LIMIT_S, start_new_session=True, preexec_fn=become_person)
    shutil.copy(os.path.join(ROOT, os.environ.get("BUILD", "build"), "phial"), PHIAL)
    if os.geteuid() == 0:
        os.chown(WORK, PERSON, PERSON)
    phial("init", "--no-passphrase", "--no-recovery", "--name", "me", STORE)
    phial("seal", "web/db", "--store", STORE, stdin=CANARY.encode())
    with open(os.path.join(STORE, "counter.py"), "w", encoding="ascii") as out:
        out.write(COUNTER)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by way of `finally`
    try:
        prepare()
        can_run = subprocess.run([PHIAL, "run", "--", "true"], env=ENV, cwd=STORE,
                                 check=False, capture_output=True, preexec_fn=become_person)
        if can_run.returncode == 18:
            print("1..0 # SKIP this user gets no user namespace here")
            return 0
        for test in (test_keys, test_jobs):
            shell = Shell()
            test(shell)
            shell.finish()
    finally:
        shutil.rmtree(WORK)
    print(f"1..{count}")
    return 1 if failed or not count else 0


sys.exit(main())
