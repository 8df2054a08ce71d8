/* base/sandbox: in a child each, what a process can still do, and what ends it. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sandbox.h"

typedef void action_fn(void);

/* Exit status of a child that does this inside a profile, or minus the signal that ended it. */
static int
run(enum sandbox_profile profile, action_fn *action)
{
	int status;
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		struct rlimit none = {0, 0};
		setrlimit(RLIMIT_CORE, &none);
		if (sandbox_calls(profile) < 0)
			_exit(99);
		action();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void
ordinary_work(void)
{
	int fds[2], on = 1;
	char byte = 'x', text[WALL_TEXT_SIZE];
	struct rlimit limit;
	void *memory = malloc(1 << 20);
	if (pipe2(fds, O_CLOEXEC) < 0 || write(fds[1], &byte, 1) != 1 ||
		read(fds[0], &byte, 1) != 1)
		_exit(1);
	if (ioctl(fds[0], FIONBIO, &on) < 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0 || !memory)
		_exit(2);
	free(memory);
	wall_text(text);
	log_open("test", LOG_ERROR, fds[1]);
	LOG(ERROR, "line", F_STR("a", "b"));
	close(fds[0]);
}

static void
open_file(void)
{
	open("/etc/passwd", O_RDONLY);
}

static void
open_for_writing(void)
{
	open("/tmp/engawa-no", O_WRONLY | O_CREAT, 0600);
}

static void
make_socket(void)
{
	socket(AF_INET, SOCK_STREAM, 0);
}

static void
make_packet_socket(void)
{
	socket(AF_PACKET, SOCK_RAW, 0);
}

static void
run_program(void)
{
	execl("/bin/true", "true", NULL);
}

static void
make_process(void)
{
	if (fork() == 0)
		_exit(0);
}

static void
kill_parent(void)
{
	kill(getppid(), SIGCONT);
}

static void
kill_parent_thread(void)
{
	syscall(SYS_tgkill, getppid(), getppid(), SIGCONT);
}

static void
type_into_terminal(void)
{
	char c = '\n';
	ioctl(0, TIOCSTI, &c);
}

/* What every program of ours, libuv and the resolver set. */
static void
set_options(int sock)
{
	static const int numbers[] = {SO_REUSEADDR, SO_SNDBUF, SO_RCVBUF, SO_KEEPALIVE};
	int on = 1;
	struct timeval limit = {1, 0};
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		if (setsockopt(sock, SOL_SOCKET, numbers[i], &on, sizeof on) < 0)
			_exit(1);
	if (setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0 ||
		setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0 ||
		setsockopt(sock, IPPROTO_TCP, TCP_USER_TIMEOUT, &on, sizeof on) < 0 ||
		setsockopt(sock, IPPROTO_IP, IP_RECVERR, &on, sizeof on) < 0)
		_exit(2);
}

/* -1, or from before the sandbox. */
static int tcp_socket = -1;

static void
harmless_options(void)
{
	set_options(tcp_socket);
}

static void
linger(void)
{
	struct linger hour = {1, 3600};
	setsockopt(tcp_socket, SOL_SOCKET, SO_LINGER, &hour, sizeof hour);
}

/* The kernel takes 32 bits for the option's number, a filter sees 64. */
static void
linger_disguised(void)
{
	struct linger hour = {1, 3600};
	syscall(SYS_setsockopt, tcp_socket, SOL_SOCKET, 1ull << 32 | SO_LINGER, &hour, sizeof hour);
}

/* A hostile network process would pass a socket that lingers to the monitor, or to the gate's
 * parent: its close would stand still for an hour, and the whole program with it. It ends
 * instead. */
static void
test_attack_socket_that_lingers(void **state)
{
	static const enum sandbox_profile profiles[] = {SANDBOX_IO, SANDBOX_STORE, SANDBOX_NETWORK};
	(void)state;
	tcp_socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(tcp_socket >= 0);
	for (size_t i = 0; i < sizeof profiles / sizeof profiles[0]; i++) {
		assert_int_equal(run(profiles[i], harmless_options), 0);
		assert_int_equal(run(profiles[i], linger), -SIGSYS);
		assert_int_equal(run(profiles[i], linger_disguised), -SIGSYS);
	}
	close(tcp_socket);
}

static void
make_code(void)
{
	mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void
make_code_later(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		_exit(1);
	mprotect(p, 4096, PROT_READ | PROT_EXEC);
}

static void
limit_parent(void)
{
	struct rlimit limit = {10, 10};
	syscall(SYS_prlimit64, getppid(), RLIMIT_NOFILE, &limit, NULL);
}

static void *
nothing(void *unused)
{
	return unused;
}

static void
make_thread(void)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, nothing, NULL) != 0 || pthread_join(thread, NULL) != 0)
		_exit(1);
}

static void
test_io(void **state)
{
	(void)state;
	static action_fn *const deadly[] = {open_file, open_for_writing, make_socket, run_program,
		make_process, kill_parent, kill_parent_thread, type_into_terminal, make_code,
		make_code_later, limit_parent};
	assert_int_equal(run(SANDBOX_IO, ordinary_work), 0);
	assert_int_equal(run(SANDBOX_IO, abort), -SIGABRT);
	for (size_t i = 0; i < sizeof deadly / sizeof deadly[0]; i++)
		assert_int_equal(run(SANDBOX_IO, deadly[i]), -SIGSYS);
}

