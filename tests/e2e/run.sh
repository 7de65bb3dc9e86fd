#!/bin/bash
# SPDX-License-Identifier: ISC
# phial run on a real store as an ordinary user: what the command sees, what nobody else sees, and
# what is left afterwards.
# suite-timeout: 120
# shellcheck source=_run.sh
. "$(dirname "$0")/_run.sh"
need python3 busybox
CANARY=$(canary)
person_store
seal web/db_password "$CANARY"
seal web/tls.key "key $CANARY" --mode 0440

# in_background COMMAND...: started, and waited for until it has made $WORK/started
in_background() {
	rm -f "$WORK/started"
	install -m 666 /dev/null "$WORK/output"
	start_quietly "$WORK/output" "$@"
	COMMAND_PID=$STARTED_PID
	within 10 test -s "$WORK/shared/started" || bail "not started: $(cat "$WORK/output")"
}
mkdir "$WORK/shared"
# The commands in the background are not this shell's own children.
at_exit 'kill -KILL "$(cat "$WORK/shared/started" 2>/dev/null)" 2>/dev/null'
hand_over "$WORK/shared"

# --- what the command sees -----------------------------------------------------------------

is "$(person_run -- sh -c 'cat /run/secrets/db_password | sha256sum')" "$(sha "$CANARY")  -" \
	"the value is in /run/secrets"
is "$(person_run -- stat -L -c '%n %a %u:%g' /run/secrets/db_password /run/secrets/tls.key | tr '\n' ' ')" \
	"/run/secrets/db_password 400 $PERSON:$PERSON /run/secrets/tls.key 440 $PERSON:$PERSON " \
	"modes as in production, the owner is the caller"
is "$(person_run -- readlink /run/secrets/db_password)" ..data/db_password "the layout is that of production"
mounted=$(person_run -- grep ' /run/secrets ' /proc/self/mountinfo)
like "$mounted" ' ro,nosuid,nodev,noexec[ ,].* - (ramfs|tmpfs) ' "read-only, nosuid, nodev, noexec, in memory"
for attempt in 'echo x >/run/secrets/new' 'chmod 600 /run/secrets/db_password' 'rm /run/secrets/tls.key' \
	'umount /run/secrets' 'mount -o remount,rw /run/secrets' \
	'busybox mount -t tmpfs none /run/secrets'; do
	exits 1 "the command cannot: $attempt" person_run -- sh -c "if $attempt; then exit 0; else exit 1; fi"
done
exits 1 "... also not from a user namespace of its own" person_run -- \
	unshare -Urm sh -c 'umount /run/secrets || mount -o remount,bind,rw /run/secrets || exit 1'

# --- what nobody else sees -------------------------------------------------------------------

within 10 no_wipers # those of the commands before
before=$(ls -A /run)
mounts=$(grep -c . /proc/self/mountinfo)
in_background person_run -- sh -c 'cd /; test -s /run/secrets/db_password && echo $$ >"$0" && exec sleep 1000' \
	"$WORK/shared/started"
command=$(cat "$WORK/shared/started")
check "the command runs" kill -0 "$command"
is "$(host_mounts)" "" "no mount of ours in the host's table"
is "$(grep -c . /proc/self/mountinfo)" "$mounts" "... and no other"
is "$(ls -A /run)" "$before" "nothing new in the host's /run"
if [ -d /run/secrets ]; then
	is "$(ls -A /run/secrets)" "" "the host's /run/secrets is empty"
fi
check "a process of the same user finds no file there" as_person sh -c '! cat /run/secrets/db_password'
wiper=$(wipers)
is "$(wc -w <<<"$wiper")" 1 "one process waits to wipe"
exits 1 "the same user cannot look into it" as_person sh -c "ls /proc/$wiper/root/ /proc/$wiper/fd/ || exit 1"
exits 1 "... nor enter its namespaces" as_person sh -c "nsenter -t $wiper -U -m ls / || exit 1"
like "$(cat "/proc/$wiper/status")" 'NoNewPrivs:.1' "it can gain no privilege"
is "$(grep ^CapEff "/proc/$wiper/status" | cut -f2)" 0000000000000002 "it has one capability, CAP_DAC_OVERRIDE"
if [ "$(id -u)" -eq 0 ]; then
	is "$(find "/proc/$wiper/fd" -type l | wc -l)" 3 "it holds no descriptor of the caller"
