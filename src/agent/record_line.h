/* SPDX-License-Identifier: ISC */
/* One record as a line of the journal, both ways; records.h describes it. */
#ifndef PHIAL_AGENT_RECORD_LINE_H
#define PHIAL_AGENT_RECORD_LINE_H

#include <stdbool.h>

#include "agent/records.h"
#include "base/parse.h"
#include "base/text.h"

/* A hook that does not come to its end fails its container: what is recorded is committed. */
bool phial_record_door_is_noted(enum phial_door door);

/* Write "start ..." of a record. What fails shows in line. */
void phial_record_format(struct phial_text *line, const struct phial_record *record);

/* Write " NAME=VERSION=FILE=NOT-AFTER=CREATED=READ" for each, and "=unsure" behind one that is. */
void phial_releases_format(struct phial_text *line, const struct phial_release *releases,
			   size_t count);

/* Parse what follows "start ". record: zeroed; holds what was read so far on false. */
bool phial_record_parse(struct phial_span rest, struct phial_record *record);

/* Parse releases. ret_releases: freed with phial_releases_free(), also on false. */
bool phial_releases_parse(struct phial_span rest, struct phial_release **ret_releases,
			  size_t *ret_count);

#endif
