/* SPDX-License-Identifier: ISC */
/*
 * cJSON behind its strict face. The scan decides what is JSON, cJSON builds the tree, and
 * duplicate keys are looked for in the tree, where escapes are resolved. Not for secrets.
 *
 * A struct phial_json is a cJSON item. Its valueint, which cJSON's own documentation calls
 * deprecated and nothing here reads as a number, carries the line: 0 for a built item,
 * negative for a number that is not whole. In a built array or object, BROKEN says that an
 * addition failed.
 */
#include "json/json.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "json/scan.h"

#define BROKEN		      (-1)
#define LARGEST_EXACT_INTEGER (INT64_C(1) << 53)

static const cJSON *item_of(const struct phial_json *value)
{
	return (const cJSON *)(const void *)value;
}

static cJSON *own_item(struct phial_json *value)
{
	return (cJSON *)(void *)value;
}

static const struct phial_json *value_of(const cJSON *item)
{
	return (const struct phial_json *)(const void *)item;
}

static struct phial_json *own_value(cJSON *item)
{
	return (struct phial_json *)(void *)item;
}

/* Write each value's line into its item. places: moved along, both are in document order. */
static void set_lines(cJSON *item, const struct phial_json_place **places)
{
	const struct phial_json_place *place = (*places)++;
	int line = (int)place->line;

	item->valueint = cJSON_IsNumber(item) && !place->is_whole ? -line : line;
	for (cJSON *child = item->child; child; child = child->next) {
		set_lines(child, places);
	}
}

static int compare_keys(const void *left, const void *right)
{
	const cJSON *const *a = left;
	const cJSON *const *b = right;

	return strcmp((*a)->string, (*b)->string);
}

/* Find two members of one object with the same key; sorted, so that 10^5 keys are no attack. */
static enum phial_status check_members(const cJSON *object, const cJSON **members,
				       struct phial_error *err)
{
	size_t count = 0;

	for (const cJSON *child = object->child; child; child = child->next) {
		members[count++] = child;
	}
	if (count < 2) {
		return PHIAL_OK;
	}
	qsort(members, count, sizeof(const cJSON *), compare_keys);
	for (size_t i = 1; i < count; i++) {
		if (strcmp(members[i - 1]->string, members[i]->string) == 0) {
			size_t a = phial_json_line(value_of(members[i - 1]));
			size_t b = phial_json_line(value_of(members[i]));

			return phial_fail(err, PHIAL_MALFORMED, 0,
					  "line %zu: the same key stands twice in one object",
					  a > b ? a : b);
		}
	}
	return PHIAL_OK;
}

/* members: room for as many pointers as there are values in the document. */
static enum phial_status check_duplicates(const cJSON *item, const cJSON **members,
					  struct phial_error *err)
{
	if (cJSON_IsObject(item)) {
		enum phial_status status = check_members(item, members, err);

		if (status != PHIAL_OK) {
			return status;
		}
	}
	for (const cJSON *child = item->child; child; child = child->next) {
		enum phial_status status = check_duplicates(child, members, err);

		if (status != PHIAL_OK) {
			return status;
		}
	}
	return PHIAL_OK;
}

enum phial_status phial_json_parse(const uint8_t *bytes, size_t length,
				   struct phial_json **ret_root, struct phial_error *err)
{
	struct phial_json_places found = { 0 };
	enum phial_status status = phial_json_scan(bytes, length, &found, err);
	phial_auto_free struct phial_json_place *places = found.places;

	if (status != PHIAL_OK) {
		return status;
	}
	phial_auto_json struct phial_json *root =
		own_value(cJSON_ParseWithLength((const char *)bytes, length));
	phial_auto_free const cJSON **members = calloc(found.count, sizeof(const cJSON *));

	if (!root || !members) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "read JSON");
	}
	const struct phial_json_place *next = places;

	set_lines(own_item(root), &next);
	status = check_duplicates(item_of(root), members, err);
	if (status != PHIAL_OK) {
		return status;
	}
	*ret_root = phial_take_pointer(root);
	return PHIAL_OK;
}

void phial_json_free(struct phial_json *root)
{
	cJSON_Delete(own_item(root));
}

enum phial_json_type phial_json_type(const struct phial_json *value)
{
	const cJSON *item = item_of(value);

	if (cJSON_IsObject(item)) {
		return PHIAL_JSON_OBJECT;
	}
	if (cJSON_IsArray(item)) {
		return PHIAL_JSON_ARRAY;
	}
	if (cJSON_IsString(item)) {
		return PHIAL_JSON_STRING;
	}
	if (cJSON_IsNumber(item) || cJSON_IsRaw(item)) {
		return PHIAL_JSON_NUMBER;
	}
	return cJSON_IsBool(item) ? PHIAL_JSON_BOOL : PHIAL_JSON_NULL;
}

size_t phial_json_line(const struct phial_json *value)
{
	int line = item_of(value)->valueint;

	return (size_t)(line < 0 ? -line : line);
}

const struct phial_json *phial_json_member(const struct phial_json *value, const char *key)
{
	if (!value || !cJSON_IsObject(item_of(value))) {
		return NULL;
	}
	return value_of(cJSON_GetObjectItemCaseSensitive(item_of(value), key));
}

size_t phial_json_count(const struct phial_json *value)
{
	return value ? (size_t)cJSON_GetArraySize(item_of(value)) : 0;
}

const struct phial_json *phial_json_first(const struct phial_json *value)
{
	return value ? value_of(item_of(value)->child) : NULL;
}

