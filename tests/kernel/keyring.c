/* SPDX-License-Identifier: ISC */
/*
 * What the agent relies on in the kernel's keyrings, shown without the agent's code: who possesses
 * what, and when it is freed.
 */
#include <fcntl.h>
#include <keyutils.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "tap.h"

#define RING_MASK 0x0f000000
#define KEY_MASK  0x0b000000

static key_serial_t ring;
static key_serial_t key;

static void make_ring(void)
{
	ring = keyctl_join_session_keyring(NULL);
	key = add_key("user", "phial-kernel-test", "canary", 6, ring);
	if (ring < 0 || key < 0 || keyctl_setperm(key, KEY_MASK) ||
	    keyctl_setperm(ring, RING_MASK)) {
		printf("Bail out! keyrings: %s\n", strerror(errno));
		exit(1);
	}
}

static bool can_read(key_serial_t serial)
{
	char byte;

	return keyctl_read(serial, &byte, 1) >= 0;
}

static int stranger_reads(void)
{
	return keyctl_join_session_keyring(NULL) < 0 || can_read(key) || errno != EACCES;
}

static int stranger_of_other_uid_reads(void)
{
	return keyctl_join_session_keyring(NULL) < 0 || setuid(4242) != 0 || can_read(key) ||
	       errno != EACCES;
}

static int stranger_with_links_reads(void)
{
	if (keyctl_join_session_keyring(NULL) < 0) {
		return 1;
	}
	(void)keyctl_link(KEY_SPEC_USER_KEYRING, KEY_SPEC_SESSION_KEYRING);
	(void)keyctl_link(KEY_SPEC_USER_SESSION_KEYRING, KEY_SPEC_SESSION_KEYRING);
	return can_read(key) || keyctl_join_session_keyring("_ses") < 0 || can_read(key);
}

static int heir_of_other_uid_reads(void)
{
	return setresuid(4242, 4242, 4242) != 0 || !can_read(key);
}

static int heir_with_new_session_reads(void)
{
	return keyctl_join_session_keyring(NULL) < 0 || can_read(key);
}

static void who_reads(void)
{
	tap(tap_in_child(stranger_reads) == 0, "K5 another session gets EACCES by serial");
	tap(tap_in_child(stranger_with_links_reads) == 0,
	    "K5 K22 linking @u, @us and joining \"_ses\" give no possession");
	tap(keyctl_setperm(key, 0x3f3f3f3f) < 0 && keyctl_setperm(ring, 0x3f3f3f3f) < 0,
	    "K5 the possessor cannot loosen the masks");
	tap(tap_in_child(heir_with_new_session_reads) == 0, "K10 a new session gives it up");
	if (geteuid() != 0) {
		tap_skip("needs root", "K6 another uid");
		tap_skip("needs root", "K9 possession outlives setresuid");
		return;
	}
	tap(tap_in_child(stranger_of_other_uid_reads) == 0, "K6 another uid gets EACCES");
	tap(tap_in_child(heir_of_other_uid_reads) == 0, "K9 possession outlives setresuid");
}

static void sizes(void)
{
	static char payload[32768];
	key_serial_t largest = add_key("user", "largest", payload, 32767, ring);

	tap(largest >= 0, "K14 a key of 32767 bytes");
	tap(add_key("user", "larger", payload, 32768, ring) < 0 && errno == EINVAL,
	    "K14 one byte more is EINVAL");
	tap(add_key("user", "empty", payload, 0, ring) < 0 && errno == EINVAL,
	    "K14 an empty one is EINVAL");
	(void)keyctl_unlink(largest, ring);
}

static void expiry(void)
{
	key_serial_t brief = add_key("user", "brief", "x", 1, ring);

	tap(keyctl_set_timeout(brief, 1) == 0 && keyctl_setperm(brief, KEY_MASK) == 0,
	    "K16 timeout, then mask");
	for (int i = 0; i < 100 && can_read(brief); i++) {
		(void)usleep(50000);
	}
	tap(!can_read(brief) && errno == EKEYEXPIRED, "K16 an expired key answers EKEYEXPIRED");
	tap(keyctl_invalidate(brief) < 0 && errno == EKEYEXPIRED, "K17 it cannot be invalidated");
	tap(keyctl_unlink(brief, ring) == 0, "K17 but unlinked");
}

