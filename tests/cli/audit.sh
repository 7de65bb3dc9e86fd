#!/bin/bash
# SPDX-License-Identifier: ISC
# phial audit verify and phial audit log, on logs that another program wrote by docs/audit.md.
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
need setsid python3 b2sum

LOG=$WORK/audit
# make_log ENTRIES [PER_FILE]: a new log in $LOG, its head in $HEAD
make_log() {
	rm -rf "$LOG"
	HEAD=$(python3 "$ROOT/tests/tools/audit_log.py" "$LOG" "$@")
}

# found STATUS PATTERN DESCRIPTION [OPTION...]: verify exits so and says so
found() {
	local want=$1 pattern=$2 description=$3
	shift 3
	exits "$want" "$description" phial audit verify "$LOG" "$@" &&
		like "$OUTPUT" "$pattern" "... and says what and where"
}

# --- a good log ---------------------------------------------------------------------------

make_log 30 10
exits 0 "a log of three files is good" phial audit verify "$LOG"
like "$OUTPUT" "^30 entries from 1 on, all good$" "... with its entries"
like "$OUTPUT" "^head $HEAD$" "... and the head that another program computed"
exits 0 "... as files in any order" phial audit verify "$LOG/audit.log" "$LOG/audit.log.2" \
	"$LOG/audit.log.1"
like "$OUTPUT" "^head $HEAD$" "... with the same head"
exits 0 "... and its head is found again" phial audit verify "$LOG" --head "$HEAD"
exits 0 "... as is an older one" phial audit verify "$LOG" --head \
	"3:$(sed -n 3p "$LOG/audit.log.2" | b2sum -l 256 | cut -d' ' -f1)"
is "$(phial audit verify --json "$LOG" | python3 -c 'import json, sys
d = json.load(sys.stdin)
print(d["ok"], d["entries"], d["first"], d["lost"], d["problems"],
      "%d:%s" % (d["head"]["seq"], d["head"]["hash"]))')" "True 30 1 0 [] $HEAD" "... in JSON"

# Without phial: what docs/audit.md tells people to do.
sed -n '/^```python$/,/^```$/p' "$ROOT/docs/audit.md" | sed '1d;$d' >"$WORK/check.py"
is "$(python3 "$WORK/check.py" "$LOG"/audit.log.2 "$LOG"/audit.log.1 "$LOG"/audit.log)" \
	"head $HEAD" "the program in docs/audit.md comes to the same head"
is "$(sed -n 2p "$LOG/audit.log" | python3 -c 'import json, sys; print(json.load(sys.stdin)["prev"])')" \
	"$(sed -n 1p "$LOG/audit.log" | b2sum -l 256 | cut -d' ' -f1)" "... and so does b2sum"
check "the entry in docs/audit.md is one" sh -c "grep '^{\"seq\"' '$ROOT/docs/audit.md' >'$WORK/one' &&
	'$PHIAL' audit log --json '$WORK/one' | cmp - '$WORK/one'"

# A line of the copy in syslog, whatever the daemon puts before it.
exits 0 "a line of syslog has the head" phial audit verify "$LOG" --head \
	"Nov 22 07:00:00 head phial-audit[12]: head $HEAD {\"seq\":30,\"reason\":\"head 1:2\"}"
exits 4 "... that the log must have" phial audit verify "$LOG" --head \
	"phial-audit[12]: head 31:${HEAD#*:} {}"

# --- a log that somebody was at ---------------------------------------------------------------

sed -i '4s/c24/c99/' "$LOG/audit.log"
found 4 "audit.log:5: the entry before this one was changed" "a changed entry is found"
exits 1 "... by the program in docs/audit.md, too" \
	python3 "$WORK/check.py" "$LOG"/audit.log.2 "$LOG"/audit.log.1 "$LOG"/audit.log
make_log 30 10
sed -i 4d "$LOG/audit.log.1"
found 4 "audit.log.1:4: entries 14 to 14 are missing" "an entry that was cut out is found"
make_log 30 10
rm "$LOG/audit.log.1"
found 4 "audit.log:1: entries 11 to 20 are missing" "a file that was taken away is found"
make_log 30 10
rm "$LOG/audit.log.2"
found 4 "entries 1 to 10 are missing: older files" "... the oldest one, too"
make_log 30 10
sed -i '5{h;d};6{G}' "$LOG/audit.log"
exits 4 "entries that changed places are found" phial audit verify "$LOG"
make_log 30 10
sed -i '3s/"uid":0/"uid": 0/; 7s/.*/nonsense/; 9s/"kind":"release"/"kind":"party"/' "$LOG/audit.log"
found 4 "^phial: 6 problems" "all problems at once"
like "$OUTPUT" "audit.log:3: not in the one form" "... another form of the same entry"
like "$OUTPUT" "audit.log:7: not an audit entry" "... no entry"
like "$OUTPUT" "audit.log:9: not an audit entry" "... an unknown kind"
is "$(phial audit verify --json "$LOG" 2>/dev/null | python3 -c 'import json, sys
d = json.load(sys.stdin); print(d["ok"], d["problem_count"], d["problems"][0]["line"])')" \
	"False 6 3" "... and in JSON"
