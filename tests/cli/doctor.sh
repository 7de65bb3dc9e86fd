#!/bin/bash
# SPDX-License-Identifier: ISC
# phial doctor: below --root with one thing wrong at a time, with and without an agent, as an
# ordinary user. Containers are tests/e2e/doctor.sh's.
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
need setsid useradd age-keygen python3
own_store
RW=$(tail -1 "$OWN/signer.pub")
RUN_DIR=$WORK/run

# An image that is as it should be: Podman, Docker, and phial set up for both.
IMAGE=$WORK/image
mkdir -p "$IMAGE/etc/docker" "$IMAGE/srv/store/.phial" "$IMAGE/usr/bin" "$IMAGE$BUILD" \
	"$IMAGE/usr/share/containers"
printf 'root:x:0:0:root:/root:/bin/sh\n' >"$IMAGE/etc/passwd"
printf 'root:x:0:\n' >"$IMAGE/etc/group"
printf 'root:*:1::::::\n' >"$IMAGE/etc/shadow"
touch "$IMAGE/usr/bin/podman" "$IMAGE/usr/bin/dockerd" "$IMAGE/srv/store/.phial/recipients"
chmod 755 "$IMAGE/usr/bin/"*
install -m 755 "$HOOK" "$IMAGE$BUILD/phial-hook"
install -m 755 "$HOOK" "$IMAGE/usr/bin/phial-runtime"
phial setup --root "$IMAGE" --trust "$RW" --store /srv/store >"$WORK/setup.log" 2>&1 ||
	bail "$(cat "$WORK/setup.log")"
rm -rf "$IMAGE/etc/phial/store"
ln -s ../../srv/store "$IMAGE/etc/phial/store" # so that it leads there from outside, too
touch "$IMAGE/var/lib/phial/state/marks"
HOOKS=$IMAGE/usr/share/containers/oci/hooks.d/50-phial.json
DAEMON=$IMAGE/etc/docker/daemon.json
PROFILE=$IMAGE/usr/share/containers/seccomp.json
runtime_json='"runtimes": {"phial": {"path": "/usr/bin/phial-runtime"}}'
echo "{$runtime_json, \"default-runtime\": \"phial\"}" >"$DAEMON"
echo '{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["read", "keyctl"], "action":
	"SCMP_ACT_ALLOW"}, {"names": ["add_key"], "action": "SCMP_ACT_ALLOW",
	"includes": {"caps": ["CAP_SYS_ADMIN"]}}]}' >"$PROFILE"

doctor() { phial doctor --run-dir "$RUN_DIR" "$@"; }
look() { doctor --json "$@" >"$WORK/seen.json" 2>/dev/null; }
# seen ID: its worst state in what `look` saw
seen() {
	python3 - "$WORK/seen.json" "$1" <<-'EOT'
		import json, sys
		checks = json.load(open(sys.argv[1]))["checks"]
		found = [c["state"] for c in checks if c["id"] == sys.argv[2]]
		print(next((s for s in ("bad", "warn", "unknown", "ok") if s in found), "none"))
	EOT
}
# state ID [option...]: both. A look at the whole host takes a second, for a key to expire.
state() {
	look "${@:2}"
	seen "$1"
}

# --- the parts of --json, and exit codes ---------------------------------------------------
cat >"$WORK/keys.py" <<-'EOT'
	import json, sys
	d = json.load(open(sys.argv[1]))
	assert list(d) == ["ok", "is_root", "checks", "containers"], list(d)
	assert d["is_root"] is True and d["containers"] == []
	for c in d["checks"]:
	    assert list(c) == ["id", "state", "text", "fix"], c
	    assert c["state"] in ("ok", "unknown", "warn", "bad") and c["text"], c
	    assert c["state"] in ("ok", "unknown") or c["fix"], c
	assert d["ok"] == ("bad" not in {c["state"] for c in d["checks"]})
	missing = set(sys.argv[2:]) - {c["id"] for c in d["checks"]}
	assert not missing, missing
EOT
FILES="files.config files.trust files.identity files.state files.store files.marks trust.pins
	podman.hooks_folder podman.hook_file podman.seccomp cdi.file docker.runtime
	docker.default_runtime docker.seccomp"