/* True once the key is freed: serials are looked up before they are checked. */
static bool is_freed(key_serial_t serial)
{
	char byte;

	for (int i = 0; i < 100; i++) {
		if (keyctl_read(serial, &byte, 1) < 0 && errno == ENOKEY) {
			return true;
		}
		(void)usleep(20000);
	}
	return false;
}

/*
 * An agent in a process of its own, with a key in its ring. listens_first says whether its socket
 * listens before or after it joined that ring. Returns its pid; *ret_key: the key.
 */
static pid_t start_agent(bool listens_first, const struct sockaddr_un *address,
			 key_serial_t *ret_key)
{
	int ready[2];
	pid_t agent;

	if (pipe(ready) != 0 || (agent = fork()) < 0) {
		return -1;
	}
	if (agent == 0) {
		int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (listens_first) {
			(void)keyctl_join_session_keyring(NULL);
			(void)bind(fd, (const struct sockaddr *)address, sizeof(*address));
			(void)listen(fd, 5);
		}
		make_ring();
		if (!listens_first) {
			(void)bind(fd, (const struct sockaddr *)address, sizeof(*address));
			(void)listen(fd, 5);
		}
		if (write(ready[1], &key, sizeof(key)) != (ssize_t)sizeof(key)) {
			_exit(1);
		}
		pause();
		_exit(0);
	}
	bool is_ready = read(ready[0], ret_key, sizeof(*ret_key)) == (ssize_t)sizeof(*ret_key);

	(void)close(ready[0]);
	(void)close(ready[1]);
	return is_ready ? agent : -1;
}

/* Does the agent's key live on after kill -9 while a client keeps its connection? */
static bool client_pins_key(bool listens_first)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	key_serial_t agents_key = -1;
	int client = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/phial-kernel-%d",
		       (int)getpid());
	pid_t agent = start_agent(listens_first, &address, &agents_key);

	if (agent < 0 || connect(client, (const struct sockaddr *)&address, sizeof(address)) != 0) {
		printf("# no agent: %s\n", strerror(errno));
	}
	(void)kill(agent, SIGKILL);
	(void)waitpid(agent, NULL, 0);
	bool pins = !is_freed(agents_key);

	(void)close(client);
	(void)unlink(address.sun_path);
	return pins;
}

static void lifetimes(void)
{
	tap(!client_pins_key(true),
	    "r3 K12 listening before joining: kill -9 frees the key though a client stays");
	/* Not relied upon, but why the order matters. */
	printf("# r3 listening after joining: a client %s the key\n",
	       client_pins_key(false) ? "keeps" : "does not keep");
}

static int worker_reads_and_waits(void)
{
	if (!can_read(key)) {
		return 1;
	}
	(void)kill(getpid(), SIGKILL);
	return 1;
}

static void worker_killed(void)
{
	(void)tap_in_child(worker_reads_and_waits);
	tap(can_read(key), "K11 a killed worker takes no key with it");
}

static void memory_file_payload(void)
{
#ifdef SYS_memfd_secret
	int fd = (int)syscall(SYS_memfd_secret, O_CLOEXEC);
	char *pages = MAP_FAILED;

	if (fd >= 0 && ftruncate(fd, 4096) == 0) {
		pages = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	}
	if (pages == MAP_FAILED) {
		tap_skip("no memfd_secret here", "r13 add_key reads memfd_secret pages");
		return;
	}
	memcpy(pages, "canary", 6);
	tap(add_key("user", "secretmem", pages, 6, ring) >= 0,
	    "r13 add_key reads memfd_secret pages");
#else
	tap_skip("no memfd_secret in these headers", "r13 add_key reads memfd_secret pages");
#endif
}

int main(void)
{
	if (keyctl_join_session_keyring(NULL) < 0) {
		return tap_skip_all("no keyrings here, or a filter blocks them");
	}
	make_ring();
	who_reads();
	sizes();
	expiry();
	worker_killed();
	memory_file_payload();
	lifetimes();
	(void)keyctl_clear(ring);
	return tap_end();
}
