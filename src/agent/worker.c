/* SPDX-License-Identifier: ISC */
/*
 * The worker's life: take up what an earlier one left, then wait for the supervisor's events and
 * for clients. What requests mean is request.c's, what the store says is load.c's.
 */
#include "agent/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/expiry.h"
#include "agent/init_door.h"
#include "agent/link.h"
#include "agent/live.h"
#include "agent/log.h"
#include "agent/reattach.h"
#include "agent/revocations.h"
#include "agent/turns.h"
#include "base/cleanup.h"
#include "base/secret.h"
#include "keyring/keyring.h"

/* The fixed places in the poll set; clients follow. */
enum poll_slot {
	SLOT_EVENT,
	SLOT_ADMIN,
	SLOT_HOOK,
	SLOT_AUDIT,
	SLOT_ALARM,
	SLOT_CLOCK,
	SLOT_STORE,
	SLOT_CALLERS,
	SLOT_MOUNTERS = SLOT_CALLERS + 1 + PHIAL_CALLERS_MAX,
	SLOT_CLIENTS = SLOT_MOUNTERS + PHIAL_MOUNTERS_MAX, /* last: so many as there may be */
	SLOT_COUNT = SLOT_CLIENTS + PHIAL_CLIENTS_MAX,
};

static size_t slot_of(size_t client)
{
	return client < PHIAL_CLIENTS_MAX ? SLOT_CLIENTS + client
					  : SLOT_MOUNTERS + client - PHIAL_CLIENTS_MAX;
}

int64_t phial_worker_clock_ms(void)
{
	return phial_clock_read().boot_ms;
}

int64_t phial_worker_now_s(const struct phial_worker *worker)
{
	return phial_clock_now_s(&worker->clock);
}

/* --- start ------------------------------------------------------------------------------ */

static enum phial_status open_state(struct phial_worker *worker, struct phial_error *err)
{
	/* Records are made together with the marks: those alone mean that marks were removed. */
	struct stat records;
	bool is_first_start = fstatat(worker->start->state_fd, PHIAL_RECORDS_FILE, &records,
				      AT_SYMLINK_NOFOLLOW) != 0;
	/* Before anything is written there: the last time that somebody did says how late it is. */
	enum phial_status status = phial_clock_open(worker->start->state_fd, &worker->start->began,
						    &worker->clock, err);

	if (status == PHIAL_OK) {
		status = phial_marks_open(worker->start->state_fd, is_first_start, &worker->marks,
					  err);
	}
	if (status == PHIAL_OK) {
		status = phial_revocations_open(worker->start->state_fd, worker->marks,
						&worker->revocations, err);
	}
	if (status == PHIAL_OK) {
		status = phial_records_open(worker->start->state_fd, &worker->records, err);
	}
	return status == PHIAL_OK ? PHIAL_OK
				  : phial_fail_prefix(err, "state directory %s",
						      worker->start->options->state_dir);
}

static enum phial_status take_up_ring(struct phial_worker *worker, struct phial_error *err)
{
	phial_auto_secret struct phial_secret *scratch = NULL;
	enum phial_status status = phial_secret_new(PHIAL_KEY_PAYLOAD_MAX, &scratch, err);

	return status == PHIAL_OK
		       ? phial_index_from_ring(&worker->index, worker->start->ring, scratch, err)
		       : status;
}

void phial_worker_ask_store(struct phial_worker *worker)
{
	phial_link_tell(worker->start->call_fd, PHIAL_LINK_RELOAD, NULL, 0);
}

bool phial_worker_find_namespace(const struct phial_worker *worker,
				 const struct phial_record *record, uint64_t *ret_mount_namespace)
{
	const struct phial_link_process call = { .pid = record->pid,
						 .start_time = record->start_time };
	struct phial_link_answer answer = { .number = 0 };

	if (strcmp(record->boot_id, worker->start->boot_id) != 0 ||
	    phial_link_call(worker->start->call_fd, PHIAL_LINK_ALIVE, &call, sizeof(call), NULL,
			    &answer, NULL) != PHIAL_OK ||
	    answer.number != 1) {
		return false;
	}
	*ret_mount_namespace = answer.inode;
	return true;
}

bool phial_worker_record_is_alive(const struct phial_worker *worker,
				  const struct phial_record *record)
{
	uint64_t mount_namespace;

	return phial_worker_find_namespace(worker, record, &mount_namespace);
}

/* --- events of the supervisor ----------------------------------------------------------- */

/* Whether there is an old generation only the worker before this one knew. */
static void begin(struct phial_worker *worker, struct phial_record *record)
{
	const struct phial_life *life = phial_policy_life(&worker->policy, record->workload);

	record->live.grace_until_ms = phial_worker_clock_ms() + life->grace_ms;
	phial_live_begin(worker, record);
}

