/*
 * The event loop: libuv behind four small objects. One loop per process, one thread.
 * Every callback runs from loop_run and never from inside another callback (asserted); x_free may
 * be called inside a callback, the memory goes at the end of the tick.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct loop;
struct watch;
struct timer;
struct signal_watch;

struct loop *loop_new(void); /* aborts when out of memory; ignores SIGPIPE from now on */
/* All objects must be freed before. Runs what is still deferred and waits for loop_work; children
 * go on unwatched. */
void loop_free(struct loop *loop);
void loop_run(struct loop *loop); /* until loop_stop, then again from there */
void loop_stop(struct loop *loop);

/* Calls fn once, after the current callback has returned; calls are made in the order they were
 * deferred. */
void loop_defer(struct loop *loop, void (*fn)(void *user), void *user);

/* Calls run on a thread of a small pool, then done on the loop. For pure jobs: run touches nothing
 * but what user points to, and that must live until done, which always comes. */
void loop_work(struct loop *loop, void (*run)(void *user), void (*done)(void *user), void *user);

enum {
	WATCH_READ = 1,
	WATCH_WRITE = 2
};
/* ready: the WATCH_ bits (errors and hang-up count as READ). The descriptor stays the caller's. */
typedef void watch_fn(void *user, int ready);
struct watch *watch_new(struct loop *loop, int fd, watch_fn *fn, void *user);
void watch_set(struct watch *watch, int events); /* 0 = paused; new watches are paused */
void watch_free(struct watch *watch);

typedef void timer_fn(void *user);
struct timer *timer_new(struct loop *loop, timer_fn *fn, void *user);
/* Restarts; never fires before after_ms are over. repeat 0 = once. */
void timer_start(struct timer *timer, uint64_t after_ms, uint64_t repeat_ms);
void timer_stop(struct timer *timer);
void timer_free(struct timer *timer);

typedef void signal_fn(void *user, int number);
struct signal_watch *signal_new(struct loop *loop, int number, signal_fn *fn, void *user);
void signal_free(struct signal_watch *signal);

/* Starts argv[0] (a path) with fds[i] at descriptor 3 + i, stdin /dev/null, stdout and stderr ours,
 * everything else closed, environment env (NULL = empty). fn is called once with the exit status as
 * wait(2) gives it; pid by ret. 0 or -errno. */
typedef void child_fn(void *user, pid_t pid, int status);
int child_start(struct loop *loop, char *const argv[], char *const env[], const int *fds,
	size_t fd_count, child_fn *fn, void *user, pid_t *ret_pid);
