# SPDX-License-Identifier: ISC
# What was linked is what the Makefile asked for: position independent, read-only relocations,
# no executable stack; the static programs without interpreter and libraries; libphial exports its
# API only.
. "$(dirname "$0")/../lib.sh"
need readelf

headers() { readelf -W -l "$1"; }
dynamic() { readelf -W -d "$1"; }

for program in "$PHIAL" "$PHIALD" "$HOOK" "$INIT" "$RUNTIME" "$BUILD/libphial.so.0"; do
	name=${program##*/}
	[ -e "$program" ] || bail "$program was not built"
	like "$(readelf -W -h "$program")" 'Type: +DYN' "$name: position independent"
	like "$(headers "$program")" 'GNU_RELRO' "$name: relocations become read-only"
	like "$(headers "$program")" 'GNU_STACK .* RW ' "$name: no executable stack"
	like "$(dynamic "$program")" 'NOW' "$name: symbols are bound at start"
	unlike "$(headers "$program")" 'LOAD .* RWE' "$name: nothing is writable and executable"
	unlike "$(dynamic "$program")" 'TEXTREL|RPATH|RUNPATH' "$name: no text relocation, no search path"
	like "$(dynamic "$program")" '(FLAGS_1.*PIE|SONAME)' "$name: marked as PIE or library"
done
for program in "$PHIAL" "$PHIALD"; do
	like "$(readelf -W --dyn-syms "$program")" '__stack_chk_fail' \
		"${program##*/}: stack protector"
	like "$(readelf -W --dyn-syms "$program")" '_chk(@|$| )' "${program##*/}: fortified calls"
done

for program in "$HOOK" "$INIT" "$RUNTIME"; do
	name=${program##*/}
	unlike "$(headers "$program")" 'INTERP' "$name: no interpreter"
	unlike "$(dynamic "$program")" 'NEEDED' "$name: no library"
	unlike "$(strings -a "$program" | grep -i glibc)" 'GLIBC|GNU C Library' "$name: not glibc's code"
done

exported() { readelf -W --dyn-syms "$1" | awk '$7 != "UND" && $5 ~ /GLOBAL|WEAK/ { print $8 }'; }
EXPORTED=$(exported "$BUILD/libphial.so.0")
is "$(grep -v '^phial_' <<<"$EXPORTED")" "" "libphial exports phial_* only"
PUBLIC=$(cat "$ROOT"/include/phial/*.h | tr '\n' ' ' | grep -oE 'PHIAL_API[^;]*;' |
	grep -oE 'phial_[a-z0-9_]+ ?\(' | tr -d ' (' | sort -u)
is "$(comm -23 <(printf '%s\n' "$PUBLIC") <(sort -u <<<"$EXPORTED"))" "" \
	"everything in its headers is exported"
is "$(comm -13 <(printf '%s\n' "$PUBLIC") <(sort -u <<<"$EXPORTED"))" "" \
	"and nothing else is"
finish
