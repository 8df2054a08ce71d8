#include "desktop/guard_display.h"

#include <stdlib.h>
#include <string.h>
#include <xcb/randr.h>
#include <xcb/screensaver.h>
#include <xcb/xinput.h>

#include "base/err.h"

static xcb_atom_t
atom(xcb_connection_t *c, const char *name)
{
	xcb_intern_atom_reply_t *reply =
		xcb_intern_atom_reply(c, xcb_intern_atom(c, 0, (uint16_t)strlen(name), name), NULL);
	xcb_atom_t a = reply ? reply->atom : XCB_ATOM_NONE;
	free(reply);
	return a;
}

static int
has_randr(xcb_connection_t *c)
{
	const xcb_query_extension_reply_t *e = xcb_get_extension_data(c, &xcb_randr_id);
	if (!e || !e->present)
		return 0;
	xcb_randr_query_version_reply_t *v =
		xcb_randr_query_version_reply(c, xcb_randr_query_version(c, 1, 5), NULL);
	int ok = v && (v->major_version > 1 || v->minor_version >= 3);
	free(v);
	return ok;
}

static int
has_input(struct guard_display *d)
{
	const xcb_query_extension_reply_t *e = xcb_get_extension_data(d->c, &xcb_input_id);
	if (!e || !e->present)
		return 0;
	xcb_input_xi_query_version_reply_t *v = xcb_input_xi_query_version_reply(
		d->c, xcb_input_xi_query_version(d->c, 2, 2), NULL);
	int ok = v && v->major_version >= 2;
	free(v);
	d->xi_opcode = e->major_opcode;
	return ok;
}

int
guard_display_open(struct guard_display *d, int fd, const struct guard_run *run)
{
	/* xcb only reads them */
	xcb_auth_info_t auth = {(int)strlen(run->auth_name), (char *)(uintptr_t)run->auth_name,
		(int)run->auth_len, (char *)(uintptr_t)run->auth_data};
	*d = (struct guard_display){.c = xcb_connect_to_fd(fd, auth.namelen ? &auth : NULL)};
	if (xcb_connection_has_error(d->c))
		return -ERR_NO_DISPLAY;
	xcb_screen_iterator_t screens = xcb_setup_roots_iterator(xcb_get_setup(d->c));
	if (!screens.rem)
		return -ERR_NO_DISPLAY;
	d->root = screens.data->root;
	const xcb_query_extension_reply_t *saver =
		xcb_get_extension_data(d->c, &xcb_screensaver_id);
	d->has_saver = saver && saver->present;
	d->token = atom(d->c, "_ENGAWA_GUARD");
	d->vt = atom(d->c, "XFree86_has_VT");
	d->xtest = atom(d->c, "XTEST Device");
	if (!has_randr(d->c))
		return -ERR_DARK_FAILED;
	if (!has_input(d))
		return -ERR_INPUT_FAILED;
	/* monitors that come and go wake the guard */
	xcb_randr_select_input(d->c, d->root,
		XCB_RANDR_NOTIFY_MASK_SCREEN_CHANGE | XCB_RANDR_NOTIFY_MASK_CRTC_CHANGE |
			XCB_RANDR_NOTIFY_MASK_OUTPUT_CHANGE);
	const uint32_t mask = XCB_EVENT_MASK_PROPERTY_CHANGE;
	xcb_change_window_attributes(d->c, d->root, XCB_CW_EVENT_MASK, &mask);
	return guard_display_settle(d);
}

void
guard_display_close(struct guard_display *d)
{
	if (d->c)
		xcb_disconnect(d->c);
	d->c = NULL;
}

static int
is_output_of_xwayland(struct guard_display *d, xcb_randr_output_t output)
{
	static const char prefix[] = "XWAYLAND";
	xcb_randr_get_output_info_reply_t *info = xcb_randr_get_output_info_reply(
		d->c, xcb_randr_get_output_info(d->c, output, XCB_CURRENT_TIME), NULL);
	int is = info && xcb_randr_get_output_info_name_length(info) >= (int)sizeof prefix - 1 &&
		 memcmp(xcb_randr_get_output_info_name(info), prefix, sizeof prefix - 1) == 0;
	free(info);
	return is;
}

int
guard_display_is_guest(struct guard_display *d)
{
	xcb_query_extension_reply_t *extension = xcb_query_extension_reply(
		d->c, xcb_query_extension(d->c, strlen("XWAYLAND"), "XWAYLAND"), NULL);
	int is = extension && extension->present;
	free(extension);
	xcb_randr_get_screen_resources_current_reply_t *all =
		xcb_randr_get_screen_resources_current_reply(
			d->c, xcb_randr_get_screen_resources_current(d->c, d->root), NULL);
	for (int i = 0; all && !is && i < all->num_outputs; i++)
		is = is_output_of_xwayland(
			d, xcb_randr_get_screen_resources_current_outputs(all)[i]);
	free(all);
	return is;
}

