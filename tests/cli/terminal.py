#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""L-06 and the questions on a terminal: echo off, asked twice, put back after signals."""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))
PHIAL = os.path.join(BUILD, "phial")
WORK = tempfile.mkdtemp(prefix="phial-test.")
HOME = os.path.join(WORK, "home")
STORE = os.path.join(WORK, "store")
ENV = {"HOME": HOME, "PATH": os.environ["PATH"], "TERM": "dumb"}
CANARY = os.urandom(16).hex()
LIMIT_S = 120  # a passphrase costs seconds of a processor, by design

count = failed = 0


def ok(passed, what, detail=""):
    global count, failed
    count += 1
    failed += not passed
    print(f"{'ok' if passed else 'not ok'} {count} - {what}")
    if not passed and detail:
        print("\n".join("# " + line for line in repr(detail).splitlines()), flush=True)


class Terminal:
    """phial on a terminal of its own; stdin and stdout can be something else."""

    def __init__(self, *arguments, stdin=None, stdout=None):
        self.shown = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(STORE if os.path.isdir(STORE) else WORK)
            if stdin is not None:
                os.dup2(stdin, 0)
            if stdout is not None:
                os.dup2(stdout, 1)
            os.execve(PHIAL, ["phial", *arguments], ENV)

    def read_until(self, pattern):
        """Read what the terminal shows until it matches; False at the end or after the limit."""
        deadline = time.monotonic() + LIMIT_S
        while not re.search(pattern, self.shown):
            if not select.select([self.fd], [], [], max(0, deadline - time.monotonic()))[0]:
                return False
            try:
                data = os.read(self.fd, 4096)
            except OSError:  # EIO: the last process closed the terminal
                data = b""
            if not data:
                return False
            self.shown += data
        return True

    def answer(self, prompt, text):
        """Wait for a question, look whether echo is off, and type."""
        if not self.read_until(prompt):
            return False
        echo_is_off = not self.echo()
        self.shown = re.sub(prompt, b"", self.shown)
        os.write(self.fd, text.encode())
        return echo_is_off

    def echo(self):
        return bool(termios.tcgetattr(self.fd)[3] & termios.ECHO)

    def finish(self):
        """The exit status, as of subprocess: negative for a signal."""
        self.read_until(rb"\0never\0")
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


def run(*arguments, stdin=b""):
    return subprocess.run([PHIAL, *arguments], input=stdin, capture_output=True, env=ENV, cwd=STORE,
                          start_new_session=True, timeout=LIMIT_S, check=False)


def test_init():
    t = Terminal("init", "--name", "me", STORE)
    ok(t.answer(rb"Passphrase for the new key.*: ", "\n"), "init asks for a passphrase, echo off", t.shown)
    ok(t.answer(rb"The same again: ", "\n"), "... twice", t.shown)
    status = t.finish()
    ok(status == 0, "init on a terminal", t.shown)
    keys = re.findall(rb"AGE-SECRET-KEY-1[A-Z0-9]+", t.shown)
    ok(len(keys) == 1 and b"RECOVERY KEY" in t.shown, "the recovery key is shown once and explained", t.shown)
    found = [name for folder, _, names in os.walk(WORK) for name in names
             if keys and keys[0] in open(os.path.join(folder, name), "rb").read()]
    ok(not found, "... and lies in no file", found)


def test_init_with_passphrase():
    """What was typed for the new keys opens the new signer key, too: it is not asked for again."""
    t = Terminal("init", "--name", "me", os.path.join(WORK, "store2"))
    t.answer(rb"Passphrase for the new key.*: ", "of the keys\n")
    t.answer(rb"The same again: ", "of the keys\n")
    ok(t.finish() == 0 and b"RECOVERY KEY" in t.shown, "init asks once for the passphrase of both keys", t.shown)
    ok(b"Passphrase of" not in t.shown, "... and not for that of the key just made", t.shown)
    shutil.rmtree(os.path.join(HOME, ".config", "phial"))