/* What a library tries in good faith is refused, not deadly. */
static void
be_refused(void)
{
	struct stat st;
	if (open("/etc/passwd", O_RDONLY) >= 0 || errno != EACCES ||
		socket(AF_INET, SOCK_STREAM, 0) >= 0 || errno != EACCES ||
		socket(AF_UNIX, SOCK_STREAM, 0) >= 0 || access("/etc/passwd", F_OK) == 0)
		_exit(1);
	/* told to be there, and is not */
	if (mkdir("/tmp/engawa-no", 0700) == 0 || errno != EEXIST ||
		stat("/tmp/engawa-no", &st) == 0)
		_exit(2);
	alarm(10);
	alarm(0);
}

static void
test_foreign(void **state)
{
	(void)state;
	static action_fn *const harmless[] = {ordinary_work, make_thread, be_refused};
	static action_fn *const deadly[] = {run_program, make_process, kill_parent,
		kill_parent_thread, type_into_terminal, make_code, make_code_later, limit_parent};
	for (size_t i = 0; i < sizeof harmless / sizeof harmless[0]; i++)
		assert_int_equal(run(SANDBOX_FOREIGN, harmless[i]), 0);
	for (size_t i = 0; i < sizeof deadly / sizeof deadly[0]; i++)
		assert_int_equal(run(SANDBOX_FOREIGN, deadly[i]), -SIGSYS);
}

static void
write_file(void)
{
	char path[] = "/tmp/engawa-sandbox.XXXXXX";
	int fd = mkstemp(path);
	if (fd < 0 || pwrite(fd, "x", 1, 0) != 1 || fsync(fd) < 0 || unlink(path) < 0)
		_exit(1);
}

static void
test_store(void **state)
{
	(void)state;
	static action_fn *const harmless[] = {ordinary_work, open_file, write_file, make_thread};
	static action_fn *const deadly[] = {make_socket, make_packet_socket, run_program,
		make_process, kill_parent, kill_parent_thread, type_into_terminal, make_code,
		make_code_later, limit_parent};
	for (size_t i = 0; i < sizeof harmless / sizeof harmless[0]; i++)
		assert_int_equal(run(SANDBOX_STORE, harmless[i]), 0);
	for (size_t i = 0; i < sizeof deadly / sizeof deadly[0]; i++)
		assert_int_equal(run(SANDBOX_STORE, deadly[i]), -SIGSYS);
}

static void
test_network(void **state)
{
	(void)state;
	static action_fn *const harmless[] = {ordinary_work, open_file, make_socket, make_thread};
	static action_fn *const deadly[] = {open_for_writing, make_packet_socket, run_program,
		make_process, kill_parent, kill_parent_thread, type_into_terminal, limit_parent};
	for (size_t i = 0; i < sizeof harmless / sizeof harmless[0]; i++)
		assert_int_equal(run(SANDBOX_NETWORK, harmless[i]), 0);
	for (size_t i = 0; i < sizeof deadly / sizeof deadly[0]; i++)
		assert_int_equal(run(SANDBOX_NETWORK, deadly[i]), -SIGSYS);
}

static void
without_files(void)
{
	int before = open("/", O_RDONLY | O_DIRECTORY);
	if (before < 0 || sandbox_no_files() < 0)
		_exit(1);
	if (open("/etc/passwd", O_RDONLY) >= 0 || open("/", O_RDONLY | O_DIRECTORY) >= 0 ||
		openat(before, "etc/passwd", O_RDONLY) >= 0)
		_exit(2);
	if (mkfifo("/tmp/engawa-no", 0600) == 0 || mkdir("/tmp/engawa-no", 0700) == 0 ||
		symlink("/", "/tmp/engawa-no") == 0)
		_exit(3);
	_exit(errno == EACCES ? 0 : 4);
}

static void
test_no_files(void **state)
{
	(void)state;
	int status;
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 0)
		skip();
	pid_t pid = fork();
	if (pid == 0)
		without_files();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* As root: what is left after the change of user. */
static void
as_nobody(void)
{
	if (sandbox_user("no-such-user", NULL) >= 0)
		_exit(1);
	if (sandbox_user("nobody", "/proc/self/fdinfo") < 0)
		_exit(2);
	if (getuid() == 0 || geteuid() == 0 || getgroups(0, NULL) != 0)
		_exit(3);
	if (setuid(0) == 0 || setgid(0) == 0 || chroot("/") == 0)
		_exit(4);
	_exit(access("/etc/passwd", F_OK) == 0 ? 5 : 0);
}

static void
test_user(void **state)
{
	(void)state;
	int status;
	if (geteuid() != 0)
		skip();
	pid_t pid = fork();
	if (pid == 0)
		as_nobody();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_io),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_store),
		cmocka_unit_test(test_network),
		cmocka_unit_test(test_attack_socket_that_lingers),
		cmocka_unit_test(test_no_files),
		cmocka_unit_test(test_user),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
