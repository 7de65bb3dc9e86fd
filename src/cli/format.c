/* SPDX-License-Identifier: ISC */
/*
 * Times, tables and JSON as the commands print them. No secret passes here.
 */
#include "cli/format.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/parse.h"

#define MINUTE_S INT64_C(60)
#define HOUR_S	 (60 * MINUTE_S)
#define DAY_S	 (24 * HOUR_S)
#define WEEK_S	 (7 * DAY_S)
/* 9999-12-31T23:59:59Z, the last time that the sealed file can say. */
#define LAST_TIME_S INT64_C(253402300799)

uint64_t phial_cli_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int64_t phial_cli_now_s(void)
{
	return (int64_t)(phial_cli_now_ms() / 1000);
}

/* "+90d" into seconds; sign: what it must begin with. */
static bool parse_span(struct phial_span span, const char *sign, int64_t *ret_seconds)
{
	static const struct {
		char letter;
		int64_t unit_s;
	} units[] = { { 'h', HOUR_S }, { 'd', DAY_S }, { 'w', WEEK_S } };
	uint64_t count;

	if (!phial_span_skip(&span, sign) || span.length < 2) {
		return false;
	}
	char letter = span.text[--span.length];

	/* 100,000 of the largest unit still fits easily. */
	if (!phial_parse_u64(span, 1, 100000, &count)) {
		return false;
	}
	for (size_t i = 0; i < PHIAL_COUNT(units); i++) {
		if (units[i].letter == letter) {
			*ret_seconds = (int64_t)count * units[i].unit_s;
			return true;
		}
	}
	return false;
}

/* "2027-02-19T12:00:00Z", or "2027-02-19" for its beginning. */
static bool parse_date(const char *text, int64_t *ret_seconds)
{
	struct phial_span span = phial_span_of(text);
	char with_time[PHIAL_TIME_TEXT_BYTES];

	if (span.length == strlen("2027-02-19")) {
		(void)snprintf(with_time, sizeof(with_time), "%sT00:00:00Z", text);
		span = phial_span_of(with_time);
	}
	return phial_parse_time(span, ret_seconds);
}

enum phial_status phial_cli_parse_since(const char *text, int64_t now_s, int64_t *ret_seconds,
					struct phial_error *err)
{
	int64_t span_s;

	if (parse_span(phial_span_of(text), "-", &span_s)) {
		*ret_seconds = now_s - span_s;
		return PHIAL_OK;
	}
	if (parse_date(text, ret_seconds)) {
		return PHIAL_OK;
	}
	return phial_fail(
		err, PHIAL_USAGE, 0,
		"a time is given in UTC (2027-02-19 or 2027-02-19T12:00:00Z) or as before "
		"now (-12h, -90d, -4w)");
}

enum phial_status phial_cli_parse_not_after(const char *text, int64_t now_s, int64_t *ret_seconds,
					    struct phial_error *err)
{
	int64_t seconds;

	if (parse_span(phial_span_of(text), "+", &seconds)) {
		seconds += now_s;
	} else if (!parse_date(text, &seconds)) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "--not-after takes a time in UTC (2027-02-19 or "
				  "2027-02-19T12:00:00Z) or one from now (+12h, +90d, +4w)");
	}
	if (seconds <= now_s || seconds > LAST_TIME_S) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "--not-after: the time must be in the future and before the year "
				  "10000");
	}
	*ret_seconds = seconds;
	return PHIAL_OK;
}

void phial_cli_print_safe(FILE *out, const char *text)
{
	for (; *text != '\0'; text++) {
		unsigned char byte = (unsigned char)*text;

		if (byte >= 0x20 && byte < 0x7f) {
			fputc(byte, out);
		} else {
			fprintf(out, "\\x%02x", byte);
		}
	}
}

void phial_cli_table_add(struct phial_cli_table *table, const char *text)
{
	if (table->count == table->room) {
		size_t room = table->room == 0 ? 64 : table->room * 2;
		char **larger = reallocarray(table->cells, room, sizeof(*larger));

		if (!larger) {
			return;
		}
		table->cells = larger;
		table->room = room;
	}
	char *copy = strdup(text);

	if (copy) {
		table->cells[table->count++] = copy;
	}
}

void phial_cli_table_print(const struct phial_cli_table *table)
{
	size_t widths[PHIAL_CLI_COLUMNS_MAX] = { 0 };

	for (size_t i = 0; i < table->count; i++) {
		size_t length = strlen(table->cells[i]);

		if (length > widths[i % table->columns]) {
			widths[i % table->columns] = length;
		}
	}
	for (size_t i = 0; i < table->count; i++) {
		size_t column = i % table->columns;

		if (column + 1 == table->columns) {
			printf("%s\n", table->cells[i]);
		} else {
			printf("%-*s  ", (int)widths[column], table->cells[i]);
		}
	}
}

void phial_cli_table_free(struct phial_cli_table *table)
{
	for (size_t i = 0; i < table->count; i++) {
		free(table->cells[i]);
	}
	free(table->cells);
	*table = (struct phial_cli_table){ .columns = table->columns };
}

enum phial_status phial_cli_print_json(const struct phial_json *root, struct phial_error *err)
{
	phial_auto_free char *text = NULL;
	enum phial_status status = phial_json_print(root, &text, err);

	if (status == PHIAL_OK) {
		printf("%s\n", text);
	}
	return status;
}

static void add_time(struct phial_json *object, const char *key, int64_t seconds)
{
	char text[PHIAL_TIME_TEXT_BYTES];

	phial_format_time(seconds, text);
	phial_json_add_string(object, key, text);
}

void phial_cli_json_header(struct phial_json *object, const struct phial_sealed_header *header)
{
	char text[64]; /* an age key, a signer's key, a mode or an owner */

	phial_json_add_string(object, "name", header->name);
	phial_json_add_integer(object, "version", (int64_t)header->version);
	add_time(object, "created", header->created_s);
	if (header->not_after_s != 0) {
		add_time(object, "not_after", header->not_after_s);
	}
	if (header->mode != PHIAL_MODE_UNSET) {
		(void)snprintf(text, sizeof(text), "%04o", header->mode);
		phial_json_add_string(object, "mode", text);
	}
	if (header->owner_uid != PHIAL_ID_UNSET) {
		(void)snprintf(text, sizeof(text), "%u:%u", header->owner_uid, header->owner_gid);
		phial_json_add_string(object, "owner", text);
	}
	phial_signer_public_format(&header->signer, text);
	phial_json_add_string(object, "signer", text);
	struct phial_json *recipients = phial_json_add_array(object, "recipients");

	for (size_t i = 0; i < header->recipient_count; i++) {
		struct phial_json *recipient = phial_json_add_object(recipients, NULL);

		phial_json_add_string(recipient, "name", header->recipients[i].name);
		phial_recipient_format(&header->recipients[i].key, text);
		phial_json_add_string(recipient, "key", text);
	}
}
