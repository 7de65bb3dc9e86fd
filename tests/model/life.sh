#!/bin/bash
# SPDX-License-Identifier: ISC
# The life of a container's secrets, as a model (docs/life.md): no order of events leaves a secret
# that was released after exit, expiry, revocation or the end of keep.
# shellcheck source=_model.sh
. "$(dirname "$0")/_model.sh"
model "$ROOT/tests/model/life.pml"
holds "the claims hold in any order of events" -O1 -DSAFETY -- -N never_without
holds "each run comes to rest" -O1 -- -a -N comes_to_rest

# without GUARD SED CLAIM
without() { mutant "$@" -N never_without; }
without "compared once more" 's/!may_get(next) || //' never_given
without "audited first" 's/audit == DURABLE/audit != FAILED/' audited_first
without "marked before the job" 's/becomes = next;//' after_revocation
without "what must go goes" 's/looks_at/false/' after_revocation
without "what keep took stays away" 's/ && !keep_over//' never_given
without "no grace for it" 's/urgent || forbidden(before)/false/' after_revocation
without "grace is cut short" 's/grace == TICKING/false/' after_revocation
without "wiped after its grace" 's/grace == OVER/false/' after_revocation
without "present stays" 's/old = 0;/present = 0;/' never_without
without "in every generation" 's/old = 0;//' after_revocation
without "wiped at the end" 's/container == ENDED/false/' after_exit
without "grace starts anew" 's/grace = TICKING/skip/' after_revocation
without "re-attached" 's/!holding/false/' after_revocation
all_guards_tried
finish
