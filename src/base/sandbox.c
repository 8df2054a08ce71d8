#include "base/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"

int
sandbox_user(const char *user, const char *chroot_directory)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	if (geteuid() != 0)
		return 0;
	struct passwd *pw = getpwnam(user);
	if (!pw)
		return -ERR_NOT_FOUND;
	uid_t uid = pw->pw_uid;
	gid_t gid = pw->pw_gid;
	if (chroot_directory && (chroot(chroot_directory) < 0 || chdir("/") < 0))
		return -errno;
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return -errno;
	return 0;
}

int
sandbox_no_files(void)
{
	/* every right of the first version of Landlock: no kernel that has it refuses them */
	struct landlock_ruleset_attr attr = {
		.handled_access_fs = 2 * LANDLOCK_ACCESS_FS_MAKE_SYM - 1};
	int fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
	if (fd < 0)
		return errno == ENOSYS || errno == EOPNOTSUPP ? 0 : -errno;
	int r = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
				syscall(SYS_landlock_restrict_self, fd, 0) < 0
			? -errno
			: 0;
	close(fd);
	return r;
}

int
sandbox_reads(const char *const *paths)
{
	enum {
		READ = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
		       LANDLOCK_ACCESS_FS_EXECUTE
	};
	struct landlock_ruleset_attr attr = {
		.handled_access_fs = 2 * LANDLOCK_ACCESS_FS_MAKE_SYM - 1};
	int r = 0, fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
	if (fd < 0)
		return errno == ENOSYS || errno == EOPNOTSUPP ? 0 : -errno;
	for (; r == 0 && *paths; paths++) {
		struct stat st;
		struct landlock_path_beneath_attr beneath = {
			.parent_fd = open(*paths, O_PATH | O_CLOEXEC)};
		if (beneath.parent_fd < 0)
			continue; /* not on this system */
		int is_dir = fstat(beneath.parent_fd, &st) == 0 && S_ISDIR(st.st_mode);
		beneath.allowed_access = is_dir ? READ : LANDLOCK_ACCESS_FS_READ_FILE;
		if (syscall(SYS_landlock_add_rule, fd, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) < 0)
			r = -errno;
		close(beneath.parent_fd);
	}
	if (r == 0 && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
			      syscall(SYS_landlock_restrict_self, fd, 0) < 0))
		r = -errno;
	close(fd);
	return r;
}

/* A call that is allowed; where mask is not 0, only if (argument & mask) == value. */
struct rule {
	int call;
	unsigned argument;
	uint64_t mask, value;
};

#define ALL UINT64_MAX
#define CALL(name)                      \
	{                               \
		SCMP_SYS(name), 0, 0, 0 \
	}
#define CALL_IF(name, argument, mask, value)          \
	{                                             \
		SCMP_SYS(name), argument, mask, value \
	}

static const struct rule io_rules[] = {CALL(read), CALL(readv), CALL(write), CALL(writev),
	CALL(pread64), CALL(sendmsg), CALL(sendto), CALL(sendmmsg), CALL(recvmsg), CALL(recvfrom),
	CALL(recvmmsg), CALL(close), CALL(shutdown), CALL(poll), CALL(ppoll), CALL(pselect6),
	CALL(epoll_create1), CALL(epoll_ctl), CALL(epoll_wait), CALL(epoll_pwait), CALL(eventfd2),
	CALL(pipe2), CALL(accept4), CALL(getsockopt), CALL(getsockname), CALL(getpeername),
	CALL(fcntl), CALL(dup), CALL(fstat), CALL(newfstatat), CALL(lseek), CALL(munmap),
	CALL(mremap), CALL(madvise), CALL(brk), CALL(futex), CALL(clock_gettime),
	CALL(clock_nanosleep), CALL(nanosleep), CALL(gettimeofday), CALL(time), CALL(getrandom),
	CALL(getpid), CALL(gettid), CALL(getuid), CALL(geteuid), CALL(getgid), CALL(getegid),
	CALL(rt_sigaction), CALL(rt_sigprocmask), CALL(rt_sigreturn), CALL(sigaltstack),
	CALL(restart_syscall), CALL(sched_yield), CALL(sched_getaffinity), CALL(getrusage),
	CALL(exit), CALL(exit_group), CALL(uname), CALL(rseq), CALL(getppid),
	/* limits of this process only */
	CALL_IF(prlimit64, 0, ALL, 0),
	/* what libuv and stdio ask; nothing that types into somebody's terminal (TIOCSTI) */
	CALL_IF(ioctl, 1, ALL, FIONBIO), CALL_IF(ioctl, 1, ALL, FIONREAD),
	CALL_IF(ioctl, 1, ALL, FIOCLEX), CALL_IF(ioctl, 1, ALL, FIONCLEX),
	CALL_IF(ioctl, 1, ALL, TCGETS), CALL_IF(ioctl, 1, ALL, TIOCGWINSZ),
	CALL_IF(ioctl, 1, ALL, TIOCOUTQ)};

/* Bytes that came from outside never become code. (Name services are plug-ins, so not for
 * SANDBOX_NETWORK.) */
static const struct rule no_code_rules[] = {
	CALL_IF(mmap, 2, PROT_EXEC, 0), CALL_IF(mprotect, 2, PROT_EXEC, 0)};

/* Threads, and a deadline for what does not ask the time itself. */
static const struct rule foreign_rules[] = {CALL(alarm), CALL(setitimer), CALL(set_robust_list),
	CALL(membarrier), CALL(prctl), CALL(sysinfo), CALL(sched_setaffinity),
	CALL_IF(clone, 0, CLONE_THREAD, CLONE_THREAD)};

