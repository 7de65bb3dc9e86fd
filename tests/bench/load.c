/* SPDX-License-Identifier: ISC */
/*
 * How long the agent takes to be ready with a store of COUNT secrets, from its start, with a state
 * directory that is new; in turn with the bare libsodium calls of the same. Then, once, the memory
 * of its processes. It ends every agent that it starts.
 *
 *	load ROUNDS DIR COUNT PHIALD BARE
 *
 * DIR: from make_store. Prints "load" and "crypto", and "pss-supervisor", "pss-worker",
 * "pss-auditor" and "pss-filler" in KiB.
 */
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "bench.h"

#define READY_MAX_MS  120000
#define CHILDREN_MAX  16
#define WORKER_USER   "nobody"
#define PATH_TEXT_MAX 1024

struct setting {
	const char *directory;
	char *count;
	char *phiald;
	char *bare;
	char sealed[PATH_TEXT_MAX];
	char notify[PATH_TEXT_MAX];
	int notify_fd;
};

static void make_path(char path[static PATH_TEXT_MAX], const struct setting *setting,
		      const char *name)
{
	(void)snprintf(path, PATH_TEXT_MAX, "%s/%s", setting->directory, name);
}

static void listen_for_ready(struct setting *setting)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	make_path(setting->notify, setting, "notify");
	setting->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	errno = ENAMETOOLONG;
	if (setting->notify_fd < 0 || strlen(setting->notify) >= sizeof(address.sun_path)) {
		bench_fail(setting->notify);
	}
	memcpy(address.sun_path, setting->notify, strlen(setting->notify) + 1);
	if (bind(setting->notify_fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		bench_fail(setting->notify);
	}
}

static void wait_until_ready(const struct setting *setting, pid_t agent)
{
	struct pollfd wait[] = {
		{ .fd = setting->notify_fd, .events = POLLIN },
		{ .fd = (int)syscall(SYS_pidfd_open, agent, 0), .events = POLLIN },
	};
	char message[256] = "";

	do {
		errno = 0;
		if (poll(wait, 2, READY_MAX_MS) < 1 || wait[1].revents != 0) {
			bench_fail("phiald did not get ready (see agent.log in its directory)");
		}
		ssize_t got = read(setting->notify_fd, message, sizeof(message) - 1);

		message[got > 0 ? got : 0] = '\0';
	} while (!strstr(message, "READY=1"));
	close(wait[1].fd);
}

static pid_t start_agent(const struct setting *setting, const char *state_dir)
{
	char run_dir[PATH_TEXT_MAX], store[PATH_TEXT_MAX], identity[PATH_TEXT_MAX];
	char trust[PATH_TEXT_MAX], log[PATH_TEXT_MAX];

	make_path(run_dir, setting, "run");
	make_path(store, setting, "store");
	make_path(identity, setting, "identity");
	make_path(trust, setting, "trust");
	make_path(log, setting, "agent.log");
	pid_t pid = fork();

	if (pid == 0) {
		int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

		/* Whatever happens to the benchmark, no agent stays behind. */
		if (prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) != 0 || dup2(fd, STDOUT_FILENO) < 0 ||
		    dup2(fd, STDERR_FILENO) < 0 ||
		    setenv("NOTIFY_SOCKET", setting->notify, 1) != 0) {
			_exit(1);
		}
		execl(setting->phiald, "phiald", "--run-dir", run_dir, "--state-dir", state_dir,
		      "--store", store, "--identity", identity, "--trust", trust, "--worker-user",
		      WORKER_USER, (char *)NULL);
		_exit(1);
	}
	if (pid < 0) {
		bench_fail("fork");
	}
	return pid;
}

static void stop_agent(pid_t pid)
{
	kill(pid, SIGTERM);
	if (waitpid(pid, NULL, 0) != pid) {
		bench_fail("wait for phiald");
	}
}

