#include "agent/office.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/session.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "desktop/guard.h"

enum {
	GUARD_MS = 10000, /* until it is in force; a lock that has to come first included */
	AGAIN_MS = 1000,  /* between guards that died before they had put everything back */
	AGAIN_MAX = 5,
};

enum guard_state {
	GUARD_OFF,
	GUARD_STARTING,
	GUARD_ON,
	GUARD_LEAVING, /* locks, then puts back */
};

struct office {
	struct agent *agent;
	struct process *guard, *standby, *console;
	enum guard_state state;
	struct mono since; /* of the state */
	uint64_t guarded, ended, left;
	uint32_t last_code;
	int restoring;  /* for no session */
	unsigned again; /* in a row */
	struct timer *timer;
	uint32_t standby_code;
	int console_told; /* for the sessions that follow each other: */
	uint32_t console_code;
};

static int start_guard(struct office *o, int restoring);
static void start_for_session(struct office *o);

static void
enter(struct office *o, enum guard_state state)
{
	o->state = state;
	o->since = mono_now();
}

static int
wants_guard(const struct agent *agent, const struct session *s)
{
	/* an RDP session is on no screen of the office PC */
	return !options_rdp(&agent->options) &&
	       (s->policy.enforce_screen_guard ||
		       (agent->options.screen_guard && !agent->options.display_virtual));
}

