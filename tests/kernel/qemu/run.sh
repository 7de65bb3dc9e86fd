# SPDX-License-Identifier: ISC
# The main path on another kernel: Debian 12's own (6.1), in qemu without acceleration. There
# tmpfs knows no `noswap` and sockets no SO_PEERPIDFD, so ramfs and the other ways are used.
# Run by `make check-kernel`; the kernel is fetched once, into build/kernel. What happens inside
# is init.sh's; this file packs, boots and hands over the results it printed.
# suite-timeout: 600
. "$(dirname "$0")/../../lib.sh"
need apt-get dpkg qemu-system-x86_64 cpio gzip ldd busybox runc crun

KERNELS=$ROOT/build/kernel
TREE=$WORK/tree
BOOT_SECONDS=${BOOT_SECONDS:-300}

# A 6.1 kernel if this distribution has one, else its newest: named in the first result.
find_package() {
	apt-cache search --names-only '^linux-image-6\.1\.[0-9.-]*-cloud-amd64$' 2>/dev/null |
		awk '{ print $1 }' | sort -V | tail -n 1 | grep . ||
		apt-cache depends linux-image-cloud-amd64 2>/dev/null |
		awk '/Depends: linux-image/ { print $2; exit }'
}

fetch_kernel() {
	local package
	KERNEL=$(ls "$KERNELS"/x/boot/vmlinuz-* 2>/dev/null | head -n 1)
	[ -z "$KERNEL" ] || return 0
	package=$(find_package)
	if [ -z "$package" ]; then
		apt-get update -q >/dev/null 2>&1
		package=$(find_package)
	fi
	[ -n "$package" ] || skip_all "no package source offers a Debian cloud kernel"
	mkdir -p "$KERNELS"
	(cd "$KERNELS" && apt-get download -q -o APT::Sandbox::User=root "$package") \
		>"$WORK/download" 2>&1 ||
		skip_all "$package cannot be downloaded: $(tail -n 1 "$WORK/download")"
	dpkg -x "$KERNELS/$package"_*.deb "$KERNELS/x" || bail "dpkg -x $package"
	KERNEL=$(ls "$KERNELS"/x/boot/vmlinuz-* | head -n 1)
}

# put PROGRAM FOLDER: a program with the libraries it needs
put() {
	local library
	mkdir -p "$TREE$2"
	cp -L "$1" "$TREE$2/"
	ldd "$1" 2>/dev/null | grep -oE '/[^ ]+' | while read -r library; do
		[ -e "$TREE$library" ] || install -D "$library" "$TREE$library"
	done
}

# Programs that the bundles name by absolute path must be where the host has them.
pack() {
	local program
	mkdir -p "$TREE"/{bin,etc,proc,sys,dev,tmp,run,root,newroot,var/lib/phial}
	cp "$(command -v busybox)" "$TREE/bin/busybox"
	ln -s busybox "$TREE/bin/sh"
	for program in "$PHIAL" "$PHIALD" "$HOOK" "$BUILD/tests/tools/leak-sweep"; do
		put "$program" /phial
	done
	for program in runc crun age; do
		! command -v "$program" >/dev/null || put "$(command -v "$program")" /usr/bin
	done
	for program in "$ROOT"/tests/kernel/*.c; do
		[ -e "$program" ] && put "$BUILD/tests/kernel/$(basename "$program" .c)" /facts
	done
	# Of the unit tests those that lean on the kernel.
	for program in "$BUILD"/tests/unit/test_{mount,keyring,wire,agent}*; do
		[ -x "$program" ] && put "$program" /facts
	done
	cp "$ROOT/tests/kernel/qemu/init.sh" "$TREE/init"
	chmod 755 "$TREE/init"
	printf 'root:x:0:0::/root:/bin/sh\nphial:x:990:990::/:/bin/false\n' >"$TREE/etc/passwd"
	printf 'root:x:0:\nphial:x:990:\n' >"$TREE/etc/group"
	printf 'root:100000:65536\n' >"$TREE/etc/subuid"
	cp "$TREE/etc/subuid" "$TREE/etc/subgid"
}

# Bundles are made here, where there is Python. init.sh runs each of them on runc and crun.
pack_bundles() {
	local common=(--no-target --hook /phial/phial-hook --grant web)
	local show='cat /run/secrets/db_password; echo; grep " /run/secrets " /proc/self/mountinfo'
	busybox_bundle "$TREE/bundles/plain" -- sh -c 'id -u'
	busybox_bundle "$TREE/bundles/root" "${common[@]}" -- sh -c "$show"
	busybox_bundle "$TREE/bundles/user" "${common[@]}" --user 1000 -- sh -c "$show"
	busybox_bundle "$TREE/bundles/userns" "${common[@]}" --userns -- sh -c "$show"
	busybox_bundle "$TREE/bundles/readonly" --hook /phial/phial-hook --grant web --read-only \
		--user 1000 -- sh -c "$show"
	# This kernel has no SO_PEERPIDFD: phial-init's pidfd of itself counts.
	common=(--no-target --user 1000 --file "$INIT:/phial-init"
		--mount /run/phial/workload/web:/run/phial:ro)
	busybox_bundle "$TREE/bundles/init" "${common[@]}" -- /phial-init -- sh -c "$show"
	busybox_bundle "$TREE/bundles/init-userns" "${common[@]}" --userns -- \
		/phial-init -- sh -c "$show"
	busybox_bundle "$TREE/bundles/init-readonly" "${common[@]}" --read-only -- \
		/phial-init -- sh -c "$show"
	busybox_bundle "$TREE/bundles/nogrant" --hook /phial/phial-hook -- ls -A /run/secrets
}

boot() {
	(cd "$TREE" && find . | cpio -o -H newc --quiet | gzip -1) >"$WORK/initrd.gz" ||
		bail "cannot pack the initramfs"
	timeout "$BOOT_SECONDS" qemu-system-x86_64 -accel tcg,thread=multi -smp 2 -m 1024 -nographic \
		-no-reboot -kernel "$KERNEL" -initrd "$WORK/initrd.gz" -nic none \
		-append "console=ttyS0 quiet panic=-1 rdinit=/init" </dev/null >"$WORK/console" 2>&1 ||
		diag "qemu ended with $?"
	tr -d '\r' <"$WORK/console" >"$WORK/console.txt"
}

# init.sh's lines stand between two marks; the kernel's own may be anywhere around them.
hand_over() {
	local verdict description
	if ! grep -q '^PHIAL-END$' "$WORK/console.txt"; then
		not_ok "the virtual machine came to its end"
		diag "$(tail -n 40 "$WORK/console.txt")"
	fi
	while IFS= read -r line; do
		description=${line#*- }
		case $line in
		"ok "*"# SKIP "*) skip "${line##*# SKIP }" "${description% # SKIP*}" ;;
		"ok "*) ok "$description" ;;
		"not ok "*) not_ok "$description" ;;
		"#"*) echo "$line" ;;
		esac
	done < <(sed -n '/^PHIAL-BEGIN$/,/^PHIAL-END$/p' "$WORK/console.txt")
}

fetch_kernel
pack
pack_bundles
boot
hand_over
finish
