/* SPDX-License-Identifier: ISC */
/*
 * Frame header and records of the hook's and phial-init's protocols. The first byte chooses the decoder; what a decoder
 * accepts must lie wholly inside the input. No sockets here.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/frame.h"
#include "wire/hook_protocol.h"
#include "wire/init_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds)
{
	if (!holds) {
		abort();
	}
}

static void fuzz_header(const uint8_t *data, size_t size, struct phial_error *err)
{
	uint32_t type;
	size_t length;

	if (phial_frame_decode(data, size, PHIAL_FRAME_MAX_BYTES, &type, &length, err) ==
	    PHIAL_OK) {
		must(length == size - sizeof(struct phial_frame_header) &&
		     length <= PHIAL_FRAME_MAX_BYTES);
	}
}

static void fuzz_start(const uint8_t *data, size_t size, struct phial_error *err)
{
	struct phial_hook_start start;
	const uint8_t *state;

	if (phial_hook_decode_start(data, size, &start, &state, err) == PHIAL_OK) {
		must(state + start.state_length == data + size);
		must(strlen(start.workload) < PHIAL_HOOK_ARGUMENT_MAX);
	}
}

static void fuzz_created(const uint8_t *data, size_t size, struct phial_error *err)
{
	static struct phial_hook_created created;
	uint8_t whole[sizeof(created)] = { 0 };

	/* As with the verdict: short inputs count as its beginning. */
	memcpy(whole, data, size < sizeof(whole) ? size : sizeof(whole));
	if (phial_hook_decode_created(whole, sizeof(whole), &created, err) == PHIAL_OK) {
		must(created.pid > 1 && created.bundle[0] == '/' && created.id[0] != '\0' &&
		     strlen(created.bundle) < sizeof(created.bundle) &&
		     strlen(created.id) < sizeof(created.id));
	}
}

static void fuzz_verdict(const uint8_t *data, size_t size, struct phial_error *err)
{
	static struct phial_hook_verdict verdict;
	uint8_t whole[sizeof(verdict)] = { 0 };

	/* The record is 13 KB: short inputs count as its beginning. */
	memcpy(whole, data, size < sizeof(whole) ? size : sizeof(whole));
	if (phial_hook_decode_verdict(whole, sizeof(whole), &verdict, err) == PHIAL_OK &&
	    verdict.decision == PHIAL_HOOK_GO) {
		must(verdict.pid > 1 && verdict.target[0] == '/' &&
		     strlen(verdict.target) < sizeof(verdict.target));
	}
}

static void fuzz_mount(const uint8_t *data, size_t size, struct phial_error *err)
{
	struct phial_hook_mount mount;
	const char *uid_map;
	const char *gid_map;

	if (phial_hook_decode_mount(data, size, &mount, &uid_map, &gid_map, err) == PHIAL_OK) {
		must((const uint8_t *)gid_map + mount.gid_map_length == data + size);
	}
}

static void fuzz_result(const uint8_t *data, size_t size, struct phial_error *err)
{
	struct phial_hook_result result;

	if (phial_hook_decode_result(data, size, &result, err) == PHIAL_OK) {
		must(strlen(result.text) < sizeof(result.text));
	}
}

static void fuzz_init_ask(const uint8_t *data, size_t size, struct phial_error *err)
{
	struct phial_init_ask ask;

	if (phial_init_decode_ask(data, size, &ask, err) == PHIAL_OK) {
		must(size == sizeof(ask) && ask.version == PHIAL_INIT_VERSION &&
		     ask.uid != UINT32_MAX && ask.gid != UINT32_MAX);
	}
	/* Of the same size, and as short: no need for a corpus of its own. */
	if (phial_init_decode_ready(data, size, err) == PHIAL_OK) {
		must(size == sizeof(struct phial_init_ready));
	}
}

static void fuzz_init_answer(const uint8_t *data, size_t size, struct phial_error *err)
{
	static struct phial_init_answer answer;
	uint8_t whole[sizeof(answer)] = { 0 };

	memcpy(whole, data, size < sizeof(whole) ? size : sizeof(whole));
	if (phial_init_decode_answer(whole, sizeof(whole), &answer, err) == PHIAL_OK) {
		must(strlen(answer.target) < sizeof(answer.target) &&
		     strlen(answer.text) < sizeof(answer.text));
		must(answer.status == PHIAL_OK ? answer.target[0] == '/' : answer.text[0] != '\0');
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const decoders[])(const uint8_t *, size_t, struct phial_error *) = {
		fuzz_header, fuzz_start,   fuzz_verdict,  fuzz_mount,
		fuzz_result, fuzz_created, fuzz_init_ask, fuzz_init_answer,
	};
	struct phial_error err;

	if (size > 0) {
		decoders[data[0] % (sizeof(decoders) / sizeof(decoders[0]))](data + 1, size - 1,
									     &err);
	}
	return 0;
}
