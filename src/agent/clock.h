/* SPDX-License-Identifier: ISC */
/*
 * What time it is, for expiry: a time that never goes back while the agent runs, whatever is done
 * to the host's clock. A clock that is set back lengthens no secret's life; one that is set forward
 * shortens it. docs/expiry.md.
 */
#ifndef PHIAL_AGENT_CLOCK_H
#define PHIAL_AGENT_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include <phial/error.h>

/* In the state directory: the latest time seen, in seconds since 1970. */
#define PHIAL_CLOCK_FILE "clock"

/* Two clocks at one moment. */
struct phial_clock_point {
	int64_t wall_ms; /* since 1970 */
	int64_t boot_ms; /* since boot, CLOCK_BOOTTIME: suspend counts */
};

struct phial_clock {
	/* It was so late, or later, at that moment; since then boot time counts. */
	struct phial_clock_point base;
	int64_t floor_s; /* when the newest file of the store was made: it is at least this late */
	int state_fd;	 /* the caller's */
	int alarm_fd;	 /* readable when the alarm has come */
	int change_fd;	 /* readable when the host's clock was set */
	int64_t alarm_boot_ms; /* -1: none */
	int64_t saved_ms;      /* when the file was written last, of boot time */
	bool is_behind;	       /* the host's clock was late when it was looked at last */
};

/* The two clocks now. Does not block. See clock_gettime(2). */
struct phial_clock_point phial_clock_read(void);

/* The sooner of two times, of which a negative one is never. */
int64_t phial_clock_sooner(int64_t a_ms, int64_t b_ms);

/*
 * Begin: it is at least as late as the host's clock says, as began says (the agent's start, read by
 * the supervisor), and as the file of an earlier agent in the state directory; if that one cannot be
 * read, as the journals there were written last. state_fd: stays the caller's and open. ret_clock:
 * for as long as the process lives. Returns PHIAL_OK or PHIAL_SYSTEM. Writes to the disk; what fails
 * of that is logged.
 */
PHIAL_CHECKED enum phial_status phial_clock_open(int state_fd,
						 const struct phial_clock_point *began,
						 struct phial_clock *ret_clock,
						 struct phial_error *err);

/* How late it is, in seconds since 1970. Does not block. */
int64_t phial_clock_now_s(const struct phial_clock *clock);

/*
 * The same without what files of the store say about when they were made: what those are checked
 * against, so that they cannot move it.
 */
int64_t phial_clock_own_s(const struct phial_clock *clock);

/* By how much that is ahead of the host's clock, in seconds; 0 if it is not. */
int64_t phial_clock_ahead_s(const struct phial_clock *clock);

/* A verified file was made then: it is at least this late. seconds: since 1970. */
void phial_clock_raise(struct phial_clock *clock, int64_t seconds);

/*
 * At which boot time, in milliseconds, phial_clock_now_s() reaches a time, if nobody sets the clock.
 * seconds: since 1970. Now, or earlier, if it is past.
 */
int64_t phial_clock_boot_ms(const struct phial_clock *clock, int64_t seconds);

/*
 * Look at the host's clock and remember what it says: once in each turn of the loop. A step is
 * logged. Returns whether the clock was set since the last look. May write to the disk, once an hour
 * and after a step.
 */
bool phial_clock_look(struct phial_clock *clock);

/* Make the time of now durable, so that no later agent takes it for earlier. Logs what fails. */
void phial_clock_save(struct phial_clock *clock);

/*
 * Have alarm_fd readable at a boot time, in milliseconds, also after a suspend; -1: not at all. It
 * does not stay readable when it is set anew. See timerfd_create(2).
 */
void phial_clock_set_alarm(struct phial_clock *clock, int64_t boot_ms);

#endif
