/* SPDX-License-Identifier: ISC */
/*
 * Plays the runtime: makes a container that is created and not yet pivoted, runs a hook for it,
 * and measures that. phial-hook, the bare kernel work of the same, and an empty program take
 * turns in a random order. It starts no agent and no real runtime.
 *
 *	hook ROUNDS RUN-DIR BUNDLES BYTES HOOK BARE EMPTY [RUN-DIR BUNDLES]
 *
 * BUNDLES has the bundles one, ten and hundred, whose configs grant those workloads, and none, which
 * grants nothing; BYTES is the size of each secret. Secrets must be in the container after phial-hook
 * ran. With another agent's RUN-DIR and BUNDLES phial-hook takes turns with itself: series "other".
 */
#include <limits.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "bench.h"

/* Between two runs, for what the agent does about the end of a container. */
#define PAUSE_NS (10 * 1000 * 1000)

/* Whom a container asks. */
struct agent {
	const char *run_dir;
	const char *bundles;
};

struct setting {
	struct agent agents[2];
	char *bytes;
	char *programs[3]; /* phial-hook, bare, empty */
};

struct size {
	const char *workload;
	char count[8];
};

/* "none" is a container that asks for no secrets: the hook has to say so fast. */
static const struct size sizes[] = {
	{ "none", "0" },
	{ "one", "1" },
	{ "ten", "10" },
	{ "hundred", "100" },
};
static const char *const kinds[] = { "hook", "bare", "empty", "other" };
/* Of the kinds: no secrets; and phial-hook on the second agent. */
#define EMPTY 2
#define OTHER 3

#define SERIES_COUNT (PHIAL_COUNT(sizes) * PHIAL_COUNT(kinds))

struct container {
	pid_t pid;
	char pid_text[16];
	char bundle[PATH_MAX];
	char rootfs[PATH_MAX + 8];
	int state_fd;
};

/* The container's first process: a root of its own, and the grant mount. Never returns. */
static _Noreturn void be_container(const struct container *container, const char *grant, int ready)
{
	char target[PATH_MAX + 32];
	const unsigned long read_only = MS_REMOUNT | MS_BIND | MS_RDONLY;

	(void)snprintf(target, sizeof(target), "%s/run/secrets", container->rootfs);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount(container->rootfs, container->rootfs, NULL, MS_BIND, NULL) != 0 ||
	    mount(grant, target, NULL, MS_BIND, NULL) != 0 ||
	    mount(NULL, target, NULL, read_only, NULL) != 0 || write(ready, "", 1) != 1) {
		bench_fail("make a container");
	}
	for (;;) {
		pause();
	}
}

static int make_state(const struct container *container)
{
	int fd = memfd_create("state", MFD_CLOEXEC);

	if (fd < 0 ||
	    dprintf(fd,
		    "{\"ociVersion\":\"1.0.2\",\"id\":\"phial-bench-%d\",\"status\":\"created\","
		    "\"pid\":%d,\"bundle\":\"%s\",\"annotations\":{}}",
		    (int)container->pid, (int)container->pid, container->bundle) < 0 ||
	    lseek(fd, 0, SEEK_SET) != 0) {
		bench_fail("state");
	}
	return fd;
}

static bool is_none(const struct size *size)
{
	return strcmp(size->count, "0") == 0;
}

static void start_container(const struct agent *agent, const struct size *size,
			    struct container *ret_container)
{
	struct container *container = ret_container;
	char grant[PATH_MAX];
	int ready[2];
	char byte;

