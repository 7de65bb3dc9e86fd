/* SPDX-License-Identifier: ISC */
/* The index of secrets: names, versions and key serials, never a value. */
#include "agent/index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <phial/sealed.h>
#include <phial/secret.h>

#include "base/cleanup.h"
#include "keyring/keyring.h"

static int compare_name(const void *name, const void *entry)
{
	return strcmp(name, ((const struct phial_entry *)entry)->name);
}

static int compare_entries(const void *a, const void *b)
{
	return compare_name(((const struct phial_entry *)a)->name, b);
}

struct phial_entry *phial_index_find(const struct phial_index *index, const char *name)
{
	if (index->count == 0) {
		return NULL;
	}
	return bsearch(name, index->entries, index->count, sizeof(index->entries[0]), compare_name);
}

bool phial_loaded_exists(const struct phial_loaded *loaded)
{
	return loaded->serial_count > 0 || loaded->sealed;
}

void phial_loaded_clear(struct phial_loaded *loaded)
{
	free(loaded->serials);
	free(loaded->sealed);
	*loaded = (struct phial_loaded){ .serial_count = 0 };
}

static void clear_entry(struct phial_entry *entry)
{
	free(entry->name);
	free(entry->reason);
	free(entry->aside.reason);
	phial_loaded_clear(&entry->loaded);
	phial_loaded_clear(&entry->aside.loaded);
}

void phial_entry_swap(struct phial_entry *entry)
{
	const struct phial_aside aside = { entry->loaded, entry->status, entry->reason };

	entry->loaded = entry->aside.loaded;
	entry->status = entry->aside.status;
	entry->reason = entry->aside.reason;
	entry->aside = aside;
}

/* Keep an entry whose file is gone if something is loaded. Returns whether it is kept. */
static bool keep_missing(struct phial_entry *entry, struct phial_entry *ret_kept)
{
	if (!phial_loaded_exists(&entry->loaded)) {
		clear_entry(entry);
		return false;
	}
	entry->is_missing = true;
	*ret_kept = *entry;
	return true;
}

/* Every request wants all names: gathering 10,000 of them anew takes longer than the rest of it. */
static void gather_names(struct phial_index *index)
{
	free(index->names);
	index->names = calloc(index->count + 1, sizeof(*index->names));
	if (!index->names) {
		abort();
	}
	for (size_t i = 0; i < index->count; i++) {
		index->names[i] = index->entries[i].name;
	}
}

enum phial_status phial_index_update(struct phial_index *index, char **names, size_t count,
				     struct phial_error *err)
{
	struct phial_entry *merged = calloc(index->count + count + 1, sizeof(*merged));
	size_t used = 0;
	size_t old = 0;

	if (!merged) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "index of %zu secrets", count);
	}
	for (size_t i = 0; i < count; i++) {
		int order = -1;

		while (old < index->count &&
		       (order = strcmp(index->entries[old].name, names[i])) < 0) {
			used += keep_missing(&index->entries[old++], &merged[used]);
		}
		if (old < index->count && order == 0) {
			merged[used] = index->entries[old++];
			merged[used].is_missing = false;
		} else {
			merged[used].name = strdup(names[i]);
			phial_entry_set(&merged[used], PHIAL_NOT_FOUND, "not read yet");
		}
		if (!merged[used].name) {
			/* Memory is gone: what follows would lie. The process starts anew. */
			abort();
		}
		used++;
	}
	while (old < index->count) {
		used += keep_missing(&index->entries[old++], &merged[used]);
	}
	free(index->entries);
	index->entries = merged;
	index->count = used;
	gather_names(index);
	return PHIAL_OK;
}

struct phial_entry *phial_index_add(struct phial_index *index, const char *name)
{
	struct phial_entry *entry = phial_index_find(index, name);
	size_t place = 0;

