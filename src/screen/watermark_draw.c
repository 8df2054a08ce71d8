#include "screen/watermark_draw.h"

#include <errno.h>
#include <math.h>
#include <pango/pangocairo.h>
#include <string.h>

#include "base/str.h"
#include "screen/watermark.h"

enum {
	FONT_PX = 17,         /* kanji can be read on a photograph of the screen */
	TEXT_WIDTH_PX = 640,  /* longer lines are broken */
	LINE_MAX_BYTES = 256, /* DesktopStart.watermark */
	STROKE_ALPHA =
		112, /* a pixel this much inside a glyph belongs to the stroke: thin, but whole */
	GAP_PX = 24,
};

static const double SLANT = -0.30; /* radians: runs neither along text nor along window edges */

/* One line of the text, which is several when it is long. */
struct item {
	PangoLayout *layout;
	double width, height; /* upright */
	double box_w, box_h;  /* slanted */
};

static PangoLayout *
layout_new(const char *text)
{
	PangoContext *context = pango_font_map_create_context(pango_cairo_font_map_get_default());
	/* the same strokes whatever the person's settings for fonts are */
	cairo_font_options_t *options = cairo_font_options_create();
	cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
	cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
	cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
	pango_cairo_context_set_font_options(context, options);
	pango_cairo_context_set_resolution(context, 96);
	pango_context_set_language(context, pango_language_from_string("ja"));
	cairo_font_options_destroy(options);

	PangoLayout *layout = pango_layout_new(context);
	g_object_unref(context);
	PangoFontDescription *font =
		pango_font_description_from_string("Noto Sans CJK JP, Noto Sans, sans-serif");
	pango_font_description_set_absolute_size(font, FONT_PX * PANGO_SCALE);
	pango_layout_set_font_description(layout, font);
	pango_font_description_free(font);
	pango_layout_set_width(layout, TEXT_WIDTH_PX * PANGO_SCALE);
	pango_layout_set_wrap(layout, PANGO_WRAP_WORD_CHAR);
	pango_layout_set_text(layout, text, -1);
	return layout;
}

/* 1 when there is something to see. */
static int
item_init(struct item *item, const char *text)
{
	PangoRectangle ink, logical;
	item->layout = layout_new(text);
	pango_layout_get_pixel_extents(item->layout, &ink, &logical);
	item->width = logical.x + logical.width;
	item->height = logical.y + logical.height;
	double c = cos(SLANT), s = fabs(sin(SLANT));
	item->box_w = item->width * c + item->height * s;
	item->box_h = item->width * s + item->height * c;
	return ink.width > 0 && ink.height > 0;
}

/* The item with the middle of its box at x, y. */
static void
item_draw(const struct item *item, cairo_t *cr, double x, double y)
{
	cairo_save(cr);
	cairo_translate(cr, x, y);
	cairo_rotate(cr, SLANT);
	cairo_move_to(cr, -item->width / 2, -item->height / 2);
	pango_cairo_show_layout(cr, item->layout);
	cairo_restore(cr);
}

/* Every line has a cell, one below the other; a second column begins half way down the text and
 * half a cell lower, so that any part of the screen shows something and no two neighbours show the
 * same. What goes over an edge comes in at the opposite one. */
static void
column_draw(
	const struct item *items, size_t count, cairo_t *cr, double x, double shift, double pitch)
{
	for (int row = -1; row <= (int)count; row++)
		item_draw(&items[((size_t)row + count + (shift > 0 ? (count + 1) / 2 : 0)) % count],
			cr, x, (row + 0.5 + shift) * pitch);
}

/* Returns how many pixels are strokes, or -ENOMEM. */
static int64_t
pattern_draw(const struct item *items, size_t count, uint32_t width, uint32_t height, uint8_t *mask)
{
	cairo_surface_t *surface =
		cairo_image_surface_create(CAIRO_FORMAT_A8, (int)width, (int)height);
	cairo_t *cr = cairo_create(surface);
	double pitch = (double)height / (double)count;
	for (int column = -1; column <= 2; column++)
		column_draw(
			items, count, cr, (column + 0.5) * width / 2, column & 1 ? 0.5 : 0, pitch);
	cairo_surface_flush(surface);
	int64_t strokes = cairo_status(cr) == CAIRO_STATUS_SUCCESS ? 0 : -ENOMEM;
	const uint8_t *bytes = cairo_image_surface_get_data(surface);
	int stride = cairo_image_surface_get_stride(surface);
	for (uint32_t y = 0; strokes >= 0 && y < height; y++)
		for (uint32_t x = 0; x < width; x++) {
			int stroke = bytes[(size_t)y * (size_t)stride + x] >= STROKE_ALPHA;
			mask[(size_t)y * width + x] = (uint8_t)stroke;
			strokes += stroke;
		}
	cairo_destroy(cr);
	cairo_surface_destroy(surface);
	return strokes;
}

/* The pattern as tight as the lines allow; when it covers too much, its area grows. */
static int
pattern_fit(const struct item *items, size_t count, uint8_t *mask, size_t cap, uint32_t *ret_width,
	uint32_t *ret_height)
{
	double width = 0, height = 0;
	for (size_t i = 0; i < count; i++) {
		width = fmax(width, 2 * (items[i].box_w + GAP_PX));
		height = fmax(height, (double)count * (items[i].box_h + GAP_PX));
	}
	for (;;) {
		uint32_t w = (uint32_t)ceil(width), h = (uint32_t)ceil(height);
		if (w > WATERMARK_SIDE_MAX_PX || h > WATERMARK_SIDE_MAX_PX || (size_t)w * h > cap)
			return -ENOBUFS;
		int64_t strokes = pattern_draw(items, count, w, h, mask);
		if (strokes <= 0)
			return strokes == 0 ? -EINVAL : (int)strokes;
		double over = (double)strokes * 1000 / ((double)w * h * WATERMARK_COVER_PERMILLE);
		if (over <= 1) {
			*ret_width = w;
			*ret_height = h;
			return 0;
		}
		width *= sqrt(over) * 1.002;
		height *= sqrt(over) * 1.002;
	}
}

/* Control characters become spaces: a line is a line. */
static int
clean(const char *line, char text[static LINE_MAX_BYTES])
{
	if (!str_utf8(line, strlen(line)) || str_copy(text, LINE_MAX_BYTES, line) < 0)
		return -EINVAL;
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
	return 0;
}

int
watermark_draw(const char *const *lines, size_t count, uint8_t *mask, size_t cap,
	uint32_t *ret_width, uint32_t *ret_height)
{
	struct item items[WATERMARK_LINES_MAX];
	size_t used = 0;
	if (count > WATERMARK_LINES_MAX)
		return -EINVAL;
	int r = 0;
	for (size_t i = 0; r == 0 && i < count; i++) {
		char text[LINE_MAX_BYTES];
		r = clean(lines[i], text);
		if (r == 0 && item_init(&items[used], text))
			used++;
		else if (r == 0)
			g_object_unref(items[used].layout);
	}
	if (r == 0)
		r = used ? pattern_fit(items, used, mask, cap, ret_width, ret_height) : -EINVAL;
	while (used > 0)
		g_object_unref(items[--used].layout);
	return r;
}