doctor --json --root "$IMAGE" >"$WORK/image.json" 2>"$WORK/stderr"
is "$?$(cat "$WORK/stderr")" 0 "a good image: exit 0, and nothing on stderr"
# shellcheck disable=SC2086
check "... its checks" python3 "$WORK/keys.py" "$WORK/image.json" $FILES podman.version containerd.runtime
look --root "$IMAGE"
for id in $FILES; do
	is "$(seen "$id")" ok "... $id"
done
doctor --json >"$WORK/host.json" 2>/dev/null
check "a host has more" python3 "$WORK/keys.py" "$WORK/host.json" \
	kernel.version kernel.calls kernel.secrets_mount kernel.peer_pidfd kernel.secret_pages \
	kernel.keyring kernel.user_namespaces kernel.mac memory.swap memory.hibernation memory.core \
	keys.root keys.user files.run_dir agent.up clock boot.order install.version
for id in kernel.version kernel.calls kernel.secrets_mount kernel.keyring; do
	like "$(cat "$WORK/host.json")" "\"id\":\"$id\",\"state\":\"ok\"" "... and here $id is ok"
done

# --- one thing wrong at a time ---------------------------------------------------------------
# wrong ID STATE DESCRIPTION COMMAND: the command breaks it; then the image is as before
cp -a "$IMAGE" "$WORK/good"
wrong() {
	local id=$1 want=$2 description=$3 got
	(cd "$IMAGE" && eval "$4") || bail "$4"
	got=$(state "$id" --root "$IMAGE")
	is "$got" "$want" "$id is $want: $description"
	rm -rf "$IMAGE" && cp -a "$WORK/good" "$IMAGE"
}
wrong files.identity bad "the identity may be read by others" "chmod 644 var/lib/phial/identity"
wrong files.identity bad "it belongs to somebody else" "chown 1000 var/lib/phial/identity"
wrong files.identity warn "there is none" "rm var/lib/phial/identity"
wrong files.trust bad "others may pin admin keys" "chmod 666 etc/phial/trust"
wrong files.config bad "others may replace the pins" "chmod 777 etc/phial"
wrong files.state bad "the state folder is root's" "chown 0 var/lib/phial/state"
wrong files.state bad "... or open" "chmod 755 var/lib/phial/state"
wrong trust.pins warn "what is pinned is no key" "echo RWx >etc/phial/trust"
wrong files.store warn "no store" "rm etc/phial/store"
wrong files.marks warn "no marks" "rm var/lib/phial/state/marks"
wrong files.marks bad "marks that were there and are gone" \
	"rm var/lib/phial/state/marks && touch var/lib/phial/state/containers"
wrong podman.hooks_folder warn "no hook file" "rm $HOOKS"
wrong podman.hooks_folder bad "Podman reads another folder" \
	"mkdir -p etc/containers && printf '[engine]\nhooks_dir = [\"/else\"]\n' >etc/containers/containers.conf"
wrong podman.hooks_folder bad "... by a drop-in" \
	"mkdir -p etc/containers/containers.conf.d && printf '[engine]\nhooks_dir = []\n' >etc/containers/containers.conf.d/x.conf"
wrong podman.hook_file bad "no JSON" "echo x >$HOOKS"
wrong podman.hook_file bad "the hook inherits an environment" "sed -i '/\"env\"/d' $HOOKS"
wrong podman.hook_file bad "... or has one" "sed -i 's/\"env\": \[\]/\"env\": [\"A=1\"]/' $HOOKS"
wrong podman.hook_file bad "the wrong stage" "sed -i s/createRuntime/createContainer/ $HOOKS"
wrong podman.hook_file bad "not for every bind mount" "sed -i 's/\"hasBindMounts\": true/\"always\": true/' $HOOKS"
wrong podman.hook_file bad "the hook is not there" "rm .$BUILD/phial-hook"
wrong podman.hook_file bad "... cannot be executed" "chmod 644 .$BUILD/phial-hook"
wrong podman.hook_file bad "... may be changed by others" "chmod 775 .$BUILD/phial-hook"
wrong podman.hook_file bad "... may be replaced by others" "chmod 777 .$(dirname "$BUILD")"
wrong podman.hook_file bad "... is not static" "cp /bin/sleep .$BUILD/phial-hook"
wrong podman.hook_file bad "the file may be written by others" "chmod 666 $HOOKS"
wrong podman.seccomp warn "containers may call add_key" "sed -i 's/\"keyctl\"/\"add_key\"/' $PROFILE"
wrong podman.seccomp warn "... by default" "sed -i 's/ERRNO/ALLOW/' $PROFILE"
wrong podman.seccomp unknown "no profile on disk" "rm $PROFILE"
wrong cdi.file bad "its hook is not there" \
	"mkdir etc/cdi && echo '{\"devices\": [{\"containerEdits\": {\"hooks\": [{\"path\": \"/none\"}]}}]}' >etc/cdi/phial.json"
