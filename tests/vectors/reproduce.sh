# SPDX-License-Identifier: ISC
# The committed vectors of the sealed file are what their generator writes, and nothing else.
. "$(dirname "$0")/../lib.sh"

PYTHON=$(command -v /usr/bin/python3 || command -v python3) || skip_all "needs python3"
"$PYTHON" -c 'import nacl' 2>/dev/null || skip_all "needs python3-nacl"
check "the generator runs" "$PYTHON" "$ROOT/tests/vectors/generate" "$WORK/sealed"
check "it writes the committed vectors" diff -r "$WORK/sealed" "$ROOT/tests/vectors/sealed"
is "$(awk -F '\t' '$2 == "ok"' "$WORK/sealed/manifest.tsv" | wc -l)" 20 "20 good vectors"
is "$(awk -F '\t' '!/^#/ && $2 != "ok"' "$WORK/sealed/manifest.tsv" | wc -l)" 89 "89 bad vectors"
finish