/* What such a library tries in good faith gets this answer instead of death. A directory that it
 * insists on having of its own it is told to have. */
static const struct {
	int call, answer;
} foreign_answers[] = {{SCMP_SYS(open), EACCES}, {SCMP_SYS(openat), EACCES},
	{SCMP_SYS(access), EACCES}, {SCMP_SYS(faccessat2), EACCES}, {SCMP_SYS(readlink), EACCES},
	{SCMP_SYS(stat), EACCES}, {SCMP_SYS(lstat), EACCES}, {SCMP_SYS(statx), EACCES},
	{SCMP_SYS(socket), EACCES}, {SCMP_SYS(connect), EACCES}, {SCMP_SYS(mkdir), EEXIST}};

/* What SQLite does with its files, and threads for long computations. Which files: the user's
 * rights decide. */
static const struct rule store_rules[] = {CALL(open), CALL(openat), CALL(stat), CALL(lstat),
	CALL(statx), CALL(access), CALL(readlink), CALL(unlink), CALL(mkdir), CALL(rmdir),
	CALL(pwrite64), CALL(ftruncate), CALL(fallocate), CALL(fsync), CALL(fdatasync),
	CALL(fchmod), CALL(fchown), CALL(set_robust_list), CALL(membarrier),
	CALL(sched_setaffinity), CALL(prctl), CALL_IF(clone, 0, CLONE_THREAD, CLONE_THREAD)};

/* libuv resolves names on its thread pool; the resolver reads files and asks by UDP. */
static const struct rule network_rules[] = {CALL(mmap), CALL(mprotect), CALL(connect), CALL(bind),
	CALL(stat), CALL(access), CALL(readlink), CALL(set_robust_list), CALL(statx),
	CALL(getdents64), CALL(prctl), CALL(sysinfo), CALL(membarrier), CALL(set_tid_address),
	CALL(sched_setaffinity), CALL_IF(socket, 0, ALL, AF_INET),
	CALL_IF(socket, 0, ALL, AF_INET6), CALL_IF(socket, 0, ALL, AF_NETLINK),
	/* libcurl's threads tell each other through pairs */
	CALL_IF(socketpair, 0, ALL, AF_UNIX),
	CALL_IF(openat, 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY),
	CALL_IF(open, 1, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY),
	/* threads, no processes */
	CALL_IF(clone, 0, CLONE_THREAD, CLONE_THREAD)};

#define RULES(list) list, sizeof list / sizeof list[0]

static int
allow(scmp_filter_ctx filter, const struct rule *rules, size_t count)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < count; i++) {
		struct scmp_arg_cmp if_equal = {
			rules[i].argument, SCMP_CMP_MASKED_EQ, rules[i].mask, rules[i].value};
		r = seccomp_rule_add_array(
			filter, SCMP_ACT_ALLOW, rules[i].call, rules[i].mask != 0, &if_equal);
	}
	return r;
}

/* abort() and its like: a signal to a thread of this process. */
static int
allow_raise(scmp_filter_ctx filter)
{
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
		SCMP_A0(SCMP_CMP_EQ, (uint64_t)getpid()));
}

static int
answer_foreign(scmp_filter_ctx filter)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < sizeof foreign_answers / sizeof foreign_answers[0]; i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ERRNO((uint32_t)foreign_answers[i].answer),
			foreign_answers[i].call, 0);
	return r;
}

/* Every option of a socket but SO_LINGER: a socket that lingers makes the close wait of whoever has
 * it last, so one that is passed to a process with rights would stop that process for as long as
 * the sender likes. A filter cannot say "another number" of the 32 bits that the kernel looks at
 * (the other half of the argument is the caller's to choose); but one of these bits is another. */
static int
allow_options(scmp_filter_ctx filter)
{
	int r = 0;
	for (unsigned bit = 0; r == 0 && bit < 32; bit++) {
		const uint64_t mask = 1ull << bit;
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(setsockopt), 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, mask, ~(uint64_t)SO_LINGER & mask));
	}
	return r;
}

int
sandbox_calls(enum sandbox_profile profile)
{
	/* glibc reads /etc/localtime at the first use of any calendar function, gmtime_r too */
	tzset();
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (!filter)
		return -ENOMEM;
	/* threads that are there already too */
	int r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (r == 0)
		r = allow(filter, RULES(io_rules));
	if (r == 0)
		r = allow_raise(filter);
	if (r == 0)
		r = allow_options(filter);
	if (r == 0 && profile < SANDBOX_NETWORK)
		r = allow(filter, RULES(no_code_rules));
	if (r == 0 && profile == SANDBOX_STORE)
		r = allow(filter, RULES(store_rules));
	if (r == 0 && profile >= SANDBOX_NETWORK)
		r = allow(filter, RULES(network_rules));
	if (r == 0 && profile == SANDBOX_FOREIGN)
		r = allow(filter, RULES(foreign_rules));
	if (r == 0 && profile == SANDBOX_FOREIGN)
		r = answer_foreign(filter);
	/* the person's own sockets (display, session bus) would do whatever they are asked; the resolver goes on
	 * without its cache */
	if (r == 0 && profile >= SANDBOX_NETWORK)
		r = seccomp_rule_add(filter,
			profile == SANDBOX_NETWORK ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EAFNOSUPPORT),
			SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
	/* its flags are behind a pointer, where a filter cannot look: glibc falls back to clone */
	if (r == 0 && profile != SANDBOX_IO)
		r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r;
}
