/* SPDX-License-Identifier: ISC */
/*
 * Sealing into a store: recipients, signer, what the new file replaces. Where the value comes from is
 * its callers'; it is never in argv, environ or stdio.
 */
#include "cli/sealing.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "cli/config.h"
#include "cli/format.h"

static enum phial_status take_store_recipients(struct phial_cli_sealing *sealing,
					       struct phial_error *err)
{
	const struct phial_trust_list *list = &sealing->store.trust->recipients;
	size_t count = 0;

	for (size_t i = 0; i < list->count; i++) {
		const struct phial_trust_entry *entry = &list->entries[i];

		if (!phial_trust_entry_allows(entry, sealing->name)) {
			continue;
		}
		if (count == PHIAL_RECIPIENTS_MAX) {
			return phial_fail(err, PHIAL_TOO_LARGE, 0,
					  "%s: more than %d recipients: narrow their patterns",
					  sealing->name, PHIAL_RECIPIENTS_MAX);
		}
		memcpy(sealing->recipients[count].name, entry->name, sizeof(entry->name));
		sealing->recipients[count++].key = entry->recipient;
	}
	if (count == 0) {
		return phial_fail(err, PHIAL_NOT_FOUND, 0,
				  "%s: nobody in .phial/recipients may open it: run phial host add "
				  "with a pattern that matches",
				  sealing->name);
	}
	sealing->header.recipients = sealing->recipients;
	sealing->header.recipient_count = count;
	return PHIAL_OK;
}

/* On a file system that folds case, one would overwrite the other. */
static enum phial_status check_case(const struct phial_cli_sealing *sealing,
				    struct phial_error *err)
{
	struct phial_store_names list = { 0 };
	enum phial_status status = phial_store_list(sealing->store.fd, &list, err);

	if (status != PHIAL_OK) {
		return status;
	}
	for (size_t i = 0; i < list.count && status == PHIAL_OK; i++) {
		if (strcasecmp(list.names[i], sealing->name) == 0 &&
		    strcmp(list.names[i], sealing->name) != 0) {
			status = phial_fail(err, PHIAL_BAD_NAME, 0,
					    "%s differs only in case from %s, which exists",
					    sealing->name, list.names[i]);
		}
	}
	phial_store_names_free(&list);
	return status;
}

/* What my signature is worth in this store; better told now than by every host. */
static enum phial_status check_signer(const struct phial_cli_sealing *sealing,
				      struct phial_error *err)
{
	struct phial_signer_public public_key;
	char text[PHIAL_SIGNER_TEXT_BYTES];

	phial_signer_get_public(sealing->signer, &public_key);
	phial_signer_public_format(&public_key, text);
	const struct phial_trust_entry *entry =
		phial_cli_find_signer(&sealing->store.trust->signers, &public_key);

	if (!entry) {
		return phial_fail(
			err, PHIAL_UNTRUSTED, 0,
			"hosts would refuse it: your signer key is not in .phial/signers; "
			"let an admin run phial signer add NAME %s",
			text);
	}
	if (!phial_trust_entry_allows(entry, sealing->name)) {
		return phial_fail(
			err, PHIAL_UNTRUSTED, 0,
			"hosts would refuse it: the patterns of signer %s do not match %s "
			"(see phial signer ls)",
			entry->name, sealing->name);
	}
	return PHIAL_OK;
}

/* Mode and owner go on as they were, if what says so is signed and nothing else was said. */
static void inherit(struct phial_cli_sealing *sealing)
{
	const struct phial_sealed_header *old = phial_sealed_get_header(sealing->present.sealed);
	struct phial_sealed_header *header = &sealing->header;

	if (!sealing->sets_mode && old->mode != PHIAL_MODE_UNSET) {
		header->mode = old->mode;
		fprintf(stderr, "phial: note: mode %04o is kept (--mode changes it)\n", old->mode);
	}
	if (!sealing->sets_owner && old->owner_uid != PHIAL_ID_UNSET) {
		header->owner_uid = old->owner_uid;
		header->owner_gid = old->owner_gid;
		fprintf(stderr, "phial: note: owner %u:%u is kept (--owner changes it)\n",
			old->owner_uid, old->owner_gid);
	}
	if (!sealing->sets_not_after && old->not_after_s != 0) {
		fprintf(stderr, "phial: note: the old value had an expiry time, this one has none "
				"(--not-after sets one)\n");
	}
}

