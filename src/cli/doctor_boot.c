/* SPDX-License-Identifier: ISC */
/*
 * `phial doctor`: after a reboot, is the agent there before the engines start their containers?
 * Asks systemd; knows no other init system.
 */
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "cli/doctor.h"

#define UNIT "phiald.service"

/* Is a word in a list with blanks? */
static bool has_word(struct phial_span list, const char *word)
{
	struct phial_span item;

	while (phial_next_word(&list, &item)) {
		if (phial_span_is(item, word)) {
			return true;
		}
	}
	return false;
}

/* What `systemctl show` says of one unit; blocks of units have an empty line between them. */
struct unit {
	char id[64];
	bool is_there;
	bool is_after_agent;
};

static bool next_unit(struct phial_span *rest, struct unit *ret_unit)
{
	struct unit unit = { .id = "" };
	struct phial_span line;

	while (phial_next_line(rest, &line, NULL) && line.length > 0) {
		if (phial_span_skip(&line, "Id=")) {
			(void)phial_span_copy(line, unit.id, sizeof(unit.id));
		} else if (phial_span_skip(&line, "LoadState=")) {
			unit.is_there = phial_span_is(line, "loaded");
		} else if (phial_span_skip(&line, "After=")) {
			unit.is_after_agent = has_word(line, UNIT);
		}
	}
	*ret_unit = unit;
	return unit.id[0] != '\0';
}

static void check_order(struct phial_doctor *doctor, const char *systemctl)
{
	const char *const command[] = { systemctl,
					"show",
					"--property=Id,LoadState,After",
					"docker.service",
					"containerd.service",
					"podman.service",
					"podman-restart.service",
					"crio.service",
					NULL };
	phial_auto_free char *text = NULL;
	struct unit unit;
	size_t good = 0;
	size_t bad = 0;

	if (!phial_doctor_run_all(doctor, command, &text)) {
		phial_doctor_add(doctor, "boot.order", PHIAL_CHECK_UNKNOWN, NULL,
				 "systemctl show did not answer");
		return;
	}
	struct phial_span rest = phial_span_of(text);

	while (next_unit(&rest, &unit)) {
		good += unit.is_there && unit.is_after_agent;
		if (unit.is_there && !unit.is_after_agent) {
			bad++;
			phial_doctor_add(doctor, "boot.order", PHIAL_CHECK_WARN,
					 "install phial's unit again, and systemctl daemon-reload",
					 "%s starts without waiting for the agent", unit.id);
		}
	}
	if (bad == 0) {
		phial_doctor_add(doctor, "boot.order", PHIAL_CHECK_OK, NULL,
				 "the agent comes before %zu unit%s of engines", good,
				 good == 1 ? "" : "s");
	}
}

void phial_doctor_boot(struct phial_doctor *doctor)
{
	char systemctl[PHIAL_SETUP_PATH_BYTES];
	char line[64] = "";

	if (!phial_setup_exists(&doctor->host, "/run/systemd/system") ||
	    !phial_doctor_find(doctor, "systemctl", systemctl)) {
		phial_doctor_add(doctor, "boot.order", PHIAL_CHECK_UNKNOWN,
				 "let your init system start phiald, and then the engines",
				 "no systemd runs here: nothing is known of the next boot");
		return;
	}
	const char *const command[] = { systemctl, "is-enabled", UNIT, NULL };
	bool is_enabled = phial_doctor_run(doctor, command, line, sizeof(line)) &&
			  strcmp(line, "enabled") == 0;

	phial_doctor_add(doctor, "boot.unit", is_enabled ? PHIAL_CHECK_OK : PHIAL_CHECK_WARN,
			 is_enabled ? NULL : "systemctl enable --now " UNIT, UNIT " is %s",
			 line[0] != '\0' ? line : "not installed");
	check_order(doctor, systemctl);
}
