/* SPDX-License-Identifier: ISC */
/*
 * `phial status` and `phial reload`: ask the agent of this host over its admin socket, and
 * print its document for people. What the agent says is its own; nothing is decided here.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/io.h"
#include "base/parse.h"
#include "base/text.h"
#include "cli/agent.h"
#include "cli/cli.h"
#include "cli/config.h"
#include "cli/format.h"
#include "host/container.h"
#include "wire/frame.h"
#include "wire/hook_protocol.h"

enum { STATUS_JSON, STATUS_RUN_DIR };
enum { RELOAD_RUN_DIR };

const struct phial_cli_option phial_cli_status_options[] = {
	[STATUS_JSON] = { "json", 0, false, NULL, "print the agent's document, with grades" },
	[STATUS_RUN_DIR] = PHIAL_CLI_RUN_DIR_OPTION,
	{ 0 },
};
const struct phial_cli_option phial_cli_reload_options[] = {
	[RELOAD_RUN_DIR] = PHIAL_CLI_RUN_DIR_OPTION,
	{ 0 },
};

/* Loading a large store takes a while. */
#define TIMEOUT_MS (120U * 1000)
/* A clock that is corrected goes back by less. */
#define CLOCK_SLACK_S	  60
#define REASONS_MAX_BYTES ((size_t)4096)

/* Ask, and read the whole document. ret_bytes: freed by the caller. */
static enum phial_status ask(const struct phial_cli_question *question, uint8_t **ret_bytes,
			     size_t *ret_length, struct phial_error *err)
{
	struct phial_admin_reply reply = { 0 };
	struct phial_frame frame = { 0 };
	phial_auto_free char *folder = NULL;
	phial_auto_free char *path = NULL;
	phial_auto_fd int fd = -1;
	phial_auto_fd int document_fd = memfd_create("phial-answer", MFD_CLOEXEC);
	const int fds[] = { document_fd, question->value_fd };

	if (document_fd < 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "memfd_create");
	}
	enum phial_status status = phial_cli_run_dir(question->run_dir, &folder, err);

	if (status == PHIAL_OK) {
		status = phial_cli_join_path(folder, PHIAL_ADMIN_SOCKET_NAME, &path, err);
	}
	if (status == PHIAL_OK) {
		status = phial_socket_connect(path, TIMEOUT_MS, &fd, err);
	}
	if (status == PHIAL_OK) {
		status =
			phial_frame_send(fd, question->request, question->payload, question->length,
					 fds, question->value_fd >= 0 ? 2 : 1, err);
	}
	if (status == PHIAL_OK) {
		status = phial_frame_receive(fd, &reply, sizeof(reply), &frame, err);
	}
	if (status == PHIAL_NO_AGENT) {
		return phial_fail_prefix(err, "start phiald, or see its log");
	}
	if (status == PHIAL_DENIED && geteuid() != 0) {
		return phial_fail_prefix(err, "only root may ask root's agent, use sudo; your own "
					      "would be phiald --user");
	}
	if (status == PHIAL_GONE) {
		return phial_fail(err, PHIAL_NO_AGENT, 0,
				  "the agent closed the connection: see its log");
	}
	if (status != PHIAL_OK) {
		return status;
	}
	phial_frame_close_fds(&frame);
	reply.text[sizeof(reply.text) - 1] = '\0';
	if (frame.type != PHIAL_ADMIN_REPLY || frame.length != sizeof(reply)) {
		return phial_fail(err, PHIAL_MALFORMED, 0,
				  "the agent's answer is not of this release: restart it");
	}
	if (reply.status != PHIAL_OK) {
		return phial_fail(err, (enum phial_status)reply.status, 0, "%s", reply.text);
	}
	if (lseek(document_fd, 0, SEEK_SET) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "lseek");
	}
	return phial_read_all(document_fd, PHIAL_ADMIN_DOCUMENT_MAX, ret_bytes, ret_length, err);
}

enum phial_status phial_cli_request(const struct phial_cli_question *question,
				    struct phial_json **ret_root, struct phial_error *err)
{
	phial_auto_free uint8_t *bytes = NULL;
	size_t length = 0;
	enum phial_status status = ask(question, &bytes, &length, err);

	return status == PHIAL_OK ? phial_json_parse(bytes, length, ret_root, err) : status;
}

