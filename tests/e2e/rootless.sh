#!/bin/bash
# SPDX-License-Identifier: ISC
# An ordinary user's agent and rootless Podman: owners, lives, quota, strangers, and what is left.
# suite-timeout: 300
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
# shellcheck source=../engines/rootless.sh
. "$ROOT/tests/engines/rootless.sh"
need_root
need runc python3 nsenter
rootless_setup "$@"

FIRST=$(canary)
SECOND=$(canary)
RUN_DIR=$USER_RUN/phial
STORE=$USER_HOME/store
CONFIG=$USER_HOME/.config
MANY=60

user_seal() { # NAME VALUE [option...]
	local name=$1 value=$2
	shift 2
	printf %s "$value" | as_user phial seal "$name" --store "$STORE" "$@" >"$WORK/seal.log" 2>&1 ||
		bail "phial seal $name: $(cat "$WORK/seal.log")"
}

make_user_store() {
	local number
	as_user phial init --no-passphrase --no-recovery --name ann "$STORE" >"$WORK/init.log" 2>&1 ||
		bail "phial init: $(cat "$WORK/init.log")"
	as_user ln -s "$STORE" "$CONFIG/phial/store"
	user_seal web/db "$FIRST"
	user_seal mail/db "$SECOND"
	user_seal owned/db "$FIRST" --owner 33:44 --mode 0440
	for ((number = 1; number <= MANY; number++)); do
		user_seal "many/s$number" "value $number"
	done
	head -c 1048576 /dev/urandom >"$WORK/large"
	chmod 0644 "$WORK/large"
	as_user phial seal many/large --from "$WORK/large" --keep-newline --store "$STORE" \
		>"$WORK/seal.log" 2>&1 || bail "$(cat "$WORK/seal.log")"
}

# start_user_agent [OPTION...]: the user's phiald, and nothing said to it that is not its default
start_user_agent() {
	start_quietly "$WORK/agent.log" "${AS_USER[@]}" phiald --user "$@"
	AGENT_PID=$STARTED_PID
	within 20 as_user phial status
}

status_json() { as_user phial status --json; }
worker_pid() { pgrep -x -P "$AGENT_PID" phiald | while read -r pid; do
	! grep -q '^CapEff:[[:space:]]*0*$' "/proc/$pid/status" || echo "$pid"
done; }

pod() { as_user podman --runtime "$runtime" "$@"; }
grant() { echo "--mount=type=bind,src=$RUN_DIR/workload/$1,dst=/run/secrets,ro"; }
secret_of() { pod exec "$1" sha256sum /run/secrets/db 2>&1 | cut -c-64; }
no_user_containers() { [ "$(status_of 'len(s["containers"])')" = 0 ]; }

# --- before the agent --------------------------------------------------------------------

test_mistakes() {
	exits 2 "phiald --user by root" "$PHIALD" --user
	like "$OUTPUT" "for ordinary users" "... says whom it is for"
	exits 2 "phiald --user --worker-user" as_user phiald --user --worker-user nobody
	exits 2 "phiald --user without XDG_RUNTIME_DIR" as_user env -u XDG_RUNTIME_DIR phiald --user
	like "$OUTPUT" "XDG_RUNTIME_DIR names no absolute path" "... says what is missing"
	exits 15 "phiald without --user by an ordinary user" as_user phiald --worker-user nobody
	like "$OUTPUT" "with --user" "... says how"
	exits 2 "phial setup podman --user by root" "$PHIAL" setup podman --user
	exits 17 "phial status without an agent" as_user phial status --run-dir "$RUN_DIR"
}

