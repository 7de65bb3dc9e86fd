/* SPDX-License-Identifier: ISC */
/*
 * `phiald --user`: the agent of an ordinary user. In a user namespace of its own it is root over
 * nothing but this user's ids, and everything else in the agent works as it does for root.
 */
#ifndef PHIAL_AGENT_USER_H
#define PHIAL_AGENT_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>

#include "agent/options.h"
#include "base/parse.h"

/* More ranges than anybody has; newuidmap(1) is given three arguments for each. */
#define PHIAL_SUBIDS_MAX 16

/* What /etc/subuid or /etc/subgid gives to one user, in its order. */
struct phial_subids {
	struct {
		uint32_t first;
		uint32_t count;
	} ranges[PHIAL_SUBIDS_MAX];
	size_t count;
};

/*
 * Find a user's ranges in the text of /etc/subuid or /etc/subgid. user: the name; uid: the number,
 * which a line may give in its place. Lines that are malformed or another's are passed over, as
 * newuidmap(1) does, and those after the 16th. Pure. See subuid(5).
 */
void phial_subids_parse(struct phial_span text, const char *user, uint32_t uid,
			struct phial_subids *ret_subids);

/*
 * Fill in the paths of a user's agent that were not given: XDG_CONFIG_HOME/phial for store,
 * identity and trust, XDG_STATE_HOME/phial, XDG_RUNTIME_DIR/phial; and who the user is.
 * options: their texts are static, for one agent a process. Returns PHIAL_OK; PHIAL_USAGE for root, and
 * when a variable that is needed does not name an absolute path; PHIAL_NOT_FOUND when the caller
 * has no name; PHIAL_TOO_LARGE. See the XDG Base Directory Specification.
 */
PHIAL_CHECKED enum phial_status phial_user_find_paths(struct phial_agent_options *options,
						      struct phial_error *err);

/*
 * Move into a user and a mount namespace of its own, in which this user is root, and the ids that
 * /etc/subuid and /etc/subgid give to it exist from 1 on, as in its Podman. options->has_subids:
 * set to whether they do: not without such lines, or if newuidmap(1) or newgidmap(1) fails. Should:
 * be called before no_new_privs is set, with which those two fail. Mustn't: be called once a secret
 * is in memory: the process may be dumped for a moment. Returns PHIAL_OK; PHIAL_UNSUPPORTED when
 * user namespaces are off, naming the switch; PHIAL_SYSTEM. Forks, waits for both programs.
 */
PHIAL_CHECKED enum phial_status phial_user_enter(struct phial_agent_options *options,
						 struct phial_error *err);

#endif
