/* SPDX-License-Identifier: ISC */
/*
 * What the worker knows of each secret: what the store's file says now, and what is loaded in the
 * ring. The two differ when a newer file was refused, or the file is gone.
 */
#ifndef PHIAL_AGENT_INDEX_H
#define PHIAL_AGENT_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>

#include "store/marks.h"

struct phial_secret;

/* A value in the ring; in a user's agent, whose quota of keys is small, its sealed file. */
struct phial_loaded {
	uint64_t version;
	int64_t not_after_s; /* 0: never */
	int64_t created_s;   /* when it was sealed */
	uint32_t mode;	     /* or PHIAL_MODE_UNSET */
	uint32_t owner_uid;
	uint32_t owner_gid;
	uint32_t total_bytes;
	uint8_t digest[PHIAL_DIGEST_BYTES];
	int32_t *serials;      /* part 0 to serial_count - 1; owned */
	uint32_t serial_count; /* 0: it is not in the ring */
	uint8_t *sealed;       /* or the file as it was verified and opened; owned */
	size_t sealed_bytes;
	int64_t loaded_ms;	 /* when, since boot; 0: by an earlier worker */
	uint64_t signers_serial; /* of the list that its signature was checked against; 0: none */
};

/* What the store says of a secret, put aside while an override is used instead. */
struct phial_aside {
	struct phial_loaded loaded;
	enum phial_status status;
	char *reason;
};

/* What the policy says about the time of an entry's versions; see expiry.h. */
struct phial_entry_life {
	bool is_granted;     /* to a workload at least */
	int64_t ttl_first_s; /* the shortest ttl of those that may have it; 0: none has one */
	int64_t ttl_last_s;  /* the longest; 0: one of them has none */
	int64_t warn_before_s;
	uint64_t warned_version; /* the last warning: of this version, so many days ahead */
	int64_t warned_day;
};

struct phial_entry {
	char *name;
	struct phial_entry_life life;
	struct phial_loaded loaded;
	uint64_t file_version;	  /* what the store's file claims, 0: unknown */
	enum phial_status status; /* PHIAL_OK: what the store has now is what is loaded */
	char *reason;		  /* why not, or NULL */
	bool is_missing;	  /* the file is gone; what is loaded stays */
	/*
	 * While an override is in force, loaded, status and reason above are the override's, so that
	 * whoever asks what there is need not know of overrides.
	 */
	int64_t override_until_ms; /* since boot; 0: there is none */
	struct phial_aside aside;
};

struct phial_index {
	struct phial_entry *entries; /* sorted by name */
	size_t count;
	const char **names; /* of the entries, in order, for phial_policy_grant() */
};

/* True if there is a value. */
bool phial_loaded_exists(const struct phial_loaded *loaded);

/* Free what it holds and leave it empty. Keys stay in the ring. */
void phial_loaded_clear(struct phial_loaded *loaded);

/* The entry of a name, or NULL. */
struct phial_entry *phial_index_find(const struct phial_index *index, const char *name);

/*
 * The entry of a name, made if there is none: missing, with nothing loaded. Pointers to other
 * entries end here.
 */
struct phial_entry *phial_index_add(struct phial_index *index, const char *name);

/* Forget entries that hold nothing and that the store does not have: what overrides leave. */
void phial_index_prune(struct phial_index *index);

/*
 * Swap what the store says of an entry with its override: to look at the one that is aside, and
 * again to be as before.
 */
void phial_entry_swap(struct phial_entry *entry);

/*
 * Make the index hold these names (sorted) besides those that are loaded; entries that are in
 * neither go, loaded ones without a file become missing. Returns PHIAL_OK or PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_index_update(struct phial_index *index, char **names,
						   size_t count, struct phial_error *err);

/* True if the store has it for other hosts only: no fault of this one. */
bool phial_entry_is_foreign(const struct phial_entry *entry);

/* Record what became of an entry's file. reason: copied; NULL with PHIAL_OK. */
void phial_entry_set(struct phial_entry *entry, enum phial_status status, const char *reason);

/*
 * Rebuild from the keys of a ring, for a worker that follows another one. A secret with a part
 * missing is left out. ring: see keyring.h. scratch: PHIAL_KEY_PAYLOAD_MAX bytes of secret memory,
 * wiped. Returns PHIAL_OK or PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_index_from_ring(struct phial_index *index, int32_t ring,
						      struct phial_secret *scratch,
						      struct phial_error *err);

#endif
