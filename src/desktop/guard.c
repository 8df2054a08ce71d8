#include "desktop/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/err.h"
#include "base/ipc.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sandbox.h"
#include "base/wire.h"
#include "desktop/guard_display.h"
#include "desktop/guard_input.h"
#include "desktop/guard_journal.h"
#include "desktop/guard_lock.h"
#include "desktop/guard_screen.h"
#include "net/loop.h"

enum {
	START_S = 10,     /* the display and the buses together */
	WATCH_MS = 1000,  /* the X server does not say when somebody changes the colours */
	LOCKING_MS = 200, /* between looks whether it is locked */
	LOCK_AGAIN = 10,  /* looks until it is asked for anew */
};

struct settings {
	char *log_level, *lock_command, *display;
};

static const struct conf_option options[] = {
	{"LOG_LEVEL", CONF_STR, offsetof(struct settings, log_level), "info", 0, 0,
		"lowest level that is written: debug, info, warn or error"},
	{"DISPLAY", CONF_STR, offsetof(struct settings, display), ":0", 0, 0,
		"how the session manager calls the display"},
	{"LOCK_COMMAND", CONF_STR, offsetof(struct settings, lock_command), NULL, 0, 0,
		"shell command that locks the desktop; success means that it is locked"},
	CONF_OPTIONS_END,
};

enum guard_state {
	CHECKING,
	RESTORING, /* what an earlier one left: as LOCKING, then the checks */
	WATCHING,
	LOCKING
};

struct guard {
	struct loop *loop;
	struct guard_run run;
	struct guard_display display;
	struct journal journal;
	struct guard_input input;
	struct lock lock;
	enum guard_state state;
	unsigned looks;
	int over; /* nobody waits for it any more */
	struct timer *timer;
	struct watch *channel, *x, *buses[3];
};

static void
tell(int code)
{
	uint8_t out[4];
	struct wr w = wr_init(out, sizeof out);
	wr_u32(&w, (uint32_t)-code);
	if (ipc_send(GUARD_CHANNEL, GUARD_STATE, out, w.len, -1) < 0)
		LOG(DEBUG, "guard.alone");
}

static void
put_back(struct guard *g)
{
	screen_restore(&g->display, &g->journal);
	input_restore(&g->display, &g->journal);
	guard_display_drop_token(&g->display);
	/* a server that is gone takes everything with it; its journal is dropped by the next */
	if (guard_display_settle(&g->display) < 0)
		return;
	int r = journal_clear(&g->journal);
	LOG(INFO, "guard.off", F_ERR("code", r));
}

static void
leave(struct guard *g)
{
	loop_stop(g->loop);
}

/* ---- what is in force ---- */

static void
begin_locking(struct guard *g, enum guard_state state)
{
	g->state = state;
	g->looks = 0;
	lock_forget(&g->lock);
	if (!lock_is_locked(&g->lock))
		lock_now(&g->lock);
	timer_start(g->timer, 1, LOCKING_MS);
}

/* The session is over for this guard, and the monitor hears why when it was not the monitor's wish.
 */
static void
end(struct guard *g, int code)
{
	if (code)
		LOG(WARN, "guard.end", F_ERR("code", code));
	if (code)
		tell(code);
	if (g->state == WATCHING)
		begin_locking(g, LOCKING);
}

static int
look(struct guard *g)
{
	int r = screen_watch(&g->display, &g->journal);
	int input = input_watch(&g->input);
	if (r == 0)
		r = input;
	if (r == 0 && (guard_display_is_away(&g->display) || lock_is_away(&g->lock)))
		r = -ERR_VT_AWAY;
	if (r == 0 && !(g->run.flags & GUARD_SHOW_LOCKED) &&
		(lock_is_locked(&g->lock) || guard_display_is_covered(&g->display)))
		r = -ERR_DESKTOP_LOCKED;
	return r;
}

static int check_and_arm(struct guard *g);

/* A command fails where a lock that tells nobody is on already. */
static int
is_locked(struct guard *g)
{
	return lock_is_locked(&g->lock) || guard_display_is_covered(&g->display) ||
	       (lock_has_failed(&g->lock) && guard_display_is_held(&g->display));
}

/* Nothing is put back before it is locked: who sits there would have the desktop of the person at
 * home. */
static void
try_locked(struct guard *g)
{
	lock_look(&g->lock);
	if (!is_locked(g)) {
		if (++g->looks % LOCK_AGAIN == 0) {
			LOG(ERROR, "guard.not_locked", F_INT("looks", g->looks));
			lock_now(&g->lock);
		}
		return;
	}
	enum guard_state state = g->state;
	put_back(g);
	if (state == LOCKING || g->over || (g->run.flags & GUARD_RESTORE_ONLY)) {
		leave(g);
		return;
	}
	int r = check_and_arm(g);
	tell(r);
	if (r < 0)
		leave(g);
}

