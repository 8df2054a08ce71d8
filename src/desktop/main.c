/*
 * engawa-desktop and engawa-desktop-rdp: descriptor 3 is the agent. What opens files or starts
 * processes (the watermark's fonts) comes first, then all rights go, then the session.
 */
#include <errno.h>
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
	START_S = 20, /* for the agent's DesktopStart, the fonts and the source together */
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

/* The source, or a font server, does not answer. frame_encode and send touch only the stack. */
static void
on_alarm(int number)
{
	(void)number;
	tell_failed(source_silent);
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
	if (start->watermark_code.size != 0 && start->watermark_code.size != WATERMARK_CODE_BYTES)
		return -ERR_PROTOCOL;
	int r = mark_draw(lines, start->watermark_count,
		start->watermark_code.size ? start->watermark_code.bytes : NULL, ret_watermark);
	if (r < 0)
		LOG(ERROR, "desktop.watermark_failed", F_ERR("why", r));
	/* a session that should be marked does not go on unmarked */
	return r < 0 ? -ERR_DESKTOP_FAILED : 0;
}

static int
give_up_rights(const struct source_settings *settings)
{
	int r = sandbox_user(settings->user, NULL);
	if (r == 0)
		r = sandbox_no_files();
	if (r == 0)
		r = sandbox_calls(source_sandbox);
	if (r < 0)
		LOG(ERROR, "desktop.sandbox_failed", F_ERR("why", r));
	return r < 0 ? -ERR_INTERNAL : 0;
}

/* Under the alarm throughout; a source that connects without rights may stop it then, too. */
static int
open_source(const struct source_settings *settings, engawa_DesktopStart *start,
	struct source **ret_source)
{
	int r = source_new(settings, start, ret_source);
	if (r == 0 && source_sandbox == SANDBOX_IO)
		alarm(0); /* no call for it afterwards */
	if (r == 0)
		r = give_up_rights(settings);
	if (r == 0)
		r = source_connect(*ret_source);
	if (source_sandbox != SANDBOX_IO)
		alarm(0);
	return r;
}

/* Everything after the options. Returns 0 for an orderly end, or what failed; the agent has been
 * told. */
static int
run(const struct source_settings *settings)
{
	static engawa_DesktopStart start;
	struct source *source = NULL;
	struct watermark *watermark = NULL;
	struct session *session = NULL;
	alarm(START_S);
	int r = read_start(&start);
	if (r < 0)
		return r;
	r = draw_mark(&start, &watermark);
	if (r == 0)
		r = open_source(settings, &start, &source);
	struct pictures_settings how = {
		start.window_mib, (uint32_t)settings->frame_interval_ms, watermark, start.film};
	if (r == 0)
		r = session_new(AGENT_FD, source, &how, &session);
	if (r == 0) {
		LOG(INFO, "desktop.ready", F_INT("width_px", source_shape(source)->width),
			F_INT("height_px", source_shape(source)->height));
		r = session_run(session, &stop);
		LOG(INFO, "desktop.end", F_ERR("why", r));
	} else {
		tell_failed(r);
	}
	session_free(session);
	source_close(source);
	watermark_free(watermark);
	return r == -ERR_CLOSED ? 0 : r;
}

int
main(int argc, char **argv)
{
	struct source_settings settings = {0};
	enum log_level level;
	int rest;
	int r = conf_main(source_options, &settings, source_program, argc, argv, &rest);
	if (r != 0)
		return r < 0 ? 2 : 0;
	if (rest < argc || log_level_parse(settings.log_level, &level) < 0) {
		conf_free(source_options, &settings);
		return 2;
	}
	log_open(source_program, level, -1);
	signals();
	r = run(&settings);
	conf_free(source_options, &settings);
	return r < 0;
}