/* A number that follows a word in a file of /proc. */
static uint64_t read_number(pid_t pid, const char *file, const char *word)
{
	char path[64];
	phial_auto_free uint8_t *text = NULL;
	size_t length;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	phial_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || phial_read_all(fd, 65536, &text, &length, NULL) != PHIAL_OK) {
		bench_fail(path);
	}
	const char *found = strstr((const char *)text, word);

	return found ? strtoull(found + strlen(word), NULL, 10) : 0;
}

static size_t find_children(pid_t parent, pid_t children[static CHILDREN_MAX])
{
	char path[64];
	phial_auto_free uint8_t *text = NULL;
	size_t length;
	size_t count = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)parent, (int)parent);
	phial_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || phial_read_all(fd, 4096, &text, &length, NULL) != PHIAL_OK) {
		bench_fail(path);
	}
	struct phial_span rest = { (const char *)text, length };
	struct phial_span word;
	uint64_t pid;

	while (count < CHILDREN_MAX && phial_next_word(&rest, &word)) {
		if (phial_parse_u64(word, 2, INT_MAX, &pid)) {
			children[count++] = (pid_t)pid;
		}
	}
	return count;
}

/* By name, then by user: the worker is the one that is not root. */
static const char *find_role(pid_t pid)
{
	char path[64];
	phial_auto_free uint8_t *name = NULL;
	size_t length;

	(void)snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	phial_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || phial_read_all(fd, 64, &name, &length, NULL) != PHIAL_OK) {
		bench_fail(path);
	}
	if (strncmp((const char *)name, "phial-auditor", 13) == 0) {
		return "auditor";
	}
	return read_number(pid, "status", "\nUid:") == 0 ? "filler" : "worker";
}

static void print_memory(pid_t agent)
{
	pid_t children[CHILDREN_MAX];
	size_t count = find_children(agent, children);

	printf("pss-supervisor %llu\n",
	       (unsigned long long)read_number(agent, "smaps_rollup", "\nPss:"));
	for (size_t i = 0; i < count; i++) {
		printf("pss-%s %llu\n", find_role(children[i]),
		       (unsigned long long)read_number(children[i], "smaps_rollup", "\nPss:"));
	}
}

/* Each agent finds a state directory of its own, as on a host's first start. */
static uint64_t measure_load(const struct setting *setting, size_t round, bool is_last)
{
	char name[32];
	char state_dir[PATH_TEXT_MAX];

	(void)snprintf(name, sizeof(name), "state-%zu", round);
	make_path(state_dir, setting, name);
	uint64_t start = bench_now_ns();
	pid_t agent = start_agent(setting, state_dir);

	wait_until_ready(setting, agent);
	uint64_t taken = bench_now_ns() - start;

	if (is_last) {
		print_memory(agent);
	}
	stop_agent(agent);
	return taken;
}

int main(int argc, char **argv)
{
	struct bench_series load;
	struct bench_series crypto;
	struct setting setting;

	errno = EINVAL;
	if (argc != 6) {
		bench_fail("usage: load ROUNDS DIR COUNT PHIALD BARE");
	}
	size_t rounds = bench_parse_number(argv[1], BENCH_ROUNDS_MAX);

	setting = (struct setting){ argv[2], argv[3], argv[4], argv[5], "", "", -1 };
	make_path(setting.sealed, &setting, "one.sealed");
	listen_for_ready(&setting);
	bench_series_start(&load, "load", rounds);
	bench_series_start(&crypto, "crypto", rounds);
	for (size_t round = 0; round < rounds; round++) {
		char *const bare[] = { setting.bare, setting.count, setting.sealed, NULL };
		size_t order[2];

		bench_shuffle(order, 2);
		for (size_t i = 0; i < 2; i++) {
			if (order[i] == 0) {
				load.ns[load.count++] =
					measure_load(&setting, round, round + 1 == rounds);
			} else {
				crypto.ns[crypto.count++] = bench_run(bare, -1, NULL);
			}
		}
	}
	bench_series_print(&load);
	bench_series_print(&crypto);
	return 0;
}