# A hook of the user's own, in a folder that containers.conf names: it must go on running.
test_setup() {
	local hook=$CONFIG/phial/hooks.d/50-phial.json
	local drop_in=$CONFIG/containers/containers.conf.d/50-phial.conf
	as_user mkdir -p "$USER_HOME/hooks"
	printf '#!/bin/sh\ncat >/dev/null\necho ran >>%s\n' "$USER_HOME/own-hook" >"$USER_HOME/hooks/own"
	chmod 755 "$USER_HOME/hooks/own"
	printf '{"version":"1.0.0","hook":{"path":"%s","env":["PATH=/bin"]},"when":{"always":true},"stages":["createRuntime"]}' \
		"$USER_HOME/hooks/own" >"$USER_HOME/hooks/own.json"
	sed -i "/^\[engine\]/a hooks_dir = [\"$USER_HOME/hooks\"]" "$CONFIG/containers/containers.conf"
	cp "$CONFIG/containers/containers.conf" "$WORK/conf-before"
	exits 0 "phial setup podman --user --print" as_user phial setup podman --user --print
	like "$OUTPUT" "would write +$hook" "... names the hook file"
	check "... and writes nothing" test ! -e "$hook" -a ! -e "$drop_in"
	exits 0 "phial setup podman --user" as_user phial setup podman --user
	is "$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["hook"])' "$hook")" \
		"{'path': '$WORK/bin/phial-hook', 'args': ['phial-hook', '--run-dir', '$RUN_DIR'], 'env': [], 'timeout': 20}" \
		"the hook asks the user's agent"
	is "$(grep ^hooks_dir "$drop_in")" "hooks_dir = [\"$USER_HOME/hooks\", \"${hook%/*}\"]" \
		"the drop-in keeps the folder that was read already"
	exits 0 "... once more" as_user phial setup podman --user
	unlike "$OUTPUT" "^wrote" "... changes nothing"
	check "the user's own file is as it was" cmp "$WORK/conf-before" "$CONFIG/containers/containers.conf"
}

test_remove() {
	exits 0 "phial setup podman --user --remove" as_user phial setup podman --user --remove
	is "$(find "$CONFIG/containers/containers.conf.d" "$CONFIG/phial/hooks.d" -type f 2>/dev/null)" \
		"" "... removes both files"
	runtime=runc
	is "$(pod run --rm "$(grant web)" bb ls /run/secrets 2>&1)" PHIAL-NOT-INJECTED \
		"a container then sees the note instead of secrets"
}

# --- on each runtime -------------------------------------------------------------------

# arrives OWNER-AND-MODE DESCRIPTION [podman option...]
arrives() {
	local owner=$1 description=$2
	shift 2
	OUTPUT=$(pod run --rm "$@" bb sh -c "$REPORT" 2>&1 </dev/null)
	is "$(sed -n '1p;2p' <<<"$OUTPUT" | cut -c-64)" "owner $owner
$(sha "$FIRST")" "$runtime, $description: owner, mode and content"
	like "$(sed -n 3p <<<"$OUTPUT")" 'ro,nosuid,nodev,noexec[^ ]* - ramfs' \
		"$runtime, $description: flags of the mount"
	unlike "$OUTPUT" "shared:" "$runtime, $description: the mount is private"
}

test_owners() {
	arrives "0:0 400" "plain" "$(grant web)"
	arrives "1000:1001 400" "--user" --user 1000:1001 "$(grant web)"
	arrives "65535:65535 400" "the last id but one" --user 65535:65535 "$(grant web)"
	arrives "$ROOTLESS_UID:$ROOTLESS_UID 400" "--userns keep-id" --userns keep-id "$(grant web)"
	arrives "5:6 400" "--userns keep-id --user" --userns keep-id --user 5:6 "$(grant web)"
	arrives "0:0 400" "--read-only" --read-only "$(grant web)"
	arrives "33:44 440" "the secret's own owner and mode" --user 33 "$(grant owned)"
}

test_without_grant() {
	within 5 no_user_containers # the last one's end is in the log
	mark_log
	is "$(pod run --rm -v "$USER_HOME/hooks:/hooks:ro" bb echo fine 2>&1)" fine \
		"$runtime: a container without a grant runs"
	is "$(log_since)" "" "$runtime: ... and the agent is not asked"
}

