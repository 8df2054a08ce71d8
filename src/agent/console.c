/*
 * The process that locks what stands open on the office PC's own screen, when a session begins
 * that is on no screen (xrdp, a virtual display): the session manager is asked to lock each desktop
 * at a seat, and has to say that it is locked. Nothing here can unlock; who sits there does, with
 * the person's own password. It ends after its one answer.
 */
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <time.h>
#include <unistd.h>

#include "agent/login1.h"
#include "agent/message.h"
#include "agent/role.h"
#include "base/err.h"
#include "base/log.h"

enum {
	ANSWER_S = 10, /* a session manager that hangs: the monitor sees the end */
	LOOKS = 15,    /* until a desktop counts as not locked */
	LOOK_MS = 200, /* between them */
};

static char *
text(sd_bus *bus, const char *path, const char *name)
{
	char *value = NULL;
	if (sd_bus_get_property_string(bus, LOGIN1, path, LOGIN1_SESSION, name, NULL, &value) < 0)
		return NULL;
	return value;
}

/* otherwise: when the session manager does not say. */
static int
is(sd_bus *bus, const char *path, const char *name, const char *value, int otherwise)
{
	char *found = text(bus, path, name);
	int same = found ? strcmp(found, value) == 0 : otherwise;
	free(found);
	return same;
}

/* A desktop that somebody has opened and whose lock does not say that it is on; what nobody tells
 * anything about is one, too. shown: the display that the session is about, "" = none of the office
 * PC's. */
static int
is_open(sd_bus *bus, const char *path, const char *shown)
{
	int locked = 0;
	if (!is(bus, path, "Class", "user", 1) || is(bus, path, "State", "closing", 0) ||
		(*shown && is(bus, path, "Display", shown, 0)) ||
		!(is(bus, path, "Type", "x11", 1) || is(bus, path, "Type", "wayland", 1)))
		return 0;
	sd_bus_get_property_trivial(
		bus, LOGIN1, path, LOGIN1_SESSION, "LockedHint", NULL, 'b', &locked);
	return !locked;
}

/* Asks those that are open to lock, when asked to; in user mode the person's own. Returns how many
 * are, or negative: nobody can tell. */
static int
look(sd_bus *bus, const char *shown, int lock)
{
	sd_bus_message *reply = NULL;
	const char *seat, *path;
	uint32_t uid;
	int open = 0, more;
	int r = sd_bus_call_method(
		bus, LOGIN1, LOGIN1_PATH, LOGIN1_MANAGER, "ListSessions", NULL, &reply, NULL);
	if (r >= 0)
		r = sd_bus_message_enter_container(reply, 'a', "(susso)");
	while (r >= 0 && (more = sd_bus_message_read(
				  reply, "(susso)", NULL, &uid, NULL, &seat, &path)) > 0) {
		if (!*seat || (geteuid() != 0 && uid != geteuid()) || !is_open(bus, path, shown))
			continue;
		open++;
		if (lock && sd_bus_call_method(bus, LOGIN1, path, LOGIN1_SESSION, "Lock", NULL,
				    NULL, NULL) < 0)
			LOG(WARN, "console.refused");
	}
	sd_bus_message_unref(reply);
	return r < 0 ? r : open;
}

static int
lock_all(sd_bus *bus, const char *shown)
{
	const struct timespec pause = {0, LOOK_MS * 1000000L};
	int open = bus ? look(bus, shown, 1) : -1;
	LOG(INFO, "console.lock", F_INT("open", open));
	for (int i = 0; open > 0 && i < LOOKS; i++) {
		nanosleep(&pause, NULL);
		open = look(bus, shown, 0);
	}
	return open == 0 ? 0 : -ERR_CONSOLE_OPEN;
}

int
console_main(const struct options *options)
{
	uint8_t out[4];
	role_privileged("console");
	alarm(ANSWER_S);
	int r = lock_all(login1_open(), options_rdp(options) ? "" : options->display);
	role_send(MSG_CONSOLE, out, code_put((uint32_t)-r, out), -1);
	return 0;
}
