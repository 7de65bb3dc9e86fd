/* SPDX-License-Identifier: ISC */
/*
 * `phial doctor`: phial itself on this host: its programs, its files and who may change them, and
 * what its agent says. Opens no key: of the identity only owner and mode are looked at.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/parse.h"
#include "base/program.h"
#include "base/text.h"
#include "cli/agent.h"
#include "cli/config.h"
#include "cli/doctor.h"
#include "cli/format.h"
#include "store/trust.h"
#include "wire/hook_protocol.h"

#define CONFIG_FOLDER "/etc/phial"
#define TRUST_FILE    "/etc/phial/trust"
#define STORE_LINK    "/etc/phial/store"
#define IDENTITY_FILE "/var/lib/phial/identity"
#define STATE_FOLDER  "/var/lib/phial/state"
#define MARKS_FILE    "/var/lib/phial/state/marks"
#define RECORDS_FILE  "/var/lib/phial/state/containers"

/* No clock was right that showed an earlier time: this was written then. 2026-11-01. */
#define TIME_OF_WRITING_S INT64_C(1793491200)
/* The agent and this program look at the clock at slightly different times. */
#define CLOCK_SLACK_S 5

/* --- programs --------------------------------------------------------------------------------- */

struct program {
	const char *name;
	const char *folder; /* from this program's */
	const char *option; /* that makes it print its version */
};

static void check_version(struct phial_doctor *doctor, const char *path,
			  const struct program *program)
{
	const char *const command[] = { path, program->option, NULL };
	char how[PHIAL_SETUP_PATH_BYTES + 64];
	char line[128];

	/* Root must not run what others could have put there. */
	if (doctor->is_root && phial_doctor_is_loose(doctor, path, how, sizeof(how))) {
		phial_doctor_add(doctor, "install.version", PHIAL_CHECK_WARN,
				 "chown it to root and chmod go-w, or install phial elsewhere",
				 "%s: %s", program->name, how);
		return;
	}
	if (!phial_doctor_run(doctor, command, line, sizeof(line))) {
		phial_doctor_add(doctor, "install.version", PHIAL_CHECK_UNKNOWN,
				 "install phial again", "%s does not run", path);
		return;
	}
	const char *version = strrchr(line, ' ');
	bool is_equal = version && strcmp(version + 1, PHIAL_VERSION) == 0;

	phial_doctor_add(doctor, "install.version", is_equal ? PHIAL_CHECK_OK : PHIAL_CHECK_BAD,
			 is_equal ? NULL : "install all of phial from one release", "%s%s", line,
			 is_equal ? "" : ", but this phial is " PHIAL_VERSION);
}

static void check_programs(struct phial_doctor *doctor)
{
	/* What phial-runtime does not know, --version too, is for the runtime behind it. */
	static const struct program programs[] = {
		{ "phiald", "../sbin", "--version" },
		{ "phial-hook", "../libexec/phial", "--version" },
		{ "phial-runtime", "../libexec/phial", "--phial-version" },
		{ "phial-init", "../libexec/phial", "--version" },
	};

	for (size_t i = 0; i < PHIAL_COUNT(programs); i++) {
		char path[PHIAL_SETUP_PATH_BYTES];

		if (phial_program_find(programs[i].folder, programs[i].name, path)) {
			check_version(doctor, path, &programs[i]);
		}
	}
}

/* --- files ------------------------------------------------------------------------------------ */

enum { ROOTS_ALONE = 077, ROOTS_TO_WRITE = 022, OWN_USERS = 077 };

static const struct rule {
	const char *id;
	const char *path;
	mode_t forbidden; /* bits */
	bool is_of_user;  /* belongs to the worker's user, not to root */
	const char *fix;
	const char *missing; /* what follows */
} rules[] = {
	{ "files.config", CONFIG_FOLDER, ROOTS_TO_WRITE, false, "chown root and chmod 755 it",
	  "run phial setup" },
	{ "files.trust", TRUST_FILE, ROOTS_TO_WRITE, false, "chown root and chmod 644 it",
	  "run phial setup --trust RW... with the admin's key" },
	{ "files.identity", IDENTITY_FILE, ROOTS_ALONE, false, "chown root and chmod 400 it",
	  "run phial setup, or give the unit a credential phial-identity" },
	{ "files.state", STATE_FOLDER, OWN_USERS, true, "run phial setup again",
	  "run phial setup" },
};

static enum phial_check_state state_of_error(int os_error)
{
	return os_error == EACCES || os_error == EPERM ? PHIAL_CHECK_UNKNOWN : PHIAL_CHECK_WARN;
}

