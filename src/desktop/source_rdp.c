/*
 * A session at this computer's xrdp (system mode). The greeter is a picture like any other: the
 * person logs in there, with a password that nobody here looks at. The monitors are told to xrdp
 * when the connection begins, so a wish begins it anew, as long as nobody has typed anything.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "desktop/dial_rdp.h"
#include "desktop/inject_rdp.h"
#include "desktop/source.h"

enum {
	CONNECT_S = 20,
	SIDE_MIN_PX = 320,
};

struct source {
	struct rdp rdp;
	struct rdp_pin *pin;
	struct source_shape shape;
	struct inject inject;
	int dial, missing;
	struct rect parts[SOURCE_PARTS_MAX];
	size_t count;
	int asked, cursor_asked;
	struct source_monitor first[SOURCE_MONITORS_MAX]; /* to begin with */
	size_t first_count;
};

const char source_program[] = "engawa-desktop-rdp";
const struct conf_option source_options[] = {SOURCE_OPTIONS,
	{"RDP_PORT", CONF_INT, offsetof(struct source_settings, rdp_port), "3389", 1, 65535,
		"the port of 127.0.0.1 where xrdp listens"},
	{"RDP_CERTIFICATE", CONF_STR, offsetof(struct source_settings, rdp_certificate),
		"/etc/xrdp/cert.pem", 0, 0, "the certificate that it must show"},
	{"RDP_PROGRAM", CONF_STR, offsetof(struct source_settings, rdp_program), "/usr/sbin/xrdp",
		0, 0, "its program, to tell whether it is missing or only does not run"},
	{"RDP_KEYBOARD", CONF_STR, offsetof(struct source_settings, rdp_keyboard), "jp", 0, 0,
		"the keyboard of people's home PCs: jp or us"},
	CONF_OPTIONS_END};
const enum sandbox_profile source_sandbox = SANDBOX_FOREIGN;
const int source_silent = -ERR_RDP_SILENT;

/* For a home PC that does not say what it has. */
static const struct source_monitor usual_monitor = {0, 0, 1280, 800};

static int
keyboard(const char *name, uint32_t *ret_layout)
{
	*ret_layout = strcmp(name, "jp") == 0 ? 0x411 : strcmp(name, "us") == 0 ? 0x409 : 0;
	return *ret_layout ? 0 : -ERR_SETTING;
}

static int
monitors_ok(const struct source_monitor *monitors, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (monitors[i].width < SIDE_MIN_PX || monitors[i].height < SIDE_MIN_PX)
			return 0;
	return rdp_monitors_fit(monitors, count);
}

int
source_new(const struct source_settings *settings, engawa_DesktopStart *start,
	struct source **ret_source)
{
	struct source *s = mem_new(sizeof *s);
	mem_wipe(start->auth_data.bytes, sizeof start->auth_data.bytes);
	s->dial = -1;
	uint32_t scale;
	s->first_count = source_first_monitors(start, s->first, &scale);
	if (!monitors_ok(s->first, s->first_count)) {
		s->first[0] = usual_monitor;
		s->first_count = 1;
	}
	s->inject.rdp = &s->rdp;
	s->missing = access(settings->rdp_program, F_OK) != 0;
	int r = keyboard(settings->rdp_keyboard, &s->rdp.keyboard);
	if (r == 0) {
		r = rdp_pin_read(settings->rdp_certificate, &s->pin);
		if (r < 0)
			LOG(ERROR, "desktop.rdp_certificate",
				F_STR("file", settings->rdp_certificate), F_ERR("why", r));
		if (r < 0)
			r = s->missing ? -ERR_RDP_MISSING : -ERR_RDP_CERTIFICATE;
	}
	if (r == 0)
		r = s->dial = dial_new((uint16_t)settings->rdp_port, settings->user);
	if (r < 0) {
		source_close(s);
		return r;
	}
	s->rdp.pin = s->pin;
	rdp_prepare();
	*ret_source = s;
	return 0;
}

