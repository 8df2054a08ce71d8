#include "screen/watermark_draw.h"

#include <errno.h>
#include <math.h>
#include <pango/pangocairo.h>
#include <string.h>

#include "base/str.h"
#include "screen/watermark.h"

enum {
	FONT_PX = 17,        /* kanji can be read on a photograph of the screen */
	TEXT_WIDTH_PX = 640, /* longer lines are broken */
	TEXT_MAX_BYTES = 2048,
	STROKE_ALPHA =
		112, /* a pixel this much inside a glyph belongs to the stroke: thin, but whole */
	GAP_PX = 24,
};

static const double SLANT = -0.30; /* radians: runs neither along text nor along window edges */

struct block {
	PangoLayout *layout;
	double width, height; /* of the upright text */
	double box_w, box_h;  /* of the slanted text */
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

static void
block_init(struct block *b, const char *text)
{
	PangoRectangle ink;
	b->layout = layout_new(text);
	pango_layout_get_pixel_extents(b->layout, NULL, &ink);
	b->width = ink.x + ink.width;
	b->height = ink.y + ink.height;
	double c = cos(SLANT), s = fabs(sin(SLANT));
	b->box_w = b->width * c + b->height * s;
	b->box_h = b->width * s + b->height * c;
}

/* The block with the middle of its box at x, y. */
static void
block_draw(const struct block *b, cairo_t *cr, double x, double y)
{
	cairo_save(cr);
	cairo_translate(cr, x, y);
	cairo_rotate(cr, SLANT);
	cairo_move_to(cr, -b->width / 2, -b->height / 2);
	pango_cairo_show_layout(cr, b->layout);
	cairo_restore(cr);
}

/* Draws the pattern: the block in the middle and, in brick bond, at the corners; pieces over an
 * edge come in at the opposite one. Returns how many pixels are strokes, or -ENOMEM. */
static int64_t
pattern_draw(const struct block *b, uint32_t width, uint32_t height, uint8_t *mask)
{
	cairo_surface_t *surface =
		cairo_image_surface_create(CAIRO_FORMAT_A8, (int)width, (int)height);
	cairo_t *cr = cairo_create(surface);
	for (int i = -1; i <= 1; i++)
		for (int j = -1; j <= 1; j++) {
			block_draw(b, cr, (i + 0.5) * width, (j + 0.5) * height);
			block_draw(b, cr, i * (double)width, j * (double)height);
		}
	cairo_surface_flush(surface);
	int64_t count = cairo_status(cr) == CAIRO_STATUS_SUCCESS ? 0 : -ENOMEM;
	const uint8_t *bytes = cairo_image_surface_get_data(surface);
	int stride = cairo_image_surface_get_stride(surface);
	for (uint32_t y = 0; count >= 0 && y < height; y++)
		for (uint32_t x = 0; x < width; x++) {
			int stroke = bytes[(size_t)y * (size_t)stride + x] >= STROKE_ALPHA;
			mask[(size_t)y * width + x] = (uint8_t)stroke;
			count += stroke;
		}
	cairo_destroy(cr);
	cairo_surface_destroy(surface);
	return count;
}

/* The pattern as tight as blocks allow; when it covers too much, its area grows. */
static int
pattern_fit(
	const struct block *b, uint8_t *mask, size_t cap, uint32_t *ret_width, uint32_t *ret_height)
{
	double width = b->box_w + GAP_PX, height = b->box_h + GAP_PX;
	for (;;) {
		uint32_t w = (uint32_t)ceil(width), h = (uint32_t)ceil(height);
		if (w > WATERMARK_SIDE_MAX_PX || h > WATERMARK_SIDE_MAX_PX || (size_t)w * h > cap)
			return -ENOBUFS;
		int64_t count = pattern_draw(b, w, h, mask);
		if (count <= 0)
			return count == 0 ? -EINVAL : (int)count;
		double over = (double)count * 1000 / ((double)w * h * WATERMARK_COVER_PERMILLE);
		if (over <= 1) {
			*ret_width = w;
			*ret_height = h;
			return 0;
		}
		width *= sqrt(over) * 1.002;
		height *= sqrt(over) * 1.002;
	}
}

static int
join(const char *const *lines, size_t count, char text[static TEXT_MAX_BYTES])
{
	size_t len = 0;
	for (size_t i = 0; i < count; i++) {
		size_t line = strlen(lines[i]);
		if (!str_utf8(lines[i], line))
			return -EINVAL;
		if (len + line + 2 > TEXT_MAX_BYTES)
			return -ENOBUFS;
		for (size_t k = 0; k < line; k++) {
			unsigned char c = (unsigned char)lines[i][k];
			text[len++] = c < ' ' || c == 0x7f ? ' ' : (char)c;
		}
		text[len++] = '\n';
	}
	text[len ? len - 1 : 0] = '\0';
	return 0;
}

int
watermark_draw(const char *const *lines, size_t count, uint8_t *mask, size_t cap,
	uint32_t *ret_width, uint32_t *ret_height)
{
	char text[TEXT_MAX_BYTES];
	if (count == 0 || count > WATERMARK_LINES_MAX)
		return -EINVAL;
	int r = join(lines, count, text);
	if (r < 0)
		return r;
	struct block block;
	block_init(&block, text);
	r = pattern_fit(&block, mask, cap, ret_width, ret_height);
	g_object_unref(block.layout);
	return r;
}