	if (entry) {
		return entry;
	}
	entry = reallocarray(index->entries, index->count + 1, sizeof(*entry));
	if (!entry) {
		abort();
	}
	index->entries = entry;
	while (place < index->count && strcmp(entry[place].name, name) < 0) {
		place++;
	}
	entry += place;
	memmove(entry + 1, entry, (index->count - place) * sizeof(*entry));
	*entry = (struct phial_entry){ .name = strdup(name), .is_missing = true };
	if (!entry->name) {
		abort();
	}
	index->count++;
	gather_names(index);
	phial_entry_set(entry, PHIAL_NOT_FOUND, "the store does not have it");
	return entry;
}

void phial_index_prune(struct phial_index *index)
{
	size_t kept = 0;

	for (size_t i = 0; i < index->count; i++) {
		struct phial_entry *entry = &index->entries[i];

		if (entry->is_missing && entry->status == PHIAL_NOT_FOUND &&
		    entry->override_until_ms == 0 && !phial_loaded_exists(&entry->loaded)) {
			clear_entry(entry);
		} else {
			index->entries[kept++] = *entry;
		}
	}
	index->count = kept;
	gather_names(index);
}

bool phial_entry_is_foreign(const struct phial_entry *entry)
{
	return entry->status == PHIAL_NOT_RECIPIENT && !phial_loaded_exists(&entry->loaded);
}

void phial_entry_set(struct phial_entry *entry, enum phial_status status, const char *reason)
{
	free(entry->reason);
	entry->reason = reason ? strdup(reason) : NULL;
	entry->status = status;
}

/* --- from the ring ---------------------------------------------------------------------- */

/* Read a key's header if it is a part of a secret. */
static bool read_header(int32_t serial, struct phial_secret *scratch,
			struct phial_key_header *ret_header)
{
	size_t length;

	if (phial_keyring_read(serial, phial_secret_bytes(scratch), phial_secret_capacity(scratch),
			       &length, NULL) != PHIAL_OK ||
	    length < sizeof(*ret_header)) {
		return false;
	}
	memcpy(ret_header, phial_secret_const_bytes(scratch), sizeof(*ret_header));
	return ret_header->magic == PHIAL_KEY_MAGIC &&
	       (ret_header->kind == PHIAL_KEY_SECRET || ret_header->kind == PHIAL_KEY_OVERRIDE) &&
	       ret_header->part < ret_header->part_count &&
	       ret_header->part_count <= PHIAL_SECRET_MAX_BYTES / PHIAL_KEY_PART_MAX + 1 &&
	       memchr(ret_header->name, '\0', sizeof(ret_header->name)) != NULL &&
	       phial_name_check(ret_header->name, NULL) == PHIAL_OK;
}

/* Find or append (unsorted) the entry that a header belongs to. entries has room for one more. */
static struct phial_entry *entry_of(struct phial_index *index,
				    const struct phial_key_header *header)
{
	for (size_t i = index->count; i > 0; i--) { /* parts of one secret lie close together */
		struct phial_entry *entry = &index->entries[i - 1];

		if (header->part_count == 1) {
			break;
		}
		if (strcmp(entry->name, header->name) == 0 &&
		    entry->loaded.version == header->version) {
			return entry;
		}
	}
	struct phial_entry *entry = &index->entries[index->count];

	*entry = (struct phial_entry){
		.name = strdup(header->name),
		.is_missing = true,
		.override_until_ms = header->kind == PHIAL_KEY_OVERRIDE ? header->until_ms : 0,
		.loaded = { .version = header->version,
			    .not_after_s = header->not_after_s,
			    .created_s = header->created_s,
			    .mode = header->mode,
			    .owner_uid = header->owner_uid,
			    .owner_gid = header->owner_gid,
			    .total_bytes = header->total_bytes,
			    .serial_count = header->part_count },
	};
	memcpy(entry->loaded.digest, header->digest, sizeof(entry->loaded.digest));
	entry->loaded.serials = calloc(header->part_count, sizeof(int32_t));
	if (!entry->name || !entry->loaded.serials) {
		abort();
	}
	index->count++;
	return entry;
}

static bool is_whole(const struct phial_entry *entry)
{
	for (uint32_t part = 0; part < entry->loaded.serial_count; part++) {
		if (entry->loaded.serials[part] == 0) {
			return false;
		}
	}
	return true;
}

