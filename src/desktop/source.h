/*
 * Where the picture comes from and where input goes. Each program has one source, chosen by Meson:
 * engawa-desktop an X display (source_x11.c), engawa-desktop-rdp a session at this computer's xrdp
 * (source_rdp.c). Nothing here waits: what is asked for is collected later; only source_connect and
 * source_close take their time.
 */
#pragma once
#include <poll.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/sandbox.h"
#include "desktop.pb.h"
#include "screen/damage.h"
#include "screen/image.h"

enum {
	SOURCE_MONITORS_MAX = 4,
	SOURCE_PARTS_MAX = 16, /* of one capture; more areas are captured as the box around them */
	SOURCE_CURSOR_MAX_PX = 96,
	SOURCE_POLL_MAX = 8,
	SOURCE_SCALE_DEFAULT = 100,
};

struct source;
struct inject;

struct source_monitor {
	int16_t x, y;
	uint16_t width, height;
};

struct source_shape {
	uint16_t width, height;
	struct source_monitor monitors[SOURCE_MONITORS_MAX];
	size_t monitor_count;
};

/* 1, or 0 for sizes and places that no screen has. */
int source_monitor_make(
	int32_t x, int32_t y, uint32_t width, uint32_t height, struct source_monitor *ret_monitor);
/* Those of the home PC when the session begins. Returns how many, 0 = as it is. */
size_t source_first_monitors(const engawa_DesktopStart *start,
	struct source_monitor ret_monitors[static SOURCE_MONITORS_MAX],
	uint32_t *ret_scale_percent);

struct source_cursor {
	uint16_t width, height, hot_x, hot_y;                          /* width 0: hidden */
	uint8_t bgra[SOURCE_CURSOR_MAX_PX * SOURCE_CURSOR_MAX_PX * 4]; /* premultiplied */
};

/* What a program is told at its start: options of both programs, and those of its source. */
struct source_settings {
	char *log_level, *user;
	int64_t frame_interval_ms;
	char *rdp_certificate, *rdp_program, *rdp_keyboard;
	int64_t rdp_port;
};

#define SOURCE_OPTIONS                                                                             \
	{"LOG_LEVEL", CONF_STR, offsetof(struct source_settings, log_level), "info", 0, 0,         \
		"lowest level that is written: debug, info, warn or error"},                       \
		{"USER", CONF_STR, offsetof(struct source_settings, user), "nobody", 0, 0,         \
			"the user to become when started as root"},                                \
	{                                                                                          \
		"FRAME_INTERVAL_MS", CONF_INT,                                                     \
			offsetof(struct source_settings, frame_interval_ms), "15", 1, 1000,        \
			"shortest time between two pictures while the screen changes all the time" \
	}

extern const char source_program[]; /* its name */
extern const struct conf_option source_options[];
extern const enum sandbox_profile source_sandbox; /* what source_connect and all after it need */
extern const int source_silent; /* -ERR_… when the other side does not answer in time */

/* With all rights: what needs files, processes or descriptor 4. Wipes start->auth_data. 0, or
 * -ERR_… that was logged. */
int source_new(const struct source_settings *settings, engawa_DesktopStart *start,
	struct source **ret_source);
/* With no rights any more; may take seconds, under the caller's alarm. As source_new. */
int source_connect(struct source *source);
/* Releases what is held, waits at most a moment for it to be done. NULL is fine. */
void source_close(struct source *source);

/* Valid as long as the source, its contents until source_measure. */
const struct source_shape *source_shape(const struct source *source);
struct inject *source_inject(struct source *source);

/* ---- the loop ---- */

enum source_news {
	SOURCE_CURSOR_CHANGED = 1,
	SOURCE_SHAPE_CHANGED = 2, /* source_measure tells how */
	SOURCE_CAME = 4,          /* anything */
};

/* Descriptors to wait for, at most SOURCE_POLL_MAX. */
size_t source_poll(struct source *source, struct pollfd *ret_fds);
/* Takes what has come from there; changed areas go into damage. 0 or -ERR_…. */
int source_read(struct source *source, struct damage *damage, unsigned *ret_news);
/* The same for what has been read already while something else was: no poll would tell. */
void source_read_queued(struct source *source, struct damage *damage, unsigned *ret_news);
void source_flush(struct source *source);

/* Input is on its way: a source that stands still says nothing, but it must at least take that. */
void source_ping(struct source *source, struct mono now);
/* 1 when something that was asked for has not been answered for too long. */
int source_hangs(struct source *source, struct mono now);
/* What time brings. Milliseconds until the loop is wanted again, -1. */
int source_wait_ms(struct source *source, struct mono now);

/* ---- pictures ---- */

/* Looks at the shape again. 1 when it is another one than before, 0, -ERR_…. */
int source_measure(struct source *source);

/* Asks for disjoint areas; count <= SOURCE_PARTS_MAX; not while source_busy. */
void source_capture(struct source *source, const struct rect *areas, size_t count, struct mono now);
void source_capture_cursor(struct source *source, struct mono now);
/* 1 while something that was asked for has not been collected. */
int source_busy(const struct source *source);
/* Looks what has come; 1 when there is something to collect. */
int source_arrived(struct source *source);
/* 1 when all areas are there, 0 not yet, -EAGAIN when they cannot be had (the shape has just
 * changed). Once per source_capture. */
int source_collect(struct source *source);
/* The pixels of area i; valid until the next source_capture or source_read. */
struct image source_view(struct source *source, size_t i, struct rect *ret_area);
/* 1 with the shape, 0 not yet or not asked for, -EAGAIN. */
int source_collect_cursor(struct source *source, struct source_cursor *ret_cursor);

/* ---- monitors ---- */

/* 1 while the monitors may become those of the home PC. */
int source_arranges(const struct source *source);
/* 1 <= count <= SOURCE_MONITORS_MAX, the first one primary, positions relative to each other;
 * scale_percent: how large text shall be. 0; -EINVAL for sizes beyond the limits; -ERR_… when it
 * is refused and all is as before; *ret_lost is then 1 when nothing is left to show. */
int source_arrange(struct source *source, const struct source_monitor *monitors, size_t count,
	uint32_t scale_percent, int *ret_lost);
