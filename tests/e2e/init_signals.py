#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""phial-init as an init, beside tini and catatonit: every signal, storms, orphans, exit codes,
process groups, terminals. Without secrets; each init is PID 1 of a pid namespace, as in a
container, and signals come from outside, as from an engine."""

import contextlib
import ctypes
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time

from _init import INIT, LIMIT_S, PROBE, result, run_tests, skip, wait_until

SENTINEL = 64  # the highest: whatever was sent before it is taken before it
UNSENDABLE = (signal.SIGKILL, signal.SIGSTOP)
OWN = [INIT, "--no-secrets"]
PEERS = {"tini": ["tini"], "catatonit": ["catatonit"]}


def peers():
    for name, command in PEERS.items():
        if shutil.which(command[0]):
            yield name, command
        else:
            skip(f"{name}: beside phial-init", f"{name} is not installed")


def children_of(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except FileNotFoundError:
        return []


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return dict(re.findall(r"^(\w+):\s*(.*)$", file.read(), re.M))


class Container:
    """An init as PID 1 of a new pid namespace, with a command; ended at the end of `with`."""

    def __init__(self, init, command, **more):
        self.shown = b""
        self.outer = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--kill-child", *init, "--", *command],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **more)
        found = wait_until(lambda: children_of(self.outer.pid))
        self.pid = found[0] if found else -1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self.outer.stdout.close()
        self.outer.wait()

    def read_until(self, pattern):
        """Read until the output matches from here on; None at the end or after the limit. What
        matched, and what stood before it, is not seen again."""
        deadline = time.monotonic() + LIMIT_S
        while not (match := re.search(pattern, self.shown, re.M)):
            left = max(0, deadline - time.monotonic())
            if not select.select([self.outer.stdout], [], [], left)[0]:
                return None
            data = os.read(self.outer.stdout.fileno(), 65536)
            if not data:
                return None
            self.shown += data
        before, self.shown = self.shown[:match.end()], self.shown[match.end():]
        return before.decode()

    def send(self, number):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def code(self):
        return self.outer.wait(LIMIT_S)


def forwarded_by(init):
    """Which signals reach the command when an engine sends them to the init."""
    reached = set()
    container = None
    for number in range(1, 65):
        if number in UNSENDABLE:
            continue
        if container is None:
            container = Container(init, [PROBE, "signals"])
            container.read_until(rb"^ready \d+\n")
        container.send(number)
        container.send(SENTINEL)
        seen = container.read_until(rb"^64\n")
        if seen is None:  # the init died of it
            container.__exit__()
            container = None
        elif re.search(rf"^{number}$", seen, re.M):
            reached.add(number)
    if container:
        container.__exit__()
    return reached


# What docs/phial-init.md says of the peers, found by running them.
PEER_KEEPS = {
    "tini": {signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE,
             signal.SIGSEGV, signal.SIGSYS, signal.SIGCHLD, signal.SIGTTIN, signal.SIGTTOU,
             32, 33},
    "catatonit": {signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE,
                  signal.SIGSEGV, signal.SIGSYS, signal.SIGCHLD, signal.SIGTSTP, signal.SIGTTIN,
                  signal.SIGTTOU, 32, 33},
}


def test_every_signal():
    everything = set(range(1, 65)) - set(UNSENDABLE)
    own = forwarded_by(OWN)
    result(own == everything - {signal.SIGCHLD},
           "every signal is passed on but SIGCHLD (KILL and STOP cannot be)",
           f"not passed on: {sorted(everything - own)}")
    for name, command in peers():
        kept = everything - forwarded_by(command)
        result(kept == PEER_KEEPS[name], f"{name} keeps what the documentation says",
               f"found {sorted(kept)}")
        result(not (everything - own) - kept, f"phial-init passes on all that {name} does",
               sorted((everything - own) - kept))


def test_values():
    libc = ctypes.CDLL(None, use_errno=True)
    with Container(OWN, [PROBE, "signals"]) as container:
        container.read_until(rb"^ready \d+\n")
        libc.sigqueue(container.pid, 40, ctypes.c_void_p(4711))
        result(container.read_until(rb"^40 4711\n") is not None,
               "a queued signal keeps its value")


def all_are_taken(init):
    """Nothing waits for the init, which is between two of them, nor for its command: a SIGTERM that
    comes while others wait is taken before them."""
    def idle(pid):
        found = status_of(pid)
        return found["State"].startswith("S") and int(found["ShdPnd"], 16) == 0
    with open(f"/proc/{init}/task/{init}/children", encoding="ascii") as f:
        return idle(init) and all(idle(int(pid)) for pid in f.read().split())


def test_storm():
    """20,000 signals: those that queue all arrive, SIGTERM comes last, nothing is stuck."""
    with Container(OWN, [PROBE, "storm"]) as container:
        container.read_until(rb"^ready \d+\n")
        sent = 0
        for turn in range(20000):
            if turn % 10:
                container.send((signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD,
                                signal.SIGWINCH, signal.SIGURG)[turn % 6])
                continue
            try:  # real-time signals queue up to a limit
                os.kill(container.pid, 50)
                sent += 1
            except BlockingIOError:
                pass
        wait_until(lambda: all_are_taken(container.pid))
        container.send(signal.SIGTERM)
        code = container.code()
        shown = container.outer.stdout.read().decode()
        result(code == 7, "20,000 signals: SIGTERM still arrives, and the exit code", code)
        result(f"50 {sent}\n" in shown, f"20,000 signals: all {sent} that queue arrive", shown)
        result(re.search(r"^10 \d+$", shown, re.M), "20,000 signals: so do the others", shown)


def test_reap_under_flood():
    """The command's end is seen although signals with lower numbers keep coming."""
    with Container(OWN, ["sleep", "0.3"]) as container:
        deadline = time.monotonic() + LIMIT_S
        while container.outer.poll() is None and time.monotonic() < deadline:
            for number in (1, 10, 12):
                container.send(signal.SIGURG if number == 1 else signal.SIGWINCH)
        result(container.outer.poll() == 0, "a flood of signals does not hide the end",
               container.outer.poll())