/* Is the one at b whole, of the same name and kind as that at a, and to be preferred? */
static bool is_beaten(const struct phial_index *index, size_t a, size_t b)
{
	const struct phial_entry *mine = &index->entries[a];
	const struct phial_entry *other = &index->entries[b];
	bool is_newer = other->loaded.version > mine->loaded.version ||
			(other->loaded.version == mine->loaded.version && b < a);

	return is_newer && (other->override_until_ms != 0) == (mine->override_until_ms != 0) &&
	       is_whole(other);
}

static bool has_name_of(const struct phial_index *index, size_t a, size_t b)
{
	return strcmp(index->entries[a].name, index->entries[b].name) == 0;
}

/* Whole, and the newest of its name and kind: the array is sorted by name. */
static bool is_usable(const struct phial_index *index, size_t i)
{
	if (!is_whole(&index->entries[i])) {
		return false;
	}
	for (size_t other = i; other-- > 0 && has_name_of(index, i, other);) {
		if (is_beaten(index, i, other)) {
			return false;
		}
	}
	for (size_t other = i + 1; other < index->count && has_name_of(index, i, other); other++) {
		if (is_beaten(index, i, other)) {
			return false;
		}
	}
	return true;
}

static void drop_unusable(struct phial_index *index, int32_t ring)
{
	size_t kept = 0;
	bool *usable = calloc(index->count + 1, sizeof(*usable));

	if (!usable) {
		abort();
	}
	for (size_t i = 0; i < index->count; i++) {
		usable[i] = is_usable(index, i);
	}
	for (size_t i = 0; i < index->count; i++) {
		struct phial_entry *entry = &index->entries[i];

		if (usable[i]) {
			index->entries[kept++] = *entry;
			continue;
		}
		for (uint32_t part = 0; part < entry->loaded.serial_count; part++) {
			if (phial_keyring_drop(ring, entry->loaded.serials[part], NULL) !=
			    PHIAL_OK) {
				continue;
			}
		}
		clear_entry(entry);
	}
	index->count = kept;
	free(usable);
}

/* An override and what is loaded from the store lie side by side: make one entry of them. */
static void join_overrides(struct phial_index *index)
{
	size_t kept = 0;

	for (size_t i = 0; i < index->count; i++) {
		struct phial_entry entry = index->entries[i];
		bool is_override = entry.override_until_ms != 0;
		struct phial_entry *last = kept > 0 ? &index->entries[kept - 1] : NULL;

		if (is_override) { /* loaded from the store: nothing, so far */
			entry.aside = (struct phial_aside){ .status = PHIAL_NOT_FOUND };
		}
		if (!last || strcmp(last->name, entry.name) != 0) {
			index->entries[kept++] = entry;
			continue;
		}
		struct phial_entry *override = is_override ? &entry : last;
		struct phial_entry *stored = is_override ? last : &entry;

		override->aside.loaded = stored->loaded;
		override->aside.status = stored->status;
		free(stored->name);
		*last = *override;
	}
	index->count = kept;
}

enum phial_status phial_index_from_ring(struct phial_index *index, int32_t ring,
					struct phial_secret *scratch, struct phial_error *err)
{
	phial_auto_free int32_t *serials = NULL;
	size_t count = 0;
	enum phial_status status = phial_keyring_list(ring, &serials, &count, err);

	if (status != PHIAL_OK) {
		return status;
	}
	index->entries = calloc(count + 1, sizeof(index->entries[0]));
	if (!index->entries) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "index of %zu keys", count);
	}
	for (size_t i = 0; i < count; i++) {
		struct phial_key_header header;

		if (read_header(serials[i], scratch, &header)) {
			entry_of(index, &header)->loaded.serials[header.part] = serials[i];
		}
	}
	phial_secret_wipe(scratch);
	qsort(index->entries, index->count, sizeof(index->entries[0]), compare_entries);
	drop_unusable(index, ring);
	join_overrides(index);
	gather_names(index);
	return PHIAL_OK;
}
