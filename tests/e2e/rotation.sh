#!/bin/bash
# SPDX-License-Identifier: ISC
# A new version in the store reaches running containers, all or nothing, and the old one goes after
# its grace; a bad new version changes nothing. suite-timeout: 200
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
need runc crun busybox python3 inotifywait

GRACE_S=2

sign_policy() {
	printf '{ "phial": "policy v1", "serial": 1, "workloads": {
	"web": { "secrets": ["web/db", "web/key", "shared/token"], "grace": "%ds" },
	"mail": { "secrets": ["mail/db", "shared/token"], "grace": "0s" },
	"fast": { "secrets": ["fast/a", "fast/b"], "grace": "100ms" }
	} }\n' $GRACE_S >"$STORE/.phial/policy.json"
	"$PHIAL" policy sign --store "$STORE" >"$WORK/policy.log" 2>&1 ||
		bail "phial policy sign: $(cat "$WORK/policy.log")"
}

reload() { "$PHIAL" reload --run-dir "$RUN_DIR" >"$WORK/reload" 2>&1; }

# put NAME: seal a new value, which is in $VALUE
put() {
	VALUE=$(canary)
	seal "$1" "$VALUE"
}

# sees PID FILE: hash of what a container's process reads there
sees() { sha256sum <"/proc/$1/root/run/secrets/$2" 2>/dev/null | cut -c-64; }
has() { [ "$(sees "$1" "$2")" = "$(sha "$3")" ]; }
# has_soon PID FILE VALUE DESCRIPTION...
has_soon() {
	within 20 has "$1" "$2" "$3"
	is "$(sees "$1" "$2")" "$(sha "$3")" "${@:4}"
}
generation() { cat "/proc/$1/root/run/secrets/.generation"; }
is_generation() { [ "$(generation "$1")" = "$2" ]; }
# generations PID: the directories of all that are there
generations() { (cd "/proc/$1/root/run/secrets" && ls -A | grep -E '^\.\.[0-9]' | tr '\n' ' '); }
has_generations() { [ "$(generations "$1")" = "$2" ]; }

# launch WORKLOAD OPTION...: a container that stays; its process is $CONTAINER_PID
launch() {
	local workload=$1
	shift
	bundle --grant "$workload" "$@" -- sleep 600
	start_container || bail "no container"
}

launch_all() {
	launch web --user 1000 "${WATCHER[@]}"
	PLAIN=$CONTAINER_PID PLAIN_ID=$CONTAINER
	launch web --user 1000 --read-only --userns
	INNER=$CONTAINER_PID
	launch mail
	MAIL=$CONTAINER_PID
}

# watch NAME ARGUMENT...: inotifywait in the container, as its user, writing to a file
watch() {
	local name=$1
	shift
	rm -f "$WORK/watch-$name"
	start_quietly "$WORK/watch-$name" runtime "$runtime" exec "$PLAIN_ID" \
		/inotifywait --monitor --format '%e %f' "$@"
	within 10 grep -q 'Watches established' "$WORK/watch-$name" ||
		diag "no watch: $(cat "$WORK/watch-$name")"
}
watched() { grep -q -- "$2" "$WORK/watch-$1"; }
watch_sees() { # NAME PATTERN DESCRIPTION
	within 10 watched "$1" "$2"
	like "$(cat "$WORK/watch-$1")" "$2" "$3"
}

test_rotation() {
	put web/key
	local key=$VALUE
	reload
	has_soon "$PLAIN" key "$key" "$runtime: a new version reaches a container"
	has_soon "$INNER" key "$key" "... and a second one, read-only, in a user namespace"
	is "$(generation "$PLAIN") $(generation "$INNER") $(generation "$MAIL")" "2 2 1" \
		"... their counters say so, and one that does not hold the secret is left alone"
	is "$(sees "$PLAIN" db)" "$(sha "$DB")" "... the other secret is as it was"
	is "$(stat -L -c '%u:%g %a' "/proc/$PLAIN/root/run/secrets/key")" "1000:1000 400" \
		"... owner and mode as at the start"
	within 20 has_generations "$PLAIN" "..2 "
	is "$(generations "$PLAIN")" "..2 " "... after the grace only the new generation is there"
	is "$(status_of 'sorted(x["version"] for c in s["containers"] for x in c["secrets"]
		if x["name"] == "web/key")[0] == [x["version"] for x in s["secrets"]
		if x["name"] == "web/key"][0]')" True "... and status has the new version for both"
	KEY=$key
}