# Two workloads side by side; then each is taken down.
test_side_by_side() {
	local pid
	within 5 no_user_containers # the last one's end is in the log
	mark_log
	check "$runtime: web starts" pod run -d --name web --user 1000 "$(grant web)" bb sleep 600
	check "$runtime: mail starts" pod run -d --name mail --userns keep-id "$(grant mail)" bb sleep 600
	is "$(secret_of web)" "$(sha "$FIRST")" "$runtime: G1 exec: the first has its own secret"
	is "$(secret_of mail)" "$(sha "$SECOND")" "$runtime: G1 exec: the second has its own"
	soon 'sorted((c["workload"], c["state"], c["mount"]) for c in s["containers"])' \
		"[('mail', 'running', 'ramfs'), ('web', 'running', 'ramfs')]" "$runtime: status shows both"
	sweep "$runtime: G3 the first secret is nowhere else, while both run" "$FIRST"
	sweep "$runtime: G3 nor the second" "$SECOND"
	pid=$(pod inspect -f '{{.State.Pid}}' web)
	exec 7<"/proc/$pid/root/run/secrets/db"
	check "$runtime: podman restart" pod restart -t 0 web
	within_log "is gone, its secrets are wiped" "$runtime: G7 the mount of before is wiped"
	is "$(tr -d '\0' <&7 | wc -c)" 0 "$runtime: G7 ... zeros in a file of a subordinate user"
	exec 7<&-
	is "$(secret_of web)" "$(sha "$FIRST")" "$runtime: ... and there is a fresh one"
	check "$runtime: podman stop" pod stop -t 0 web
	check "$runtime: podman start" pod start web
	is "$(secret_of web)" "$(sha "$FIRST")" "$runtime: ... brings the secret back"
	check "$runtime: podman rm of all" pod rm -fa -t 0
	within 5 no_user_containers
	check "$runtime: G7 status shows no container" no_user_containers
	unlike "$(log_since)" "wiping its mount failed" "$runtime: G7 nothing was left unwiped"
}

# --- quota ---------------------------------------------------------------------------------

test_quota() {
	local expected number
	expected=$({
		sha256sum <"$WORK/large"
		for number in $(seq $MANY | LC_ALL=C sort); do
			printf 'value %d' "$number" | sha256sum
		done
	} | sha256sum)
	runtime=runc
	is "$(pod run --rm --user 1000 "$(grant many)" bb sh -c 'cd /run/secrets
		{ sha256sum <large; for f in s*; do sha256sum <$f; done; } | sha256sum' 2>&1)" \
		"$expected" "61 secrets, one of 1 MiB, are there to the byte"
	is "$(status_of 's["kernel"]["key_quota"]["keys_max"]')" "$(cat /proc/sys/kernel/keys/maxkeys)" \
		"status says how many keys this user may have"
	check "... of which the agent takes no ten" \
		test "$(status_of 's["kernel"]["key_quota"]["keys_used"]')" -lt 10
	check "... and little of the bytes" \
		test "$(status_of 's["kernel"]["key_quota"]["bytes_used"]')" -lt 2000
	like "$(as_user phial status)" "^keys: +[0-9]+ of [0-9]+, [0-9]+ of [0-9]+ bytes" \
		"phial status prints it"
	like "$(as_user phial status)" "^WEAKER: +agent of a user: whatever runs as this user" \
		"phial status says what is weaker"
	exits 0 "phial reload" as_user phial reload
}

# --- strangers -----------------------------------------------------------------------------

# connect_as UID: to the agent's admin socket. Prints what came of it.
connect_as() {
	# shellcheck disable=SC2016
	PATH=/usr/bin:/bin run_as "$1" python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
try:
    s.connect(sys.argv[1])
    s.settimeout(5)
    print("answered" if s.recv(1) else "closed")
except OSError as error:
    print(type(error).__name__)' "$RUN_DIR/admin.sock"
}

test_strangers() {
	local pid stranger=$((ROOTLESS_UID + 1))
	is "$(connect_as $stranger)" PermissionError "another user does not get to the agent's sockets"
	chmod o+x "$USER_RUN" "$RUN_DIR"
	chmod o+w "$RUN_DIR/admin.sock"
	mark_log
	is "$(connect_as $stranger)" closed "... and is refused where modes let it through"
	within_log "refused a client of another user" "... the log says so"
	chmod o-x "$USER_RUN" "$RUN_DIR"
	chmod o-w "$RUN_DIR/admin.sock"
	# A container's root is the user itself outside, but for its namespaces.
	runtime=runc
	unlike "$(pod run --rm bb sh -c 'ls -R /run; cat /proc/self/mountinfo' 2>&1)" \
		'\.sock|phial/workload' \
		"a container without a grant sees nothing of the agent"
	for pid in "$AGENT_PID" $(pgrep -P "$AGENT_PID"); do
		check "the user itself cannot read the memory of process $pid" \
			bash -c "! $(printf '%q ' "${AS_USER[@]}") head -c 1 /proc/$pid/environ"
	done
	unlike "$(as_user cat /proc/keys 2>/dev/null)" 'phial' "... nor see its keys in another session"
	exits 13 "a second agent of the user" as_user phiald --user
}

# --- failures ------------------------------------------------------------------------------