static void check_file(struct phial_doctor *doctor, const struct rule *rule)
{
	char full[PHIAL_SETUP_PATH_BYTES];
	struct stat status;

	if (phial_setup_path(&doctor->host, rule->path, full, NULL) != PHIAL_OK ||
	    lstat(full, &status) != 0) {
		enum phial_check_state state = state_of_error(errno);

		phial_doctor_add(doctor, rule->id, state,
				 state == PHIAL_CHECK_UNKNOWN ? "look as root" : rule->missing,
				 "%s: %s", rule->path, strerror(errno));
		return;
	}
	bool is_owner_wrong = rule->is_of_user ? status.st_uid == 0 : status.st_uid != 0;

	if (is_owner_wrong || (status.st_mode & rule->forbidden) != 0 || S_ISLNK(status.st_mode)) {
		phial_doctor_add(doctor, rule->id, PHIAL_CHECK_BAD, rule->fix,
				 "%s: mode %04o, owner uid %u%s", rule->path,
				 (unsigned int)status.st_mode & 07777, status.st_uid,
				 S_ISLNK(status.st_mode) ? ", a link" : "");
		return;
	}
	phial_doctor_add(doctor, rule->id, PHIAL_CHECK_OK, NULL, "%s: mode %04o, owner uid %u",
			 rule->path, (unsigned int)status.st_mode & 07777, status.st_uid);
}

static void check_pins(struct phial_doctor *doctor)
{
	phial_auto_free char *text = NULL;
	struct phial_error err = { .status = PHIAL_OK };
	struct phial_pins pins;

	if (phial_doctor_read(doctor, TRUST_FILE, &text, NULL) != PHIAL_OK) {
		return; /* files.trust has said so */
	}
	if (phial_pins_parse(text, strlen(text), &pins, &err) != PHIAL_OK) {
		phial_doctor_add(doctor, "trust.pins", PHIAL_CHECK_WARN,
				 "put it right: the agent refuses every store", TRUST_FILE ": %s",
				 err.text);
		return;
	}
	phial_doctor_add(doctor, "trust.pins", PHIAL_CHECK_OK, NULL, "%zu admin key%s pinned",
			 pins.count, pins.count == 1 ? "" : "s");
}

/* Made together with the marks: alone, they mean that the marks were there and are gone. */
static bool has_records(const struct phial_doctor *doctor)
{
	return phial_setup_exists(&doctor->host, RECORDS_FILE);
}

static void check_marks(struct phial_doctor *doctor)
{
	char full[PHIAL_SETUP_PATH_BYTES];
	struct stat status;

	if (phial_setup_path(&doctor->host, MARKS_FILE, full, NULL) != PHIAL_OK) {
		return;
	}
	if (lstat(full, &status) == 0) {
		phial_doctor_add(doctor, "files.marks", PHIAL_CHECK_OK, NULL,
				 MARKS_FILE ": older versions than seen are refused");
	} else if (state_of_error(errno) == PHIAL_CHECK_UNKNOWN) {
		phial_doctor_add(doctor, "files.marks", PHIAL_CHECK_UNKNOWN, "look as root",
				 MARKS_FILE ": %s", strerror(errno));
	} else if (has_records(doctor)) {
		phial_doctor_add(doctor, "files.marks", PHIAL_CHECK_BAD,
				 "bring the store up to date, then see \"Marks\" in docs/store.md",
				 MARKS_FILE " is gone: which versions were seen here is not known, "
					    "and phiald will not start");
	} else {
		phial_doctor_add(doctor, "files.marks", PHIAL_CHECK_WARN,
				 "start phiald; it makes them",
				 MARKS_FILE ": this host has seen nothing yet");
	}
}

static void check_store(struct phial_doctor *doctor)
{
	if (doctor->agent) {
		return; /* it has one, wherever that is: agent.store says */
	}
	bool is_there = phial_setup_exists(&doctor->host, STORE_LINK "/.phial/recipients");

	phial_doctor_add(doctor, "files.store", is_there ? PHIAL_CHECK_OK : PHIAL_CHECK_WARN,
			 is_there ? NULL : "put the store there, or run phial setup --store DIR",
			 is_there ? STORE_LINK " is a store" : STORE_LINK " is no store");
}