	(void)snprintf(container->bundle, sizeof(container->bundle), "%s/%s", agent->bundles,
		       size->workload);
	(void)snprintf(container->rootfs, sizeof(container->rootfs), "%s/rootfs",
		       container->bundle);
	(void)snprintf(grant, sizeof(grant), "%s/workload/%s", agent->run_dir,
		       is_none(size) ? "one" : size->workload);
	if (pipe2(ready, O_CLOEXEC) != 0) {
		bench_fail("pipe");
	}
	container->pid = (pid_t)syscall(SYS_clone, CLONE_NEWNS | CLONE_NEWPID | SIGCHLD, NULL, NULL,
					NULL, NULL);
	if (container->pid == 0) {
		be_container(container, grant, ready[1]);
	}
	close(ready[1]);
	if (container->pid < 0 || read(ready[0], &byte, 1) != 1) {
		bench_fail("start a container");
	}
	close(ready[0]);
	(void)snprintf(container->pid_text, sizeof(container->pid_text), "%d", (int)container->pid);
	container->state_fd = make_state(container);
}

/* Are the secrets really there? The last one of the workload speaks for all. */
static void check_secrets(const struct setting *setting, const struct container *container,
			  const struct size *size)
{
	char path[2 * PATH_MAX];
	struct stat found;

	(void)snprintf(path, sizeof(path), "/proc/%d/root%s/run/secrets/s%03zu",
		       (int)container->pid, container->rootfs,
		       bench_parse_number(size->count, 100) - 1);
	errno = 0;
	if (stat(path, &found) != 0 ||
	    (size_t)found.st_size != bench_parse_number(setting->bytes, 1024 * 1024)) {
		bench_fail(path);
	}
}

static void end_container(struct container *container)
{
	const struct timespec pause_time = { 0, PAUSE_NS };

	kill(container->pid, SIGKILL);
	waitpid(container->pid, NULL, 0);
	close(container->state_fd);
	nanosleep(&pause_time, NULL);
}

static uint64_t measure(const struct setting *setting, const struct size *size, size_t kind)
{
	struct container container;
	char run_dir[PATH_MAX];
	char count[8];

	const struct agent *agent = &setting->agents[kind == OTHER];

	start_container(agent, size, &container);
	(void)snprintf(run_dir, sizeof(run_dir), "%s", agent->run_dir);
	memcpy(count, size->count, sizeof(count));
	char *const commands[][6] = {
		{ setting->programs[0], (char[]){ "--run-dir" }, run_dir, NULL },
		{ setting->programs[1], container.pid_text, container.rootfs, count, setting->bytes,
		  NULL },
		{ setting->programs[2], NULL },
		{ setting->programs[0], (char[]){ "--run-dir" }, run_dir, NULL },
	};
	uint64_t taken = bench_run(commands[kind], container.state_fd, container.bundle);

	if (kind != EMPTY && !is_none(size)) {
		check_secrets(setting, &container, size);
	}
	end_container(&container);
	return taken;
}

int main(int argc, char **argv)
{
	struct bench_series series[SERIES_COUNT];
	char names[SERIES_COUNT][32];
	size_t order[SERIES_COUNT];

	errno = EINVAL;
	if (argc != 8 && argc != 10) {
		bench_fail("usage: hook ROUNDS RUN-DIR BUNDLES BYTES HOOK BARE EMPTY [RUN-DIR "
			   "BUNDLES]");
	}
	size_t kind_count = argc == 10 ? OTHER + 1 : OTHER;
	size_t count = PHIAL_COUNT(sizes) * kind_count;
	size_t rounds = bench_parse_number(argv[1], BENCH_ROUNDS_MAX);
	struct setting setting = { { { argv[2], argv[3] } },
				   argv[4],
				   { argv[5], argv[6], argv[7] } };

	if (kind_count > OTHER) {
		setting.agents[1] = (struct agent){ argv[8], argv[9] };
	}

	for (size_t i = 0; i < count; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "%s-%s", kinds[i % kind_count],
			       sizes[i / kind_count].count);
		bench_series_start(&series[i], names[i], rounds);
	}
	for (size_t round = 0; round < rounds; round++) {
		bench_shuffle(order, count);
		for (size_t i = 0; i < count; i++) {
			struct bench_series *one = &series[order[i]];

			one->ns[one->count++] = measure(&setting, &sizes[order[i] / kind_count],
							order[i] % kind_count);
		}
	}
	for (size_t i = 0; i < count; i++) {
		bench_series_print(&series[i]);
	}
	return 0;
}
