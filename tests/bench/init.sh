# SPDX-License-Identifier: ISC
# A part of tests/bench/run: phial-init against the inits that containers have, until the command
# has run. Without secrets: asking for some costs what the hook costs.
#
# shellcheck shell=bash disable=SC2034,SC2154

# instructions COMMAND...: of this process alone, in user space
instructions() {
	valgrind --tool=callgrind --callgrind-out-file=/dev/null "$@" 2>&1 |
		sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}

# peer_inits: "NAME PROGRAM OPTION..." of each that is installed
peer_inits() {
	local name
	for name in "tini-static -s" "tini -s" catatonit dumb-init; do
		! command -v "${name%% *}" >/dev/null || echo "$name"
	done
}

# memory_of COMMAND...: KiB of its own that an init keeps while its command runs
memory_of() {
	start "$@" sleep 1000 2>/dev/null
	within 10 pgrep -x -P "$STARTED_PID" sleep || stop_here "$1 does not start a command"
	MEMORY=$(awk '/^Private/ { sum += $2 } END { print sum }' "/proc/$STARTED_PID/smaps_rollup")
	stop "$STARTED_PID"
}

bench_init() {
	local command=$PROBES/bench_empty peer words=() peers=() own found
	while read -r peer; do
		peers+=("${peer%% *}")
		# shellcheck disable=SC2086
		set -- $peer
		words+=(-- "$1" "$(command -v "$1")" "${@:2}" "$command")
	done < <(peer_inits)
	[ ${#peers[@]} -gt 0 ] || stop_here "neither tini nor catatonit nor dumb-init is installed"
	measure "$TOOLS/compare" "$(rounds 500)" -- phial "$INIT" --no-secrets "$command" \
		-- direct "$INIT" --no-secrets --exec "$command" -- empty "$command" "${words[@]}"
	echo "init: an empty command from start to end, below phial-init, against other inits"
	for peer in "${peers[@]}"; do
		compare_line "phial-init / $peer" phial "$peer" \
			"$([ "$peer" != tini-static ] || echo 0.5)"
	done
	compare_line "phial-init / the command alone" phial empty
	compare_line "phial-init --exec / the command alone" direct empty
	memory_of "$INIT" --no-secrets
	printf '  memory of its own while the command runs: phial-init %s KiB' "$MEMORY"
	while read -r peer; do
		# shellcheck disable=SC2086
		memory_of $peer
		printf ', %s %s KiB' "${peer%% *}" "$MEMORY"
	done < <(peer_inits)
	echo
	command -v valgrind >/dev/null || {
		echo "  instructions: not counted, valgrind is not installed"
		return
	}
	own=$(instructions "$INIT" --no-secrets "$command")
	echo "  instructions of phial-init itself: $own"
	while read -r peer; do
		# shellcheck disable=SC2086
		found=$(instructions $peer "$command")
		printf '  %-36s %9s / %-9s = %5s\n' "phial-init / ${peer%% *}" "$own" "$found" \
			"$(awk -v a="$own" -v b="$found" 'BEGIN { printf "%.2f", a / b }')"
		[ "$peer" != "tini-static -s" ] ||
			judge "$(awk -v a="$own" -v b="$found" 'BEGIN { printf "%.2f", a / b }')" 0.5 ""
	done < <(peer_inits)
}
