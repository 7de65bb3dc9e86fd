#!/bin/bash
# SPDX-License-Identifier: ISC
# phial setup docker below --root: what is there stays, to the byte, with a backup; taken back by
# --remove. dockerd itself reads it in tests/e2e/docker_setup.sh.
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
need python3
IMAGE=$WORK/image
FILE=$IMAGE/etc/docker/daemon.json
BACKUP=$FILE.before-phial
mkdir -p "$IMAGE/etc/docker"
docker() { phial setup docker --root "$IMAGE" "$@"; }
# of EXPRESSION: Python on the file's document `d`
of() { python3 -c "import json, sys; d = json.load(open(sys.argv[1])); print($1)" "$FILE"; }

exits 0 "no daemon.json: --print" docker --print
like "$OUTPUT" '"phial": \{"path": "[^"]*/phial-runtime"\}' "... shows the file"
check "... and makes none" test ! -e "$FILE"
exits 0 "no daemon.json" docker
like "$OUTPUT" 'systemctl reload docker' "... says when Docker reads it"
is "$(of 'd["runtimes"]["phial"]["path"]')" "$(readlink -f "$RUNTIME")" "... names phial-runtime"
is "$(stat -c %a "$FILE")" 644 "... 0644"
exits 0 "again" docker
like "$OUTPUT" "^kept +$FILE" "... changes nothing"
exits 0 "--remove" docker --remove
like "$OUTPUT" 'systemctl restart docker' "... says when Docker forgets it"
check "... removes a file that held nothing else" test ! -e "$FILE"
exits 0 "--remove again" docker --remove

cat >"$FILE" <<'JSON'
{
  "log-opts": {"max-size": "10m"},
  "default-ulimits": {"cpu": {"Name": "cpu", "Hard": 18446744073709551615, "Soft": 1e3}},
  "runtimes": {
    "kata": { "path": "/opt/kata" }
  },
  "default-runtime": "kata"
}
JSON
chmod 600 "$FILE"
cp -p "$FILE" "$WORK/before"
exits 0 "beside another runtime" docker --default-runtime
is "$(diff "$WORK/before" "$FILE")" "5c5,6
<     \"kata\": { \"path\": \"/opt/kata\" }
---
>     \"kata\": { \"path\": \"/opt/kata\" },
>     \"phial\": {\"path\": \"$(readlink -f "$RUNTIME")\"}
7c8
<   \"default-runtime\": \"kata\"
---
>   \"default-runtime\": \"phial\"" "only our members differ"
check "the backup is what was there" cmp "$WORK/before" "$BACKUP"
is "$(stat -c %a "$FILE" "$BACKUP" | tr '\n' ' ')" "600 600 " "both keep the mode"
exits 0 "a second name, for crun" docker --runtime phial-crun=crun
is "$(of 'd["runtimes"]["phial-crun"].get("runtimeArgs", d["runtimes"]["phial-crun"]["path"][-5:])')" \
	"['--phial-runtime', 'crun']" "... says which runtime"
exits 0 "a third, by its path" docker --runtime own=/opt/kata
is "$(of 'd["runtimes"]["own"]["runtimeArgs"]')" "['--phial-runtime', '/opt/kata']" "... by arguments"
check "the backup is still what was there before phial" cmp "$WORK/before" "$BACKUP"
exits 0 "--remove of the third" docker --remove --runtime own
exits 0 "... and of the second" docker --remove --runtime phial-crun
check "the backup stays while one is left" test -e "$BACKUP"
exits 0 "--remove --print" docker --remove --print
check "... removes nothing" test -e "$BACKUP"
exits 0 "--remove of the first" docker --remove
check "the file is what it was, to the byte" cmp "$WORK/before" "$FILE"
check "and needs no backup" test ! -e "$BACKUP"

cp "$PHIAL" "$RUNTIME" "$WORK" && ln -s phial-runtime "$WORK/phial-runtime-crun"
exits 0 "an installation with the link" "$WORK/phial" setup docker --root "$IMAGE" \
	--runtime phial-crun=crun
is "$(of 'd["runtimes"]["phial-crun"]')" "{'path': '$WORK/phial-runtime-crun'}" \
	"... needs no arguments, which dockerd would run a shell for"

for text in '{"a": 1,}' '[]' '{"runtimes": []}' '{"a": 1} // x'; do
	printf %s "$text" >"$FILE"
	exits 3 "refused: $text" docker
	is "$(cat "$FILE")" "$text" "... and left as it is"
	like "$OUTPUT" "daemon.json is left as it is: " "... with the reason"
done
rm "$FILE"
ln -s ../elsewhere "$FILE"
exits 13 "a link" docker
check "... is not replaced" test -L "$FILE"
rm "$FILE"
exits 2 "a runtime of Docker's own name" docker --runtime runc=crun
exits 2 "a relative path" docker --runtime x=./crun
exits 2 "an odd name" docker --runtime 'x y=crun'
exits 2 "an empty runtime" docker --runtime x=
exits 2 "--remove --default-runtime" docker --remove --default-runtime
exits 15 "by an ordinary user" run_as 65534 "$WORK/phial" setup docker
like "$OUTPUT" "sudo phial setup docker" "... says how"
finish
