/* Shapes of the cursor as xrdp sends them: masks to premultiplied pixels, cut to what the protocol
 * carries. */
#include <freerdp/codec/color.h>
#include <freerdp/gdi/gdi.h>
#include <freerdp/graphics.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "desktop/rdp.h"

enum {
	SIDE_MAX_PX = 384, /* LARGE_POINTER */
	ARROW_HEIGHT_PX = 16,
	ARROW_WIDTH_PX = 11,
};

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
put(uint8_t *to, const uint8_t *bgra)
{
	for (int i = 0; i < 3; i++)
		to[i] = (uint8_t)(bgra[i] * bgra[3] / 255);
	to[3] = bgra[3];
}

/* Pixels of w * h, B G R A, not premultiplied. */
static void
take(struct source_cursor *to, const uint8_t *bgra, size_t w, size_t h, size_t hot_x, size_t hot_y)
{
	size_t max = SOURCE_CURSOR_MAX_PX;
	size_t cw = w < max ? w : max, ch = h < max ? h : max;
	hot_x = hot_x < w ? hot_x : w - 1;
	hot_y = hot_y < h ? hot_y : h - 1;
	size_t x0 = cut(w, hot_x, max), y0 = cut(h, hot_y, max);
	uint8_t seen = 0;
	for (size_t y = 0; y < ch; y++)
		for (size_t x = 0; x < cw; x++) {
			const uint8_t *from = bgra + ((y0 + y) * w + x0 + x) * 4;
			seen |= from[3];
			put(to->bgra + (y * cw + x) * 4, from);
		}
	to->width = seen ? (uint16_t)cw : 0;
	to->height = seen ? (uint16_t)ch : 0;
	to->hot_x = (uint16_t)(hot_x - x0);
	to->hot_y = (uint16_t)(hot_y - y0);
}

static BOOL
on_new(rdpContext *context, rdpPointer *pointer)
{
	(void)context;
	return pointer->width > 0 && pointer->height > 0 && pointer->width <= SIDE_MAX_PX &&
	       pointer->height <= SIDE_MAX_PX;
}

static BOOL
on_set(rdpContext *context, const rdpPointer *pointer)
{
	struct rdp *rdp = rdp_of(context);
	uint8_t *bgra = mem_new((size_t)pointer->width * pointer->height * 4);
	BOOL ok = freerdp_image_copy_from_pointer_data(bgra, PIXEL_FORMAT_BGRA32, 0, 0, 0,
		pointer->width, pointer->height, pointer->xorMaskData, pointer->lengthXorMask,
		pointer->andMaskData, pointer->lengthAndMask, pointer->xorBpp,
		&context->gdi->palette);
	if (ok) {
		take(&rdp->cursor, bgra, pointer->width, pointer->height, pointer->xPos,
			pointer->yPos);
		rdp->news |= SOURCE_CURSOR_CHANGED;
	}
	free(bgra);
	return ok;
}

static BOOL
on_set_null(rdpContext *context)
{
	struct rdp *rdp = rdp_of(context);
	rdp->cursor.width = rdp->cursor.height = 0;
	rdp->news |= SOURCE_CURSOR_CHANGED;
	return TRUE;
}

/* An arrow of our own: what the system's looks like, nobody says. */
static BOOL
on_set_default(rdpContext *context)
{
	struct rdp *rdp = rdp_of(context);
	uint8_t bgra[ARROW_WIDTH_PX * ARROW_HEIGHT_PX * 4] = {0};
	for (size_t y = 0; y < ARROW_HEIGHT_PX; y++) {
		size_t right = y < ARROW_WIDTH_PX ? y : (ARROW_HEIGHT_PX - 1 - y) * 2;
		for (size_t x = 0; x <= right && x < ARROW_WIDTH_PX; x++) {
			uint8_t *pixel = bgra + (y * ARROW_WIDTH_PX + x) * 4;
			int edge = x == 0 || x == right || y == ARROW_WIDTH_PX - 1;
			memset(pixel, edge ? 0 : 255, 3);
			pixel[3] = 255;
		}
	}
	take(&rdp->cursor, bgra, ARROW_WIDTH_PX, ARROW_HEIGHT_PX, 0, 0);
	rdp->news |= SOURCE_CURSOR_CHANGED;
	return TRUE;
}

/* The person's pointer is at the person's home. */
static BOOL
on_set_position(rdpContext *context, UINT32 x, UINT32 y)
{
	(void)context, (void)x, (void)y;
	return TRUE;
}

static void
on_free(rdpContext *context, rdpPointer *pointer)
{
	(void)context, (void)pointer;
}

void
rdp_cursor_register(rdpContext *context)
{
	rdpPointer pointer = {.size = sizeof pointer,
		.New = on_new,
		.Free = on_free,
		.Set = on_set,
		.SetNull = on_set_null,
		.SetDefault = on_set_default,
		.SetPosition = on_set_position};
	graphics_register_pointer(context->graphics, &pointer);
	on_set_default(context);
}