const struct phial_json *phial_json_next(const struct phial_json *value)
{
	return value_of(item_of(value)->next);
}

const char *phial_json_key(const struct phial_json *value)
{
	return item_of(value)->string;
}

const char *phial_json_string(const struct phial_json *value)
{
	return value ? cJSON_GetStringValue(item_of(value)) : NULL;
}

bool phial_json_bool(const struct phial_json *value, bool *ret)
{
	if (!value || !cJSON_IsBool(item_of(value))) {
		return false;
	}
	*ret = cJSON_IsTrue(item_of(value));
	return true;
}

bool phial_json_integer(const struct phial_json *value, int64_t min, int64_t max, int64_t *ret)
{
	if (!value || !cJSON_IsNumber(item_of(value)) || item_of(value)->valueint < 0) {
		return false;
	}
	double number = item_of(value)->valuedouble;

	/* At 2^53 itself a double may stand for 2^53 + 1 as well. */
	if (!(number > -(double)LARGEST_EXACT_INTEGER && number < (double)LARGEST_EXACT_INTEGER)) {
		return false;
	}
	int64_t integer = (int64_t)number;

	if (integer < min || integer > max) {
		return false;
	}
	*ret = integer;
	return true;
}

bool phial_json_is_limit(const struct phial_json *value)
{
	const cJSON *item = value ? item_of(value) : NULL;

	return cJSON_IsNumber(item) && item->valuedouble >= (double)LARGEST_EXACT_INTEGER &&
	       item->valuedouble <= (double)LARGEST_EXACT_INTEGER;
}

struct phial_json *phial_json_new_object(void)
{
	return own_value(cJSON_CreateObject());
}

/* Hang a new item under parent. Frees it, and marks the parent, when that cannot be. */
static struct phial_json *attach(struct phial_json *parent, const char *key, cJSON *item)
{
	cJSON *owner = own_item(parent);

	if (!owner) {
		cJSON_Delete(item);
		return NULL;
	}
	if (!item ||
	    !(key ? cJSON_AddItemToObject(owner, key, item) : cJSON_AddItemToArray(owner, item))) {
		cJSON_Delete(item);
		owner->valueint = BROKEN;
		return NULL;
	}
	return own_value(item);
}

struct phial_json *phial_json_add_object(struct phial_json *parent, const char *key)
{
	return attach(parent, key, cJSON_CreateObject());
}

struct phial_json *phial_json_add_array(struct phial_json *parent, const char *key)
{
	return attach(parent, key, cJSON_CreateArray());
}

/* Paths and engine texts may be anything: what is not UTF-8 is shown as '?'. */
static void replace_invalid(char *text)
{
	size_t left = strlen(text);

	while (left > 0) {
		size_t length = phial_json_utf8_length((const uint8_t *)text, left);

		if (length == 0) {
			*text = '?';
			length = 1;
		}
		text += length;
		left -= length;
	}
}

void phial_json_add_string(struct phial_json *parent, const char *key, const char *text)
{
	struct phial_json *added = attach(parent, key, cJSON_CreateString(text));

	if (added) {
		replace_invalid(own_item(added)->valuestring);
	}
}

void phial_json_add_integer(struct phial_json *parent, const char *key, int64_t number)
{
	char digits[24];

	/* As digits: cJSON prints a number through a double, 10^15 as "1e+15". */
	(void)snprintf(digits, sizeof(digits), "%" PRId64, number);
	(void)attach(parent, key, cJSON_CreateRaw(digits));
}

void phial_json_add_bool(struct phial_json *parent, const char *key, bool flag)
{
	(void)attach(parent, key, cJSON_CreateBool(flag));
}

void phial_json_add_null(struct phial_json *parent, const char *key)
{
	(void)attach(parent, key, cJSON_CreateNull());
}

/* Whole numbers as digits, as phial_json_add_integer() writes them. Returns false without memory. */
static bool write_digits(cJSON *item)
{
	int64_t number;

	if (phial_json_integer(value_of(item), INT64_MIN, INT64_MAX, &number)) {
		const size_t bytes = 24;
		char *digits = cJSON_malloc(bytes);

		if (!digits) {
			return false;
		}
		(void)snprintf(digits, bytes, "%" PRId64, number);
		item->type = (item->type & ~0xff) | cJSON_Raw;
		item->valuestring = digits;
	}
	for (cJSON *child = item->child; child; child = child->next) {
		if (!write_digits(child)) {
			return false;
		}
	}
	return true;
}

void phial_json_add_copy(struct phial_json *parent, const char *key, const struct phial_json *value)
{
	cJSON *copy = value ? cJSON_Duplicate(item_of(value), true) : cJSON_CreateNull();

	if (copy && !write_digits(copy)) {
		cJSON_Delete(copy);
		copy = NULL;
	}
	if (copy && !key) { /* an array's element has no name of its own */
		cJSON_free(copy->string);
		copy->string = NULL;
	}
	(void)attach(parent, key, copy);
}

static bool is_whole(const cJSON *item)
{
	if ((cJSON_IsObject(item) || cJSON_IsArray(item)) && item->valueint == BROKEN) {
		return false;
	}
	for (const cJSON *child = item->child; child; child = child->next) {
		if (!is_whole(child)) {
			return false;
		}
	}
	return true;
}

enum phial_status phial_json_print(const struct phial_json *root, char **ret_text,
				   struct phial_error *err)
{
	char *text = root && is_whole(item_of(root)) ? cJSON_PrintUnformatted(item_of(root)) : NULL;

	if (!text) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "write JSON");
	}
	*ret_text = text;
	return PHIAL_OK;
}
