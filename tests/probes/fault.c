/* SPDX-License-Identifier: ISC */
/*
 * Makes system calls of running processes fail, or ends the process at one of them.
 *
 *	fault [-p PID]... [-n N] [-o NR,...] ACTION [-- COMMAND...]
 *
 * The N-th call (1 is the first; default 1) of all traced processes together is hit; with -o only
 * these numbers count. Children of a COMMAND are traced too, those of a PID are not.
 *
 *	-k          the process gets SIGKILL before the call
 *	-e ERRNO    the call is not made and fails with this number
 *	-E ERRNO    so does every later one
 *	-s          a write(2) is cut to half its length
 *	-c NR,A,B,C the process makes this call first; a word "mem" is 256 bytes of scratch memory.
 *	            Prints "RESULT HEX-OF-MEMORY" and lets the process go on
 *	-m TEXT     put this into the scratch memory before
 *	-t          nothing: count
 *	-f          with -p: children of these that are forked from now on count, and only they
 *	-C NAME     only calls of processes that have this name (/proc/PID/comm) count
 *
 * With -p it prints "attached", waits for SIGTERM, and exits 0 if it hit and 3 if not. With a
 * COMMAND it exits as that does, and reports the count on descriptor 9 if that is open. x86-64 only
 * (77 elsewhere). strace cannot do it: it skips a call by the number -1, for which seccomp kills.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIDS_MAX    16
#define TRACED_MAX  1024
#define NUMBERS_MAX 64
#define SCRATCH	    256
/* Below the red zone of the x86-64 ABI. */
#define SCRATCH_OFFSET 4096
#define OPTIONS                                                                                   \
	(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | \
	 PTRACE_O_TRACEEXEC)
#define EXIT_NOT_HIT 3
#define EXIT_SKIPPED 77

#if !defined(__x86_64__)
int main(void)
{
	return EXIT_SKIPPED;
}
#else

enum action { ACTION_COUNT, ACTION_KILL, ACTION_ERROR, ACTION_ERRORS, ACTION_SHORT, ACTION_CALL };

struct traced {
	pid_t pid;
	bool is_inside; /* a call has begun */
	bool must_fail; /* its result is to be replaced */
	bool is_ours;	/* it is the call of -c */
	struct user_regs_struct saved;
};

struct fault {
	pid_t pids[PIDS_MAX];
	size_t pid_count;
	unsigned long at;
	unsigned long count;
	long numbers[NUMBERS_MAX];
	size_t number_count;
	enum action action;
	int error;
	char *call[8]; /* words of -c */
	size_t call_count;
	const char *memory; /* of -m, or NULL */
	struct traced traced[TRACED_MAX];
	size_t traced_count;
	bool is_hit;
	bool follows;	  /* -f */
	const char *name; /* of -C, or NULL */
	pid_t command;
	int command_status;
};

static volatile sig_atomic_t must_stop;

/* The alarm is for a signal that comes just before waitpid(2): it would wait for ever. */
static void on_signal(int signal_number)
{
	(void)signal_number;
	must_stop = 1;
	alarm(1);
}

static void fail(const char *what)
{
	perror(what);
	exit(2);
}

static struct traced *find(struct fault *fault, pid_t pid)
{
	for (size_t i = 0; i < fault->traced_count; i++) {
		if (fault->traced[i].pid == pid) {
			return &fault->traced[i];
		}
	}
	if (fault->traced_count == TRACED_MAX) {
		fail("too many processes");
	}
	struct traced *traced = &fault->traced[fault->traced_count++];

	*traced = (struct traced){ .pid = pid };
	return traced;
}

static bool is_wanted(const struct fault *fault, long number)
{
	for (size_t i = 0; i < fault->number_count; i++) {
		if (fault->numbers[i] == number) {
			return true;
		}
	}
	return fault->number_count == 0;
}

/* --- what happens at the call ------------------------------------------------------------ */

