# SPDX-License-Identifier: ISC
# libphial as others get it: nothing but its API is exported, and a program from outside builds
# with pkg-config against the shared and the static library, as C and with C++ headers.
. "$(dirname "$0")/../lib.sh"
need cc nm pkg-config ldd

for library in libphial.so.0 libphial.a; do
	[ -f "$BUILD/$library" ] || skip_all "$BUILD/$library is not built"
done

# --- exports ---------------------------------------------------------------------------

nm -D --defined-only "$BUILD/libphial.so.0" | awk '{ print $3 }' | sort >"$WORK/exported"
# What stands between PHIAL_API and the first parenthesis of its own declaration ends in the name.
cat "$ROOT"/include/phial/*.h | tr '\n' ' ' |
	grep -oE 'PHIAL_API [^;()]*\(' | grep -oE 'phial_[a-z0-9_]+\($' | tr -d '(' | sort >"$WORK/declared"
is "$(wc -l <"$WORK/declared" | awk '{ print ($1 > 40) }')" 1 "the headers declare the API"
is "$(comm -23 "$WORK/exported" "$WORK/declared")" "" "nothing but the API is exported"
is "$(comm -13 "$WORK/exported" "$WORK/declared")" "" "all of the API is exported"

# --- a program from outside ------------------------------------------------------------

mkdir "$WORK/shared" "$WORK/static"
cp -P "$BUILD/libphial.so" "$BUILD/libphial.so.0" "$WORK/shared/"
cp "$BUILD/libphial.a" "$WORK/static/"

# flags KIND [OPTION...]: what pkg-config says for a library in $WORK/KIND
flags() {
	sed -e "s|@PREFIX@|$WORK|" -e "s|@LIBDIR@|$WORK/$1|" -e "s|@INCLUDEDIR@|$ROOT/include|" \
		-e "s|@VERSION@|0|" "$ROOT/contrib/phial.pc.in" >"$WORK/phial.pc"
	PKG_CONFIG_PATH=$WORK pkg-config --cflags --libs "${@:2}" phial
}

EXAMPLE=$ROOT/examples/libphial/seal_and_open.c
STRICT="-std=c11 -Wall -Wextra -Wpedantic -Werror"
# shellcheck disable=SC2046,SC2086 # flags are words
check "shared: builds" cc $STRICT "$EXAMPLE" $(flags shared) -Wl,-rpath,"$WORK/shared" \
	-o "$WORK/with-shared"
# shellcheck disable=SC2046,SC2086
check "static: builds" cc $STRICT "$EXAMPLE" $(flags static --static) -o "$WORK/with-static"
like "$(ldd "$WORK/with-shared")" "$WORK/shared/libphial.so.0" "shared: uses libphial.so.0"
unlike "$(ldd "$WORK/with-static")" libphial "static: does not"

CANARY=$(canary)
for kind in shared static; do
	is "$(printf %s "$CANARY" | "$WORK/with-$kind" 2>"$WORK/told")" "$CANARY" "$kind: seals and opens"
	like "$(cat "$WORK/told")" "web/db_password, version" "$kind: inspects"
	head -c 1048577 /dev/zero | "$WORK/with-$kind" >"$WORK/out" 2>&1
	is "$?" 10 "$kind: one byte over 1 MiB is refused with its status"
done

if command -v c++ >/dev/null; then
	echo '#include <phial/phial.h>' >"$WORK/use.cc"
	check "the headers are C++, too" c++ -Wall -Wextra -Werror -I"$ROOT/include" -fsyntax-only \
		"$WORK/use.cc"
else
	skip "no C++ compiler" "the headers are C++, too"
fi
finish
