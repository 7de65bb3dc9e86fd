#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Functions, parameter lists, nesting and files stay small."""

import re
import statistics

from _source import Tap, files, functions, parameters, read

FUNCTION_LINES = 90
MEDIAN_LINES = 20
PARAMETERS = 6
NESTING = 3
FILE_LINES = 600
CONTROL = re.compile(r"^\s*(\}\s*)?(if|else|for|while|do|switch)\b")


def nesting(body):
    """The deepest control block. else-if chains and switch cases add nothing of their own."""
    deepest, open_blocks = 0, []
    for line in body[1:-1]:
        stripped = line.strip()
        if stripped.startswith("}") and open_blocks:
            open_blocks.pop()
        if stripped.endswith("{"):
            # The head of a block may stand on an earlier line; its brace then follows `)`.
            open_blocks.append(bool(CONTROL.match(line)) or stripped.endswith(") {"))
            deepest = max(deepest, sum(open_blocks))
    return deepest


def main():
    tap = Tap()
    long, wide, deep, sizes = [], [], [], []
    sources = list(files(".c", ".h"))
    for path in sources:
        for name, head, line, body in functions(read(path)):
            place = f"{path}:{line}: {name}"
            length = len(body) - 2
            sizes.append(length)
            if length > FUNCTION_LINES:
                long.append(f"{place}: {length} lines, at most {FUNCTION_LINES}")
            count = parameters(head, name) - ("struct phial_error *err" in head)
            if count > PARAMETERS:
                wide.append(f"{place}: {count} parameters, at most {PARAMETERS}")
            if nesting(body) > NESTING:
                deep.append(f"{place}: {nesting(body)} levels, at most {NESTING}")
    tap.result("functions were found", [] if len(sizes) > 20 else [f"only {len(sizes)}"])
    tap.result(f"no function has more than {FUNCTION_LINES} lines", long)
    tap.result(f"no function has more than {PARAMETERS} parameters before err", wide)
    tap.result(f"no function nests deeper than {NESTING}", deep)
    median = statistics.median(sizes or [0])
    tap.result(f"the median function has at most {MEDIAN_LINES} lines",
               [] if median <= MEDIAN_LINES else [f"{median} lines"])
    tap.result(f"no C file has more than {FILE_LINES} lines",
               [f"{path}: {count} lines" for path in sources
                if (count := read(path).count("\n")) > FILE_LINES])
    tap.finish()


main()
