/* SPDX-License-Identifier: ISC */
/*
 * The life of one secret in one container (docs/life.md): a start, rotations, expiry, revocation,
 * the end of keep, the container's end, and every process of the agent killed at any moment.
 * tests/model/life.sh checks each claim below with spin(1), and that the model without any one of
 * its safeguards (the lines marked GUARD) breaks one of them.
 *
 * The secret has version 1, and perhaps 2 later. A version number stands for its bytes, 0 for
 * none.
 */

mtype = { ASKING, RUNNING, ENDED };		/* the container */
mtype = { IDLE, AUDITING, WORKING };		/* the worker's step for it */
mtype = { NOTHING, FILL, REMOVE, WIPE_OLD, WIPE };	/* a filler's job */
mtype = { NEVER, TICKING, OVER };		/* the grace time of an old generation */
mtype = { OPEN, DURABLE, DONE, FAILED };	/* an answer that is awaited */

/* --- the world ---------------------------------------------------------------------------- */
mtype container = ASKING;
byte stored = 1;	/* the version that the agent has loaded */
byte revoked;		/* versions up to this; durable */
bit expired1, expired2;
bit keep_over;		/* its time is over, it was read, or the container is ready; durable */
byte failures = 1;	/* how many audit entries or jobs may still fail */

#define expired(v) (((v) == 1 && expired1) || ((v) == 2 && expired2))
#define forbidden(v) ((v) != 0 && ((v) <= revoked || expired(v)))

/* --- the mount: generations ----------------------------------------------------------------- */
byte present;		/* behind ..data */
byte old;		/* the generation before */
byte half;		/* one that is being written, or that a killed filler left behind */

#define holds(v) (present == (v) || old == (v) || half == (v))
#define holds_any (present != 0 || old != 0 || half != 0)

/* --- durable: the record ---------------------------------------------------------------------- */
bit committed;		/* the container was started */
byte has;		/* what it has */
byte becomes;		/* what a job gives it beside that; 0 once its end is known */

/* --- the supervisor and its fillers ------------------------------------------------------------- */
bit supervisor = 1;
bit holding;		/* it has the mount */
mtype job = NOTHING;
byte job_version;
bit job_is_known = 1;	/* the worker that asked for it still lives */
mtype job_result = OPEN;

/* --- the worker; all of it is lost when it dies ----------------------------------------------------- */
bit worker = 1;
mtype step = IDLE;
mtype audit = OPEN;
mtype goal = NOTHING;
byte next;
mtype grace = NEVER;
byte before;		/* what the old generation holds, as far as it knows */
bit is_unknown;		/* another worker made the old generation, so it may hold anything */
bit urgent;		/* the old generation must not stay for its grace time */
bit has_failed;		/* the last step did */
bit is_started;		/* it has begun with the start */

inline forget() {
	step = IDLE; audit = OPEN; goal = NOTHING; next = 0; grace = NEVER; before = 0;
	is_unknown = 0; urgent = 0; has_failed = 0; job_result = OPEN; job_is_known = (job == NOTHING)
}

inline ask(type, version) {
	assert(job == NOTHING);						/* CLAIM one_job */
	job = type; job_version = version; job_is_known = 1; job_result = OPEN;
	goal = type; step = WORKING
}

/* The hook of a container that has not started yet is told no, and so is its engine. */
inline refuse() {
	container = ENDED; step = IDLE
}

#define is_free (worker && supervisor && step == IDLE && job == NOTHING)
#define looks_at (is_free && holding && committed && container == RUNNING)
#define must_go (forbidden(has) || forbidden(becomes) || (keep_over && (has != 0 || becomes != 0)))
#define is_new (stored != has || becomes != 0)
#define may_get(v) (!forbidden(v) && !keep_over)			/* GUARD what keep took stays away */
#define offers (is_new && may_get(stored))
/* A newer version takes its place at once, unless that was tried and failed. */
#define is_replaced (offers && stored != has && !has_failed)