enum phial_status phial_cli_ask_agent(const char *run_dir, enum phial_admin_frame request,
				      struct phial_json **ret_root, struct phial_error *err)
{
	const struct phial_cli_question question = { .run_dir = run_dir,
						     .request = request,
						     .value_fd = -1 };

	return phial_cli_request(&question, ret_root, err);
}

const char *phial_cli_text_of(const struct phial_json *object, const char *key,
			      const char *otherwise)
{
	const char *text = phial_json_string(phial_json_member(object, key));

	return text ? text : otherwise;
}

int64_t phial_cli_number_of(const struct phial_json *object, const char *key)
{
	int64_t number = 0;

	return phial_json_integer(phial_json_member(object, key), 0, INT64_C(1) << 53, &number)
		       ? number
		       : 0;
}

bool phial_cli_is_true(const struct phial_json *object, const char *key)
{
	bool flag = false;

	return phial_json_bool(phial_json_member(object, key), &flag) && flag;
}

/* Print the texts of an array, each on a line of its own. */
static void print_texts(const struct phial_json *array, const char *before)
{
	for (const struct phial_json *v = phial_json_first(array); v; v = phial_json_next(v)) {
		const char *text = phial_json_string(v);

		printf("%s", before);
		phial_cli_print_safe(stdout, text ? text : "?");
		printf("\n");
	}
}

/* The head is for keeping: phial audit verify --head. */
static void print_audit(const struct phial_json *audit)
{
	const struct phial_json *head = phial_json_member(audit, "head");
	const char *problem = phial_cli_text_of(audit, "problem", NULL);
	const struct phial_json *copy = phial_json_member(audit, "copy");
	int64_t copy_lost = phial_cli_number_of(copy, "lost");

	if (!audit) {
		return; /* an older agent's */
	}
	printf("audit:     head %" PRId64 ":%s\n", phial_cli_number_of(head, "seq"),
	       phial_cli_text_of(head, "hash", ""));
	if (problem) {
		if (phial_cli_is_true(audit, "drops")) {
			printf("PROBLEM:   secrets are released without an entry in the audit log "
			       "(%" PRId64 " missing): ",
			       phial_cli_number_of(audit, "lost"));
		} else {
			printf("PROBLEM:   releases are refused: ");
		}
		phial_cli_print_safe(stdout, problem);
		printf("\n");
	}
	if (copy_lost > 0) {
		printf("PROBLEM:   %" PRId64 " audit entr%s did not go to %s%s%s\n", copy_lost,
		       copy_lost == 1 ? "y" : "ies", phial_cli_text_of(copy, "to", "?"),
		       phial_cli_text_of(copy, "problem", NULL) ? ": " : "; now they do",
		       phial_cli_text_of(copy, "problem", ""));
	}
}

static void print_warnings(const struct phial_json *agent, const struct phial_json *store)
{
	const char *not_watched = phial_cli_text_of(store, "not_watched", NULL);
	const char *older = phial_cli_text_of(store, "older", NULL);
	int64_t ahead_s = phial_cli_number_of(agent, "clock_ahead_s");
	char span[PHIAL_DURATION_TEXT_BYTES];

	if (older) {
		printf("WARNING:   ");
		phial_cli_print_safe(stdout, older);
		printf("\n");
	}
	if (not_watched) {
		printf("WARNING:   the store is not watched: ");
		phial_cli_print_safe(stdout, not_watched);
		printf("; \"phial reload\" reads it\n");
	}
	if (ahead_s > CLOCK_SLACK_S) {
		phial_format_span(ahead_s, span);
		printf("WARNING:   the host's clock is %s behind what the agent has seen; secrets "
		       "expire by that (docs/expiry.md)\n",
		       span);
	}
}

static void print_metrics(const struct phial_json *metrics)
{
	const char *problem = phial_cli_text_of(metrics, "problem", NULL);

	if (problem) {
		printf("PROBLEM:   metrics are not written: ");
		phial_cli_print_safe(stdout, problem);
		printf("\n");
	}
}

