/* SPDX-License-Identifier: ISC */
/*
 * Saying that the container is ready: at once for phial-init --ready, or beside the init, whose
 * signals do not wait for an agent. Whether it is, the command knows.
 */
#include "init/ready.h"

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "init/ask.h"
#include "init/command.h"
#include "init/say.h"

/* How long the child tries: as long as --wait may be at most. */
#define ASIDE_WAIT_S 3600

int phial_init_ready_tell(const struct phial_init_options *options)
{
	static struct phial_init_answer answer;
	struct phial_error err;
	int signal_number = 0;

	if (phial_init_tell_agent(options, &answer, &signal_number, &err) != PHIAL_OK) {
		phial_init_say(phial_span_of(err.text));
		return signal_number == 0 ? PHIAL_INIT_EXIT_OWN
					  : PHIAL_INIT_EXIT_SIGNAL_BASE + signal_number;
	}
	if (answer.status != PHIAL_OK) {
		phial_init_say_lines(answer.text);
		return PHIAL_INIT_EXIT_OWN;
	}
	return 0;
}

void phial_init_ready_tell_aside(const struct phial_init_options *options)
{
	static bool has_told;
	struct phial_init_options patient = *options;

	patient.wait_s = ASIDE_WAIT_S;
	if (has_told) {
		return;
	}
	has_told = true;
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid == 0) {
		/* It keeps nothing open or busy, and ends with its parent. */
		(void)syscall(SYS_close_range, STDERR_FILENO + 1U, UINT_MAX, 0U);
		if (chdir("/") != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 ||
		    getppid() != parent) {
			_exit(PHIAL_INIT_EXIT_OWN);
		}
		_exit(phial_init_ready_tell(&patient));
	}
	if (pid < 0) {
		phial_init_say(phial_span_of("cannot tell the agent that the command is ready: "
					     "no process can be made"));
	}
}
