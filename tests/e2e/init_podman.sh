# SPDX-License-Identifier: ISC
# phial-init under Podman on runc and crun, beside phial's hook: its grant is not the hook's, and the
# other way round. User namespaces, pods, two containers side by side, a container's whole life.
# suite-timeout: 180
. "$(dirname "$0")/_podman.sh"
podman_with_agent "$@"

# p WORKLOAD [podman option...] IMAGE [phial-init option...] -- COMMAND...: $OUTPUT and $STATUS
p() {
	local workload=$1
	shift
	OUTPUT=$(pod run "$(grant "$workload" /run/phial)" \
		--mount "type=bind,src=$INIT,dst=/phial-init,ro" --entrypoint '["/phial-init"]' \
		"$@" 2>&1 </dev/null)
	STATUS=$?
}

# arrives_by_init DESCRIPTION [podman option...]
arrives_by_init() {
	local description=$1
	shift
	p web --rm "$@" bb -- sha256sum /run/secrets/db
	is "${OUTPUT%% *}" "$(sha "$FIRST")" "$runtime, $description"
}

has_secrets() { [ "$(pod exec "$1" ls /run/secrets 2>/dev/null </dev/null)" = db ]; }

test_options() {
	arrives_by_init "default seccomp profile"
	arrives_by_init "--user, --cap-drop=all, --read-only" --user 1000:1000 --cap-drop=all --read-only
	arrives_by_init "--userns=auto" --userns=auto
	arrives_by_init "--uidmap, a user" --uidmap 0:300000:65536 --user 1000
	arrives_by_init "--init in front of it" --init
}

test_both_doors() {
	p web --rm bb --no-secrets -- sh -c 'ls -d /run/phial/db /run/secrets/db; ls /run/phial/agent.sock'
	is "$(grep -c "No such file" <<<"$OUTPUT") $(grep sock$ <<<"$OUTPUT")" "2 /run/phial/agent.sock" \
		"$runtime: the hook leaves a grant at /run/phial alone"
	p web --rm --mount "type=bind,src=$RUN_DIR/workload/mail,dst=/run/secrets,ro" bb -- echo STARTED
	unlike "$STATUS $OUTPUT" "^0|STARTED" "$runtime: grants for both doors in one container are refused"
	p web --rm --pid host bb -- echo STARTED
	is "$STATUS" 125 "$runtime: a gate refuses with 125"
	like "$OUTPUT" "^phial-init: .*private_pid" "$runtime: and is named"
}

test_life() {
	p web -d --name "web-$runtime" --user 1000 bb -- sleep 1000
	p mail -d --name "mail-$runtime" --user 1001 bb -- sleep 1000
	check "$runtime: web has its secrets" within 20 has_secrets "web-$runtime"
	check "$runtime: mail has its secrets" within 20 has_secrets "mail-$runtime"
	is "$(pod exec "web-$runtime" sha256sum /run/secrets/db | cut -c-64)" "$(sha "$FIRST")" \
		"$runtime, side by side: web has its own"
	is "$(pod exec "mail-$runtime" sha256sum /run/secrets/db | cut -c-64)" "$(sha "$SECOND")" \
		"$runtime, side by side: mail has its own"
	pod stop "web-$runtime" >/dev/null
	is "$(pod inspect -f '{{.State.ExitCode}}' "web-$runtime")" 143 \
		"$runtime: stop reaches the command"
	pod start "web-$runtime" >/dev/null
	check "$runtime: start brings the secrets again" within 20 has_secrets "web-$runtime"
	pod rm -f -t 0 "web-$runtime" "mail-$runtime" >/dev/null
	check "$runtime: after the end the agent holds nothing" within 20 no_containers
}

for runtime in $(runtimes); do
	test_options
	test_both_doors
	test_life
done
is "$(secret_mounts)" "" "the host's mount table shows nothing"
stop_agent
sweep "the values are nowhere" "$FIRST"
sweep "nor the other's" "$SECOND"
finish