static void check_run_dir(struct phial_doctor *doctor)
{
	struct stat status;

	if (lstat(doctor->run_dir, &status) != 0) {
		phial_doctor_add(doctor, "files.run_dir", state_of_error(errno), "start phiald",
				 "%s: %s", doctor->run_dir, strerror(errno));
		return;
	}
	bool is_bad = !S_ISDIR(status.st_mode) || (status.st_mode & 077) != 0 ||
		      (status.st_uid != 0 && status.st_uid != geteuid());

	phial_doctor_add(doctor, "files.run_dir", is_bad ? PHIAL_CHECK_BAD : PHIAL_CHECK_OK,
			 is_bad ? "stop phiald, remove it, and start phiald" : NULL,
			 "%s: mode %04o, owner uid %u", doctor->run_dir,
			 (unsigned int)status.st_mode & 07777, status.st_uid);
}

/* Of a user's own agent: one file, and its place is the user's. */
static void check_own_identity(struct phial_doctor *doctor)
{
	phial_auto_free char *path = NULL;
	struct stat status;

	if (phial_cli_config_path("identity", &path, NULL) != PHIAL_OK ||
	    lstat(path, &status) != 0) {
		return; /* it may be a credential, or elsewhere: the agent has one */
	}
	bool is_bad = status.st_uid != geteuid() || (status.st_mode & 077) != 0;

	phial_doctor_add(doctor, "files.identity", is_bad ? PHIAL_CHECK_BAD : PHIAL_CHECK_OK,
			 is_bad ? "chown it to yourself and chmod 600 it" : NULL,
			 "%s: mode %04o, owner uid %u", path, (unsigned int)status.st_mode & 07777,
			 status.st_uid);
}

static void check_host_files(struct phial_doctor *doctor)
{
	for (size_t i = 0; i < PHIAL_COUNT(rules); i++) {
		check_file(doctor, &rules[i]);
	}
	check_pins(doctor);
	check_store(doctor);
	check_marks(doctor);
}

void phial_doctor_install(struct phial_doctor *doctor)
{
	/* An image has neither a run directory nor, perhaps, the processor of its programs. */
	if (doctor->host.root[0] == '\0') {
		check_programs(doctor);
		check_run_dir(doctor);
	}
	if (doctor->is_own) {
		check_own_identity(doctor);
	} else {
		check_host_files(doctor);
	}
}

/* --- the agent -------------------------------------------------------------------------------- */

static void say_no_agent(struct phial_doctor *doctor)
{
	char path[PHIAL_SETUP_PATH_BYTES];
	bool is_closed = doctor->agent_status == PHIAL_DENIED && !doctor->is_root;
	int length = snprintf(path, sizeof(path), "%s/" PHIAL_WORKLOAD_DIR_NAME, doctor->run_dir);
	struct stat status;
	bool has_grants = length > 0 && (size_t)length < sizeof(path) && stat(path, &status) == 0 &&
			  status.st_nlink > 2;

	phial_doctor_add(doctor, "agent.up", is_closed ? PHIAL_CHECK_UNKNOWN : PHIAL_CHECK_WARN,
			 is_closed ? "look as root"
				   : "start phiald (systemctl start phiald), see its log",
			 "%s%s", doctor->agent_problem,
			 has_grants ? "; there are directories of workloads: containers that have "
				      "them mounted do not start"
				    : "");
}

static void check_clock(struct phial_doctor *doctor, const struct phial_json *agent)
{
	const char *text = phial_cli_text_of(agent, "now", "");
	int64_t agents_s = 0;
	int64_t own_s = phial_cli_now_s();

	if (own_s < TIME_OF_WRITING_S) {
		phial_doctor_add(doctor, "clock", PHIAL_CHECK_BAD, "set the clock",
				 "the clock is not set: expired secrets would be taken for good");
		return;
	}
	bool is_behind = phial_parse_time(phial_span_of(text), &agents_s) &&
			 agents_s > own_s + CLOCK_SLACK_S;

	phial_doctor_add(doctor, "clock", is_behind ? PHIAL_CHECK_WARN : PHIAL_CHECK_OK,
			 is_behind ? "set the clock" : NULL,
			 is_behind
				 ? "the clock was set back: the agent goes by the latest time that "
				   "it has seen, %s; if that was wrong, see docs/expiry.md"
				 : "set%s",
			 is_behind ? text : "");
}

static void check_agent_store(struct phial_doctor *doctor)
{
	const struct phial_json *store = phial_json_member(doctor->agent, "store");
	const char *problem = phial_cli_text_of(store, "problem", NULL);

	phial_doctor_add(doctor, "agent.store", problem ? PHIAL_CHECK_WARN : PHIAL_CHECK_OK,
			 problem ? "put it right, and run phial reload" : NULL, "%s%s%s",
			 phial_cli_text_of(store, "path", "?"), problem ? ": " : " was read",
			 problem ? problem : "");
}

