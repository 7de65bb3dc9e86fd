#!/bin/bash
# SPDX-License-Identifier: ISC
# phial override on live containers: used at once, in memory only, over the worker's death; over at its
# end, by hand, or with the agent; loud in status, log and audit.
# suite-timeout: 180
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
need runc busybox python3

RUN_DIR=$WORK/run STATE_DIR=$WORK/state AGENT_USER=nobody
STORED=$(canary) GIVEN=$(canary) SECOND=$(canary) LARGE=$(canary) LATE=$(canary)
make_store
seal web/db "$STORED" --mode 0440
ALL="$STORED
$GIVEN
$SECOND
$LARGE
$LATE"

# give NAME VALUE [option...]
give() {
	local name=$1 value=$2
	shift 2
	printf %s "$value" | "$PHIAL" override "$name" --run-dir "$RUN_DIR" "$@" >"$WORK/give.log" 2>&1
}
hash_is() { [ "$(inside sha256sum "/run/secrets/$1" | cut -c-64)" = "$2" ]; }
file_is_gone() { ! inside test -e "/run/secrets/$1"; }
worker() { pgrep -x -P "$AGENT_PID" -u "$AGENT_USER" phiald; }
restarts() { [ "$(status_of 's["agent"]["worker_restarts"]')" = "$1" ]; }
# of NAME EXPRESSION: of a secret `x` of the status document
of() { status_of "[$2 for x in s['secrets'] if x['name'] == '$1']"; }
store_is_as_before() { [ "$(cat "$STORE/web/db.sealed" "$STATE_DIR/marks" | sha256sum)" = "$STORE_SUM" ]; }

# others_are_gone: all containers but that of begin_late
others_are_gone() { status_is 'len(s["containers"])' 1; }

start_agent || bail "the agent does not start"

# A minute, which passes while the rest is tried. The store has no such workload.
begin_late() {
	check "a value for a minute" give late/db "$LATE" --ttl 1m
	bundle --grant late -- sleep 1000
	start_container || return
	LATE_CONTAINER=$CONTAINER LATE_PID=$CONTAINER_PID
	check "... is in a container, for a workload that was not there" hash_is db "$(sha "$LATE")"
}
test_late() {
	CONTAINER_PID=$LATE_PID
	mark_log
	within 90 file_is_gone db
	check "its time is over: the file is gone" file_is_gone db
	within_log "the override of late/db is over: its time is over" "... the log says so"
	is "$(of late/db 'x["in_keyring"]')" "[]" "... and the key"
	sweep "nothing of it is left" "$LATE"
	runtime_stop runc "$LATE_CONTAINER"
}

test_given() {
	mark_log
	STORE_SUM=$(cat "$STORE/web/db.sealed" "$STATE_DIR/marks" | sha256sum)
	bundle --grant web -- sleep 1000
	start_container || return
	check "$runtime: a container has the store's value" hash_is db "$(sha "$STORED")"
	check "$runtime: a value is given by hand" give web/db "$GIVEN" --ttl 1h --reason "store is broken"
	like "$(cat "$WORK/give.log")" "^OVERRIDE of web/db until .*Z, as version [0-9]+" "... the answer says so"
	like "$(cat "$WORK/give.log")" "in use in 1 of 1 containers" "... and who uses it"
	check "$runtime: it is in the container" hash_is db "$(sha "$GIVEN")"
	is "$(inside stat -L -c %a /run/secrets/db)" 440 "... with the mode of before"
	like "$("$PHIAL" status --run-dir "$RUN_DIR" | head -n 2)" \
		"^OVERRIDE until .*Z: web/db v[0-9]+ was given by hand: store is broken" "status begins with it"
	is "$(of web/db 'x["state"]')" "['override']" "... and so does its JSON"
	within_log "OVERRIDE: web/db has a value that was given by hand" "$runtime: the log is loud, too"
	like "$("$PHIAL" audit log --json "$STATE_DIR/audit" | grep '"kind":"override"' | tail -n 1)" \
		'"uid":0.*web/db.*store is broken' "$runtime: the audit log says who and why"
	check "$runtime: store and marks are as before" store_is_as_before

	bundle --grant web -- sh -c 'sha256sum </run/secrets/db | cut -c-64; echo STARTED'
	run
	is "$(head -n 1 <<<"$OUTPUT")" "$(sha "$GIVEN")" "$runtime: a container that starts has it, too"
	"$PHIAL" reload --run-dir "$RUN_DIR" >/dev/null
	check "$runtime: a reload changes nothing" hash_is db "$(sha "$GIVEN")"
	kill -KILL "$(worker)"
	within 20 restarts "$1" || not_ok "the worker does not come back"
	is "$(of web/db 'x["state"]')" "['override']" "$runtime: the next worker has it"
	bundle --grant web -- sh -c 'sha256sum </run/secrets/db | cut -c-64; echo STARTED'
	run
	is "$(head -n 1 <<<"$OUTPUT")" "$(sha "$GIVEN")" "... and gives it to a container"
}

