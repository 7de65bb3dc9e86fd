#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Run a command on a terminal of its own and print what it shows there, without carriage returns.

usage: on_terminal.py COMMAND...
The exit code is the command's. Ends after a minute, whatever happens.
"""

import os
import pty
import signal
import sys


def main():
    child, terminal = pty.fork()
    if child == 0:
        os.execvp(sys.argv[1], sys.argv[1:])
    signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
    signal.alarm(60)
    shown = b""
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # EIO: nobody has it open any more
            break
        if not part:
            break
        shown += part
    _, status = os.waitpid(child, 0)
    sys.stdout.write(shown.decode(errors="replace").replace("\r", ""))
    sys.stdout.flush()
    sys.exit(os.waitstatus_to_exitcode(status) & 255)


main()
