#!/bin/bash
# SPDX-License-Identifier: ISC
# The agent as its operator meets it: how it starts and refuses to, what it says to a service manager,
# what it leaves when it stops or dies, and what stores it takes. suite-timeout: 240
# shellcheck source=../attack/_lib.sh
. "$(dirname "$0")/../attack/_lib.sh"
need_root
need busybox python3 keyctl gcc setpriv
need_fault

RUN_DIR=$WORK/run
STATE_DIR=$WORK/state
make_store
make_three
PATHS=(--run-dir "$RUN_DIR" --state-dir "$STATE_DIR" --worker-user nobody)
KEYS=(--store "$STORE" --identity "$IDENTITY" --trust "$TRUST")

# fails STATUS PATTERN DESCRIPTION COMMAND...: it ends with this status, and one line says why
fails() {
	local status=$1 pattern=$2 description=$3
	shift 3
	exits "$status" "$description: exit $status" timeout 20 "$@"
	like "$OUTPUT" "$pattern" "$description: says what is wrong"
	is "$(grep -c . <<<"$OUTPUT")" 1 "$description: in one line"
}

agent_answers() { is "$(status_of 's["agent"]["version"] != ""')" True "$*"; }

test_command_line() {
	fails 2 "option .*--nonsense" "an unknown option" "$PHIALD" --nonsense
	fails 2 "no arguments" "an argument" "$PHIALD" "${PATHS[@]}" store
	fails 14 'no user "no-such-user".*phial setup' "a worker's user that does not exist" \
		"$PHIALD" --worker-user no-such-user
	fails 2 "must not run as root" "a worker that would be root" "$PHIALD" --worker-user root
	fails 15 "must be started by root" "not root" \
		setpriv --reuid 65534 --regid 65534 --clear-groups "$PHIALD" "${PATHS[@]}" "${KEYS[@]}"
	check "--help" "$PHIALD" --help
	exits 0 "--version" "$PHIALD" --version
	like "$OUTPUT" "^phiald [0-9]" "--version names it"
}

test_identity() {
	local bad=$WORK/bad-identity
	fails 14 "$WORK/none.*phial setup" "no identity" \
		"$PHIALD" "${PATHS[@]}" "${KEYS[@]}" --identity "$WORK/none"
	install -m 0644 "$IDENTITY" "$bad"
	fails 15 "read by others.*chmod" "an identity that others can read" \
		"$PHIALD" "${PATHS[@]}" "${KEYS[@]}" --identity "$bad"
	(umask 077 && canary >"$bad-2")
	fails 11 "$bad-2" "an identity that is no key" \
		"$PHIALD" "${PATHS[@]}" "${KEYS[@]}" --identity "$bad-2"
	unlike "$OUTPUT" "$(cat "$bad-2")" "L-04 an identity that is no key is not quoted"
	check "L-04 nor in the file that standard error was" test ! -s "$WORK/agent.log"
}

# U-02: somebody else made the run directory before the agent came.
test_planted_directories() {
	local planted=$WORK/planted
	install -d -o 1000 -m 0755 "$planted"
	fails 15 "belongs to uid 1000" "U-02 the run directory is another user's" \
		"$PHIALD" "${PATHS[@]}" "${KEYS[@]}" --run-dir "$planted"
	chown root "$planted" && chmod 0777 "$planted"
	fails 15 "written by others" "U-02 the run directory can be written by all" \
		"$PHIALD" "${PATHS[@]}" "${KEYS[@]}" --run-dir "$planted"
	ln -s "$WORK" "$planted-link"
	fails 15 "planted-link" "U-02 the run directory is a symbolic link" \
		"$PHIALD" "${PATHS[@]}" "${KEYS[@]}" --run-dir "$planted-link"
	install -d -o 1000 -m 0700 "$planted-state"
	fails 15 'must be a directory of user "nobody"' "U-02 the state directory is another user's" \
		"$PHIALD" "${PATHS[@]}" "${KEYS[@]}" --state-dir "$planted-state"
	install -d "$planted-run" && touch "$planted-run/hook.sock"
	chown 1000 "$planted-run/hook.sock"
	fails 15 "hook.sock: not a socket of ours.*remove it" "U-02 a file lies in the socket's place" \
		"$PHIALD" "${PATHS[@]}" "${KEYS[@]}" --run-dir "$planted-run"
	rm "$planted-run/hook.sock"
	foreign_socket "$planted-run/hook.sock"
	fails 15 "hook.sock: not a socket of ours.*remove it" "U-02 another user's socket lies there" \
		"$PHIALD" "${PATHS[@]}" "${KEYS[@]}" --run-dir "$planted-run"
}

