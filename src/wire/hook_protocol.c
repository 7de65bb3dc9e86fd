/* SPDX-License-Identifier: ISC */
/*
 * Checks of the hook protocol's records, the same for both sides and for the fuzzer. Pure: no
 * descriptor, no memory of its own, no order of frames (that is the doors').
 */
#include "wire/hook_protocol.h"

#include <stdbool.h>
#include <string.h>

static enum phial_status malformed(struct phial_error *err, const char *frame, const char *what)
{
	return phial_fail(err, PHIAL_MALFORMED, 0, "%s message: %s", frame, what);
}

static bool is_terminated(const char *text, size_t text_bytes)
{
	return memchr(text, '\0', text_bytes) != NULL;
}

enum phial_status phial_hook_decode_start(const void *payload, size_t length,
					  struct phial_hook_start *ret_start,
					  const uint8_t **ret_state, struct phial_error *err)
{
	struct phial_hook_start start;

	if (length < sizeof(start)) {
		return malformed(err, "START", "too short");
	}
	memcpy(&start, payload, sizeof(start));
	if (start.state_length == 0 || start.state_length > PHIAL_HOOK_STATE_MAX ||
	    start.state_length != length - sizeof(start)) {
		return malformed(err, "START", "wrong length");
	}
	if (!is_terminated(start.workload, sizeof(start.workload))) {
		return malformed(err, "START", "workload without its end");
	}
	*ret_start = start;
	*ret_state = (const uint8_t *)payload + sizeof(start);
	return PHIAL_OK;
}

enum phial_status phial_hook_decode_created(const void *payload, size_t length,
					    struct phial_hook_created *ret_created,
					    struct phial_error *err)
{
	struct phial_hook_created created;

	if (length != sizeof(created)) {
		return malformed(err, "CREATED", "wrong length");
	}
	memcpy(&created, payload, sizeof(created));
	if (!is_terminated(created.id, sizeof(created.id)) ||
	    !is_terminated(created.bundle, sizeof(created.bundle))) {
		return malformed(err, "CREATED", "a text without its end");
	}
	if (created.pid <= 1 || created.id[0] == '\0' || created.bundle[0] != '/') {
		return malformed(err, "CREATED", "a value out of its range");
	}
	*ret_created = created;
	return PHIAL_OK;
}

static bool are_verdict_texts_terminated(const struct phial_hook_verdict *verdict)
{
	return is_terminated(verdict->workload, sizeof(verdict->workload)) &&
	       is_terminated(verdict->rootfs, sizeof(verdict->rootfs)) &&
	       is_terminated(verdict->target, sizeof(verdict->target)) &&
	       is_terminated(verdict->mount_label, sizeof(verdict->mount_label)) &&
	       is_terminated(verdict->text, sizeof(verdict->text));
}

enum phial_status phial_hook_decode_verdict(const void *payload, size_t length,
					    struct phial_hook_verdict *ret_verdict,
					    struct phial_error *err)
{
	/* Copied out first: it is 13 KB, and the caller's own. */
	if (length != sizeof(*ret_verdict)) {
		return malformed(err, "VERDICT", "wrong length");
	}
	memcpy(ret_verdict, payload, sizeof(*ret_verdict));
	const struct phial_hook_verdict *verdict = ret_verdict;

	if (!are_verdict_texts_terminated(verdict)) {
		return malformed(err, "VERDICT", "a text without its end");
	}
	switch ((enum phial_hook_decision)verdict->decision) {
	case PHIAL_HOOK_NO_GRANT:
	case PHIAL_HOOK_DONE:
		return PHIAL_OK;
	case PHIAL_HOOK_REFUSED:
		if (verdict->status == PHIAL_OK || verdict->status > PHIAL_REVOKED ||
		    verdict->text[0] == '\0') {
			return malformed(err, "VERDICT", "a refusal without a reason");
		}
		return PHIAL_OK;
	case PHIAL_HOOK_GO:
		if (verdict->pid <= 1 || verdict->size_bytes == 0 || verdict->may_over > 1 ||
		    verdict->rootfs[0] != '/' || verdict->target[0] != '/') {
			return malformed(err, "VERDICT", "a value out of its range");
		}
		return PHIAL_OK;
	default:
		return malformed(err, "VERDICT", "unknown decision");
	}
}

enum phial_status phial_hook_decode_mount(const void *payload, size_t length,
					  struct phial_hook_mount *ret_mount,
					  const char **ret_uid_map, const char **ret_gid_map,
					  struct phial_error *err)
{
	struct phial_hook_mount mount;

	if (length < sizeof(mount)) {
		return malformed(err, "MOUNT", "too short");
	}
	memcpy(&mount, payload, sizeof(mount));
	if (mount.uid_map_length == 0 || mount.uid_map_length > PHIAL_HOOK_MAP_MAX ||
	    mount.gid_map_length == 0 || mount.gid_map_length > PHIAL_HOOK_MAP_MAX ||
	    (size_t)mount.uid_map_length + mount.gid_map_length != length - sizeof(mount)) {
		return malformed(err, "MOUNT", "wrong length");
	}
	if (mount.kind < 1 || mount.kind > 3) {
		return malformed(err, "MOUNT", "unknown kind of mount");
	}
	*ret_mount = mount;
	*ret_uid_map = (const char *)payload + sizeof(mount);
	*ret_gid_map = *ret_uid_map + mount.uid_map_length;
	return PHIAL_OK;
}

enum phial_status phial_hook_decode_result(const void *payload, size_t length,
					   struct phial_hook_result *ret_result,
					   struct phial_error *err)
{
	struct phial_hook_result result;

	if (length != sizeof(result)) {
		return malformed(err, "result", "wrong length");
	}
	memcpy(&result, payload, sizeof(result));
	if (result.status > PHIAL_REVOKED || !is_terminated(result.text, sizeof(result.text))) {
		return malformed(err, "result", "a value out of its range");
	}
	*ret_result = result;
	return PHIAL_OK;
}
