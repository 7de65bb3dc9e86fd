/* SPDX-License-Identifier: ISC */
/*
 * Writes the CDI file. The list of workloads is that of their folders, which only the supervisor
 * makes. Parses nothing: the file that is there is only compared.
 */
#include "agent/cdi.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <phial/sealed.h>

#include "agent/log.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/program.h"
#include "base/text.h"
#include "store/store.h"
#include "wire/hook_protocol.h"
#include "json/json.h"

#define KIND		   "phial.io/workload"
#define FILE_MAX_BYTES	   ((size_t)16 * 1024 * 1024)
#define LEFT_OUT_MAX_BYTES 1024

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The names of devices end with a letter or a digit, ours need not: one bad name spoils a file. */
static bool is_device_name(const char *name)
{
	char last = name[strlen(name) - 1];

	return last != '.' && last != '_' && last != '-';
}

static int is_workload(const struct dirent *entry)
{
	return phial_name_check(entry->d_name, NULL) == PHIAL_OK;
}

static void add_device(struct phial_json *devices, const char *name, const char *hook,
		       const char *run_dir)
{
	struct phial_json *device = phial_json_add_object(devices, NULL);

	phial_json_add_string(device, "name", name);
	struct phial_json *edits = phial_json_add_object(device, "containerEdits");
	struct phial_json *hooks = phial_json_add_array(edits, "hooks");
	struct phial_json *edit = phial_json_add_object(hooks, NULL);

	phial_json_add_string(edit, "hookName", "createRuntime");
	phial_json_add_string(edit, "path", hook);
	struct phial_json *arguments = phial_json_add_array(edit, "args");

	phial_json_add_string(arguments, NULL, "phial-hook");
	phial_json_add_string(arguments, NULL, "--workload");
	phial_json_add_string(arguments, NULL, name);
	if (strcmp(run_dir, PHIAL_RUN_DIR) != 0) {
		phial_json_add_string(arguments, NULL, "--run-dir");
		phial_json_add_string(arguments, NULL, run_dir);
	}
	(void)phial_json_add_array(edit, "env");
	phial_json_add_integer(edit, "timeout", 20);
}

/* The oldest version that has what is used: older engines refuse a newer one. */
static const char *version_for(struct dirent *const *workloads, int count)
{
	for (int i = 0; i < count; i++) {
		if (is_digit(workloads[i]->d_name[0])) {
			return "0.5.0";
		}
	}
	return "0.3.0";
}

/* The whole document. left_out: names of workloads that cannot be devices. */
static enum phial_status make_document(int workload_fd, const char *run_dir, char **ret_text,
				       struct phial_text *left_out, struct phial_error *err)
{
	char hook[PHIAL_PROGRAM_PATH_BYTES];
	struct dirent **workloads = NULL;
	phial_auto_json struct phial_json *root = phial_json_new_object();

	if (!phial_program_find("../libexec/phial", "phial-hook", hook)) {
		return phial_fail(err, PHIAL_NOT_FOUND, 0, "no phial-hook beside this program");
	}
	int count = scandirat(workload_fd, ".", &workloads, is_workload, alphasort);

	if (count < 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "list the workloads");
	}
	phial_json_add_string(root, "cdiVersion", version_for(workloads, count));
	phial_json_add_string(root, "kind", KIND);
	struct phial_json *devices = phial_json_add_array(root, "devices");

	for (int i = 0; i < count; i++) {
		if (is_device_name(workloads[i]->d_name)) {
			add_device(devices, workloads[i]->d_name, hook, run_dir);
		} else {
			phial_text_add(left_out, " %s", workloads[i]->d_name);
		}
		free(workloads[i]);
	}
	free(workloads);
	return phial_json_print(root, ret_text, err);
}

/* True if the file says this already. */
static bool is_same(int fd, const char *text)
{
	phial_auto_free uint8_t *old = NULL;
	size_t length = 0;

	return phial_read_all(fd, FILE_MAX_BYTES, &old, &length, NULL) == PHIAL_OK &&
	       length == strlen(text) && memcmp(old, text, length) == 0;
}

/* Open the file's folder and the file. ret_fd: -1 when it is not there. */
static enum phial_status open_file(const char *file, int *ret_folder_fd, int *ret_fd,
				   struct phial_error *err)
{
	struct stat found;
	phial_auto_free char *folder = strdup(file);

	if (!folder) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "%s", file);
	}
	*(strrchr(folder, '/') + 1) = '\0';
	*ret_folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*ret_fd = *ret_folder_fd < 0 ? -1
				     : openat(*ret_folder_fd, strrchr(file, '/') + 1,
					      O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (*ret_fd < 0) {
		return errno == ENOENT ? PHIAL_OK
				       : phial_fail(err, PHIAL_SYSTEM, errno, "open %s", file);
	}
	if (fstat(*ret_fd, &found) != 0 || !S_ISREG(found.st_mode)) {
		return phial_fail(err, PHIAL_REFUSED, 0, "%s is not a regular file", file);
	}
	return PHIAL_OK;
}

enum phial_status phial_cdi_update(const char *file, int workload_fd, const char *run_dir,
				   struct phial_error *err)
{
	phial_auto_text struct phial_text left_out = { .max = LEFT_OUT_MAX_BYTES };
	phial_auto_free char *text = NULL;
	phial_auto_fd int folder_fd = -1;
	phial_auto_fd int fd = -1;
	enum phial_status status = open_file(file, &folder_fd, &fd, err);

	if (status != PHIAL_OK || fd < 0) {
		return status;
	}
	status = make_document(workload_fd, run_dir, &text, &left_out, err);
	if (status != PHIAL_OK || is_same(fd, text)) {
		return status;
	}
	status =
		phial_store_write(folder_fd, strrchr(file, '/') + 1, text, strlen(text), 0644, err);
	if (status == PHIAL_OK && left_out.length > 0) {
		phial_log("%s: no device for:%s (the name of a device ends with a letter or digit)",
			  file, left_out.bytes);
	}
	return status;
}
