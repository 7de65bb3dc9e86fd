/* SPDX-License-Identifier: ISC */
/*
 * The runtime's state JSON as facts. Only the four fields that phial uses are looked at;
 * annotations, which an image may choose, are not. Whether pid and bundle are what they
 * claim to be is for the caller to find out.
 */
#include "oci/state.h"

#include <string.h>

#include "base/parse.h"
#include "json/json.h"

/* The largest pid that a 64-bit kernel gives, proc_sys_kernel(5) pid_max. */
#define PID_MAX (1 << 22)

static bool is_alphanumeric(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* ^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$ */
static bool is_id(const char *text)
{
	size_t length = strnlen(text, PHIAL_OCI_ID_MAX_BYTES + 1);

	if (length == 0 || length > PHIAL_OCI_ID_MAX_BYTES || !is_alphanumeric(text[0])) {
		return false;
	}
	for (size_t i = 1; i < length; i++) {
		if (!is_alphanumeric(text[i]) && !strchr("_.-", text[i])) {
			return false;
		}
	}
	return true;
}

/* Absolute, no "." or ".." component, nothing that could forge a line of a log. */
static bool is_path(const char *text)
{
	if (text[0] != '/' || strlen(text) > PHIAL_OCI_PATH_MAX_BYTES) {
		return false;
	}
	for (const char *part = text; *part != '\0'; part += strcspn(part, "/")) {
		part++;
		struct phial_span component = { part, strcspn(part, "/") };

		if (phial_span_is(component, ".") || phial_span_is(component, "..")) {
			return false;
		}
	}
	for (const char *c = text; *c != '\0'; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f) {
			return false;
		}
	}
	return true;
}

/* Copy a string field; NULL and what is no string is "". */
static bool copy_string(const struct phial_json *root, const char *key, char *ret, size_t room)
{
	const char *text = phial_json_string(phial_json_member(root, key));

	return text && phial_span_copy(phial_span_of(text), ret, room);
}

static enum phial_status refuse_field(struct phial_error *err, const char *field)
{
	return phial_fail(err, PHIAL_MALFORMED, 0, "container state: \"%s\" is missing or bad",
			  field);
}

static enum phial_status refuse_stage(struct phial_error *err, const char *why)
{
	return phial_fail(err, PHIAL_REFUSED, 0,
			  "container state: %s; the hook belongs to the stage createRuntime or "
			  "prestart",
			  why);
}

static enum phial_status read_pid(const struct phial_json *root, pid_t *ret_pid,
				  struct phial_error *err)
{
	const struct phial_json *member = phial_json_member(root, "pid");
	int64_t pid = 0;

	if (!member) {
		return refuse_stage(err, "no process yet or no more (no pid)");
	}
	if (!phial_json_integer(member, 0, PID_MAX, &pid)) {
		return refuse_field(err, "pid");
	}
	/* createContainer and startContainer run in the container's pid namespace. */
	if (pid <= 1) {
		return refuse_stage(err, "pid 0 or 1");
	}
	*ret_pid = (pid_t)pid;
	return PHIAL_OK;
}

static enum phial_status check_status(const char *status, struct phial_error *err)
{
	if (strcmp(status, "creating") == 0 || strcmp(status, "created") == 0) {
		return PHIAL_OK;
	}
	if (strcmp(status, "starting") == 0 || strcmp(status, "running") == 0) {
		return refuse_stage(err, "the container is running already");
	}
	if (strcmp(status, "stopped") == 0) {
		return refuse_stage(err, "the container has stopped");
	}
	return refuse_field(err, "status");
}

enum phial_status phial_oci_state_parse(const uint8_t *bytes, size_t length,
					struct phial_oci_state *ret_state, struct phial_error *err)
{
	phial_auto_json struct phial_json *root = NULL;
	struct phial_oci_state state = { .pid = 0 };

	if (length > PHIAL_OCI_STATE_MAX_BYTES) {
		return phial_fail(err, PHIAL_MALFORMED, 0, "container state: more than %zu bytes",
				  PHIAL_OCI_STATE_MAX_BYTES);
	}
	if (length == 0) {
		return phial_fail(err, PHIAL_MALFORMED, 0,
				  "container state: nothing on stdin; a container runtime runs "
				  "this hook, not a person");
	}
	enum phial_status status = phial_json_parse(bytes, length, &root, err);

	if (status != PHIAL_OK) {
		(void)phial_fail_prefix(err, "container state");
		return status;
	}
	if (!copy_string(root, "status", state.status, sizeof(state.status))) {
		return refuse_field(err, "status");
	}
	status = check_status(state.status, err);
	if (status == PHIAL_OK) {
		status = read_pid(root, &state.pid, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	if (!copy_string(root, "id", state.id, sizeof(state.id)) || !is_id(state.id)) {
		return refuse_field(err, "id");
	}
	if (!copy_string(root, "bundle", state.bundle, sizeof(state.bundle)) ||
	    !is_path(state.bundle)) {
		return refuse_field(err, "bundle");
	}
	*ret_state = state;
	return PHIAL_OK;
}

enum phial_status phial_oci_state_make(pid_t pid, const char *id, const char *bundle,
				       struct phial_oci_state *ret_state, struct phial_error *err)
{
	struct phial_oci_state state = { .pid = pid, .status = "created" };

	if (pid <= 1 || pid > PID_MAX) {
		return refuse_field(err, "pid");
	}
	if (!is_id(id) || !phial_span_copy(phial_span_of(id), state.id, sizeof(state.id))) {
		return refuse_field(err, "id");
	}
	if (!is_path(bundle) ||
	    !phial_span_copy(phial_span_of(bundle), state.bundle, sizeof(state.bundle))) {
		return refuse_field(err, "bundle");
	}
	*ret_state = state;
	return PHIAL_OK;
}
