#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Checks a file in Prometheus' text format, strictly, and by its naming rules.

usage: prometheus_text.py FILE

For hosts without promtool, which knows the same and more. Prints what is wrong; exits 1 then.
"""

import re
import sys

NAME = r"[a-z][a-z0-9_]*"
HELP = re.compile(rf"# HELP ({NAME}) (\S.*\.)")
TYPE = re.compile(rf"# TYPE ({NAME}) (counter|gauge)")
SAMPLE = re.compile(rf'({NAME})(\{{{NAME}="[A-Za-z0-9_.+-]+"(,{NAME}="[A-Za-z0-9_.+-]+")*\}})? '
                    r"(\d+(\.\d+)?)")
UNITS = re.compile(r"_(ms|milliseconds|minutes|hours|days|kb|kib|mb|mib)(_|$)")


def check(text):
    if not text.endswith("\n"):
        yield "the last line has no end"
    helped, typed, sampled, series = set(), {}, set(), set()
    current = None
    for number, line in enumerate(text.split("\n")[:-1], 1):
        if match := HELP.fullmatch(line):
            current = match[1]
            if current in helped:
                yield f"{number}: {current} comes twice"
            helped.add(current)
        elif match := TYPE.fullmatch(line):
            if match[1] != current or match[1] in typed:
                yield f"{number}: TYPE without HELP before it"
            typed[match[1]] = match[2]
            if (match[2] == "counter") != match[1].endswith("_total"):
                yield f"{number}: {match[1]}: counters, and only they, end with _total"
            if UNITS.search(match[1]):
                yield f"{number}: {match[1]}: not a base unit"
        elif match := SAMPLE.fullmatch(line):
            if match[1] != current or current not in typed:
                yield f"{number}: a sample without HELP and TYPE before it"
            if (match[1], match[2]) in series:
                yield f"{number}: the same series twice"
            series.add((match[1], match[2]))
            sampled.add(match[1])
        else:
            yield f"{number}: neither HELP, TYPE nor a sample: {line!r}"
    for name in sorted(helped - sampled):
        yield f"{name} has no sample"
    if not series:
        yield "no sample at all"


def main():
    with open(sys.argv[1], encoding="ascii") as file:
        problems = list(check(file.read()))
    print("\n".join(problems))
    sys.exit(bool(problems))


main()
