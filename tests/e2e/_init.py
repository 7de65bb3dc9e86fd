# SPDX-License-Identifier: ISC
"""What the tests of phial-init share: TAP, paths, waiting for a condition."""

import os
import signal
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))
INIT = os.path.join(BUILD, "phial-init")
PROBE = os.path.join(BUILD, "tests/probes/init_probe")
LIMIT_S = 60

count = failed = 0


def result(passed, what, detail=""):
    global count, failed
    count += 1
    failed += not passed
    print(f"{'ok' if passed else 'not ok'} {count} - {what}", flush=True)
    if not passed and detail != "":
        print("\n".join("# " + line for line in str(detail).splitlines()), flush=True)


def skip(what, reason):
    global count
    count += 1
    print(f"ok {count} - {what} # SKIP {reason}")


def wait_until(condition):
    """For conditions, not for speed. What the condition gave, or None after the limit."""
    deadline = time.monotonic() + LIMIT_S
    while not (value := condition()):
        if time.monotonic() > deadline:
            return None
        time.sleep(0.005)
    return value


def run_tests(tests):
    """Every function of a module that is named test_..., in the order written."""
    if not os.access(PROBE, os.X_OK):
        print("1..0 # SKIP the probes are not built (make probes)")
        sys.exit(0)
    if os.geteuid() != 0:
        print("1..0 # SKIP needs root")
        sys.exit(0)
    for number in (signal.SIGTERM, signal.SIGHUP):  # what is begun is ended, folders go away
        signal.signal(number, lambda *_: sys.exit(143))
    for name, test in list(tests.items()):
        if name.startswith("test_"):
            test()
    print(f"1..{count}")
    sys.exit(1 if failed else 0)
