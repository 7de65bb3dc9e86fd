/* SPDX-License-Identifier: ISC */
/*
 * The grammar of secret names and of patterns over them. Knows no file and no store.
 */
#include <phial/sealed.h>

#include <string.h>

#define NAME_COMPONENTS_MAX 4

static bool is_alphanumeric(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_inner(char c)
{
	return is_alphanumeric(c) || c == '.' || c == '_' || c == '-';
}

/* Check one component of length bytes; a star counts as any byte if stars may stand. */
static const char *component_problem(const char *text, size_t length, bool stars_allowed)
{
	if (length == 0) {
		return "a component is empty";
	}
	if (length > PHIAL_NAME_COMPONENT_MAX_BYTES) {
		return "a component is longer than 63 bytes";
	}
	for (size_t i = 0; i < length; i++) {
		if (stars_allowed && text[i] == '*') {
			continue;
		}
		if (i == 0 && !is_alphanumeric(text[i])) {
			return "a component must begin with a letter or a digit";
		}
		if (!is_inner(text[i])) {
			return "only letters, digits, '.', '_' and '-' may stand in a component";
		}
	}
	return NULL;
}

static const char *name_problem(const char *name, bool stars_allowed)
{
	size_t length = strnlen(name, PHIAL_NAME_MAX_BYTES + 1);
	size_t components = 0;

	if (length > PHIAL_NAME_MAX_BYTES) {
		return "longer than 200 bytes";
	}
	for (const char *part = name;; part++) {
		size_t part_length = strcspn(part, "/");
		const char *problem = component_problem(part, part_length, stars_allowed);

		if (problem) {
			return problem;
		}
		if (++components > NAME_COMPONENTS_MAX) {
			return "more than 4 components";
		}
		part += part_length;
		if (*part == '\0') {
			return NULL;
		}
	}
}

enum phial_status phial_name_check(const char *name, struct phial_error *err)
{
	const char *problem = name_problem(name, false);

	if (problem) {
		return phial_fail(err, PHIAL_BAD_NAME, 0, "\"%.80s\" is not a secret name: %s",
				  name, problem);
	}
	return PHIAL_OK;
}

enum phial_status phial_pattern_check(const char *pattern, struct phial_error *err)
{
	const char *problem = name_problem(pattern, true);

	if (problem) {
		return phial_fail(err, PHIAL_BAD_NAME, 0, "\"%.80s\" is not a name pattern: %s",
				  pattern, problem);
	}
	return PHIAL_OK;
}

bool phial_pattern_matches(const char *pattern, const char *name)
{
	const char *star = NULL;   /* the last star seen in this component */
	const char *resume = NULL; /* where the name goes on if that star takes one byte more */

	while (*name != '\0') {
		if (*pattern == '*') {
			star = pattern++;
			resume = name;
		} else if (*pattern == *name) {
			if (*pattern == '/') {
				star = NULL;
			}
			pattern++;
			name++;
		} else if (star && *resume != '/') {
			pattern = star + 1;
			name = ++resume;
		} else {
			return false;
		}
	}
	while (*pattern == '*') {
		pattern++;
	}
	return *pattern == '\0';
}
