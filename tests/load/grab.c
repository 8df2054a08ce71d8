#include "grab.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xcb/damage.h>
#include <xcb/shm.h>

#include "base/clock.h"
#include "screen/damage.h"

enum {
	PARTS_MAX = 32
};

struct grab {
	xcb_connection_t *c;
	xcb_window_t root;
	uint8_t damage_event;
	xcb_damage_damage_t damage_id;
	xcb_shm_seg_t segment;
	uint8_t *memory;
	size_t memory_len;
	struct damage damage;
	struct image image;
};

static void __attribute__((noreturn)) die(const char *what)
{
	fprintf(stderr, "grab: %s\n", what);
	exit(1);
}

static void
share(struct grab *g, size_t len)
{
	g->segment = xcb_generate_id(g->c);
	xcb_shm_create_segment_reply_t *reply = xcb_shm_create_segment_reply(
		g->c, xcb_shm_create_segment(g->c, g->segment, (uint32_t)len, 0), NULL);
	if (!reply || reply->nfd != 1)
		die("no shared memory with the display");
	int fd = xcb_shm_create_segment_reply_fds(g->c, reply)[0];
	free(reply);
	void *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (memory == MAP_FAILED)
		die("no memory");
	g->memory = memory;
	g->memory_len = len;
}

struct grab *
grab_open(void)
{
	struct grab *g = calloc(1, sizeof *g);
	if (!g)
		die("no memory");
	g->c = xcb_connect(NULL, NULL);
	if (xcb_connection_has_error(g->c))
		die("no display");
	const xcb_screen_t *screen = xcb_setup_roots_iterator(xcb_get_setup(g->c)).data;
	const xcb_query_extension_reply_t *damage = xcb_get_extension_data(g->c, &xcb_damage_id),
					  *shm = xcb_get_extension_data(g->c, &xcb_shm_id);
	if (!damage || !damage->present || !shm || !shm->present)
		die("the display lacks DAMAGE or MIT-SHM");
	g->root = screen->root;
	g->damage_event = (uint8_t)(damage->first_event + XCB_DAMAGE_NOTIFY);
	free(xcb_damage_query_version_reply(g->c, xcb_damage_query_version(g->c, 1, 1), NULL));
	free(xcb_shm_query_version_reply(g->c, xcb_shm_query_version(g->c), NULL));
	g->damage_id = xcb_generate_id(g->c);
	xcb_damage_create(g->c, g->damage_id, g->root, XCB_DAMAGE_REPORT_LEVEL_DELTA_RECTANGLES);
	uint16_t width = screen->width_in_pixels, height = screen->height_in_pixels;
	if (image_init(&g->image, width, height) < 0 || damage_init(&g->damage, width, height) < 0)
		die("no memory");
	share(g, (size_t)width * height * IMAGE_PIXEL_BYTES);
	damage_add_all(&g->damage);
	return g;
}

void
grab_close(struct grab *g)
{
	xcb_disconnect(g->c);
	munmap(g->memory, g->memory_len);
	damage_fini(&g->damage);
	image_fini(&g->image);
	free(g);
}

const struct image *
grab_image(const struct grab *g)
{
	return &g->image;
}

static void
read_events(struct grab *g)
{
	xcb_generic_event_t *event;
	while ((event = xcb_poll_for_event(g->c))) {
		const xcb_damage_notify_event_t *e = (const void *)event;
		if ((event->response_type & 0x7f) == g->damage_event)
			damage_add(&g->damage, e->area.x, e->area.y, e->area.width, e->area.height);
		free(event);
	}
	if (xcb_connection_has_error(g->c))
		die("the display is gone");
}

static void
compare(struct grab *g)
{
	struct rect areas[PARTS_MAX];
	size_t count = damage_take(&g->damage, areas, PARTS_MAX);
	xcb_damage_subtract(g->c, g->damage_id, XCB_NONE, XCB_NONE);
	for (size_t i = 0; i < count; i++) {
		struct rect a = areas[i];
		xcb_shm_get_image_reply_t *reply = xcb_shm_get_image_reply(g->c,
			xcb_shm_get_image(g->c, g->root, (int16_t)a.x, (int16_t)a.y, a.w, a.h, ~0u,
				XCB_IMAGE_FORMAT_Z_PIXMAP, g->segment, 0),
			NULL);
		if (!reply)
			die("the display refuses its picture");
		free(reply);
		struct image part = {g->memory, (size_t)a.w * IMAGE_PIXEL_BYTES, a.w, a.h};
		damage_compare(&g->damage, &part, a.x, a.y, &g->image);
	}
}

size_t
grab_wait(struct grab *g, uint64_t timeout_ms, struct rect *ret_rects, size_t max)
{
	struct mono end = mono_add_ms(mono_now(), timeout_ms);
	for (;;) {
		xcb_flush(g->c);
		read_events(g);
		if (g->damage.dirty_count) {
			compare(g);
			size_t count = damage_changed(&g->damage, ret_rects, max);
			if (count)
				return count;
		}
		struct mono now = mono_now();
		if (!mono_before(now, end))
			return 0;
		read_events(g);
		if (g->damage.dirty_count)
			continue;
		struct pollfd p = {xcb_get_file_descriptor(g->c), POLLIN, 0};
		poll(&p, 1, (int)mono_diff_ms(now, end) + 1);
	}
}