foreign_socket() {
	python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).bind(sys.argv[1])' "$1"
	chown 1000 "$1"
}

test_options_and_environment() {
	check "store, identity and trust from the environment" launch env PHIAL_STORE="$STORE" \
		PHIAL_IDENTITY="$IDENTITY" PHIAL_TRUST="$TRUST" "$PHIALD" "${PATHS[@]}"
	is "$(status_of 's["store"]["path"], sum(x["in_keyring"] for x in s["secrets"])')" \
		"$STORE 3" "and they are used"
	stop_agent
	check "options come before the environment" launch env PHIAL_STORE=/nowhere \
		PHIAL_IDENTITY=/nowhere PHIAL_TRUST=/nowhere "$PHIALD" "${PATHS[@]}" "${KEYS[@]}"
	stop_agent
	is $? 0 "SIGTERM: exit 0"
}

test_credentials() {
	local credentials=$WORK/credentials locked=$WORK/locked-identity
	install -d -m 0700 "$credentials"
	install -m 0400 "$IDENTITY" "$credentials/phial-identity"
	check "identity from \$CREDENTIALS_DIRECTORY" launch env CREDENTIALS_DIRECTORY="$credentials" \
		"$PHIALD" "${PATHS[@]}" "${KEYS[@]}" --identity /nowhere
	stop_agent
	canary >"$WORK/passphrase"
	"$PHIAL" keygen -o "$locked" --passphrase-fd 5 5<"$WORK/passphrase" >"$WORK/keygen.log" 2>&1 ||
		bail "$(cat "$WORK/keygen.log")"
	fails 12 "needs a passphrase.*--passphrase-fd.*phial-passphrase" "no passphrase" \
		"$PHIALD" "${PATHS[@]}" "${KEYS[@]}" --identity "$locked"
	printf wrong >"$WORK/wrong"
	fails 12 "locked-identity" "the wrong passphrase" \
		"$PHIALD" "${PATHS[@]}" "${KEYS[@]}" --identity "$locked" --passphrase-fd 5 5<"$WORK/wrong"
	check "passphrase by --passphrase-fd" launch \
		"$PHIALD" "${PATHS[@]}" "${KEYS[@]}" --identity "$locked" --passphrase-fd 5 \
		5<"$WORK/passphrase"
	like "$("$PHIAL" status --run-dir "$RUN_DIR")" "web/a: not for this host v.*sealed to tester, and none of the keys at hand.*seal it again" \
		"a host that is no recipient: not for this host, and status says so"
	stop_agent
	install -m 0400 "$locked" "$credentials/phial-identity"
	{ cat "$WORK/passphrase"; echo; } >"$credentials/phial-passphrase"
	check "passphrase from \$CREDENTIALS_DIRECTORY, with a newline" launch \
		env CREDENTIALS_DIRECTORY="$credentials" "$PHIALD" "${PATHS[@]}" "${KEYS[@]}"
	stop_agent
}

said() { grep -q "$1" "$WORK/ready"; }
said_ready_twice() { [ "$(grep -c READY=1 "$WORK/ready")" -ge 2 ]; }

