/*
 * engawa-desktop: descriptor 3 is the agent, descriptor 4 the display, and, where the person's
 * session has an input method, descriptor 5 its IBus. What opens files or starts processes (the
 * watermark's fonts) comes first, then all rights go, then the session.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sandbox.h"
#include "desktop.pb.h"
#include "desktop/mark.h"
#include "desktop/session.h"
#include "net/frame.h"

enum {
	AGENT_FD = 3,
	DISPLAY_FD = 4,
	IBUS_FD = 5,
	START_S = 20, /* for the agent's DesktopStart, the fonts and the display together */
};

struct settings {
	char *log_level, *user;
	int64_t frame_interval_ms;
};

static const struct conf_option options[] = {
	{"LOG_LEVEL", CONF_STR, offsetof(struct settings, log_level), "info", 0, 0,
		"lowest level that is written: debug, info, warn or error"},
	{"USER", CONF_STR, offsetof(struct settings, user), "nobody", 0, 0,
		"the user to become when started as root"},
	{"FRAME_INTERVAL_MS", CONF_INT, offsetof(struct settings, frame_interval_ms), "15", 1, 1000,
		"shortest time between two pictures while the screen changes all the time"},
	CONF_OPTIONS_END,
};

static volatile int stop;

static void
on_stop(int number)
{
	(void)number;
	stop = 1;
}

/* DesktopFailed with the agent's descriptor still blocking; nothing can be done where this fails.
 */
static void
tell_failed(int code)
{
	uint8_t out[64];
	engawa_DesktopFailed failed = {.code = (uint32_t)-code};
	int len = frame_encode(engawa_DesktopType_DESKTOP_FAILED, engawa_DesktopFailed_fields,
		&failed, out, sizeof out);
	if (len > 0 && send(AGENT_FD, out, (size_t)len, MSG_NOSIGNAL) < 0)
		LOG(DEBUG, "desktop.agent_gone");
}

/* The display, or a font server, does not answer. frame_encode and send touch only the stack. */
static void
on_alarm(int number)
{
	(void)number;
	tell_failed(-ERR_DESKTOP_FAILED);
	_exit(1);
}

