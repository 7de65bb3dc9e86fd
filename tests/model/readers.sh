#!/bin/bash
# SPDX-License-Identifier: ISC
# What readers see while files are rotated, as a model (docs/life.md).
# shellcheck source=_model.sh
. "$(dirname "$0")/_model.sh"
model "$ROOT/tests/model/readers.pml"
holds "no reader sees a torn, missing or mixed set in any order of steps" -O1 -DSAFETY --
mutant "a number is used once" 's/g = version/g = 1 + (version + 1) % 2/' never_mixed
mutant "written before the swap" 's/second.*;/first[g] = version;/' whole_set
mutant "the grace time" 's/pinned.*;/true;/' whole_set
mutant "only the one before" 's/wipe(before)/wipe(g)/' whole_set
all_guards_tried
finish