static void begin_held(struct phial_worker *worker)
{
	for (struct phial_record *r = phial_records_first(worker->records); r; r = r->next) {
		if (r->is_held && r->is_committed) {
			begin(worker, r);
		}
	}
}

static void on_store(struct phial_worker *worker, const struct phial_frame *frame)
{
	bool has_store = frame->fd_count == 2;
	bool is_first = !worker->is_loaded;

	phial_worker_load(worker, has_store ? frame->fds[0] : -1, has_store ? frame->fds[1] : -1);
	/* Before the answer: who asked for a reload finds the CDI file up to date. */
	phial_link_tell(worker->start->call_fd, PHIAL_LINK_LOADED, NULL, 0);
	if (is_first) {
		begin_held(worker);
	}
	phial_live_review(worker);
	/* The first store comes after all that the supervisor holds has been told. */
	phial_reattach_all(worker);
	phial_admin_on_loaded(worker);
}

void phial_worker_hold(struct phial_worker *worker, uint64_t number)
{
	const struct phial_link_container live = { .number = number };
	struct phial_record *record = phial_records_find(worker->records, number);

	if (record) {
		record->is_held = true;
	}
	if (record && record->is_committed) {
		if (worker->is_loaded) { /* else as soon as the policy is known */
			begin(worker, record);
		}
		return;
	}
	phial_link_tell(worker->start->call_fd, PHIAL_LINK_WIPE, &live, sizeof(live));
}

/* The supervisor wiped a mount and let go of it. */
static void on_exited(struct phial_worker *worker, uint64_t held)
{
	struct phial_record *record = phial_records_find(worker->records, held);

	for (size_t i = 0; i < PHIAL_COUNT(worker->clients); i++) {
		struct phial_client *client = &worker->clients[i];

		if (client->held == held && client->record) {
			client->state = PHIAL_CLIENT_HOOK_START; /* there is nothing to undo */
			phial_client_close(worker, client);
		}
	}
	if (record) {
		phial_log("container %s is gone, its secrets are wiped", record->container);
		phial_records_end(worker->records, record);
	}
}

static void on_told(const struct phial_worker *worker, const struct phial_link_told *told)
{
	const struct phial_record *record = phial_records_find(worker->records, told->number);
	const char *whom = told->process[0] != '\0' ? told->process : "its process";

	if (!record) {
		return;
	}
	if (told->status == PHIAL_OK) {
		phial_log("container %s: told %s of the new secrets (%u process%s)",
			  record->container, whom, told->count, told->count == 1 ? "" : "es");
	} else {
		phial_log("container %s: %u process%s told of the new secrets (%s): %s",
			  record->container, told->count, told->count == 1 ? "" : "es", whom,
			  told->text);
	}
}

union event_record {
	struct phial_link_container container;
	struct phial_link_result result;
	struct phial_link_told told;
	struct phial_link_read read;
};

static void run_event(struct phial_worker *worker, const struct phial_frame *frame,
		      union event_record *record)
{
	switch (frame->type) {
	case PHIAL_LINK_STORE:
		on_store(worker, frame);
		break;
	case PHIAL_LINK_MOVED:
		phial_watch_note(&worker->watch);
		break;
	case PHIAL_LINK_ACCEPT:
		worker->is_serving = true;
		break;
	case PHIAL_LINK_LIVE:
		phial_worker_hold(worker, record->container.number);
		break;
	case PHIAL_LINK_FILLED:
		phial_request_on_filled(worker, record->result.number,
					(enum phial_status)record->result.status,
					record->result.text);
		phial_live_on_done(worker, record->result.number,
				   (enum phial_status)record->result.status, record->result.text);
		break;
	case PHIAL_LINK_READ:
		record->read.file[sizeof(record->read.file) - 1] = '\0';
		phial_live_on_read(worker, record->read.number, record->read.file);
		break;
	case PHIAL_LINK_REATTACHED:
		record->result.text[sizeof(record->result.text) - 1] = '\0';
		phial_reattach_on_done(worker, &record->result);
		break;
	case PHIAL_LINK_EXITED:
		on_exited(worker, record->container.number);
		break;
	case PHIAL_LINK_TOLD:
		on_told(worker, &record->told);
		break;
	default:
		break;
	}
}

/* Returns false when the supervisor is gone. */
static bool on_event(struct phial_worker *worker)
{
	static union event_record record;
	struct phial_frame frame;

	if (phial_frame_receive(worker->start->event_fd, &record, sizeof(record), &frame, NULL) !=
	    PHIAL_OK) {
		return false;
	}
	run_event(worker, &frame, &record);
	phial_frame_close_fds(&frame);
	return true;
}

