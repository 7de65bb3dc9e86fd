# SPDX-License-Identifier: ISC
# The agent watches its store: whatever way a change comes, it is read without "phial reload"; what is
# no change of the store is not, and nobody can keep the agent reading.
. "$(dirname "$0")/../attack/_lib.sh"
need_root
need runc busybox

CANARY=$(canary)
mkdir "$WORK/checkout"
make_store "$WORK/checkout/store"
seal web/a "$CANARY"

version_of() { sed -n 's/^version: //p' "$1"; }
# loaded NAME: the version in the ring, or why there is none
loaded() {
	status_of "next((s.get('version', s['state']) for s in s['secrets'] if s['name'] == '$1'), 'none')"
}
loaded_is() { [ "$(loaded "$1")" = "$2" ]; }
# reaches NAME VERSION DESCRIPTION...
reaches() {
	local name=$1 version=$2
	shift 2
	within 20 loaded_is "$name" "$version"
	is "$(loaded "$name")" "$version" "$*"
}
readings() { grep -c 'store read: ' "$WORK/agent.log"; }
# elsewhere NAME VALUE: sealed into a copy of the store, in $WORK/copy/NAME.sealed; its version is in
# $VERSION
elsewhere() {
	rm -rf "$WORK/copy"
	mkdir "$WORK/copy"
	cp -a "$STORE/." "$WORK/copy"
	STORE=$WORK/copy seal "$1" "$2"
	VERSION=$(version_of "$WORK/copy/$1.sealed")
}
# settled: the agent has read all there is, and rests
settled() {
	local before=-1
	until [ "$before" = "$(readings)" ]; do
		before=$(readings)
		sleep 1
	done
}

start_agent || bail "the agent does not start"
is "$(status_of 's["store"]["watched"]')" True "status says that the store is watched"

# --- the ways that files come ------------------------------------------------------------------

seal web/a "$(canary)"
reaches web/a "$(version_of "$STORE/web/a.sealed")" "phial seal: the new version is loaded"
seal new/first "$(canary)"
reaches new/first "$(version_of "$STORE/new/first.sealed")" "phial seal in a new directory"
seal mail/in/the/deep "$(canary)"
reaches mail/in/the/deep "$(version_of "$STORE/mail/in/the/deep.sealed")" "four levels deep, all of them new"
seal mail/in/the/deep "$(canary)"
reaches mail/in/the/deep "$(version_of "$STORE/mail/in/the/deep.sealed")" "and changed there"

elsewhere web/a "$(canary)"
cp "$WORK/copy/web/a.sealed" "$STORE/web/.a.sealed.Xy12Zz" # as rsync does
mv "$STORE/web/.a.sealed.Xy12Zz" "$STORE/web/a.sealed"
reaches web/a "$VERSION" "rsync: a temporary name, then a rename"
elsewhere web/a "$(canary)"
cat "$WORK/copy/web/a.sealed" >"$STORE/web/a.sealed"
reaches web/a "$VERSION" "cp: written in place"
elsewhere web/a "$(canary)"
ln -f "$WORK/copy/web/a.sealed" "$STORE/web/a.sealed"
reaches web/a "$VERSION" "ln -f: a hard link"

rm "$STORE/new/first.sealed"
within 20 status_is 's["secrets"][0]["state"]' missing
is "$(status_of 's["secrets"][0]["name"], s["secrets"][0]["state"]')" "new/first missing" \
	"rm: the file is reported as missing"
mv "$STORE/web" "$STORE/shop"
within 20 status_is '[s["state"] for s in s["secrets"] if s["name"] == "web/a"]' "['missing']"
like "$(status_of '[(s["state"], s.get("reason")) for s in s["secrets"] if s["name"] == "shop/a"]')" \
	"refused.*holds the secret web/a" "mv of a directory: read under its new name"
mv "$STORE/shop" "$STORE/web"
within 20 status_is '[s["state"] for s in s["secrets"] if s["name"] == "web/a"]' "['loaded']"
is "$(loaded web/a)" "$VERSION" "and back"

if command -v git >/dev/null; then
	git init -q "$STORE" 2>/dev/null
	as_git() { git -C "$1" -c user.name=t -c user.email=t@invalid "${@:2}" >>"$WORK/git.log" 2>&1; }
	as_git "$STORE" add -A && as_git "$STORE" commit -m one
	as_git "$WORK" clone "$STORE" "$WORK/origin"
	for number in 1 2 3 4 5 6; do
		STORE=$WORK/origin seal "git$number/x" "$(canary)"
	done
	STORE=$WORK/origin seal web/a "$(canary)"
	as_git "$WORK/origin" add -A && as_git "$WORK/origin" commit -m two
	check "git pull" as_git "$STORE" pull --no-rebase "$WORK/origin" HEAD
	reaches web/a "$(version_of "$WORK/origin/web/a.sealed")" "git pull: the changed file"
	reaches git6/x "$(version_of "$WORK/origin/git6/x.sealed")" "git pull: the new directories"
	settled
	before=$(readings)
	as_git "$STORE" gc
	as_git "$STORE" status
	git -C "$STORE" fsck >>"$WORK/git.log" 2>&1
	sleep 1.5
	is "$(readings)" "$before" "git's own files are not a reason to read"
else
	skip "git is not installed" "git pull"
fi

# --- the place of the store ------------------------------------------------------------------------

