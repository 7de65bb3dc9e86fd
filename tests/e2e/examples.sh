# SPDX-License-Identifier: ISC
# The examples work as their pages say: only paths of an installed phial are exchanged for those
# of this build.
# suite-timeout: 120
. "$(dirname "$0")/../lib.sh"
need_root
need runc crun busybox
EXAMPLES=$ROOT/examples
CANARY=$(canary)

make_store
seal web/db_password "$CANARY"
for name in web/tls.key migrate/url job/token; do # what the example of a policy names
	seal $name key
done

check "policy: the example has no problem" "$PHIAL" policy check "$EXAMPLES/policy/policy.json"
start_agent || bail "the agent does not start"

# as_installed DIR: the runc example, on this build's hook and this test's agent
as_installed() {
	mkdir -p "$1"/rootfs/{bin,dev,proc,run/secrets}
	cp /bin/busybox "$1/rootfs/bin/cat"
	sed -e "s|/usr/local/libexec/phial/phial-hook|$HOOK|" \
		-e "s|\"args\": \\[\"phial-hook\"\\]|\"args\": [\"phial-hook\", \"--run-dir\", \"$RUN_DIR\"]|" \
		-e "s|/run/phial/workload|$RUN_DIR/workload|" \
		"$EXAMPLES/runc/config.json" >"$1/config.json"
}

for runtime in $(runtimes); do
	as_installed "$WORK/$runtime"
	is_value "$(runtime_run "$runtime" "$WORK/$runtime")" "$CANARY" \
		"$runtime: the example prints the value"
done

cp "$EXAMPLES/policy/policy.json" "$STORE/.phial/policy.json"
check "policy: the example is signed" "$PHIAL" policy sign --store "$STORE"
check "policy: and loaded" "$PHIAL" reload --run-dir "$RUN_DIR"
is_value "$(runtime_run runc "$WORK/runc")" "$CANARY" \
	"policy: the hardened example container still gets its secret"
sed -i 's/"readonly": true/"readonly": false/' "$WORK/runc/config.json"
said=$(runtime_run runc "$WORK/runc" 2>&1)
like "$said" 'read_only_rootfs' "policy: a writable root file system is refused by name"
unlike "$said" "$CANARY" "policy: and gets nothing"

# As an ordinary user, who reaches the example and phial below WORK.
mkdir "$WORK/example"
cp -r "$EXAMPLES/run" "$WORK/example/run"
cp "$PHIAL" "$WORK/example/phial"
if run_as 54321 unshare -U true 2>/dev/null; then
	exits 0 "run: the example runs to its end" run_as 54321 \
		env -C / PATH="$WORK/example:/usr/bin:/bin" TMPDIR=/tmp "$WORK/example/run/try"
	like "$OUTPUT" '^server: my password has 32 bytes$' "run: and the server has its secret"
	like "$OUTPUT" '^and in /run/secrets/db_password$' "run: also by the variable"
else
	skip "an ordinary user gets no user namespace here" "run: the example runs to its end"
fi

printf '# the demo\n'
check "demo: sudo make demo runs to its end" env BUILD="$BUILD" "$EXAMPLES/demo"
finish