# A version in the grace time: who opened the directory, the file or a mapping before.
test_grace() {
	local began=$SECONDS
	rm -f "$WORK/held"
	start_quietly "$WORK/hold.log" python3 "$ROOT/tests/tools/hold.py" \
		"/proc/$PLAIN/root/run/secrets/key" "$WORK/held"
	local holder=$STARTED_PID
	within 10 grep -q held "$WORK/held" || diag "$(cat "$WORK/hold.log")"
	exec 7<"/proc/$PLAIN/root/run/secrets/..data"
	put web/key
	reload
	has_soon "$PLAIN" key "$VALUE" "$runtime: the next version"
	local pinned
	pinned=$(sha256sum </proc/self/fd/7/key 2>/dev/null | cut -c-64)
	if [ $((SECONDS - began)) -lt $GRACE_S ] || [ -n "$pinned" ]; then
		is "$pinned" "$(sha "$KEY")" "... who pinned the directory still reads the old one"
	else
		skip "this took longer than the grace" "... who pinned the directory reads the old one"
	fi
	within 20 has_generations "$PLAIN" "..3 "
	is "$(ls -A /proc/self/fd/7/)" "" "... until the grace is over"
	exec 7<&-
	check "C-08: an open descriptor and a mapping live through the wipe" stop "$holder"
	is "$(tr '\n' ' ' <"$WORK/held")" "held zeros zeros " "... and show zeros"
	KEY=$VALUE
}

test_shared() {
	local token
	put shared/token
	token=$VALUE
	reload
	has_soon "$PLAIN" token "$token" "$runtime: a secret of two workloads: the one has it"
	has_soon "$MAIL" token "$token" "... and so has the other"
	within 20 has_generations "$MAIL" "..2 "
	is "$(generations "$MAIL")" "..2 " "... which has no grace"
	within 20 has_generations "$PLAIN" "..4 "
}

# What inotify tells of a rotation: docs/rotation.md says it in the same words.
test_watchers() {
	watch directory /run/secrets
	watch file -e attrib -e modify -e close_write -e delete_self -e move_self /run/secrets/key
	watch generation -e attrib -e moved_to /run/secrets/.generation
	put web/key
	reload
	has_soon "$PLAIN" key "$VALUE" "$runtime: a rotation under the eyes of inotifywait"
	watch_sees directory '^MOVED_TO \.\.data$' "... a watch on the directory sees ..data moved in"
	watch_sees file '^ATTRIB ' "... one on a file sees its attributes change"
	watch_sees generation '^ATTRIB ' "... as does one on the counter"
	watch_sees file '^DELETE_SELF ' "... and after the grace that it is deleted"
	watch_sees file '^MODIFY ' "... and was overwritten before"
	unlike "$(head -n 3 "$WORK/watch-file" | tail -n 1)" '^(MODIFY|DELETE_SELF)' \
		"... in that order"
	KEY=$VALUE
}

# stage NAME: as put, but beside the store, which the agent watches; move it in with `publish`
stage() {
	local STORE=$WORK/staging
	put "$1"
}
publish() { mv "$WORK/staging/$1.sealed" "$STORE/$1.sealed"; }

# spoil KIND: make the staged file of web/db bad
spoil() {
	local file=$WORK/staging/web/db.sealed
	case $1 in
	tampered) python3 - "$file" <<-'PYTHON' ;;
		import sys
		text = bytearray(open(sys.argv[1], "rb").read())
		at = text.index(b"-----END AGE") - 20
		text[at] = ord("A") if text[at] != ord("A") else ord("B")
		open(sys.argv[1], "wb").write(text)
		PYTHON
	unsigned) sed -i '/^untrusted comment:/,$d' "$file" ;;
	foreign)
		printf %s "$DB" | "$PHIAL" seal web/db -r "$FOREIGN" -o "$file.new" >"$WORK/seal.log" 2>&1 ||
			bail "$(cat "$WORK/seal.log")"
		mv "$file.new" "$file"
		;;
	rolled-back) cp "$WORK/first.sealed" "$file" ;;
	esac
}

