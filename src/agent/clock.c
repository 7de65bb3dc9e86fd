/* SPDX-License-Identifier: ISC */
/*
 * The agent's own time. It counts on by boot time from the latest moment that was seen, whatever
 * the host's clock says meanwhile. What happens at which time is decided elsewhere.
 */
#include "agent/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "agent/log.h"
#include "agent/records.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/parse.h"
#include "store/marks.h"
#include "store/store.h"

/* A step of less than this is a correction; of more, somebody must know. */
#define STEP_LOUD_S INT64_C(3600)
/* A step of more than this is made durable at once. */
#define STEP_SAVED_MS INT64_C(60000)
#define SAVE_EACH_MS  (INT64_C(3600) * 1000)
/* 9999-12-31T23:59:59Z, the last time that a sealed file can say. */
#define LAST_TIME_S INT64_C(253402300799)

static int64_t milliseconds(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct phial_clock_point phial_clock_read(void)
{
	return (struct phial_clock_point){ .wall_ms = milliseconds(CLOCK_REALTIME),
					   .boot_ms = milliseconds(CLOCK_BOOTTIME) };
}

int64_t phial_clock_sooner(int64_t a_ms, int64_t b_ms)
{
	return a_ms < 0 || (b_ms >= 0 && b_ms < a_ms) ? b_ms : a_ms;
}

/* --- what time it is ---------------------------------------------------------------------- */

/* By boot time alone. */
static int64_t counted_ms(const struct phial_clock *clock, const struct phial_clock_point *now)
{
	return clock->base.wall_ms + (now->boot_ms - clock->base.boot_ms);
}

static int64_t own_ms(const struct phial_clock *clock, const struct phial_clock_point *now)
{
	int64_t counted = counted_ms(clock, now);

	return now->wall_ms > counted ? now->wall_ms : counted;
}

/* All that says it is later counts. */
static int64_t latest_ms(const struct phial_clock *clock, const struct phial_clock_point *now)
{
	int64_t own = own_ms(clock, now);

	return clock->floor_s * 1000 > own ? clock->floor_s * 1000 : own;
}

int64_t phial_clock_own_s(const struct phial_clock *clock)
{
	const struct phial_clock_point now = phial_clock_read();

	return own_ms(clock, &now) / 1000;
}

int64_t phial_clock_now_s(const struct phial_clock *clock)
{
	const struct phial_clock_point now = phial_clock_read();

	return latest_ms(clock, &now) / 1000;
}

int64_t phial_clock_ahead_s(const struct phial_clock *clock)
{
	const struct phial_clock_point now = phial_clock_read();

	return (own_ms(clock, &now) - now.wall_ms) / 1000;
}

void phial_clock_raise(struct phial_clock *clock, int64_t seconds)
{
	if (seconds > clock->floor_s) {
		clock->floor_s = seconds;
	}
}

int64_t phial_clock_boot_ms(const struct phial_clock *clock, int64_t seconds)
{
	const struct phial_clock_point now = phial_clock_read();

	/* Not by the floor: that one stands still until the time has come up to it. */
	return seconds <= clock->floor_s ? now.boot_ms
					 : now.boot_ms + seconds * 1000 - own_ms(clock, &now);
}

/* --- the file ------------------------------------------------------------------------------- */

/* Seconds since 1970 and a newline, as `date +%s` writes them. */
static bool read_file(int state_fd, int64_t *ret_seconds)
{
	phial_auto_free uint8_t *bytes = NULL;
	struct phial_error err;
	size_t length = 0;
	uint64_t seconds;
	phial_auto_fd int fd =
		openat(state_fd, PHIAL_CLOCK_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT) {
		return false; /* of the first start, or an agent of before */
	}
	if (fd < 0 || phial_read_all(fd, 32, &bytes, &length, &err) != PHIAL_OK) {
		phial_log("the state directory's file " PHIAL_CLOCK_FILE " cannot be read (%s); "
			  "the other files there say what time it was",
			  fd < 0 ? strerror(errno) : err.text);
		return false;
	}
	struct phial_span span = { (const char *)bytes, length };

	span.length -= length > 0 && bytes[length - 1] == '\n';
	if (!phial_parse_u64(span, 0, (uint64_t)LAST_TIME_S, &seconds)) {
		phial_log("the state directory's file " PHIAL_CLOCK_FILE " does not hold a time "
			  "(\"date +%%s\" writes one); the other files there say what time it was");
		return false;
	}
	*ret_seconds = (int64_t)seconds;
	return true;
}

/* When an earlier agent wrote there last is a time that has passed. */
static int64_t last_written_s(int state_fd)
{
	static const char *const names[] = { PHIAL_RECORDS_FILE, PHIAL_MARKS_FILE };
	int64_t latest_s = 0;
	struct stat status;

	for (size_t i = 0; i < PHIAL_COUNT(names); i++) {
		if (fstatat(state_fd, names[i], &status, AT_SYMLINK_NOFOLLOW) == 0 &&
		    status.st_mtim.tv_sec > latest_s) {
			latest_s = status.st_mtim.tv_sec;
		}
	}
	return latest_s;
}

void phial_clock_save(struct phial_clock *clock)
{
	const struct phial_clock_point now = phial_clock_read();
	char text[32];
	struct phial_error err;
	int length = snprintf(text, sizeof(text), "%" PRId64 "\n", own_ms(clock, &now) / 1000);

	clock->saved_ms = now.boot_ms;
	if (phial_store_write(clock->state_fd, PHIAL_CLOCK_FILE, text, (size_t)length, 0600,
			      &err) != PHIAL_OK) {
		phial_log("what time it is cannot be kept for the next agent: %s", err.text);
	}
}

/* --- the clock is set ------------------------------------------------------------------------ */

/* Say it once each time that the host's clock falls behind. */
static void tell_behind(struct phial_clock *clock, int64_t behind_ms)
{
	char span[PHIAL_DURATION_TEXT_BYTES];
	bool is_behind = behind_ms >= STEP_LOUD_S * 1000;

	if (is_behind && !clock->is_behind) {
		phial_format_span(behind_ms / 1000, span);
		phial_log(
			"THE HOST'S CLOCK IS %s BEHIND what this agent has seen: secrets expire by "
			"the later time; docs/expiry.md says what to do if that one was wrong",
			span);
	}
	clock->is_behind = is_behind;
}

bool phial_clock_look(struct phial_clock *clock)
{
	const struct phial_clock_point now = phial_clock_read();
	int64_t step_ms = now.wall_ms - counted_ms(clock, &now);
	char span[PHIAL_DURATION_TEXT_BYTES];
	uint64_t expirations;
	/* ECANCELED: the clock was set. See timerfd_create(2). */
	bool was_set =
		read(clock->change_fd, &expirations, sizeof(expirations)) < 0 && errno == ECANCELED;

	if (read(clock->alarm_fd, &expirations, sizeof(expirations)) > 0) {
		clock->alarm_boot_ms = -1;
	}
	if (step_ms > 0) {
		clock->base = now;
	}
	if (step_ms >= STEP_LOUD_S * 1000) {
		phial_format_span(step_ms / 1000, span);
		phial_log(
			"THE HOST'S CLOCK WAS SET FORWARD BY %s: what has expired by it is gone for "
			"good; docs/expiry.md says what to do if it is wrong",
			span);
	}
	tell_behind(clock, -step_ms);
	if (step_ms >= STEP_SAVED_MS || now.boot_ms - clock->saved_ms >= SAVE_EACH_MS) {
		phial_clock_save(clock);
	}
	return was_set || step_ms >= STEP_SAVED_MS;
}

/* --- timers ------------------------------------------------------------------------------------ */

static void set_timer(int fd, int flags, int64_t at_ms)
{
	const struct itimerspec timer = {
		.it_value = { .tv_sec = at_ms / 1000, .tv_nsec = at_ms % 1000 * 1000000 },
	};

	/* ECANCELED says that the clock was set since the last time; it is looked at anyway. */
	(void)timerfd_settime(fd, flags, &timer, NULL);
}

void phial_clock_set_alarm(struct phial_clock *clock, int64_t boot_ms)
{
	int64_t save_ms = clock->saved_ms + SAVE_EACH_MS;
	/* 0 would be never, and a time in the past is at once. */
	int64_t at_ms = boot_ms >= 0 && boot_ms < save_ms ? boot_ms + (boot_ms == 0) : save_ms;

	if (at_ms == clock->alarm_boot_ms) {
		return;
	}
	clock->alarm_boot_ms = at_ms;
	set_timer(clock->alarm_fd, TFD_TIMER_ABSTIME, at_ms);
}

static enum phial_status make_timers(struct phial_clock *clock, struct phial_error *err)
{
	clock->alarm_fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	clock->change_fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	if (clock->alarm_fd < 0 || clock->change_fd < 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "timerfd_create");
	}
	/* Never to come, but for a clock that is set. */
	set_timer(clock->change_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET,
		  LAST_TIME_S * 1000);
	return PHIAL_OK;
}

enum phial_status phial_clock_open(int state_fd, const struct phial_clock_point *began,
				   struct phial_clock *ret_clock, struct phial_error *err)
{
	struct phial_clock clock = { .base = *began, .state_fd = state_fd, .alarm_boot_ms = -1 };
	const struct phial_clock_point now = phial_clock_read();
	int64_t seen_s;
	enum phial_status status = make_timers(&clock, err);

	if (status != PHIAL_OK) {
		return status;
	}
	if (!read_file(state_fd, &seen_s)) {
		seen_s = last_written_s(state_fd);
	}
	int64_t latest = own_ms(&clock, &now);

	/* Not told as a step: while no agent looked, time has passed. */
	clock.base = now;
	clock.base.wall_ms = seen_s * 1000 > latest ? seen_s * 1000 : latest;
	tell_behind(&clock, clock.base.wall_ms - now.wall_ms);
	phial_clock_save(&clock);
	*ret_clock = clock;
	return PHIAL_OK;
}