active proctype Worker()
{
	do
	/* A start: judged, written to the audit log, filled, committed. */
	:: atomic { is_free && container == ASKING && !is_started ->
		is_started = 1;
		if
		:: forbidden(stored) -> refuse()
		:: else -> next = stored; goal = FILL; step = AUDITING
		fi }
	:: atomic { worker && step == AUDITING && audit == FAILED ->
		audit = OPEN; has_failed = 1;
		if
		:: container == ASKING -> refuse()
		:: else -> step = IDLE
		fi }
	:: atomic { worker && supervisor && step == AUDITING &&
		    audit == DURABLE && job == NOTHING ->		/* GUARD audited first */
		assert(audit == DURABLE);				/* CLAIM audited_first */
		audit = OPEN;
		if
		:: !may_get(next) || container == ENDED ->		/* GUARD compared once more */
			if
			:: container == ASKING -> refuse()
			:: else -> step = IDLE
			fi
		:: else ->
			assert(!forbidden(next) && !keep_over);		/* CLAIM never_given */
			assert(becomes == 0 || becomes == next);		/* CLAIM nothing_forgotten */
			becomes = next;					/* GUARD marked before the job */
			holding = (holding || container == ASKING);
			ask(FILL, next)
		fi }
	:: atomic { worker && step == WORKING && job_result == FAILED ->
		job_result = OPEN; has_failed = 1; step = IDLE;
		if
		:: container == ASKING -> refuse()
		:: else		/* a job before it, of a dead worker, may have been done: becomes stays */
		fi }
	:: atomic { worker && step == WORKING && job_result == DONE && container == ASKING ->
		job_result = OPEN; step = IDLE; has = next; becomes = 0; committed = 1;
		assert(present == has);					/* CLAIM whole_at_start */
		container = RUNNING }

	/* The comparison. What must go comes first. */
	:: atomic { looks_at && must_go && !is_replaced ->		/* GUARD what must go goes */
		ask(REMOVE, 0) }
	:: atomic { looks_at && offers && (!must_go || is_replaced) &&
		    (grace != TICKING || must_go) ->
		urgent = must_go; next = stored; goal = FILL; step = AUDITING }
	:: atomic { looks_at && !must_go && !offers && grace == OVER ->		/* GUARD wiped after its grace */
		ask(WIPE_OLD, 0) }

	/* The end of a job. */
	:: atomic { worker && step == WORKING && job_result == DONE && container != ASKING ->
		job_result = OPEN; step = IDLE; has_failed = 0;
		if
		:: goal == FILL ->
			before = has; has = next; becomes = 0;
			is_unknown = 0; grace = TICKING;
			if
			:: urgent || forbidden(before) -> grace = OVER	/* GUARD no grace for it */
			:: else
			fi
		:: goal == REMOVE ->
			has = 0; becomes = 0; before = 0
		:: goal == WIPE_OLD -> grace = NEVER; before = 0; is_unknown = 0
		fi }
	od
}

/* The audit log answers each request; now and then it cannot. */
active proctype Auditor()
{
	do
	:: atomic { worker && step == AUDITING && audit == OPEN -> audit = DURABLE }
	:: atomic { worker && step == AUDITING && audit == OPEN && failures > 0 ->
		failures--; audit = FAILED }
	od
}

/* Its children die with the supervisor; they live on when the worker dies. */
inline end_job(result) {
	if
	:: job_is_known -> job_result = result
	:: else
	fi;
	job = NOTHING; job_version = 0; job_is_known = 1
}

active proctype Filler()
{
	do
	/* What another one left is wiped first; then files behind no link, then the swap. */
	:: atomic { job == FILL && half != job_version ->
		old = 0; half = job_version }				/* GUARD present stays */
	:: atomic { job == FILL && half == job_version ->
		old = present; present = half; half = 0; end_job(DONE) }
	:: atomic { job == FILL && failures > 0 ->
		failures--;
		half = 0;
		end_job(FAILED) }
	/* The link goes first, then the files of every generation. */
	:: atomic { job == REMOVE && present != 0 -> present = 0 }
	:: atomic { job == REMOVE && present == 0 ->
		old = 0;						/* GUARD in every generation */
		half = 0; end_job(DONE) }
	:: atomic { job == WIPE_OLD -> old = 0; half = 0; end_job(DONE) }
	:: atomic { job == WIPE ->
		present = 0; old = 0; half = 0; holding = 0; committed = 0; has = 0; becomes = 0;
		end_job(DONE) }
	od
}

