#!/bin/bash
# SPDX-License-Identifier: ISC
# phial setup podman below --root: the hook file, where Podman reads it and where it does not.
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
need setsid python3
IMAGE=$WORK/image
mkdir -p "$IMAGE/etc/containers"
setup() { phial setup podman --root "$IMAGE" "$@"; }
folder=$IMAGE/usr/share/containers/oci/hooks.d
file=$folder/50-phial.json
wanted=$(sed "s|@LIBEXECDIR@|$BUILD|" "$ROOT/contrib/oci-hooks.d/50-phial.json.in")

exits 0 "setup podman --print" setup --print
like "$OUTPUT" "would write +$file" "... says where the file goes"
is "$(sed 1d <<<"$OUTPUT")" "$wanted" "... and what is in it"
is "$(find "$IMAGE" -type f)" "" "... and writes nothing"

exits 0 "setup podman" setup
is "$(cat "$file")" "$wanted" "the file is that of make install, with the hook's path"
check "... and JSON" python3 -m json.tool "$file"
is "$(stat -c '%a %u' "$file" "$folder" | paste -sd' ')" "644 0 755 0" "... that engines may read"
exits 0 "again" setup
like "$OUTPUT" "^kept +$file" "... changes nothing"

printf '[engine]\nhooks_dir = ["/etc/hooks.d"]\n' >"$IMAGE/etc/containers/containers.conf"
exits 19 "Podman reads another folder: exit 19" setup
like "$OUTPUT" "does not read /usr/share/containers/oci/hooks.d" "... says so"
like "$OUTPUT" "containers.conf sets hooks_dir to /etc/hooks.d" "... who said that"
like "$OUTPUT" "phial setup podman --hooks-dir /etc/hooks.d" "... and what to do"
exits 0 "... which works" setup --hooks-dir /etc/hooks.d
is "$(cat "$IMAGE/etc/hooks.d/50-phial.json")" "$wanted" "... there"
exits 0 "--remove from there" setup --hooks-dir /etc/hooks.d --remove
check "... removes the file" test ! -e "$IMAGE/etc/hooks.d/50-phial.json"
check "... and no other" test -e "$file"
exits 2 "a folder that is no absolute path" setup --hooks-dir hooks.d

exits 0 "--remove --print" setup --remove --print
check "... removes nothing" test -e "$file"
exits 0 "--remove" setup --remove
check "... removes the file" test ! -e "$file"
exits 0 "--remove again" setup --remove

mkdir -m 755 "$WORK/bin" && install -m 755 "$PHIAL" "$WORK/bin/phial"
exits 14 "no phial-hook beside phial" "$WORK/bin/phial" setup podman --root "$IMAGE"
like "$OUTPUT" "make install" "... says what puts it there"
exits 15 "by an ordinary user" run_as 65534 "$WORK/bin/phial" setup podman
like "$OUTPUT" "sudo phial setup podman" "... says how"
finish
