# SPDX-License-Identifier: ISC
# examples/kubernetes without Kubernetes: the files against Kubernetes' published types and against
# one another, a store through ConfigMaps laid out as the kubelet does it, and the containers of the
# DaemonSet and the example pods, run by Podman.
# suite-timeout: 240
. "$(dirname "$0")/_lib.sh"
. "$ROOT/tests/engines/podman.sh"
need_root
need runc busybox python3
EXAMPLES=$ROOT/examples/kubernetes
KUBERNETES=$ROOT/tests/tools/kubernetes.py
python3 -c 'import jsonschema, yaml' 2>/dev/null ||
	skip_all "python3-jsonschema or python3-yaml is not installed"
podman_setup "$@"
export NODE=$WORK/node
CANARY=$(canary)
SECOND=$(canary)

# --- the files ------------------------------------------------------------------------------

make_store
seal web/db_password "$CANARY"
FILES=$WORK/files
mkdir "$FILES"
cp "$EXAMPLES"/* "$FILES"

# make_files: what a person makes of a store besides
make_files() {
	"$EXAMPLES/make-store" "$STORE" >"$FILES/store.yaml" &&
		"$EXAMPLES/make-store" --patch "$STORE" >"$FILES/store-patch.yaml"
}
check "make-store: writes ConfigMaps and their patch" make_files
cat >"$FILES/pins.yaml" <<-YAML
	apiVersion: v1
	kind: ConfigMap
	metadata: {name: phial-pins, namespace: phial-system}
	data: {trust: "x"}
YAML
check "the files have no problem" "$KUBERNETES" check "$FILES"/*.yaml
check "kustomization: its files are there" \
	sh -c 'cd "$1" && sed -n "s/^ *- \(path: \)\?\([a-z-]*\.yaml\)$/\2/p" kustomization.yaml |
		xargs ls' sh "$FILES"

# wrong DESCRIPTION PATTERN FILE SED-SCRIPT: a file so changed is a problem, named by PATTERN
wrong() {
	local description=$1 pattern=$2 file=$3 script=$4 copy=$WORK/wrong
	rm -rf "$copy"
	cp -r "$FILES" "$copy"
	sed -i "$script" "$copy/$file"
	if cmp -s "$copy/$file" "$FILES/$file"; then
		not_ok "check finds $description: the test changes nothing"
		return
	fi
	OUTPUT=$("$KUBERNETES" check "$copy"/*.yaml 2>&1)
	like "$OUTPUT" "$pattern" "check finds $description"
}
wrong "an unknown field" 'hostPid' agent.yaml 's/hostPID/hostPid/'
wrong "an unknown field deep down" 'readonly' pod-crio.yaml 's/readOnly:/readonly:/'
wrong "a missing field" "'image' is a required|'name' is a required" agent.yaml \
	's/- name: programs/- title: programs/'
wrong "a missing handler" "'handler' is a required" runtimeclass.yaml '/^handler/d'
wrong "a wrong type" "is not of type 'integer'" agent.yaml 's/runAsUser: 0/runAsUser: root/'
wrong "a text that YAML takes for something else" "is not of type 'string'" namespace.yaml \
	's/: "true"/: true/'
wrong "a wrong apiVersion" "apps/v1" agent.yaml 's|apps/v1|apps/v1beta1|'
wrong "a doubled key" "stands twice" pod-init.yaml 's/^  namespace: shop/&\n&/'
wrong "a value that is none" "no such value: Folder" pod-crio.yaml 's/Directory /Folder /'
wrong "a volume that is not there" "no volume grants" pod-init.yaml \
	'/volumeMounts:/,/volumes:/s/name: grant$/&s/'
wrong "a ConfigMap that is not there" "no ConfigMap phial-store-web" store.yaml \
	's/phial-store-web/phial-store-www/'
wrong "a key that is not there" "has no key recipients" store.yaml 's/"recipients":/"receivers":/'
wrong "a runtime class that is not there" "no RuntimeClass vial" pod-runtime-class.yaml \
	's/runtimeClassName: phial/runtimeClassName: vial/'
wrong "a writable grant" "not read-only" pod-crio.yaml '/readOnly: true/d'
wrong "a token in the way" "its token" pod-crio.yaml '/automountService/d'
wrong "a power that the API server would refuse" "exclude one another" pod-crio.yaml \
	's/^          drop: \[ALL\]/&\n          add: [SYS_ADMIN]/'

# containerd.toml has the handler of the runtime class, and every program that is named is one that
# `make install` puts there.
handler=$(sed -n 's/^handler: //p' "$EXAMPLES/runtimeclass.yaml")
like "$(cat "$EXAMPLES/containerd.toml")" "^\[.*\.runtimes\.$handler\]\$" \
	"containerd: the handler of the runtime class"
check "containerd: the file is TOML" \
	python3 -c 'import sys, tomllib; tomllib.load(open(sys.argv[1], "rb"))' \
	"$EXAMPLES/containerd.toml"
is "$("$KUBERNETES" run phiald "$FILES"/*.yaml | tr '\0' '\n' | sed -n 's/^--cap-add=//p' | sort)" \
	"$(sed -n 's/^CapabilityBoundingSet=//p' "$ROOT/contrib/systemd/phiald.service.in" |
		tr ' ' '\n' | sed 's/^CAP_//' | sort)" "the agent's capabilities are those of its unit"
IMAGE=$WORK/image
check "make install puts phial into an image" \
	make -s -C "$ROOT" BUILD="$BUILD" DESTDIR="$IMAGE" install
for path in $(grep -oh '/usr/local/libexec/phial/[a-z-]*' "$EXAMPLES"/* | sort -u); do
	check "installed: $path" test -x "$IMAGE/$path"
done

# --- a node ---------------------------------------------------------------------------------

# The fixed places of a node lie below $NODE, in this test's mount namespace.
mkdir -p "$NODE"/{store,pins,run,phial,libexec}
own_place "$NODE/run" /run/phial
own_place "$NODE/phial" /var/lib/phial
own_place "$NODE/libexec" /usr/local/libexec/phial

# The image, as the Containerfile makes it: phial as it is installed, and what it links.
mkdir -p "$IMAGE"/etc/phial/{store,pins} "$IMAGE"/{run,var/lib}/phial \
	"$IMAGE"/{bin,tmp,proc,sys,dev}
cp /bin/busybox "$IMAGE/bin/busybox"
for applet in sh cat cp mv sed readlink sleep sha256sum test; do
	ln -s busybox "$IMAGE/bin/$applet"
done
for library in $(ldd "$PHIAL" "$PHIALD" | grep -o '/[^ :]*\.so[^ :]*' | sort -u); do
	install -D "$library" "$IMAGE$library"
done
printf 'root:x:0:0::/:/bin/sh\nphial:x:59110:59110::/:/bin/false\n' >"$IMAGE/etc/passwd"
printf 'root:x:0:\nphial:x:59110:\n' >"$IMAGE/etc/group"
tar -C "$IMAGE" -cf "$WORK/image.tar" . && podman import -q \
	--change ENV=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$WORK/image.tar" \
	registry.example/phial:0.1.0 >"$WORK/import.log" 2>&1 || bail "$(cat "$WORK/import.log")"
rm -rf "$IMAGE" "$WORK/image.tar"
podman tag registry.example/phial:0.1.0 docker.io/library/busybox:stable

# node_run CONTAINER [podman option...]: a container of the DaemonSet
node_run() {
	local name=$1 arguments
	shift
	mapfile -d '' arguments < <("$KUBERNETES" run "$name" "$FILES"/*.yaml)
	podman run --name "$name" "$@" "${arguments[@]}"
}

cp "$TRUST" "$NODE/pins/trust"
OUTPUT=$(node_run identity --rm 2>"$WORK/identity.log" | tail -n 1)
like "$OUTPUT" '^phial host add node1 age1[a-z0-9]{58}$' "identity: says what the admin has to run"
first=$OUTPUT
is "$(stat -c '%a %u' "$NODE/phial/identity")" "600 0" "identity: root's alone"
is "$(node_run identity --rm 2>&1)" "$first" "identity: is made once"
check "programs: are put on the node" node_run programs --rm
check "programs: phial-hook is there" cmp "$HOOK" /usr/local/libexec/phial/phial-hook
check "programs: may be put there again" node_run programs --rm

read -r _ _ _ node_name node_key <<<"$first"
check "the admin adds the node" \
	"$PHIAL" host add --store "$STORE" "$node_name" "$node_key" 'web/*'
seal web/db_password "$CANARY"
make_files || bail "make-store"
"$KUBERNETES" lay-out "$NODE/store" "$FILES"/*.yaml || bail "the volume cannot be laid out"
is "$(readlink "$NODE/store/.phial")" ..data/.phial "the volume is laid out as the kubelet does it"
check "phial verify: the volume is the store" "$PHIAL" verify "$NODE/store"

node_run phiald -d >"$WORK/phiald.log" 2>&1 || diag "$(cat "$WORK/phiald.log")"
probe() { podman exec phiald phial status; }
check "phiald: its startup probe passes" within 30 probe
like "$(probe)" 'web' "phiald: knows the workload"
node_run reload -d >"$WORK/reload.log" 2>&1 || diag "$(cat "$WORK/reload.log")"

# --- pods -------------------------------------------------------------------------------------

# What runs on the node is what the init container put there.
HOOK=/usr/local/libexec/phial/phial-hook podman_hook

# Podman 4.3 now and then removes an init container before it knows that it has ended, and gives up
# the pod: this one is told to keep it.
sed -i 's/^  name: web-init$/&\n  annotations: {io.podman.annotations.init.container.type: always}/' \
	"$FILES/pod-init.yaml"

# play WAY [podman option...]: the example pod of that way, left running; $OUTPUT is what its
# container printed, the hash of the secret, and what Podman said
play() {
	local pod=web-$1 file=$FILES/pod-$1.yaml
	shift
	podman "$@" kube play --network none "$file" >"$WORK/play.log" 2>&1
	within 20 printed "$pod-web"
	OUTPUT=$(podman logs "$pod-web" 2>&1; cat "$WORK/play.log")
}
printed() { [ -n "$(podman logs "$1" 2>&1)" ]; }
unplay() { podman pod rm -f -t 0 "web-$1" >/dev/null 2>&1; }
containers() {
	podman exec phiald phial status --json |
		python3 -c 'import json, sys; print(len(json.load(sys.stdin)["containers"]))'
}

play crio
like "$OUTPUT" "^$(sha "$CANARY")  /run/secrets/db_password" "pod-crio: the hook brings the secret"
unplay crio

seal web/db_password "$SECOND"
make_files || bail "make-store"
"$KUBERNETES" lay-out "$NODE/store" "$FILES"/*.yaml || bail "the volume cannot be changed"
VERSION=$(grep -o 'version [0-9]*' "$WORK/seal.log" | cut -d' ' -f2)
reloaded() { podman exec phiald phial status --json | grep -q "${VERSION:-none}"; }
check "a changed ConfigMap: the agent is told" within 30 reloaded
play crio
like "$OUTPUT" "^$(sha "$SECOND")  /run/secrets/db_password" \
	"a changed ConfigMap is read without a restart"

# As when the DaemonSet is rolled while pods run.
podman rm -f -t 10 phiald >/dev/null
node_run phiald -d >"$WORK/phiald.log" 2>&1
check "the agent is replaced" within 30 probe
is "$(containers)" 1 "and knows the pod that runs"
is "$(podman exec web-crio-web sha256sum /run/secrets/db_password | cut -d' ' -f1)" \
	"$(sha "$SECOND")" "which has its secret still"
unplay crio

rm "$PODMAN_HOOKS/50-phial.json"
play runtime-class --runtime /usr/local/libexec/phial/phial-runtime
like "$OUTPUT" "^$(sha "$SECOND")  /run/secrets/db_password" \
	"pod-runtime-class: phial-runtime brings the secret"
unplay runtime-class
play init
like "$OUTPUT" "^$(sha "$SECOND")  /run/secrets/db_password" \
	"pod-init: phial-init asks for the secret"
unplay init

sweep "the first value is nowhere" "$CANARY"
sweep "nor is the second" "$SECOND"
finish