static void check_secrets(struct phial_doctor *doctor)
{
	const struct phial_json *secrets = phial_json_member(doctor->agent, "secrets");
	phial_auto_text struct phial_text names = { .max = 1024 };
	size_t refused = phial_json_count(phial_json_member(doctor->agent, "bad_files"));
	size_t loaded = 0;

	for (const struct phial_json *s = phial_json_first(secrets); s; s = phial_json_next(s)) {
		loaded += phial_cli_is_true(s, "in_keyring");
		if (strcmp(phial_cli_text_of(s, "state", ""), "refused") == 0) {
			refused++;
			phial_text_add(&names, " %s", phial_cli_text_of(s, "name", "?"));
		}
	}
	phial_doctor_add(doctor, "agent.secrets", refused > 0 ? PHIAL_CHECK_WARN : PHIAL_CHECK_OK,
			 refused > 0 ? "phial status says why, of each" : NULL,
			 "%zu loaded, %zu refused%s%s", loaded, refused,
			 names.length > 0 ? ":" : "", names.bytes ? names.bytes : "");
}

static void check_workload(struct phial_doctor *doctor, const struct phial_json *workload)
{
	const struct phial_json *reasons = phial_json_member(workload, "reasons");
	phial_auto_text struct phial_text text = { .max = 4096 };
	char id[PHIAL_NAME_MAX_BYTES + 16];
	const char *name = phial_cli_text_of(workload, "name", "?");

	if (phial_cli_is_true(workload, "would_start")) {
		return;
	}
	for (const struct phial_json *r = phial_json_first(reasons); r; r = phial_json_next(r)) {
		const char *reason = phial_json_string(r);

		phial_text_add(&text, "%s%s", text.length > 0 ? "; " : "", reason ? reason : "?");
	}
	(void)snprintf(id, sizeof(id), "workload.%s", name);
	phial_doctor_add(doctor, id, PHIAL_CHECK_WARN, "as the reasons say, then phial reload",
			 "%" PRId64 " running, but the next start would be refused: %s",
			 phial_cli_number_of(workload, "live"), text.bytes ? text.bytes : "");
}

static void check_audit(struct phial_doctor *doctor)
{
	const struct phial_json *audit = phial_json_member(doctor->agent, "audit");
	const struct phial_json *copy = phial_json_member(audit, "copy");
	const char *problem = phial_cli_text_of(audit, "problem", NULL);
	int64_t lost = phial_cli_number_of(copy, "lost");
	bool drops = phial_cli_is_true(audit, "drops");

	if (problem) {
		phial_doctor_add(doctor, "agent.audit", drops ? PHIAL_CHECK_BAD : PHIAL_CHECK_WARN,
				 "make room, or repair what it says; phial audit verify checks the "
				 "log",
				 "the audit log cannot be written, %s: %s",
				 drops ? "secrets are released without an entry"
				       : "no container gets secrets",
				 problem);
	}
	if (lost > 0) {
		phial_doctor_add(doctor, "agent.audit-copy", PHIAL_CHECK_WARN,
				 "see that a syslog listens there, then restart the agent",
				 "%" PRId64 " audit entr%s did not go to %s", lost,
				 lost == 1 ? "y" : "ies", phial_cli_text_of(copy, "to", "?"));
	}
}

void phial_doctor_agent(struct phial_doctor *doctor)
{
	const struct phial_json *agent = phial_json_member(doctor->agent, "agent");
	const struct phial_json *weaker = phial_json_member(doctor->agent, "weaker");
	const struct phial_json *workloads = phial_json_member(doctor->agent, "workloads");
	const char *version = phial_cli_text_of(agent, "version", "?");

	check_clock(doctor, agent);
	if (!doctor->agent) {
		say_no_agent(doctor);
		return;
	}
	bool is_equal = strcmp(version, PHIAL_VERSION) == 0;

	phial_doctor_add(doctor, "agent.up", is_equal ? PHIAL_CHECK_OK : PHIAL_CHECK_WARN,
			 is_equal ? NULL : "restart it (systemctl restart phiald)", "version %s%s",
			 version, is_equal ? "" : ", this phial is " PHIAL_VERSION);
	check_agent_store(doctor);
	check_secrets(doctor);
	check_audit(doctor);
	for (const struct phial_json *w = phial_json_first(weaker); w; w = phial_json_next(w)) {
		const char *text = phial_json_string(w);

		phial_doctor_add(doctor, "agent.weaker", PHIAL_CHECK_WARN, NULL, "%s",
				 text ? text : "?");
	}
	for (const struct phial_json *w = phial_json_first(workloads); w; w = phial_json_next(w)) {
		check_workload(doctor, w);
	}
}