test_notifications_and_reload() {
	launch "$PHIALD" "${PATHS[@]}" "${KEYS[@]}" || bail "the agent does not start"
	seal web/d new
	kill -HUP "$AGENT_PID"
	check "SIGHUP: RELOADING=1" within 5 said "RELOADING=1"
	check "SIGHUP: with MONOTONIC_USEC" said "MONOTONIC_USEC=[1-9]"
	check "SIGHUP: then READY=1 again" within 5 said_ready_twice
	is "$(status_of '[x["in_keyring"] for x in s["secrets"] if x["name"] == "web/d"]')" "[True]" \
		"SIGHUP: the new secret is loaded"
	rm "$STORE/web/d.sealed"
	exits 0 "phial reload" "$PHIAL" reload --run-dir "$RUN_DIR"
	like "$OUTPUT" "web/d: missing .*file is gone" "phial reload: says what is gone"
	is "$(status_of '[x["in_keyring"] for x in s["secrets"] if x["name"] == "web/d"]')" "[True]" \
		"a file that vanished is no revocation: it stays loaded"
	exits 13 "a second agent: exit 13" timeout 20 "$PHIALD" "${PATHS[@]}" "${KEYS[@]}"
	like "$OUTPUT" "another agent runs already on $RUN_DIR" "a second agent: says so"
	agent_answers "the first agent goes on"
	exits 15 "status as another user: exit 15" run_as 65534 "$PHIAL" status --run-dir "$RUN_DIR"
	stop_agent INT
	is $? 0 "SIGINT: exit 0"
	check "STOPPING=1" said "STOPPING=1"
	exits 17 "status without an agent: exit 17" "$PHIAL" status --run-dir "$RUN_DIR"
	like "$OUTPUT" "start phiald.*no agent answers" "status without an agent: says what to do"
	check "the sockets are gone" test ! -e "$RUN_DIR/hook.sock" -a ! -e "$RUN_DIR/admin.sock"
}

state_of_still() { status_of '[c["state"] for c in s["containers"] if c["pid"] == '"$STILL"']'; }
is_held_again() { [ "$(state_of_still)" = "['running']" ]; }

# G7: what an agent that ends leaves. The keys are looked for by their serials.
test_end() {
	local signal keys children
	for signal in TERM KILL; do
		start_agent || bail "the agent does not start"
		read -ra keys <<<"$(ring_of "$AGENT_PID")"
		children=$(children | awk '{ print $1 }')
		new_still
		hook
		is "$HOOK_STATUS" 0 "G7 SIG$signal: a container has its secrets"
		check "G7 SIG$signal: ${#keys[@]} keys are there, denied to root" \
			test "${#keys[@]}" -ge 6 -a "$(key_state "${keys[1]}")" = denied
		check "G7 SIG$signal: all of them" keys_are denied "${keys[@]}"
		stop_agent $signal
		check "G7 SIG$signal: no process is left" within 5 are_gone $children
		check "G7 SIG$signal: no key is left" within 10 keys_are gone "${keys[@]}"
		check "G7 SIG$signal: the running container keeps its files" has_full_set
		start_agent || bail "the next agent does not start"
		within 10 is_held_again
		is "$(state_of_still)" "['running']" "G7 SIG$signal: the next agent holds the container"
		stop_agent
		end_still
	done
}
# Index and keys outlive a worker.
test_worker_dies() {
	local keys old
	seal web/gone vanishing
	start_agent || bail "the agent does not start"
	rm "$STORE/web/gone.sealed"
	read -ra keys <<<"$(ring_of "$AGENT_PID")"
	old=$(worker)
	kill -KILL "$old"
	check "F-01 a killed worker is followed by another" within 10 status_answers
	is "$(status_of 's["agent"]["worker_restarts"]')" 1 "F-01 status counts it"
	like "$(cat "$WORK/agent.log")" "worker was killed by signal 9; starting another" \
		"F-01 the log says so"
	is "$(ring_of "$AGENT_PID")" "${keys[*]}" "F-01 the same keys are in the ring"
	is "$(status_of '[(x["state"], x["in_keyring"]) for x in s["secrets"] if x["name"] == "web/gone"]')" \
		"[('missing', True)]" "F-01 a secret whose file is gone is known from the ring"
	new_still
	hook
	is "$HOOK_STATUS" 0 "F-01 the new worker serves"
	check "F-01 and all is there" has_full_set
	is "$(cat "/proc/$STILL/root/run/secrets/gone")" vanishing \
		"F-01 also the secret whose file is gone"
	end_still
	stop_agent
}

