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
	WIDE_GAP_PX = 150,
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

/* What a line of text needs, with the gap to the next one. */
struct room {
	double width, height;
};

/* A pattern to be drawn: columns of rows, a line each. */
struct pattern {
	const struct item *items;
	size_t count, rows, columns; /* columns: an even number */
	const uint8_t *code;
	uint32_t width, height;
};

/* Every row has a line, in turn; every second column begins half way down the text and half a row
 * lower, so that any part of the screen shows something and no two neighbours show the same. What
 * goes over an edge comes in at the opposite one. */
static void
column_draw(const struct pattern *p, cairo_t *cr, double x, double shift)
{
	double pitch = (double)p->height / (double)p->rows;
	for (int row = -1; row <= (int)p->rows; row++)
		item_draw(&p->items[(((size_t)row + p->rows) % p->rows +
					    (shift > 0 ? (p->count + 1) / 2 : 0)) %
				    p->count],
			cr, x, (row + 0.5 + shift) * pitch);
}

/* The places of the dashes are kept free of text. */
static void
code_draw(const struct pattern *p, uint8_t *mask)
{
	enum {
		MIDDLE = WATERMARK_PITCH_PX / 2,
		ACROSS = WATERMARK_OFFSET_PX + WATERMARK_DASH_PX / 2,
	};
	for (uint32_t top = 0, cell_y = 0; top < p->height; top += WATERMARK_PITCH_PX, cell_y++)
		for (uint32_t left = 0, x = 0; left < p->width; left += WATERMARK_PITCH_PX, x++) {
			size_t cell =
				cell_y % WATERMARK_CELLS * WATERMARK_CELLS + x % WATERMARK_CELLS;
			unsigned symbol = p->code[cell / 4] >> cell % 4 * 2 & 3;
			uint8_t *middle = mask + (size_t)(top + MIDDLE) * p->width + left + MIDDLE;
			for (int y = -WATERMARK_OFFSET_PX; y <= WATERMARK_OFFSET_PX; y++)
				memset(middle + y * (ptrdiff_t)p->width - ACROSS, 0, 2 * ACROSS);
			ptrdiff_t right = symbol & 1 ? WATERMARK_OFFSET_PX : -WATERMARK_OFFSET_PX;
			ptrdiff_t down = symbol & 2 ? WATERMARK_OFFSET_PX : -WATERMARK_OFFSET_PX;
			memset(middle + down * p->width + right - WATERMARK_DASH_PX / 2, 1,
				WATERMARK_DASH_PX);
		}
}

/* Returns how many pixels are strokes of text, or -ENOMEM. */
static int64_t
pattern_draw(const struct pattern *p, uint8_t *mask)
{
	cairo_surface_t *surface =
		cairo_image_surface_create(CAIRO_FORMAT_A8, (int)p->width, (int)p->height);
	cairo_t *cr = cairo_create(surface);
	for (int column = -1; column <= (int)p->columns; column++)
		column_draw(p, cr, (column + 0.5) * p->width / (double)p->columns,
			column & 1 ? 0.5 : 0);
	cairo_surface_flush(surface);
	int64_t strokes = cairo_status(cr) == CAIRO_STATUS_SUCCESS ? 0 : -ENOMEM;
	const uint8_t *bytes = cairo_image_surface_get_data(surface);
	int stride = cairo_image_surface_get_stride(surface);
	for (uint32_t y = 0; strokes >= 0 && y < p->height; y++)
		for (uint32_t x = 0; x < p->width; x++) {
			int stroke = bytes[(size_t)y * (size_t)stride + x] >= STROKE_ALPHA;
			mask[(size_t)y * p->width + x] = (uint8_t)stroke;
			strokes += stroke;
		}
	cairo_destroy(cr);
	cairo_surface_destroy(surface);
	return strokes;
}

/* As many rows as have room and do not cover too much. 0, 1 when not even every line has one, or a
 * failure. */
static int
fill_rows(struct pattern *p, struct room cell, uint8_t *mask)
{
	double area = (double)p->width * p->height, limit = area * WATERMARK_COVER_PERMILLE / 1000;
	if (p->code)
		limit -= area / (WATERMARK_PITCH_PX * WATERMARK_PITCH_PX) * WATERMARK_DASH_PX;
	p->rows = (size_t)(p->height / cell.height);
	while (p->rows >= p->count) {
		int64_t strokes = pattern_draw(p, mask);
		if (strokes <= 0)
			return strokes == 0 ? -EINVAL : (int)strokes;
		if ((double)strokes <= limit)
			return 0;
		size_t fit = (size_t)((double)p->rows * limit / (double)strokes);
		p->rows = fit < p->rows ? fit : p->rows - 1;
	}
	return 1;
}

/* With the most columns that leave room for rows. tight: no wide gaps, or 1. */
static int
fill(struct pattern *p, struct room cell, int tight, uint8_t *mask)
{
	int r = 1;
	for (p->columns = (size_t)(p->width / cell.width) & ~(size_t)1; p->columns > 0 && r == 1;
		p->columns -= r == 1 ? 2 : 0) {
		r = fill_rows(p, cell, mask);
		if (r == 0 && tight &&
			(p->width / (double)p->columns > cell.width + WIDE_GAP_PX ||
				p->height / (double)p->rows > cell.height + WIDE_GAP_PX))
			r = 1;
	}
	if (r == 0 && p->code)
		code_draw(p, mask);
	return r;
}

/* The smallest pattern that every line fits into, without wide gaps if there is one. */
static int
pattern_fit(struct pattern *p, uint8_t *mask, size_t cap)
{
	enum {
		SIDE = WATERMARK_SIDE_MAX_PX / WATERMARK_PERIOD_PX,
		TIGHT_AREA = 12, /* periods: a screen */
	};
	struct room cell = {0, 0};
	for (size_t i = 0; i < p->count; i++) {
		cell.width = fmax(cell.width, p->items[i].box_w + GAP_PX);
		cell.height = fmax(cell.height, p->items[i].box_h + GAP_PX);
	}
	for (int tight = 1; tight >= 0; tight--)
		for (uint32_t area = 1; area <= (tight ? TIGHT_AREA : SIDE * SIDE); area++)
			for (uint32_t high = 1; high <= SIDE; high++) {
				p->width = area / high * WATERMARK_PERIOD_PX;
				p->height = high * WATERMARK_PERIOD_PX;
				if (area % high != 0 || area / high > SIDE ||
					p->width < 2 * cell.width ||
					p->height < cell.height * (double)p->count ||
					(size_t)p->width * p->height > cap)
					continue;
				int r = fill(p, cell, tight, mask);
				if (r <= 0)
					return r;
			}
	return -ENOBUFS;
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
watermark_draw(const char *const *lines, size_t count, const uint8_t *code, uint8_t *mask,
	size_t cap, uint32_t *ret_width, uint32_t *ret_height)
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
	struct pattern pattern = {.items = items, .count = used, .code = code};
	if (r == 0)
		r = used ? pattern_fit(&pattern, mask, cap) : -EINVAL;
	if (r == 0) {
		*ret_width = pattern.width;
		*ret_height = pattern.height;
	}
	while (used > 0)
		g_object_unref(items[--used].layout);
	return r;
}
