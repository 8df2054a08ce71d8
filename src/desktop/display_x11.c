#include <stdlib.h>
#include <string.h>
#include <xcb/damage.h>
#include <xcb/randr.h>
#include <xcb/shm.h>
#include <xcb/xfixes.h>
#include <xcb/xtest.h>

#include "base/err.h"
#include "desktop/display.h"
#include "screen/image.h"

/* Pixels must be what the picture pipeline works on: B G R X in memory. */
static int
pixels_ok(const xcb_setup_t *setup, const xcb_screen_t *screen)
{
	if (setup->image_byte_order != XCB_IMAGE_ORDER_LSB_FIRST ||
		(screen->root_depth != 24 && screen->root_depth != 32))
		return 0;
	xcb_format_iterator_t f = xcb_setup_pixmap_formats_iterator(setup);
	while (f.rem && f.data->depth != screen->root_depth)
		xcb_format_next(&f);
	if (!f.rem || f.data->bits_per_pixel != 32)
		return 0;
	for (xcb_depth_iterator_t d = xcb_screen_allowed_depths_iterator(screen); d.rem;
		xcb_depth_next(&d))
		for (xcb_visualtype_iterator_t v = xcb_depth_visuals_iterator(d.data); v.rem;
			xcb_visualtype_next(&v))
			if (v.data->visual_id == screen->root_visual)
				return v.data->red_mask == 0xff0000 &&
				       v.data->green_mask == 0xff00 && v.data->blue_mask == 0xff;
	return 0;
}

static const xcb_query_extension_reply_t *
extension(xcb_connection_t *c, xcb_extension_t *id)
{
	const xcb_query_extension_reply_t *e = xcb_get_extension_data(c, id);
	return e && e->present ? e : NULL;
}

/* Every extension needs its version request before any other. */
static int
versions_ok(xcb_connection_t *c)
{
	xcb_damage_query_version_reply_t *damage =
		xcb_damage_query_version_reply(c, xcb_damage_query_version(c, 1, 1), NULL);
	xcb_xfixes_query_version_reply_t *xfixes =
		xcb_xfixes_query_version_reply(c, xcb_xfixes_query_version(c, 5, 0), NULL);
	xcb_randr_query_version_reply_t *randr =
		xcb_randr_query_version_reply(c, xcb_randr_query_version(c, 1, 5), NULL);
	xcb_test_get_version_reply_t *test =
		xcb_test_get_version_reply(c, xcb_test_get_version(c, 2, 2), NULL);
	int ok = damage && xfixes && xfixes->major_version >= 2 && randr && test &&
		 (randr->major_version > 1 ||
			 (randr->major_version == 1 && randr->minor_version >= 5));
	free(damage);
	free(xfixes);
	free(randr);
	free(test);
	return ok;
}

static int
shm_by_descriptor(xcb_connection_t *c)
{
	if (!extension(c, &xcb_shm_id))
		return 0;
	xcb_shm_query_version_reply_t *v =
		xcb_shm_query_version_reply(c, xcb_shm_query_version(c), NULL);
	int ok = v && (v->major_version > 1 || (v->major_version == 1 && v->minor_version >= 2));
	free(v);
	return ok;
}

static const char *
prepare(struct display *d)
{
	xcb_screen_iterator_t screens = xcb_setup_roots_iterator(xcb_get_setup(d->c));
	if (!screens.rem)
		return "no screen";
	if (!pixels_ok(xcb_get_setup(d->c), screens.data))
		return "the screen is not 24 bits deep";
	d->root = screens.data->root;
	xcb_extension_t *const needed[] = {
		&xcb_damage_id, &xcb_xfixes_id, &xcb_randr_id, &xcb_test_id};
	for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
		xcb_prefetch_extension_data(d->c, needed[i]);
	for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
		if (!extension(d->c, needed[i]))
			return "DAMAGE, XFIXES, RANDR or XTEST is missing";
	if (!versions_ok(d->c))
		return "DAMAGE, XFIXES, RANDR or XTEST is too old";
	d->damage_event =
		(uint8_t)(extension(d->c, &xcb_damage_id)->first_event + XCB_DAMAGE_NOTIFY);
	d->cursor_event =
		(uint8_t)(extension(d->c, &xcb_xfixes_id)->first_event + XCB_XFIXES_CURSOR_NOTIFY);
	d->screen_event = (uint8_t)(extension(d->c, &xcb_randr_id)->first_event +
				    XCB_RANDR_SCREEN_CHANGE_NOTIFY);
	d->shm = shm_by_descriptor(d->c);
	/* before the first measure: a change between both would be missed */
	xcb_randr_select_input(d->c, d->root, XCB_RANDR_NOTIFY_MASK_SCREEN_CHANGE);
	xcb_xfixes_select_cursor_input(d->c, d->root, XCB_XFIXES_CURSOR_NOTIFY_MASK_DISPLAY_CURSOR);
	if (display_measure(d) < 0)
		return "the screen's size cannot be read or is beyond the limits";
	return NULL;
}

int
display_open(struct display *display, int fd, const char *auth_name, const void *auth_data,
	size_t auth_len, const char **ret_why)
{
	/* xcb only reads them */
	xcb_auth_info_t auth = {(int)strlen(auth_name), (char *)(uintptr_t)auth_name, (int)auth_len,
		(char *)(uintptr_t)auth_data};
	*display = (struct display){.c = xcb_connect_to_fd(fd, auth.namelen ? &auth : NULL)};
	const char *why = xcb_connection_has_error(display->c)
				  ? "the display refused the connection"
				  : prepare(display);
	if (!why)
		return 0;
	*ret_why = why;
	return -ERR_DESKTOP_FAILED;
}

void
display_close(struct display *display)
{
	if (display->c)
		xcb_disconnect(display->c);
	display->c = NULL;
}

static size_t
monitors(struct display *d, struct source_monitor out[static SOURCE_MONITORS_MAX])
{
	xcb_randr_get_monitors_reply_t *reply =
		xcb_randr_get_monitors_reply(d->c, xcb_randr_get_monitors(d->c, d->root, 1), NULL);
	size_t count = 0;
	if (reply) {
		xcb_randr_monitor_info_iterator_t m =
			xcb_randr_get_monitors_monitors_iterator(reply);
		for (; m.rem && count < SOURCE_MONITORS_MAX; xcb_randr_monitor_info_next(&m))
			out[count++] = (struct source_monitor){
				m.data->x, m.data->y, m.data->width, m.data->height};
	}
	free(reply);
	return count;
}

int
display_measure(struct display *d)
{
	struct source_monitor found[SOURCE_MONITORS_MAX] = {{0}};
	xcb_get_geometry_reply_t *root =
		xcb_get_geometry_reply(d->c, xcb_get_geometry(d->c, d->root), NULL);
	if (!root || !image_fits(root->width, root->height)) {
		free(root);
		return -ERR_DESKTOP_FAILED;
	}
	size_t count = monitors(d, found);
	if (count == 0)
		found[count++] = (struct source_monitor){0, 0, root->width, root->height};
	int changed = root->width != d->shape.width || root->height != d->shape.height ||
		      count != d->shape.monitor_count ||
		      memcmp(found, d->shape.monitors, sizeof found) != 0;
	d->shape.width = root->width;
	d->shape.height = root->height;
	d->shape.monitor_count = count;
	memcpy(d->shape.monitors, found, sizeof found);
	free(root);
	return changed;
}
