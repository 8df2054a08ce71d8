#include "net/loop.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#include "base/mem.h"

struct deferred {
	struct deferred *next;
	void (*fn)(void *user);
	void *user;
};

struct loop {
	uv_loop_t uv;
	uv_async_t keep; /* keeps uv_run going while nothing else is active */
	uv_idle_t idle;  /* active while something is deferred */
	struct deferred *first, **last;
	int dispatching;
};

struct watch {
	uv_poll_t uv;
	struct loop *loop;
	watch_fn *fn;
	void *user;
	int events;
	int closing;
};

struct timer {
	uv_timer_t uv;
	struct loop *loop;
	timer_fn *fn;
	void *user;
};

struct signal_watch {
	uv_signal_t uv;
	struct loop *loop;
	signal_fn *fn;
	void *user;
};

struct child {
	uv_process_t uv;
	struct loop *loop;
	child_fn *fn;
	void *user;
};

struct work {
	uv_work_t uv;
	struct loop *loop;
	void (*run)(void *user);
	void (*done)(void *user);
	void *user;
};

/* Every callback is between these two: that is the proof that none is nested. */
static void
enter(struct loop *loop)
{
	assert(!loop->dispatching);
	loop->dispatching = 1;
}

static void
leave(struct loop *loop)
{
	loop->dispatching = 0;
}

/* The handle is the first member of each of our objects. */
static void
free_handle(uv_handle_t *handle)
{
	free(handle->data);
}

/* What is deferred by a deferred call waits for the next round: the loop cannot starve. */
static void
on_idle(uv_idle_t *idle)
{
	struct loop *loop = idle->data;
	struct deferred *d = loop->first;
	loop->first = NULL;
	loop->last = &loop->first;
	while (d) {
		struct deferred *next = d->next;
		enter(loop);
		d->fn(d->user);
		leave(loop);
		free(d);
		d = next;
	}
	if (!loop->first)
		uv_idle_stop(&loop->idle);
}

struct loop *
loop_new(void)
{
	struct loop *loop = mem_new(sizeof *loop);
	loop->last = &loop->first;
	signal(SIGPIPE, SIG_IGN);
	if (uv_loop_init(&loop->uv) < 0 || uv_async_init(&loop->uv, &loop->keep, NULL) < 0 ||
		uv_idle_init(&loop->uv, &loop->idle) < 0)
		abort();
	loop->idle.data = loop;
	return loop;
}

/* A child that still runs has no object to free. */
static void
close_child(uv_handle_t *handle, void *user)
{
	(void)user;
	if (handle->type == UV_PROCESS && !uv_is_closing(handle))
		uv_close(handle, free_handle);
}

void
loop_free(struct loop *loop)
{
	if (!loop)
		return;
	assert(!loop->dispatching);
	uv_walk(&loop->uv, close_child, NULL);
	uv_close((uv_handle_t *)&loop->keep, NULL);
	uv_run(&loop->uv,
		UV_RUN_DEFAULT); /* closes handles, waits for the pool, runs what is deferred */
	uv_close((uv_handle_t *)&loop->idle, NULL);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	int r = uv_loop_close(&loop->uv);
	assert(r == 0);
	(void)r;
	free(loop);
}

