#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Writes an audit log as docs/audit.md says, without phial.

usage: audit_log.py FOLDER ENTRIES [PER_FILE [SECRET [TIMES]]]

Entry N of kind release is about version N of SECRET (web/db), of container cN, one an hour from
2026-01-01 on. With PER_FILE a new file begins after so many entries; with
TIMES a release names its secret so often.
"""

import hashlib
import json
import os
import sys
import time

BEGIN = 1767225600
BOOT = "2c1d6c1e-5a55-4b57-9c35-0d0f4a8f7a10"


def moment(seq):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(BEGIN + 3600 * (seq - 1)))


def entry(seq, begins_file, secret, times):
    if begins_file and seq > 1:
        return {"kind": "rotate", "first": 1}
    if seq == 1:
        return {"kind": "start", "reason": "phiald"}
    if seq % 5 == 0:
        return {"kind": "refusal", "container": f"c{seq}", "workload": "web", "door": "hook",
                "uid": 0, "decision": "refused", "reason": 'gate "non_root": it runs as \\root'}
    return {"kind": "release", "container": f"c{seq}", "workload": "web",
            "image": "docker.io/library/web:1", "door": "runtime", "uid": 0,
            "secrets": [{"name": secret, "version": seq}] * times, "decision": "allowed"}


def main():
    folder, count = sys.argv[1], int(sys.argv[2])
    per_file = int(sys.argv[3]) if len(sys.argv) > 3 else count
    secret = sys.argv[4] if len(sys.argv) > 4 else "web/db"
    times = int(sys.argv[5]) if len(sys.argv) > 5 else 1
    files = (count + per_file - 1) // per_file
    prev = "0" * 64
    os.makedirs(folder, exist_ok=True)
    for number in range(files):
        age = files - 1 - number
        path = os.path.join(folder, "audit.log" + (f".{age}" if age else ""))
        with open(path, "wb") as out:
            for seq in range(number * per_file + 1, min(count, (number + 1) * per_file) + 1):
                head = {"seq": seq, "time": moment(seq), "boot": BOOT, "host": "h7"}
                body = entry(seq, seq == number * per_file + 1, secret, times)
                line = json.dumps({**head, **body, "prev": prev}, separators=(",", ":"))
                line = line.encode() + b"\n"
                out.write(line)
                prev = hashlib.blake2b(line, digest_size=32).hexdigest()
    print(f"{count}:{prev}")


main()