static void print_agent(const struct phial_json *root)
{
	const struct phial_json *agent = phial_json_member(root, "agent");
	const struct phial_json *kernel = phial_json_member(root, "kernel");
	const struct phial_json *quota = phial_json_member(kernel, "key_quota");
	const struct phial_json *store = phial_json_member(root, "store");
	const char *problem = phial_cli_text_of(store, "problem", NULL);

	printf("agent:     version %s, %s\n", phial_cli_text_of(agent, "version", "?"),
	       phial_cli_text_of(agent, "host_key", "?"));
	printf("store:     %s, serials: recipients %" PRId64 ", signers %" PRId64
	       ", policy %" PRId64 ", read %s\n",
	       phial_cli_text_of(store, "path", "?"),
	       phial_cli_number_of(store, "recipients_serial"),
	       phial_cli_number_of(store, "signers_serial"),
	       phial_cli_number_of(store, "policy_serial"),
	       phial_cli_text_of(store, "read", "never"));
	printf("kernel:    secret pages: %s; keyring: %s; mount: %s\n",
	       phial_cli_text_of(kernel, "secret_pages", "?"),
	       phial_cli_text_of(kernel, "keyring", "?"), phial_cli_text_of(kernel, "mount", "?"));
	printf("keys:      %" PRId64 " of %" PRId64 ", %" PRId64 " of %" PRId64
	       " bytes (all of the agent's uid)\n",
	       phial_cli_number_of(quota, "keys_used"), phial_cli_number_of(quota, "keys_max"),
	       phial_cli_number_of(quota, "bytes_used"), phial_cli_number_of(quota, "bytes_max"));
	print_audit(phial_json_member(root, "audit"));
	print_metrics(phial_json_member(root, "metrics"));
	print_texts(phial_json_member(root, "weaker"), "WEAKER:    ");
	if (problem) {
		printf("PROBLEM:   ");
		phial_cli_print_safe(stdout, problem);
		printf("\n");
	}
	print_warnings(agent, store);
}

static void print_workload(const struct phial_json *workload)
{
	int64_t live = phial_cli_number_of(workload, "live");
	bool would_start = phial_cli_is_true(workload, "would_start");
	const struct phial_json *reasons = phial_json_member(workload, "reasons");

	printf("  %s: ", phial_cli_text_of(workload, "name", "?"));
	if (live > 0) {
		printf("RUNNING (%" PRId64 " container%s), %s", live, live == 1 ? "" : "s",
		       would_start ? "and a restart would work" : "but a restart would FAIL:");
	} else {
		printf("%s",
		       would_start ? "not running, would start" : "not running, would be REFUSED:");
	}
	if (would_start) {
		int64_t files = phial_cli_number_of(workload, "files");

		printf(" with %" PRId64 " file%s\n", files, files == 1 ? "" : "s");
	} else if (phial_json_count(reasons) == 0) {
		printf(" nothing matches\n");
	} else {
		printf("\n");
		print_texts(reasons, "    ");
	}
}

/* How bad is a workload? What runs and could not start again comes first. */
static int badness(const struct phial_json *workload)
{
	if (phial_cli_is_true(workload, "would_start")) {
		return 0;
	}
	return phial_cli_number_of(workload, "live") > 0 ? 2 : 1;
}

static void print_workloads(const struct phial_json *root)
{
	const struct phial_json *workloads = phial_json_member(root, "workloads");

	printf("workloads: %zu\n", phial_json_count(workloads));
	for (int bad = 2; bad >= 0; bad--) {
		for (const struct phial_json *w = phial_json_first(workloads); w;
		     w = phial_json_next(w)) {
			if (badness(w) == bad) {
				print_workload(w);
			}
		}
	}
}

static void print_expiry(const struct phial_json *secret)
{
	const char *name = phial_cli_text_of(secret, "name", "?");
	char span[PHIAL_DURATION_TEXT_BYTES];
	int64_t left_s = 0;

	if (phial_json_integer(phial_json_member(secret, "expires_in_s"), 1, INT64_C(1) << 53,
			       &left_s)) {
		phial_format_span(left_s, span);
		printf("  %s: expires in %s (%s); seal it anew with \"phial seal %s\"\n", name,
		       span, phial_cli_text_of(secret, "expires", "?"), name);
	} else {
		printf("  %s: has expired for a workload at least (ttl); seal it anew with \"phial "
		       "seal %s\"\n",
		       name, name);
	}
}

static void print_secret(const struct phial_json *secret)
{
	const char *state = phial_cli_text_of(secret, "state", "?");

	if (phial_cli_is_true(secret, "warn")) {
		print_expiry(secret);
	}
	if (strcmp(state, "loaded") == 0) {
		return;
	}
	printf("  %s: %s", phial_cli_text_of(secret, "name", "?"), state);
	if (phial_cli_number_of(secret, "file_version") > 0) {
		printf(" v%" PRId64, phial_cli_number_of(secret, "file_version"));
	}
	printf(" (");
	phial_cli_print_safe(stdout, phial_cli_text_of(secret, "reason", "?"));
	printf(")");
	if (phial_cli_is_true(secret, "in_keyring")) {
		printf(", v%" PRId64 " stays loaded", phial_cli_number_of(secret, "version"));
	}
	printf("\n");
}

