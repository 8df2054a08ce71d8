#include "desktop/guard_input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"

enum {
	FIRST_POINTER = 2, /* "Virtual core pointer" and "keyboard": always there */
	FIRST_KEYBOARD = 3,
	/* Positions of keys as evdev numbers them, the same for every layout. */
	KEY_CTRL_LEFT = 37,
	KEY_CTRL_RIGHT = 105,
	KEY_ALT_LEFT = 64,
	KEY_ALT_RIGHT = 108,
	KEY_DELETE = 119,
	KEY_DELETE_PAD = 91,
	HELD_CTRL = 1,
	HELD_ALT = 2,
	HELD_DELETE = 4,
};

/* One change of XIChangeHierarchy, attach or detach, as it goes over the wire. */
struct change {
	uint16_t type, len, device, master;
};

static void
change_master(struct guard_display *d, uint16_t device, uint16_t master)
{
	const struct change change = {master ? XCB_INPUT_HIERARCHY_CHANGE_TYPE_ATTACH_SLAVE
					     : XCB_INPUT_HIERARCHY_CHANGE_TYPE_DETACH_SLAVE,
		sizeof change / 4, device, master};
	xcb_input_xi_change_hierarchy(d->c, 1, (const xcb_input_hierarchy_change_t *)&change);
}

static int
is_xtest(struct guard_display *d, uint16_t device)
{
	xcb_input_xi_get_property_reply_t *reply = xcb_input_xi_get_property_reply(d->c,
		xcb_input_xi_get_property(d->c, device, 0, d->xtest, XCB_ATOM_INTEGER, 0, 1), NULL);
	int is = reply && reply->format == 8 && reply->num_items == 1 &&
		 *(const uint8_t *)xcb_input_xi_get_property_items(reply) == 1;
	free(reply);
	return is;
}

static xcb_input_xi_query_device_reply_t *
devices(struct guard_display *d)
{
	return xcb_input_xi_query_device_reply(
		d->c, xcb_input_xi_query_device(d->c, XCB_INPUT_DEVICE_ALL), NULL);
}

static int
is_slave(const xcb_input_xi_device_info_t *info)
{
	return info->type == XCB_INPUT_DEVICE_TYPE_SLAVE_POINTER ||
	       info->type == XCB_INPUT_DEVICE_TYPE_SLAVE_KEYBOARD;
}

static void
name_of(const xcb_input_xi_device_info_t *info, char out[static JOURNAL_NAME_SIZE])
{
	snprintf(out, JOURNAL_NAME_SIZE, "%.*s", xcb_input_xi_device_info_name_length(info),
		xcb_input_xi_device_info_name(info));
}

static int
grab(struct guard_display *d, uint16_t device)
{
	const uint32_t mask = XCB_INPUT_XI_EVENT_MASK_KEY_PRESS |
			      XCB_INPUT_XI_EVENT_MASK_KEY_RELEASE |
			      XCB_INPUT_XI_EVENT_MASK_BUTTON_PRESS;
	xcb_input_xi_grab_device_reply_t *reply = xcb_input_xi_grab_device_reply(d->c,
		xcb_input_xi_grab_device(d->c, d->root, XCB_CURRENT_TIME, XCB_NONE, device,
			XCB_INPUT_GRAB_MODE_22_ASYNC, XCB_INPUT_GRAB_MODE_22_ASYNC,
			XCB_INPUT_GRAB_OWNER_NO_OWNER, 1, &mask),
		NULL);
	int ok = reply && reply->status == XCB_GRAB_STATUS_SUCCESS;
	free(reply);
	return ok;
}

static int
disconnect(struct guard_input *g, const xcb_input_xi_device_info_t *info)
{
	struct journal_device device = {.id = info->deviceid, .master = info->attachment};
	name_of(info, device.name);
	const struct journal_device *known = journal_device_of(g->journal, device.id);
	int r = known ? 0 : journal_add_device(g->journal, &device);
	if (r < 0) {
		LOG(ERROR, "guard.journal", F_ERR("code", r));
		return -ERR_SCREEN_JOURNAL;
	}
	change_master(g->display, device.id, 0);
	r = grab(g->display, device.id) ? 0 : -ERR_INPUT_FAILED;
	LOG(INFO, "guard.input", F_INT("device", device.id), F_STR("name", device.name),
		F_INT("again", known != NULL), F_ERR("code", r));
	return r;
}

/* What is connected; *ret_undone: something of it had been disconnected. */
static int
disconnect_all(struct guard_input *g, int *ret_undone)
{
	xcb_input_xi_query_device_reply_t *all = devices(g->display);
	int r = all ? 0 : -ERR_INPUT_FAILED;
	*ret_undone = 0;
	if (!all)
		return r;
	xcb_input_xi_device_info_iterator_t i = xcb_input_xi_query_device_infos_iterator(all);
	for (; i.rem; xcb_input_xi_device_info_next(&i)) {
		if (!is_slave(i.data) || !i.data->enabled || is_xtest(g->display, i.data->deviceid))
			continue;
		const struct journal_device *known =
			journal_device_of(g->journal, i.data->deviceid);
		*ret_undone |= known != NULL;
		int one = disconnect(g, i.data);
		if (r == 0)
			r = one; /* the others all the same */
	}
	free(all);
	return r;
}