static int
open_journal(const struct office *o, int flags)
{
	char path[PATH_MAX];
	int r = state_path(&o->agent->options, "screen-journal", path, sizeof path);
	int fd = r < 0 ? r : open(path, flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
	return r == 0 && fd < 0 ? -errno : fd;
}

/* Whoever has the desktop, or is about to. */
static void
fail(struct office *o, uint32_t code)
{
	LOG(WARN, "office", F_ERR("code", -(int)code));
	o->ended++;
	o->last_code = code;
	if (o->agent->working)
		session_end(o->agent->working, code);
}

/* ---- the guard ---- */

static void
on_display(struct office *o, const uint8_t *payload, size_t len)
{
	uint8_t out[GUARD_RUN_MAX_BYTES];
	struct display_auth auth;
	struct guard_run run = {
		.flags = (uint8_t)((o->restoring ? GUARD_RESTORE_ONLY : 0) |
				   (o->agent->options.locked_desktop ? GUARD_SHOW_LOCKED : 0))};
	if (display_auth_get(payload, len, &auth) < 0)
		return;
	str_copy(run.auth_name, sizeof run.auth_name, auth.name);
	memcpy(run.auth_data, auth.data, auth.data_len);
	run.auth_len = auth.data_len;
	process_send(o->guard, GUARD_RUN, out, guard_run_put(&run, out), -1);
	mem_wipe(&auth, sizeof auth);
	mem_wipe(&run, sizeof run);
	mem_wipe(out, sizeof out);
}

static void
on_state(struct office *o, uint32_t code)
{
	if (code) {
		enter(o, GUARD_LEAVING);
		fail(o, err_find(-(int)code) ? code : ERR_GUARD_LOST);
		return;
	}
	if (o->state != GUARD_STARTING)
		return;
	enter(o, GUARD_ON);
	o->guarded++;
	o->again = 0;
	timer_stop(o->timer);
	if (o->agent->working)
		session_guarded(o->agent->working);
}

static void
on_guard(void *user, enum role role, uint16_t type, const uint8_t *payload, size_t len, int fd)
{
	struct office *o = user;
	uint32_t code;
	(void)role;
	if (fd >= 0)
		close(fd);
	if (type == MSG_DISPLAY && (o->state == GUARD_STARTING || o->restoring))
		on_display(o, payload, len);
	else if (type == GUARD_STATE && code_get(payload, len, &code) == 0)
		on_state(o, code);
}

static int
has_left_something(const struct office *o)
{
	struct stat st;
	int fd = open_journal(o, 0);
	int left = fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0;
	if (fd >= 0)
		close(fd);
	return left;
}

/* However it ended: what it has not put back another one does, for a waiting session or for none.
 */
static void
on_guard_gone(void *user, enum role role, int status)
{
	struct office *o = user;
	const struct session *s = o->agent->working;
	int left = has_left_something(o), was_on = o->state != GUARD_LEAVING;
	(void)role;
	LOG(INFO, "office.guard_gone", F_INT("status", status), F_INT("left", left));
	o->left += (uint64_t)left;
	process_free(o->guard);
	o->guard = NULL;
	enter(o, GUARD_OFF);
	timer_stop(o->timer);
	if (was_on)
		fail(o, ERR_GUARD_LOST);
	else if (s && s->state == SESSION_TURN && wants_guard(o->agent, s) && !o->console) {
		/* it came while the last one's was being put back; console_answer else does it */
		start_for_session(o);
		return;
	}
	if (left && o->again < AGAIN_MAX && !o->agent->stopping)
		timer_start(o->timer, AGAIN_MS, 0);
}

static void
on_timer(void *user)
{
	struct office *o = user;
	if (o->state == GUARD_STARTING) {
		process_leave(o->guard);
		o->guard = NULL;
		enter(o, GUARD_OFF);
		fail(o, ERR_GUARD_LOST);
	} else if (o->state == GUARD_OFF) {
		o->again++;
		start_guard(o, 1);
	}
}

static int
start_guard(struct office *o, int restoring)
{
	static const struct process_events events = {.message = on_guard, .gone = on_guard_gone};
	int journal = open_journal(o, O_CREAT);
	if (journal < 0) {
		LOG(ERROR, "office.journal", F_ERR("code", journal));
		return -ERR_SCREEN_JOURNAL;
	}
	struct process_start start = {.loop = o->agent->loop,
		.options = &o->agent->options,
		.role = ROLE_GUARD,
		.fds = {journal, -1},
		.events = &events,
		.user = o};
	o->restoring = restoring;
	o->guard = process_new(&start);
	close(journal);
	if (!o->guard)
		return -ERR_GUARD_LOST;
	enter(o, restoring ? GUARD_LEAVING : GUARD_STARTING);
	if (!restoring)
		timer_start(o->timer, GUARD_MS, 0);
	return 0;
}

static void
start_for_session(struct office *o)
{
	int r = start_guard(o, 0);
	if (r < 0)
		fail(o, (uint32_t)-r);
}

/* ---- standby ---- */

static void
on_standby(void *user, enum role role, uint16_t type, const uint8_t *payload, size_t len, int fd)
{
	struct office *o = user;
	uint32_t code;
	(void)role;
	if (fd >= 0)
		close(fd);
	if (type != MSG_STANDBY || code_get(payload, len, &code) < 0)
		return;
	LOG(INFO, "office.standby", F_ERR("code", -(int)code));
	o->standby_code = code;
	if (code == ERR_ASLEEP)
		fail(o, code);
	else if (code && o->agent->working)
		office_tell(o->agent, o->agent->working);
}

static void
on_standby_gone(void *user, enum role role, int status)
{
	struct office *o = user;
	(void)role, (void)status;
	process_free(o->standby);
	o->standby = NULL;
}

/* Without a session manager there is nobody who could be asked. */
static int
has_manager(void)
{
	return getenv("DBUS_SYSTEM_BUS_ADDRESS") ||
	       access("/run/dbus/system_bus_socket", F_OK) == 0;
}

static void
stay_awake(struct office *o, const struct session *s)
{
	static const struct process_events events = {
		.message = on_standby, .gone = on_standby_gone};
	struct process_start start = {.loop = o->agent->loop,
		.options = &o->agent->options,
		.role = ROLE_STANDBY,
		.fds = {-1, -1},
		.events = &events,
		.user = o};
	if (!o->standby && o->agent->options.no_standby && !s->policy.disable_no_standby &&
		has_manager())
		o->standby = process_new(&start);
}

/* ---- what stands open on the office PC's own screen ---- */

static int
wants_console(const struct agent *agent, const struct session *s)
{
	const struct options *options = &agent->options;
	return (options_rdp(options) || options->display_virtual) &&
	       (s->policy.enforce_screen_guard || (options->screen_guard && has_manager()));
}

static void
begin_guard(struct office *o, struct session *s)
{
	if (!wants_guard(o->agent, s) || o->state == GUARD_ON)
		session_guarded(s);
	else if (o->state == GUARD_OFF)
		start_for_session(o);
}

/* The session that waits goes on, or ends where policy insists. */
static void
console_answer(struct office *o, uint32_t code)
{
	struct session *s = o->agent->working;
	LOG(INFO, "office.console", F_ERR("code", -(int)code));
	process_free(o->console);
	o->console = NULL;
	o->console_told = 1;
	o->console_code = code;
	if (!s || s->state != SESSION_TURN)
		return;
	if (code && s->policy.enforce_screen_guard)
		fail(o, code);
	else
		begin_guard(o, s);
}

static void
on_console(void *user, enum role role, uint16_t type, const uint8_t *payload, size_t len, int fd)
{
	struct office *o = user;
	uint32_t code;
	(void)role;
	if (fd >= 0)
		close(fd);
	if (type == MSG_CONSOLE && code_get(payload, len, &code) == 0)
		console_answer(o, code ? ERR_CONSOLE_OPEN : 0);
}

static void
on_console_gone(void *user, enum role role, int status)
{
	struct office *o = user;
	(void)role, (void)status;
	console_answer(o, ERR_CONSOLE_OPEN);
}

static void
lock_console(struct office *o)
{
	static const struct process_events events = {
		.message = on_console, .gone = on_console_gone};
	struct process_start start = {.loop = o->agent->loop,
		.options = &o->agent->options,
		.role = ROLE_CONSOLE,
		.fds = {-1, -1},
		.events = &events,
		.user = o};
	if (o->console) /* asked for a session before this one */
		return;
	o->console = process_new(&start);
	if (!o->console)
		console_answer(o, ERR_CONSOLE_OPEN);
}

/* ---- sessions ---- */

void
office_begin(struct agent *agent, struct session *session)
{
	struct office *o = agent->office;
	if (o)
		stay_awake(o, session);
	if (!o)
		session_guarded(session);
	else if (wants_console(agent, session) && (!o->console_told || o->console_code))
		lock_console(o);
	else
		begin_guard(o, session);
}

void
office_end(struct agent *agent)
{
	struct office *o = agent->office;
	if (!o)
		return;
	process_free(o->standby); /* lets the computer sleep */
	o->standby = NULL;
	o->standby_code = 0;
	process_free(o->console);
	o->console = NULL;
	o->console_told = 0;
	o->console_code = 0;
	if (o->state != GUARD_ON && o->state != GUARD_STARTING)
		return;
	timer_stop(o->timer);
	enter(o, GUARD_LEAVING);
	process_send(o->guard, GUARD_END, NULL, 0, -1);
}

void
office_tell(const struct agent *agent, struct session *session)
{
	if (agent->office && agent->office->standby_code == ERR_STANDBY)
		session_notice(session, ERR_STANDBY);
	if (agent->office && agent->office->console_code)
		session_notice(session, agent->office->console_code);
}

int
office_busy(const struct office *office)
{
	return office && office->guard;
}

void
office_status(const struct office *o, struct office_status *ret_status)
{
	static const char *const names[] = {"off", "starting", "dark", "locking"};
	*ret_status = (struct office_status){.guard = names[GUARD_OFF]};
	if (!o)
		return;
	*ret_status = (struct office_status){.guard = names[o->state],
		.for_s = mono_diff_ms(o->since, mono_now()) / 1000,
		.guarded = o->guarded,
		.ended = o->ended,
		.left = o->left,
		.last_code = o->last_code,
		.console_code = o->console_code};
}

struct office *
office_new(struct agent *agent)
{
	struct office *o = mem_new(sizeof *o);
	o->agent = agent;
	o->since = mono_now();
	o->timer = timer_new(agent->loop, on_timer, o);
	if (has_left_something(o))
		start_guard(o, 1);
	return o;
}

void
office_free(struct office *office)
{
	if (!office)
		return;
	process_free(office->standby);
	process_free(office->console);
	process_leave(office->guard);
	timer_free(office->timer);
	free(office);
}