wrong docker.runtime warn "not registered" "echo '{}' >$DAEMON"
wrong docker.runtime warn "no daemon.json" "rm $DAEMON"
wrong docker.runtime warn "... or one that is none" "echo '{' >$DAEMON"
wrong docker.runtime bad "the runtime is not there" "rm usr/bin/phial-runtime"
wrong docker.runtime bad "... may be changed by others" "chmod 777 usr/bin/phial-runtime"
wrong docker.default_runtime warn "not the default" "echo '{$runtime_json}' >$DAEMON"
wrong docker.default_runtime ok "the default is the second of two" \
	"sed -i 's/}}/}, \"crun\": {\"path\": \"\/usr\/bin\/phial-runtime\"}}/; s/\"phial\"}/\"crun\"}/' $DAEMON && grep -q 'runtime\": \"crun' $DAEMON"
wrong docker.seccomp warn "unconfined" "echo '{$runtime_json, \"seccomp-profile\": \"unconfined\"}' >$DAEMON"
chmod 644 "$IMAGE/var/lib/phial/identity"
exits 1 "a broken promise: exit 1" doctor --root "$IMAGE"
like "$OUTPUT" "^bad +files.identity: /var/lib/phial/identity: mode 0644, owner uid 0\$" "... says what"
like "$OUTPUT" "^ +do: chown root and chmod 400 it\$" "... and what to do"
is "$(grep -m1 -oE '^(bad|warn|ok)' <<<"$OUTPUT")" bad "... and what is worst stands first"

# --- the agent --------------------------------------------------------------------------------
exits 17 "--would-start without an agent" doctor --would-start web
like "$OUTPUT" "start phiald" "... says what to do"
is "$(state agent.up)" warn "no agent: a warning, as nothing starts without its secrets"
IDENTITY=$WORK/host-key
TRUST=$OWN/trust
age-keygen -o "$IDENTITY" 2>/dev/null
phial host add h1 "$(age-keygen -y "$IDENTITY")" >/dev/null
for name in web/a db/x; do
	feed "of $name" phial seal $name >/dev/null
done
echo '{"phial": "policy v1", "serial": 1, "workloads": {"web": {"gates": ["non_root", "read_only_rootfs"]}}}' >.phial/policy.json
phial policy sign >"$WORK/sign.log" 2>&1 || bail "$(cat "$WORK/sign.log")"
start_agent || bail "no agent"
look
for id in agent.up agent.store agent.secrets clock files.run_dir grant.open; do
	is "$(seen $id)" ok "with an agent: $id"
done
exits 0 "--would-start: yes" doctor --would-start web
like "$OUTPUT" "^yes: .*web would get 1 file\(s\) in /run/secrets" "... what and where"
like "$OUTPUT" "^  non_root: start it with --user UID:GID" "... its gates, and how they are met"
like "$OUTPUT" "^  read_only_rootfs: start it with --read-only" "... all of them"
exits 0 "--would-start --json" doctor --would-start web --json
check "... has its keys" python3 -c '
import json, sys
d = json.loads(sys.argv[1])
assert list(d) == ["name", "would_start", "files", "target", "reasons", "gates"], list(d)
assert d["would_start"] is True and d["gates"][0] == {"name": "non_root",
	"advice": "start it with --user UID:GID"}, d' "$OUTPUT"
