#include "agent/usermode.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/monitor.h"
#include "agent/places.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	LOOK_MS = 10000
};

struct usermode {
	struct agent *agent;
	struct timer *timer;
};

/* Nobody has said otherwise. */
static int
is_usual(const char *value, const char *key)
{
	for (const struct conf_option *o = option_table; value && o->key; o++)
		if (strcmp(o->key, key) == 0)
			return o->fallback && strcmp(value, o->fallback) == 0;
	return !value;
}

static void
put(char **field, const char *value)
{
	free(*field);
	*field = mem_str(value);
}

/* Unpacked into a home directory. */
static void
find_desktop(struct options *o)
{
	static const char *const places[] = {"../libexec/engawa/engawa-desktop", "engawa-desktop"};
	char self[PATH_MAX], path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	if (n < 0 || access(o->desktop_program, X_OK) == 0)
		return;
	self[n] = '\0';
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		char *slash = strrchr(self, '/');
		if (str_print(path, sizeof path, "%.*s/%s", (int)(slash - self), self, places[i]) ==
				0 &&
			access(path, X_OK) == 0) {
			put(&o->desktop_program, path);
			return;
		}
	}
}

int
usermode_apply(struct options *o)
{
	char path[PATH_MAX];
	int r = 0;
	if (geteuid() == 0)
		return 0;
	if (is_usual(o->state_directory, "STATE_DIRECTORY")) {
		r = places_state(path, sizeof path);
		if (r == 0)
			r = places_make(path);
		if (r < 0)
			return r;
		put(&o->state_directory, path);
		/* sockets belong where they go with the login; a state directory of one's choice
		 * has all */
		if (!o->run_directory && places_run(path, sizeof path) == 0)
			put(&o->run_directory, path);
	}
	if (is_usual(o->desktop_program, "DESKTOP_PROGRAM"))
		find_desktop(o);
	if (is_usual(o->display, "DISPLAY") && getenv("DISPLAY"))
		put(&o->display, getenv("DISPLAY"));
	if (!o->xauthority && getenv("XAUTHORITY"))
		put(&o->xauthority, getenv("XAUTHORITY"));
	if (!o->xauthority && getenv("HOME")) {
		r = str_print(path, sizeof path, "%s/.Xauthority", getenv("HOME"));
		if (r == 0)
			put(&o->xauthority, path);
	}
	return r;
}

int
usermode_allowed(void)
{
	return geteuid() != 0 && places_administrator() ? -ERR_ADMIN_AGENT : 0;
}

static void
on_timer(void *user)
{
	struct usermode *u = user;
	if (usermode_allowed() == 0)
		return;
	timer_stop(u->timer);
	LOG(ERROR, "agent.administrator", F_ERR("code", -ERR_ADMIN_AGENT));
	monitor_stop(u->agent, ERR_ADMIN_AGENT);
}

struct usermode *
usermode_new(struct agent *agent)
{
	if (geteuid() == 0)
		return NULL;
	struct usermode *u = mem_new(sizeof *u);
	u->agent = agent;
	u->timer = timer_new(agent->loop, on_timer, u);
	timer_start(u->timer, LOOK_MS, LOOK_MS);
	return u;
}

void
usermode_free(struct usermode *usermode)
{
	if (!usermode)
		return;
	timer_free(usermode->timer);
	free(usermode);
}