static void
on_x(void *user, int ready)
{
	struct guard *g = user;
	xcb_generic_event_t *event;
	int broken = 0;
	(void)ready;
	while ((event = xcb_poll_for_event(g->display.c))) {
		if ((event->response_type & 0x7f) == XCB_GE_GENERIC &&
			input_is_break(&g->input, (const xcb_ge_generic_event_t *)event))
			broken = 1;
		free(event);
	}
	if (xcb_connection_has_error(g->display.c)) {
		end(g, -ERR_NO_DISPLAY);
		leave(g);
		return;
	}
	if (broken && g->state == LOCKING)
		lock_now(&g->lock);
	else if (broken && g->state == WATCHING)
		end(g, -ERR_BREAK_KEY);
	/* something changed: monitors, devices, the virtual terminal */
	int r = g->state == WATCHING ? look(g) : 0;
	if (r < 0)
		end(g, r);
}

static void
on_timer(void *user)
{
	struct guard *g = user;
	lock_hear(&g->lock);
	if (g->state == WATCHING) {
		on_x(g, 0);
		return;
	}
	/* it stays dark until it is locked */
	if (g->state == LOCKING &&
		(screen_watch(&g->display, &g->journal) < 0 || input_watch(&g->input) < 0))
		LOG(DEBUG, "guard.again");
	try_locked(g);
}

static void
on_bus(void *user, int ready)
{
	struct guard *g = user;
	(void)ready;
	lock_hear(&g->lock);
	int r = g->state == WATCHING ? look(g) : 0;
	if (r < 0)
		end(g, r);
}

static void
watch_buses(struct guard *g)
{
	int fds[3];
	lock_fds(&g->lock, fds);
	for (int i = 0; i < 3; i++)
		if (fds[i] >= 0 && !g->buses[i]) {
			g->buses[i] = watch_new(g->loop, fds[i], on_bus, g);
			watch_set(g->buses[i], WATCH_READ);
		}
}

/* ---- the beginning ---- */

static int
check(struct guard *g)
{
	lock_look(&g->lock);
	if (g->lock.is_wayland || guard_display_is_guest(&g->display))
		return -ERR_WAYLAND;
	if (guard_display_is_away(&g->display) || lock_is_away(&g->lock))
		return -ERR_VT_AWAY;
	if (!(g->run.flags & GUARD_SHOW_LOCKED) &&
		(lock_is_locked(&g->lock) || guard_display_is_covered(&g->display) ||
			guard_display_is_held(&g->display)))
		return -ERR_DESKTOP_LOCKED;
	return lock_is_possible(&g->lock) ? 0 : -ERR_NO_LOCK;
}

/* In this order: the journal, the mark on the server, the changes. */
static int
arm(struct guard *g)
{
	uint8_t token[JOURNAL_TOKEN_BYTES];
	if (getrandom(token, sizeof token, 0) != sizeof token ||
		journal_begin(&g->journal, token) < 0)
		return -ERR_SCREEN_JOURNAL;
	guard_display_set_token(&g->display, token);
	int r = guard_display_settle(&g->display);
	if (r == 0)
		r = screen_darken(&g->display, &g->journal);
	if (r == 0)
		r = input_disconnect(&g->input, &g->display, &g->journal);
	if (r < 0)
		put_back(g);
	return r;
}

static int
check_and_arm(struct guard *g)
{
	int r = check(g);
	if (r == 0)
		r = arm(g);
	LOG(INFO, "guard.on", F_INT("screens", g->journal.gamma_count),
		F_INT("devices", g->journal.device_count), F_ERR("code", r));
	if (r < 0)
		return r;
	g->state = WATCHING;
	timer_start(g->timer, WATCH_MS, WATCH_MS);
	return 0;
}

/* What an earlier guard of this server has left is put back first. 1: that takes until it is
 * locked. */
static int
take_journal(struct guard *g)
{
	uint8_t token[JOURNAL_TOKEN_BYTES];
	int r = journal_load(&g->journal, GUARD_JOURNAL);
	int marked = guard_display_token(&g->display, token);
	if (r < 0)
		return r == -ERR_STATE_DAMAGED ? r : -ERR_SCREEN_JOURNAL;
	if (g->journal.used && marked && memcmp(token, g->journal.token, sizeof token) == 0) {
		LOG(WARN, "guard.left", F_INT("screens", g->journal.gamma_count),
			F_INT("devices", g->journal.device_count));
		return 1;
	}
	if (marked) {
		LOG(ERROR, "guard.journal_lost");
		screen_light(&g->display);
		input_adopt(&g->display);
		guard_display_drop_token(&g->display);
		guard_display_settle(&g->display);
	}
	return g->journal.used && journal_clear(&g->journal) < 0 ? -ERR_SCREEN_JOURNAL : 0;
}