static int
connect_anew(struct source *s, const struct source_monitor *monitors, size_t count)
{
	rdp_disconnect(&s->rdp);
	s->asked = s->cursor_asked = 0;
	s->inject = (struct inject){.rdp = &s->rdp};
	int fd = dial_call(s->dial);
	if (fd < 0) {
		LOG(ERROR, "desktop.rdp_refused", F_ERR("why", fd), F_INT("missing", s->missing));
		return fd == -EINPROGRESS    ? -ERR_RDP_SILENT
		       : fd != -ECONNREFUSED ? -ERR_DESKTOP_FAILED
		       : s->missing          ? -ERR_RDP_MISSING
					     : -ERR_RDP_REFUSED;
	}
	int r = rdp_connect(&s->rdp, fd, monitors, count);
	if (r < 0) {
		LOG(ERROR, "desktop.rdp_failed", F_ERR("why", r));
		return r;
	}
	s->rdp.news |= SOURCE_SHAPE_CHANGED | SOURCE_CURSOR_CHANGED;
	return 0;
}

int
source_connect(struct source *s)
{
	int r = connect_anew(s, s->first, s->first_count);
	if (r == 0)
		s->shape = rdp_shape(&s->rdp);
	return r;
}

void
source_close(struct source *s)
{
	if (!s)
		return;
	inject_release(&s->inject);
	rdp_disconnect(&s->rdp);
	rdp_pin_free(s->pin);
	if (s->dial >= 0)
		close(s->dial);
	free(s);
}

const struct source_shape *
source_shape(const struct source *s)
{
	return &s->shape;
}

struct inject *
source_inject(struct source *s)
{
	return &s->inject;
}

/* ---- the loop ---- */

size_t
source_poll(struct source *s, struct pollfd *ret_fds)
{
	return rdp_poll(&s->rdp, ret_fds);
}

static unsigned
take_news(struct source *s)
{
	unsigned news = s->rdp.news;
	s->rdp.news = 0;
	return news;
}

int
source_read(struct source *s, struct damage *damage, unsigned *ret_news)
{
	int r = rdp_read(&s->rdp, damage);
	*ret_news = take_news(s);
	return r;
}

void
source_read_queued(struct source *s, struct damage *damage, unsigned *ret_news)
{
	(void)damage;
	*ret_news = take_news(s);
}

void
source_flush(struct source *s)
{
	(void)s;
}

void
source_ping(struct source *s, struct mono now)
{
	(void)s, (void)now;
}

int
source_hangs(struct source *s, struct mono now)
{
	(void)s, (void)now;
	return 0;
}

int
source_wait_ms(struct source *s, struct mono now)
{
	(void)s, (void)now;
	return -1;
}

/* ---- pictures: they are here already ---- */

int
source_measure(struct source *s)
{
	struct source_shape now = rdp_shape(&s->rdp);
	int changed = memcmp(&now, &s->shape, sizeof now) != 0;
	s->shape = now;
	return changed;
}

void
source_capture(struct source *s, const struct rect *areas, size_t count, struct mono now)
{
	(void)now;
	memcpy(s->parts, areas, count * sizeof areas[0]);
	s->count = count;
	s->asked = 1;
}

void
source_capture_cursor(struct source *s, struct mono now)
{
	(void)now;
	s->cursor_asked = 1;
}

int
source_busy(const struct source *s)
{
	return s->asked || s->cursor_asked;
}

int
source_arrived(struct source *s)
{
	return source_busy(s);
}

int
source_collect(struct source *s)
{
	if (!s->asked)
		return 0;
	s->asked = 0;
	struct image picture = rdp_picture(&s->rdp);
	return picture.width == s->shape.width && picture.height == s->shape.height ? 1 : -EAGAIN;
}

struct image
source_view(struct source *s, size_t i, struct rect *ret_area)
{
	struct image picture = rdp_picture(&s->rdp);
	struct rect area = *ret_area = s->parts[i];
	return (struct image){image_at(&picture, area.x, area.y), picture.stride, area.w, area.h};
}

int
source_collect_cursor(struct source *s, struct source_cursor *ret_cursor)
{
	if (!s->cursor_asked)
		return 0;
	s->cursor_asked = 0;
	*ret_cursor = s->rdp.cursor;
	return 1;
}

/* ---- monitors ---- */

int
source_arranges(const struct source *s)
{
	return !s->inject.touched;
}

int
source_arrange(struct source *s, const struct source_monitor *monitors, size_t count,
	uint32_t scale_percent, int *ret_lost)
{
	(void)scale_percent; /* xrdp 0.9 has no such thing */
	*ret_lost = 0;
	if (!monitors_ok(monitors, count))
		return -EINVAL;
	if (count == s->shape.monitor_count &&
		memcmp(monitors, s->shape.monitors, count * sizeof monitors[0]) == 0)
		return 0;
	alarm(CONNECT_S);
	int r = connect_anew(s, monitors, count);
	alarm(0);
	*ret_lost = r < 0;
	return r;
}