static unsigned long long word_of(const char *word, const struct user_regs_struct *regs)
{
	return strcmp(word, "mem") == 0 ? regs->rsp - SCRATCH_OFFSET
					: (unsigned long long)strtoll(word, NULL, 0);
}

/* Make the call of -c in the place of the process's own, which is made again afterwards. */
static void begin_own_call(struct fault *fault, struct traced *traced,
			   struct user_regs_struct *regs)
{
	static const size_t arguments[] = {
		offsetof(struct user_regs_struct, rdi), offsetof(struct user_regs_struct, rsi),
		offsetof(struct user_regs_struct, rdx), offsetof(struct user_regs_struct, r10),
		offsetof(struct user_regs_struct, r8),	offsetof(struct user_regs_struct, r9),
	};

	traced->saved = *regs;
	traced->is_ours = true;
	for (size_t i = 0; fault->memory && i <= strlen(fault->memory); i += sizeof(long)) {
		long word = 0;

		memcpy(&word, fault->memory + i, strnlen(fault->memory + i, sizeof(word)));
		ptrace(PTRACE_POKEDATA, traced->pid, (void *)(regs->rsp - SCRATCH_OFFSET + i),
		       word);
	}
	regs->orig_rax = word_of(fault->call[0], regs);
	for (size_t i = 1; i < fault->call_count; i++) {
		unsigned long long value = word_of(fault->call[i], &traced->saved);

		memcpy((uint8_t *)regs + arguments[i - 1], &value, sizeof(value));
	}
	ptrace(PTRACE_SETREGS, traced->pid, 0, regs);
}

static void end_own_call(struct fault *fault, struct traced *traced,
			 const struct user_regs_struct *regs)
{
	uint8_t memory[SCRATCH];

	for (size_t i = 0; i < SCRATCH; i += sizeof(long)) {
		long word = ptrace(PTRACE_PEEKDATA, traced->pid,
				   (void *)(traced->saved.rsp - SCRATCH_OFFSET + i), 0);

		memcpy(memory + i, &word, sizeof(word));
	}
	printf("%lld ", (long long)regs->rax);
	for (size_t i = 0; i < SCRATCH; i++) {
		printf("%02x", memory[i]);
	}
	printf("\n");
	fflush(stdout);
	traced->saved.rax = traced->saved.orig_rax;
	traced->saved.rip -= 2; /* the instruction is made again */
	ptrace(PTRACE_SETREGS, traced->pid, 0, &traced->saved);
	traced->is_ours = false;
	must_stop = 1;
	(void)fault;
}

static void begin_failure(struct traced *traced, struct user_regs_struct *regs)
{
	traced->saved = *regs;
	traced->must_fail = true;
	regs->orig_rax = SYS_getpid; /* harmless, and every filter allows it */
	ptrace(PTRACE_SETREGS, traced->pid, 0, regs);
}

static void hit(struct fault *fault, struct traced *traced, struct user_regs_struct *regs)
{
	fault->is_hit = true;
	switch (fault->action) {
	case ACTION_KILL:
		kill(traced->pid, SIGKILL);
		break;
	case ACTION_ERROR:
	case ACTION_ERRORS:
		begin_failure(traced, regs);
		break;
	case ACTION_SHORT:
		regs->rdx = regs->rdx > 1 ? regs->rdx / 2 : regs->rdx;
		ptrace(PTRACE_SETREGS, traced->pid, 0, regs);
		break;
	case ACTION_CALL:
		begin_own_call(fault, traced, regs);
		break;
	case ACTION_COUNT:
		break;
	}
}

static bool is_parent(const struct fault *fault, pid_t pid)
{
	for (size_t i = 0; i < fault->pid_count; i++) {
		if (fault->pids[i] == pid) {
			return fault->follows;
		}
	}
	return false;
}

static bool has_name(const struct fault *fault, pid_t pid)
{
	char path[64];
	char name[32] = "";

	if (!fault->name) {
		return true;
	}
	(void)snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	FILE *file = fopen(path, "re");

	if (!file) {
		return false;
	}
	bool is_read = fgets(name, sizeof(name), file) != NULL;

	(void)fclose(file);
	name[strcspn(name, "\n")] = '\0';
	return is_read && strcmp(name, fault->name) == 0;
}