static void
listen_to_changes(struct guard_display *d)
{
	const struct {
		xcb_input_event_mask_t head;
		uint32_t mask;
	} want = {{XCB_INPUT_DEVICE_ALL, 1}, XCB_INPUT_XI_EVENT_MASK_HIERARCHY};
	xcb_input_xi_select_events(d->c, d->root, 1, &want.head);
}

int
input_disconnect(struct guard_input *g, struct guard_display *d, struct journal *journal)
{
	int undone;
	*g = (struct guard_input){.display = d, .journal = journal};
	listen_to_changes(d);
	int r = disconnect_all(g, &undone);
	if (r == 0)
		r = disconnect_all(g, &undone); /* what the server has done of it */
	return r == 0 && undone ? -ERR_INPUT_FAILED : r;
}

int
input_watch(struct guard_input *g)
{
	int undone;
	int r = disconnect_all(g, &undone);
	return r == 0 && undone ? -ERR_INPUT_UNDONE : r;
}

static unsigned
break_key(uint32_t key)
{
	switch (key) {
	case KEY_CTRL_LEFT:
	case KEY_CTRL_RIGHT:
		return HELD_CTRL;
	case KEY_ALT_LEFT:
	case KEY_ALT_RIGHT:
		return HELD_ALT;
	case KEY_DELETE:
	case KEY_DELETE_PAD:
		return HELD_DELETE;
	default:
		return 0;
	}
}

int
input_is_break(struct guard_input *g, const xcb_ge_generic_event_t *event)
{
	const xcb_input_key_press_event_t *e = (const void *)event;
	if (event->extension != g->display->xi_opcode ||
		(event->event_type != XCB_INPUT_KEY_PRESS &&
			event->event_type != XCB_INPUT_KEY_RELEASE))
		return 0;
	const struct journal_device *device = journal_device_of(g->journal, e->deviceid);
	if (!device)
		return 0;
	unsigned *held = &g->held[device - g->journal->devices];
	if (event->event_type == XCB_INPUT_KEY_PRESS)
		*held |= break_key(e->detail);
	else
		*held &= ~break_key(e->detail);
	return *held == (HELD_CTRL | HELD_ALT | HELD_DELETE);
}

static const xcb_input_xi_device_info_t *
find(xcb_input_xi_query_device_reply_t *all, uint16_t id)
{
	xcb_input_xi_device_info_iterator_t i = xcb_input_xi_query_device_infos_iterator(all);
	while (i.rem && i.data->deviceid != id)
		xcb_input_xi_device_info_next(&i);
	return i.rem ? i.data : NULL;
}

static int
is_pointer(const xcb_input_xi_device_info_t *info)
{
	xcb_input_device_class_iterator_t i = xcb_input_xi_device_info_classes_iterator(info);
	for (; i.rem; xcb_input_device_class_next(&i))
		if (i.data->type == XCB_INPUT_DEVICE_CLASS_TYPE_KEY)
			return 0;
	return 1;
}

static uint16_t
master_for(xcb_input_xi_query_device_reply_t *all, uint16_t wanted,
	const xcb_input_xi_device_info_t *device)
{
	const xcb_input_xi_device_info_t *master = find(all, wanted);
	if (master && (master->type == XCB_INPUT_DEVICE_TYPE_MASTER_POINTER ||
			      master->type == XCB_INPUT_DEVICE_TYPE_MASTER_KEYBOARD))
		return wanted;
	return is_pointer(device) ? FIRST_POINTER : FIRST_KEYBOARD;
}

static int
is_same(const xcb_input_xi_device_info_t *info, const struct journal_device *device)
{
	char name[JOURNAL_NAME_SIZE];
	name_of(info, name);
	return info->type == XCB_INPUT_DEVICE_TYPE_FLOATING_SLAVE &&
	       strcmp(name, device->name) == 0;
}

void
input_restore(struct guard_display *d, const struct journal *journal)
{
	xcb_input_xi_query_device_reply_t *all = devices(d);
	for (size_t i = 0; all && i < journal->device_count; i++) {
		const struct journal_device *device = &journal->devices[i];
		const xcb_input_xi_device_info_t *info = find(all, device->id);
		/* unplugged meanwhile, and its number given to another one */
		if (!info || !is_same(info, device))
			continue;
		xcb_input_xi_ungrab_device(d->c, XCB_CURRENT_TIME, device->id);
		change_master(d, device->id, master_for(all, device->master, info));
	}
	free(all);
}

void
input_adopt(struct guard_display *d)
{
	xcb_input_xi_query_device_reply_t *all = devices(d);
	if (!all)
		return;
	xcb_input_xi_device_info_iterator_t i = xcb_input_xi_query_device_infos_iterator(all);
	for (; i.rem; xcb_input_xi_device_info_next(&i))
		if (i.data->type == XCB_INPUT_DEVICE_TYPE_FLOATING_SLAVE &&
			!is_xtest(d, i.data->deviceid))
			change_master(d, i.data->deviceid, master_for(all, 0, i.data));
	free(all);
}