static void
signals(void)
{
	struct sigaction on = {.sa_handler = on_stop}, late = {.sa_handler = on_alarm};
	sigset_t held;
	sigemptyset(&held);
	/* let through only while session_run waits */
	sigaddset(&held, SIGTERM);
	sigaddset(&held, SIGINT);
	sigprocmask(SIG_BLOCK, &held, NULL);
	sigaction(SIGTERM, &on, NULL);
	sigaction(SIGINT, &on, NULL);
	sigaction(SIGALRM, &late, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int
read_whole(void *out, size_t len)
{
	ssize_t n = recv(AGENT_FD, out, len, MSG_WAITALL);
	return n < 0 ? -errno : (size_t)n < len ? -ERR_CLOSED : 0;
}

static int
read_start(engawa_DesktopStart *start)
{
	static uint8_t bytes[FRAME_HEADER_BYTES + FRAME_FIRST_MAX_BYTES];
	const uint8_t *payload;
	uint8_t type;
	size_t len;
	int r = read_whole(bytes, FRAME_HEADER_BYTES);
	if (r < 0)
		return r;
	size_t size = (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3];
	if (size > FRAME_FIRST_MAX_BYTES)
		return -ERR_TOO_LONG;
	r = read_whole(bytes + FRAME_HEADER_BYTES, size);
	if (r < 0)
		return r;
	r = frame_parse(
		bytes, FRAME_HEADER_BYTES + size, FRAME_FIRST_MAX_BYTES, &type, &payload, &len);
	if (r <= 0 || type != engawa_DesktopType_DESKTOP_START)
		return -ERR_PROTOCOL;
	r = frame_decode(engawa_DesktopStart_fields, start, payload, len);
	mem_wipe(bytes, sizeof bytes);
	return r;
}

static int
draw_mark(const engawa_DesktopStart *start, struct watermark **ret_watermark)
{
	const char *lines[sizeof start->watermark / sizeof start->watermark[0]];
	for (size_t i = 0; i < start->watermark_count; i++)
		lines[i] = start->watermark[i];
	int r = mark_draw(lines, start->watermark_count, ret_watermark);
	if (r < 0)
		LOG(ERROR, "desktop.watermark_failed", F_ERR("why", r));
	/* a session that should be marked does not go on unmarked */
	return r < 0 ? -ERR_DESKTOP_FAILED : 0;
}

static int
give_up_rights(const struct settings *settings)
{
	int r = sandbox_user(settings->user, NULL);
	if (r == 0)
		r = sandbox_no_files();
	if (r == 0)
		r = sandbox_calls(SANDBOX_IO);
	if (r < 0)
		LOG(ERROR, "desktop.sandbox_failed", F_ERR("why", r));
	return r < 0 ? -ERR_INTERNAL : 0;
}

static int
open_display(engawa_DesktopStart *start, struct display *display)
{
	const char *why;
	int r = display_open(display, DISPLAY_FD, start->auth_name, start->auth_data.bytes,
		start->auth_data.size, &why);
	mem_wipe(start->auth_data.bytes, sizeof start->auth_data.bytes);
	if (r < 0)
		LOG(ERROR, "desktop.display_refused", F_STR("why", why));
	return r;
}

/* The session holds them against its limits. */
static void
take_monitors(const engawa_DesktopStart *start, struct session_settings *how)
{
	for (size_t i = 0; i < start->monitors_count; i++) {
		const engawa_Monitor *m = &start->monitors[i];
		if (!display_monitor_make(m->x_px, m->y_px, m->width_px, m->height_px,
			    &how->monitors[how->monitor_count++])) {
			how->monitor_count = 0;
			return;
		}
	}
	how->scale_percent = start->monitors_count ? start->monitors[0].scale_percent : 0;
}

/* Everything after the options. Returns 0 for an orderly end, or what failed; the agent has been
 * told. */
static int
run(const struct settings *settings)
{
	static engawa_DesktopStart start;
	struct display display = {0};
	struct watermark *watermark = NULL;
	struct session *session = NULL;
	alarm(START_S);
	int r = read_start(&start);
	if (r < 0)
		return r;
	r = draw_mark(&start, &watermark);
	if (r == 0)
		r = open_display(&start, &display);
	alarm(0); /* no call for it afterwards */
	if (r == 0)
		r = give_up_rights(settings);
	struct session_settings how = {start.window_mib, (uint32_t)settings->frame_interval_ms,
		watermark, start.film, start.own_display};
	take_monitors(&start, &how);
	how.ibus_fd = fcntl(IBUS_FD, F_GETFD) < 0 ? -1 : IBUS_FD;
	if (r == 0)
		r = session_new(AGENT_FD, &display, &how, &session);
	if (r == 0) {
		LOG(INFO, "desktop.ready", F_INT("width_px", display.width),
			F_INT("height_px", display.height), F_INT("shm", display.shm));
		r = session_run(session, &stop);
		LOG(INFO, "desktop.end", F_ERR("why", r));
	} else {
		tell_failed(r);
	}
	session_free(session);
	display_close(&display);
	watermark_free(watermark);
	return r == -ERR_CLOSED ? 0 : r;
}

int
main(int argc, char **argv)
{
	struct settings settings = {0};
	enum log_level level;
	int rest;
	int r = conf_main(options, &settings, "engawa-desktop", argc, argv, &rest);
	if (r != 0)
		return r < 0 ? 2 : 0;
	if (rest < argc || log_level_parse(settings.log_level, &level) < 0) {
		conf_free(options, &settings);
		return 2;
	}
	log_open("engawa-desktop", level, -1);
	signals();
	r = run(&settings);
	conf_free(options, &settings);
	return r < 0;
}