active proctype Supervisor()
{
	do
	/* A container has ended, or never started: the mount is wiped while it is still held. */
	:: atomic { supervisor && holding &&
		    container == ENDED && job == NOTHING ->		/* GUARD wiped at the end */
		job = WIPE; job_is_known = 0 }
	/* The next worker takes over; what the one before knew of an old generation is lost. */
	:: atomic { supervisor && !worker ->
		worker = 1;
		if
		:: committed -> is_unknown = 1;
			grace = TICKING					/* GUARD grace starts anew */
		:: else
		fi }
	/* The next supervisor takes the mounts of those that still run, and forgets the others. */
	:: atomic { !supervisor -> supervisor = 1 }
	:: atomic { supervisor && worker && committed &&
		    !holding && container == RUNNING ->			/* GUARD re-attached */
		holding = 1 }
	:: atomic { supervisor && worker && committed && !holding && container == ENDED ->
		committed = 0; has = 0; becomes = 0 }
	od
}

/* A file system that nobody has any more is gone, as ramfs and tmpfs are. */
active proctype Kernel()
{
	do
	:: atomic { container == ENDED && !holding && job == NOTHING && holds_any ->
		present = 0; old = 0; half = 0 }
	od
}

/* --- what may happen, in any order, and at any moment nothing any more ------------------------------- */
inline kill_worker() {
	worker = 0;
	if
	:: container == ASKING && is_started -> container = ENDED
	:: else
	fi;
	forget()
}

/* A version has become forbidden: an old generation with it does not have its grace time. */
inline cut_grace() {
	if
	:: grace == TICKING && forbidden(before) -> grace = OVER	/* GUARD grace is cut short */
	:: else
	fi
}

active proctype World()
{
	byte kills = 2;

	do
	:: stored == 1 -> stored = 2
	:: atomic { worker && revoked == 0 -> revoked = 1; cut_grace() }
	:: atomic { worker && revoked < 2 && stored == 2 -> revoked = 2; cut_grace() }
	:: atomic { !expired1 -> expired1 = 1; cut_grace() }
	:: atomic { !expired2 -> expired2 = 1; cut_grace() }
	:: atomic { !keep_over && committed -> keep_over = 1 }
	:: atomic { container == RUNNING -> container = ENDED }
	:: atomic { worker && grace == TICKING -> grace = OVER }
	:: atomic { worker && kills > 0 -> kills--; kill_worker() }
	:: atomic { supervisor && kills > 0 ->
		kills--; supervisor = 0; holding = 0; job = NOTHING; job_version = 0; kill_worker() }
	:: break
	od
}

/* --- the claims -------------------------------------------------------------------------------------- */

/*
 * When nothing is left to do for anybody, the secret is where it may be and nowhere else. Only a
 * worker that does not know what the old generation holds, since another one made it, lets it stay
 * until the grace time is over.
 */
#define has_left(v) (present != (v) && ((old != (v) && half != (v)) || (is_unknown && grace == TICKING)))

active proctype AtRest()
{
	timeout;
	assert(container != ENDED || !holds_any);		/* CLAIM after_exit */
	assert(revoked < 1 || has_left(1));			/* CLAIM after_revocation */
	assert(revoked < 2 || has_left(2));			/* CLAIM after_revocation */
	assert(!expired1 || has_left(1));			/* CLAIM after_expiry */
	assert(!expired2 || has_left(2));			/* CLAIM after_expiry */
	assert(!keep_over || !holds_any || (present == 0 && is_unknown && grace == TICKING)); /* CLAIM after_keep */
	assert((old == 0 && half == 0) || grace == TICKING);	/* CLAIM one_generation */
	assert(container != RUNNING || forbidden(stored) || keep_over || grace == TICKING ||
	       present == stored)				/* CLAIM newest_arrives */
}

/* A container whose secret nobody forbids has it in every moment, whoever is killed. */
ltl never_without { [] ((container == RUNNING && revoked == 0 && !expired1 && !expired2 &&
	!keep_over) -> present != 0) }

/* Nobody works for ever: each run comes to where AtRest judges it. */
ltl comes_to_rest { <> [] (step == IDLE && job == NOTHING) }
