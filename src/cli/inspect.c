/* SPDX-License-Identifier: ISC */
/*
 * `phial inspect`: everything that a sealed file says in the open. Needs no key and no
 * store; whether a signature counts is for `phial verify`. git uses it as textconv, so its
 * output depends on the file's bytes only.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "cli/cli.h"
#include "cli/config.h"
#include "cli/format.h"

enum { JSON };

const struct phial_cli_option phial_cli_inspect_options[] = {
	[JSON] = { "json", 0, false, NULL, "print JSON" },
	{ 0 },
};

/* Does the signature belong to the key that the file itself names? */
static bool has_good_signature(struct phial_sealed *sealed)
{
	struct phial_trusted_signer signer = {
		.name = "signer",
		.key = phial_sealed_get_header(sealed)->signer,
	};

	return phial_sealed_verify(sealed, &signer, 1, NULL, NULL) == PHIAL_OK;
}

static void print_time(const char *label, int64_t seconds)
{
	char text[PHIAL_TIME_TEXT_BYTES];

	phial_format_time(seconds, text);
	printf("%-11s %s\n", label, text);
}

static void print_text(const struct phial_sealed_header *header, bool is_signed)
{
	char key[PHIAL_RECIPIENT_TEXT_BYTES];

	printf("%-11s %s\n", "name:", header->name);
	printf("%-11s %" PRIu64 "\n", "version:", header->version);
	print_time("created:", header->created_s);
	if (header->not_after_s != 0) {
		print_time("not-after:", header->not_after_s);
	}
	if (header->mode != PHIAL_MODE_UNSET) {
		printf("%-11s %04o\n", "mode:", header->mode);
	}
	if (header->owner_uid != PHIAL_ID_UNSET) {
		printf("%-11s %u:%u\n", "owner:", header->owner_uid, header->owner_gid);
	}
	for (size_t i = 0; i < header->recipient_count; i++) {
		phial_recipient_format(&header->recipients[i].key, key);
		printf("%-11s %s %s\n", "recipient:", header->recipients[i].name, key);
	}
	phial_signer_public_format(&header->signer, key);
	printf("%-11s %s\n", "signer:", key);
	printf("%-11s %s\n", "signature:",
	       is_signed ? "matches this signer (phial verify says whether it is trusted)"
			 : "WRONG: not made by this signer, or the file was changed");
}

static enum phial_status inspect_one(const char *path, bool print_path, struct phial_json *files,
				     struct phial_error *err)
{
	phial_auto_free uint8_t *bytes = NULL;
	struct phial_sealed *sealed = NULL;
	size_t length = 0;
	enum phial_status status =
		phial_cli_read_file(path, PHIAL_SEALED_MAX_BYTES, &bytes, &length, err);

	if (status != PHIAL_OK) {
		return status;
	}
	status = phial_sealed_parse(bytes, length, &sealed, err);
	if (status != PHIAL_OK) {
		return phial_fail_prefix(err, "%s", path);
	}
	const struct phial_sealed_header *header = phial_sealed_get_header(sealed);
	bool is_signed = has_good_signature(sealed);

	if (files) {
		struct phial_json *object = phial_json_add_object(files, NULL);

		phial_cli_json_header(object, header);
		phial_json_add_bool(object, "signature_matches", is_signed);
	} else {
		if (print_path) {
			printf("%-11s ", "file:");
			phial_cli_print_safe(stdout, path);
			printf("\n");
		}
		print_text(header, is_signed);
	}
	phial_sealed_free(sealed);
	return PHIAL_OK;
}

enum phial_status phial_cli_inspect(const struct phial_cli_call *call, struct phial_error *err)
{
	phial_auto_json struct phial_json *root =
		call->values[JSON] ? phial_json_new_object() : NULL;
	struct phial_json *files = phial_json_add_array(root, "files");
	enum phial_status first = PHIAL_OK;

	for (size_t i = 0; i < call->operand_count; i++) {
		if (i > 0 && !root) {
			printf("\n");
		}
		enum phial_status status =
			inspect_one(call->operands[i], call->operand_count > 1, files, err);

		if (status != PHIAL_OK && i + 1 < call->operand_count) {
			/* The others are shown all the same; the last one's line is main()'s. */
			fprintf(stderr, "phial: %s\n", err->text);
			err->text[0] = '\0';
		}
		first = first == PHIAL_OK ? status : first;
	}
	if (root) {
		enum phial_status status = phial_cli_print_json(root, err);

		first = first == PHIAL_OK ? status : first;
	}
	return first;
}