void
loop_run(struct loop *loop)
{
	assert(!loop->dispatching);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void
loop_stop(struct loop *loop)
{
	uv_stop(&loop->uv);
}

void
loop_defer(struct loop *loop, void (*fn)(void *user), void *user)
{
	struct deferred *d = mem_new(sizeof *d);
	d->fn = fn;
	d->user = user;
	*loop->last = d;
	loop->last = &d->next;
	uv_idle_start(&loop->idle, on_idle);
}

static void
on_work(uv_work_t *uv)
{
	struct work *work = uv->data;
	work->run(work->user);
}

static void
on_work_done(uv_work_t *uv, int status)
{
	struct work *work = uv->data;
	(void)status;
	enter(work->loop);
	work->done(work->user);
	leave(work->loop);
	free(work);
}

void
loop_work(struct loop *loop, void (*run)(void *user), void (*done)(void *user), void *user)
{
	struct work *work = mem_new(sizeof *work);
	*work = (struct work){.loop = loop, .run = run, .done = done, .user = user};
	work->uv.data = work;
	int r = uv_queue_work(&loop->uv, &work->uv, on_work, on_work_done);
	assert(r == 0);
	(void)r;
}

static void on_poll(uv_poll_t *uv, int status, int events);

static void
poll_again(struct watch *watch)
{
	int events = (watch->events & WATCH_READ ? UV_READABLE : 0) |
		     (watch->events & WATCH_WRITE ? UV_WRITABLE : 0);
	int r = events ? uv_poll_start(&watch->uv, events, on_poll) : uv_poll_stop(&watch->uv);
	assert(r == 0);
	(void)r;
}

static void
on_poll(uv_poll_t *uv, int status, int events)
{
	struct watch *watch = uv->data;
	int ready =
		(events & UV_READABLE ? WATCH_READ : 0) | (events & UV_WRITABLE ? WATCH_WRITE : 0);
	enter(watch->loop);
	watch->fn(watch->user, status < 0 ? WATCH_READ : ready);
	leave(watch->loop);
	/* libuv stops a handle whose descriptor has an error; ours are level-triggered without
	 * exception */
	if (status < 0 && !watch->closing)
		poll_again(watch);
}

struct watch *
watch_new(struct loop *loop, int fd, watch_fn *fn, void *user)
{
	struct watch *watch = mem_new(sizeof *watch);
	watch->loop = loop;
	watch->fn = fn;
	watch->user = user;
	if (uv_poll_init(&loop->uv, &watch->uv, fd) < 0)
		abort(); /* not a descriptor that can be polled, or watched already: our bug */
	watch->uv.data = watch;
	return watch;
}

void
watch_set(struct watch *watch, int events)
{
	assert(!watch->closing);
	if (events == watch->events)
		return;
	watch->events = events;
	poll_again(watch);
}

void
watch_free(struct watch *watch)
{
	if (!watch)
		return;
	watch->closing = 1;
	uv_close((uv_handle_t *)&watch->uv, free_handle);
}

static void
on_timer(uv_timer_t *uv)
{
	struct timer *timer = uv->data;
	enter(timer->loop);
	timer->fn(timer->user);
	leave(timer->loop);
}

struct timer *
timer_new(struct loop *loop, timer_fn *fn, void *user)
{
	struct timer *timer = mem_new(sizeof *timer);
	timer->loop = loop;
	timer->fn = fn;
	timer->user = user;
	uv_timer_init(&loop->uv, &timer->uv);
	timer->uv.data = timer;
	return timer;
}

void
timer_start(struct timer *timer, uint64_t after_ms, uint64_t repeat_ms)
{
	uv_update_time(&timer->loop->uv); /* the tick may be old when a callback worked for long */
	/* whole milliseconds are counted: one of them is over in part already */
	uv_timer_start(&timer->uv, on_timer, after_ms ? after_ms + 1 : 0, repeat_ms);
}

void
timer_stop(struct timer *timer)
{
	uv_timer_stop(&timer->uv);
}

void
timer_free(struct timer *timer)
{
	if (timer)
		uv_close((uv_handle_t *)&timer->uv, free_handle);
}

static void
on_signal(uv_signal_t *uv, int number)
{
	struct signal_watch *watch = uv->data;
	enter(watch->loop);
	watch->fn(watch->user, number);
	leave(watch->loop);
}

struct signal_watch *
signal_new(struct loop *loop, int number, signal_fn *fn, void *user)
{
	struct signal_watch *watch = mem_new(sizeof *watch);
	watch->loop = loop;
	watch->fn = fn;
	watch->user = user;
	if (uv_signal_init(&loop->uv, &watch->uv) < 0 ||
		uv_signal_start(&watch->uv, on_signal, number) < 0)
		abort();
	watch->uv.data = watch;
	return watch;
}

void
signal_free(struct signal_watch *watch)
{
	if (watch)
		uv_close((uv_handle_t *)&watch->uv, free_handle);
}

static void
on_exit_status(uv_process_t *uv, int64_t exit_status, int term_signal)
{
	struct child *child = uv->data;
	enter(child->loop);
	child->fn(child->user, uv->pid, (int)(exit_status & 0xff) << 8 | term_signal);
	leave(child->loop);
	uv_close((uv_handle_t *)uv, free_handle);
}

int
child_start(struct loop *loop, char *const argv[], char *const env[], const int *fds,
	size_t fd_count, child_fn *fn, void *user, pid_t *ret_pid)
{
	static char *const no_env[] = {NULL};
	enum {
		STDIO_COUNT = 3
	};
	struct child *child = mem_new(sizeof *child);
	uv_stdio_container_t *stdio = mem_new((STDIO_COUNT + fd_count) * sizeof *stdio);
	child->loop = loop;
	child->fn = fn;
	child->user = user;
	child->uv.data = child;
	stdio[0].flags = UV_IGNORE;
	for (size_t i = 1; i < STDIO_COUNT + fd_count; i++) {
		stdio[i].flags = UV_INHERIT_FD;
		stdio[i].data.fd = i < STDIO_COUNT ? (int)i : fds[i - STDIO_COUNT];
	}
	uv_process_options_t options = {
		.exit_cb = on_exit_status,
		.file = argv[0],
		.args = (char **)(uintptr_t)argv,
		.env = (char **)(uintptr_t)(env ? env : no_env),
		.stdio = stdio,
		.stdio_count = (int)(STDIO_COUNT + fd_count),
	};
	/* libuv relies on close-on-exec: make it true, whatever a library forgot */
	close_range(STDIO_COUNT, ~0U, CLOSE_RANGE_CLOEXEC);
	int r = uv_spawn(&loop->uv, &child->uv, &options);
	free(stdio);
	if (r < 0) {
		uv_close((uv_handle_t *)&child->uv, free_handle);
		return r;
	}
	*ret_pid = child->uv.pid;
	return 0;
}
