#!/bin/bash
# SPDX-License-Identifier: ISC
# Boot, everything at once and in the wrong order: containers before the agent, with runc and crun;
# the directories that are there before it; the unit. Podman's and Docker's own restart policies are
# boot_podman.sh's and boot_docker.sh's.
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
need busybox python3 runc
two_secrets
RUN_DIR=$WORK/run
BOOT=$WORK/tree/var/lib/phial/workload
mkdir -p "$(dirname "$BOOT")" "$WORK/tree/etc/tmpfiles.d" "$WORK/tree/run"
chmod 0711 "$WORK/tree" "$WORK/tree/run"

# --- what is kept for the next boot -----------------------------------------------------------
start_agent --boot-dir "$BOOT" || bail "no agent"
is "$(cd "$BOOT" && find . -mindepth 1 -printf '%p %m %u\n' | sort | paste -sd,)" \
	"./mail 755 root,./web 755 root" "the agent keeps an empty directory for each workload"
seal late/db x
"$PHIAL" reload --run-dir "$RUN_DIR" >/dev/null
check "... also for one that comes later" test -d "$BOOT/late"
stop_agent
rm -r "$RUN_DIR"
cp "$ROOT/contrib/tmpfiles.d/phial.conf" "$WORK/tree/etc/tmpfiles.d/"
printf 'root:x:0:0:root:/root:/bin/sh\n' >"$WORK/tree/etc/passwd"
printf 'root:x:0:\n' >"$WORK/tree/etc/group"
if command -v systemd-tmpfiles >/dev/null; then
	check "systemd-tmpfiles makes the folders of /run at boot" \
		systemd-tmpfiles --create --root="$WORK/tree" phial.conf
	is "$(cd "$WORK/tree/run/phial" && stat -c '%n %a %U' . workload workload/* | paste -sd,)" \
		". 700 root,workload 755 root,workload/late 755 root,workload/mail 755 root,workload/web 755 root" \
		"... the directories of workloads, too"
	mv "$BOOT" "$BOOT.not"
	rm -r "$WORK/tree/run/phial"
	check "... and is content when nothing was kept yet" \
		systemd-tmpfiles --create --root="$WORK/tree" phial.conf
	mv "$BOOT.not" "$BOOT"
else
	skip "systemd-tmpfiles is not installed" "systemd-tmpfiles makes the folders of /run at boot"
fi
before=$(stat -c %i "$BOOT/web")
start_agent --boot-dir "$BOOT" || bail "no agent"
is "$(stat -c %i "$BOOT/web")" "$before" "a later agent leaves them as they are"
stop_agent
chmod 777 "$BOOT"
check "a copy that others can write to is refused" test "$(start_agent --boot-dir "$BOOT" >/dev/null; echo $?)" -ne 0
chmod 755 "$BOOT"

# --- containers before the agent ----------------------------------------------------------------
# as_at_boot: a run folder as systemd-tmpfiles leaves it
as_at_boot() {
	rm -rf "$RUN_DIR"
	install -d -m 700 "$RUN_DIR"
	cp -a "$BOOT" "$RUN_DIR/workload"
}
for runtime in $(runtimes); do
	as_at_boot
	bundle --user 1000 --grant web -- sh -c 'sha256sum </run/secrets/db'
	first=$B
	bundle --user 1000 --grant mail -- sh -c 'sha256sum </run/secrets/db'
	second=$B
	start_quietly "$WORK/first" runtime_run "$runtime" "$first"
	first_pid=$STARTED_PID
	start_quietly "$WORK/second" runtime_run "$runtime" "$second"
	second_pid=$STARTED_PID
	sleep 2 # not for speed: so that the hooks really are there before the agent
	check "$runtime: containers that start before the agent wait for it" kill -0 "$first_pid" "$second_pid"
	start_agent --boot-dir "$BOOT" || bail "no agent"
	wait "$first_pid"
	is "$?$(cut -c-64 "$WORK/first")" "0$(sha "$FIRST")" "$runtime: ... and then have their secrets"
	wait "$second_pid"
	is "$?$(cut -c-64 "$WORK/second")" "0$(sha "$SECOND")" "$runtime: ... each its own"
	rm "$WORK/first" "$WORK/second"
	stop_agent
	as_at_boot
	B=$first
	OUTPUT=$(timeout 60 bash -c "$(declare -f runtime runtime_run cgroup_is_hybrid without_unified)
		WORK=$WORK; runtime_run $runtime $B" 2>&1)
	STATUS=$?
	check "$runtime: an agent that never comes: the start ends" test "$STATUS" -ne 124
	check "$runtime: ... refused" test "$STATUS" -ne 0
	unlike "$OUTPUT" "[0-9a-f]{64}" "$runtime: ... and nothing of the container ran"
	[ "$runtime" = crun ] || like "$OUTPUT" "no agent answers" "$runtime: ... which the hook says"
	rm -r "$RUN_DIR/workload"
	run
	check "$runtime: without the directory the runtime itself refuses, without a wait" test "$STATUS" -ne 0
done

# --- the unit -------------------------------------------------------------------------------------
UNIT=$WORK/unit/phiald.service
mkdir "$WORK/unit"
sed "s|@SBINDIR@|$BUILD|" "$ROOT/contrib/systemd/phiald.service.in" >"$UNIT"
for engine in docker containerd podman podman-restart crio; do
	check "the unit comes before $engine.service" grep -Eq "^Before=(.* )?$engine\.service( |\$)" "$UNIT"
done
check "... and says when it is ready" grep -q '^Type=notify$' "$UNIT"
is "$(sed -n 's/^ExecStart=.* --boot-dir //p' "$UNIT")" \
	"$(awk '$1 == "C" { print $NF }' "$ROOT/contrib/tmpfiles.d/phial.conf")" \
	"the copy that it keeps is the one that is taken at boot"
if command -v systemd-analyze >/dev/null; then
	exits 0 "systemd-analyze finds no fault in it" systemd-analyze verify --man=no "$UNIT"
	is "$OUTPUT" "" "... really none"
else
	skip "systemd-analyze is not installed" "systemd-analyze finds no fault in it"
fi

sweep "G3 the first secret is nowhere" "$FIRST"
sweep "G3 nor the second" "$SECOND"
finish
