#!/bin/bash
# SPDX-License-Identifier: ISC
# phial setup cdi below --root; with an agent it is tests/e2e/cdi.sh's.
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
need setsid python3
IMAGE=$WORK/image
FILE=$IMAGE/etc/cdi/phial.json
mkdir "$IMAGE"
setup() { phial setup cdi --root "$IMAGE" "$@"; }

exits 0 "setup cdi --print" setup --print
like "$OUTPUT" "would write +$FILE" "... says which file"
is "$(ls -A "$IMAGE")" "" "... and makes none"
exits 0 "setup cdi" setup
is "$(python3 -c 'import json, sys; c = json.load(open(sys.argv[1])); print(c["kind"], c["devices"])' "$FILE")" \
	"phial.io/workload []" "the file has no device yet"
is "$(stat -c '%a %u' "$FILE" "$(dirname "$FILE")" | paste -sd' ')" "644 0 755 0" "... and engines may read it"
echo '{"by": "the agent"}' >"$FILE"
exits 0 "setup cdi again" setup
is "$(cat "$FILE")" '{"by": "the agent"}' "... leaves to the agent what is in it"
exits 0 "--remove --print" setup --remove --print
check "... removes nothing" test -e "$FILE"
exits 0 "--remove" setup --remove
check "... removes the file" test ! -e "$FILE"
exits 0 "--remove again" setup --remove

mkdir -m 755 "$WORK/bin" && install -m 755 "$PHIAL" "$WORK/bin/phial"
exits 15 "by an ordinary user" run_as 65534 "$WORK/bin/phial" setup cdi
like "$OUTPUT" "sudo phial setup cdi" "... says how"
finish
