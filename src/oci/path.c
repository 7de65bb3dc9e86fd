/* SPDX-License-Identifier: ISC */
/* The plain form of a path. Text only: links are the mount code's business. */
#include "oci/path.h"

#include <string.h>

#include "base/parse.h"

size_t phial_oci_path_clean(const char *text, char *ret_path)
{
	size_t length = 0; /* of what is written, a '/' before each component */

	for (const char *part = text; *part != '\0'; part += *part == '/' ? 1 : 0) {
		struct phial_span component = { part, strcspn(part, "/") };

		part += component.length;
		if (component.length == 0 || phial_span_is(component, ".")) {
			continue;
		}
		if (phial_span_is(component, "..")) {
			while (length > 0 && ret_path[--length] != '/') {
			}
			continue;
		}
		ret_path[length++] = '/';
		memcpy(ret_path + length, component.text, component.length);
		length += component.length;
	}
	if (length == 0) {
		ret_path[length++] = '/';
	}
	ret_path[length++] = '\0';
	return length;
}
