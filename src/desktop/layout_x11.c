#include "desktop/layout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xcb/randr.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "desktop/scale.h"
#include "screen/image.h"

enum {
	REFRESH_HZ = 60,
	BLANK_PX = 160, /* of a mode's line and picture: nothing is shown to a real tube */
	BLANK_LINES = 30,
	DOTS_PER_INCH = 96,
	TENTHS_MM_PER_INCH = 254,
};

struct output {
	xcb_randr_output_t id;
	xcb_randr_crtc_t crtc;
};

/* One output as it was, or as it shall be; mode XCB_NONE: off. */
struct place {
	int16_t x, y;
	xcb_randr_mode_t mode;
};

struct arrangement {
	uint16_t width, height;
	struct place places[SOURCE_MONITORS_MAX];
};

struct layout {
	struct display *display;
	struct output outputs[SOURCE_MONITORS_MAX];
	size_t count;
	struct arrangement found, now;
	struct scale scale;
};

static xcb_randr_get_screen_resources_current_reply_t *
resources(const struct layout *l)
{
	return xcb_randr_get_screen_resources_current_reply(l->display->c,
		xcb_randr_get_screen_resources_current(l->display->c, l->display->root), NULL);
}

static int
taken(const struct layout *l, xcb_randr_crtc_t crtc)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->outputs[i].crtc == crtc)
			return 1;
	return 0;
}

/* The output, with a CRTC that no other has. */
static void
add_output(struct layout *l, xcb_randr_output_t id)
{
	xcb_randr_get_output_info_reply_t *info = xcb_randr_get_output_info_reply(
		l->display->c, xcb_randr_get_output_info(l->display->c, id, 0), NULL);
	if (!info || l->count == SOURCE_MONITORS_MAX) {
		free(info);
		return;
	}
	const xcb_randr_crtc_t *crtcs = xcb_randr_get_output_info_crtcs(info);
	xcb_randr_crtc_t crtc = info->crtc;
	for (int i = 0; !crtc && i < xcb_randr_get_output_info_crtcs_length(info); i++)
		if (!taken(l, crtcs[i]))
			crtc = crtcs[i];
	free(info);
	if (crtc && !taken(l, crtc))
		l->outputs[l->count++] = (struct output){id, crtc};
}

static void
remember(struct layout *l)
{
	l->found.width = l->display->shape.width;
	l->found.height = l->display->shape.height;
	for (size_t i = 0; i < l->count; i++) {
		xcb_randr_get_crtc_info_reply_t *crtc = xcb_randr_get_crtc_info_reply(l->display->c,
			xcb_randr_get_crtc_info(l->display->c, l->outputs[i].crtc, 0), NULL);
		if (crtc)
			l->found.places[i] = (struct place){crtc->x, crtc->y, crtc->mode};
		free(crtc);
	}
	l->now = l->found;
}

int
layout_new(struct display *display, struct layout **ret_layout)
{
	struct layout *l = mem_new(sizeof *l);
	l->display = display;
	xcb_randr_get_screen_resources_current_reply_t *r = resources(l);
	for (int i = 0; r && i < xcb_randr_get_screen_resources_current_outputs_length(r); i++)
		add_output(l, xcb_randr_get_screen_resources_current_outputs(r)[i]);
	free(r);
	if (l->count == 0) {
		free(l);
		return -ERR_DESKTOP_FAILED;
	}
	remember(l);
	scale_init(&l->scale, display->c, display->root);
	*ret_layout = l;
	return 0;
}

static xcb_randr_mode_t
find_mode(const xcb_randr_get_screen_resources_current_reply_t *r, uint16_t width, uint16_t height)
{
	xcb_randr_mode_info_iterator_t m = xcb_randr_get_screen_resources_current_modes_iterator(r);
	for (; m.rem; xcb_randr_mode_info_next(&m))
		if (m.data->width == width && m.data->height == height)
			return m.data->id;
	return XCB_NONE;
}

static xcb_randr_mode_t
make_mode(struct layout *l, uint16_t width, uint16_t height)
{
	char name[32];
	xcb_randr_mode_info_t mode = {
		.width = width,
		.height = height,
		.hsync_start = (uint16_t)(width + BLANK_PX / 4),
		.hsync_end = (uint16_t)(width + BLANK_PX / 2),
		.htotal = (uint16_t)(width + BLANK_PX),
		.vsync_start = (uint16_t)(height + BLANK_LINES / 3),
		.vsync_end = (uint16_t)(height + BLANK_LINES / 2),
		.vtotal = (uint16_t)(height + BLANK_LINES),
	};
	mode.dot_clock = (uint32_t)mode.htotal * mode.vtotal * REFRESH_HZ;
	str_print(name, sizeof name, "engawa-%ux%u", width, height);
	mode.name_len = (uint16_t)strlen(name);
	xcb_randr_create_mode_reply_t *reply = xcb_randr_create_mode_reply(l->display->c,
		xcb_randr_create_mode(l->display->c, l->display->root, mode, mode.name_len, name),
		NULL);
	xcb_randr_mode_t id = reply ? reply->mode : XCB_NONE;
	free(reply);
	return id;
}