elsewhere web/a "$(canary)"
mv "$STORE" "$WORK/checkout/old"
mv "$WORK/copy" "$STORE"
reaches web/a "$VERSION" "another directory in the place of the store"
rm -rf "$WORK/checkout/old"
cp -a "$WORK/checkout" "$WORK/checkout2"
(STORE=$WORK/checkout2/store seal web/a "$(canary)")
VERSION=$(version_of "$WORK/checkout2/store/web/a.sealed")
mv "$WORK/checkout" "$WORK/checkout.old"
mv "$WORK/checkout2" "$WORK/checkout"
reaches web/a "$VERSION" "mv of a whole checkout, a directory above"
rm -rf "$WORK/checkout.old"
seal web/a "$(canary)"
reaches web/a "$(version_of "$STORE/web/a.sealed")" "what is there now is watched"
stop_agent

# A path of links, as of Kubernetes' volumes and of release directories.
mkdir "$WORK/releases"
cp -a "$STORE" "$WORK/releases/1"
ln -s releases/1 "$WORK/current"
mkdir "$WORK/links"
ln -s ../current "$WORK/links/store"
REAL=$STORE STORE=$WORK/links/store
start_agent || bail "the agent does not start"
cp -a "$REAL" "$WORK/releases/2"
(STORE=$WORK/releases/2 seal web/a "$(canary)")
ln -s releases/2 "$WORK/current.tmp"
mv -T "$WORK/current.tmp" "$WORK/current"
reaches web/a "$(version_of "$WORK/releases/2/web/a.sealed")" "a link on the way is switched"
mv "$WORK/links" "$WORK/links.old"
within 20 status_is 's["store"]["problem"] is None' False
like "$(status_of 's["store"]["problem"]')" "there is no store at" "the path is gone: said"
cp -a "$WORK/releases/2" "$WORK/releases/3"
(STORE=$WORK/releases/3 seal web/a "$(canary)")
mkdir "$WORK/links"
ln -s ../releases/3 "$WORK/links/store"
reaches web/a "$(version_of "$WORK/releases/3/web/a.sealed")" "and is read when it is there again"
rm -rf "$WORK/links.old"

# A ConfigMap's volume within: ..data is switched.
mkdir "$STORE/..1"
mv "$STORE/web" "$STORE/..1/web"
ln -s ..1 "$STORE/..data"
ln -s ..data/web "$STORE/web"
cp -a "$STORE/..1" "$STORE/..2"
within 20 status_is '[s["state"] for s in s["secrets"] if s["name"] == "web/a"]' "['loaded']"
elsewhere web/a "$(canary)"
cp "$WORK/copy/web/a.sealed" "$STORE/..2/web/a.sealed"
ln -s ..2 "$STORE/..data_tmp"
mv -T "$STORE/..data_tmp" "$STORE/..data"
reaches web/a "$VERSION" "Kubernetes' ..data is switched"

# --- what is no change ---------------------------------------------------------------------------------

settled
before=$(readings)
echo x >"$STORE/web/.a.sealed.swp"
echo x >"$STORE/web/a.sealed~"
echo x >"$STORE/README.md"
rm "$STORE/web/.a.sealed.swp" "$STORE/web/a.sealed~" "$STORE/README.md"
sleep 1.5
is "$(readings)" "$before" "editors' files are not a reason to read"

touch_loop() { while :; do touch "$STORE/web/a.sealed"; sleep 0.02; done; }
start touch_loop
TOUCHER=$STARTED_PID
sleep 8
stop "$TOUCHER"
forget "$TOUCHER"
count=$(($(readings) - before))
# Never quiet: each waits for two seconds, and for the pause that grows.
is "$((count >= 1 && count <= 5))" 1 "a file touched in a loop: read at least once, at most each two seconds ($count)"

before=$(readings)
for name in many/{1..60}; do
	mkdir -p "$WORK/copy/many"
	cp "$STORE/web/a.sealed" "$WORK/copy/$name.sealed"
done
settled
before=$(readings)
mv "$WORK/copy/many" "$STORE/many"
within 20 status_is 'len([s for s in s["secrets"] if s["name"].startswith("many/")])' 60
is "$(($(readings) - before))" 1 "many files at once are read once"

# --- no watch -----------------------------------------------------------------------------------------

reload() { "$PHIAL" reload --run-dir "$RUN_DIR"; }
test_no_watch() {
	rm -rf "$STORE/many"
	settled
	inject -E 28 -o 254 -p "$(worker)" || bail "cannot trace the worker"
	check "no room for watches (ENOSPC of inotify_add_watch): phial reload works" reload
	was_hit
	check "the log says that the store is not watched" \
		grep -q 'max_user_watches.*; "phial reload" reads it' "$WORK/agent.log"
	is "$(status_of 's["store"]["watched"]')" False "status says that the store is not watched"
	like "$(status_of 's["store"]["not_watched"]')" "max_user_watches" "and why"
	like "$("$PHIAL" status --run-dir "$RUN_DIR")" "not watched.*max_user_watches.*phial reload" \
		"phial status says it, and what to do"
	seal web/b "$(canary)"
	check "phial reload reads what came meanwhile" reload
	is "$(loaded web/b)" "$(version_of "$STORE/web/b.sealed")" "it is loaded"
	is "$(status_of 's["store"]["watched"]')" True "once there is room, it is watched again"
}
"$FAULT" -t -- true 9>/dev/null
if [ $? -eq 77 ]; then
	skip "tests/probes/fault knows x86-64 only" "no room for watches"
else
	test_no_watch
fi

stop_agent
sweep "no trace of the value" "$CANARY"
finish
