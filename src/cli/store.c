/* SPDX-License-Identifier: ISC */
/*
 * Opening a store as a person does: found upwards, verified against one's own pins. The
 * store room reads and writes; this file knows the caller's keys.
 */
#include "cli/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "cli/config.h"
#include "cli/format.h"

enum phial_status phial_cli_store_locate(const char *start, struct phial_cli_store *ret_store,
					 struct phial_error *err)
{
	enum phial_status status = phial_store_find(start ? start : ".", &ret_store->path, err);

	return status == PHIAL_OK ? phial_store_open(ret_store->path, &ret_store->fd, err) : status;
}

enum phial_status phial_cli_store_open(const char *start, struct phial_cli_store *ret_store,
				       struct phial_error *err)
{
	enum phial_status status = phial_cli_store_locate(start, ret_store, err);

	if (status == PHIAL_OK) {
		status = phial_cli_pins_read(&ret_store->pins, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	status = phial_trust_read(ret_store->fd, &ret_store->pins, &ret_store->trust, err);
	return status == PHIAL_OK ? status : phial_fail_prefix(err, "%s", ret_store->path);
}

void phial_cli_store_close(struct phial_cli_store *store)
{
	phial_trust_free(store->trust);
	phial_free_pointer(&store->path);
	phial_close_fd(&store->fd);
	store->trust = NULL;
}

enum phial_status phial_cli_store_load_admin(const struct phial_cli_store *store,
					     struct phial_cli_passphrases *passphrases,
					     struct phial_signer **ret_admin,
					     struct phial_error *err)
{
	phial_auto_signer struct phial_signer *signer = NULL;
	struct phial_signer_public public_key;
	enum phial_status status = phial_cli_load_signer(NULL, passphrases, &signer, err);

	if (status != PHIAL_OK) {
		return status;
	}
	phial_signer_get_public(signer, &public_key);
	for (size_t i = 0; i < store->pins.count; i++) {
		if (phial_signer_public_equal(&store->pins.keys[i], &public_key)) {
			*ret_admin = phial_take_pointer(signer);
			return PHIAL_OK;
		}
	}
	return phial_fail(err, PHIAL_UNTRUSTED, 0,
			  "your signer key is no admin key of %s: ask one of its admins to do this",
			  store->path);
}

enum phial_status phial_cli_store_write_list(struct phial_cli_store *store,
					     enum phial_trust_kind kind,
					     const struct phial_signer *admin,
					     struct phial_error *err)
{
	bool is_recipients = kind == PHIAL_TRUST_RECIPIENTS;
	struct phial_trust_list *list =
		is_recipients ? &store->trust->recipients : &store->trust->signers;
	phial_auto_free char *text = NULL;
	size_t length = 0;

	list->serial++;
	enum phial_status status = phial_trust_list_format(kind, list, &text, &length, err);

	if (status != PHIAL_OK) {
		return status;
	}
	sigset_t before;

	phial_cli_hold_signals(&before);
	status = phial_trust_write(store->fd, is_recipients ? "recipients" : "signers",
				   (const uint8_t *)text, length, admin, err);
	phial_cli_release_signals(&before);
	return status;
}

void phial_cli_hold_signals(sigset_t *ret_before)
{
	static const int held[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP };
	sigset_t signals;

	sigemptyset(&signals);
	for (size_t i = 0; i < PHIAL_COUNT(held); i++) {
		sigaddset(&signals, held[i]);
	}
	sigprocmask(SIG_BLOCK, &signals, ret_before);
}

void phial_cli_release_signals(const sigset_t *before)
{
	sigprocmask(SIG_SETMASK, before, NULL);
}

void phial_cli_sealed_free(struct phial_cli_sealed *sealed)
{
	phial_sealed_free(sealed->sealed);
	free(sealed->buffer);
	*sealed = (struct phial_cli_sealed){ 0 };
}

enum phial_status phial_cli_sealed_read(int store_fd, const char *name,
					struct phial_cli_sealed *sealed, struct phial_error *err)
{
	/* The parsed form borrows from the buffer, so it goes first. */
	phial_sealed_free(sealed->sealed);
	sealed->sealed = NULL;
	enum phial_status status =
		phial_store_read_sealed(store_fd, name, &sealed->buffer, &sealed->buffer_bytes,
					&sealed->length, err);

	if (status == PHIAL_OK) {
		status = phial_sealed_parse(sealed->buffer, sealed->length, &sealed->sealed, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	const char *says = phial_sealed_get_header(sealed->sealed)->name;

	if (strcmp(says, name) != 0) {
		return phial_fail(err, PHIAL_BAD_NAME, 0,
				  "it was sealed as %s: move it back, or seal the value under this "
				  "name",
				  says);
	}
	return PHIAL_OK;
}

enum phial_status phial_cli_sealed_check_expiry(const struct phial_cli_sealed *sealed,
						struct phial_error *err)
{
	int64_t not_after_s = phial_sealed_get_header(sealed->sealed)->not_after_s;
	char text[PHIAL_TIME_TEXT_BYTES];

	if (not_after_s == 0 || phial_cli_now_s() < not_after_s) {
		return PHIAL_OK;
	}
	phial_format_time(not_after_s, text);
	return phial_fail(err, PHIAL_EXPIRED, 0, "expired at %s: seal a new value", text);
}

const struct phial_trust_entry *phial_cli_find_signer(const struct phial_trust_list *list,
						      const struct phial_signer_public *key)
{
	for (size_t i = 0; i < list->count; i++) {
		if (phial_signer_public_equal(&list->entries[i].signer, key)) {
			return &list->entries[i];
		}
	}
	return NULL;
}

bool phial_cli_is_sealed_to(const struct phial_sealed_header *header,
			    const struct phial_trust_entry *entry)
{
	for (size_t i = 0; i < header->recipient_count; i++) {
		const struct phial_named_recipient *recipient = &header->recipients[i];

		if (strcmp(recipient->name, entry->name) == 0 &&
		    memcmp(recipient->key.key, entry->recipient.key, sizeof(recipient->key.key)) ==
			    0) {
			return true;
		}
	}
	return false;
}