def memory_kb(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return int(re.search(r"^Rss:\s+(\d+) kB", file.read(), re.M).group(1))


def zombies_below(pid):
    dead = 0
    for child in children_of(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            dead += status_of(child)["State"].startswith("Z")
    return dead


def test_orphans():
    for number in (10, 10000):
        with Container(OWN, [PROBE, "orphans", str(number)]) as container:
            before = memory_kb(container.pid)
            container.read_until(rb"^done\n")
            result(wait_until(lambda c=container: zombies_below(c.pid) == 0 and
                              len(children_of(c.pid)) == 1),
                   f"{number} orphans: none is left", children_of(container.pid))
            after = memory_kb(container.pid)
            result(after - before <= 64, f"{number} orphans: memory stays flat",
                   f"{before} kB, then {after} kB")
            container.send(signal.SIGTERM)
            result(container.code() == 0, f"{number} orphans: and the command goes on")


def test_subreaper():
    """Not PID 1: orphans below it come to it all the same."""
    with subprocess.Popen(
            [*OWN, "--", "sh", "-c",
             f"{PROBE} state; sh -c 'sleep 1000 >/dev/null & echo orphan $!'; echo end; cat"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as init:
        shown = "".join(iter(init.stdout.readline, "end\n"))
        orphan = int(re.search(r"^orphan (\d+)$", shown, re.M).group(1))
        result(wait_until(lambda: status_of(orphan)["PPid"] == str(init.pid)),
               "an orphan below phial-init, not PID 1, becomes its child", shown)
        os.kill(orphan, signal.SIGKILL)
        result(wait_until(lambda: not os.path.exists(f"/proc/{orphan}")), "and is reaped")
        result("subreaper 0\n" in shown, "the command is no subreaper itself")
        init.stdin.close()


CODES = [
    ("exit 0", 0), ("exit 1", 1), ("exit 42", 42), ("exit 125", 125), ("exit 126", 126),
    ("exit 127", 127), ("exit 128", 128), ("exit 143", 143), ("exit 255", 255),
    ("kill -HUP $$", 129), ("kill -INT $$", 130), ("kill -QUIT $$", 131), ("kill -ABRT $$", 134),
    ("kill -KILL $$", 137), ("kill -SEGV $$", 139), ("kill -TERM $$", 143), ("kill -40 $$", 168),
]


def code_of(init, command):
    return subprocess.run(["unshare", "--pid", "--fork", "--kill-child", *init, "--", *command],
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, check=False, timeout=LIMIT_S).returncode


def test_exit_codes():
    shell = {text: ["sh", "-c", text] for text, _ in CODES}
    found = {text: code_of(OWN, command) for text, command in shell.items()}
    wrong = [(text, want, found[text]) for text, want in CODES if found[text] != want]
    result(not wrong, "the exit status is the command's, or 128 + signal", wrong)
    for name, init in peers():
        # catatonit and tini agree on these
        differ = {text: (found[text], code) for text, command in shell.items()
                  if (code := code_of(init, command)) != found[text]}
        result(not differ, f"{name} gives the same exit status, case by case", differ)


def test_start_failures():
    with tempfile.TemporaryDirectory(prefix="phial-test.") as folder:
        paths = {name: os.path.join(folder, name) for name in ("plain", "script", "text", "elf")}
        for name, content in (("plain", b"x"), ("script", b"#!/no/such/interpreter\n"),
                              ("text", b"neither script nor program\n"), ("elf", b"\x7fELFx")):
            with open(paths[name], "wb") as file:
                file.write(content)
            os.chmod(paths[name], 0o644 if name == "plain" else 0o755)
        cases = [
            (["no-such-command"], 127), (["/no/such/command"], 127), ([""], 127),
            ([paths["plain"] + "/below"], 127), ([paths["script"]], 127),
            ([paths["plain"]], 126), ([folder], 126), ([paths["text"]], 126),
            ([paths["elf"]], 126), (["x" * 300], 127),
        ]
        wrong = [(command[0][:40], want, code) for command, want in cases
                 if (code := code_of(OWN, command)) != want]
        result(not wrong, "127 for what is not there, 126 for what cannot be run", wrong)
        for name, init in peers():
            if name == "tini":
                both = [["no-such-command"], ["/no/such/command"], [paths["plain"]], [folder]]
                differ = [(command[0], code_of(OWN, command), code_of(init, command))
                          for command in both
                          if code_of(OWN, command) != code_of(init, command)]
                result(not differ, "tini gives the same where it tells them apart", differ)
        in_path = {"PATH": f"{folder}:/usr/bin:/bin"}
        os.symlink("/bin/true", os.path.join(folder, "runs"))
        result(subprocess.run([*OWN, "runs"], env=in_path, stderr=subprocess.DEVNULL,
                              check=False).returncode == 0, "PATH is searched")
        shown = subprocess.run([*OWN, "no-such-command"], capture_output=True, text=True,
                               check=False, env=in_path)
        result(re.search(r"^phial-init: cannot run no-such-command: No such file", shown.stderr,
                         re.M), "the reason is one line on stderr", shown.stderr)


def test_usage():
    for arguments in ([], ["--"], ["--user", "root", "true"], ["--user", "1000", "true"],
                      ["--user"], ["--no-such"], ["--wait", "-1", "true"],
                      ["--wait", "3601", "true"], ["--no-new-privs", "maybe", "true"],
                      ["--env", "a/b", "true"], ["--env", "..data", "true"],
                      ["--no-secrets", "--file-env", "true"], ["--exec", "-g", "true"],
                      ["--user", "0:0", "--no-new-privs=off", "true"]):
        done = subprocess.run([INIT, *arguments], capture_output=True, text=True, check=False)
        result(done.returncode == 125 and re.fullmatch(r"phial-init: .+\n", done.stderr),
               f"{arguments}: 125 and one line", (done.returncode, done.stderr))
    done = subprocess.run([INIT, "--help"], capture_output=True, text=True, check=False)
    result(done.returncode == 0 and done.stdout.startswith("usage: phial-init"), "--help")
    done = subprocess.run([INIT, "--version"], capture_output=True, text=True, check=False)
    result(done.returncode == 0 and re.fullmatch(r"phial-init \S+\n", done.stdout), "--version")
    done = subprocess.run([*OWN, "sh", "-c", "echo $1", "-", "--user"], capture_output=True,
                          text=True, check=False)
    result(done.stdout == "--user\n", "options behind the command are the command's", done)


def test_group():
    for init, is_all in ((OWN, False), ([*OWN, "-g"], True)):
        with Container(init, [PROBE, "children", "3"]) as container:
            container.read_until(rb"(child\n){3}")
            probe = children_of(container.pid)[0]
            container.send(signal.SIGUSR1)
            if is_all:
                shown = container.read_until(rb"(.* 10\n){4}")
                result(shown, "-g: the whole process group gets the signal", container.shown)
                result(container.code() == 0, "-g: and the command's status comes out")
            else:
                container.read_until(rb"^parent 10\n")
                result(len(children_of(probe)) == 3, "without -g the command alone gets it")


class Terminal:
    """A command on a terminal of its own, as the session's leader."""

    def __init__(self, command, environment=None):
        self.shown = b""
        self.status = None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, environment or os.environ)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)  # hangs up
        if not self.has_ended():
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)

    def has_ended(self):
        if self.status is None and os.waitid(os.P_PID, self.pid,
                                             os.WEXITED | os.WNOHANG | os.WNOWAIT):
            self.status = os.waitpid(self.pid, 0)[1]
        return self.status is not None

    def read_until(self, pattern):
        deadline = time.monotonic() + LIMIT_S
        while not (match := re.search(pattern, self.shown)):
            left = max(0, deadline - time.monotonic())
            if not select.select([self.fd], [], [], left)[0]:
                return None
            try:
                data = os.read(self.fd, 4096)
            except OSError:
                return None
            self.shown += data
        self.shown = self.shown[match.end():]
        return match

    def type(self, keys):
        os.write(self.fd, keys)

    def code(self):
        """The exit code, as subprocess has it; None if it does not end."""
        self.read_until(rb"(?!)")
        return os.waitstatus_to_exitcode(self.status) if wait_until(self.has_ended) else None


def test_terminal():
    """As `run -it` has it: a session leader, a terminal, a shell as the command."""
    says_up = b"echo u''p; exec "  # the line as it is echoed does not match
    plain = {**os.environ, "PS1": "$ ", "ENV": ""}
    with Terminal([*OWN, "sh", "-i"], plain) as terminal:
        terminal.type(b"set -m && echo job-$((40 + 2))-control\n")
        result(terminal.read_until(rb"job-42-control"), "a shell has job control", terminal.shown)
        terminal.type(b"sh -c \"" + says_up + b"sleep 1000\"; echo after-$((2 * 8))\n")
        terminal.read_until(rb"up\r\n")
        terminal.type(b"\x03")
        result(terminal.read_until(rb"\$ "), "^C ends the shell's job and not the shell",
               terminal.shown)
        terminal.type(b"sh -c \"" + says_up + b"cat\"\n")
        terminal.read_until(rb"up\r\n")
        terminal.type(b"\x1a")
        result(terminal.read_until(rb"(?i)stopped"), "^Z stops the shell's job", terminal.shown)
        terminal.type(b"kill -KILL %1\nwait\nexit 5\nexit 5\n")
        code = terminal.code()
        result(code == 5, "and its exit code comes out", code)
    with Terminal([*OWN, "sh", "-c", says_up + b"sleep 1000"]) as terminal:
        terminal.read_until(rb"up\r\n")
        terminal.type(b"\x03")
        code = terminal.code()
        result(code == 130, "^C reaches a command without a shell", code)
    with Terminal([*OWN, "bash", "-c", "echo up; cat; echo went-$((1 + 1))-on"]) as terminal:
        terminal.read_until(rb"up\r\n")
        terminal.type(b"\x1a")
        terminal.read_until(rb"\^Z")
        terminal.type(b"\x04")
        result(terminal.read_until(rb"went-2-on"), "^Z where nobody could go on does nothing",
               terminal.shown)


def test_below_a_shell():
    """Not PID 1: ^Z stops the whole job, and fg lets it go on. The command is bash, because dash
    starts programs by vfork, and hangs itself when ^Z comes in between."""
    environment = {**os.environ, "PS1": "$ ", "ENV": ""}
    with Terminal(["bash", "--norc", "--noprofile", "-i"], environment) as terminal:
        terminal.read_until(rb"\$ ")
        terminal.type(b"%s --no-secrets bash -c 'echo first; cat; echo last'\n" % INIT.encode())
        terminal.read_until(rb"first\r\n")
        terminal.type(b"\x1a")
        result(terminal.read_until(rb"Stopped"), "below a shell, ^Z gives the shell back",
               terminal.shown)
        terminal.type(b"echo shell-$((3 * 3))\n")
        result(terminal.read_until(rb"shell-9"), "the shell has the terminal")
        terminal.type(b"fg\n")
        terminal.read_until(rb"phial-init")
        terminal.type(b"typed\n\x04")
        result(terminal.read_until(rb"typed\r\n(.|\n)*last"), "fg gives it to the command again",
               terminal.shown)
        terminal.type(b"exit\n")


def test_streams():
    """stdin and stdout are the command's: bytes pass, an end is an end."""
    payload = os.urandom(1 << 20)
    done = subprocess.run([*OWN, "cat"], input=payload, capture_output=True, check=False,
                          timeout=LIMIT_S)
    result(done.stdout == payload, "a MiB of any bytes passes through")
    reader, writer = os.pipe()
    with subprocess.Popen([*OWN, "sh", "-c", "true"], stdin=reader, stderr=subprocess.DEVNULL,
                          pass_fds=[writer]):
        os.close(writer)
        os.close(reader)
    result(True, "an inherited pipe keeps nobody waiting")


run_tests(globals())