# After test_given, whose container still runs: ends it, and the store's value comes back.
test_end() {
	exits 0 "$runtime: it is ended by hand" "$PHIAL" override web/db --end --run-dir "$RUN_DIR"
	like "$OUTPUT" "is over, the store's version [0-9]+ is back" "... the answer says so"
	within 40 hash_is db "$(sha "$STORED")"
	check "$runtime: the store's value is back" hash_is db "$(sha "$STORED")"
	is "$(of web/db 'x["state"]')" "['loaded']" "... status says so"
	check "... store and marks are as before" store_is_as_before
	sweep "$runtime: nothing of the given value is left" "$GIVEN"
	exits 14 "$runtime: it is ended once" "$PHIAL" override web/db --end --run-dir "$RUN_DIR"
	runtime_stop "$runtime" "$CONTAINER"
	within 5 others_are_gone
}

# A name that the store does not have, and one whose file is refused: its end leaves nothing.
test_without_store() {
	bundle --grant web -- sleep 1000
	check "$runtime: a value for a name that the store does not have" \
		give web/extra "$SECOND" --ttl 1m
	like "$(cat "$WORK/give.log")" "NOTE: no secret of this name was ever seen here" "... with a note"
	start_container || return
	check "... is in a container of its workload" hash_is extra "$(sha "$SECOND")"
	exits 0 "... it is revoked" "$PHIAL" revoke web/extra --run-dir "$RUN_DIR"
	like "$OUTPUT" "its override is over" "... which ends it"
	within 10 file_is_gone extra
	check "$runtime: and its file goes" file_is_gone extra
	check "... and no other" hash_is db "$(sha "$STORED")"
	bundle --grant web -- echo STARTED
	run
	like "$OUTPUT" STARTED "... and the workload starts as before"
	mv "$STORE/web/db.sealed" "$WORK/kept"
	echo broken >"$STORE/web/db.sealed"
	"$PHIAL" reload --run-dir "$RUN_DIR" >/dev/null
	like "$(of web/db 'x["state"]')" "refused" "$runtime: a file that is refused"
	check "... is replaced by hand" give web/db "$GIVEN" --ttl 2m
	check "... in the container" hash_is db "$(sha "$GIVEN")"
	exits 0 "$runtime: its end" "$PHIAL" override web/db --end --run-dir "$RUN_DIR"
	like "$OUTPUT" "nothing good in its place" "... with a file that no container could start with"
	check "... leaves nothing" file_is_gone db
	mv "$WORK/kept" "$STORE/web/db.sealed"
	"$PHIAL" reload --run-dir "$RUN_DIR" >/dev/null
	runtime_stop "$runtime" "$CONTAINER"
	within 5 others_are_gone
}

# The agent dies, and with it the override: no container keeps its value.
test_agent_dies() {
	bundle --grant web -- sleep 1000
	start_container || return
	check "a value before the agent dies" give web/db "$GIVEN" --ttl 1d
	check "... is in the container" hash_is db "$(sha "$GIVEN")"
	stop_agent KILL
	start_agent || bail "the agent does not start again"
	is "$(of web/db 'x["state"]')" "['loaded']" "the next agent knows the store's value only"
	within 40 hash_is db "$(sha "$STORED")"
	check "... and the container gets that" hash_is db "$(sha "$STORED")"
	runtime_stop "$runtime" "$CONTAINER"
	within 5 no_containers
}

# 100 kB are several keys.
test_large() {
	local file=$WORK/large
	{ printf %s "$LARGE"; head -c 100000 /dev/zero; } >"$file"
	check "a large value" give web/db "" --from "$file" --ttl 1m --keep-newline
	bundle --grant web -- sh -c 'sha256sum </run/secrets/db | cut -c-64; echo STARTED'
	run
	is "$(head -n 1 <<<"$OUTPUT")" "$(sha256sum <"$file" | cut -c-64)" "... is whole in a container"
	kill -KILL "$(worker)"
	within 20 restarts "$1" || not_ok "the worker does not come back"
	is "$(of web/db 'x["state"]')" "['override']" "... also for the next worker"
	check "another one takes its place" give web/db "$SECOND" --ttl 1m
	run
	is "$(head -n 1 <<<"$OUTPUT")" "$(sha "$SECOND")" "... at once"
	rm -f "$file"
	"$PHIAL" override web/db --end --run-dir "$RUN_DIR" >/dev/null
}

test_refused() {
	exits 2 "no time is given" "$PHIAL" override web/db --run-dir "$RUN_DIR"
	like "$OUTPUT" "ttl 4h" "... says how"
	exits 2 "too long a time" "$PHIAL" override web/db --ttl 8d --run-dir "$RUN_DIR"
	exits 2 "too short a time" "$PHIAL" override web/db --ttl 59s --run-dir "$RUN_DIR"
	exits 2 "a value as an argument" "$PHIAL" override web/db "$GIVEN" --ttl 1h --run-dir "$RUN_DIR"
	unlike "$OUTPUT" "$GIVEN" "... is not shown"
	exits 2 "an empty value" "$PHIAL" override web/db --from /dev/null --ttl 1h --run-dir "$RUN_DIR"
	unlike "$OUTPUT" "allow-empty" "... and no option is named that there is not"
	exits 9 "a bad name" "$PHIAL" override ../x --from /dev/null --ttl 1h --run-dir "$RUN_DIR"
}

runtime=runc
begin_late
number=0
for runtime in $(runtimes); do
	test_given $((++number))
	test_end
	test_without_store
done
runtime=runc
test_large $((++number))
test_refused
test_late
test_agent_dies
stop_agent
sweep "none of them is left anywhere" "$ALL"
finish
