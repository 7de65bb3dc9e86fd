#!/bin/bash
# SPDX-License-Identifier: ISC
# Secrets that leave a container again: each file after it was read, or all after a time; and what
# does not bring them back. A look at a file must not read it here: stat, never cat.
# suite-timeout: 120
# shellcheck source=../attack/_lib.sh
. "$(dirname "$0")/../attack/_lib.sh"
need_root
need runc crun busybox python3

sign_policy() {
	printf '{ "phial": "policy v1", "serial": 1, "workloads": {
	"once": { "secrets": ["web/db", "web/key"], "keep": "until-read", "linger": "0s", "grace": "0s" },
	"slow": { "secrets": ["web/db"], "keep": "until-read", "linger": "3s" },
	"timed": { "secrets": ["web/db", "web/key"], "keep": "2s", "grace": "1s" }
	} }\n' >"$STORE/.phial/policy.json"
	"$PHIAL" policy sign --store "$STORE" >"$WORK/policy.log" 2>&1 ||
		bail "phial policy sign: $(cat "$WORK/policy.log")"
}

reload() { "$PHIAL" reload --run-dir "$RUN_DIR" >"$WORK/reload" 2>&1; }

# put NAME: seal a new value, which is in $VALUE
put() {
	VALUE=$(canary)
	seal "$1" "$VALUE"
}

# launch WORKLOAD [COMMAND...]: a container that does this and stays
launch() {
	local workload=$1
	shift
	bundle --grant "$workload" --user 1000 --dir /tmp -- sh -c "${*:-:}; exec sleep 600"
	start_container || bail "no container"
}

# files: the names that the container has, without reading any
files() { (cd "/proc/$CONTAINER_PID/root/run/secrets" && ls | tr '\n' ' '); }
has_files() { [ "$(files)" = "$1" ]; }
has_files_soon() { # NAMES DESCRIPTION...
	within 20 has_files "$1"
	is "$(files)" "$1" "${*:2}"
}
generation() { cat "/proc/$CONTAINER_PID/root/run/secrets/.generation"; }
is_generation() { [ "$(generation)" = "$1" ]; }

# in_container COMMAND...: as its user
in_container() { runtime "$runtime" exec "$CONTAINER" "$@" </dev/null; }

removed() {
	status_of "[' '.join(c['removed']) for c in s['containers'] if c['id'] == '$CONTAINER'][0]"
}

test_until_read() {
	launch once
	is "$(files)" "db key " "$runtime, until-read: both files are there at the start"
	in_container ls -lL /run/secrets >"$WORK/ls"
	put web/key # a rotation is no read, and an unread file comes again
	reload
	within 20 is_generation 2
	is "$(files)$(generation)" "db key 2" "... after a look at them and a rotation, too"
	is "$(in_container cat /run/secrets/key | sha256sum | cut -c-64)" "$(sha "$VALUE")" \
		"... the container reads one"
	has_files_soon "db " "... which goes; the other stays"
	is "$(find "/proc/$CONTAINER_PID/root/run/secrets/" -name key)" "" "... from every generation"
	within 10 test "$(removed)" = web/key
	is "$(removed)" "web/key" "... status says so"
	put web/key
	put web/db
	reload
	within 20 is_generation 3
	is "$(files)$(generation)" "db 3" "... a new version does not bring it back"
	in_container sh -c ': </run/secrets/db'
	has_files_soon "" "... to open and close a file is to read it"
	put web/db
	reload
	is "$(files)" "" "... and nothing comes back"
	runtime_stop "$runtime" "$CONTAINER"
}

# An application that reads at its very start is not too early.
test_reads_at_start() {
	launch once 'cat /run/secrets/db >/dev/null; cat /run/secrets/key >/dev/null'
	has_files_soon "" "$runtime, until-read: what is read as the first thing of all goes"
	runtime_stop "$runtime" "$CONTAINER"
}

# Read while there is no worker, and by one who holds the file open or mapped for a time.
test_worker_dies() {
	launch once
	kill -KILL "$(worker)"
	in_container sh -c ': </run/secrets/db'
	has_files_soon "key " "$runtime, until-read: a read while the worker is dead counts"
	runtime_stop "$runtime" "$CONTAINER"
}

test_linger() {
	launch slow 'exec 3</run/secrets/db; while [ ! -e /tmp/go ]; do sleep 0.1; done; exec 3<&-'
	sleep 0.5
	is "$(files)" "db " "$runtime, until-read: a file that is open is not read yet"
	local began=$SECONDS
	touch "/proc/$CONTAINER_PID/root/tmp/go"
	within 10 has_closed
	if [ $((SECONDS - began)) -lt 2 ]; then
		is "$(files)" "db " "... and stays for the linger time after that"
	else
		skip "this took longer than the linger time" "... and stays for the linger time after that"
	fi
	has_files_soon "" "... then it goes"
	runtime_stop "$runtime" "$CONTAINER"
}
has_closed() { tr '\0' ' ' <"/proc/$CONTAINER_PID/cmdline" | grep -q '^sleep 600'; }

test_time() {
	launch timed
	has_files_soon "" "$runtime, keep 2s: after that time all is gone"
	is "$(removed)" "web/db web/key" "... status says so"
	put web/db
	reload
	put web/key
	reload
	is "$(files)" "" "... and a new version does not bring it back"
	kill -KILL "$(worker)"
	within 10 status_answers
	reload
	is "$(files)$(removed)" "web/db web/key" "... nor does a new worker"
	runtime_stop "$runtime" "$CONTAINER"
}

make_store
put web/db
DB=$VALUE
put web/key
sign_policy
start_agent || bail "the agent does not start"
for runtime in $(runtimes); do
	test_until_read
	test_reads_at_start
	test_worker_dies
	test_linger
	test_time
done
stop_agent
is $? 0 "the agent ends"
for value in "$DB" "$VALUE"; do
	sweep "in the end no value is anywhere" "$value" --no-swap
done
finish