make_log 30 10
sed -i '$d' "$LOG/audit.log"
exits 0 "a cut end does not show by itself" phial audit verify "$LOG"
found 4 "the end was cut off" "... but by a head that was kept" --head "$HEAD"
python3 "$ROOT/tests/tools/audit_log.py" "$LOG" 30 10 web/other >"$WORK/head"
exits 0 "a whole new chain does not, either" phial audit verify "$LOG"
found 4 "not the one of the head" "... but by a head that was kept" --head "$HEAD"
make_log 30 10
truncate -s -5 "$LOG/audit.log"
found 19 "audit.log:10: the last line is not whole" "the torn line of a crash is told from that"
truncate -s -5 "$LOG/audit.log.1"
found 4 "audit.log.1:10: the file ends within a line" "... and a file that was cut is not taken for it"
make_log 3
head -c 500000 /dev/zero | tr '\0' x >>"$LOG/audit.log"
echo >>"$LOG/audit.log"
found 4 "audit.log:4: a line of more than" "a line of half a megabyte is skipped"

# --- what is asked wrongly ---------------------------------------------------------------------

make_log 30 10
exits 14 "a folder without a log" phial audit verify "$WORK"
exits 14 "no such file" phial audit log "$WORK/none"
exits 2 "a head that is none" phial audit verify "$LOG" --head 12
exits 2 "a line without one" phial audit verify "$LOG" --head "phial-audit[12]: head 12:abc {}"
exits 14 "no log yet" unshare -r -m sh -c 'mount -t tmpfs none /var/lib && exec "$0" audit log' \
	"$PHIAL"
like "$OUTPUT" "no audit log in /var/lib/phial/state/audit yet: the agent begins it" \
	"... and what to do"
exits 2 "a time that is none" phial audit log "$LOG" --since yesterday
exits 2 "a version that is none" phial audit log "$LOG" --version 1x
exits 9 "a name that is none" phial audit log "$LOG" --secret ../x

# --- who has had what -----------------------------------------------------------------------------

# shown DESCRIPTION WANTED [OPTION...]: the containers of the entries that log prints
shown() {
	local description=$1 want=$2
	shift 2
	is "$(phial audit log "$LOG" "$@" | grep -o 'container=[^ ]*' | cut -d= -f2 | tr '\n' ' ')" \
		"$want" "$description"
}
shown "who has had version 7?" "c7 " --secret web/db --version 7
shown "a pattern" "c7 " --secret 'web/*' --version 7
shown "another secret: nobody" "" --secret web/other
shown "a container, by the beginning of its id" "c2 c20 c22 c23 c24 c25 c26 c27 c28 c29 " --container c2
shown "another workload: nobody" "" --workload db
shown "from a time on, oldest first" "c28 c29 c30 " --since 2026-01-02T03:00:00Z
shown "before a time" "c2 c3 " --until 2026-01-01T03:00:00Z
shown "a day" "c25 c26 c27 c28 c29 c30 " --since 2026-01-02 --workload web
shown "the last hour: nobody" "" --since -1h
is "$(phial audit log "$LOG" --container c30)" \
	'2026-01-02T05:00:00.000Z 30 refusal refused workload=web container=c30 door=hook uid=0: gate "non_root": it runs as \root' \
	"an entry for people"
cat "$LOG"/audit.log.2 "$LOG"/audit.log.1 "$LOG"/audit.log >"$WORK/all"
check "--json gives the entries as they are" sh -c "'$PHIAL' audit log --json '$LOG' |
	cmp - '$WORK/all'"
sed -i '7s/.*/nonsense/' "$LOG/audit.log"
exits 19 "a damaged line does not hide the others" phial audit log "$LOG" --container c30
like "$OUTPUT" "audit.log:7: no audit entry" "... and is named"
like "$OUTPUT" "^2026-01-02T05:00:00.000Z 30 " "... with what stands behind it"

# Memory does not grow with the log.
make_log 100000 40000
HEAD_LARGE=$HEAD
peak() { python3 -c 'import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)' "$@"; }
large=$(peak "$PHIAL" audit verify "$LOG" --head "$HEAD_LARGE")
size=$(cat "$LOG"/* | wc -c)
check "$size bytes are verified in $large KiB" [ "$((large * 1024 * 2))" -lt "$size" ]
finish
