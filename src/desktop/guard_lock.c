#include "desktop/guard_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	CALL_US = 2000000,
};

#define LOGIN "org.freedesktop.login1"
#define MANAGER_PATH "/org/freedesktop/login1"
#define MANAGER LOGIN ".Manager"
#define SESSION LOGIN ".Session"

static const struct {
	const char *name, *path; /* the interface has the name */
} savers[LOCK_SAVERS_MAX] = {
	{"org.gnome.ScreenSaver", "/org/gnome/ScreenSaver"},
	{"org.freedesktop.ScreenSaver", "/org/freedesktop/ScreenSaver"},
	{"org.xfce.ScreenSaver", "/org/xfce/ScreenSaver"},
	{"org.mate.ScreenSaver", "/org/mate/ScreenSaver"},
	{"org.cinnamon.ScreenSaver", "/org/cinnamon/ScreenSaver"},
};

/* ---- the session manager ---- */

static char *
text_property(struct lock *l, const char *path, const char *name)
{
	char *text = NULL;
	if (sd_bus_get_property_string(l->system, LOGIN, path, SESSION, name, NULL, &text) < 0)
		return NULL;
	return text;
}

static int
flag_property(struct lock *l, const char *name, int otherwise)
{
	int value;
	return sd_bus_get_property_trivial(
		       l->system, LOGIN, l->path, SESSION, name, NULL, 'b', &value) < 0
		       ? otherwise
		       : value;
}

/* How well a session fits: the one of this display, else an active one with a screen of its own. */
static int
fit(struct lock *l, const char *path, const char *display)
{
	char *type = text_property(l, path, "Type"), *of = text_property(l, path, "Display");
	char *kind = text_property(l, path, "Class");
	int fits = !type || !kind || strcmp(kind, "user") != 0 ? 0
		   : strcmp(type, "x11") == 0                  ? 2
		   : strcmp(type, "wayland") == 0              ? 3
							       : 0;
	if (fits && of && strcmp(of, display) == 0)
		fits = 4;
	free(type);
	free(of);
	free(kind);
	return fits;
}

static void
find_session(struct lock *l, const char *display)
{
	sd_bus_message *reply = NULL;
	const char *path;
	uint32_t uid;
	int best = 0;
	if (sd_bus_call_method(l->system, LOGIN, MANAGER_PATH, MANAGER, "ListSessions", NULL,
		    &reply, NULL) >= 0 &&
		sd_bus_message_enter_container(reply, 'a', "(susso)") > 0)
		while (sd_bus_message_read(reply, "(susso)", NULL, &uid, NULL, NULL, &path) > 0) {
			int fits = uid == getuid() ? fit(l, path, display) : 0;
			if (fits <= best)
				continue;
			best = fits;
			free(l->path);
			l->path = mem_str(path);
		}
	sd_bus_message_unref(reply);
	char *type = l->path ? text_property(l, l->path, "Type") : NULL;
	l->is_wayland |= type && strcmp(type, "wayland") == 0;
	free(type);
}

static int
on_manager(sd_bus_message *m, void *user, sd_bus_error *error)
{
	struct lock *l = user;
	(void)m, (void)error;
	l->manager_locked = flag_property(l, "LockedHint", 0);
	l->manager_active = flag_property(l, "Active", 1);
	return 0;
}

/* ---- screen savers ---- */

static int
ask_saver(struct lock *l, size_t i, int *ret_active)
{
	sd_bus_message *reply = NULL, *question = NULL;
	int r = sd_bus_message_new_method_call(
		l->session, &question, savers[i].name, savers[i].path, savers[i].name, "GetActive");
	if (r >= 0)
		r = sd_bus_message_set_auto_start(question, 0);
	if (r >= 0)
		r = sd_bus_call(l->session, question, CALL_US, NULL, &reply);
	if (r >= 0)
		r = sd_bus_message_read(reply, "b", ret_active);
	sd_bus_message_unref(question);
	sd_bus_message_unref(reply);
	return r;
}

static int
on_saver(sd_bus_message *m, void *user, sd_bus_error *error)
{
	struct lock *l = user;
	const char *interface = sd_bus_message_get_interface(m);
	int active;
	(void)error;
	if (!interface || sd_bus_message_read(m, "b", &active) < 0)
		return 0;
	for (size_t i = 0; i < LOCK_SAVERS_MAX; i++)
		if (l->savers[i] && strcmp(interface, savers[i].name) == 0)
			l->active[i] = active;
	return 0;
}

/* ---- a command ---- */

/* It must be able to become root (unix_chkpwd and its like), so it is started by a process that has
 * kept its rights. One byte asks; one byte is the answer: whether the command says that it has
 * locked. */
static void
run_commands(int socket, const char *command)
{
	char byte;
	while (read(socket, &byte, 1) == 1) {
		int status = -1;
		pid_t pid = fork();
		if (pid == 0) {
			close(socket);
			execl("/bin/sh", "sh", "-c", command, (char *)NULL);
			_exit(127);
		}
		while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		byte = status == 0;
		if (write(socket, &byte, 1) != 1)
			break;
	}
	_exit(0);
}

