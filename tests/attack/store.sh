#!/bin/bash
# SPDX-License-Identifier: ISC
# Whoever can write the store, and nothing else: every kind of file that the agent must refuse, all at
# once and beside good ones; replay, rollback and clocks, also over a restart of the agent; damaged
# marks. suite-timeout: 180
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
need busybox python3 keyctl gcc minisign
need_fault

RUN_DIR=$WORK/run
STATE_DIR=$WORK/state
make_store
make_three
HOST_KEY=$(sed -n 's/^# public key: //p' "$IDENTITY")
reload() { "$PHIAL" reload --run-dir "$RUN_DIR"; }

# outside NAME KEY RECIPIENT FILE [option...]: a value sealed without the store's consent
outside() {
	local name=$1 key=$2 recipient=$3 file=$4
	shift 4
	mkdir -p "$(dirname "$file")"
	(cd "$WORK" && canary | "$PHIAL" seal "$name" --from - -s "$key" -r "$recipient" -o "$file" \
		--keep-newline "$@") >"$WORK/seal.log" 2>&1 || bail "seal $name: $(cat "$WORK/seal.log")"
}

signer_key() { # NAME
	"$PHIAL" signer keygen --no-passphrase -o "$WORK/$1.sec" >"$WORK/keygen.log" 2>&1 ||
		bail "$(cat "$WORK/keygen.log")"
}

# What each bad file is refused with: name, then what the reason must say.
make_bad_files() {
	local bad=$STORE/bad
	mkdir -p "$bad"
	signer_key mallory
	signer_key limited
	"$PHIAL" signer add limited "$(tail -n 1 "$WORK/limited.sec.pub")" 'web/*' --store "$STORE" \
		>"$WORK/signer.log" 2>&1 || bail "$(cat "$WORK/signer.log")"
	sed '/^untrusted comment: /,$d' "$STORE/web/a.sealed" >"$bad/unsigned.sealed"
	outside bad/unknown "$WORK/mallory.sec" "$HOST_KEY" "$bad/unknown.sealed"
	outside bad/pattern "$WORK/limited.sec" "$HOST_KEY" "$bad/pattern.sealed"
	outside web/allowed "$WORK/limited.sec" "$HOST_KEY" "$STORE/web/allowed.sealed"
	"$PHIAL" keygen --no-passphrase -o "$WORK/other.age" >"$WORK/keygen.log" 2>&1
	outside bad/foreign "$XDG_CONFIG_HOME/phial/signer.key" \
		"$(sed -n 's/^# public key: //p' "$WORK/other.age")" "$bad/foreign.sealed"
	with_clock -864000 outside bad/expired "$XDG_CONFIG_HOME/phial/signer.key" "$HOST_KEY" \
		"$bad/expired.sealed" --not-after +1d
	with_clock 864000 outside bad/future "$XDG_CONFIG_HOME/phial/signer.key" "$HOST_KEY" \
		"$bad/future.sealed"
	cp "$STORE/web/a.sealed" "$bad/misnamed.sealed"
	# The signature of one file under another, and somebody's ciphertext signed anew by another.
	{
		sed '/^untrusted comment: /,$d' "$STORE/web/b.sealed" | sed 's|^name: .*|name: bad/swapped|'
		sed -n '/^untrusted comment: /,$p' "$STORE/web/b.sealed"
	} >"$bad/swapped.sealed"
	rewrap
	sed 's/^version: /version: 1/' "$STORE/web/c.sealed" >"$bad/edited.sealed"
	head -c 3000000 /dev/zero >"$bad/large.sealed"
	: >"$bad/empty.sealed"
	head -c 400 "$STORE/web/a.sealed" >"$bad/cut.sealed"
	sed 's/$/\r/' "$STORE/web/a.sealed" >"$bad/crlf.sealed"
	{ echo '<<<<<<< HEAD'; cat "$STORE/web/a.sealed"; } >"$bad/conflict.sealed"
	mkdir "$bad/folder.sealed"
	mkfifo "$bad/pipe.sealed"
	ln -s /etc/passwd "$bad/outside.sealed"
	ln -s "$WORK/init.log" "$bad/outside2.sealed"
	ln -s loop.sealed "$bad/loop.sealed"
	cp "$STORE/web/a.sealed" "$bad/with space.sealed"
	cp "$STORE/web/a.sealed" "$bad/$(printf 'esc\033[31m').sealed"
	cp "$STORE/web/a.sealed" "$bad/$(printf '%070d' 0).sealed"
	cp "$STORE/web/a.sealed" "$bad/Twin.sealed"
	cp "$STORE/web/a.sealed" "$bad/twin.sealed"
	mkdir -p "$STORE/one/two/three/four"
	cp "$STORE/web/a.sealed" "$STORE/one/two/three/four/five.sealed"
	# Not sealed files, and nobody's business:
	echo text | tee "$STORE/README.md" "$bad/a.sealed~" "$bad/a.sealed.swp" "$bad/a.age" >/dev/null
	mkdir -p "$STORE/.git" && cp "$STORE/web/a.sealed" "$STORE/.git/x.sealed"
}

