# SPDX-License-Identifier: ISC
# `make install` puts every file in its place, with its folders written into it, and
# `make uninstall` leaves nothing of it.
. "$(dirname "$0")/../lib.sh"
need make pkg-config

DEST=$WORK/dest
PREFIX=/opt/phial

make_target() {
	env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make --no-print-directory -C "$ROOT" "$@" \
		BUILD="$BUILD" CC=gcc WERROR=1 DESTDIR="$DEST" PREFIX=$PREFIX
}

check "make install" make_target install || bail "make install fails"

# Dependency files name objects by it: with two spellings some would not be made anew.
spelling() {
	env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make --no-print-directory -C "$ROOT" \
		--eval='spelling: ; @echo $(BUILD)' spelling BUILD="$1"
}
is "$(spelling "$ROOT/some/where/") $(spelling some/where) $(spelling "$WORK/else")" \
	"some/where some/where $WORK/else" "a build folder has one spelling"

while read -r mode path; do
	is "$(stat -c %a "$DEST$path" 2>&1)" "$mode" "$path"
done <<EOT
755 $PREFIX/bin/phial
755 $PREFIX/sbin/phiald
755 $PREFIX/libexec/phial/phial-hook
755 $PREFIX/libexec/phial/phial-init
755 $PREFIX/libexec/phial/phial-runtime
644 $PREFIX/lib/libphial.a
644 $PREFIX/lib/libphial.so.0
644 $PREFIX/lib/pkgconfig/phial.pc
644 $PREFIX/include/phial/phial.h
644 $PREFIX/lib/systemd/system/phiald.service
644 $PREFIX/lib/systemd/user/phiald.service
644 $PREFIX/lib/sysusers.d/phial.conf
644 $PREFIX/lib/tmpfiles.d/phial.conf
644 $PREFIX/share/bash-completion/completions/phial
644 $PREFIX/share/zsh/site-functions/_phial
644 $PREFIX/share/fish/vendor_completions.d/phial.fish
644 /usr/share/containers/oci/hooks.d/50-phial.json
EOT
is "$(readlink "$DEST$PREFIX/libexec/phial/phial-runtime-crun")" phial-runtime \
	"phial-runtime-crun is phial-runtime by another name"
is "$(readlink "$DEST$PREFIX/lib/libphial.so")" libphial.so.0 "libphial.so points to libphial.so.0"

for page in "$ROOT"/docs/man/*.[1-8]; do
	name=${page##*/}
	check "man page $name" test -f "$DEST$PREFIX/share/man/man${name##*.}/$name"
done

check "no folder is left unwritten" bash -c "! grep -rnE '@[A-Z]+@' '$DEST'"
is "$(python3 -c 'import json, sys
print(json.load(open(sys.argv[1]))["hook"])' "$DEST/usr/share/containers/oci/hooks.d/50-phial.json")" \
	"{'path': '$PREFIX/libexec/phial/phial-hook', 'args': ['phial-hook'], 'env': [], 'timeout': 20}" \
	"the engines' hook file names the hook, and gives it no environment"

cat >"$WORK/use.c" <<'EOT'
#include <phial/phial.h>
int main(void) { return phial_status_text(PHIAL_OK) ? 0 : 1; }
EOT
pc() {
	PKG_CONFIG_PATH=$DEST$PREFIX/lib/pkgconfig pkg-config --define-variable=prefix="$DEST$PREFIX" \
		--define-variable=libdir="$DEST$PREFIX/lib" \
		--define-variable=includedir="$DEST$PREFIX/include" "$@" phial
}
# shellcheck disable=SC2046
if check "a program builds with the pkg-config file" \
	gcc -Wall -Werror "$WORK/use.c" -o "$WORK/use" $(pc --cflags --libs); then
	check "and runs with the shared library" \
		env LD_LIBRARY_PATH="$DEST$PREFIX/lib" "$WORK/use"
fi
# shellcheck disable=SC2046
check "and links with the static one" \
	gcc "$WORK/use.c" -o "$WORK/use-static" $(pc --cflags) \
	"$DEST$PREFIX/lib/libphial.a" $(pc --libs --static | sed 's/-lphial//')

UNIT=$DEST$PREFIX/lib/systemd/system/phiald.service
unlike "$(cat "$UNIT")" '^(Protect(System|Home|Kernel.*)|Private(Tmp|Devices|Mounts|Users)|(ReadWrite|ReadOnly|Inaccessible)Paths|TemporaryFileSystem|MountFlags|RootDirectory)=' \
	"the unit has no mount namespace of its own"
like "$(grep ^Before= "$UNIT" | tr '\n' ' ')" 'docker.service containerd.service' \
	"the agent is up before the engines"
USER_UNIT=$DEST$PREFIX/lib/systemd/user/phiald.service
unlike "$(cat "$USER_UNIT")" '^(NoNewPrivileges|Private.*|Protect.*|Restrict.*|SystemCall.*|LockPersonality|MemoryDenyWriteExecute)=' \
	"the user's unit keeps newuidmap working"
if command -v systemd-analyze >/dev/null; then
	sed "s|^ExecStart=.*|ExecStart=$DEST$PREFIX/sbin/phiald --user|" "$USER_UNIT" >"$WORK/phiald.service"
	SAID=$(HOME=$WORK XDG_RUNTIME_DIR=$WORK systemd-analyze --user --man=no verify \
		"$WORK/phiald.service" 2>&1 | grep phiald)
	is "$SAID" "" "systemd-analyze verify finds nothing in the user's unit"
	sed "s|^ExecStart=.*|ExecStart=$DEST$PREFIX/sbin/phiald|" "$UNIT" >"$WORK/phiald.service"
	# It looks at all units it meets; only what it says about ours counts.
	SAID=$(systemd-analyze --man=no verify "$WORK/phiald.service" 2>&1 | grep phiald)
	is "$SAID" "" "systemd-analyze verify finds nothing"
else
	skip "systemd-analyze is not installed" "systemd-analyze verify finds nothing in the user's unit"
	skip "systemd-analyze is not installed" "systemd-analyze verify finds nothing"
fi
if command -v systemd-sysusers >/dev/null; then
	check "systemd-sysusers takes the user file" \
		systemd-sysusers --dry-run "$DEST$PREFIX/lib/sysusers.d/phial.conf"
else
	skip "systemd-sysusers is not installed" "systemd-sysusers takes the user file"
fi

check "make uninstall" make_target uninstall
is "$(find "$DEST" -not -type d)" "" "uninstall leaves no file"
is "$(find "$DEST" -type d -name 'phial*')" "$DEST$PREFIX" "and no folder of phial's own"
finish