static void on_entry(struct fault *fault, struct traced *traced, struct user_regs_struct *regs)
{
	if (must_stop || is_parent(fault, traced->pid) || !is_wanted(fault, (long)regs->orig_rax) ||
	    !has_name(fault, traced->pid)) {
		return;
	}
	fault->count++;
	if (fault->count == fault->at ||
	    (fault->count > fault->at && fault->action == ACTION_ERRORS)) {
		hit(fault, traced, regs);
	}
}

static void on_call(struct fault *fault, struct traced *traced)
{
	struct user_regs_struct regs;
	struct __ptrace_syscall_info info;

	if (ptrace(PTRACE_GETREGS, traced->pid, 0, &regs) != 0 ||
	    ptrace(PTRACE_GET_SYSCALL_INFO, traced->pid, (void *)sizeof(info), &info) <= 0) {
		return; /* it was killed meanwhile */
	}
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
		traced->is_inside = true;
		on_entry(fault, traced, &regs);
		return;
	}
	traced->is_inside = false;
	if (traced->is_ours) {
		end_own_call(fault, traced, &regs);
	} else if (traced->must_fail) {
		traced->must_fail = false;
		traced->saved.rax = (unsigned long long)-(long long)fault->error;
		ptrace(PTRACE_SETREGS, traced->pid, 0, &traced->saved);
	}
}

/* --- the loop ---------------------------------------------------------------------------- */

static void on_stop(struct fault *fault, pid_t pid, int status)
{
	struct traced *traced = find(fault, pid);
	int stopped_by = WSTOPSIG(status);
	int event = status >> 16;
	long give = 0;

	if (stopped_by == (SIGTRAP | 0x80)) {
		on_call(fault, traced);
	} else if (event == 0) {
		give = stopped_by;
	}
	if (!must_stop || traced->is_inside) {
		ptrace(PTRACE_SYSCALL, pid, 0, give);
	} else {
		ptrace(PTRACE_DETACH, pid, 0, give);
	}
}

/*
 * Stop each one that still runs, so that it can be let go. Any stop will do: the kernel takes the
 * end of a call for the interruption that was asked for.
 */
static void let_go(struct fault *fault)
{
	for (size_t i = 0; i < fault->traced_count; i++) {
		pid_t pid = fault->traced[i].pid;
		int status;

		if (ptrace(PTRACE_INTERRUPT, pid, 0, 0) != 0) {
			continue;
		}
		if (waitpid(pid, &status, __WALL) != pid || !WIFSTOPPED(status)) {
			continue;
		}
		int give = status >> 16 == 0 ? WSTOPSIG(status) : 0;

		if (give == (SIGTRAP | 0x80)) {
			on_call(fault, &fault->traced[i]);
			give = 0;
		}
		ptrace(PTRACE_DETACH, pid, 0, give);
	}
}

static int run(struct fault *fault)
{
	int status;

	while (!must_stop) {
		pid_t pid = waitpid(-1, &status, __WALL);

		if (pid < 0 && errno == EINTR) {
			continue;
		}
		if (pid < 0) {
			break; /* nobody is left */
		}
		if (WIFSTOPPED(status)) {
			on_stop(fault, pid, status);
		} else if (pid == fault->command) {
			fault->command_status = status;
			break;
		}
	}
	let_go(fault);
	if (fault->action == ACTION_COUNT || fault->command > 0) {
		dprintf(fault->command > 0 ? 9 : STDOUT_FILENO, "%lu\n", fault->count);
	}
	if (fault->command > 0) {
		return WIFEXITED(fault->command_status) ? WEXITSTATUS(fault->command_status)
							: 128 + WTERMSIG(fault->command_status);
	}
	return fault->is_hit ? 0 : EXIT_NOT_HIT;
}

