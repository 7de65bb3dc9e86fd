# SPDX-License-Identifier: ISC
# phial-init with the real agent, in containers of runc and crun that have no hook: every kind of
# image, user and root file system; what is refused; two containers side by side; their end.
# suite-timeout: 180
. "$(dirname "$0")/_lib.sh"
need_root
need runc busybox python3 nsenter
PROBE=$BUILD/tests/probes/init_probe
[ -x "$PROBE" ] || skip_all "the probes are not built (make probes)"
# shellcheck disable=SC2016
REPORT='stat -L -c "owner %u:%g %a" $CREDENTIALS_DIRECTORY/db
	sha256sum <$DB_FILE
	grep " /run/secrets " /proc/self/mountinfo | tail -n 1
	ls $CREDENTIALS_DIRECTORY'

two_secrets
seal mail/only "$SECOND"
start_agent || bail "the agent does not start"

# init_bundle [bundle option...] -- COMMAND...: $B with phial-init and a grant of $GRANT, no hook
init_bundle() {
	local number=$((BUNDLES++))
	B=$WORK/bundle$number
	busybox_bundle "$B" --run-dir "$RUN_DIR" --target /run/phial --grant "${GRANT:-web}" \
		--dir /run/secrets --file "$INIT:/phial-init" "$@"
}