fi
is "$(ps -o ppid= -p "$wiper" | tr -d ' ')/$(ps -o sid= -p "$wiper" | tr -d ' ')" \
	"$(ps -o ppid= -p "$wiper" | tr -d ' ')/$wiper" "it has a session of its own"
unlike "$(ps -o ppid= -p "$wiper")" "^ *$command\$" "and is no child of the command"
sweep_if_root "while the command runs, the secrets are in no process, file or swap" "$CANARY" \
	--skip-pid "$COMMAND_PID" # a copy of this shell

# busybox's cat is sendfile(2): the pages of the file are in the pipe when the command is gone.
is "$(person_run -- busybox cat /run/secrets/db_password | (sleep 0.1 && sha256sum))" "$(sha "$CANARY")  -" \
	"what the command wrote last can still be read when it has ended"

# --- what is left afterwards -----------------------------------------------------------------

kill -KILL "$command"
wait "$COMMAND_PID" 2>/dev/null
within 5 no_wipers
is "$(wipers)" "" "killed by SIGKILL: the wiper ends"
is "$(host_mounts)" "" "... no mount"

# A child that stays behind holds the file open: it reads zeros, and by the path nothing.
cat >"$WORK/behind.py" <<'SCRIPT'
import os, sys, time
fd = os.open("/run/secrets/db_password", os.O_RDONLY)
main = os.getpid()
if os.fork():
    os._exit(3)
os.setsid()
deadline = time.monotonic() + 10
while os.path.lexists("/run/secrets/db_password") and time.monotonic() < deadline:
    time.sleep(0.02)
data = os.pread(fd, 1000, 0)
names = sorted(os.listdir("/run/secrets"))
with open(sys.argv[1] + "/result.new", "w") as out:
    print(len(data), data.strip(b"\0") == b"", names, file=out)
os.rename(sys.argv[1] + "/result.new", sys.argv[1] + "/result")
SCRIPT
exits 3 "a command that leaves a child behind" person_run -- python3 "$WORK/behind.py" "$WORK/shared"
within 15 test -e "$WORK/shared/result"
is "$(cat "$WORK/shared/result")" "32 True []" \
	"its files are overwritten and gone, for those who hold them open, too"
within 5 no_wipers

rm -f "$WORK/shared/started"
in_background person_run -- sh -c 'echo $$ >"$0"; sleep 0.2; until [ -e "$1" ]; do sleep 0.05; done
	test -s /run/secrets/db_password && echo still there' "$WORK/shared/started" "$WORK/shared/go"
kill -KILL "$(wipers)"
: >"$WORK/shared/go"
wait "$COMMAND_PID"
is "$?/$(cat "$WORK/output")" "0/still there" "the wiper killed: the command is not touched"
is "$(host_mounts)/$(wipers)" "/" "... and nothing is left"
rm -f "$WORK/shared/started"

# --- trust: as strict as unseal -----------------------------------------------------------------

# refuses STATUS PATTERN DESCRIPTION: nothing runs
refuses() {
	exits "$1" "$3" person_run web -- echo STARTED
	like "$OUTPUT" "$2" "... says why"
	unlike "$OUTPUT" "STARTED|$CANARY" "... and nothing runs"
}
cp "$STORE/web/db_password.sealed" "$WORK/good.sealed"
sed -i 's/^version: \(.*\)/version: 1\1/' "$STORE/web/db_password.sealed"
refuses 4 '^phial: web/db_password: ' "a sealed file that was changed"
cp "$STORE/web/tls.key.sealed" "$STORE/web/db_password.sealed"
refuses 9 '^phial: web/db_password: it was sealed as web/tls.key' "a sealed file under another name"
cp "$WORK/good.sealed" "$STORE/web/db_password.sealed"
XDG_CONFIG_HOME=$WORK/stranger "$PHIAL" signer keygen --no-passphrase >/dev/null 2>&1
rm "$STORE/web/db_password.sealed"
recipient=$(grep -o 'age1[a-z0-9]*' "$STORE/.phial/recipients")
printf %s "$CANARY" | "$PHIAL" seal web/db_password -r "$recipient" -s "$WORK/stranger/phial/signer.key" \
	-o "$STORE/web/db_password.sealed" >/dev/null 2>&1 || bail "seal as a stranger"
