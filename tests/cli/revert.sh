#!/bin/bash
# SPDX-License-Identifier: ISC
# phial revert: old values from the store's git history, or from a file, sealed as new versions; and a
# repository that would run programs.
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
need git setsid python3
FIRST=$(canary) SECOND=$(canary) THIRD=$(canary)
own_store
export GIT_CONFIG_NOSYSTEM=1
git -c init.defaultBranch=main init -q .
git config user.name tester
git config user.email tester@example.org
commit() { git add -A && git commit -qm "$1"; }
# put NAME VALUE [option...]: sealed and committed; its version is $VERSION
put() {
	feed "$2" phial seal "$1" "${@:3}" >/dev/null 2>&1
	VERSION=$(version "$1.sealed")
	commit "$1"
}
version() { phial inspect --json "$1" | python3 -c 'import json, sys
print(json.load(sys.stdin)["files"][0]["version"])'; }

put web/db "$FIRST" --mode 0440 --not-after +90d
OLD=$VERSION
cp web/db.sealed "$WORK/old.sealed"
put web/db "$SECOND" --mode 0400
NEWER=$VERSION
rm web/db.sealed && commit "gone for a while"
put web/db "$THIRD"
echo "no sealed file" >web/db.sealed && commit "an accident"
git checkout -q HEAD~1 -- web/db.sealed && commit "and back"

exits 0 "revert --list" phial revert web/db --list
is "$(tail -n +2 <<<"$OUTPUT" | cut -d' ' -f1)" "$VERSION
$NEWER
$OLD" "... has each version once, the newest first"
like "$OUTPUT" "^$VERSION .*in the store now" "... and says which is in the store"
exits 0 "revert --list --json" phial revert web/db --list --json
is "$(python3 -c 'import json, sys
print(*[v["version"] for v in json.loads(sys.argv[1])["versions"] if v["is_trusted"]])' "$OUTPUT")" \
	"$VERSION $NEWER $OLD" "... is JSON"

exits 0 "an old value comes back" phial revert web/db --to "$OLD"
like "$OUTPUT" "version $OLD of web/db is in commit [0-9a-f]{12}" "... says where it was"
like "$OUTPUT" "was good until .*no expiry time" "... that its expiry is not taken over"
like "$OUTPUT" "sealed web/db.sealed version [0-9]+ to" "... and what was made"
is_value "$(phial unseal web/db)" "$FIRST" "... with the old value"
is "$(phial inspect --json web/db.sealed | grep -o '"mode":"[0-9]*"')" '"mode":"0440"' "... its mode"
check "... a version above all others" test "$(version web/db.sealed)" -gt "$VERSION"
exits 0 "... which verifies" phial verify
commit "reverted"
exits 0 "a version whose file is in the store" phial revert web/db --to "$(version web/db.sealed)"
is_value "$(phial unseal web/db)" "$FIRST" "... is sealed anew"
exits 0 "from a file" phial revert web/db --from "$WORK/old.sealed" --not-after +1d
is_value "$(phial unseal web/db)" "$FIRST" "... has its value"
like "$(phial inspect web/db.sealed)" "not.after" "... and the expiry that was asked for"
commit "from a file"

refuses 2 "give --to VERSION" "nothing to go by" phial revert web/db
refuses 2 "takes a version" "a version that is none" phial revert web/db --to yesterday
refuses 2 "give --to" "a list and a version" phial revert web/db --list --to 5
refuses 9 "name" "a bad name" phial revert ../x --to 5 --not-after +1d
refuses 14 "none of the [0-9]+ versions of web/db .*--from" "a version that never was" \
	phial revert web/db --to 5
refuses 14 "it is version $OLD" "a file of another version" \
	phial revert web/db --to 5 --from "$WORK/old.sealed"
refuses 9 "it is a file of web/db" "a file of another secret" \
	phial revert web/other --from "$WORK/old.sealed"
refuses 14 "no commit|none of the 0" "a secret that never was" phial revert web/never --to 5
sed 's/^version: ./version: 9/' "$WORK/old.sealed" >"$WORK/changed.sealed"
refuses 4 "signature" "a file that was changed" phial revert web/db --from "$WORK/changed.sealed"

# Who signed it may not sign any more.
phial signer keygen --help >/dev/null
mkdir -p "$WORK/other"
XDG_CONFIG_HOME=$WORK/other phial signer keygen --no-passphrase >"$WORK/keygen.log" 2>&1
KEY=$(grep -oE 'RW[A-Za-z0-9+/=]{54}' "$WORK/other/phial/signer.pub" | head -n 1)
exits 0 "a second signer" phial signer add other "$KEY"
feed "$SECOND" phial seal web/db --signer "$WORK/other/phial/signer.key" >/dev/null 2>&1
THEIRS=$(version web/db.sealed)
commit "sealed by the other"
feed "$THIRD" phial seal web/db >/dev/null 2>&1
phial signer rm other >/dev/null
commit "without the other"
refuses 5 "version $THEIRS" "a version by one who may not sign any more" \
	phial revert web/db --to "$THEIRS"
like "$(phial revert web/db --list)" "$THEIRS .*not signed by who may sign today" "... listed as such"

# A repository whose configuration names programs: none of them runs.
cat >"$WORK/evil" <<EVIL
#!/bin/sh
touch "$WORK/it-ran"
exec cat
EVIL
chmod 755 "$WORK/evil"
for key in core.fsmonitor core.pager core.sshCommand diff.external diff.phial.textconv \
	filter.x.smudge filter.x.clean gpg.program alias.rev-list alias.cat-file; do
	git config $key "$WORK/evil"
done
git config core.hooksPath "$WORK"
git config log.showSignature true
printf '*.sealed filter=x diff=phial\n' >.git/info/attributes
exits 0 "a repository that names programs" phial revert web/db --to "$OLD"
check "... none of which ran" test ! -e "$WORK/it-ran"
# A file that is missing is fetched by a program, too: by nobody, then.
cp -r . "$WORK/partial"
BLOB=$(git -C "$WORK/partial" rev-parse HEAD:web/db.sealed)
rm -f "$WORK/partial/.git/objects/$(expr "$BLOB" : '\(..\)')/${BLOB#??}"
for setting in core.repositoryFormatVersion=1 extensions.partialClone=origin \
	remote.origin.promisor=true remote.origin.url=ext::"$WORK/evil" protocol.ext.allow=always; do
	git -C "$WORK/partial" config "${setting%%=*}" "${setting#*=}"
done
phial revert web/db --list --store "$WORK/partial" >/dev/null 2>&1
check "... nor what would fetch a missing file" test ! -e "$WORK/it-ran"
is_value "$(phial unseal web/db)" "$FIRST" "... and the value came back"

# A store that is a folder of a larger repository, and one that is none.
mkdir "$WORK/large" && cp -r .phial .gitattributes web "$WORK/large" 2>/dev/null
mkdir "$WORK/large/sub" && mv "$WORK/large/.phial" "$WORK/large/web" "$WORK/large/sub"
git -C "$WORK/large" init -q
git -C "$WORK/large" -c user.name=t -c user.email=t@example.org add -A
git -C "$WORK/large" -c user.name=t -c user.email=t@example.org commit -qm all
INNER=$(version "$WORK/large/sub/web/db.sealed")
rm "$WORK/large/sub/web/db.sealed"
exits 0 "a store in a larger repository" phial revert web/db --to "$INNER" --store "$WORK/large/sub"
rm -rf "$WORK/large/.git"
exits 14 "a store without git" phial revert web/db --to "$OLD" --store "$WORK/large/sub"
like "$OUTPUT" "no history .*--from FILE.sealed" "... says what to do"
mkdir "$WORK/empty" && ln -s "$(command -v setsid)" "$WORK/empty/setsid"
OUTPUT=$(PATH=$WORK/empty phial revert web/db --to "$OLD" 2>&1)
like "$OUTPUT" "git is not installed: .*--from" "no git at all"
[ "$(id -u)" -ne 0 ] || sweep "none of the values is left" "$FIRST
$SECOND
$THIRD"
finish
