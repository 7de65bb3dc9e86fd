#!/bin/bash
# SPDX-License-Identifier: ISC
# The main path on real runtimes: what was sealed is in the container, with the right owner, mode
# and mount, nowhere else, and gone afterwards. suite-timeout: 300
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
need runc busybox python3 nsenter

two_secrets
start_agent || bail "the agent does not start"

# arrives OWNER DESCRIPTION...: $B reports the secret of web
arrives() {
	local owner=$1
	shift
	run
	reports_first "$owner" "$runtime: $*"
}

test_variants() {
	local how before after
	before=$(host_mounts)
	for how in "--grant=web" "--hook-arg=--workload --hook-arg=web"; do
		# shellcheck disable=SC2086
		variants "${how%%=*}" $how
	done
	after=$(host_mounts)
	is "$after" "$before" "$runtime: G2 the host's mount table is as before"
}

# variants NAME GRANT-OPTION...
variants() {
	local name=$1
	shift
	bundle "$@" -- sh -c "$REPORT"
	arrives 0:0 "$name, plain"
	bundle "$@" --user 1000:1001 -- sh -c "$REPORT"
	arrives 1000:1001 "$name, non-root user"
	bundle "$@" --userns 200000 -- sh -c "$REPORT"
	arrives 0:0 "$name, user namespace"
	bundle "$@" --userns 200000 --user 33:44 -- sh -c "$REPORT"
	arrives 33:44 "$name, user namespace, non-root user"
	bundle "$@" --read-only --user 1000 -- sh -c "$REPORT"
	arrives 1000:1000 "$name, read-only root file system"
	bundle "$@" --no-target -- sh -c "$REPORT"
	arrives 0:0 "$name, missing target directory"
	bundle "$@" --no-target --read-only --userns 200000 --user 5 -- sh -c "$REPORT"
	arrives 5:5 "$name, missing target, read-only, user namespace"
}

test_both_stages() {
	mark_log
	bundle --grant web --stage prestart --stage createRuntime -- sh -c "$REPORT
		grep -c ' - tmpfs .*nr_inodes\| - ramfs' /proc/self/mountinfo"
	arrives 0:0 "r19 prestart and createRuntime"
	is "$(tail -n 1 <<<"$OUTPUT")" 1 "$runtime: r19 mounted once"
	is "$(log_since | grep -c 'has workload web')" 1 "$runtime: r19 recorded once"
}

# Two hooks with a workload each, as two CDI devices make them.
test_two_hooks() {
	bundle --hook-arg=--workload --hook-arg=web --edit 'import copy
h = c["hooks"]["createRuntime"]
h.append(copy.deepcopy(h[0]))
h[1]["args"][h[1]["args"].index("web")] = "mail"' -- sh -c "$REPORT"
	mark_log
	run
	refused "has workload web already, it cannot have mail" "$runtime: two hooks for two workloads"
	within_log "is gone, its secrets are wiped" "$runtime: ... and what the first brought is wiped"
}

test_without_grant() {
	within 5 no_containers # the last one's end is in the log
	mark_log
	bundle -- sh -c 'ls -A /run/secrets; echo STARTED'
	run
	is "$OUTPUT" STARTED "$runtime: no grant: the container runs, with an empty directory"
	is "$(log_since)" "" "$runtime: no grant: the agent is not even asked"
	B=$WORK/unhooked$runtime
	busybox_bundle "$B" --grant web --run-dir "$RUN_DIR" -- ls /run/secrets
	run
	like "$OUTPUT" '^PHIAL-NOT-INJECTED$' "$runtime: a container without the hook sees the note"
	busybox_bundle "$B-2" --grant web --run-dir "$RUN_DIR" -- cat /run/secrets/PHIAL-NOT-INJECTED
	B=$B-2
	run
	like "$OUTPUT" "phial-hook|hook" "$runtime: and the note says what is wrong"
}