/* --- clients ---------------------------------------------------------------------------- */

struct phial_client *phial_worker_free_client(struct phial_worker *worker, size_t first,
					      size_t count)
{
	for (size_t i = first; i < first + count; i++) {
		if (worker->clients[i].state == PHIAL_CLIENT_FREE) {
			return &worker->clients[i];
		}
	}
	return NULL;
}

static void accept_client(struct phial_worker *worker, int listen_fd, enum phial_client_state state)
{
	struct phial_client *client = phial_turns_find_place(worker);
	uint32_t uid;
	int32_t pid;

	if (!client) {
		return;
	}
	int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0) {
		return;
	}
	/* The directory keeps others out; this is the second lock on the same door. */
	if (phial_peer_credentials(fd, &uid, &pid, NULL) != PHIAL_OK || uid != 0) {
		phial_log("refused a client of another user");
		close(fd);
		return;
	}
	client->fd = fd;
	client->state = state;
	client->number = ++worker->last_client;
	client->has_peer = true;
	client->peer_uid = uid;
	client->peer_pid = pid;
	client->deadline_ms = phial_worker_clock_ms() + PHIAL_CLIENT_DEADLINE_MS;
}

static void on_client(struct phial_worker *worker, struct phial_client *client)
{
	switch (client->state) {
	case PHIAL_CLIENT_ADMIN:
		phial_admin_on_frame(worker, client);
		break;
	case PHIAL_CLIENT_MOUNTER:
	case PHIAL_CLIENT_HOOK_START:
	case PHIAL_CLIENT_HOOK_MOUNT:
	case PHIAL_CLIENT_HOOK_ATTACHED:
		phial_request_on_frame(worker, client);
		break;
	case PHIAL_CLIENT_FREE:
		break;
	case PHIAL_CLIENT_ADMIN_RELOAD:
	case PHIAL_CLIENT_ADMIN_SETTLING:
	case PHIAL_CLIENT_HOOK_WAITING:
	case PHIAL_CLIENT_HOOK_FILLING: /* has nothing to say now: it hung up, or it is wrong */
		phial_client_close(worker, client);
	}
}

static void end_late_clients(struct phial_worker *worker)
{
	int64_t now_ms = phial_worker_clock_ms();

	for (size_t i = 0; i < PHIAL_COUNT(worker->clients); i++) {
		struct phial_client *client = &worker->clients[i];

		if (client->waiting && client->deadline_ms <= now_ms) {
			phial_turns_refuse(worker, client);
		} else if (client->state != PHIAL_CLIENT_FREE && client->deadline_ms <= now_ms) {
			phial_log("a client took too long; its request is dropped");
			phial_client_close(worker, client);
		}
	}
}

/* --- the loop --------------------------------------------------------------------------- */

/* The store has changed and is quiet again: have it sent. Returns when that will be, or -1. */
static int64_t read_store_if_due(struct phial_worker *worker)
{
	int64_t due_ms = phial_watch_due_ms(&worker->watch);

	if (due_ms < 0 || due_ms > phial_worker_clock_ms()) {
		return due_ms;
	}
	phial_watch_asked(&worker->watch);
	phial_worker_ask_store(worker);
	return -1;
}

/* May close clients. Returns at which boot time, in milliseconds, there will be more to do, or -1. */
static int64_t run_what_is_due(struct phial_worker *worker)
{
	if (phial_clock_look(&worker->clock)) {
		phial_expiry_find_lost_keys(worker);
		phial_expiry_review(worker);
	}
	int64_t due_ms = phial_clock_sooner(phial_admin_run(worker), read_store_if_due(worker));

	due_ms = phial_clock_sooner(due_ms, phial_expiry_run(worker));
	due_ms = phial_clock_sooner(due_ms, phial_reattach_run(worker));
	/* Last: those before it change what containers may have. */
	return phial_clock_sooner(due_ms, phial_live_run(worker));
}

