/*
 * engawa-gate for ./bench instructions: keeper and workers run under callgrind, which counts their
 * instructions. They are linked from the gate's own objects; only starting them and giving up
 * rights are ours, because callgrind writes what it counted from within the process, which the
 * gate's sandbox does not let it do. Never installed.
 *
 *   COUNTS=DIRECTORY counted_gate …    as engawa-gate; writes DIRECTORY/ROLE.PID and more
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/sandbox.h"
#include "base/str.h"
#include "gate/process.h"

int __wrap_process_start(struct process *process, const char *role);
int __wrap_sandbox_user(const char *user, const char *chroot_directory);
int __wrap_sandbox_no_files(void);
int __wrap_sandbox_calls(enum sandbox_profile profile);

int
__wrap_process_start(struct process *process, const char *role)
{
	char program[PATH_MAX] = "", out[PATH_MAX];
	const char *directory = getenv("COUNTS");
	if (!directory || readlink("/proc/self/exe", program, sizeof program - 1) < 0 ||
		str_print(out, sizeof out, "--callgrind-out-file=%s/%s.%%p", directory, role) < 0)
		return -EINVAL;
	char *const argv[] = {(char *)(uintptr_t) "valgrind",
		(char *)(uintptr_t) "--tool=callgrind", (char *)(uintptr_t) "-q", out, program,
		(char *)(uintptr_t)role, NULL};
	return process_start_other(process, "/usr/bin/valgrind", argv);
}

int
__wrap_sandbox_user(const char *user, const char *chroot_directory)
{
	(void)user, (void)chroot_directory;
	return 0;
}

int
__wrap_sandbox_no_files(void)
{
	return 0;
}

int
__wrap_sandbox_calls(enum sandbox_profile profile)
{
	(void)profile;
	return 0;
}