/* Counts, and a line for each secret that is not simply loaded. */
static void print_secrets(const struct phial_json *root)
{
	const struct phial_json *secrets = phial_json_member(root, "secrets");
	const struct phial_json *files = phial_json_member(root, "bad_files");
	size_t loaded = 0;
	size_t refused = phial_json_count(files);
	size_t foreign = 0;

	for (const struct phial_json *s = phial_json_first(secrets); s; s = phial_json_next(s)) {
		const char *state = phial_cli_text_of(s, "state", "");

		loaded += phial_cli_is_true(s, "in_keyring");
		refused += strcmp(state, "refused") == 0;
		foreign += strcmp(state, "not for this host") == 0;
	}
	printf("secrets:   %zu loaded, %zu refused", loaded, refused);
	if (foreign > 0) {
		printf(", %zu not for this host", foreign);
	}
	printf("\n");
	print_texts(files, "  ");
	for (const struct phial_json *s = phial_json_first(secrets); s; s = phial_json_next(s)) {
		print_secret(s);
	}
}

/* Engines name containers by 64 digits and show 12 of them; a name given by hand is shown whole. */
#define ENGINE_ID_BYTES ((size_t)64)

void phial_cli_format_id(const struct phial_json *container, char ret_text[PHIAL_CLI_ID_BYTES])
{
	const char *id = phial_cli_text_of(container, "id", "?");
	bool is_hash =
		strspn(id, "0123456789abcdef") == ENGINE_ID_BYTES && id[ENGINE_ID_BYTES] == '\0';

	(void)snprintf(ret_text, PHIAL_CLI_ID_BYTES, "%.*s", is_hash ? 12 : INT_MAX, id);
}

enum phial_grade phial_cli_grade(const struct phial_json *container, struct phial_text *reasons)
{
	struct phial_container_facts facts = { .is_known = false };
	struct phial_error err = { .status = PHIAL_OK };
	const char *target = phial_cli_text_of(container, "target", "");
	int64_t pid = phial_cli_number_of(container, "pid");

	if (strcmp(phial_cli_text_of(container, "state", ""), "starting") == 0) {
		phial_text_add(reasons, "it is being started\n");
	} else if (pid <= 1 || pid > INT32_MAX) {
		phial_text_add(reasons, "its process is not known\n");
	} else if (phial_container_look((pid_t)pid, target, &facts, &err) == PHIAL_NOT_FOUND) {
		/* The agent wipes a second after the end. */
		phial_text_add(reasons, "its process has ended\n");
	} else if (err.status != PHIAL_OK) {
		phial_text_add(reasons, "%s\n", err.text);
	}
	facts.has_weak_release = phial_json_count(phial_json_member(container, "weak")) > 0;
	return phial_container_grade(&facts, reasons);
}

/* What is not as it was at the start, or not as it should be. */
static void print_changes(const struct phial_json *container)
{
	const struct phial_json *removed = phial_json_member(container, "removed");
	const char *problem = phial_cli_text_of(container, "problem", NULL);

	for (const struct phial_json *r = phial_json_first(removed); r; r = phial_json_next(r)) {
		printf("    %s removed\n", phial_json_string(r));
	}
	if (phial_cli_is_true(container, "old_generation")) {
		printf("    grace: the files before the last rotation stay so long, and a newer "
		       "version waits for their end\n");
	}
	if (problem) {
		printf("    keeps what it has: ");
		phial_cli_print_safe(stdout, problem);
		printf("\n");
	}
}

