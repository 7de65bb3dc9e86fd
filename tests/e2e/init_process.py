#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""phial-init's command: what it inherits is what phial-init was given, its user, its environment;
and the talk with an agent that says what it is told. Values here are no secrets."""

import ctypes
import os
import re
import resource
import select
import signal
import subprocess
import tempfile

from _init import INIT, LIMIT_S, PROBE, Agent, memory_of, result, run_tests, wait_until

OWN = [INIT, "--no-secrets"]
PR_SET_PDEATHSIG = 1
USER = ["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups", "--inh-caps=-all"]


def read_state(text):
    return dict(re.findall(r"^(\w+) (.*)$", text, re.M))


def unlike(one, other, *different):
    return {key: (one[key], other.get(key)) for key in one
            if key not in ("pid", "ppid", "group", "session", "terminal_group", *different)
            and one[key] != other.get(key)}


def odd_state():
    """What callers leave behind, and what only the command may undo."""
    for number in (signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD, signal.SIGTTOU):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGUSR2, signal.SIGALRM, 40})
    os.umask(0o27)
    resource.setrlimit(resource.RLIMIT_CORE, (4096, 8192))
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, 300))
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGUSR1)


def state(init, *variables, **more):
    done = subprocess.run([*init, PROBE, "state", *variables], capture_output=True, text=True,
                          check=False, timeout=LIMIT_S, **more)
    return read_state(done.stdout) or done.stderr


def test_what_survives():
    with open("/dev/null", "rb") as file:
        extra = os.dup2(file.fileno(), 77)
    for way in ([], ["--exec"]):
        more = {"preexec_fn": odd_state, "pass_fds": [extra], "cwd": "/usr"}
        plain = state([], **more)
        found = state([*OWN, "--no-new-privs=off", *way], **more)
        result(isinstance(found, dict) and not unlike(plain, found),
               f"{way}: signals, limits, umask, death signal, descriptors, folder are as they were",
               found if isinstance(found, str) else unlike(plain, found))
        result(found["death_signal"] == "10" and found["fds"] == "0 1 2 77",
               f"{way}: among them the death signal and the caller's descriptor", found)
        found = state([*OWN, *way], **more)
        result(found["no_new_privs"] == "1" and not unlike(plain, found, "no_new_privs"),
               f"{way}: no_new_privs is on by default and changes nothing else", found)
    os.close(extra)


def test_parent_keeps_nothing():
    reader, writer = os.pipe()
    with subprocess.Popen([*OWN, "sh", "-c", f"exec {writer}>&-; echo go; cat"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          pass_fds=[writer]) as init:
        os.close(writer)
        init.stdout.readline()
        ended = select.select([reader], [], [], LIMIT_S)[0]
        result(ended and os.read(reader, 1) == b"",
               "the end of a caller's pipe is seen: phial-init keeps none")
        result(wait_until(lambda: os.readlink(f"/proc/{init.pid}/cwd") == "/"),
               "and it keeps no folder busy")
        init.stdin.close()
    os.close(reader)


def has_ended(pid):
    """Also when nobody has reaped it yet."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
            return re.search(r"^State:\tZ", status.read(), re.M) is not None
    except (FileNotFoundError, ProcessLookupError):  # the latter between open and read
        return True


