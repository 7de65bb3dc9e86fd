#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Formatting, white space, functions and texts that are not used here."""

import re
import shutil
import subprocess

from _source import ROOT, Tap, files, read, without_comments

TEXT = (".c", ".h", ".md", ".sh", ".py", ".in", ".conf", "Makefile", ".yml", "deps", "run",
        *(f".{n}" for n in range(1, 9)))
FORBIDDEN_CALLS = {
    "strcpy": "length unknown", "strcat": "length unknown", "sprintf": "length unknown",
    "vsprintf": "length unknown", "gets": "length unknown", "stpcpy": "length unknown",
    "strncpy": "no NUL", "strtok": "hidden state", "atoi": "no error", "atol": "no error",
    "atoll": "no error", "atof": "no error", "alloca": "stack", "mktemp": "race",
    "tmpnam": "race", "rand": "not random", "srand": "not random", "system": "a shell",
    "popen": "a shell", "setjmp": "skips cleanup",
    "malloc_usable_size": "not for wiping",
}
# cmocka needs one, and tests may run programs as a person would.
EXEMPT = {"setjmp": ("tests/unit/", "tests/fuzz/"), "popen": ("tests/",), "system": ("tests/",)}
# Written so that this file does not hold what it looks for.
FORBIDDEN_TEXTS = [
    r"/wor[k]/(main|shared)", r"/hom[e]/[a-z]+/", r"deb\.debia[n]\.org", r"snapsho[t]\.debian",
    r"pyp[i]\.org", r"\bTOD[O]\b", r"\bFIXM[E]\b", r"\bXX[X]\b",
]


def misformatted(path):
    done = subprocess.run(["clang-format", "--dry-run", "-Werror", "--ferror-limit=3", path],
                          cwd=ROOT, capture_output=True, text=True, check=False)
    return [line for line in done.stderr.splitlines() if "error:" in line]


def white_space(path):
    text = read(path)
    for number, line in enumerate(text.split("\n"), 1):
        if re.search(r"[ \t\r]$", line):
            yield f"{path}:{number}: white space at the end"
        if re.match(r" +\t", line):
            yield f"{path}:{number}: spaces before a tab"
    if text and not text.endswith("\n"):
        yield f"{path}: no newline at the end"
    if text.endswith("\n\n"):
        yield f"{path}: an empty line at the end"


def forbidden_calls(path):
    text = without_comments(read(path))
    pattern = re.compile(r"(?<![\w.>])(" + "|".join(FORBIDDEN_CALLS) + r")\s*\(")
    for match in pattern.finditer(text):
        name = match.group(1)
        if not path.startswith(EXEMPT.get(name, ("-",))):
            line = text.count("\n", 0, match.start()) + 1
            yield f"{path}:{line}: {name} ({FORBIDDEN_CALLS[name]})"


def forbidden_texts(path):
    for number, line in enumerate(read(path).split("\n"), 1):
        for text in FORBIDDEN_TEXTS:
            if re.search(text, line):
                yield f"{path}:{number}: {text}"


def all_of(check, paths):
    return [problem for path in paths for problem in check(path)]


def main():
    tap = Tap()
    c_files = list(files(".c", ".h"))
    texts = [p for p in files(*TEXT) if "/corpus/" not in p and "/vectors/" not in p]
    if shutil.which("clang-format"):
        tap.result("C is formatted (make format)", all_of(misformatted, c_files))
    else:
        tap.skip("C is formatted", "clang-format is not installed")
    tap.result("no stray white space", all_of(white_space, texts))
    tap.result("no forbidden function", all_of(forbidden_calls, c_files))
    tap.result("no text that belongs elsewhere", all_of(forbidden_texts, texts))
    scripts = [p for p in files(".sh", "deps", "run", below="") if "/corpus/" not in p]
    broken = [p for p in scripts if read(p).startswith("#!/bin/sh") or p.endswith(".sh")]
    tap.result("shell scripts parse",
               [line for p in broken for line in subprocess.run(
                   ["bash", "-n", p], cwd=ROOT, capture_output=True, text=True,
                   check=False).stderr.splitlines()])
    tap.finish()


main()
