#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xcb/xcbext.h>
#include <xcb/xfixes.h>

#include "desktop/capture.h"

/* Memory that the server makes and passes as a descriptor. Where that fails (a display on another
 * machine), pictures come in replies. */
static void
share(struct capture *c, size_t len)
{
	xcb_connection_t *x = c->display->c;
	xcb_shm_seg_t segment = xcb_generate_id(x);
	xcb_shm_create_segment_reply_t *reply = xcb_shm_create_segment_reply(
		x, xcb_shm_create_segment(x, segment, (uint32_t)len, 0), NULL);
	if (!reply || reply->nfd != 1) {
		free(reply);
		return;
	}
	int fd = xcb_shm_create_segment_reply_fds(x, reply)[0];
	free(reply);
	void *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (memory == MAP_FAILED) {
		xcb_shm_detach(x, segment);
		return;
	}
	c->segment = segment;
	c->memory = memory;
	c->memory_len = len;
}

void
capture_init(struct capture *capture, struct display *display)
{
	*capture = (struct capture){.display = display};
	if (display->shm)
		share(capture,
			(size_t)display->shape.width * display->shape.height * IMAGE_PIXEL_BYTES);
}

static void
forget(struct capture *c)
{
	for (size_t i = 0; i < c->count; i++) {
		free(c->parts[i].reply);
		c->parts[i].reply = NULL;
	}
	c->count = c->arrived = 0;
	c->collected = 0;
}

void
capture_fini(struct capture *c)
{
	for (size_t i = c->arrived; i < c->count; i++)
		xcb_discard_reply(c->display->c, c->parts[i].sequence);
	forget(c);
	if (c->cursor_sequence && !c->cursor_arrived)
		xcb_discard_reply(c->display->c, c->cursor_sequence);
	free(c->cursor_reply);
	if (c->segment) {
		xcb_shm_detach(c->display->c, c->segment);
		munmap(c->memory, c->memory_len);
	}
	*c = (struct capture){.display = c->display};
}

void
capture_start(struct capture *c, const struct rect *areas, size_t count)
{
	xcb_connection_t *x = c->display->c;
	xcb_window_t root = c->display->root;
	size_t offset = 0;
	assert(count <= SOURCE_PARTS_MAX && !capture_busy(c));
	forget(c);
	for (size_t i = 0; i < count; i++) {
		struct rect r = areas[i];
		c->parts[i].area = r;
		c->parts[i].offset = offset;
		if (c->segment)
			c->parts[i].sequence = xcb_shm_get_image(x, root, (int16_t)r.x,
				(int16_t)r.y, r.w, r.h, UINT32_MAX, XCB_IMAGE_FORMAT_Z_PIXMAP,
				c->segment, (uint32_t)offset)
						       .sequence;
		else
			c->parts[i].sequence = xcb_get_image(x, XCB_IMAGE_FORMAT_Z_PIXMAP, root,
				(int16_t)r.x, (int16_t)r.y, r.w, r.h, UINT32_MAX)
						       .sequence;
		offset += (size_t)r.w * r.h * IMAGE_PIXEL_BYTES;
	}
	assert(!c->segment || offset <= c->memory_len);
	c->count = count;
}

/* What a reply must bring: the whole area. */
static int
part_ok(const struct capture *c, size_t i)
{
	size_t need = (size_t)c->parts[i].area.w * c->parts[i].area.h * IMAGE_PIXEL_BYTES;
	if (c->segment)
		return ((const xcb_shm_get_image_reply_t *)c->parts[i].reply)->size == need;
	return (size_t)xcb_get_image_data_length(c->parts[i].reply) >= need;
}

int
capture_busy(const struct capture *c)
{
	return (c->count > 0 && !c->collected) || c->cursor_sequence;
}

int
capture_arrived(struct capture *c)
{
	xcb_generic_error_t *error = NULL;
	while (c->arrived < c->count) {
		void *reply = NULL;
		if (!xcb_poll_for_reply(
			    c->display->c, c->parts[c->arrived].sequence, &reply, &error))
			return 0;
		c->parts[c->arrived++].reply = reply;
		free(error);
		error = NULL;
	}
	if (c->cursor_sequence && !c->cursor_arrived &&
		xcb_poll_for_reply(c->display->c, c->cursor_sequence, &c->cursor_reply, &error)) {
		c->cursor_arrived = 1;
		free(error);
	}
	return (c->count > 0 && !c->collected) || c->cursor_arrived;
}

int
capture_collect(struct capture *c)
{
	if (c->count == 0 || c->arrived < c->count || c->collected)
		return 0;
	c->collected = 1;
	for (size_t i = 0; i < c->count; i++)
		if (!c->parts[i].reply || !part_ok(c, i))
			return -EAGAIN;
	return 1;
}

struct image
capture_view(struct capture *c, size_t i, struct rect *ret_area)
{
	struct rect area = c->parts[i].area;
	uint8_t *bytes =
		c->segment ? c->memory + c->parts[i].offset : xcb_get_image_data(c->parts[i].reply);
	*ret_area = area;
	return (struct image){bytes, (size_t)area.w * IMAGE_PIXEL_BYTES, area.w, area.h};
}

void
capture_cursor_start(struct capture *c)
{
	assert(!capture_busy(c));
	c->cursor_sequence = xcb_xfixes_get_cursor_image(c->display->c).sequence;
}

/* Where a window of at most max pixels begins, so that the hot spot is in its middle if it can be.
 */
static size_t
cut(size_t size, size_t hot, size_t max)
{
	if (size <= max)
		return 0;
	size_t from = hot > max / 2 ? hot - max / 2 : 0;
	return from < size - max ? from : size - max;
}

static void
copy_cursor(const xcb_xfixes_get_cursor_image_reply_t *reply, struct source_cursor *out)
{
	const uint32_t *argb = xcb_xfixes_get_cursor_image_cursor_image(reply);
	size_t length = (size_t)xcb_xfixes_get_cursor_image_cursor_image_length(reply);
	size_t max = SOURCE_CURSOR_MAX_PX, w = reply->width, h = reply->height;
	*out = (struct source_cursor){0};
	if (w == 0 || h == 0 || length < w * h)
		return;
	size_t hot_x = reply->xhot < w ? reply->xhot : w - 1,
	       hot_y = reply->yhot < h ? reply->yhot : h - 1;
	size_t x0 = cut(w, hot_x, max), y0 = cut(h, hot_y, max);
	size_t cw = w < max ? w : max, ch = h < max ? h : max;
	uint32_t seen = 0;
	/* premultiplied ARGB in the machine's order, little-endian: B G R A in memory */
	for (size_t y = 0; y < ch; y++)
		for (size_t x = 0; x < cw; x++) {
			uint32_t pixel = argb[(y0 + y) * w + x0 + x];
			seen |= pixel >> 24;
			memcpy(out->bgra + (y * cw + x) * 4, &pixel, 4);
		}
	if (!seen)
		return;
	out->width = (uint16_t)cw;
	out->height = (uint16_t)ch;
	out->hot_x = (uint16_t)(hot_x - x0);
	out->hot_y = (uint16_t)(hot_y - y0);
}

int
capture_cursor_collect(struct capture *c, struct source_cursor *ret_cursor)
{
	if (!c->cursor_arrived)
		return 0;
	void *reply = c->cursor_reply;
	c->cursor_reply = NULL;
	c->cursor_sequence = 0;
	c->cursor_arrived = 0;
	if (!reply)
		return -EAGAIN;
	copy_cursor(reply, ret_cursor);
	free(reply);
	return 1;
}
