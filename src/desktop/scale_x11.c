#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "desktop/scale.h"

enum {
	DOTS_PER_INCH = 96,
	DPI_UNIT = 1024, /* of Xft/DPI */
	RESOURCES_MAX_BYTES = 65536,
	SETTING_INT = 0,
};

static xcb_atom_t
atom(const struct scale *s, const char *name)
{
	xcb_intern_atom_reply_t *reply = xcb_intern_atom_reply(
		s->c, xcb_intern_atom(s->c, 0, (uint16_t)strlen(name), name), NULL);
	xcb_atom_t found = reply ? reply->atom : XCB_NONE;
	free(reply);
	return found;
}

static void
remember(struct scale *s)
{
	xcb_get_property_reply_t *reply = xcb_get_property_reply(s->c,
		xcb_get_property(s->c, 0, s->root, XCB_ATOM_RESOURCE_MANAGER, XCB_ATOM_STRING, 0,
			RESOURCES_MAX_BYTES / 4),
		NULL);
	int len =
		reply && reply->type == XCB_ATOM_STRING ? xcb_get_property_value_length(reply) : 0;
	if (len > 0 && reply->bytes_after == 0 && (s->resources = malloc((size_t)len))) {
		memcpy(s->resources, xcb_get_property_value(reply), (size_t)len);
		s->resources_len = (uint32_t)len;
	}
	free(reply);
}

/* Becomes the manager unless there is one. */
static void
manage(struct scale *s)
{
	xcb_atom_t selection = atom(s, "_XSETTINGS_S0");
	xcb_get_selection_owner_reply_t *reply =
		xcb_get_selection_owner_reply(s->c, xcb_get_selection_owner(s->c, selection), NULL);
	int owned = !reply || reply->owner;
	free(reply);
	if (owned)
		return;
	s->manager = xcb_generate_id(s->c);
	xcb_create_window(s->c, 0, s->manager, s->root, -1, -1, 1, 1, 0,
		XCB_WINDOW_CLASS_INPUT_ONLY, XCB_COPY_FROM_PARENT, 0, NULL);
	xcb_set_selection_owner(s->c, s->manager, selection, XCB_CURRENT_TIME);
	xcb_client_message_event_t told = {.response_type = XCB_CLIENT_MESSAGE,
		.format = 32,
		.window = s->root,
		.type = atom(s, "MANAGER"),
		.data.data32 = {XCB_CURRENT_TIME, selection, s->manager}};
	xcb_send_event(s->c, 0, s->root, XCB_EVENT_MASK_STRUCTURE_NOTIFY, (const char *)&told);
}

void
scale_init(struct scale *s, xcb_connection_t *c, xcb_window_t root)
{
	*s = (struct scale){.c = c, .root = root};
}

static void
put32(struct buf *b, uint32_t v)
{
	const uint8_t bytes[4] = {
		(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)};
	buf_add(b, bytes, sizeof bytes);
}

static void
put_setting(struct buf *b, const char *name, uint32_t serial, uint32_t value)
{
	size_t len = strlen(name);
	const uint8_t head[4] = {SETTING_INT, 0, (uint8_t)len, 0};
	buf_add(b, head, sizeof head);
	buf_add(b, name, len);
	buf_add(b, "\0\0\0", (4 - len % 4) % 4);
	put32(b, serial);
	put32(b, value);
}

static void
tell_running(struct scale *s, uint32_t dpi)
{
	struct buf b;
	buf_init(&b, 256);
	s->serial++;
	put32(&b, 0); /* little-endian */
	put32(&b, s->serial);
	put32(&b, 2);
	put_setting(&b, "Gdk/UnscaledDPI", s->serial, dpi * DPI_UNIT);
	put_setting(&b, "Xft/DPI", s->serial, dpi * DPI_UNIT);
	xcb_atom_t property = atom(s, "_XSETTINGS_SETTINGS");
	xcb_change_property(s->c, XCB_PROP_MODE_REPLACE, s->manager, property, property, 8,
		(uint32_t)buf_len(&b), buf_data(&b));
	buf_fini(&b);
}

/* The person's resources with another Xft.dpi: the last line that names it counts. */
static void
tell_starting(struct scale *s, uint32_t dpi)
{
	char line[32];
	str_print(line, sizeof line, "%sXft.dpi:\t%u\n",
		s->resources_len && s->resources[s->resources_len - 1] != '\n' ? "\n" : "", dpi);
	xcb_change_property(s->c, XCB_PROP_MODE_REPLACE, s->root, XCB_ATOM_RESOURCE_MANAGER,
		XCB_ATOM_STRING, 8, s->resources_len, s->resources);
	xcb_change_property(s->c, XCB_PROP_MODE_APPEND, s->root, XCB_ATOM_RESOURCE_MANAGER,
		XCB_ATOM_STRING, 8, (uint32_t)strlen(line), line);
}

void
scale_set(struct scale *s, uint32_t percent)
{
	uint32_t dpi = DOTS_PER_INCH * percent / 100;
	if (percent == s->percent || (s->percent == 0 && percent == 100))
		return;
	if (s->percent == 0) {
		remember(s);
		manage(s);
	}
	s->percent = percent;
	if (s->manager)
		tell_running(s, dpi);
	tell_starting(s, dpi);
	xcb_flush(s->c);
}

void
scale_fini(struct scale *s)
{
	if (s->percent) {
		if (s->manager) {
			tell_running(s, DOTS_PER_INCH);
			xcb_destroy_window(s->c, s->manager);
		}
		if (s->resources)
			xcb_change_property(s->c, XCB_PROP_MODE_REPLACE, s->root,
				XCB_ATOM_RESOURCE_MANAGER, XCB_ATOM_STRING, 8, s->resources_len,
				s->resources);
		else
			xcb_delete_property(s->c, s->root, XCB_ATOM_RESOURCE_MANAGER);
		xcb_flush(s->c);
	}
	free(s->resources);
	*s = (struct scale){0};
}