# mallory may sign bad/rewrapped, but the body that she signs was made for another header.
rewrap() {
	signer_key rewrapper
	"$PHIAL" signer add rewrapper "$(tail -n 1 "$WORK/rewrapper.sec.pub")" 'bad/*' --store "$STORE" \
		>"$WORK/signer.log" 2>&1 || bail "$(cat "$WORK/signer.log")"
	outside bad/rewrapped "$WORK/rewrapper.sec" "$HOST_KEY" "$WORK/own.sealed"
	{
		sed '/^-----BEGIN AGE/,$d' "$WORK/own.sealed"
		sed -n '/^-----BEGIN AGE/,/^-----END AGE/p' "$STORE/web/a.sealed"
	} >"$WORK/rewrapped"
	minisign -S -s "$WORK/rewrapper.sec" -m "$WORK/rewrapped" -t "phial sealed file v1" \
		-c "signature from phial" </dev/null >/dev/null || bail "minisign"
	cat "$WORK/rewrapped" "$WORK/rewrapped.minisig" >"$STORE/bad/rewrapped.sealed"
}

BAD_FILES="bad/unsigned|signature
bad/unknown|not .*signer|unknown|nobody|no signer
bad/pattern|may not|pattern|limited
bad/expired|expired; seal it anew
bad/future|future; check the clock
bad/misnamed|holds the secret web/a; put it back
bad/swapped|signature
bad/rewrapped|header|body
bad/edited|signature|future|holds the secret
bad/large|more than [0-9]+ bytes
bad/empty|empty|line 1|sealed
bad/cut|cut|ends|line|sealed
bad/crlf|CR|carriage|line end
bad/conflict|conflict"
BAD_NAMES="bad/folder.sealed: not a regular file
bad/pipe.sealed: not a regular file
bad/outside.sealed: .*leads out
bad/outside2.sealed: .*leads out
bad/loop.sealed: .*symbolic links
bad/with space.sealed: .+
bad/esc.x1b.31m.sealed: .+
bad/0{70}.sealed: .+
bad/Twin: .*differs from it only in case; rename
bad/twin: .*differs from it only in case; rename
one/two/three/four/five.sealed: .+"

