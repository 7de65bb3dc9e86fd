/* SPDX-License-Identifier: ISC */
/*
 * Walls around the agent's processes: which system calls and capabilities each one has. What is
 * not listed here ends the process at once.
 */
#include "agent/sandbox.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/options.h"
#include "base/capability.h"
#include "base/cleanup.h"
#include "base/harden.h"
#include "base/io.h"
#include "inject/process.h"

/* The worker's calls nest less deep than this. */
#define STACK_LOCKED_BYTES ((size_t)256 * 1024)
#define PAGE_BYTES	   ((size_t)4096)

/* What all need: memory, descriptors that they have, time, an end. */
static const int common_calls[] = {
	SCMP_SYS(read),		SCMP_SYS(write),	  SCMP_SYS(close),
	SCMP_SYS(fstat),	SCMP_SYS(newfstatat),	  SCMP_SYS(recvmsg),
	SCMP_SYS(sendmsg),	SCMP_SYS(poll),		  SCMP_SYS(ppoll),
	SCMP_SYS(mmap),		SCMP_SYS(munmap),	  SCMP_SYS(mremap),
	SCMP_SYS(mprotect),	SCMP_SYS(madvise),	  SCMP_SYS(mlock),
	SCMP_SYS(mlock2),	SCMP_SYS(munlock),	  SCMP_SYS(brk),
	SCMP_SYS(futex),	SCMP_SYS(clock_gettime),  SCMP_SYS(getrandom),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask), SCMP_SYS(restart_syscall),
	SCMP_SYS(exit_group),	SCMP_SYS(getpid),	  SCMP_SYS(statx),
	SCMP_SYS(lseek),	SCMP_SYS(fcntl),	  SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),	SCMP_SYS(openat2),	  SCMP_SYS(getdents64),
	SCMP_SYS(unlinkat),	SCMP_SYS(renameat),	  SCMP_SYS(renameat2),
};

/* The worker serves clients, and writes marks and records below its state directory. */
static const int worker_calls[] = {
	SCMP_SYS(accept4),	 SCMP_SYS(getsockopt),	      SCMP_SYS(openat),
	SCMP_SYS(fsync),	 SCMP_SYS(fdatasync),	      SCMP_SYS(ftruncate),
	SCMP_SYS(readlinkat),	 SCMP_SYS(sysinfo),	      SCMP_SYS(fchmod),
	SCMP_SYS(fstatfs),	 SCMP_SYS(timerfd_create),    SCMP_SYS(timerfd_settime),
	SCMP_SYS(inotify_init1), SCMP_SYS(inotify_add_watch), SCMP_SYS(inotify_rm_watch),
	SCMP_SYS(fchdir),
};

/* The auditor writes files below one directory. */
static const int auditor_calls[] = {
	SCMP_SYS(openat),
	SCMP_SYS(fsync),
	SCMP_SYS(fdatasync),
	SCMP_SYS(ftruncate),
};

/* In a user's agent it also writes the files, of which it stays the owner. */
static const int user_worker_calls[] = { SCMP_SYS(mkdirat), SCMP_SYS(fchown) };

/* The filler makes files and gives them to the container's users. */
static const int filler_calls[] = {
	SCMP_SYS(mkdirat),  SCMP_SYS(symlinkat), SCMP_SYS(fchown),
	SCMP_SYS(fchmod),   SCMP_SYS(fstatfs),	 SCMP_SYS(readlinkat),
	SCMP_SYS(fchownat), SCMP_SYS(utimensat), SCMP_SYS(sendfile),
};

/* The mounter reads /proc, makes a mount, enters a namespace, and gives up what it needed for it. */
static const int mounter_calls[] = {
	SCMP_SYS(openat),	 SCMP_SYS(readlinkat), SCMP_SYS(fstatfs), SCMP_SYS(pidfd_open),
	SCMP_SYS(fsopen),	 SCMP_SYS(fsconfig),   SCMP_SYS(fsmount), SCMP_SYS(open_tree),
	SCMP_SYS(move_mount),	 SCMP_SYS(unshare),    SCMP_SYS(setns),	  SCMP_SYS(mkdirat),
	SCMP_SYS(mount_setattr), SCMP_SYS(umask),      SCMP_SYS(capget),  SCMP_SYS(capset),
	SCMP_SYS(prctl),	 SCMP_SYS(geteuid),
};

/* The notifier reads /proc, and signals what it holds by pidfd: by number it cannot. */
static const int notifier_calls[] = {
	SCMP_SYS(openat),
	SCMP_SYS(pidfd_open),
	SCMP_SYS(pidfd_send_signal),
};

static const uint64_t worker_key_calls[] = { KEYCTL_READ, KEYCTL_UNLINK, KEYCTL_INVALIDATE };
static const uint64_t filler_key_calls[] = { KEYCTL_READ };

