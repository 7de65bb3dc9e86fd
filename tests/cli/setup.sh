#!/bin/bash
# SPDX-License-Identifier: ISC
# phial setup below --root: idempotent, shown by --print, taken back by --remove.
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
need setsid useradd age-keygen
own_store
RW=$(tail -1 "$OWN/signer.pub")
IMAGE=$WORK/image
mkdir -p "$IMAGE/etc" "$IMAGE/srv/store"
echo "root:x:0:0:root:/root:/bin/sh" >"$IMAGE/etc/passwd"
echo "root:x:0:" >"$IMAGE/etc/group"
echo "root:*:1::::::" >"$IMAGE/etc/shadow"
setup() { phial setup --root "$IMAGE" "$@"; }
mkdir "$WORK/empty"
exits 14 "--root of an empty folder: no system is there" phial setup --root "$WORK/empty"
is "$(ls -A "$WORK/empty")" "" "... and nothing was made"
look() { stat -c '%A %U' "$IMAGE/$1"; }
host_before=$(cat /etc/passwd; ls -la /etc/phial /var/lib/phial /usr/share/containers/oci/hooks.d 2>&1)

before=$(snapshot "$IMAGE")
exits 0 "setup --print" setup --print --trust "$RW"
like "$OUTPUT" "would run +useradd --system" "... shows the programs it would run"
like "$OUTPUT" "would make +$IMAGE/var/lib/phial" "... and the folders"
is "$(snapshot "$IMAGE")" "$before" "... and does none of it"
exits 11 "--trust with a typo" setup --trust "${RW%?}"

exits 0 "setup" setup --trust "$RW" --store /srv/store
text=$OUTPUT
uid=$(awk -F: '$1 == "phial" { print $3 }' "$IMAGE/etc/passwd")
check "the system user is made" test -n "$uid"
is "$(stat -c '%a %u' "$IMAGE/var/lib/phial")" "700 0" "/var/lib/phial is root's alone"
is "$(stat -c '%a %u' "$IMAGE/var/lib/phial/state")" "700 $uid" "its state folder is the user's"
is "$(stat -c '%a %u' "$IMAGE/var/lib/phial/identity")" "400 0" "the identity is 0400 root"
is "$(stat -c %a "$IMAGE/etc/phial")" 755 "/etc/phial may be read"
is "$(cat "$IMAGE/etc/phial/trust")" "$RW" "the admin key is pinned"
is "$(readlink "$IMAGE/etc/phial/store")" /srv/store "the store is linked"
key=$(age-keygen -y "$IMAGE/var/lib/phial/identity")
like "$text" "phial host add NAME $key" "it says what to run on the workstation"
like "$text" "Start the agent as root" "... and how the agent starts without systemd"
like "$text" "$(basename "$PHIALD")" "... by its path"
hooks=$IMAGE/usr/share/containers/oci/hooks.d/50-phial.json
is "$(cat "$hooks")" "$(sed "s|@LIBEXECDIR@|$BUILD|" "$ROOT/contrib/oci-hooks.d/50-phial.json.in")" \
	"the hook file is that of make install, with the hook's path"
check "... and JSON" python3 -m json.tool "$hooks"
is "$(stat -c %a "$hooks" "$(dirname "$hooks")" | paste -sd' ')" "644 755" "... that engines may read"

before=$(snapshot "$IMAGE")
exits 0 "setup again" setup --trust "$RW"
unlike "$OUTPUT" "^(made|wrote|linked|running)" "... makes nothing"
is "$(snapshot "$IMAGE")" "$before" "... and changes nothing"
exits 0 "another store" setup --store /srv/other
is "$(readlink "$IMAGE/etc/phial/store")" /srv/other "... turns the link"
chmod 755 "$IMAGE/var/lib/phial" && chown 0 "$IMAGE/var/lib/phial/state"
exits 0 "wrong modes and owners" setup
is "$(stat -c '%a %u' "$IMAGE/var/lib/phial" "$IMAGE/var/lib/phial/state" | paste -sd' ')" "700 0 700 $uid" "... are put right"
rm "$IMAGE/etc/phial/store" && mkdir "$IMAGE/etc/phial/store"
exits 0 "a store that is a real folder stays" setup
exits 13 "... and is not replaced by --store" setup --store /srv/store
rmdir "$IMAGE/etc/phial/store"
mkdir "$WORK/elsewhere" && chmod 755 "$WORK/elsewhere"
mv "$IMAGE/var/lib/phial/state" "$WORK/state" && ln -s "$WORK/elsewhere" "$IMAGE/var/lib/phial/state"
exits 13 "a link where the state folder should be is not followed" setup
is "$(stat -c '%a %u' "$WORK/elsewhere")" "755 0" "... really"
rm "$IMAGE/var/lib/phial/state" && mv "$WORK/state" "$IMAGE/var/lib/phial/state"

exits 2 "--purge alone" setup --purge
exits 2 "--remove --trust" setup --remove --trust "$RW"
before=$(snapshot "$IMAGE")
exits 0 "--remove --print" setup --remove --print
is "$(snapshot "$IMAGE")" "$before" "... removes nothing"
exits 0 "--remove" setup --remove
check "takes the hook file" test ! -e "$hooks"
check "... the configuration" test ! -e "$IMAGE/etc/phial"
check "... and leaves the key" test -s "$IMAGE/var/lib/phial/identity"
exits 0 "--remove again" setup --remove
touch "$IMAGE/var/lib/phial/state/"{marks,revocations,clock,containers}
mkdir -p "$IMAGE/var/lib/phial/workload/web" # as the agent keeps them for the next boot
exits 0 "--remove --purge" setup --remove --purge
check "takes the key and the marks" test ! -e "$IMAGE/var/lib/phial"
is "$(grep -c ^phial: "$IMAGE/etc/passwd")" 0 "... and the user"

is "$(cat /etc/passwd; ls -la /etc/phial /var/lib/phial /usr/share/containers/oci/hooks.d 2>&1)" "$host_before" \
	"nothing of this host was touched"
mkdir -m 755 "$WORK/bin" && install -m 755 "$PHIAL" "$WORK/bin/phial"
exits 15 "setup by an ordinary user" run_as 65534 "$WORK/bin/phial" setup
like "$OUTPUT" "sudo phial setup" "... says how"
exits 0 "setup --print by an ordinary user" run_as 65534 "$WORK/bin/phial" setup --print

finish
