/* net/loop: order, lifetimes inside callbacks, children. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "net/loop.h"

static struct loop *loop;
static char trace[64];

static int
set_up(void **state)
{
	(void)state;
	loop = loop_new();
	trace[0] = '\0';
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	loop_free(loop);
	return 0;
}

static void
note(const char *s)
{
	strncat(trace, s, sizeof trace - strlen(trace) - 1);
}

static void
stop(void *user)
{
	(void)user;
	note("s");
	loop_stop(loop);
}

static void
second(void *user)
{
	(void)user;
	note("2");
	loop_defer(loop, stop, NULL);
}

static void
first(void *user)
{
	(void)user;
	note("1");
	loop_defer(loop, stop, NULL);
	note("'");
}

static void
deferred_calls_run_in_order_and_never_nested(void **state)
{
	(void)state;
	loop_defer(loop, first, NULL);
	loop_defer(loop, second, NULL);
	loop_run(loop);
	assert_string_equal(trace, "1'2ss");
}

static void
note_user(void *user)
{
	note(user);
}

static void
loop_free_runs_what_is_deferred(void **state)
{
	(void)state;
	struct loop *other = loop_new();
	loop_defer(other, note_user, "d");
	loop_free(other);
	assert_string_equal(trace, "d");
}

struct pair {
	int fds[2];
	struct watch *watches[2];
	struct timer *timer;
};

static void
free_in_callback(void *user, int ready)
{
	struct pair *p = user;
	assert_true(ready & WATCH_READ);
	note("r");
	watch_free(p->watches[0]);
	watch_free(p->watches[1]);
	close(p->fds[0]);
	close(p->fds[1]);
	loop_defer(loop, stop, NULL);
}

/* Both are readable in the same tick; whichever comes first frees both. */
static void
watch_freed_by_another_is_silent(void **state)
{
	(void)state;
	struct pair p;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p.fds), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(write(p.fds[i], "x", 1), 1);
		p.watches[i] = watch_new(loop, p.fds[i], free_in_callback, &p);
		watch_set(p.watches[i], WATCH_READ);
	}
	loop_run(loop);
	assert_string_equal(trace, "rs");
}

static void
count_three(void *user, int ready)
{
	struct pair *p = user;
	assert_int_equal(ready, WATCH_READ);
	note("e");
	if (strlen(trace) == 3) {
		watch_set(p->watches[0], 0);
		loop_defer(loop, stop, NULL);
	}
}

/* A watcher that does nothing about it is told again: level-triggered, for hang-up too. */
static void
hang_up_counts_as_readable(void **state)
{
	(void)state;
	struct pair p;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p.fds), 0);
	p.watches[0] = watch_new(loop, p.fds[0], count_three, &p);
	watch_set(p.watches[0], WATCH_READ);
	close(p.fds[1]);
	loop_run(loop);
	assert_string_equal(trace, "eees");
	watch_free(p.watches[0]);
	close(p.fds[0]);
}

static void
on_pipe_error(void *user, int ready)
{
	struct pair *p = user;
	assert_int_equal(ready, WATCH_READ); /* only WRITE was asked for */
	count_three(p, ready);
}

/* The reader of a pipe goes away: the poller of the writing end sees an error, which libuv reports
 * once only. */
static void
error_counts_as_readable(void **state)
{
	(void)state;
	struct pair p;
	assert_int_equal(pipe2(p.fds, O_CLOEXEC | O_NONBLOCK), 0);
	while (write(p.fds[1], trace, sizeof trace) > 0)
		;
	close(p.fds[0]);
	p.watches[0] = watch_new(loop, p.fds[1], on_pipe_error, &p);
	watch_set(p.watches[0], WATCH_READ);
	loop_run(loop);
	assert_string_equal(trace, "eees");
	watch_free(p.watches[0]);
	close(p.fds[1]);
}

static void
paused_watch_says_nothing(void **state)
{
	(void)state;
	struct pair p;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p.fds), 0);
	p.watches[0] = watch_new(loop, p.fds[0], count_three, &p);
	p.timer = timer_new(loop, stop, NULL);
	assert_int_equal(write(p.fds[1], "x", 1), 1);
	watch_set(p.watches[0], WATCH_READ);
	watch_set(p.watches[0], 0);
	timer_start(p.timer, 20, 0);
	loop_run(loop);
	assert_string_equal(trace, "s");
	watch_free(p.watches[0]);
	timer_free(p.timer);
	close(p.fds[0]);
	close(p.fds[1]);
}

static void
tick(void *user)
{
	struct pair *p = user;
	note("t");
	if (strlen(trace) == 3) {
		timer_free(p->timer);
		loop_defer(loop, stop, NULL);
	}
}