static void attach(struct fault *fault)
{
	for (size_t i = 0; i < fault->pid_count; i++) {
		if (ptrace(PTRACE_SEIZE, fault->pids[i], 0,
			   fault->follows ? OPTIONS : PTRACE_O_TRACESYSGOOD) != 0 ||
		    ptrace(PTRACE_INTERRUPT, fault->pids[i], 0, 0) != 0) {
			fail("attach");
		}
		find(fault, fault->pids[i]);
	}
	/* Each is stopped once before anybody is told, so that no call is missed. */
	for (size_t i = 0; i < fault->pid_count; i++) {
		int status;

		if (waitpid(fault->pids[i], &status, __WALL) == fault->pids[i] &&
		    WIFSTOPPED(status)) {
			ptrace(PTRACE_SYSCALL, fault->pids[i], 0, 0);
		}
	}
	if (fault->action != ACTION_CALL) {
		printf("attached\n");
		fflush(stdout);
	}
}

static void spawn(struct fault *fault, char **argv)
{
	int status;

	fault->command = fork();
	if (fault->command == 0) {
		close(9);
		raise(SIGSTOP);
		execvp(argv[0], argv);
		fail(argv[0]);
	}
	if (fault->command < 0 || waitpid(fault->command, &status, WUNTRACED) < 0 ||
	    ptrace(PTRACE_SEIZE, fault->command, 0, OPTIONS | PTRACE_O_EXITKILL) != 0) {
		fail("start the command");
	}
	find(fault, fault->command);
	kill(fault->command, SIGCONT);
	/* Nothing counts before the command itself runs. */
	while (waitpid(fault->command, &status, __WALL) > 0 && WIFSTOPPED(status) &&
	       status >> 16 != PTRACE_EVENT_EXEC) {
		ptrace(PTRACE_CONT, fault->command, 0,
		       status >> 16 == 0 && WSTOPSIG(status) != SIGCONT ? WSTOPSIG(status) : 0);
	}
	on_stop(fault, fault->command, status);
}

static size_t split(char *list, char **words, size_t max)
{
	size_t count = 0;

	for (char *word; count < max && (word = strsep(&list, ",")) != NULL;) {
		words[count++] = word;
	}
	return count;
}

static void take_option(struct fault *fault, int option)
{
	static const char actions[] = "tkeEsc"; /* in the order of enum action */
	char *words[NUMBERS_MAX];
	const char *found = strchr(actions, option);

	if (found) {
		fault->action = (enum action)(found - actions);
	}
	switch (option) {
	case 'p':
		if (fault->pid_count < PIDS_MAX) {
			fault->pids[fault->pid_count++] = (pid_t)strtol(optarg, NULL, 10);
		}
		break;
	case 'n':
		fault->at = strtoul(optarg, NULL, 10);
		break;
	case 'o':
		fault->number_count = split(optarg, words, NUMBERS_MAX);
		for (size_t i = 0; i < fault->number_count; i++) {
			fault->numbers[i] = strtol(words[i], NULL, 10);
		}
		break;
	case 'e':
	case 'E':
		fault->error = (int)strtol(optarg, NULL, 10);
		break;
	case 'f':
		fault->follows = true;
		break;
	case 'C':
		fault->name = optarg;
		break;
	case 'm':
		fault->memory = optarg;
		break;
	case 'c':
		fault->call_count = split(optarg, fault->call, 7);
		break;
	default:
		break;
	}
}

int main(int argc, char **argv)
{
	static struct fault fault = { .at = 1 };
	const struct sigaction action = { .sa_handler = on_signal };
	int option;

	while ((option = getopt(argc, argv, "p:n:o:ke:E:sc:m:tfC:")) != -1) {
		if (option == '?') {
			return 2;
		}
		take_option(&fault, option);
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGALRM, &action, NULL);
	if (optind < argc) {
		spawn(&fault, argv + optind);
	} else {
		attach(&fault);
	}
	return run(&fault);
}
#endif