static enum phial_status read_present(struct phial_cli_sealing *sealing, struct phial_error *err)
{
	enum phial_status status =
		phial_cli_sealed_read(sealing->store.fd, sealing->name, &sealing->present, err);

	if (status == PHIAL_NOT_FOUND) {
		return PHIAL_OK;
	}
	if (status == PHIAL_SYSTEM || status == PHIAL_DENIED) {
		return phial_fail_prefix(err, "%s", sealing->name);
	}
	if (status != PHIAL_OK) {
		/* The cure for a broken file or a merge conflict is to seal the value anew. */
		fprintf(stderr, "phial: warning: replaces a file that cannot be used (%s)\n",
			err->text);
		phial_cli_sealed_free(&sealing->present);
		return PHIAL_OK;
	}
	sealing->present_is_trusted =
		phial_sealed_verify(sealing->present.sealed, sealing->store.trust->trusted,
				    sealing->store.trust->signers.count, NULL, NULL) == PHIAL_OK;
	if (sealing->present_is_trusted) {
		inherit(sealing);
	}
	return PHIAL_OK;
}

enum phial_status phial_cli_sealing_prepare(struct phial_cli_sealing *sealing,
					    struct phial_cli_passphrases *passphrases,
					    struct phial_error *err)
{
	enum phial_status status = phial_cli_store_open(sealing->store_path, &sealing->store, err);

	if (status == PHIAL_OK) {
		status = take_store_recipients(sealing, err);
	}
	if (status == PHIAL_OK) {
		status = check_case(sealing, err);
	}
	if (status == PHIAL_OK) {
		status = phial_cli_load_signer(sealing->signer_path, passphrases, &sealing->signer,
					       err);
	}
	if (status == PHIAL_OK) {
		status = check_signer(sealing, err);
	}
	if (status == PHIAL_OK) {
		status = read_present(sealing, err);
	}
	if (status == PHIAL_OK && asprintf(&sealing->path, "%s.sealed", sealing->name) < 0) {
		sealing->path = NULL;
		status = phial_fail(err, PHIAL_SYSTEM, ENOMEM, "%s", sealing->name);
	}
	return status;
}

static void say_sealed(const struct phial_cli_sealing *sealing)
{
	printf("sealed ");
	phial_cli_print_safe(stdout, sealing->path);
	printf(" version %" PRIu64 " to", sealing->header.version);
	for (size_t i = 0; i < sealing->header.recipient_count; i++) {
		printf("%s %s", i > 0 ? "," : "", sealing->header.recipients[i].name);
	}
	printf("\n");
}

enum phial_status phial_cli_sealing_write(struct phial_cli_sealing *sealing,
					  const struct phial_secret *value, struct phial_error *err)
{
	phial_auto_free uint8_t *bytes = NULL;
	size_t length = 0;
	uint64_t now_ms = phial_cli_now_ms();
	uint64_t last = sealing->present.sealed
				? phial_sealed_get_header(sealing->present.sealed)->version
				: 0;

	sealing->header.created_s = (int64_t)(now_ms / 1000);
	sealing->header.version = last + 1 > now_ms ? last + 1 : now_ms;
	enum phial_status status =
		phial_seal(&sealing->header, value, sealing->signer, &bytes, &length, err);

	if (status != PHIAL_OK) {
		return phial_fail_prefix(err, "%s", sealing->name);
	}
	sigset_t before;

	phial_cli_hold_signals(&before);
	status = sealing->store.fd >= 0
			 ? phial_store_write(sealing->store.fd, sealing->path, bytes, length, 0644,
					     err)
			 : phial_cli_write_file(sealing->path, bytes, length, 0644, err);
	phial_cli_release_signals(&before);
	if (status == PHIAL_OK) {
		say_sealed(sealing);
	}
	return status;
}

void phial_cli_sealing_free(struct phial_cli_sealing *sealing)
{
	phial_signer_free(sealing->signer);
	sealing->signer = NULL;
	phial_cli_sealed_free(&sealing->present);
	phial_cli_store_close(&sealing->store);
	phial_free_pointer(&sealing->path);
}