static void print_container(const struct phial_json *container)
{
	const struct phial_json *secrets = phial_json_member(container, "secrets");
	phial_auto_text struct phial_text reasons = { .max = REASONS_MAX_BYTES };
	enum phial_grade grade = phial_cli_grade(container, &reasons);
	char id[PHIAL_CLI_ID_BYTES];
	char *rest = reasons.bytes;

	phial_cli_format_id(container, id);
	printf("  %s: %s, %s, pid %" PRId64 ", ", id, phial_cli_text_of(container, "workload", "?"),
	       phial_grade_text(grade), phial_cli_number_of(container, "pid"));
	phial_cli_print_safe(stdout, phial_cli_text_of(container, "target", "?"));
	printf(" (%s), %s since %s\n", phial_cli_text_of(container, "mount", "?"),
	       phial_cli_text_of(container, "state", "?"),
	       phial_cli_text_of(container, "started", "?"));
	for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
		if (*line != '\0') {
			printf("    %s: %s\n", phial_grade_text(grade), line);
		}
	}
	for (const struct phial_json *s = phial_json_first(secrets); s; s = phial_json_next(s)) {
		printf("    %s v%" PRId64 "\n", phial_cli_text_of(s, "name", "?"),
		       phial_cli_number_of(s, "version"));
	}
	print_changes(container);
}

static void print_containers(const struct phial_json *root)
{
	const struct phial_json *containers = phial_json_member(root, "containers");

	printf("containers: %zu\n", phial_json_count(containers));
	for (const struct phial_json *c = phial_json_first(containers); c; c = phial_json_next(c)) {
		print_container(c);
	}
}

void phial_cli_add_grade(struct phial_json *object, const struct phial_json *container)
{
	phial_auto_text struct phial_text reasons = { .max = REASONS_MAX_BYTES };
	enum phial_grade grade = phial_cli_grade(container, &reasons);
	char *rest = reasons.bytes;

	phial_json_add_string(object, "grade", phial_grade_text(grade));
	struct phial_json *why = phial_json_add_array(object, "why");

	for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
		if (*line != '\0') {
			phial_json_add_string(why, NULL, line);
		}
	}
}

/* The agent's container, and what this host says of it. */
static void add_container(struct phial_json *containers, const struct phial_json *container)
{
	struct phial_json *copy = phial_json_add_object(containers, NULL);

	for (const struct phial_json *m = phial_json_first(container); m; m = phial_json_next(m)) {
		phial_json_add_copy(copy, phial_json_key(m), m);
	}
	phial_cli_add_grade(copy, container);
}

/* The agent sees no /proc: the grades of containers are added here. */
static enum phial_status print_document(const struct phial_json *root, struct phial_error *err)
{
	phial_auto_json struct phial_json *document = phial_json_new_object();

	for (const struct phial_json *m = phial_json_first(root); m; m = phial_json_next(m)) {
		if (strcmp(phial_json_key(m), "containers") != 0) {
			phial_json_add_copy(document, phial_json_key(m), m);
			continue;
		}
		struct phial_json *containers = phial_json_add_array(document, "containers");

		for (const struct phial_json *c = phial_json_first(m); c; c = phial_json_next(c)) {
			add_container(containers, c);
		}
	}
	return phial_cli_print_json(document, err);
}

/* First, and loud: what runs on values that no store has. */
static void print_overrides(const struct phial_json *root)
{
	const struct phial_json *secrets = phial_json_member(root, "secrets");

	for (const struct phial_json *s = phial_json_first(secrets); s; s = phial_json_next(s)) {
		const char *until = phial_cli_text_of(s, "override_until", NULL);
		const char *reason = phial_cli_text_of(s, "override_reason", "");

		if (!until) {
			continue;
		}
		printf("OVERRIDE until %s: %s v%" PRId64, until, phial_cli_text_of(s, "name", "?"),
		       phial_cli_number_of(s, "version"));
		printf(" was given by hand%s", reason[0] != '\0' ? ": " : "");
		phial_cli_print_safe(stdout, reason);
		printf("\n");
	}
}

enum phial_status phial_cli_status(const struct phial_cli_call *call, struct phial_error *err)
{
	phial_auto_json struct phial_json *root = NULL;
	enum phial_status status =
		phial_cli_ask_agent(call->values[STATUS_RUN_DIR], PHIAL_ADMIN_STATUS, &root, err);

	if (status != PHIAL_OK) {
		return status;
	}
	if (call->values[STATUS_JSON]) {
		return print_document(root, err);
	}
	print_overrides(root);
	print_workloads(root);
	print_secrets(root);
	print_containers(root);
	print_agent(root);
	return PHIAL_OK;
}

enum phial_status phial_cli_reload(const struct phial_cli_call *call, struct phial_error *err)
{
	phial_auto_json struct phial_json *root = NULL;
	enum phial_status status =
		phial_cli_ask_agent(call->values[RELOAD_RUN_DIR], PHIAL_ADMIN_RELOAD, &root, err);

	if (status == PHIAL_OK) {
		print_secrets(root);
	}
	return status;
}