# Two workloads side by side, while both run; then each is taken down.
test_side_by_side() {
	local before first first_id second second_id
	before=$(host_mounts)
	mark_log
	bundle --grant web --user 1000 -- sleep 100
	start_container || return
	first=$CONTAINER_PID first_id=$CONTAINER
	bundle --grant mail --user 1000 -- sleep 100
	start_container || return
	second=$CONTAINER_PID second_id=$CONTAINER
	CONTAINER_PID=$first
	is "$(inside sha256sum /run/secrets/db | cut -c-64)" "$(sha "$FIRST")" \
		"$runtime: G1 the first container has its own secret"
	CONTAINER_PID=$second
	is "$(inside sha256sum /run/secrets/db | cut -c-64)" "$(sha "$SECOND")" \
		"$runtime: G1 the second container has its own, of the same file name"
	is "$(host_mounts)" "$before" "$runtime: G2 the host's mount table, while both run"
	sweep "$runtime: G3 the first secret is nowhere else, while both run" "$FIRST"
	sweep "$runtime: G3 nor the second" "$SECOND"
	soon 'sorted((c["workload"], c["state"]) for c in s["containers"])' \
		"[('mail', 'running'), ('web', 'running')]" "$runtime: status shows both"
	runtime_stop "$runtime" "$first_id"
	within_log "container $first_id is gone, its secrets are wiped" \
		"$runtime: G7 the first exits and is wiped"
	soon '[c["workload"] for c in s["containers"]]' "['mail']" \
		"$runtime: G7 status shows the other one only"
	is "$(inside sha256sum /run/secrets/db | cut -c-64)" "$(sha "$SECOND")" \
		"$runtime: the other one keeps its secret"
	runtime_stop "$runtime" "$second_id"
	within_log "container $second_id is gone, its secrets are wiped" \
		"$runtime: G7 the second exits and is wiped"
	within 5 no_containers
	check "$runtime: G7 status shows no container" no_containers
}

# seal_file NAME FILE
seal_file() {
	"$PHIAL" seal "$1" --from "$2" --keep-newline --allow-empty --store "$STORE" >"$WORK/seal.log" 2>&1 ||
		bail "phial seal $1: $(cat "$WORK/seal.log")"
}

# Sizes and bytes: nothing, one byte, all 256 bytes, the edges of a key's payload, 1 MiB; and many.
make_odd_secrets() {
	local size
	: >"$WORK/size-0"
	python3 -c 'import sys; sys.stdout.buffer.write(bytes(range(256)) * 3 + b"\r\n\0\n")' \
		>"$WORK/size-binary"
	for size in 1 32478 32479 32480 64958 1048576; do
		head -c "$size" /dev/urandom >"$WORK/size-$size"
	done
	for size in 0 binary 1 32478 32479 32480 64958 1048576; do
		seal_file "sizes/size-$size" "$WORK/size-$size"
	done
	for size in $(seq 100); do
		seal "many/s$size" "value $size of many"
	done
	"$PHIAL" reload --run-dir "$RUN_DIR" >"$WORK/reload" 2>&1 || bail "$(cat "$WORK/reload")"
}

test_odd_secrets() {
	bundle --grant sizes --user 7 -- sh -c 'cd /run/secrets && sha256sum size-*'
	run
	is "$OUTPUT" "$(cd "$WORK" && sha256sum size-*)" \
		"$runtime: empty, binary and 1 MiB secrets, and at the edges of a key"
	bundle --grant many --userns 300000 --user 7 -- sh -c 'cd /run/secrets && sha256sum s*;
		find -L . -maxdepth 1 -name "s*" -user 7 -perm 0400 | wc -l'
	run
	is "$OUTPUT" "$(for i in $(seq 100); do
		printf '%s  s%d\n' "$(sha "value $i of many")" "$i"
	done | LC_ALL=C sort -k 2)
100" "$runtime: 100 secrets, each its own, all of the container's user"
}

# Ended, though nobody may have reaped it yet.
has_ended() { ! grep -Eq '^State:[[:space:]]+[^ZX[:space:]]' "/proc/$1/status" 2>/dev/null; }

# sendfile(2) puts the file's own pages into the pipe: what nobody has read yet when the container
# ends must not be wiped under the reader's hands.
test_last_output() {
	local pipe=$WORK/last-output-$runtime output
	bundle --grant sizes -- cat /run/secrets/size-1 /run/secrets/size-32478
	mkfifo "$pipe"
	exec 9<>"$pipe"
	new_container "$runtime"
	runtime "$runtime" create --bundle "$B" --pid-file "$B/pid" "$CONTAINER" \
		</dev/null >&9 2>"$B/output" || bail "$(cat "$B/output")"
	runtime "$runtime" start "$CONTAINER"
	within 10 has_ended "$(cat "$B/pid")"
	output=$(head -c 32479 <&9 | sha256sum)
	exec 9<&-
	is "$output" "$(cd "$WORK" && cat size-1 size-32478 | sha256sum)" \
		"$runtime: what a container has sent out at its end arrives whole"
}

main() {
	local runtime
	make_odd_secrets
	for runtime in $(runtimes); do
		test_variants
		test_both_stages
		test_two_hooks
		test_without_grant
		test_side_by_side
		test_odd_secrets
		test_last_output
	done
}

main
finish
