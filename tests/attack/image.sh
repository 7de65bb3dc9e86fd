#!/bin/bash
# SPDX-License-Identifier: ISC
# What the author of an image can try: links, files and mounts where the secrets go, programs and
# variables for the hook to trip over, and labels that ask for a workload. suite-timeout: 180
# shellcheck source=../e2e/_lib.sh
. "$(dirname "$0")/../e2e/_lib.sh"
need_root
need runc busybox python3 gcc

CANARY=$(canary)
VICTIM=$WORK/victim
SAY_STARTED=(-- sh -c 'echo STARTED; ls -LA /run/secrets')

# image COMMAND...: a bundle of an image without a target directory; the commands that follow work in
# its root file system
image() {
	bundle --hook-arg=--workload --hook-arg=web --no-target "$@" "${SAY_STARTED[@]}"
	ROOTFS=$B/rootfs
}

# does_not_start ID-AND-DESCRIPTION PATTERN: nothing started, nothing on the host
does_not_start() {
	local what="$1" before
	before=$(host_mounts)
	run
	refused "$2" "$what ($runtime)"
	is "$(host_mounts)" "$before" "$what ($runtime): no mount is left on the host"
	is "$(find "$VICTIM" -mindepth 1)" "" "$what ($runtime): nothing in the host's folder"
	within 5 no_containers || not_ok "$what ($runtime): the agent let go of it"
}

test_links() {
	local target
	image
	ln -s "$VICTIM" "$ROOTFS/run/secrets"
	does_not_start "I-01 /run/secrets is a link to a folder of the host" "symbolic link"
	for target in / ../../../../.. "$VICTIM"; do
		image
		rmdir "$ROOTFS/run"
		ln -s "$target" "$ROOTFS/run"
		does_not_start "I-02 /run is a link to $target" "symbolic link"
	done
	for target in /proc/self/root/tmp /proc/1/root/tmp; do
		image
		ln -s "$target" "$ROOTFS/run/secrets"
		does_not_start "I-04 /run/secrets is a link to $target" "symbolic link"
	done
}

test_kinds() {
	image
	echo x >"$ROOTFS/run/secrets"
	does_not_start "I-03 a file" "not a directory"
	image
	mkfifo "$ROOTFS/run/secrets"
	does_not_start "I-03 a pipe" "not a directory"
	image
	python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' \
		"$ROOTFS/run/secrets"
	does_not_start "I-03 a socket" "not a directory"
	image
	mknod "$ROOTFS/run/secrets" c 1 5
	does_not_start "I-03 a device" "not a directory"
	image
	ln -s secrets "$ROOTFS/run/secrets"
	does_not_start "I-03 a link to itself" "symbolic link"
}

test_missing() {
	image --mount "$VICTIM:/run:rw"
	does_not_start "I-05 no directory on a volume" "volume"
	image
	mv "$ROOTFS" "$ROOTFS.plain"
	mkdir "$ROOTFS"
	mount -t tmpfs image "$ROOTFS"
	cp -a "$ROOTFS.plain/." "$ROOTFS"
	mount -o remount,ro "$ROOTFS"
	does_not_start "I-05 no directory, and the image is read-only" "[Rr]ead-only"
	umount "$ROOTFS"
	image
	rmdir "$ROOTFS/run"
	run
	like "$OUTPUT" "^db$" "I-05 missing directories on the root file system are made ($runtime)"
}

test_mounts() {
	image --dir /run/secrets --mount "$VICTIM:/run/secrets:rw"
	does_not_start "I-07 another mount at the target" "something else is mounted"
	image --dir /run/secrets --edit \
		'c["mounts"].append(mount("/run/secrets", "tmpfs", "tmpfs", "mode=777"))'
	does_not_start "I-07 a tmpfs at the target" "something else is mounted"
	bundle --grant web --edit \
		'c["mounts"].append(mount("/run/secrets", "tmpfs", "tmpfs", "mode=777"))' \
		"${SAY_STARTED[@]}"
	does_not_start "I-07 a mount stacked on the grant" "something else is mounted|grant"
	image
	mkdir "$ROOTFS/run/secrets"
	echo fake >"$ROOTFS/run/secrets/db"
	does_not_start "I-07 files in the way" "not empty|files"
}

# runc 2019-5736: a container's program that makes the runtime run it again.
test_binaries() {
	local before
	before=$(sha256sum "$HOOK" "$PHIALD")
	image
	printf '#!/proc/self/exe\n' >"$ROOTFS/bin/evil"
	chmod +x "$ROOTFS/bin/evil"
	python3 - "$B/config.json" <<-'PYTHON'
		import json, sys
		config = json.load(open(sys.argv[1]))
		config["process"]["args"] = ["/bin/evil"]
		json.dump(config, open(sys.argv[1], "w"))
	PYTHON
	run
	is "$(sha256sum "$HOOK" "$PHIALD")" "$before" "I-09 hook and agent are unchanged ($runtime)"
	within 5 no_containers
	check "I-09 no container is left ($runtime)" no_containers
}

