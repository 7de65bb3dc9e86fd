#!/bin/bash
# SPDX-License-Identifier: ISC
# phial-hook alone, on the real runc and crun, against an agent that says what it is told: where
# secrets arrive, and what stops a container.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
need_root
need runc busybox python3

PROBE=$BUILD/tests/probes/probe_write
[ -x "$PROBE" ] || skip_all "the probes are not built (make probes)"
CANARY=$(canary)
RUN=$WORK/run
mkdir -m 0700 "$RUN"
mkdir -p "$RUN/workload/web"
printf %s "$CANARY" >"$WORK/value"
AGENT=

# agent MODE [option...]: a new fake agent
agent() {
	[ -z "$AGENT" ] || stop "$AGENT"
	rm -f "$RUN/hook.sock" "$WORK/log"
	start python3 "$ROOT/tests/tools/fake_agent.py" --run-dir "$RUN" --log "$WORK/log" \
		--value-file "$WORK/value" --mode "$@"
	AGENT=$STARTED_PID
	within 10 grep -q LISTEN "$WORK/log" || bail "the fake agent does not start"
}

# bundle OPTION... [-- COMMAND...]: a bundle with our hook in $WORK/b
bundle() {
	rm -rf "$WORK/b"
	busybox_bundle "$WORK/b" --run-dir "$RUN" --hook "$HOOK" --hook-arg=--run-dir \
		--hook-arg="$RUN" "$@"
}

run() { runtime_run "$runtime" "$WORK/b" 2>&1; }
run_probe() { runtime_run "$runtime" "$WORK/b"; }

arrives() {
	is "$(run)" "$CANARY" "$runtime: $*"
}

# Nothing in the container ran, no mount was left. $OUTPUT: what the runtime said.
does_not_start() {
	local pattern=$1 before
	shift
	before=$(host_mounts)
	OUTPUT=$(run)
	unlike "$OUTPUT" "^started$" "$runtime: $*: the container does not start"
	if [ "$runtime" = runc ]; then # crun sends a hook's stderr to /dev/null
		like "$OUTPUT" "$pattern" "$runtime: $*: the reason is shown"
	fi
	is "$(host_mounts)" "$before" "$runtime: $*: no mount is left"
}

test_arrival() {
	agent go
	bundle --hook-arg=--workload --hook-arg=web -- cat /run/secrets/s
	arrives "by argument"
	bundle --hook-arg=--workload --hook-arg=web --read-only -- cat /run/secrets/s
	arrives "read-only root file system"
	bundle --hook-arg=--workload --hook-arg=web --no-target -- cat /run/secrets/s
	arrives "missing target directory"
	bundle --hook-arg=--workload --hook-arg=web --user 1000:1001 -- \
		sh -c 'cat /run/secrets/s; stat -c " %u:%g %a" -L /run/secrets/s'
	is "$(run)" "$CANARY 1000:1001 400" "$runtime: non-root user owns the file"
	bundle --hook-arg=--workload --hook-arg=web --userns 300000 --user 5 -- \
		sh -c 'cat /run/secrets/s; stat -c " %u %a" -L /run/secrets/s'
	is "$(run)" "$CANARY 5 400" "$runtime: user namespace"
	bundle --hook-arg=--workload --hook-arg=web --stage prestart -- cat /run/secrets/s
	arrives "prestart"
	agent go --grant-dir "$RUN/workload/web"
	bundle --grant web -- cat /run/secrets/s
	arrives "by grant mount, which is covered"
	like "$(cat "$WORK/log")" "ATTACHED" "$runtime: the attach was reported"
}

test_mount_in_container() {
	agent go
	bundle --hook-arg=--workload --hook-arg=web -- \
		sh -c 'grep " /run/secrets " /proc/self/mountinfo; touch /run/secrets/x'
	local output
	output=$(run)
	like "$output" "ro,nosuid,nodev,noexec" "$runtime: C-04 the container's mount is read-only"
	like "$output" "(Read-only|ROFS|read-only)" "$runtime: C-04 writing is refused"
	unlike "$output" "shared:" "$runtime: the mount is private"
	bundle --hook-arg=--workload --hook-arg=web --file "$PROBE:/bin/probe" -- \
		probe /run/secrets
	check "$runtime: C-04 nothing in it can be changed by root" run_probe
	bundle --hook-arg=--workload --hook-arg=web --file "$PROBE:/bin/probe" \
		--cap CAP_SYS_ADMIN --userns 300000 -- probe --remount /run/secrets
	check "$runtime: C-04 nor by root with CAP_SYS_ADMIN in a user namespace" run_probe
	bundle --hook-arg=--workload --hook-arg=web -- sleep 30
	local before
	before=$(host_mounts)
	runtime_start "$runtime" "$WORK/b"
	is "$(host_mounts)" "$before" "$runtime: G2 the host's mount table is as before"
	is "$(nsenter -t "$CONTAINER_PID" -m cat /run/secrets/s)" "$CANARY" \
		"$runtime: while the container holds it"
	runtime_stop "$runtime" "$CONTAINER"
}

test_no_grant() {
	agent go
	bundle -- echo started
	is "$(run)" started "$runtime: no grant: starts"
	unlike "$(cat "$WORK/log")" START "$runtime: no grant: the agent is not asked"
	stop "$AGENT"
	is "$(run)" started "$runtime: no grant: starts without an agent"
	agent no-grant
	bundle --hook-arg=--workload --hook-arg=web -- echo started
	is "$(run)" started "$runtime: the agent says not ours"
	bundle --grant web -- ls /run/secrets
	is "$(run)" "" "$runtime: the grant mount itself is empty"
}