exits 14 "--would-start of no workload" doctor --would-start nobody
echo broken >web/b.sealed
phial reload --run-dir "$RUN_DIR" >/dev/null
exits 16 "--would-start: no" doctor --would-start web
like "$OUTPUT" "^no: .*would be refused" "... says so"
like "$OUTPUT" "^  web/b.* refused .*not a sealed file" "... and why"
look
is "$(seen agent.secrets)" warn "a refused secret"
is "$(seen workload.web)" warn "... keeps its workload from starting"
is "$(seen workload.db)" none "... and no other"
rm web/b.sealed; mv .phial/recipients.minisig "$WORK"
phial reload --run-dir "$RUN_DIR" >/dev/null 2>&1
is "$(state agent.store)" warn "a store that is not signed"
chmod 755 "$RUN_DIR"
is "$(state files.run_dir)" bad "a run folder that others can enter"
chmod 700 "$RUN_DIR"
mkdir -m 755 "$WORK/bin" && install -m 755 "$PHIAL" "$WORK/bin/phial"
exits 0 "doctor by an ordinary user" run_as 65534 "$WORK/bin/phial" doctor --run-dir "$RUN_DIR"
like "$OUTPUT" "^unknown +agent.up: only root may ask" "... says what it could not look at"
like "$OUTPUT" "^unknown +kernel.secrets_mount" "... and try"
like "$OUTPUT" "^ok +kernel.keyring" "... and tries what it can"
like "$OUTPUT" "root sees more: sudo phial doctor" "... and who sees more"
stop_agent
is "$(state agent.up)" warn "an agent that stopped"
like "$(doctor 2>&1)" "there are directories of workloads" "... whose grants remain"

# --- systemd, as far as it can be asked: a systemctl that says what the real one would ------------
# boot ID ENABLED AFTER-OF-DOCKER: the state of this check where systemd runs
boot() {
	cat >"$WORK/systemctl" <<-EOT
		#!/bin/sh
		case \$1 in
		is-enabled) echo $2 ;;
		show) printf 'Id=docker.service\nLoadState=loaded\nAfter=%s\n\nId=crio.service\nLoadState=not-found\nAfter=\n' "$3" ;;
		esac
	EOT
	chmod 755 "$WORK/systemctl"
	unshare -m sh -c 'mount --bind "$1" "$2" && mount -t tmpfs none /run &&
		mkdir -p /run/systemd/system && shift 2 && exec "$@"' boot \
		"$WORK/systemctl" "$(readlink -f "$(command -v systemctl)")" \
		setsid -w "$PHIAL" doctor --json --run-dir "$RUN_DIR" >"$WORK/seen.json" 2>/dev/null
	seen "$1"
}
if command -v systemctl >/dev/null; then
	is "$(boot boot.unit enabled phiald.service)" ok "a unit that is enabled"
	is "$(seen boot.order)" ok "... before Docker, and CRI-O is not there"
	is "$(boot boot.order disabled 'network.target sockets.target')" warn "Docker does not wait for the agent"
	is "$(seen boot.unit)" warn "... whose unit is not enabled"
	is "$(boot boot.order enabled 'a.service phiald.service b.target')" ok "one of several"
else
	skip "systemctl is not installed" "the unit and its order"
fi

# --- programs of another release --------------------------------------------------------------
mkdir -m 755 "$WORK/release"
install -m 755 "$PHIAL" "$WORK/release/phial"
# version PRINTED: the state of a phiald that says so
version() {
	printf '#!/bin/sh\necho "%s"\n' "$1" >"$WORK/release/phiald"
	chmod 755 "$WORK/release/phiald"
	PHIAL=$WORK/release/phial state install.version
}
is "$(version "$("$PHIALD" --version)")" ok "programs of one release"
is "$(version "phiald 0.0.1")" bad "programs of two releases"
printf '#!/bin/sh\ntouch "%s/was-run"\n' "$WORK" >"$WORK/release/phiald"
chmod 777 "$WORK/release/phiald"
is "$(PHIAL=$WORK/release/phial state install.version)" warn "a program that others can write"
check "... is not run by root" test ! -e "$WORK/was-run"

finish
