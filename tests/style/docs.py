#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Every prototype in a header says what it does, every source file what it is for, and man pages
are without fault."""

import os
import re
import shutil
import subprocess

from _source import ROOT, Tap, files, read


def prototypes(text):
    """(line, name, documented) of each prototype. A group of prototypes without an empty line
    between them shares the comment above it."""
    paragraph_documented, statement, start = False, "", 0
    in_comment = False
    for number, line in enumerate(text.split("\n"), 1):
        if not statement and not line.strip():
            paragraph_documented = False
        elif not statement and (in_comment or re.match(r"\s*/\*", line)):
            in_comment = "*/" not in line
            paragraph_documented = True
        elif re.match(r"[#}\t ]", line) and not statement:
            continue
        else:
            start = start if statement else number
            statement += " " + line.strip()
            if statement.endswith((";", "{", "}")):
                name = prototype_name(statement)
                if name:
                    yield start, name, paragraph_documented
                statement = ""


def prototype_name(statement):
    if not statement.endswith(");") or re.match(r" (typedef|_Static_assert|struct \w+ \{|extern \"C\")", statement):
        return None
    plain = re.sub(r"__attribute__\s*\(\(.*?\)\)\)?|PHIAL_PRINTF\(.*?\)", "", statement)
    found = re.search(r"(\w+)\s*\(", plain)
    return found.group(1) if found else None


def headless(path):
    """A .c file begins with its licence and three lines or so on its job and its non-job."""
    lines = read(path).split("\n")
    if not lines[0].startswith("/* SPDX-License-Identifier: ISC"):
        return [f"{path}: no SPDX line"]
    if not re.match(r"/\*\s", "\n".join(lines[1:3])):
        return [f"{path}: no comment that says what the file is for"]
    return []


def lint(page):
    done = subprocess.run(["mandoc", "-Tlint", "-Wwarning", page], cwd=ROOT,
                          capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).splitlines()


def main():
    tap = Tap()
    headers = list(files(".h", below="include/")) + list(files(".h", below="src/"))
    found = [(path, *p) for path in headers for p in prototypes(read(path))]
    tap.result("prototypes were found", [] if len(found) > 20 else [f"only {len(found)}"])
    tap.result("every prototype in a header has a comment",
               [f"{path}:{line}: {name}" for path, line, name, documented in found
                if not documented])
    tap.result("every source file has its licence and says what it is for",
               [p for path in files(".c") for p in headless(path)])
    pages = [p for p in files(*(f".{n}" for n in range(1, 9)), below="docs/man/")]
    if not shutil.which("mandoc"):
        tap.skip("man pages pass mandoc", "mandoc is not installed")
    elif not pages:
        tap.result("man pages pass mandoc", ["there is no man page below docs/man/"])
    else:
        tap.result("man pages pass mandoc", [line for page in pages for line in lint(page)])
    links = re.compile(r"\[[^\]]*\]\((?!https?:|mailto:|#)([^)#]+)[^)]*\)")
    tap.result("links between documents lead to files",
               [f"{path}: {target}" for path in files(".md") for target in links.findall(read(path))
                if not os.path.exists(os.path.join(ROOT, os.path.dirname(path), target))])
    tap.finish()


main()