test_worker_killed() {
	local pid
	runtime=runc
	mark_log
	check "a container before the worker's death" pod run -d --name kept --user 1000 \
		"$(grant web)" bb sleep 600
	pid=$(worker_pid)
	kill -KILL "$pid"
	within_log "the worker was killed by signal 9" "the worker is killed"
	within 10 as_user phial status
	is "$(status_of 's["agent"]["worker_restarts"]')" 1 "... another one serves"
	soon '[c["state"] for c in s["containers"]]' "['running']" "... and knows the container"
	is "$(pod run --rm "$(grant mail)" bb sha256sum /run/secrets/db | cut -c-64)" "$(sha "$SECOND")" \
		"... has the store again"
	is "$(secret_of kept)" "$(sha "$FIRST")" "the container kept its secret"
}

test_agent_restarted() {
	local signal
	for signal in TERM KILL; do
		stop "$AGENT_PID" $signal
		within 5 is_gone "$AGENT_PID"
		start_user_agent || bail "the agent does not start again"
		soon '[c["state"] for c in s["containers"]]' "['running, not re-attached']" \
			"SIG$signal: the next agent lists what runs"
		like "$(as_user phial status)" "a user's agent cannot enter the namespaces" \
			"SIG$signal: ... and says why it cannot hold it"
		is "$(secret_of kept)" "$(sha "$FIRST")" "SIG$signal: the container kept its secret"
	done
	arrives "7:0 400" "after restarts of the agent" --user 7 "$(grant web)"
	check "the container goes" pod rm -f -t 0 kept
}

test_without_subids() {
	rootless_remove_subids
	stop "$AGENT_PID"
	start_user_agent || bail "no agent without subordinate ids"
	rootless_add_subids
	like "$(as_user phial status)" "^WEAKER: +no subordinate ids" "without subordinate ids: status says so"
	runtime=runc
	arrives "0:0 400" "without subordinate ids: a container's root" "$(grant web)"
	OUTPUT=$(pod run --rm --user 1000 "$(grant web)" bb echo STARTED 2>&1)
	STATUS=$?
	refused "owner 1000:0 does not exist|no id that the agent knows" "without subordinate ids: another owner"
	stop "$AGENT_PID"
}

# A unit with NoNewPrivileges=, or a directive that implies it.
test_no_new_privileges() {
	local listener
	start python3 "$ROOT/tests/tools/ready.py" "$WORK/notify" "$WORK/ready"
	listener=$STARTED_PID
	within 20 test -S "$WORK/notify" || bail "no socket for READY"
	chmod 0777 "$WORK/notify"
	start_quietly "$WORK/agent.log" "${AS_USER[@]}" NOTIFY_SOCKET="$WORK/notify" \
		setpriv --no-new-privs phiald --user
	AGENT_PID=$STARTED_PID
	check "READY=1 gets to the service manager" within 20 grep -q READY=1 "$WORK/ready"
	like "$(as_user phial status)" "^WEAKER: +no subordinate ids" \
		"no_new_privs: newuidmap fails, and status says so"
	stop "$listener"
	stop "$AGENT_PID"
}

# A limit that does not hold one secret of a MiB: nothing may be loaded half.
test_small_memory() {
	local log=$WORK/small.log
	start_quietly "$log" prlimit --memlock=65536:65536 -- "${AS_USER[@]}" phiald --user
	AGENT_PID=$STARTED_PID
	within 10 grep -q . "$log"
	like "$(cat "$log")" "RLIMIT_MEMLOCK|memlock|lock" "a memory limit that is too small is named"
	stop "$AGENT_PID"
}

as_user mkdir -p "$CONFIG/phial"
test_mistakes
rootless_image bb
make_user_store
test_setup
start_user_agent || {
	diag "$(cat "$WORK/agent.log")"
	bail "the agent does not start"
}
for runtime in $(runtimes); do
	test_owners
	test_without_grant
	test_side_by_side
done
check "the user's own hook ran, too" grep -q ran "$USER_HOME/own-hook"
test_quota
test_strangers
test_worker_killed
test_agent_restarted
test_without_subids
test_no_new_privileges
test_small_memory
start_user_agent || bail "the agent does not start once more"
test_remove
stop "$AGENT_PID"
sweep "G7 after the agent's end the first secret is nowhere" "$FIRST"
sweep "G7 nor the second" "$SECOND"
finish