refuses 5 '^phial: web/db_password: ' "a good file that a stranger signed"
cp "$WORK/good.sealed" "$STORE/web/db_password.sealed"
seal web/old x --not-after "$(date -u -d "2 seconds" +%Y-%m-%dT%H:%M:%SZ)"
until "$PHIAL" verify "$STORE" 2>&1 | grep -q 'web/old: expired'; do sleep 0.1; done
refuses 7 '^phial: web/old: expired at ' "an expired secret"
sed -i 's/^signer: .*/signer: RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3/' \
	"$STORE/web/tls.key.sealed"
person_run web -- echo STARTED >"$WORK/output" 2>&1
is "$(grep -c '^phial: web/' "$WORK/output")" 2 "two bad secrets: both are named"
rm "$STORE/web/old.sealed"
seal web/tls.key "key $CANARY"
mv "$XDG_CONFIG_HOME/phial/trust" "$WORK/trust"
refuses 14 'pin' "no admin key pinned"
mv "$WORK/trust" "$XDG_CONFIG_HOME/phial/trust"

# --- policy ------------------------------------------------------------------------------------

mkdir -p "$WORK/there" "$WORK/root/dir" "$WORK/own"
chmod 755 "$WORK/there" "$WORK/root" "$WORK/root/dir"
hand_over "$WORK/own"
echo old >"$WORK/root/file"
echo inner >"$WORK/root/dir/file"
ln -s file "$WORK/root/link"
ln -s nowhere "$WORK/root/dangling"
chmod 644 "$WORK"/root/{file,dir/file}
policy '{"phial": "policy v1", "serial": 1, "workloads": {
	"there": {"target": "'"$WORK"'/there", "secrets": [{"name": "web/db_password", "file": "pw", "mode": "0444", "owner": "999:999"}]},
	"missing": {"target": "'"$WORK"'/root/a/b", "secrets": ["web/*"]},
	"own": {"target": "'"$WORK"'/own/secrets", "secrets": ["web/*"]},
	"top": {"target": "/phial-no-such-place/x", "secrets": ["web/*"]},
	"file": {"target": "'"$WORK"'/root/file", "secrets": ["web/*"]},
	"optional": {"secrets": ["web/tls.key", {"name": "web/db_password", "required": false}, {"name": "web/none", "required": false}]}}}'
is "$(person_run there -- sh -c 'cd "$CREDENTIALS_DIRECTORY" && pwd && stat -L -c "%n %a %u" *' | tr '\n' ' ')" \
	"$WORK/there pw 444 $PERSON " \
	"file name, mode and target are the policy's; the owner is the caller all the same"
exits 2 "the policy's workloads are listed, too" person_run -- true
like "$OUTPUT" 'there is web, there, missing, own, top, file, optional$' "... each once"
is "$(person_run missing -- cat "$WORK/root/a/b/db_password" | sha256sum)" "$(sha "$CANARY")  -" \
	"a target of which two directories are missing"
is "$(as_person env -C "$WORK/root" "$WORK/phial" run --store "$STORE" missing -- cat a/b/db_password 2>/dev/null | sha256sum)" \
	"$(sha "$CANARY")  -" "... also by a path from the covered directory"
is "$(ls -A "$WORK/root" | tr '\n' ' ')" "dangling dir file link " "... nothing is made on disk"
is "$(person_run missing -- sh -c 'cd "$0"; cat file dir/file link; readlink dangling' "$WORK/root" | tr '\n' ' ')" \
	"old inner old .phial/dangling " "... and what was there is there"
exits 1 "... read-only" person_run missing -- sh -c 'echo x >"$0/new" || exit 1' "$WORK/root"
is "$(person_run own -- sh -c 'test -s "$0/own/secrets/db_password"' "$WORK" 2>&1)" \
	"phial: note: there is no $WORK/own/secrets here, so the command can make no file directly in $WORK/own; mkdir -p $WORK/own/secrets avoids that" \
	"a note where the caller could have made files"
exits 16 "a target of which nothing is there" person_run top -- echo STARTED
like "$OUTPUT" 'target /phial-no-such-place/x: nothing of it' "... is refused"
exits 16 "a target that is a file" person_run file -- echo STARTED
sed -i 's/^version: \(.*\)/version: 1\1/' "$STORE/web/db_password.sealed"
is "$(person_run optional -- ls /run/secrets 2>"$WORK/output")" tls.key "a bad secret that is not required is left out"
like "$(cat "$WORK/output")" '^phial: left out: web/db_password: ' "... and named"
cp "$WORK/good.sealed" "$STORE/web/db_password.sealed"
sed -i 's/"serial": 1/"serial": 2/' "$STORE/.phial/policy.json"
exits 4 "a policy that was changed after it was signed" person_run there -- echo STARTED
policy '{"phial": "policy v1", "serial": 3, "workloads": {"missing": {"target": "'"$WORK"'/root/a/b", "secrets": ["web/*"]}}}'