def test_seal():
    t = Terminal("seal", "web/db")
    ok(t.answer(rb"Value of web/db \(not shown\): ", CANARY + "\n"), "seal asks for the value, echo off", t.shown)
    ok(t.answer(rb"The same again: ", CANARY + "\n"), "... twice", t.shown)
    ok(t.finish() == 0, "seal on a terminal", t.shown)
    ok(CANARY.encode() not in t.shown, "L-06: the value is not shown", t.shown)
    ok(run("unseal", "web/db").stdout == CANARY.encode(), "the value has no newline")
    t = Terminal("seal", "web/db2")
    t.answer(rb"not shown\): ", CANARY + "\n")
    t.answer(rb"again: ", CANARY + "x\n")
    ok(t.finish() == 2 and b"differ" in t.shown, "two entries that differ are refused", t.shown)
    ok(not os.path.exists(f"{STORE}/web/db2.sealed"), "... and nothing is written")
    t = Terminal("seal", "web/db2")
    t.answer(rb"not shown\): ", "\x04")
    ok(t.finish() == 2, "end of file instead of a value", t.shown)
    t = Terminal("seal", "web/db2")
    t.answer(rb"not shown\): ", "\n")
    t.answer(rb"again: ", "\n")
    ok(t.finish() == 2 and b"empty" in t.shown, "an empty value is refused", t.shown)
    t = Terminal("seal", "web/db2")
    t.answer(rb"not shown\): ", "y" * 5000 + "\n")
    ok(t.finish() == 10 and b"yyy" not in t.shown, "more than a terminal line holds is refused, not cut", t.shown)


def test_unseal():
    t = Terminal("unseal", "web/db")
    ok(t.finish() == 16 and CANARY.encode() not in t.shown, "L-06: unseal to a terminal is refused", t.shown)
    t = Terminal("unseal", "web/db", "--reveal")
    ok(t.finish() == 0 and CANARY.encode() in t.shown, "... unless --reveal is given", t.shown)
    read_end, write_end = os.pipe()
    t = Terminal("unseal", "web/db", stdout=write_end)
    os.close(write_end)
    value = os.read(read_end, 100)
    os.close(read_end)
    ok(t.finish() == 0 and value == CANARY.encode() and t.shown == b"", "a redirected stdout gets exactly the value", t.shown)


def test_signals():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        t = Terminal("seal", "web/db3")
        t.read_until(rb"not shown\): ")
        quiet = not t.echo()
        os.kill(t.pid, number)
        deadline = time.monotonic() + LIMIT_S
        while not t.echo() and time.monotonic() < deadline:
            time.sleep(0.01)
        loud = t.echo()
        status = t.finish()
        ok(quiet and loud and status == -number, f"U-06: {number.name} puts echo back and ends the program", (quiet, loud, status))
    t = Terminal("seal", "web/db3")
    t.read_until(rb"not shown\): ")
    os.kill(t.pid, signal.SIGSTOP)
    os.kill(t.pid, signal.SIGCONT)
    t.answer(rb"not shown\): ", "abc\n")
    t.answer(rb"again: ", "abc\n")
    ok(t.finish() == 0, "U-06: stopped and continued, it goes on", t.shown)
    t = Terminal("seal", "web/db4")
    t.read_until(rb"not shown\): ")
    os.kill(t.pid, signal.SIGKILL)
    t.finish()
    ok(not os.path.exists(f"{STORE}/web/db4.sealed"), "U-06: killed at the question, nothing is written")


def test_passphrase():
    ENV["XDG_CONFIG_HOME"] = os.path.join(WORK, "locked")
    t = Terminal("signer", "keygen")
    t.answer(rb"Passphrase for the new key.*: ", "horse\n")
    t.answer(rb"again: ", "horse\n")
    ok(t.finish() == 0 and b"horse" not in t.shown, "signer keygen with a typed passphrase", t.shown)
    t = Terminal("keygen")
    t.answer(rb"Passphrase for the new key.*: ", "horse\n")
    t.answer(rb"again: ", "hose\n")
    ok(t.finish() == 2, "passphrases that differ make no key", t.shown)
    ok(not os.path.exists(f"{WORK}/locked/phial/identity"), "... no file")
    shutil.copy(f"{HOME}/.config/phial/trust", f"{WORK}/locked/phial/trust")
    read_end, write_end = os.pipe()
    os.write(write_end, b"piped")
    os.close(write_end)
    recipient = re.search(r"age1\S+", open(f"{STORE}/.phial/recipients", encoding="ascii").read()).group(0)
    t = Terminal("seal", "x", "-r", recipient, "-o", f"{WORK}/x.sealed", stdin=read_end)
    os.close(read_end)
    ok(t.answer(rb"Passphrase of .*signer.key: ", "horse\n"), "with the value on stdin, the passphrase is asked on the terminal", t.shown)
    ok(t.finish() == 0, "... and the value sealed", t.shown)
    del ENV["XDG_CONFIG_HOME"]


def main():
    try:
        os.mkdir(HOME)
        test_init_with_passphrase()
        test_init()
        test_seal()
        test_unseal()
        test_signals()
        test_passphrase()
    finally:
        shutil.rmtree(WORK)
    print(f"1..{count}")
    return 1 if failed or not count else 0


sys.exit(main())