static int
begin(struct guard *g)
{
	int r = take_journal(g);
	if (r == 1) {
		/* what was noted is watched over until it is put back */
		g->input = (struct guard_input){.display = &g->display, .journal = &g->journal};
		begin_locking(g, RESTORING);
		return 0;
	}
	if (r < 0 || (g->run.flags & GUARD_RESTORE_ONLY))
		return r < 0 ? r : 1;
	r = check_and_arm(g);
	tell(r);
	return r < 0 ? 1 : 0;
}

static void
on_signal(void *user, int number)
{
	struct guard *g = user;
	(void)number;
	if (g->state == WATCHING)
		end(g, -ERR_GUARD_LOST);
	else if (g->state == CHECKING)
		leave(g);
}

static void
on_channel(void *user, int ready)
{
	struct guard *g = user;
	uint8_t payload[GUARD_RUN_MAX_BYTES];
	uint16_t type;
	(void)ready;
	int n = ipc_recv(GUARD_CHANNEL, &type, payload, sizeof payload, NULL);
	if (n == -EAGAIN)
		return;
	/* the end of the session, or of the monitor: nobody needs to hear why */
	watch_set(g->channel, 0);
	g->over = 1;
	if (g->state == WATCHING)
		end(g, 0);
	else if (g->state == CHECKING)
		leave(g);
}

static int
read_run(struct guard_run *ret_run)
{
	uint8_t payload[GUARD_RUN_MAX_BYTES];
	uint16_t type;
	int n = ipc_recv(GUARD_CHANNEL, &type, payload, sizeof payload, NULL);
	int r = n < 0               ? n
		: type != GUARD_RUN ? -ERR_PROTOCOL
				    : guard_run_get(payload, (size_t)n, ret_run);
	mem_wipe(payload, sizeof payload);
	return r;
}

static int
give_up_rights(void)
{
	int r = sandbox_no_files();
	if (r == 0)
		r = sandbox_calls(SANDBOX_STORE);
	if (r < 0)
		LOG(ERROR, "guard.sandbox_failed", F_ERR("why", r));
	return r < 0 ? -ERR_INTERNAL : 0;
}

static int
open_all(struct guard *g, const struct settings *settings)
{
	int r = read_run(&g->run);
	if (r < 0)
		return r;
	lock_open(&g->lock, settings->display, settings->lock_command);
	r = guard_display_open(&g->display, GUARD_DISPLAY, &g->run);
	mem_wipe(g->run.auth_data, sizeof g->run.auth_data);
	return r;
}

static int
run(struct guard *g, const struct settings *settings)
{
	alarm(START_S); /* a display that does not answer: the monitor sees the end */
	int r = open_all(g, settings);
	alarm(0); /* no call for it afterwards */
	if (r == 0)
		r = give_up_rights();
	if (r < 0) {
		tell(r);
		return r;
	}
	fcntl(GUARD_CHANNEL, F_SETFL, O_NONBLOCK);
	g->timer = timer_new(g->loop, on_timer, g);
	struct signal_watch *term = signal_new(g->loop, SIGTERM, on_signal, g);
	struct signal_watch *interrupt = signal_new(g->loop, SIGINT, on_signal, g);
	g->channel = watch_new(g->loop, GUARD_CHANNEL, on_channel, g);
	watch_set(g->channel, WATCH_READ);
	g->x = watch_new(g->loop, xcb_get_file_descriptor(g->display.c), on_x, g);
	watch_set(g->x, WATCH_READ);
	watch_buses(g);
	r = begin(g);
	if (r < 0)
		tell(r);
	if (r == 0)
		loop_run(g->loop);
	signal_free(term);
	signal_free(interrupt);
	return r < 0 ? r : 0;
}

int
main(int argc, char **argv)
{
	struct settings settings = {0};
	struct guard *g = mem_new(sizeof *g);
	enum log_level level;
	int rest;
	int r = conf_main(options, &settings, "engawa-guard", argc, argv, &rest);
	if (r != 0)
		return r < 0 ? 2 : 0;
	if (rest < argc || log_level_parse(settings.log_level, &level) < 0)
		return 2;
	log_open("engawa-guard", level, -1);
	g->loop = loop_new();
	r = run(g, &settings);
	lock_close(&g->lock);
	guard_display_close(&g->display);
	journal_fini(&g->journal);
	return r < 0;
}
