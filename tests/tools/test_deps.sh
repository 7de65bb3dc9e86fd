# SPDX-License-Identifier: ISC
# contrib/deps installs only what is missing, only as root, and never with PHIAL_NO_INSTALL=1.
# dpkg-query, apt-get, apt-cache and id are stand-ins; nothing is installed here.
. "$(dirname "$0")/../lib.sh"

mkdir "$WORK/bin"
export PATH="$WORK/bin:$PATH" FAKE_UID=0 FAKE_MISSING= FAKE_LOG=$WORK/log
cat >"$WORK/bin/dpkg-query" <<'EOT'
#!/bin/sh
for package; do :; done
case " $FAKE_MISSING " in
*" $package "*) exit 1 ;;
esac
echo installed
EOT
cat >"$WORK/bin/apt-get" <<'EOT'
#!/bin/sh
echo "apt-get $*" >>"$FAKE_LOG"
EOT
cat >"$WORK/bin/id" <<'EOT'
#!/bin/sh
echo "$FAKE_UID"
EOT
chmod +x "$WORK"/bin/*

DEPS=$ROOT/contrib/deps
installs() { grep -v -- ' -s ' "$WORK/log" 2>/dev/null | grep ' install ' | sed 's/.*--no-install-recommends //'; }

exits 0 "everything there: success" "$DEPS" check
is "$OUTPUT$(installs)" "" "in silence, and nothing is installed"

export FAKE_MISSING="musl-tools libsodium-dev"
PHIAL_NO_INSTALL=1 exits 1 "PHIAL_NO_INSTALL=1: failure" "$DEPS" build
like "$OUTPUT" 'missing: libsodium-dev musl-tools' "that names what is missing"
is "$(installs)" "" "and installs nothing"

FAKE_UID=1000 exits 1 "not root: failure" "$DEPS" build
like "$OUTPUT" 'sudo make deps' "that says what to do"
is "$(installs)" "" "and installs nothing"

exits 0 "root: success" "$DEPS" build
is "$(installs)" "libsodium-dev musl-tools" "and what is missing is installed, no more"

FAKE_MISSING="qemu-system-x86 runc"
: >"$WORK/log"
exits 0 "a part needs its own packages only" "$DEPS" build
is "$(installs)" "" "build needs no runtime"
exits 0 "the demo" "$DEPS" demo
is "$(installs)" "runc" "needs one, and no virtual machine"
exits 2 "an unknown part is a usage error" "$DEPS" everything
finish