struct allow_list {
	const int *calls;
	size_t call_count;
	const int *more_calls;
	size_t more_call_count;
	const uint64_t *key_calls;
	size_t key_call_count;
};

static int allow_calls(scmp_filter_ctx context, const int *calls, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int rc = seccomp_rule_add(context, SCMP_ACT_ALLOW, calls[i], 0);

		if (rc != 0) {
			return rc;
		}
	}
	return 0;
}

/* Fill a filter context from a list. Returns 0 or a negative errno, as libseccomp does. */
static int add_rules(scmp_filter_ctx context, const struct allow_list *list)
{
	int rc = allow_calls(context, common_calls, PHIAL_COUNT(common_calls));

	if (rc == 0) {
		rc = allow_calls(context, list->calls, list->call_count);
	}
	if (rc == 0) {
		rc = allow_calls(context, list->more_calls, list->more_call_count);
	}
	for (size_t i = 0; rc == 0 && i < list->key_call_count; i++) {
		const struct scmp_arg_cmp operation = {
			.arg = 0,
			.op = SCMP_CMP_EQ,
			.datum_a = list->key_calls[i],
		};

		rc = seccomp_rule_add_array(context, SCMP_ACT_ALLOW, SCMP_SYS(keyctl), 1,
					    &operation);
	}
	if (rc == 0) {
		rc = seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	}
	return rc;
}

/* Compile by way of a memfd: libseccomp 2.5 can export to descriptors only. */
static enum phial_status compile(const struct allow_list *list, struct phial_filter *ret_filter,
				 struct phial_error *err)
{
	phial_auto_fd int fd = memfd_create("phial-seccomp", MFD_CLOEXEC);
	scmp_filter_ctx context = seccomp_init(SCMP_ACT_KILL_PROCESS);
	uint8_t *program;

	if (fd < 0 || !context) {
		seccomp_release(context);
		return phial_fail(err, PHIAL_SYSTEM, errno, "prepare seccomp");
	}
	int rc = add_rules(context, list);

	if (rc == 0) {
		rc = seccomp_export_bpf(context, fd);
	}
	seccomp_release(context);
	if (rc != 0) {
		return phial_fail(err, PHIAL_UNSUPPORTED, -rc, "compile seccomp filter");
	}
	if (lseek(fd, 0, SEEK_SET) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "read seccomp filter");
	}
	enum phial_status status =
		phial_read_all(fd, 65536, &program, &ret_filter->length_bytes, err);

	if (status == PHIAL_OK) {
		ret_filter->program = program;
	}
	return status;
}

enum phial_status phial_filters_make(bool is_user, struct phial_filters *ret_filters,
				     struct phial_error *err)
{
	const struct allow_list worker = {
		.calls = worker_calls,
		.call_count = PHIAL_COUNT(worker_calls),
		.more_calls = user_worker_calls,
		.more_call_count = is_user ? PHIAL_COUNT(user_worker_calls) : 0,
		.key_calls = worker_key_calls,
		.key_call_count = PHIAL_COUNT(worker_key_calls),
	};
	static const struct allow_list auditor = {
		.calls = auditor_calls,
		.call_count = PHIAL_COUNT(auditor_calls),
	};
	static const struct allow_list filler = {
		.calls = filler_calls,
		.call_count = PHIAL_COUNT(filler_calls),
		.key_calls = filler_key_calls,
		.key_call_count = PHIAL_COUNT(filler_key_calls),
	};
	static const struct allow_list mounter = {
		.calls = mounter_calls,
		.call_count = PHIAL_COUNT(mounter_calls),
	};
	static const struct allow_list notifier = {
		.calls = notifier_calls,
		.call_count = PHIAL_COUNT(notifier_calls),
	};
	enum phial_status status = compile(&worker, &ret_filters->worker, err);

	if (status == PHIAL_OK) {
		status = compile(&auditor, &ret_filters->auditor, err);
	}
	if (status == PHIAL_OK) {
		status = compile(&filler, &ret_filters->filler, err);
	}
	if (status == PHIAL_OK) {
		status = compile(&mounter, &ret_filters->mounter, err);
	}
	return status == PHIAL_OK ? compile(&notifier, &ret_filters->notifier, err) : status;
}

static enum phial_status load_filter(const struct phial_filter *filter, struct phial_error *err)
{
	struct sock_fprog program = {
		.len = (unsigned short)(filter->length_bytes / sizeof(struct sock_filter)),
		.filter = filter->program,
	};

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "load seccomp filter");
	}
	return PHIAL_OK;
}

