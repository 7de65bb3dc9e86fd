/* SPDX-License-Identifier: ISC */
/* phiald: the agent. Options, help, and the one line that says why it ended. */
#include <stdio.h>
#include <unistd.h>

#include "agent/log.h"
#include "agent/options.h"
#include "agent/supervisor.h"
#include "agent/user.h"
#include "base/harden.h"

static const char help_text[] =
	"usage: phiald [--user] [options]\n"
	"\n"
	"The phial agent: opens sealed secrets, keeps them in the kernel keyring, and gives them to\n"
	"containers. Runs in the foreground, as root; see phiald(8).\n"
	"\n"
	"  --user              as an ordinary user, for its rootless Podman: paths are then by\n"
	"                      XDG_CONFIG_HOME, XDG_STATE_HOME and XDG_RUNTIME_DIR\n"
	"  --store DIR         where sealed files lie (PHIAL_STORE, /etc/phial/store)\n"
	"  --identity FILE     the host's age key (PHIAL_IDENTITY, /var/lib/phial/identity)\n"
	"  --trust FILE        the admin keys pinned here (PHIAL_TRUST, /etc/phial/trust)\n"
	"  --passphrase-fd N   read the identity's passphrase from descriptor N\n"
	"  --run-dir DIR       sockets and workload directories (/run/phial)\n"
	"  --state-dir DIR     marks and records (/var/lib/phial/state)\n"
	"  --worker-user NAME  whom the worker runs as (phial)\n"
	"  --cdi FILE          the CDI file, kept if it is there (/etc/cdi/phial.json)\n"
	"  --boot-dir DIR      a copy of the workload directories, to be there at the next boot\n"
	"  --audit=refuse      what cannot be written to the audit log is not released (default)\n"
	"  --audit=drop        it is released, and counted as a gap\n"
	"  --audit-copy=syslog a copy of each entry to syslog or journald; or a socket's path\n"
	"  --metrics FILE      numbers for Prometheus, e.g. for node_exporter's textfile collector\n"
	"  --help, --version\n";

int main(int argc, char **argv)
{
	struct phial_agent_options options;
	struct phial_error err = { .status = PHIAL_OK };
	enum phial_status status = phial_process_harden(&err);

	if (status == PHIAL_OK) {
		status = phial_agent_options_parse(argc, argv, &options, &err);
	}
	if (status == PHIAL_OK && (options.wants_help || options.wants_version)) {
		fputs(options.wants_help ? help_text : "phiald " PHIAL_VERSION "\n", stdout);
		return 0;
	}
	if (status == PHIAL_OK && options.is_user) {
		status = phial_user_enter(&options, &err);
	}
	if (status == PHIAL_OK) {
		status = phial_supervisor_run(&options, &err);
	}
	if (status != PHIAL_OK) {
		phial_log("%s", err.text);
	}
	return (int)status;
}