# A bad version comes together with a good one of another secret of the same workload.
test_bad() {
	local kind n
	n=$(generation "$PLAIN")
	rm -rf "$WORK/staging"
	cp -a "$STORE" "$WORK/staging"
	for kind in tampered unsigned foreign rolled-back; do
		stage web/db # newer than what the containers have, and bad
		spoil $kind
		publish web/db
		stage web/key
		publish web/key
		reload
		is "$(status_of '[x["state"] for x in s["secrets"] if x["name"] == "web/db"][0] != "loaded"')" \
			True "$runtime, $kind: status says that the new version is not good"
		put mail/db
		reload
		has_soon "$MAIL" db "$VALUE" "... another workload goes on"
		is "$(sees "$PLAIN" db) $(sees "$PLAIN" key) $(generation "$PLAIN")" \
			"$(sha "$DB") $(sha "$KEY") $n" "... nothing changed, not even the good secret"
		like "$(status_of '[c["problem"] for c in s["containers"] if c["workload"] == "web"]')" \
			'web/db' "... and status says why"
	done
	put web/key
	KEY=$VALUE
	put web/db
	DB=$VALUE
	reload
	has_soon "$PLAIN" db "$DB" "$runtime: a good version ends that"
	has_soon "$PLAIN" key "$KEY" "... and brings both secrets"
}

# A reader in the container, while versions come as fast as they can. It reads with the shell's own
# means, and does not count a pass that took as long as the grace: then anything may be.
# shellcheck disable=SC2016
READER='
now() { IFS=" ." read -r S C _ </proc/uptime; NOW=$((S * 100 + ${C#0})); }
passes=0
while [ ! -e /tmp/stop ]; do
	now; BEGAN=$NOW BAD=
	cd -P /run/secrets/..data || BAD="no directory"
	a= b=
	read -r a <a || [ -n "$a" ] || BAD="a is missing"
	read -r b <b || [ -n "$b" ] || BAD="b is missing"
	case $a$b in *[!0-9]* | "") BAD="wiped" ;; esac
	[ "$a" = "$b" ] || [ "$a" = $((b + 1)) ] || BAD="torn: $a $b"
	now
	[ $((NOW - BEGAN)) -ge 9 ] || [ -z "$BAD" ] || echo "$BAD"
	now; BEGAN=$NOW BAD=
	c=
	read -r c </run/secrets/a || [ -n "$c" ] || BAD="no /run/secrets/a"
	now
	[ $((NOW - BEGAN)) -ge 9 ] || [ -z "$BAD" ] || echo "$BAD"
	passes=$((passes + 1))
done
echo "passes $passes"'

VERSIONS=200
feed() {
	local n
	for ((n = 2; n <= VERSIONS; n++)); do
		seal fast/a $n
		seal fast/b $n
		reload
	done
}

start_readers() {
	bundle --grant fast --dir /tmp -- sh -c "$READER"
	start_container || bail "no container"
	READERS=$CONTAINER_PID READERS_BUNDLE=$B
	start feed
	FEED=$STARTED_PID
}

end_readers() {
	wait "$FEED"
	has_soon "$READERS" b $VERSIONS "$VERSIONS versions of two secrets: the last one arrives"
	[ "$(generation "$READERS")" -gt $((VERSIONS / 4)) ]
	is $? 0 "... by many rotations ($(generation "$READERS")), with a grace of 100 ms"
	touch "/proc/$READERS/root/tmp/stop"
	within 10 grep -q passes "$READERS_BUNDLE/output"
	is "$(sed 's/ [0-9]*$//' "$READERS_BUNDLE/output" | sort -u)" passes \
		"G6: no reader saw a torn set or a missing file"
	like "$(cat "$READERS_BUNDLE/output")" 'passes [0-9]{3,}$' "... of many"
}

# inotifywait and what it is linked with, for the container that watches.
WATCHER=(--file "$(command -v inotifywait):/inotifywait")
while read -r library; do
	WATCHER+=(--file "$library:$library")
done < <(ldd "$(command -v inotifywait)" | grep -o '/[^ ]*')
make_store
put web/key && KEY=$VALUE
put web/db && DB=$VALUE
cp "$STORE/web/db.sealed" "$WORK/first.sealed"
put web/db && DB=$VALUE
put shared/token
put mail/db
seal fast/a 1
seal fast/b 1
FOREIGN=$(age-keygen 2>/dev/null | sed -n 's/^# public key: //p')
sign_policy
start_agent || bail "the agent does not start"
runtime=runc
start_readers
for runtime in $(runtimes); do
	launch_all
	test_rotation
	test_grace
	test_shared
	test_watchers
	test_bad
done
end_readers
stop_agent
is $? 0 "the agent ends"
for value in "$DB" "$KEY"; do
	sweep "C-08, L-04: no value is outside of the containers" "$value" --no-swap
	unlike "$(cat "$WORK/agent.log")" "$value" "L-04: none is in the log"
done
finish