test_environment() {
	local variable evil=$WORK/evil.so
	image --edit 'del c["hooks"]["createRuntime"][0]["env"]' --env "LD_PRELOAD=$evil" \
		--env "LD_AUDIT=$evil" --env GCONV_PATH=/tmp --env MALLOC_PERTURB_=1 \
		--env PHIAL_RUN_DIR="$VICTIM" --env PHIAL_STORE="$VICTIM"
	run
	like "$OUTPUT" "^db$" "I-10 variables of an image: the container has its secret ($runtime)"
	check "I-10 nothing of the image ran on the host ($runtime)" test ! -e "$WORK/marker"
	# At this stage runc gives hooks the image's variables, so a hook must be static.
	for variable in LD_PRELOAD LD_AUDIT; do
		image --stage createContainer --env "$variable=$evil" \
			--edit 'del c["hooks"]["createContainer"][0]["env"]'
		run
		unlike "$OUTPUT" STARTED "I-10 $variable, wrong stage: does not start ($runtime)"
		check "I-10 $variable, wrong stage: nothing of the image ran ($runtime)" \
			test ! -e "$WORK/marker"
	done
	[ "$runtime" = runc ] || return
	sed -i "s|\"$HOOK\"|\"/usr/bin/env\"|; s|\"phial-hook\"|\"true\"|" "$B/config.json"
	run
	check "I-10 control: a dynamic hook does run code of the image" test -e "$WORK/marker"
	rm -f "$WORK/marker"
}

make_evil_library() {
	cat >"$WORK/evil.c" <<-END
		#include <fcntl.h>
		__attribute__((constructor)) static void run(void)
		{
			(void)open("$WORK/marker", O_CREAT | O_WRONLY, 0600);
		}
		unsigned int la_version(unsigned int version)
		{
			return version;
		}
	END
	gcc -shared -fPIC -o "$WORK/evil.so" "$WORK/evil.c" || bail "cannot build the library"
}

# (runc itself gives up on such an image, after the hook.)
test_passwd() {
	local worker_kb
	mark_log
	image --user 33
	ln -s /dev/zero "$ROOTFS/etc/passwd"
	ln -s /dev/zero "$ROOTFS/etc/group"
	run
	like "$(log_since)" "has workload web" "I-11 /etc/passwd is a link to /dev/zero ($runtime)"
	worker_kb=$(awk '/VmHWM/ { print $2 }' "/proc/$(pgrep -x -P "$AGENT_PID" -u nobody phiald)/status")
	check "I-11 the worker did not grow ($worker_kb kB) ($runtime)" test "$worker_kb" -lt 65536
}

# Podman copies an image's annotations into config.json: nothing tells them from the operator's.
test_labels() {
	local name annotations=()
	for name in phial phial.io/workload io.phial.workload org.phial.workload \
		run.phial/workload/web /run/phial/workload/web; do
		annotations+=(--annotation "$name=web")
	done
	mark_log
	bundle "${annotations[@]}" --env PHIAL_WORKLOAD=web --env phial.io/workload=web \
		--annotation "grant=$RUN_DIR/workload/web" "${SAY_STARTED[@]}"
	run
	is "$OUTPUT" STARTED "I-12 annotations and variables grant nothing ($runtime)"
	unlike "$(log_since)" "has workload" "I-12 and the agent gave nothing ($runtime)"
	image --cap CAP_SYS_ADMIN --annotation "run.oci.hooks.stdout=$VICTIM/out" \
		--annotation "run.oci.hooks.stderr=$VICTIM/err"
	run
	refused "not_privileged" "I-12 r2 a refused container with annotated output ($runtime)"
	is "$(find "$VICTIM" -type f -size +0)" "" \
		"I-12 r2 nothing is written to the files that annotations name ($runtime)"
	rm -f "$VICTIM/out" "$VICTIM/err"
}

main() {
	local runtime
	make_store
	seal web/db "$CANARY"
	make_evil_library
	mkdir -m 0777 "$VICTIM"
	start_agent || bail "the agent does not start"
	for runtime in $(runtimes); do
		test_links
		test_kinds
		test_missing
		test_mounts
		test_binaries
		test_environment
		test_passwd
		test_labels
	done
	sweep "I the secret was left nowhere" "$CANARY"
}

main
finish