test_refusals() {
	local name pattern reason files log
	make_bad_files
	start_agent || bail "the agent does not start: $(tail -5 "$WORK/agent.log")"
	status_json >"$WORK/status.json"
	log=$(cat "$WORK/agent.log")
	while IFS='|' read -r name pattern; do
		reason=$(python3 -c 'import json, sys
for s in json.load(open(sys.argv[1]))["secrets"]:
    if s["name"] == sys.argv[2]:
        print(s["state"], s["in_keyring"], s.get("class", "?"), "|", s.get("reason", "?"))' \
			"$WORK/status.json" "$name")
		like "$reason" "^refused False .*\| .*($pattern)" "S-06 $name is refused: $pattern"
		like "$log" "refused $name\.sealed: .*($pattern)" "S-06 $name: the log says so"
	done <<<"$BAD_FILES"
	like "$("$PHIAL" status --run-dir "$RUN_DIR")" \
		'bad/foreign: not for this host .*none of the keys at hand.*seal it again' \
		"S-05 what is for another host is listed, and is no fault of this one"
	files=$(python3 -c 'import json, sys
print("\n".join(json.load(open(sys.argv[1]))["bad_files"]))' "$WORK/status.json")
	while IFS= read -r pattern; do
		like "$files" "^$pattern" "S-13 status lists $pattern"
	done <<<"$BAD_NAMES"
	is "$(grep -c . <<<"$files")" "$(grep -c . <<<"$BAD_NAMES")" "S-13 and no other"
	is "$(status_of 'sorted(s_["name"] for s_ in s["secrets"] if s_["in_keyring"])')" \
		"['web/a', 'web/allowed', 'web/b', 'web/c']" "S-06 the rest is served, and only the rest"
	unlike "$(cat "$WORK/status.json")" "README|\.git/|a\.age|\.swp|sealed~" "other files are ignored"
	unlike "$("$PHIAL" status --run-dir "$RUN_DIR")$log" $'\033' "S-13 no escape sequence is printed"
	new_still
	hook
	check "S-06 a container gets its secrets beside all that" has_full_set
	end_still
	stop_agent
	rm -rf "$STORE/bad" "$STORE/one" "$STORE/web/allowed.sealed"
}

state_of() { # NAME: state, whether loaded, reason
	status_of '[(x["state"], x["in_keyring"], x.get("reason", "")) for x in s["secrets"]
		if x["name"] == "'"$1"'"]'
}

# S-04: an older version comes back, while the agent runs and after it was away.
test_rollback() {
	cp "$STORE/web/a.sealed" "$WORK/old.sealed"
	start_agent || bail "the agent does not start"
	seal web/a "second value"
	reload >/dev/null
	cp "$STORE/web/a.sealed" "$WORK/second.sealed"
	cp "$WORK/old.sealed" "$STORE/web/a.sealed"
	reload >/dev/null
	like "$(state_of web/a)" "'refused', True, .*older than.*phial revert web/a --to" \
		"S-04 an older version is refused; the newer one stays loaded"
	stop_agent
	start_agent || bail "the agent does not start"
	like "$(state_of web/a)" "'refused', False, .*older than.*phial revert web/a --to" \
		"S-04 after a restart: refused, and nothing of it is loaded"
	new_still
	hook
	is "$HOOK_STATUS" 8 "S-04 after a restart: its container is refused"
	like "$HOOK_OUTPUT" "web/a v[0-9]+ refused .*older than" "S-04 after a restart: and told why"
	end_still
	cp "$WORK/second.sealed" "$STORE/web/a.sealed"
	reload >/dev/null
	is "$(state_of web/a)" "[('loaded', True, '')]" "S-04 the newest version is taken again"
	stop_agent
}

# Two branches of one store: the same version with different content.
test_equal_versions() {
	with_clock 3600 seal web/a "an hour ahead"
	cp -a "$STORE" "$WORK/branch"
	seal web/a "one branch"
	(STORE=$WORK/branch seal web/a "other branch")
	is "$(sed -n 's/^version: //p' "$STORE/web/a.sealed")" \
		"$(sed -n 's/^version: //p' "$WORK/branch/web/a.sealed")" "S-04 two files of one version"
	start_agent || bail "the agent does not start"
	is "$(state_of web/a)" "[('loaded', True, '')]" "S-04 the first that was seen is loaded"
	cp "$WORK/branch/web/a.sealed" "$STORE/web/a.sealed"
	reload >/dev/null
	like "$(state_of web/a)" "'refused', True, .*other content; seal it again" \
		"S-04 the other of the same version is refused"
	seal web/a "merged"
	reload >/dev/null
	is "$(state_of web/a)" "[('loaded', True, '')]" "S-04 sealed again, it is taken"
	stop_agent
}

# A trust file of an older serial must not bring back who was taken out.
test_trust_rollback() {
	cp -a "$STORE/.phial" "$WORK/old-trust"
	start_agent || bail "the agent does not start"
	"$PHIAL" signer rm rewrapper --store "$STORE" >"$WORK/signer.log" 2>&1 ||
		bail "$(cat "$WORK/signer.log")"
	reload >/dev/null
	cp "$STORE/.phial/"* "$WORK" # the new ones
	cp "$WORK/old-trust/"* "$STORE/.phial/"
	exits 19 "S-04 an older list of signers: reload fails" "$PHIAL" reload --run-dir "$RUN_DIR"
	like "$OUTPUT" "signers: serial [0-9]+ is older" "S-04 an older list of signers: says so"
	stop_agent
	start_agent || bail "the agent does not start"
	is "$(status_of 'sum(x["in_keyring"] for x in s["secrets"]), s["store"]["problem"] is None')" \
		"0 False" "S-04 after a restart: nothing is loaded under an old list"
	cp "$WORK"/signers* "$WORK"/recipients* "$STORE/.phial/"
	check "S-04 the newest list is taken again" reload
	stop_agent
}

# S-10: a clock that was set back makes nothing good again.
test_clock() {
	# The first of all names: nothing that is read before it tells the time.
	seal aaa/timed "short-lived" --not-after "$(date -u -d '+3 seconds' +%Y-%m-%dT%H:%M:%SZ)"
	start_agent || bail "the agent does not start"
	is "$(state_of aaa/timed)" "[('loaded', True, '')]" "S-10 before its time it is loaded"
	sleep 3
	seal web/clock "sealed after the expiry"
	reload >/dev/null
	like "$(state_of aaa/timed)" "'refused', .*expired" "S-10 after its time it is refused"
	stop_agent
	start_shifted -86400
	like "$(state_of aaa/timed)" "'refused', False, .*expired" \
		"S-10 the agent starts with a clock that is a day late: still expired"
	stop_agent
	start_shifted -864000
	like "$(state_of aaa/timed)" "'refused', False, .*(expired|future)" \
		"S-10 the clock is ten days late: still refused"
	stop_agent
	rm "$STORE/aaa/timed.sealed" "$STORE/web/clock.sealed"
}
start_shifted() {
	with_clock "$1" launch "$PHIALD" --run-dir "$RUN_DIR" --state-dir "$STATE_DIR" --worker-user nobody \
		--store "$STORE" --identity "$IDENTITY" --trust "$TRUST" ||
		bail "no agent with another clock: $(tail -3 "$WORK/agent.log")"
}

# Marks that are gone or damaged: refuse, and say how to repair. Then do what it says.
test_marks() {
	local how status
	for how in missing flipped emptied; do
		status=4
		cp "$STATE_DIR/marks" "$WORK/marks"
		case $how in
		missing) rm "$STATE_DIR/marks" && status=14 ;;
		flipped) printf X | dd of="$STATE_DIR/marks" bs=1 seek=60 conv=notrunc 2>/dev/null ;;
		emptied) : >"$STATE_DIR/marks" ;;
		esac
		exits $status "S-04 marks $how: the agent refuses to start" \
			timeout 20 "$PHIALD" --run-dir "$RUN_DIR" --state-dir "$STATE_DIR" --worker-user nobody \
			--store "$STORE" --identity "$IDENTITY" --trust "$TRUST"
		like "$OUTPUT" "marks are (gone|damaged).*docs/store.md" "S-04 marks $how: says how to repair"
		install -o nobody -m 0600 "$WORK/marks" "$STATE_DIR/marks"
	done
	rm "$STATE_DIR/marks" "$STATE_DIR/containers" # step 3 of "Marks" in docs/store.md
	check "S-04 repaired as the page says: the agent starts" start_agent
	is "$(status_of 'all(x["in_keyring"] for x in s["secrets"])')" True "S-04 and serves"
	check "S-04 the page has that chapter" grep -q '^## Marks' "$ROOT/docs/store.md"
	stop_agent
}

test_refusals
test_rollback
test_equal_versions
test_trust_rollback
test_clock
test_marks
for value in a c; do
	unlike "$(cat "$WORK/agent.log")" "$(cat "$VALUES/$value")" "L-04 no value in the agent's log"
done
finish
