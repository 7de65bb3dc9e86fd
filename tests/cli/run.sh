#!/bin/bash
# SPDX-License-Identifier: ISC
# phial run: what it takes and refuses, the environment it gives, and that the command is as it
# would be without phial.
# shellcheck source=../e2e/_run.sh
. "$(dirname "$0")/../e2e/_run.sh"
need python3
CANARY=$(canary)
person_store

# --- which workload ---------------------------------------------------------------------

exits 14 "an empty store: no workload" person_run -- true
like "$OUTPUT" 'no workload .*phial seal' "... and how to make one"
seal web/db_password "$CANARY"
seal alone "$CANARY"
is "$(person_run -- sha256sum /run/secrets/db_password | cut -d' ' -f1)" "$(sha "$CANARY")" \
	"the only workload needs no name"
is "$(person_run web -- ls /run/secrets)" db_password "by name it is the same"
is "$(person_run --store "$STORE" -- pwd)" "$STORE" "the command is where phial was"
is "$(cd / && as_person env -C "$WORK" "$WORK/phial" run --store "$STORE" -- pwd)" "$WORK" \
	"... also outside the store"
seal api/token "other $CANARY"
exits 2 "several workloads: a name is needed" person_run -- true
like "$OUTPUT" 'there is api, web$' "... and the error lists them"
is "$(person_run api -- ls /run/secrets)" token "each has its own files"
exits 14 "a mistyped workload" person_run wbe -- true
like "$OUTPUT" 'did you mean "web"' "... is guessed"
exits 14 "what cannot be a workload" person_run web/db_password -- true
exits 14 "a long name" person_run "$(printf '%080d' 0)" -- true
exits 2 "no command" person_run web
like "$OUTPUT" 'phial run \[WORKLOAD\] -- CMD' "... and the error shows how"
exits 2 "nothing behind --" person_run web --
exits 2 "two workloads" person_run web api -- true
exits 2 "a command without --" person_run web true
exits 14 "no store" as_person env -C / "$WORK/phial" run -- true
exits 14 "no identity" person_run -i "$WORK/nothing" web -- true

# --- the environment ---------------------------------------------------------------------

is "$(person_run web -- sh -c 'echo "$CREDENTIALS_DIRECTORY"')" /run/secrets \
	"CREDENTIALS_DIRECTORY is the target"
is "$(CREDENTIALS_DIRECTORY=/old person_run web -- env | grep -c ^CREDENTIALS_DIRECTORY=)" 1 \
	"... once, whatever it was"
unlike "$(person_run web -- env)" "DB_PASSWORD|$CANARY" "no option: no other variable"
seal web/9.a-b "x"
is "$(DB_PASSWORD_FILE=/old person_run --file-env web -- env | grep -E '^(DB_|_9)' | sort | tr '\n' ' ')" \
	"DB_PASSWORD_FILE=/run/secrets/db_password _9_A_B_FILE=/run/secrets/9.a-b " \
	"--file-env: one for each file, in place of an old one"
OUTPUT=$(DB_PASSWORD=old person_run --env db_password web -- sh -c \
	'printf %s "$DB_PASSWORD" | sha256sum' 2>"$WORK/warning")
is "${OUTPUT%% *}" "$(sha "$CANARY")" "--env: the value, in place of an old one"
is "$(wc -l <"$WORK/warning")" 1 "... with one warning"
like "$(cat "$WORK/warning")" 'warning: --env is weak' "... that it is weak"
is "$(person_run --env db_password --env 9.a-b web -- env 2>/dev/null | grep -cE '^(DB_PASSWORD|_9_A_B)=')" 2 \
	"--env may be repeated"
is "$(person_run --env db_password --file-env web -- env 2>/dev/null | grep -c ^DB_PASSWORD)" 2 \
	"... and stand beside --file-env"
exits 14 "--env with what is no file" person_run --env db_pass web -- true
like "$OUTPUT" 'it has 9.a-b, db_password$' "... lists the files"
unlike "$OUTPUT" "$CANARY" "... and no value"
seal web/a.b x
seal web/a-b y
exits 16 "--file-env: two files with one variable" person_run --file-env web -- true
like "$OUTPUT" 'web/a[.-]b and web/a[.-]b .* A_B_FILE' "... are named"
exits 0 "... which matters with the option only" person_run web -- true
seal web/credentials_directory x
exits 16 "--env: not over our own variable" person_run --env credentials_directory web -- true
rm "$STORE"/web/{a.b,a-b,credentials_directory,9.a-b}.sealed
printf 'a\0%s' "$CANARY" | "$PHIAL" seal web/nul --store "$STORE" >/dev/null 2>&1
exits 16 "--env: a value with a NUL" person_run --env nul web -- true
like "$OUTPUT" 'web/nul: .* NUL' "... is named"
unlike "$OUTPUT" "$CANARY" "... and not shown"
is "$(person_run web -- wc -c /run/secrets/nul)" "34 /run/secrets/nul" "its file is whole"
head -c 131072 /dev/zero | tr '\0' x | "$PHIAL" seal web/nul --store "$STORE" >/dev/null 2>&1
exits 10 "--env: larger than a variable may be" person_run --env nul web -- true
head -c 1048576 /dev/zero | "$PHIAL" seal web/nul --store "$STORE" >/dev/null 2>&1
is "$(person_run web -- wc -c /run/secrets/nul)" "1048576 /run/secrets/nul" "1 MiB in a file"
rm "$STORE/web/nul.sealed"
printf '' | "$PHIAL" seal --allow-empty web/empty --store "$STORE" >/dev/null 2>&1
is "$(person_run --env empty web -- sh -c 'echo "${EMPTY-unset}"' 2>/dev/null)" "" "--env: an empty value"
rm "$STORE/web/empty.sealed"