static enum phial_status enter_empty_root(const char *empty_dir, struct phial_error *err)
{
	if (chroot(empty_dir) != 0 || chdir("/") != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "chroot to %s", empty_dir);
	}
	return PHIAL_OK;
}

static enum phial_status forbid_processes(struct phial_error *err)
{
	const struct rlimit none = { 0, 0 };

	if (setrlimit(RLIMIT_NPROC, &none) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "setrlimit RLIMIT_NPROC");
	}
	return PHIAL_OK;
}

enum phial_status phial_sandbox_supervisor(struct phial_error *err)
{
	const uint64_t keep = PHIAL_CAPABILITY(CAP_SYS_ADMIN) | PHIAL_CAPABILITY(CAP_SETUID) |
			      PHIAL_CAPABILITY(CAP_SETGID) | PHIAL_CAPABILITY(CAP_SYS_CHROOT) |
			      PHIAL_CAPABILITY(CAP_KILL) | PHIAL_CAPABILITY(CAP_CHOWN) |
			      PHIAL_CAPABILITY(CAP_DAC_OVERRIDE) | PHIAL_CAPABILITY(CAP_FOWNER) |
			      PHIAL_CAPABILITY(CAP_IPC_LOCK) | PHIAL_CAPABILITY(CAP_SYS_PTRACE);

	return phial_capabilities_keep(keep, err);
}

/* What is mapped now, the stack among it, stays in RAM; later secrets lock themselves. */
static enum phial_status lock_memory(struct phial_error *err)
{
	if (mlockall(MCL_CURRENT | MCL_ONFAULT) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "mlockall");
	}
	return PHIAL_OK;
}

/* A user's limit is less than a process with its libraries maps: the stack alone. */
static enum phial_status lock_stack(struct phial_error *err)
{
	volatile uint8_t stack[STACK_LOCKED_BYTES];

	/* It grows by being touched; what lies below the lowest page is not there yet. */
	for (size_t i = 0; i < sizeof(stack); i += PAGE_BYTES) {
		stack[i] = 0;
	}
	if (mlock((const void *)(uintptr_t)stack, sizeof(stack)) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno,
				  "lock the worker's stack in memory (RLIMIT_MEMLOCK, ulimit -l)");
	}
	return PHIAL_OK;
}

static enum phial_status become_user(uid_t uid, gid_t gid, struct phial_error *err)
{
	if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 ||
	    setresuid(uid, uid, uid) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "become uid %u", (unsigned int)uid);
	}
	return PHIAL_OK;
}

enum phial_status phial_sandbox_worker(const struct phial_filter *filter, const char *empty_dir,
				       const struct phial_agent_options *options,
				       struct phial_error *err)
{
	enum phial_status status = enter_empty_root(empty_dir, err);

	if (status == PHIAL_OK) {
		status = options->is_user ? lock_stack(err) : lock_memory(err);
	}
	if (status == PHIAL_OK && !options->is_user) {
		status = become_user(options->uid, options->gid, err);
	}
	if (status == PHIAL_OK) {
		status = phial_capabilities_keep(0, err);
	}
	if (status == PHIAL_OK) {
		status = forbid_processes(err);
	}
	/* The change of uid made the process dumpable again and took its death signal away. */
	if (status == PHIAL_OK && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) {
		status = phial_fail(err, PHIAL_SYSTEM, errno, "prctl PR_SET_PDEATHSIG");
	}
	if (status == PHIAL_OK) {
		status = phial_process_forbid_dump(err);
	}
	return status == PHIAL_OK ? load_filter(filter, err) : status;
}

enum phial_status phial_sandbox_filler(const struct phial_filter *filter, const char *empty_dir,
				       struct phial_error *err)
{
	const uint64_t keep = PHIAL_CAPABILITY(CAP_CHOWN) | PHIAL_CAPABILITY(CAP_DAC_OVERRIDE) |
			      PHIAL_CAPABILITY(CAP_FOWNER);
	enum phial_status status = enter_empty_root(empty_dir, err);

	if (status == PHIAL_OK) {
		status = phial_capabilities_keep(keep, err);
	}
	return status == PHIAL_OK ? load_filter(filter, err) : status;
}

enum phial_status phial_sandbox_mounter(const struct phial_filter *filter, struct phial_error *err)
{
	enum phial_status status = phial_inject_cut_capabilities(err);

	return status == PHIAL_OK ? load_filter(filter, err) : status;
}

enum phial_status phial_sandbox_notifier(const struct phial_filter *filter, struct phial_error *err)
{
	const uint64_t keep = PHIAL_CAPABILITY(CAP_KILL) | PHIAL_CAPABILITY(CAP_SYS_PTRACE);
	enum phial_status status = phial_capabilities_keep(keep, err);

	return status == PHIAL_OK ? load_filter(filter, err) : status;
}
