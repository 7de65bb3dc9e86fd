/* SPDX-License-Identifier: ISC */
/*
 * The three signed files of a store: `.phial/recipients`, `.phial/signers` and
 * `.phial/policy.json`, each with a growing serial and a `.minisig` beside it made by an
 * admin key that the reader has pinned. Formats: docs/store.md.
 *
 *	phial recipients v1              phial signers v1
 *	serial: 4                        serial: 2
 *	h7 age1... web/x shared/x        alice RWQ... web/x
 */
#ifndef PHIAL_STORE_TRUST_H
#define PHIAL_STORE_TRUST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>
#include <phial/keys.h>
#include <phial/sealed.h>

#include "base/cleanup.h"
#include "crypt/crypt.h"

/* Limits. Sizes in bytes. */
#define PHIAL_PINS_MAX	     16
#define PHIAL_TRUST_FILE_MAX ((size_t)1024 * 1024)
#define PHIAL_PATTERNS_MAX   64 /* of one entry */
#define PHIAL_SIGNERS_MAX    256

/* The admin keys that a host (/etc/phial/trust) or a person has pinned. */
struct phial_pins {
	struct phial_signer_public keys[PHIAL_PINS_MAX];
	size_t count;
};

/*
 * Parse a pin file: one "RW..." a line, `#` comments, empty lines. text, length: need not be
 * NUL-terminated. Returns PHIAL_OK; PHIAL_BAD_KEY with the line number, never quoting it;
 * PHIAL_MALFORMED if there is none or too many. Does not allocate or block.
 */
PHIAL_CHECKED enum phial_status phial_pins_parse(const char *text, size_t length,
						 struct phial_pins *ret_pins,
						 struct phial_error *err);

/* One line of recipients or signers: a name, a key, patterns (none: every name). */
struct phial_trust_entry {
	char name[PHIAL_NAME_COMPONENT_MAX_BYTES + 1];
	struct phial_recipient recipient;  /* in .phial/recipients */
	struct phial_signer_public signer; /* in .phial/signers */
	char **patterns;
	size_t pattern_count;
};

struct phial_trust_list {
	uint64_t serial;
	struct phial_trust_entry *entries;
	size_t count;
};

enum phial_trust_kind {
	PHIAL_TRUST_RECIPIENTS,
	PHIAL_TRUST_SIGNERS,
};

/* What a store says about whom to believe and whom to seal to. */
struct phial_trust {
	struct phial_trust_list recipients;
	struct phial_trust_list signers;
	uint8_t *policy; /* the verified bytes of policy.json, or NULL when there is none */
	size_t policy_length;
	/* BLAKE2b-256 of each file's bytes, for its mark (store/marks.h); zeros without a policy. */
	uint8_t recipients_digest[PHIAL_HASH_BYTES];
	uint8_t signers_digest[PHIAL_HASH_BYTES];
	uint8_t policy_digest[PHIAL_HASH_BYTES];
	/* The signers in the form phial_sealed_verify() takes; points into signers. */
	struct phial_trusted_signer *trusted;
};

/*
 * Parse one list strictly (all problems of a file at once are joined in err's text as far as
 * it holds). bytes, length: the file, at most PHIAL_TRUST_FILE_MAX. ret_list: freed with phial_trust_list_free(). Returns PHIAL_OK; PHIAL_MALFORMED,
 * PHIAL_BAD_KEY or PHIAL_BAD_NAME with line numbers; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_trust_list_parse(enum phial_trust_kind kind,
						       const uint8_t *bytes, size_t length,
						       struct phial_trust_list *ret_list,
						       struct phial_error *err);

/*
 * Write a list in its canonical form. ret_text: NUL-terminated, freed by the caller;
 * ret_length: without the NUL. Returns PHIAL_OK or PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_trust_list_format(enum phial_trust_kind kind,
							const struct phial_trust_list *list,
							char **ret_text, size_t *ret_length,
							struct phial_error *err);

/* Free what a list holds and leave it empty (serial 0). */
void phial_trust_list_free(struct phial_trust_list *list);

/*
 * Add an entry (copied); of its two keys the one that the list is not of must be all zeros.
 * Does not change the serial. Returns PHIAL_OK; PHIAL_EXISTS for a name (in any case) or key
 * that is there; PHIAL_BAD_NAME; PHIAL_TOO_LARGE over 256 entries or 64 patterns;
 * PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_trust_list_add(struct phial_trust_list *list,
						     const struct phial_trust_entry *entry,
						     struct phial_error *err);

/* Remove an entry by name. Returns PHIAL_OK or PHIAL_NOT_FOUND (a near miss is named). */
PHIAL_CHECKED enum phial_status phial_trust_list_remove(struct phial_trust_list *list,
							const char *name, struct phial_error *err);

/* True if an entry's patterns let it have this name. */
bool phial_trust_entry_allows(const struct phial_trust_entry *entry, const char *name);

/*
 * Read and verify the signed files below a store directory. store_fd: the store. pins: whose
 * signatures count. ret_trust: freed with phial_trust_free(). Returns PHIAL_OK; PHIAL_NOT_FOUND
 * when this is no store; PHIAL_UNTRUSTED, PHIAL_TAMPERED, PHIAL_MALFORMED, ... with the file's
 * name in the text. A policy that is gone together with its signature is not seen here: whoever
 * keeps marks checks ".phial/policy.json" at version 0 then, which is PHIAL_ROLLBACK if there
 * ever was one. Reads files, does not write.
 */
PHIAL_CHECKED enum phial_status phial_trust_read(int store_fd, const struct phial_pins *pins,
						 struct phial_trust **ret_trust,
						 struct phial_error *err);

/* Free. trust: may be NULL. */
void phial_trust_free(struct phial_trust *trust);

/*
 * Sign a file of the store as admin and write it and then its .minisig, each atomically and
 * durably; a reader in between finds PHIAL_TAMPERED and tries again later. file: "recipients",
 * "signers" or "policy.json". Returns PHIAL_OK; PHIAL_USAGE for another file; PHIAL_DENIED;
 * PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_trust_write(int store_fd, const char *file,
						  const uint8_t *bytes, size_t length,
						  const struct phial_signer *admin,
						  struct phial_error *err);

#define phial_auto_trust phial_auto(phial_free_trust_pointer)
static inline void phial_free_trust_pointer(struct phial_trust **trust)
{
	phial_trust_free(*trust);
	*trust = NULL;
}

#endif