def test_death():
    """Whoever ends phial-init by its parent's death meant the command."""
    script = f"exec {INIT} --no-secrets sleep 1000"
    with subprocess.Popen(
            ["python3", "-c", "import ctypes, os, sys\n"
             "if os.fork() == 0:\n"
             " ctypes.CDLL(None).prctl(1, 9)\n"
             " os.execv('/bin/sh', ['sh', '-c', sys.argv[1]])\n"
             "input()", script], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        def sleeper():
            init = subprocess.run(["pgrep", "-P", str(parent.pid)], capture_output=True, text=True,
                                  check=False).stdout.split()
            return init and subprocess.run(["pgrep", "-x", "-P", init[0], "sleep"],
                                           capture_output=True, text=True, check=False).stdout
        pid = int(wait_until(sleeper))
        parent.stdin.close()
        parent.wait()
        result(wait_until(lambda: has_ended(pid)),
               "with phial-init, by its parent's death signal, the command goes too")


def test_pid_variables():
    variables = ("LISTEN_PID", "LISTEN_FDS", "WATCHDOG_PID", "NOTIFY_SOCKET")
    script = (f"export LISTEN_PID=$$ LISTEN_FDS=1 WATCHDOG_PID=$$ NOTIFY_SOCKET=/x; "
              f"exec \"$@\" {PROBE} state {' '.join(variables)}")
    for init in (OWN, [*OWN, "--exec"]):
        done = subprocess.run(["sh", "-c", script, "-", *init], capture_output=True, text=True,
                              check=False, timeout=LIMIT_S)
        pid = read_state(done.stdout)["pid"]
        wanted = f"LISTEN_PID={pid}\nLISTEN_FDS=1\nWATCHDOG_PID={pid}\nNOTIFY_SOCKET=/x\n"
        result(done.stdout.endswith(wanted), f"{init[1:]}: LISTEN_PID and WATCHDOG_PID are its own",
               done.stdout)
    done = subprocess.run([*OWN, PROBE, "state", "LISTEN_PID"], capture_output=True, text=True,
                          env={**os.environ, "LISTEN_PID": "12"}, check=False)
    result(done.stdout.endswith("LISTEN_PID=12\n"), "another process's LISTEN_PID stays", done.stdout)


def test_user():
    found = state([*OWN, "--user", "1000:1001"], preexec_fn=lambda: os.setgroups([4, 5]))
    result(found["uids"] == "1000 1000 1000" and found["gids"] == "1001 1001 1001" and
           found["groups"] == "0", "--user: all ids, no groups", found)
    result(set(found["capabilities"].split()) == {"000000000"}, "--user: no capability", found)
    found = state([*OWN, "--user", "0:0"])
    result(set(found["capabilities"].split()) == {"000000000"}, "--user 0:0: none either", found)
    with subprocess.Popen([*OWN, "--user", "1000:1000", "sleep", "1000"],
                          stderr=subprocess.DEVNULL) as init:
        wait_until(lambda: subprocess.run(["pgrep", "-x", "-P", str(init.pid), "sleep"],
                                          stdout=subprocess.DEVNULL, check=False).returncode == 0)
        init.terminate()
        result(init.wait() == 143, "--user: signals still reach the command", init.returncode)
    found = state([*USER, *OWN, "--user", "1000:1000"])
    result(isinstance(found, dict) and found["uids"] == "1000 1000 1000",
           "--user, of whom we are already: needs no capability", found)
    done = subprocess.run([*USER, *OWN, "--user", "2000:2000", "true"], capture_output=True,
                          text=True, check=False)
    result(done.returncode == 125 and "SETUID" in done.stderr,
           "--user without the capabilities: 125 and what to add", done.stderr)


def test_nothing_needed():
    """No /proc, no /dev, no /etc, not even a root that can be written: only the program."""
    with tempfile.TemporaryDirectory(prefix="phial-test.") as root:
        os.chmod(root, 0o755)
        for path in (INIT, PROBE):
            subprocess.run(["cp", path, root], check=True)
        done = subprocess.run(
            ["unshare", "--pid", "--fork", "--kill-child", "chroot", "--userspec=1234:1234", root,
             "/phial-init", "--no-secrets", "/init_probe", "state"], capture_output=True, text=True,
            check=False, timeout=LIMIT_S)
        found = read_state(done.stdout)
        result(done.returncode == 0 and found.get("ppid") == "1" and found["fds"] == "0 1 2",
               "in an empty root, as any uid, as PID 1", done.stdout + done.stderr)


# --- with an agent ------------------------------------------------------------------------------


def test_served():
    with Agent("serve") as agent:
        done = agent.run("--", PROBE, "state", "CREDENTIALS_DIRECTORY", "DB_PASSWORD_FILE",
                         "DB_PASSWORD")
        result(done.stdout.endswith(f"CREDENTIALS_DIRECTORY={agent.target}\n"
                                    "DB_PASSWORD_FILE is not set\nDB_PASSWORD is not set\n"),
               "CREDENTIALS_DIRECTORY is the directory, and nothing else is set", done)
        result(done.stderr == "" and agent.asked[0][:4] == [1, 0, 0, 0],
               "nothing is said; the question has no flags", (done.stderr, agent.asked))
        result(len(agent.asked[0]) == 6, "with a pidfd of its own", agent.asked)
        result(read_state(done.stdout)["fds"] == "0 1 2", "no descriptor is left to the command",
               done.stdout)
        done = agent.run("--user", "1000:1001", "--", PROBE, "state")
        result(agent.asked[1][:4] == [1, 0, 1000, 1001], "--user: the files are asked for that user",
               (done.stderr, agent.asked))
        result(agent.run("--", "no-such-command").returncode == 127, "127 stays 127")
        done = agent.run("--exec", "--", PROBE, "state", "CREDENTIALS_DIRECTORY",
                         before=["unshare", "--pid", "--fork", "--kill-child"])
        result(read_state(done.stdout).get("pid") == "1" and
               f"CREDENTIALS_DIRECTORY={agent.target}\n" in done.stdout,
               "--exec: the command is PID 1", done)


def test_environment():
    with Agent("serve") as agent:
        environment = {**os.environ, "DB_PASSWORD_FILE": "old", "CREDENTIALS_DIRECTORY": "old",
                       "TLS_KEY": "old", "TLS_KEY_FILES": "other"}
        show = ["--", PROBE, "state", "CREDENTIALS_DIRECTORY", "DB_PASSWORD_FILE", "TLS_KEY_FILE",
                "DB_PASSWORD", "TLS_KEY", "TLS_KEY_FILES"]
        done = agent.run("--file-env", *show, env=environment)
        result(done.stdout.endswith(
            f"CREDENTIALS_DIRECTORY={agent.target}\nDB_PASSWORD_FILE={agent.target}/db_password\n"
            f"TLS_KEY_FILE={agent.target}/tls.key\nDB_PASSWORD is not set\nTLS_KEY=old\n"
            "TLS_KEY_FILES=other\n"), "--file-env: a path for each file", done)
        result(agent.asked[-1][1] == 2, "--file-env: the agent is told", agent.asked)
        done = agent.run("--env", "db_password", "--env=tls.key", *show, env=environment)
        result(done.stdout.endswith("DB_PASSWORD=not secret\nTLS_KEY=with\nnewline\n\n"
                                    "TLS_KEY_FILES=other\n"), "--env: the bytes of the file", done)
        result(re.fullmatch(r"phial-init: --env: .*\n", done.stderr), "--env: warns once", done)
        result(agent.asked[-1][1] == 1, "--env: the agent is told", agent.asked)
        result(read_state(done.stdout)["dumpable"] == "1", "the command may be dumped as ever")
        names = subprocess.run(agent.command("--file-env", "--", "env"), capture_output=True,
                               text=True, check=False, env=environment).stdout
        result(all(names.count(name + "=") == 1 for name in
                   ("DB_PASSWORD_FILE", "CREDENTIALS_DIRECTORY")), "no variable is there twice",
               names)


def test_environment_refusals():
    with Agent("serve") as agent:
        agent.add("a.b", b"1")
        agent.add("nul", b"a\0b")
        agent.add("large", b"x" * (128 * 1024))
        agent.add("fits", b"x" * (128 * 1024 - len("FITS=") - 1))
        for arguments, what in (
                (["--env", "missing"], "missing"), (["--env", "nul"], "NUL"),
                (["--env", "large"], "too large"),
                (["--env", "db_password", "--env", "db_password"], "DB_PASSWORD")):
            done = agent.run(*arguments, "--", "true")
            result(done.returncode == 125 and what in done.stderr.splitlines()[-1],
                   f"{arguments}: 125 and why", done)
        result(agent.run("--env", "fits", "--", "true").returncode == 0,
               "a value that just fits is passed")
        agent.add("a-b", b"2")
        done = agent.run("--file-env", "--", "true")
        result(done.returncode == 125 and "A_B_FILE" in done.stderr,
               "two files for one variable: 125", done)
        done = agent.run("--env", "db_password", "--", "true",
                         before=[*USER, "prlimit", "--memlock=0"])
        result(done.returncode == 125 and "swap" in done.stderr,
               "a value that cannot be locked in memory: 125", done)


def test_values_are_wiped():
    """What phial-init itself keeps of a value that its command has."""
    with Agent("serve") as agent:
        marker = os.urandom(16).hex().encode()
        agent.add("marker", marker)
        with subprocess.Popen(agent.command("--env", "marker", "--", "sh", "-c", "echo go; cat"),
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL) as init:
            init.stdout.readline()
            # Both run from the command's execve on: it may speak before phial-init has wiped.
            result(wait_until(lambda: marker not in memory_of(init.pid)),
                   "phial-init holds no copy of an --env value")
            with open(f"/proc/{init.pid}/task/{init.pid}/children", encoding="ascii") as file:
                child = int(file.read())
            result(marker in memory_of(child), "(its command does: the search finds it)")
            init.stdin.close()


def test_refused():
    with Agent("refuse") as agent:
        done = agent.run("--", "echo", "started")
        result(done.returncode == 125 and done.stdout == "", "a refusal: 125, nothing runs", done)
        result(done.stderr == "phial-init: web: gate seccomp: none\n"
               "phial-init: web: gate \\x1b[31m non_root: runs as root\n",
               "one line for each problem, in plain text", done.stderr)
        result(len(agent.asked) == 1, "a refusal is final", agent.asked)


def test_waiting():
    with Agent("close", "garbage", "close", "serve") as agent:
        done = agent.run("--", "echo", "started")
        result(done.stdout == "started\n" and len(agent.asked) == 4,
               "\"not now\" is asked again", (done, agent.asked))
    with Agent("serve", late_s=0.5) as agent:
        done = agent.run("--", "echo", "started")
        result(done.stdout == "started\n", "an agent that comes late is waited for", done)
    with Agent() as agent:
        for wait in ("0", "1"):
            done = agent.run("--wait", wait, "--", "echo", "started")
            result(done.returncode == 125 and done.stdout == "" and "no agent" in done.stderr,
                   f"--wait {wait}: no agent comes, 125", done)
    with tempfile.TemporaryDirectory(prefix="phial-test.") as empty:
        done = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c",
                               "mount -t tmpfs none /run && exec \"$@\"", "-", INIT, "true"],
                              capture_output=True, text=True, check=False, cwd=empty)
        result(done.returncode == 125 and "no grant" in done.stderr,
               "no grant mount: 125 at once, and how to mount it", done)


def test_ended_while_asking():
    with Agent("silent") as agent:
        with subprocess.Popen(agent.command("--", "echo", "started",
                                            before=["unshare", "--pid", "--fork", "--kill-child"]),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as outer:
            wait_until(lambda: agent.asked)
            with open(f"/proc/{outer.pid}/task/{outer.pid}/children", encoding="ascii") as file:
                os.kill(int(file.read()), signal.SIGTERM)
            shown = outer.communicate(timeout=LIMIT_S)
            result(outer.returncode == 143 and shown[0] == b"",
                   "SIGTERM while the agent thinks: 143, also as PID 1", (outer.returncode, shown))


def test_without_streams():
    """Started with 0 to 2 closed: the agent's connection is not taken for stderr."""
    with Agent("refuse") as agent:
        done = subprocess.run(agent.command("--", "true", before=[
            "sh", "-c", "exec \"$@\" <&- >&- 2>&-", "-"]), check=False, timeout=LIMIT_S)
        result(done.returncode == 125 and len(agent.asked) == 1, "without stdin, stdout and stderr",
               (done, agent.asked))


run_tests(globals())