# --- sockets in the covered directory ------------------------------------------------------------

cat >"$WORK/listen.py" <<'SCRIPT'
import os, socket, sys
path = sys.argv[1]
if os.path.exists(path):
    os.unlink(path)
s = socket.socket(socket.AF_UNIX)
s.bind(path)
os.chmod(path, 0o777)
s.listen()
while True:
    s.accept()[0].sendall(sys.argv[2].encode())
SCRIPT
cat >"$WORK/connect.py" <<'SCRIPT'
import os, socket, sys, time
def ask():
    deadline = time.monotonic() + 10
    while True:
        try:
            s = socket.socket(socket.AF_UNIX)
            s.connect(sys.argv[1])
            return s.recv(10).decode()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
first = ask()
open(sys.argv[2], "w").write("x")
while ask() == first and not time.sleep(0.05):
    pass
print(first, ask())
SCRIPT
start_quietly "$WORK/listen.log" python3 "$WORK/listen.py" "$WORK/root/socket" one
listener=$STARTED_PID
within 10 test -S "$WORK/root/socket"
in_background person_run missing -- python3 "$WORK/connect.py" "$WORK/root/socket" "$WORK/shared/started"
stop "$listener"
start_quietly "$WORK/listen.log" python3 "$WORK/listen.py" "$WORK/root/socket" two
wait "$COMMAND_PID"
is "$(tail -n 1 "$WORK/output")" "one two" "a socket is reached, and again after its daemon was restarted"
stop "$STARTED_PID"
rm -f "$WORK/shared/started"
runtime_dir=$(person_run web -- sh -c 'ls -d /run/user && ls -A /run/user | wc -l')
is "$runtime_dir" "$(ls -d /run/user && ls -A /run/user | wc -l)" "/run/user is what it was"

# --- where there is less ---------------------------------------------------------------------

exits 18 "no user namespaces: an error" unshare -U --map-root-user sh -c \
	'echo 0 >/proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all --inh-caps=-all -- "$@"' \
	sh "$PHIAL" run --store "$STORE" web -- echo STARTED
like "$OUTPUT" 'user.max_user_namespaces is 0.*sudo sysctl -w user.max_user_namespaces=' "... names the switch"
unlike "$OUTPUT" STARTED "... and nothing runs"
is "$(as_person unshare -U --map-root-user "$WORK/phial" run web -- sha256sum /run/secrets/db_password | cut -c1-64)" \
	"$(sha "$CANARY")" "as root of a user namespace"
if [ "$(id -u)" -eq 0 ]; then
	is "$(cd "$STORE" && "$PHIAL" run web -- sh -c 'id -u; sha256sum <"$CREDENTIALS_DIRECTORY/db_password"' 2>/dev/null | tr '\n' ' ')" \
		"0 $(sha "$CANARY")  - " "as root"
	is "$(host_mounts)" "" "... also without a mount on the host"
	# shellcheck disable=SC2016
	is "$(cd "$STORE" && unshare -m --propagation shared sh -c '"$0" run web -- grep -c " /run" "/proc/$$/mountinfo"' \
		"$PHIAL" 2>/dev/null)" "$(grep -c ' /run' /proc/self/mountinfo)" "... and where mounts are shared"
	# shellcheck disable=SC2016
	is "$(unshare -m sh -c 'mount -t tmpfs none "$0/dir" && chmod 755 "$0/dir" && echo mounted >"$0/dir/m" &&
		exec "$@"' "$WORK/root" setpriv --reuid "$PERSON" --regid "$PERSON" --clear-groups \
		"$WORK/phial" run --store "$STORE" missing -- cat "$WORK/root/dir/m")" mounted \
		"a mount below a covered directory is there"
	is "$(cd "$STORE" && "$PHIAL" run web -- stat -c %a /run/secrets/ /run 2>/dev/null | tr '\n' ' ')" "755 755 " \
		"... and passable for the users to which the command may step down"
fi

within 5 no_wipers
is "$(wipers)/$(host_mounts)" "/" "no process and no mount is left"
sweep_if_root "the secrets are nowhere" "$CANARY"
finish