/* The mode of this size, at this output's disposal. */
static xcb_randr_mode_t
mode_for(struct layout *l, size_t output, uint16_t width, uint16_t height)
{
	xcb_randr_get_screen_resources_current_reply_t *r = resources(l);
	if (!r)
		return XCB_NONE;
	xcb_randr_mode_t mode = find_mode(r, width, height);
	free(r);
	if (!mode)
		mode = make_mode(l, width, height);
	if (!mode)
		return XCB_NONE;
	/* adding it twice is no error */
	xcb_generic_error_t *error = xcb_request_check(l->display->c,
		xcb_randr_add_output_mode_checked(l->display->c, l->outputs[output].id, mode));
	free(error);
	return error ? XCB_NONE : mode;
}

static int
set_crtc(struct layout *l, size_t i, const struct place *p)
{
	int on = p->mode != XCB_NONE;
	xcb_randr_set_crtc_config_reply_t *reply = xcb_randr_set_crtc_config_reply(l->display->c,
		xcb_randr_set_crtc_config(l->display->c, l->outputs[i].crtc, XCB_CURRENT_TIME,
			XCB_CURRENT_TIME, on ? p->x : 0, on ? p->y : 0, p->mode,
			XCB_RANDR_ROTATION_ROTATE_0, (uint32_t)on, &l->outputs[i].id),
		NULL);
	int ok = reply && reply->status == XCB_RANDR_SET_CONFIG_SUCCESS;
	free(reply);
	return ok ? 0 : -ERR_DESKTOP_FAILED;
}

static uint32_t
millimetres(uint16_t px)
{
	return (uint32_t)px * TENTHS_MM_PER_INCH / DOTS_PER_INCH / 10;
}

/* All off, the new size, then one after the other on: the only order that no server refuses. */
static int
arrange(struct layout *l, const struct arrangement *a)
{
	xcb_connection_t *c = l->display->c;
	const struct place off = {0, 0, XCB_NONE};
	int r = 0;
	xcb_grab_server(c);
	for (size_t i = 0; r == 0 && i < l->count; i++)
		r = set_crtc(l, i, &off);
	if (r == 0) {
		xcb_generic_error_t *error = xcb_request_check(
			c, xcb_randr_set_screen_size_checked(c, l->display->root, a->width,
				   a->height, millimetres(a->width), millimetres(a->height)));
		r = error ? -ERR_DESKTOP_FAILED : 0;
		free(error);
	}
	for (size_t i = 0; r == 0 && i < l->count; i++)
		if (a->places[i].mode)
			r = set_crtc(l, i, &a->places[i]);
	if (r == 0)
		xcb_randr_set_output_primary(c, l->display->root, l->outputs[0].id);
	xcb_ungrab_server(c);
	xcb_flush(c);
	return r;
}

/* The box around all, its corner at 0, 0. */
static int
measure(const struct source_monitor *m, size_t count, struct arrangement *a)
{
	int32_t left = INT16_MAX, top = INT16_MAX, right = INT16_MIN, bottom = INT16_MIN;
	for (size_t i = 0; i < count; i++) {
		if (m[i].width < LAYOUT_SIDE_MIN_PX || m[i].height < LAYOUT_SIDE_MIN_PX)
			return -EINVAL;
		left = m[i].x < left ? m[i].x : left;
		top = m[i].y < top ? m[i].y : top;
		right = m[i].x + m[i].width > right ? m[i].x + m[i].width : right;
		bottom = m[i].y + m[i].height > bottom ? m[i].y + m[i].height : bottom;
	}
	if (!image_fits((uint32_t)(right - left), (uint32_t)(bottom - top)))
		return -EINVAL;
	a->width = (uint16_t)(right - left);
	a->height = (uint16_t)(bottom - top);
	for (size_t i = 0; i < count; i++) {
		a->places[i].x = (int16_t)(m[i].x - left);
		a->places[i].y = (int16_t)(m[i].y - top);
	}
	return 0;
}

int
layout_set(struct layout *l, const struct source_monitor *monitors, size_t count,
	uint32_t scale_percent)
{
	struct arrangement a = {0};
	if (count == 0 || count > l->count)
		return -EINVAL;
	int r = measure(monitors, count, &a);
	for (size_t i = 0; r == 0 && i < count; i++) {
		a.places[i].mode = mode_for(l, i, monitors[i].width, monitors[i].height);
		r = a.places[i].mode ? 0 : -ERR_DESKTOP_FAILED;
	}
	if (r < 0)
		return r;
	r = arrange(l, &a);
	if (r < 0) {
		if (arrange(l, &l->now) < 0)
			LOG(ERROR, "desktop.layout_lost");
		return r;
	}
	/* the server looks at its outputs again: until then GTK takes a new one for unplugged */
	free(xcb_randr_get_screen_resources_reply(l->display->c,
		xcb_randr_get_screen_resources(l->display->c, l->display->root), NULL));
	l->now = a;
	scale_set(&l->scale, scale_percent);
	return 0;
}

void
layout_free(struct layout *l)
{
	if (!l)
		return;
	scale_fini(&l->scale);
	if (memcmp(&l->now, &l->found, sizeof l->now) != 0 && arrange(l, &l->found) < 0)
		LOG(WARN, "desktop.layout_kept_at_end");
	free(l);
}