# What is missing at the start may come later: the agent runs, says so, and reads again.
test_late_store() {
	local late=$WORK/late-store trust=$WORK/late-trust
	check "no store: the agent runs" launch "$PHIALD" "${PATHS[@]}" "${KEYS[@]}" --store "$late"
	like "$("$PHIAL" status --run-dir "$RUN_DIR")" "PROBLEM: .*no store at $late.*phial setup" \
		"no store: status says so, and what to do"
	like "$(cat "$WORK/agent.log")" "cannot open the store $late" "no store: the log says so"
	cp -a "$STORE" "$late"
	exits 0 "the store comes: reload works" "$PHIAL" reload --run-dir "$RUN_DIR"
	is "$(status_of 'sum(x["in_keyring"] for x in s["secrets"]), s["store"]["problem"]')" \
		"3 None" "the store comes: loaded, no problem left"
	mv "$late" "$late-away"
	exits 19 "the store goes: reload fails" "$PHIAL" reload --run-dir "$RUN_DIR"
	is "$(status_of 'sum(x["in_keyring"] for x in s["secrets"])')" 3 \
		"the store goes: what is loaded is served"
	stop_agent
	check "no trust: the agent runs" launch "$PHIALD" "${PATHS[@]}" "${KEYS[@]}" --trust "$trust"
	like "$("$PHIAL" status --run-dir "$RUN_DIR")" "PROBLEM: .*$trust" "no trust: status says so"
	is "$(status_of 's["secrets"]')" "[]" "no trust: nothing is loaded"
	canary >"$trust"
	"$PHIAL" reload --run-dir "$RUN_DIR" >"$WORK/reload" 2>&1
	like "$(cat "$WORK/reload")" "$trust" "a trust file of nonsense: refused"
	unlike "$(cat "$WORK/reload" "$WORK/agent.log")" "$(cat "$trust")" \
		"L-04 a trust file of nonsense is not quoted"
	cp "$TRUST" "$trust"
	exits 0 "the right trust comes: reload works" "$PHIAL" reload --run-dir "$RUN_DIR"
	is "$(status_of 'sum(x["in_keyring"] for x in s["secrets"])')" 3 "the right trust comes: loaded"
	stop_agent
}

loaded() { status_of 'sum(x["in_keyring"] for x in s["secrets"])'; }
reload() { "$PHIAL" reload --run-dir "$RUN_DIR"; }
version_of() { status_of '[x["version"] for x in s["secrets"] if x["name"] == "'"$1"'"][0]'; }

# The signature carries trust, not the owner.
test_kinds_of_store() {
	local deploy=$WORK/deploy-store
	cp -a "$STORE" "$deploy"
	chown -R 1234:1234 "$deploy"
	chmod -R u=rwX,go=rX "$deploy"
	launch "$PHIALD" "${PATHS[@]}" "${KEYS[@]}" --store "$deploy"
	is "$(loaded)" 3 "a store of a deploy user is served"
	stop_agent
	make_config_map
	launch "$PHIALD" "${PATHS[@]}" "${KEYS[@]}" --store "$WORK/volume"
	is "$(loaded)" 3 "a ConfigMap volume is served"
	local old
	old=$(version_of web/a)
	seal web/a "rotated value"
	swap_config_map
	check "a ConfigMap volume is swapped: reload" reload
	check "a ConfigMap volume is swapped: the new version is loaded" \
		test "$(version_of web/a)" -gt "$old"
	stop_agent
	ln -s "$WORK/volume/..data/" "$WORK/current"
	launch "$PHIALD" "${PATHS[@]}" "${KEYS[@]}" --store "$WORK/current"
	is "$(loaded)" 3 "a store by a symbolic link is served"
	old=$(version_of web/a)
	seal web/a "rotated once more"
	ln -sfn "$STORE" "$WORK/current"
	check "the link is switched: reload" reload
	check "the link is switched: the new version is loaded" test "$(version_of web/a)" -gt "$old"
	stop_agent
}