# --- the command is as without phial ---------------------------------------------------------

exits 0 "exit 0" person_run web -- true
exits 7 "exit 7" person_run web -- sh -c 'exit 7'
for number in 1 2 9 11 15; do
	person_run web -- sh -c "kill -$number \$\$" >/dev/null 2>&1
	is "$?" $((128 + number)) "signal $number"
done
exits 127 "a command that is not there" person_run web -- phial-no-such-command
like "$OUTPUT" '^phial: run phial-no-such-command: No such file' "... is named"
exits 126 "a command that is a directory" person_run web -- /etc
printf '#!/bin/sh\necho from a script "$@"\n' >"$WORK/script"
chmod 755 "$WORK/script"
is "$(person_run web -- "$WORK/script" -- --env x)" "from a script -- --env x" \
	"what stands behind the command is the command's"
is "$(as_person sh -c 'printf "in" | "$@" 2>&1' sh "$WORK/phial" run web -- sh -c 'cat; echo err >&2')" \
	"inerr" "stdin, stdout and stderr are the command's"
# What execve(2) keeps: descriptors, mask, limits, signals, but for core dumps.
kept='umask; ulimit -S -a | grep -v "^core"; ls /proc/self/fd; readlink /proc/self/fd/7
	grep -E "^(Sig(Pnd|Blk|Ign|Cgt)|ShdPnd|Cap(Inh|Prm|Eff|Amb)|NoNew)" /proc/self/status'
for mask in 022 027; do
	is "$(umask $mask; person_run web -- sh -c "$kept" 7<"$WORK/script")" \
		"$(umask $mask; as_person setsid -w sh -c "$kept" 7<"$WORK/script")" \
		"umask $mask, limits, signals, capabilities and descriptors are the caller's"
done
is "$(person_run web -- sh -c 'ulimit -H -c')" 0 "core dumps are off"
is "$(as_person sh -c 'trap "" PIPE; "$@"' sh "$WORK/phial" run web -- grep ^SigIgn /proc/self/status)" \
	"$(as_person sh -c 'trap "" PIPE; "$@"' sh grep ^SigIgn /proc/self/status)" "SIGPIPE stays ignored"
is "$(as_person sh -c 'echo $$; exec "$@"' sh "$WORK/phial" run web -- sh -c 'echo $$' | uniq | wc -l)" 1 \
	"the command has phial's process id"
is "$(person_run web -- sh -c 'read -r children </proc/$$/task/$$/children; echo "$children"')" "" "... and no child that it did not start"
is "$(person_run web -- id -u)" "$PERSON" "the user is who it was"
exits 0 "phial run in phial run" person_run web -- "$WORK/phial" run --file-env api -- test -f /run/secrets/token

# --- keys with a passphrase ---------------------------------------------------------------------

# with_passphrase COMMAND...: the passphrase in a file on descriptor 8
with_passphrase() { "$@" 8<"$WORK/passphrase"; }
printf 'horse\n' >"$WORK/passphrase"
hand_over "$WORK/passphrase"
with_passphrase "$PHIAL" keygen -o "$HOME/locked" --passphrase-fd 8 >"$WORK/locked.log" 2>&1
hand_over "$HOME/locked"
age=$(grep -o 'age1[a-z0-9]*' "$WORK/locked.log" | head -1)
exits 12 "an identity with a passphrase, and no terminal" person_run -i "$HOME/locked" web -- true
exits 6 "an identity that opens nothing" with_passphrase person_run -i "$HOME/locked" --passphrase-fd 8 web -- true
"$PHIAL" host add locked "$age" 'web/*' --store "$STORE" >/dev/null 2>&1
seal web/db_password "$CANARY"
is "$(with_passphrase person_run -i "$HOME/locked" --passphrase-fd 8 web -- sh -c \
	'sha256sum </run/secrets/db_password; ls /proc/self/fd | grep ^8')" "$(sha "$CANARY")  -" \
	"--passphrase-fd opens it, and is closed for the command"

within 5 no_wipers
is "$(wipers)" "" "no process is left"
sweep_if_root "the secrets are nowhere" "$CANARY"
finish