test_failures() {
	local mode pattern
	while read -r mode pattern; do
		agent "$mode"
		bundle --hook-arg=--workload --hook-arg=web -- echo started
		does_not_start "$pattern" "$mode"
	done <<-'END'
		refuse gate seccomp: none
		wrong-pid verdict is for another process
		garbage not phial's|wrong length
		wrong-turn out of turn
		die-at-start agent closed the connection
		die-at-mount agent closed the connection
		die-at-attached agent closed the connection
		fill-fails No space left on device
		commit-fails state directory is full
	END
}

test_second_stage() {
	agent once
	bundle --hook-arg=--workload --hook-arg=web --edit \
		'c["hooks"]["prestart"] = c["hooks"]["createRuntime"]' -- \
		sh -c 'cat /run/secrets/s; grep -c " /run/secrets " /proc/self/mountinfo'
	is "$(run | tr -d '\n')" "${CANARY}1" "$runtime: r19 both stages: mounted once"
	is "$(grep -c START "$WORK/log")" 2 "$runtime: r19 both stages ran"
}

test_wrong_stages() {
	local stage
	agent go
	for stage in createContainer startContainer; do
		bundle --hook-arg=--workload --hook-arg=web --stage $stage --mount "$BUILD:$BUILD:ro" \
			-- echo started
		mkdir -p "$WORK/b/rootfs$BUILD"
		does_not_start "stage|config.json|no such file|process" "$stage"
		unlike "$(cat "$WORK/log")" MOUNT "$runtime: $stage: no mount was made"
	done
}

test_hostile_surroundings() {
	agent go
	bundle --hook-arg=--workload --hook-arg=web --edit \
		'c["process"]["rlimits"] = [{"type": "RLIMIT_" + t, "soft": s, "hard": s} for t, s in
		(("NOFILE", 4), ("FSIZE", 0), ("NPROC", 1))]' -- cat /run/secrets/s
	like "$(run)" "$CANARY|RLIMIT|many open files" "$runtime: the container's tiny limits"
	bundle --hook-arg=--workload --hook-arg=web --annotation \
		"run.oci.hooks.stderr=$WORK/stolen" --annotation "run.oci.hooks.stdout=$WORK/stolen" \
		-- echo started
	agent refuse
	run >/dev/null
	is "$(cat "$WORK/stolen" 2>/dev/null)" "" "$runtime: I-12 r2 nothing is written to an annotated file"
}

# h1: neither a volume with propagation to the host nor a root that will be shared shows it.
test_shared() {
	local before
	mkdir -p "$WORK/volume"
	mountpoint -q "$WORK/volume" || mount -t tmpfs volume "$WORK/volume"
	mount --make-shared "$WORK/volume"
	mkdir -p "$WORK/volume/secrets"
	agent go
	bundle --hook-arg=--workload --hook-arg=web --no-target \
		--mount "$WORK/volume:/run:rw,rshared" -- echo started
	does_not_start "shared mount" "h1 shared volume"
	is "$(ls -A "$WORK/volume/secrets")" "" "$runtime: h1 nothing in the host's folder"
	bundle --hook-arg=--workload --hook-arg=web --edit \
		'c["linux"]["rootfsPropagation"] = "shared"' -- sleep 30
	before=$(host_mounts)
	runtime_start "$runtime" "$WORK/b"
	is "$(host_mounts)" "$before" "$runtime: h1 shared root: nothing on the host"
	is "$(nsenter -t "$CONTAINER_PID" -m cat /run/secrets/s)" "$CANARY" \
		"$runtime: h1 shared root: the secret is in the container"
	runtime_stop "$runtime" "$CONTAINER"
}

# image LINK TARGET: a root file system whose /run is, or holds, a symbolic link
test_hostile_images() {
	local before
	mkdir -p "$WORK/victim"
	before=$(sha256sum <"$HOOK")
	agent go
	bundle --hook-arg=--workload --hook-arg=web --no-target -- echo started
	ln -s "$WORK/victim" "$WORK/b/rootfs/run/secrets"
	does_not_start "symbolic link" "I-01 link to the host"
	rm "$WORK/b/rootfs/run/secrets"
	rmdir "$WORK/b/rootfs/run"
	ln -s ../../../../.. "$WORK/b/rootfs/run"
	does_not_start "symbolic link" "I-02 middle component"
	rm "$WORK/b/rootfs/run"
	mkdir "$WORK/b/rootfs/run"
	mkfifo "$WORK/b/rootfs/run/secrets"
	does_not_start "not a directory" "I-03 pipe"
	rm "$WORK/b/rootfs/run/secrets"
	ln -s /proc/1/root/tmp "$WORK/b/rootfs/run/secrets"
	does_not_start "symbolic link" "I-04 magic link"
	bundle --hook-arg=--workload --hook-arg=web --no-target --mount "$WORK/victim:/run:rw" -- \
		echo started
	does_not_start "lies on a volume" "I-05 missing on a volume"
	bundle --hook-arg=--workload --hook-arg=web --mount "$WORK/victim:/run/secrets:rw" -- \
		echo started
	does_not_start "something else is mounted" "I-07 another mount"
	is "$(ls -A "$WORK/victim")" "" "$runtime: I-01..I-07 the host's folder stays empty"
	is "$(sha256sum <"$HOOK")" "$before" "$runtime: I-09 the hook's binary is unchanged"
}

test_no_agent() {
	stop "$AGENT"
	AGENT=
	rm -f "$RUN/hook.sock"
	bundle --hook-arg=--workload --hook-arg=web -- echo started
	does_not_start "no agent answers" "no agent"
}

for runtime in $(runtimes); do
	test_arrival
	test_mount_in_container
	test_no_grant
	test_failures
	test_second_stage
	test_wrong_stages
	test_hostile_surroundings
	test_shared
	test_hostile_images
	test_no_agent
done
finish
