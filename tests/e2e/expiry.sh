# SPDX-License-Identifier: ISC
# Expiry while containers run: the file goes, the key goes, whatever is done to the host's clock.
# suite-timeout: 180
#
# The clock is the agent's alone (tests/tools/clock_shift.c). That the kernel tells of a clock that was set
# is real: adjtimex(2) sets it by a nanosecond, of which it tells as of a year. What cannot be tried here is
# a suspend.
#
# shellcheck source=../attack/_lib.sh
. "$(dirname "$0")/../attack/_lib.sh"
need_root
need runc busybox python3

DAY=86400
YEAR=$((365 * DAY))
CANARY=$(canary)
make_store
RUN_DIR=$WORK/run STATE_DIR=$WORK/state

gcc -shared -fPIC -O1 -o "$WORK/clock.so" "$ROOT/tests/tools/clock_shift.c" ||
	bail "cannot build clock_shift.c"
put_shift() {
	python3 -c 'import struct, sys
with open(sys.argv[1], "r+b") as f: f.write(struct.pack("=q", int(sys.argv[2])))' "$WORK/shift" "$1"
}
: >"$WORK/shift"
put_shift 0
cat >"$WORK/phiald" <<-END
	#!/bin/sh
	CLOCK_SHIFT_FILE=$WORK/shift LD_PRELOAD=$WORK/clock.so exec $PHIALD "\$@"
END
chmod +x "$WORK/phiald"
PHIALD=$WORK/phiald

# touch_clock: what the kernel tells whoever asked to be told when the clock is set
touch_clock() {
	python3 -c 'import ctypes, sys
timex = ctypes.create_string_buffer(256)
timex[0:4] = (0x2100).to_bytes(4, sys.byteorder) # ADJ_SETOFFSET, ADJ_NANO
timex[80:88] = (1).to_bytes(8, sys.byteorder) # time.tv_usec
sys.exit(ctypes.CDLL(None).adjtimex(timex) < 0)'
}
# set_clock SECONDS: the agent's host is so far from the right time now, and the agent is told
set_clock() {
	put_shift "$1"
	touch_clock || bail "adjtimex"
}

sealed_version() { sed -n 's/^version: //p' "$STORE/$1.sealed"; }
# rest NAME: what is said of a secret: state, whether it is in the ring
state_of() {
	status_of "next(((s['state'], s['in_keyring']) for s in s['secrets'] if s['name'] == '$1'), None)"
}
state_is() { [ "$(state_of "$1")" = "$2" ]; }
field_of() { status_of "next(s.get('$2') for s in s['secrets'] if s['name'] == '$1')"; }
# becomes NAME STATE DESCRIPTION...
becomes() {
	local name=$1 state=$2
	shift 2
	within 20 state_is "$name" "$state"
	is "$(state_of "$name")" "$state" "$*"
}
files() { inside ls /run/secrets | tr '\n' ' '; }
files_are() { [ "$(files)" = "$1" ]; }
# holds FILES DESCRIPTION...: what $CONTAINER_PID has
holds() {
	local wanted=$1
	shift
	within 20 files_are "$wanted"
	is "$(files)" "$wanted" "$*"
}
has_entry() { "$PHIAL" audit log --json "$STATE_DIR/audit" | grep -Eq -- "$1"; }
# sign_policy WORKLOADS
SERIAL=0
sign_policy() {
	SERIAL=$((SERIAL + 1))
	printf '{ "phial": "policy v1", "serial": %d, "workloads": {\n%s\n} }\n' "$SERIAL" "$1" \
		>"$STORE/.phial/policy.json"
	"$PHIAL" policy sign --store "$STORE" >"$WORK/policy.log" 2>&1 || bail "$(cat "$WORK/policy.log")"
}
reload() { "$PHIAL" reload --run-dir "$RUN_DIR"; }
# begin WORKLOAD: a container of it that stays
begin() {
	bundle --grant "$1" -- sleep 1000
	start_container
}
# may_not_start WORKLOAD PATTERN DESCRIPTION...
may_not_start() {
	bundle --grant "$1" -- echo STARTED
	run
	shift
	refused "$@"
}
in_days() { date -u -d "+$1 days" +%Y-%m-%dT%H:%M:%SZ; }
in_seconds() { date -u -d "+$1 seconds" +%Y-%m-%dT%H:%M:%SZ; }