static void
start_command(struct lock *l, const char *command)
{
	int pair[2];
	if (!command || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return;
	l->command_pid = fork();
	if (l->command_pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
		if (dup2(pair[1], 3) < 0 || fcntl(3, F_SETFD, FD_CLOEXEC) < 0)
			_exit(1);
		close_range(4, ~0U, 0);
		run_commands(3, command);
	}
	close(pair[1]);
	l->command = pair[0];
	if (l->command_pid > 0)
		return;
	close(pair[0]);
	l->command = -1;
}

/* ---- all of them ---- */

static sd_bus *
open_bus(const char *address, const char *fallback)
{
	sd_bus *bus = NULL;
	if (!address || !*address)
		address = fallback;
	if (sd_bus_new(&bus) < 0)
		return NULL;
	if (sd_bus_set_address(bus, address) >= 0 && sd_bus_set_bus_client(bus, 1) >= 0 &&
		sd_bus_start(bus) >= 0 && sd_bus_set_method_call_timeout(bus, CALL_US) >= 0 &&
		sd_bus_get_unique_name(bus, &(const char *){NULL}) >= 0)
		return bus;
	sd_bus_close_unref(bus);
	return NULL;
}

static void
open_buses(struct lock *l)
{
	const char *run = getenv("XDG_RUNTIME_DIR");
	char usual[256] = "";
	if (run && *run && str_print(usual, sizeof usual, "unix:path=%s/bus", run) < 0)
		usual[0] = '\0';
	l->system = open_bus(
		getenv("DBUS_SYSTEM_BUS_ADDRESS"), "unix:path=/run/dbus/system_bus_socket");
	l->session = open_bus(getenv("DBUS_SESSION_BUS_ADDRESS"), usual);
}

void
lock_open(struct lock *lock, const char *display, const char *lock_command)
{
	const char *type = getenv("XDG_SESSION_TYPE"), *compositor = getenv("WAYLAND_DISPLAY");
	*lock = (struct lock){.command = -1, .manager_active = 1};
	lock->is_wayland = (type && strcmp(type, "wayland") == 0) || (compositor && *compositor);
	start_command(lock, lock_command);
	open_buses(lock);
	if (lock->system)
		find_session(lock, display);
	if (lock->path)
		sd_bus_match_signal(lock->system, NULL, LOGIN, lock->path,
			"org.freedesktop.DBus.Properties", "PropertiesChanged", on_manager, lock);
	for (size_t i = 0; lock->session && i < LOCK_SAVERS_MAX; i++)
		if (ask_saver(lock, i, &lock->active[i]) >= 0)
			lock->savers[i] = sd_bus_match_signal(lock->session, NULL, savers[i].name,
						  savers[i].path, savers[i].name, "ActiveChanged",
						  on_saver, lock) >= 0;
	lock_look(lock);
}

void
lock_close(struct lock *lock)
{
	sd_bus_flush_close_unref(lock->system);
	sd_bus_flush_close_unref(lock->session);
	free(lock->path);
	if (lock->command >= 0)
		close(lock->command);
	*lock = (struct lock){.command = -1};
}

int
lock_is_possible(const struct lock *lock)
{
	for (size_t i = 0; i < LOCK_SAVERS_MAX; i++)
		if (lock->savers[i])
			return 1;
	return lock->command >= 0;
}

void
lock_now(struct lock *lock)
{
	if (lock->command >= 0) {
		if (!lock->command_asked)
			lock->command_asked = write(lock->command, "", 1) == 1;
		return;
	}
	for (size_t i = 0; i < LOCK_SAVERS_MAX; i++)
		if (lock->savers[i] &&
			sd_bus_call_method_async(lock->session, NULL, savers[i].name,
				savers[i].path, savers[i].name, "Lock", NULL, NULL, NULL) < 0)
			LOG(WARN, "guard.lock_lost", F_STR("saver", savers[i].name));
	if (lock->path)
		sd_bus_call_method_async(
			lock->system, NULL, LOGIN, lock->path, SESSION, "Lock", NULL, NULL, NULL);
	if (lock->session)
		sd_bus_flush(lock->session);
	if (lock->system)
		sd_bus_flush(lock->system);
}

int
lock_is_locked(const struct lock *lock)
{
	for (size_t i = 0; i < LOCK_SAVERS_MAX; i++)
		if (lock->savers[i] && lock->active[i])
			return 1;
	return lock->manager_locked || lock->command_done;
}

void
lock_forget(struct lock *lock)
{
	lock->command_done = lock->command_failed = 0;
}

int
lock_has_failed(const struct lock *lock)
{
	return lock->command_failed;
}

int
lock_is_away(const struct lock *lock)
{
	return lock->path && !lock->manager_active;
}

void
lock_fds(const struct lock *lock, int ret_fds[static 3])
{
	ret_fds[0] = lock->system ? sd_bus_get_fd(lock->system) : -1;
	ret_fds[1] = lock->session ? sd_bus_get_fd(lock->session) : -1;
	ret_fds[2] = lock->command_asked ? lock->command : -1;
}

static void
hear_bus(sd_bus **bus)
{
	int r = 0;
	while (*bus && (r = sd_bus_process(*bus, NULL)) > 0)
		;
	if (r < 0) {
		sd_bus_close_unref(*bus);
		*bus = NULL;
	}
}

void
lock_hear(struct lock *lock)
{
	char byte = 0;
	hear_bus(&lock->system);
	hear_bus(&lock->session);
	if (!lock->command_asked || recv(lock->command, &byte, 1, MSG_DONTWAIT) != 1)
		return;
	lock->command_asked = 0;
	lock->command_done = byte == 1;
	lock->command_failed = byte != 1;
}

void
lock_look(struct lock *lock)
{
	if (lock->system && lock->path)
		on_manager(NULL, lock, NULL);
	for (size_t i = 0; lock->session && i < LOCK_SAVERS_MAX; i++)
		if (lock->savers[i] && ask_saver(lock, i, &lock->active[i]) < 0)
			lock->active[i] = 0;
}
