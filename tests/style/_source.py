# SPDX-License-Identifier: ISC
"""What the style checks share: the tree's files, C read roughly, and TAP.

The C here is formatted by clang-format, so a function begins with `{` in the first column and
ends with `}` there, and nothing more of the grammar is needed.
"""

import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OUTSIDE = ("build/", ".git/")


def files(*suffixes, below=""):
    """Files of the tree, by the end of their name: what git knows, or would add."""
    try:
        listed = subprocess.run(
            ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-co", "--exclude-standard"],
            cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):  # a tarball
        listed = [os.path.relpath(os.path.join(folder, name), ROOT)
                  for folder, _, names in os.walk(ROOT) for name in names]
    for path in sorted(set(listed)):
        if path.startswith(OUTSIDE) or not path.startswith(below):
            continue
        full = os.path.join(ROOT, path)
        if path.endswith(suffixes) and os.path.isfile(full) and not os.path.islink(full):
            yield path


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def without_comments(text):
    """C text with comments and string contents blanked, line numbers kept."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

    def blank(match):
        found = match.group(0)
        if found.startswith("/"):
            return re.sub(r"[^\n]", " ", found)
        return found[0] + "_" * (len(found) - 2) + found[0]

    return pattern.sub(blank, text)


def functions(text):
    """(name, head, first line, lines of body) of each function definition; lines count from 1."""
    lines = without_comments(text).split("\n")
    for start, line in enumerate(lines):
        if line != "{" or start == 0:
            continue
        first = start
        while first > 0 and lines[first - 1].strip() and not re.match(r"[#}]", lines[first - 1]):
            first -= 1
        head = " ".join(lines[first:start])
        name = re.search(r"(\w+)\s*\(", re.sub(r"__attribute__\s*\(\(.*?\)\)\)?", "", head))
        end = start
        while end < len(lines) and lines[end] != "}":
            end += 1
        if name:
            yield name.group(1), head, first + 1, lines[start:end + 1]


def parameters(head, name):
    """How many parameters a function takes, from its head."""
    text = head[head.index(name + "(") + len(name) + 1:] if name + "(" in head else ""
    depth, count = 0, 1
    for character in text:
        if character == "," and depth == 0:
            count += 1
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth < 0:
            break
    return 0 if text.startswith(("void)", ")")) else count


class Tap:
    """Counts and prints."""

    def __init__(self):
        self.count = 0
        self.failed = 0

    def result(self, description, problems):
        """One test: passes if the list of problems is empty."""
        self.count += 1
        if not problems:
            print(f"ok {self.count} - {description}")
            return
        self.failed += 1
        print(f"not ok {self.count} - {description}")
        for problem in problems:
            print(f"# {problem}")

    def skip(self, description, reason):
        self.count += 1
        print(f"ok {self.count} - {description} # SKIP {reason}")

    def finish(self):
        print(f"1..{self.count}")
        sys.exit(1 if self.failed else 0)