# arrives OWNER DESCRIPTION [bundle option...]
arrives() {
	local owner=$1 description=$2
	shift 2
	init_bundle "$@" -- /phial-init --file-env -- sh -c "$REPORT"
	run
	is "$(sed 's/ .*-$//;3d' <<<"${OUTPUT//owner /}")" "$owner
$(sha "$FIRST")
db" "$runtime, $description: owner, mode, content, and no other secret"
	like "$(sed -n 3p <<<"$OUTPUT")" "$MOUNT_FLAGS" "$runtime, $description: flags of the mount"
}

test_images() {
	arrives "0:0 400" "root"
	arrives "1000:1001 400" "a user" --user 1000:1001
	arrives "1000:1000 400" "read-only root file system" --user 1000 --read-only
	arrives "0:0 400" "user namespace" --userns 300000
	arrives "1000:1000 400" "user namespace, a user" --userns 300000 --user 1000
	arrives "1000:1000 400" "program bind-mounted" --user 1000 --mount "$INIT:/phial-init:ro"
	init_bundle --empty --read-only --user 4321 --file "$PROBE:/init_probe" -- \
		/phial-init --env db -- /init_probe state DB
	run
	is_value "$(grep '^DB=' <<<"$OUTPUT")" "DB=$FIRST" "$runtime, scratch, any uid: --env"
	like "$OUTPUT" '^fds 0 1 2$' "$runtime, scratch: no descriptor is left to the command"
	like "$OUTPUT" '^ppid 1$' "$runtime, scratch: phial-init is its init"
	# Layouts of Alpine and of distroless images: what they have, and what they lack.
	arrives "65532:65532 400" "distroless layout" --user 65532:65532 --dir /etc/ssl --dir /home/nonroot
	init_bundle --empty --file /bin/busybox:/bin/busybox --dir /etc/apk -- \
		/phial-init -- /bin/busybox sha256sum /run/secrets/db
	run
	is "${OUTPUT%% *}" "$(sha "$FIRST")" "$runtime, Alpine layout: without a shell in PATH"
}

test_user() {
	init_bundle --cap CAP_SETUID --cap CAP_SETGID -- \
		/phial-init --user 1000:1001 --file-env -- sh -c "$REPORT"
	run
	is "$(sed -n 1p <<<"$OUTPUT")" "owner 1000:1001 400" \
		"$runtime, --user: the files are that user's"
	is "$(sed -n 2p <<<"$OUTPUT" | cut -c-64)" "$(sha "$FIRST")" "$runtime, --user: and readable"
	init_bundle --user 1000 -- /phial-init --exec --file-env -- sh -c "echo \$\$; $REPORT"
	run
	is "$(sed -n 1,2p <<<"$OUTPUT")" "1
owner 1000:1000 400" "$runtime, --exec: the command is PID 1 and has its secrets"
}

# refuses PATTERN DESCRIPTION: $B ends with 125, says why, and starts nothing
refuses() {
	local pattern=$1
	shift
	run
	is "$STATUS" 125 "$runtime, $*: 125"
	like "$OUTPUT" "^phial-init: .*$pattern" "$runtime, $*: the reason is shown"
	unlike "$OUTPUT" "^STARTED$" "$runtime, $*: nothing was started"
}

test_refusals() {
	init_bundle --edit 'c["mounts"] = [m for m in c["mounts"] if m["destination"] != "/run/phial"]' \
		--no-target -- /phial-init --wait 0 -- echo STARTED
	refuses "(no grant|no agent)" "no grant"
	init_bundle --edit 'next(m for m in c["mounts"] if m["destination"] == "/run/phial")["options"] = ["rbind", "rw"]' \
		-- /phial-init -- echo STARTED
	refuses "read-only" "a grant that can be written to"
	init_bundle --host-ns pid -- /phial-init -- echo STARTED
	refuses "private_pid" "the host's processes in view"
	GRANT=strict init_bundle -- /phial-init -- echo STARTED
	refuses "non_root" "a gate"
	like "$OUTPUT" "read_only_rootfs" "$runtime, a gate: every gate that failed is named"
	GRANT=calm init_bundle --edit 'c["process"]["noNewPrivileges"] = False' -- \
		/phial-init --no-new-privs=off -- echo STARTED
	refuses "no_new_privileges" "--no-new-privs=off where a gate wants it"
	GRANT=calm init_bundle --edit 'c["process"]["noNewPrivileges"] = False' -- \
		/phial-init -- echo STARTED
	run
	is "$OUTPUT" STARTED "$runtime: by default phial-init meets the gate no_new_privileges"
}

test_side_by_side() {
	local first second
	# shellcheck disable=SC2016
	local script='sha256sum </run/secrets/db; ls /run/secrets; grep -c " /run/secrets " /proc/self/mountinfo; exec sleep 1000'
	init_bundle --user 1000 -- /phial-init -- sh -c "$script"
	first=$B
	GRANT=mail init_bundle --user 1000 -- /phial-init --env only -- sh -c "$script"
	second=$B
	B=$first start_container && first=($CONTAINER $CONTAINER_PID "$first/output")
	B=$second start_container && second=($CONTAINER $CONTAINER_PID "$second/output")
	within 20 grep -q '^[0-9]$' "${first[2]}"
	within 20 grep -q '^[0-9]$' "${second[2]}"
	is "$(cat "${first[2]}")" "$(sha "$FIRST")  -
db
1" "$runtime, side by side: web has its own secrets alone"
	is "$(grep -v '^phial-init: --env' "${second[2]}")" "$(sha "$SECOND")  -
db
only
1" "$runtime, side by side: mail has its own secrets alone"
	soon '" ".join(sorted(c["workload"] for c in s["containers"]))' "mail web" \
		"$runtime: status lists both"
	soon '[c["workload"] for c in s["containers"] if c.get("weak")]' "['mail']" \
		"$runtime: status shows the one with --env as weak"
	is "$(host_mounts)" "" "$runtime: the host's mount table shows neither"
	runtime "$runtime" kill "${first[0]}" TERM
	check "$runtime: SIGTERM through phial-init ends the container" within 20 is_gone_or_dead "${first[1]}"
	runtime_stop "$runtime" "${first[0]}"
	runtime_stop "$runtime" "${second[0]}"
	check "$runtime: after the end the agent holds neither" within 20 no_containers
}

is_gone_or_dead() { ! grep -q '^State:[[:space:]][^ZX]' "/proc/$1/status"; }

test_exit() {
	init_bundle -- /phial-init -- sh -c 'exit 42'
	run
	is "$STATUS" 42 "$runtime: the command's exit status is the container's"
	init_bundle -- /phial-init -- no-such-command
	run
	is "$STATUS" 127 "$runtime: 127 for a command that is not there"
	check "$runtime: and nothing is left with the agent" within 20 no_containers
}

test_again() {
	local turn
	init_bundle --user 1000 -- /phial-init -- sha256sum /run/secrets/db
	for turn in first second; do
		run
		is "${OUTPUT%% *}" "$(sha "$FIRST")" "$runtime: the same bundle, $turn start"
	done
}

cat >"$STORE/.phial/policy.json" <<-END
	{ "phial": "policy v1", "serial": 1, "workloads": {
	  "strict": { "secrets": ["web/db"], "gates": ["non_root", "read_only_rootfs"] },
	  "calm": { "secrets": ["web/db"], "gates": ["no_new_privileges"] } } }
	END
check "the policy is signed" "$PHIAL" policy sign --store "$STORE"
check "and loaded" "$PHIAL" reload --run-dir "$RUN_DIR"

for runtime in $(runtimes); do
	test_images
	test_user
	test_refusals
	test_side_by_side
	test_exit
	test_again
done

# examples/init as its page shows it, with the paths of this build.
seal web/db_password "$FIRST"
check "the example's secret is loaded" "$PHIAL" reload --run-dir "$RUN_DIR"
for runtime in $(runtimes); do
	B=$WORK/example-$runtime
	mkdir -p "$B/rootfs/"{bin,dev,proc,run/phial,run/secrets} && touch "$B/rootfs/phial-init"
	cp /bin/busybox "$B/rootfs/bin/cat"
	sed -e "s|/usr/local/libexec/phial|$BUILD|" -e "s|/run/phial/workload|$RUN_DIR/workload|" \
		"$ROOT/examples/init/config.json" >"$B/config.json"
	run
	is_value "$OUTPUT" "$FIRST" "$runtime: the example prints the value"
done

# The agent comes later than the container.
runtime=runc
init_bundle --user 1000 -- /phial-init --wait 20 -- sha256sum /run/secrets/db
stop_agent
runtime_start runc "$B"
check "without an agent the container waits" kill -0 "$CONTAINER_PID"
start_agent || bail "the agent does not start again"
within 60 grep -q . "$B/output"
is "$(cut -c-64 "$B/output")" "$(sha "$FIRST")" "an agent that comes later is waited for"
stop_agent
init_bundle --user 1000 -- /phial-init --wait 1 -- echo STARTED
run
is "$STATUS" 125 "an agent that does not come: 125" || diag "$OUTPUT"

sweep "the values are nowhere" "$FIRST"
sweep "nor the other's" "$SECOND"
finish