# --- in its time ------------------------------------------------------------------------------------

# S-10: the clock goes back ten years in between, and the version still goes when its time has come.
test_time_comes() {
	seal web/stays "$(canary)"
	seal web/goes "$CANARY" --not-after "$(in_seconds 12)"
	start_agent || bail "the agent does not start"
	mark_log
	begin web
	holds "goes stays " "$runtime: the container has both"
	local keys
	read -r _ _ keys < <(ring_of "$AGENT_PID" 2>/dev/null)
	set_clock $((-10 * YEAR))
	within_log "THE HOST'S CLOCK IS 36[0-9][0-9]d BEHIND" "$runtime: S-10 the clock is set back: said"
	is "$(state_of web/goes)" "('loaded', True)" "$runtime: S-10 and nothing else happens"
	becomes web/goes "('refused', False)" "$runtime: S-10 its key goes when its time has come"
	holds "stays " "$runtime: F-11 its file goes from the container that runs"
	within_log "web/goes v[0-9]+ has expired; seal it anew with \"phial seal web/goes\"" \
		"$runtime: the log says so"
	check "$runtime: so does the audit log" within 5 has_entry '"kind":"expiry".*web/goes'
	if [ -n "$keys" ]; then
		local now
		read -r _ _ now < <(ring_of "$AGENT_PID")
		is "$(wc -w <<<"$now")" "$(($(wc -w <<<"$keys") - 1))" "$runtime: one key less in the ring"
	else
		skip "tests/probes/fault knows x86-64 only" "$runtime: one key less in the ring"
	fi
	may_not_start web "web/goes.*expired" "$runtime: no container starts with it"
	like "$("$PHIAL" status --run-dir "$RUN_DIR")" "WARNING: *the host's clock is 3[0-9]*d behind" \
		"$runtime: status says that the clock is late"
	stop_agent
	set_clock 0
	start_agent || bail "the agent does not start"
	is "$(state_of web/goes)" "('refused', False)" "$runtime: the next agent does not load it"
	holds "stays " "$runtime: nor is it in the container again"
	stop_agent
	runtime_stop "$runtime" "$CONTAINER"
	rm "$STORE"/web/*.sealed
}

# --- the clock is set -----------------------------------------------------------------------------------

test_forward() {
	seal web/a "$CANARY" --not-after "$(in_days 300)"
	seal web/b "$(canary)"
	start_agent || bail "the agent does not start"
	mark_log
	begin web
	holds "a b " "$runtime: the container has both"
	set_clock "$YEAR"
	becomes web/a "('refused', False)" "$runtime: the clock is set forward by a year: expired at once"
	holds "b " "$runtime: and gone from the container"
	within_log "THE HOST'S CLOCK WAS SET FORWARD BY 36[0-9]d" "$runtime: said, in capitals"
	is "$(log_since | grep -c 'SET FORWARD')" 1 "$runtime: once"
	set_clock 0
	within_log "CLOCK IS 36[0-9]d BEHIND" "$runtime: set back again: said"
	is "$(state_of web/a)" "('refused', False)" "$runtime: nothing comes back"
	runtime_stop "$runtime" "$CONTAINER"
	stop_agent
	start_agent || bail "the agent does not start"
	is "$(state_of web/a)" "('refused', False)" "$runtime: nor with the next agent"
	is "$(status_of '364 * 86400 < s["agent"]["clock_ahead_s"] <= 365 * 86400 + 60')" True \
		"$runtime: status knows by how much it is ahead"
	# docs/expiry.md, "The clock was wrong, and is right now"
	stop_agent
	date +%s >"$STATE_DIR/clock"
	start_agent || bail "the agent does not start"
	is "$(state_of web/a)" "('loaded', True)" "$runtime: repaired as docs/expiry.md says"
	is "$(status_of 's["agent"]["clock_ahead_s"]')" 0 "$runtime: the clocks agree"
	stop_agent
	rm "$STORE"/web/*.sealed
}

# The kernel's timeouts go by the clock that was set, and may end a key too early.
test_lost_key() {
	local ring key rest
	seal web/a "$CANARY" --not-after "$(in_days 300)"
	start_agent || bail "the agent does not start"
	mark_log
	read -r ring key rest < <(ring_of "$AGENT_PID")
	for key in $key $rest; do
		case $("$FAULT" -p "$(worker)" -c "250,11,$key,mem,256") in
		*7765622f61*) break ;; # web/a
		esac
	done
	"$FAULT" -p "$(worker)" -c "250,21,$key,0" >/dev/null # KEYCTL_INVALIDATE
	touch_clock || bail "adjtimex"
	within_log "the kernel ended the keys of 1 secrets before their time; the store is read again" \
		"a key ended before its time is found when the clock is set"
	becomes web/a "('loaded', True)" "and the value is loaded again"
	begin web
	is "$(inside sha256sum /run/secrets/a | cut -c-64)" "$(sha "$CANARY")" "a container gets it"
	runtime_stop "$runtime" "$CONTAINER"
	stop_agent
	rm "$STORE"/web/*.sealed
}

# --- ttl and warnings --------------------------------------------------------------------------------------

test_ttl() {
	local short long
	seal shared/a "$CANARY"
	seal short/own "$(canary)"
	seal short/free "$(canary)" --not-after "$(in_days 3)"
	seal plain/b "$(canary)" --not-after "$(in_days 20)"
	seal soon/c "$(canary)" --not-after "$(in_seconds $((20 * DAY - 600)))"
	sign_policy '"short": { "secrets": ["short/own", "shared/a", { "name": "short/free", "required": false }],
			"ttl": "5d", "warn_before": "1d" },
		"long": { "secrets": ["shared/a"] },
		"soon": { "warn_before": "30d" }'
	mark_log
	start_agent || bail "the agent does not start"
	is "$(field_of plain/b warn) $(field_of soon/c warn) $(field_of short/free warn)" "False True False" \
		"warn_before: a week by default, a month for soon, a day for short"
	within_log "soon/c v[0-9]+ expires in 19d \(.*seal it anew with \"phial seal soon/c\"" \
		"a warning is in the log"
	check "another reading" reload
	is "$(log_since | grep -c 'soon/c v.* expires in')" 1 "once a day"
	like "$("$PHIAL" status --run-dir "$RUN_DIR")" "soon/c: expires in 19d" "and in phial status"
	is "$(status_of '0 < s["secrets"][0]["expires_in_s"] <= 20 * 86400 if s["secrets"][0]["name"] ==
		"plain/b" else None')" True "status --json has expires_in_s"
	like "$(status_of 's["agent"]["next_expiry"]')" "^20..-..-..T" "and the next expiry of all"

	begin short
	short=$CONTAINER_PID SHORT=$CONTAINER
	begin long
	long=$CONTAINER_PID
	CONTAINER_PID=$short
	holds "a free own " "ttl: the container has all before"
	set_clock $((5 * DAY - 3600))
	within_log "short/own v[0-9]+ expires in 5[0-9]m" "ttl: a warning a day ahead"
	is "$(files)" "a own " "not-after within the ttl: gone"
	set_clock $((5 * DAY + 60))
	holds "" "ttl: gone from the container whose workload has it"
	CONTAINER_PID=$long
	is "$(files)" "a " "ttl: not from the other"
	is "$(state_of shared/a) $(state_of short/own)" "('loaded', True) ('refused', False)" \
		"ttl: a key that another workload may have stays, the other goes"
	like "$(field_of short/own reason)" "older than the ttl of all workloads.*phial seal short/own" \
		"ttl: the reason is said"
	may_not_start short "shared/a v[0-9]+ has expired \(ttl of the workload\)" "ttl: $runtime"
	runtime_stop "$runtime" "$SHORT"
	runtime_stop "$runtime" "$CONTAINER"
	stop_agent
	set_clock 0
}

for runtime in $(runtimes); do
	test_time_comes
done
runtime=$(runtimes | head -n 1)
test_forward
if "$FAULT" -t -- true 9>/dev/null; [ $? -ne 77 ]; then
	test_lost_key
else
	skip "tests/probes/fault knows x86-64 only" "a key ended before its time"
fi
rm -f "$STATE_DIR/clock"
test_ttl
sweep "no trace of the value" "$CANARY"
finish