static void
timer_repeats_until_freed(void **state)
{
	(void)state;
	struct pair p;
	struct mono start = mono_now();
	p.timer = timer_new(loop, tick, &p);
	timer_start(p.timer, 30, 5);
	loop_run(loop);
	assert_string_equal(trace, "ttts");
	assert_in_range(mono_diff_ms(start, mono_now()), 38, 1000);
}

static void
on_usr1(void *user, int number)
{
	struct signal_watch **watch = user;
	assert_int_equal(number, SIGUSR1);
	signal_free(*watch);
	stop(NULL);
}

static void
raise_usr1(void *user)
{
	(void)user;
	raise(SIGUSR1);
}

static void
signal_arrives_on_the_loop(void **state)
{
	(void)state;
	struct signal_watch *watch = signal_new(loop, SIGUSR1, on_usr1, &watch);
	loop_defer(loop, raise_usr1, NULL);
	loop_run(loop);
	assert_string_equal(trace, "s");
}

static void
work(void *user)
{
	*(int *)user += 1;
}

static void
work_done(void *user)
{
	assert_int_equal(*(int *)user, 8);
	stop(NULL);
}

static void
work_comes_back_to_the_loop(void **state)
{
	(void)state;
	int number = 7;
	loop_work(loop, work, work_done, &number);
	loop_run(loop);
	assert_string_equal(trace, "s");
}

struct exited {
	pid_t pid;
	int status;
};

static void
on_exited(void *user, pid_t pid, int status)
{
	struct exited *e = user;
	*e = (struct exited){pid, status};
	loop_stop(loop);
}

static struct exited
run(const char *script, const int *fds, size_t fd_count)
{
	struct exited e = {0};
	pid_t pid;
	char *argv[] = {"/bin/sh", "-c", (char *)(uintptr_t)script, NULL};
	assert_int_equal(child_start(loop, argv, NULL, fds, fd_count, on_exited, &e, &pid), 0);
	loop_run(loop);
	assert_int_equal(e.pid, pid);
	return e;
}

static void
child_status_is_as_wait_gives_it(void **state)
{
	(void)state;
	struct exited e = run("exit 7", NULL, 0);
	assert_true(WIFEXITED(e.status));
	assert_int_equal(WEXITSTATUS(e.status), 7);
	e = run("kill -9 $$", NULL, 0);
	assert_true(WIFSIGNALED(e.status));
	assert_int_equal(WTERMSIG(e.status), 9);
}

/* Descriptors 3 and 4 swapped on the way, a third one left open by a careless library, an
 * environment that must not pass. */
static void
child_sees_its_descriptors_and_nothing_else(void **state)
{
	(void)state;
	int pipes[2];
	char text[256] = "";
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	int careless = dup(0);
	setenv("CANARY", "tweet", 1);
	int fds[2] = {pipes[1], pipes[0]};
	struct exited e = run(
		"cd /proc/self/fd && echo $(echo *) \"[$CANARY]\" >&3; read x || exit 5", fds, 2);
	assert_int_equal(WEXITSTATUS(e.status), 5); /* stdin is /dev/null */
	close(pipes[1]);
	ssize_t n = read(pipes[0], text, sizeof text - 1);
	assert_true(n > 0);
	assert_memory_equal(text, "0 1 2 3 4", 9);
	/* the shell's own descriptor for the directory may follow; the careless one is not among
	 * them */
	char number[16];
	snprintf(number, sizeof number, " %d ", careless);
	if (careless > 10)
		assert_null(strstr(text, number));
	assert_non_null(strstr(text, "[]"));
	close(pipes[0]);
	close(careless);
}

static void
child_that_cannot_start_is_an_error(void **state)
{
	(void)state;
	struct exited e = {0};
	pid_t pid;
	char *argv[] = {"/nonexistent/program", NULL};
	assert_int_equal(child_start(loop, argv, NULL, NULL, 0, on_exited, &e, &pid), -ENOENT);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(deferred_calls_run_in_order_and_never_nested),
		TEST(loop_free_runs_what_is_deferred),
		TEST(watch_freed_by_another_is_silent),
		TEST(hang_up_counts_as_readable),
		TEST(error_counts_as_readable),
		TEST(paused_watch_says_nothing),
		TEST(timer_repeats_until_freed),
		TEST(signal_arrives_on_the_loop),
		TEST(work_comes_back_to_the_loop),
		TEST(child_status_is_as_wait_gives_it),
		TEST(child_sees_its_descriptors_and_nothing_else),
		TEST(child_that_cannot_start_is_an_error),
	};
	return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
