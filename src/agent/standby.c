/*
 * The process that keeps the office PC awake while a session lasts: it holds two locks of the
 * session manager (logind, elogind), which the kernel gives back when it ends, however it ends.
 * "block" against sleep, idleness and with that the screen saver; "delay", so that a sleep that
 * comes all the same (a lid, an administrator) is told to the person at home before. With the locks
 * it gives up all rights and listens for that one signal.
 */
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "agent/login1.h"
#include "agent/message.h"
#include "agent/role.h"
#include "base/err.h"
#include "base/log.h"
#include "net/loop.h"

static void
tell(int code)
{
	uint8_t out[4];
	role_send(MSG_STANDBY, out, code_put((uint32_t)-code, out), -1);
}

static int
on_sleep(sd_bus_message *m, void *user, sd_bus_error *error)
{
	int going;
	(void)user, (void)error;
	if (sd_bus_message_read(m, "b", &going) >= 0 && going)
		tell(-ERR_ASLEEP);
	return 0;
}

/* The lock is a descriptor, which stays open as long as we live. 0, -ERR_STANDBY: refused. */
static int
inhibit(sd_bus *bus, const char *what, const char *mode)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *reply = NULL;
	int fd = -1;
	int r = sd_bus_call_method(bus, LOGIN1, LOGIN1_PATH, LOGIN1_MANAGER, "Inhibit", &error,
		&reply, "ssss", what, "Engawa",
		"テレワークの接続中 / A telework session is in progress", mode);
	if (r >= 0)
		r = sd_bus_message_read(reply, "h", &fd);
	if (r >= 0 && dup(fd) < 0)
		r = -1;
	if (r < 0)
		LOG(WARN, "standby.refused", F_STR("what", what), F_STR("mode", mode),
			F_STR("why", error.name ? error.name : "no answer"));
	sd_bus_error_free(&error);
	sd_bus_message_unref(reply);
	return r < 0 ? -ERR_STANDBY : 0;
}

/* 1, 0, or negative: there is no session manager. */
static int
is_going_to_sleep(sd_bus *bus)
{
	int going;
	int r = sd_bus_get_property_trivial(
		bus, LOGIN1, LOGIN1_PATH, LOGIN1_MANAGER, "PreparingForSleep", NULL, 'b', &going);
	return r < 0 ? r : going;
}

static void
on_bus(void *user, int ready)
{
	sd_bus *bus = user;
	int r;
	(void)ready;
	while ((r = sd_bus_process(bus, NULL)) > 0)
		;
	if (r < 0)
		_exit(0);
}

static void
on_monitor(void *user, int ready)
{
	(void)user, (void)ready;
	_exit(0); /* nothing is ever said to it */
}

static void
listen(struct loop *loop, int fd, watch_fn *fn, void *user)
{
	watch_set(watch_new(loop, fd, fn, user), WATCH_READ);
}

int
standby_main(const struct options *options)
{
	role_privileged("standby");
	struct loop *loop = loop_new();
	sd_bus *bus = login1_open();
	int going = bus ? is_going_to_sleep(bus) : -1;
	if (going < 0) {
		LOG(INFO, "standby.none");
		return 0;
	}
	int r = inhibit(bus, "sleep:idle", "block");
	inhibit(bus, "sleep", "delay");
	if (sd_bus_match_signal(bus, NULL, LOGIN1, LOGIN1_PATH, LOGIN1_MANAGER, "PrepareForSleep",
		    on_sleep, NULL) < 0)
		r = -ERR_STANDBY;
	role_sandbox(options, "standby", SANDBOX_IO);
	tell(going ? -ERR_ASLEEP : r);
	listen(loop, sd_bus_get_fd(bus), on_bus, bus);
	listen(loop, ROLE_CHANNEL, on_monitor, NULL);
	/* what came with the answers */
	on_bus(bus, 0);
	loop_run(loop);
	return 0;
}
