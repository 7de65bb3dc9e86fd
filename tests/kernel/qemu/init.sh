#!/bin/busybox sh
# SPDX-License-Identifier: ISC
# The first process of the virtual machine that run.sh boots: with busybox and nothing else.
# Prints TAP between two marks and powers off, whatever happens.
export PATH=/phial:/usr/bin:/usr/sbin:/bin:/sbin HOME=/root LC_ALL=C

# pivot_root, which the runtimes use, does not work from an initramfs: move to a tmpfs first.
if [ "$1" != moved ]; then
	/bin/busybox --install -s /bin
	mount -t proc proc /proc
	mount -t tmpfs -o mode=755 tmpfs /newroot
	cp -a /bin /etc /phial /facts /bundles /init /root /var /newroot/ 2>/dev/null
	for folder in /lib /lib64 /usr; do
		[ ! -d "$folder" ] || cp -a "$folder" /newroot/
	done
	mkdir -p /newroot/proc /newroot/sys /newroot/dev /newroot/tmp /newroot/run
	umount /proc
	exec switch_root /newroot /init moved
fi

NUMBER=0
result() { # ok|not ok, description
	NUMBER=$((NUMBER + 1))
	echo "$1 $NUMBER - $2"
}
is() { # got wanted description
	if [ "$1" = "$2" ]; then
		result ok "$3"
	else
		result "not ok" "$3"
		echo "# got: $1"
		echo "# wanted: $2"
	fi
}
diag() { sed 's/^/# /'; }

set_up() {
	mount -t proc proc /proc
	mount -t sysfs sysfs /sys
	mount -t devtmpfs dev /dev
	mkdir -p /dev/pts /dev/shm
	mount -t devpts devpts /dev/pts
	mount -t tmpfs -o mode=1777 tmpfs /dev/shm
	mount -t tmpfs -o mode=1777 tmpfs /tmp
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
	mount --make-rshared /
	ip link set lo up
}

# The programs of tests/kernel and the unit tests that lean on the kernel.
run_facts() {
	for program in /facts/*; do
		[ -x "$program" ] || continue
		name=${program##*/}
		CMOCKA_MESSAGE_OUTPUT=TAP "$program" >/tmp/out 2>&1 </dev/null
		case $? in
		0) result ok "$name: $(grep -c '^ok ' /tmp/out) tests" ;;
		77) result ok "$name # SKIP $(tail -n 1 /tmp/out)" ;;
		*)
			result "not ok" "$name"
			grep -v '^ok ' /tmp/out | tail -n 20 | diag
			;;
		esac
		# Skips inside a program count, too; cmocka's carry the name behind the word.
		grep -i '# SKIP' /tmp/out >/tmp/skips
		while read -r line; do
			result ok "$name: ${line##*# SKIP } # SKIP not on this kernel"
		done </tmp/skips
	done
}

run_container() { # runtime bundle; output in /tmp/out
	"$1" --root "/run/$1" run --bundle "/bundles/$2" "$2-$1" >/tmp/out 2>&1 </dev/null
}

echo # the firmware left its last line open
echo PHIAL-BEGIN
set_up
result ok "kernel $(uname -r)"
run_facts
for runtime in runc crun; do
	run_container $runtime plain
	is "$(cat /tmp/out)" 0 "$runtime runs a container"
done
echo PHIAL-END
poweroff -f
