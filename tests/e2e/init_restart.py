#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""phial-init and new secrets: its command is started again, or signalled, or left alone; it says
that it is ready. With an agent that says what it is told; values here are no secrets."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import subprocess
import termios
import time

from _init import INIT, LIMIT_S, PROBE, Agent, memory_of, result, run_tests, wait_until

ENV = ["--env", "db_password"]
RESTART = ["--on-rotation=restart", *ENV]
AS_PID_1 = ["unshare", "--pid", "--fork", "--kill-child"]
# Says its value and its process, and ends as everybody does by SIGTERM.
SAYS = ["--", "sh", "-c", 'echo "$DB_PASSWORD $$"; exec sleep 1000']


def child_of(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except FileNotFoundError:
        return []


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            return re.search(r"^State:\t[ZX]", file.read(), re.M) is None
    except (FileNotFoundError, ProcessLookupError):
        return False


class Init:
    """phial-init with a command, whose output is read line by line."""

    def __init__(self, agent, *arguments, before=(), **more):
        self.shown = b""
        self.errors = b""
        self.inner = list(before) == AS_PID_1
        self.process = subprocess.Popen(
            agent.command(*arguments, before=before), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            inner = child_of(self.process.pid) if self.inner else []
            for pid in [*child_of((inner or [self.process.pid])[0]), *inner, self.process.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.communicate()

    def pid(self):
        return child_of(self.process.pid)[0] if self.inner else self.process.pid

    def command_pid(self):
        return wait_until(lambda: child_of(self.pid()))[0]

    def line(self, stream=None):
        """The next line, or what came before the end or the limit."""
        errors = stream == "stderr"
        file = self.process.stderr if errors else self.process.stdout
        text = self.errors if errors else self.shown
        deadline = time.monotonic() + LIMIT_S
        while b"\n" not in text:
            left = max(0, deadline - time.monotonic())
            data = os.read(file.fileno(), 4096) if select.select([file], [], [], left)[0] else b""
            if not data:
                break
            text += data
        head, _, text = text.partition(b"\n")
        if errors:
            self.errors = text
        else:
            self.shown = text
        return head.decode()

    def until(self, wanted):
        """Read lines until one begins with this; the number of lines before it, or None."""
        for number in range(100000):
            line = self.line()
            if line.startswith(wanted):
                return number
            if line == "":
                return None
        return None

    def send(self, number):
        os.kill(self.pid(), number)

    def code(self):
        code = self.process.wait(LIMIT_S)
        return 128 - code if code < 0 else code


def test_restart():
    for before in ([], AS_PID_1):
        with Agent("serve") as agent, Init(agent, *RESTART, *SAYS, before=before) as init:
            first = init.line()
            agent.rotate(db_password=b"second")
            second = init.line()
            result(first.startswith("not secret ") and second.startswith("second ") and
                   first.split()[-1] != second.split()[-1],
                   f"{before[:1]} restart: another process with the new value", (first, second))
            agent.rotate(db_password=b"third")
            result(init.line().startswith("third "), f"{before[:1]} restart: and again")
            init.send(signal.SIGTERM)
            result(init.code() == 143, f"{before[:1]} restart: its end is the end", init.code())
            said = init.process.stderr.read().decode().splitlines()
            result(len(said) == 3 and all("started again" in line for line in said[1:]),
                   f"{before[:1]} restart: it is said, once for each", said)


def test_files_only():
    """Without --env, too: a program may read its files only once."""
    with Agent("serve") as agent, Init(agent, "--on-rotation=restart", "--", "sh", "-c",
                                       "cat $CREDENTIALS_DIRECTORY/db_password; echo; "
                                       "exec sleep 1000") as init:
        result(init.line() == "not secret", "files: the first")
        agent.rotate(db_password=b"second")
        result(init.line() == "second", "files: and the next generation's")


def test_inherited_again():
    """What the caller passed the second start has, too."""
    with open("/dev/null", "rb") as file:
        extra = os.dup2(file.fileno(), 77)
    with Agent("serve") as agent, Init(agent, *RESTART, "--", "sh", "-c",
                                       f"{PROBE} state LISTEN_PID; exec sleep 1000",
                                       pass_fds=[extra], cwd="/usr") as init:
        states = []
        for value in (b"second", b"third"):
            lines = []
            while not lines or not lines[-1].startswith("LISTEN_PID") and lines[-1]:
                lines.append(init.line())
            states.append([line for line in lines
                           if not re.match(r"(pid|ppid|group) ", line)])
            agent.rotate(db_password=value)
        result(states[0] == states[1] and "fds 0 1 2 77" in states[0] and "cwd /usr" in states[0],
               "restart: descriptors, folder, signals, limits are those of the first start", states)
    os.close(extra)


def test_signal():
    for options, wanted in ((["--on-rotation=SIGUSR1"], ["10", "12"]),
                            (["--on-rotation=SIGRTMIN+3"], ["37", "12"]),
                            (["--on-rotation=nothing"], ["12"]), ([], ["12"])):
        with Agent("serve") as agent, Init(agent, *options, "--", PROBE, "signals") as init:
            init.until("ready")
            agent.rotate()
            got = [init.line() for _ in wanted[:-1]]
            init.send(signal.SIGUSR2)
            got.append(init.line())
            result(got == wanted, f"{options}: the command gets {wanted}", got)


def test_storm():
    """A command that is slow to end is asked once, and then gets the last of all values."""
    with Agent("serve") as agent, Init(agent, "--stop-timeout=3600", *RESTART, "--", "sh", "-c",
                                       f'echo "$DB_PASSWORD"; exec {PROBE} signals') as init:
        init.until("ready")
        agent.rotate(db_password=b"1")
        result(init.line() == "15", "storm: the command is asked to end")
        for number in range(2, 60):
            agent.rotate(db_password=b"%d" % number)
        init.send(signal.SIGUSR2)
        result(init.line() == "12", "storm: and not once more for each rotation")
        os.kill(init.command_pid(), signal.SIGKILL)
        result(init.line() == "59", "storm: the next start has the last value")
        result(init.until("ready") == 0, "storm: it runs")
        init.send(signal.SIGUSR2)
        result(init.line() == "12", "storm: and nothing else is asked of it")
    with Agent("serve") as agent, Init(agent, *RESTART, *SAYS) as init:
        init.line()
        for number in range(60):  # also while the command is starting
            agent.rotate(db_password=b"%d" % number)
        result(init.until("59 ") is not None, "storm: in the end the command has the last value")
        init.send(signal.SIGTERM)
        result(init.code() == 143, "storm: and ends as ever", init.code())


def test_ignores_sigterm():
    for timeout in ("0", "1"):
        with Agent("serve") as agent, Init(agent, f"--stop-timeout={timeout}", *RESTART, "--", "sh",
                                           "-c", 'trap "" TERM; echo "$DB_PASSWORD"; '
                                           'exec sleep 1000') as init:
            init.line()
            agent.rotate(db_password=b"second")
            result(init.line() == "second",
                   f"--stop-timeout={timeout}: a command that ignores SIGTERM is killed")


def test_what_it_leaves():
    with Agent("serve") as agent, Init(agent, *RESTART, "--", "sh", "-c",
                                       'sleep 1000 & echo $!; exec sleep 1000',
                                       before=AS_PID_1) as init:
        init.line()
        left = max(child_of(init.command_pid()))
        agent.rotate(db_password=b"second")
        init.line()
        result(wait_until(lambda: not is_alive(left)),
               "restart: what the command leaves in its process group is killed")


def test_ends_by_itself():
    """Both at once, because phial-init is stopped meanwhile: the command's end comes first."""
    with Agent("serve") as agent, Init(agent, *RESTART, "--", "sh", "-c",
                                       'echo "$DB_PASSWORD"; read -r line; exit 7') as init:
        init.line()
        command = init.command_pid()
        init.send(signal.SIGSTOP)
        wait_until(lambda: is_stopped(init.pid()))
        agent.rotate(db_password=b"second")
        init.process.stdin.close()
        wait_until(lambda: not is_alive(command))
        init.send(signal.SIGCONT)
        result(init.code() == 7 and init.line() == "",
               "a command that ends by itself is not started again: its exit code", init.code())
        init.process.stdin = None


def is_stopped(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return re.search(r"^State:\tT", file.read(), re.M) is not None


def test_told_to_end():
    """By an engine's stop: that is never answered with a new start."""
    with Agent("serve") as agent, Init(agent, "--stop-timeout=3600", *RESTART, "--", "sh", "-c",
                                       f'echo "$DB_PASSWORD"; exec {PROBE} signals') as init:
        init.until("ready")
        agent.rotate(db_password=b"second")
        result(init.line() == "15", "stop: while a restart is under way")
        init.send(signal.SIGTERM)
        result(init.line() == "15", "stop: SIGTERM reaches the command that is ending")
        os.kill(init.command_pid(), signal.SIGKILL)
        result(init.code() == 137 and init.line() == "", "stop: and there is no new start",
               init.code())
    with Agent("serve") as agent, Init(agent, *RESTART, "--", "sh", "-c",
                                       f'echo "$DB_PASSWORD"; exec {PROBE} signals') as init:
        init.until("ready")
        init.send(signal.SIGTERM)
        init.line()
        init.line("stderr")
        agent.rotate(db_password=b"second")
        result("told to end" in init.line("stderr"), "stop: a rotation after it does nothing")
        os.kill(init.command_pid(), signal.SIGKILL)
        result(init.code() == 137, "stop: the exit code is the command's", init.code())


def test_fails_to_start_again():
    with Agent("serve") as agent:
        program = os.path.join(agent.folder.name, "program")
        with open(program, "w", encoding="ascii") as file:
            file.write('#!/bin/sh\necho "$DB_PASSWORD"\nexec sleep 1000\n')
        os.chmod(program, 0o755)
        with Init(agent, *RESTART, "--", program) as init:
            init.line()
            os.unlink(program)
            agent.rotate(db_password=b"second")
            result(init.code() == 127, "a command that is gone: 127", init.code())


def test_values_that_cannot_be_given():
    with Agent("serve") as agent, Init(agent, *RESTART, *SAYS) as init:
        first = init.line()
        init.line("stderr")
        agent.rotate(db_password=b"a\0b")
        said = init.line("stderr")
        result("NUL" in said and "cannot be given" in said,
               "a value that no environment can hold is reported", said)
        result(is_alive(int(first.split()[-1])), "and the command goes on with the old one")
        agent.rotate(db_password=b"third")
        result(init.line().startswith("third "), "until there is one that it can be given")


def test_values_are_wiped():
    with Agent("serve") as agent, Init(agent, *RESTART, *SAYS) as init:
        init.line()
        marker = os.urandom(16).hex().encode()
        agent.rotate(db_password=marker)
        init.until(marker.decode())
        result(wait_until(lambda: marker not in memory_of(init.pid())),
               "restart: phial-init holds no copy of the new value")
        result(marker in memory_of(init.command_pid()), "(its command does: the search finds it)")
        again = os.urandom(16).hex().encode()
        agent.rotate(db_password=again)
        init.until(again.decode())
        result(marker not in memory_of(init.command_pid()),
               "restart: the command that runs has no copy of the old one")


def test_terminal():
    """The new command is in front, as the old one was; and ^C reaches it."""
    master, slave = pty.openpty()

    def take():
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

    def line():
        shown = b""
        while not shown.endswith(b"\n") and select.select([master], [], [], LIMIT_S)[0]:
            shown += os.read(master, 1)
        return shown.decode().strip()

    with Agent("serve") as agent:
        for before in ([], AS_PID_1):
            # What is before phial-init leads the session, as conmon or a shell does.
            with subprocess.Popen(agent.command(
                    *RESTART, "--", "sh", "-c",
                    f"{PROBE} state | grep -E '^(group|terminal_group) ' | sort; exec sleep 1000",
                    before=before), stdin=slave, stdout=slave, stderr=subprocess.DEVNULL,
                    preexec_fn=take, pass_fds=[slave]) as process:
                for number in range(3):
                    group, front = line(), line()
                    result(group.split()[1] == front.split()[1] != "0",
                           f"{before[:1]} terminal: start {number + 1} is in front",
                           (group, front))
                    if number < 2:
                        agent.rotate()
                os.write(master, b"\x03")
                result(process.wait(LIMIT_S) == 130, f"{before[:1]} terminal: ^C ends it",
                       process.returncode)
    os.close(master)
    os.close(slave)


def test_ready_fd():
    with Agent("serve") as agent, Init(agent, "--ready-fd=7", "--", "sh", "-c",
                                       "echo ready >&7; echo; exec sleep 1000") as init:
        result(wait_until(lambda: agent.ready == 1), "--ready-fd: the agent is told")
        init.send(signal.SIGTERM)
        result(init.code() == 143, "--ready-fd: the command's end is the end", init.code())
    with Agent("serve", "close", "close", "serve") as agent, \
            Init(agent, "--ready-fd=7", "--wait=0", "--", "sh", "-c",
                 "echo >&7; exec sleep 1000"):
        result(wait_until(lambda: agent.ready == 3), "--ready-fd: \"not now\" is told again")
    with Agent("serve") as agent, Init(agent, "--ready-fd=7", "--on-rotation=restart", "--", "sh",
                                       "-c", "echo >&7; echo started; exec sleep 1000") as init:
        init.line()
        wait_until(lambda: agent.ready == 1)
        agent.rotate()
        result(init.line() == "started", "--ready-fd: a second start has it, too")
        init.send(signal.SIGTERM)
        init.code()
        result(agent.ready == 1, "--ready-fd: the agent is told once", agent.ready)
    with Agent("serve") as agent:
        for script, what in (("exec 7>&-", "closes it"), ("printf x >&7", "writes no newline")):
            with Init(agent, "--ready-fd=7", "--", "sh", "-c", f"{script}; exit 3") as init:
                result(init.code() == 3 and agent.ready == 0,
                       f"--ready-fd: a command that {what} is not ready", agent.ready)
        with open("/dev/null", "rb") as file:
            extra = os.dup2(file.fileno(), 77)
        done = agent.run("--ready-fd=77", "--", "true", pass_fds=[extra])
        os.close(extra)
        result(done.returncode == 125 and "77" in done.stderr,
               "--ready-fd: a descriptor of the caller's is not taken", done)
        done = agent.run("--ready-fd=7", "--", PROBE, "state")
        result("fds 0 1 2 7\n" in done.stdout, "--ready-fd: no other descriptor is the command's",
               done)


def test_ready():
    with Agent("serve") as agent:
        done = agent.run("--ready")
        result((done.returncode, done.stdout, done.stderr, agent.ready) == (0, "", "", 1),
               "--ready: the agent is told", done)
    with Agent("refuse") as agent:
        done = agent.run("--ready")
        result(done.returncode == 125 and done.stderr.startswith("phial-init: web: gate"),
               "--ready: a refusal is shown", done)
    with Agent() as agent:
        done = agent.run("--ready", "--wait", "0")
        result(done.returncode == 125 and "no agent" in done.stderr, "--ready: no agent", done)


def test_nothing_left():
    """What it watches it keeps open, and nothing else."""
    reader, writer = os.pipe()
    with Agent("serve") as agent, Init(agent, "--on-rotation=SIGUSR1", "--ready-fd=9", "--", "sh",
                                       "-c", f"exec {writer}>&-; echo go; read -r line",
                                       pass_fds=[writer]) as init:
        os.close(writer)
        init.line()
        ended = select.select([reader], [], [], LIMIT_S)[0]
        result(ended and os.read(reader, 1) == b"",
               "--on-rotation=SIGNAL: the end of a caller's pipe is seen")
        kinds = [os.readlink(f"/proc/{init.pid()}/fd/{fd}")
                 for fd in os.listdir(f"/proc/{init.pid()}/fd") if int(fd) > 2]
        result(sorted(kind.split(":")[0] + kind.split(":")[1][:9] for kind in kinds) ==
               ["anon_inode[signalfd", "anon_inodeinotify"] or len(kinds) == 3,
               "its own descriptors are few", kinds)
    os.close(reader)


run_tests(globals())