int
guard_display_is_away(struct guard_display *d)
{
	xcb_get_property_reply_t *reply = xcb_get_property_reply(
		d->c, xcb_get_property(d->c, 0, d->root, d->vt, XCB_ATOM_INTEGER, 0, 1), NULL);
	int away = reply && reply->format == 32 && xcb_get_property_value_length(reply) == 4 &&
		   *(const uint32_t *)xcb_get_property_value(reply) == 0;
	free(reply);
	return away;
}

int
guard_display_is_covered(struct guard_display *d)
{
	if (!d->has_saver)
		return 0;
	xcb_screensaver_query_info_reply_t *info = xcb_screensaver_query_info_reply(
		d->c, xcb_screensaver_query_info(d->c, d->root), NULL);
	int covered = info && info->state == XCB_SCREENSAVER_STATE_ON &&
		      info->kind == XCB_SCREENSAVER_KIND_EXTERNAL;
	free(info);
	return covered;
}

/* 1: no window manager has placed it and it hides the whole screen; 0: it is in front, but does
 * not; -1: it cannot be seen. */
static int
hides(struct guard_display *d, xcb_window_t window)
{
	xcb_get_window_attributes_cookie_t asked = xcb_get_window_attributes(d->c, window);
	xcb_get_geometry_cookie_t geometry = xcb_get_geometry(d->c, window),
				  whole = xcb_get_geometry(d->c, d->root);
	xcb_get_window_attributes_reply_t *a = xcb_get_window_attributes_reply(d->c, asked, NULL);
	xcb_get_geometry_reply_t *w = xcb_get_geometry_reply(d->c, geometry, NULL),
				 *r = xcb_get_geometry_reply(d->c, whole, NULL);
	int hides = -1;
	if (a && w && r && a->map_state == XCB_MAP_STATE_VIEWABLE &&
		a->_class == XCB_WINDOW_CLASS_INPUT_OUTPUT)
		hides = a->override_redirect && w->x <= 0 && w->y <= 0 &&
			w->x + w->width >= r->width && w->y + w->height >= r->height;
	free(a);
	free(w);
	free(r);
	return hides;
}

/* The keyboard is somebody's. */
static int
is_grabbed(struct guard_display *d)
{
	xcb_grab_keyboard_reply_t *reply = xcb_grab_keyboard_reply(d->c,
		xcb_grab_keyboard(d->c, 0, d->root, XCB_CURRENT_TIME, XCB_GRAB_MODE_ASYNC,
			XCB_GRAB_MODE_ASYNC),
		NULL);
	int grabbed = reply && reply->status == XCB_GRAB_STATUS_ALREADY_GRABBED;
	if (reply && reply->status == XCB_GRAB_STATUS_SUCCESS)
		xcb_ungrab_keyboard(d->c, XCB_CURRENT_TIME);
	free(reply);
	return grabbed;
}

int
guard_display_is_held(struct guard_display *d)
{
	xcb_query_tree_reply_t *tree =
		xcb_query_tree_reply(d->c, xcb_query_tree(d->c, d->root), NULL);
	int front = -1;
	for (int i = tree ? xcb_query_tree_children_length(tree) : 0; front < 0 && i-- > 0;)
		front = hides(d, xcb_query_tree_children(tree)[i]);
	free(tree);
	return front == 1 && is_grabbed(d);
}

int
guard_display_token(struct guard_display *d, uint8_t ret_token[static JOURNAL_TOKEN_BYTES])
{
	xcb_get_property_reply_t *reply = xcb_get_property_reply(d->c,
		xcb_get_property(
			d->c, 0, d->root, d->token, XCB_ATOM_STRING, 0, JOURNAL_TOKEN_BYTES / 4),
		NULL);
	int has = reply && reply->format == 8 &&
		  xcb_get_property_value_length(reply) == JOURNAL_TOKEN_BYTES;
	if (has)
		memcpy(ret_token, xcb_get_property_value(reply), JOURNAL_TOKEN_BYTES);
	free(reply);
	return has;
}

void
guard_display_set_token(struct guard_display *d, const uint8_t token[static JOURNAL_TOKEN_BYTES])
{
	xcb_change_property(d->c, XCB_PROP_MODE_REPLACE, d->root, d->token, XCB_ATOM_STRING, 8,
		JOURNAL_TOKEN_BYTES, token);
}

void
guard_display_drop_token(struct guard_display *d)
{
	xcb_delete_property(d->c, d->root, d->token);
}

int
guard_display_settle(struct guard_display *d)
{
	free(xcb_get_input_focus_reply(d->c, xcb_get_input_focus(d->c), NULL));
	return xcb_connection_has_error(d->c) ? -ERR_NO_DISPLAY : 0;
}