# As the kubelet's AtomicWriter lays out items with paths.
make_config_map() {
	mkdir -p "$WORK/volume/..1"
	cp -a "$STORE/." "$WORK/volume/..1"
	ln -s ..1 "$WORK/volume/..data"
	ln -s ..data/.phial "$WORK/volume/.phial"
	ln -s ..data/web "$WORK/volume/web"
}
swap_config_map() {
	mkdir "$WORK/volume/..2"
	cp -a "$STORE/." "$WORK/volume/..2"
	ln -s ..2 "$WORK/volume/..data_tmp"
	mv -T "$WORK/volume/..data_tmp" "$WORK/volume/..data"
	rm -rf "$WORK/volume/..1"
}

# `web: RUNNING ..., but a restart would fail: v9 refused (expired)`, and the worst first.
test_would_restart_work() {
	local output
	seal mail/x fine
	start_agent || bail "the agent does not start"
	new_still
	hook
	printf %s expired-value | with_clock -864000 "$PHIAL" seal ops/z --store "$STORE" \
		--not-after +1d >"$WORK/seal.log" 2>&1 || bail "$(cat "$WORK/seal.log")"
	sealed_expired web/a
	reload >/dev/null
	output=$("$PHIAL" status --run-dir "$RUN_DIR")
	like "$(sed -n 2,3p <<<"$output" | tr '\n' ' ')" \
		"web: RUNNING.*but a restart would (fail|FAIL):.*web/a v[0-9]+ refused \(.*expir" \
		"status: the workload that runs and could not start again comes first, with the reason"
	is "$(status_of '[(w["name"], w["live"], w["would_start"]) for w in s["workloads"]
		if w["name"] in ("web", "mail")]')" \
		"[('mail', 0, True), ('web', 1, False)]" "status --json says the same"
	is "$(status_of 's["secrets"][0]["state"], s["secrets"][-1]["state"]')" \
		"refused loaded" "status --json: refused secrets come first"
	unlike "$output" "$(cat "$VALUES/a")|expired-value" "L-04 status holds no value"
	stop_agent
	end_still
}

# sealed_expired NAME: a newer version of it, whose time has passed. Its version must be newer than
# the one that is there, so it was made by a clock that is late by little.
sealed_expired() {
	printf %s other | "$PHIAL" seal "$1" --store "$STORE" --not-after "$(date -u -d '+2 seconds' \
		+%Y-%m-%dT%H:%M:%SZ)" >"$WORK/seal.log" 2>&1 || bail "$(cat "$WORK/seal.log")"
	sleep 3
}

# pinned_seal DIR NAME: as the signer of a store that make_store made
pinned_seal() {
	mkdir -p "$XDG_CONFIG_HOME/phial"
	cp "$1/trust" "$XDG_CONFIG_HOME/phial/trust"
	"$PHIAL" seal "$2" --from "$WORK/large" --keep-newline -s "$1/signer.key" \
		--store "$1/store" >"$WORK/seal.log" 2>&1 || bail "$(cat "$WORK/seal.log")"
}

test_many_secrets() {
	local many=$WORK/many
	mkdir "$many"
	"$BUILD/tests/bench/make_store" "$many" 10000 1024 || bail "make_store"
	head -c 1048576 /dev/urandom >"$WORK/large"
	HOME=$many XDG_CONFIG_HOME=$many/config pinned_seal "$many" web/large
	launch "$PHIALD" "${PATHS[@]}" --state-dir "$WORK/state-many" --store "$many/store" \
		--identity "$many/identity" --trust "$many/trust" || bail "$(tail -5 "$WORK/agent.log")"
	is "$(loaded)" 10001 \
		"10,000 secrets of 1 KiB and one of 1 MiB load on default sysctls"
	is "$(status_of 'sum(x["state"] != "loaded" for x in s["secrets"])')" 0 "none is refused"
	kill -KILL "$(worker)"
	check "a new worker knows them all" within 20 status_answers
	is "$(loaded)" 10001 "a new worker has them all in its index"
	new_still
	hook
	check "the one of 1 MiB arrives" cmp "$WORK/large" "/proc/$STILL/root/run/secrets/large"
	end_still
	stop_agent
	rm -rf "$many"
}

main() {
	test_command_line
	test_identity
	test_planted_directories
	test_options_and_environment
	test_credentials
	test_notifications_and_reload
	test_end
	test_worker_dies
	test_late_store
	test_kinds_of_store
	test_many_secrets
	test_would_restart_work
}

main
finish
