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
		return 0
	fi
	result "not ok" "$3"
	echo "# got: $1"
	echo "# wanted: $2"
	return 1
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
		# Skips inside a program count, too: cmocka has the name behind the word, and prints
		# the reason before.
		awk '/^(not )?ok .*# SKIP/ { sub(/.*# SKIP /, ""); print $0 " # SKIP " reason; next }
			!/^(ok|not ok|#|1\.\.)/ { sub(/^ERROR: /, ""); reason = $0 }' /tmp/out >/tmp/skips
		while read -r line; do
			result ok "$name: $line"
		done </tmp/skips
	done
}

run_container() { # runtime bundle; output in /tmp/out
	"$1" --root "/run/$1" run --bundle "/bundles/$2" "$2-$1" >/tmp/out 2>&1 </dev/null
}

# Seal, load, and give to containers of all kinds; then look for what stayed behind.
test_phial() {
	CANARY=$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')
	CONFIG=$HOME/.config/phial
	phial init --no-passphrase --no-recovery --name tester /store >/tmp/out 2>&1
	is $? 0 "phial init" || diag </tmp/out
	printf %s "$CANARY" | phial seal web/db_password --store /store >/tmp/out 2>&1
	is $? 0 "phial seal" || diag </tmp/out
	phiald --store /store --identity "$CONFIG/identity" --trust "$CONFIG/trust" \
		>/tmp/agent.log 2>&1 </dev/null &
	AGENT=$!
	tries=0
	until phial status >/tmp/status 2>&1 || [ $tries -ge 60 ]; do
		sleep 0.5
		tries=$((tries + 1))
	done
	is "$([ $tries -lt 60 ] && echo up)" up "the agent is up"
	diag </tmp/status
	for runtime in runc crun; do
		for bundle in root user userns readonly init init-userns init-readonly; do
			run_container $runtime $bundle
			is "$(head -n 1 /tmp/out)" "$CANARY" "$runtime $bundle: the secret arrives"
			is "$(grep -c ' - ramfs ' /tmp/out)" 1 "$runtime $bundle: on ramfs"
		done
		run_container $runtime nogrant
		is "$(cat /tmp/out)" "" "$runtime without a grant: nothing arrives"
	done
	is "$(phial run --store /store web -- cat /run/secrets/db_password 2>/tmp/out)" "$CANARY" \
		"phial run: the secret is there" || diag </tmp/out
	is "$(grep -c ' /run/secrets' /proc/self/mountinfo)" 0 "no mount on the host"
	rm -f /tmp/out
	leak-sweep --canaries 3 --skip-ancestors --skip-pid "$AGENT" >/tmp/sweep 3<<-EOT
		$CANARY
	EOT
	is $? 0 "the value is nowhere else"
	diag </tmp/sweep
	kill "$AGENT"
	wait "$AGENT"
	is $? 0 "the agent ends"
	diag </tmp/agent.log
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
test_phial
echo PHIAL-END
poweroff -f