/* Fill the poll set; slots of no interest get -1. Returns the time to the next deadline. */
static int prepare_poll(struct phial_worker *worker, struct pollfd set[static SLOT_COUNT])
{
	int64_t now_ms = phial_worker_clock_ms();
	int64_t wait_ms = -1;

	for (size_t i = 0; i < PHIAL_COUNT(worker->clients); i++) {
		const struct phial_client *client = &worker->clients[i];
		bool is_used = client->state != PHIAL_CLIENT_FREE;
		int64_t left_ms = client->deadline_ms > now_ms ? client->deadline_ms - now_ms : 0;

		set[slot_of(i)] = (struct pollfd){ is_used ? client->fd : -1, POLLIN, 0 };
		wait_ms = phial_clock_sooner(wait_ms, is_used ? left_ms : -1);
	}
	bool may_accept = worker->is_loaded && phial_turns_have_place(worker);

	set[SLOT_EVENT] = (struct pollfd){ worker->start->event_fd, POLLIN, 0 };
	set[SLOT_ADMIN] = (struct pollfd){ may_accept ? worker->start->admin_fd : -1, POLLIN, 0 };
	/* Hooks wait in the queue until the self-test has passed and the store is read. */
	set[SLOT_HOOK] =
		(struct pollfd){ may_accept && worker->is_serving ? worker->start->hook_fd : -1,
				 POLLIN, 0 };
	set[SLOT_AUDIT] = (struct pollfd){ worker->start->audit_fd, POLLIN, 0 };
	set[SLOT_ALARM] = (struct pollfd){ worker->clock.alarm_fd, POLLIN, 0 };
	set[SLOT_CLOCK] = (struct pollfd){ worker->clock.change_fd, POLLIN, 0 };
	set[SLOT_STORE] = (struct pollfd){ worker->watch.fd, POLLIN, 0 };
	phial_init_door_prepare(worker, worker->is_loaded && worker->is_serving, set + SLOT_CALLERS,
				&wait_ms);
	int64_t gap_ms = phial_audit_flush(worker);
	int64_t metrics_ms = phial_metrics_run(worker);

	return (int)phial_clock_sooner(phial_clock_sooner(wait_ms, gap_ms), metrics_ms);
}

static bool serve_once(struct phial_worker *worker)
{
	static struct pollfd set[SLOT_COUNT];

	/* What has a time of day has an alarm: poll(2)'s own time stands still in suspend. */
	phial_clock_set_alarm(&worker->clock, run_what_is_due(worker));
	int wait_ms = prepare_poll(worker, set);

	if (poll(set, SLOT_CLIENTS + worker->start->clients_max, wait_ms) < 0 && errno != EINTR) {
		phial_log("worker: poll: %s", strerror(errno));
		return false;
	}
	for (size_t i = 0; i < PHIAL_COUNT(worker->clients); i++) {
		if (set[slot_of(i)].revents != 0) {
			on_client(worker, &worker->clients[i]);
		}
	}
	end_late_clients(worker);
	if (set[SLOT_ADMIN].revents != 0) {
		accept_client(worker, worker->start->admin_fd, PHIAL_CLIENT_ADMIN);
	}
	if (set[SLOT_HOOK].revents != 0) {
		accept_client(worker, worker->start->hook_fd, PHIAL_CLIENT_HOOK_START);
	}
	phial_turns_serve(worker);
	phial_init_door_serve(worker, set + SLOT_CALLERS);
	if (set[SLOT_STORE].revents != 0) {
		phial_watch_on_events(&worker->watch);
	}
	/* Last: an answer or an event may close clients, whose revents above would then be stale. */
	return (set[SLOT_AUDIT].revents == 0 || phial_audit_on_answer(worker)) &&
	       (set[SLOT_EVENT].revents == 0 || on_event(worker));
}

static void report_fatal(const struct phial_worker *worker, const struct phial_error *err)
{
	struct phial_link_fatal call = { .status = err->status };

	memcpy(call.text, err->text, sizeof(call.text));
	phial_link_tell(worker->start->call_fd, PHIAL_LINK_FATAL, &call, sizeof(call));
}

enum phial_status phial_worker_run(const struct phial_worker_start *start)
{
	struct phial_error err = { .status = PHIAL_OK };
	struct phial_worker *worker = calloc(1, sizeof(*worker));

	if (!worker) {
		return PHIAL_SYSTEM;
	}
	worker->start = start;
	for (size_t i = 0; i < PHIAL_COUNT(worker->clients); i++) {
		worker->clients[i].fd = -1;
		worker->clients[i].document_fd = -1;
	}
	for (size_t i = 0; i < PHIAL_CALLERS_MAX; i++) {
		worker->callers[i].fd = -1;
		worker->callers[i].pidfd = -1;
	}
	phial_watch_open(&worker->watch);
	enum phial_status status = open_state(worker, &err);

	if (status == PHIAL_OK) {
		status = take_up_ring(worker, &err);
	}
	if (status != PHIAL_OK) {
		report_fatal(worker, &err);
		return status;
	}
	phial_admin_take_up(worker);
	phial_audit_note(worker, PHIAL_AUDIT_START,
			 start->restarts == 0 ? "the agent started" : "the worker started again");
	while (serve_once(worker)) {
	}
	return PHIAL_OK;
}
