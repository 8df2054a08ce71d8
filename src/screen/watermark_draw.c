#include "screen/watermark_draw.h"

#include <errno.h>
#include <pango/pangocairo.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "screen/watermark.h"

/*
 * The text stands in few rows of the screen, and all of it together: what a stroke costs is to
 * break a row that the coder has seen before. Bands of text lie between the rows of dashes, twice
 * in a pattern, so that each quarter of a full HD screen shows all of it. There they lie in the
 * middle of the upper and of the lower half: where windows scroll, new rows come in at their edges.
 */
enum {
	FONT_PX = 13, /* kanji can be read on a photograph of the screen */
	ROW_PX = 20,
	MARGIN_PX = 20,
	LINE_MAX_BYTES = 256, /* DesktopStart.watermark */
	TEXT_MAX_BYTES = WATERMARK_LINES_MAX * (LINE_MAX_BYTES + 4),
	STROKE_ALPHA =
		112, /* a pixel this much inside a glyph belongs to the stroke: thin, but whole */
	HIGH_MAX = WATERMARK_SIDE_MAX_PX / WATERMARK_PERIOD_PX,
	/* around the middle of a cell, where dashes can be and nothing else is */
	CLEAR_X_PX = WATERMARK_OFFSET_PX + WATERMARK_DASH_PX / 2 + 2,
	CLEAR_Y_PX = WATERMARK_OFFSET_PX + 2,
	ROWS_IN_GAP = (WATERMARK_PITCH_PX - 2 * CLEAR_Y_PX) / ROW_PX,
	FIRST_GAP = 5, /* below so many rows of dashes */
};

#define BETWEEN "   "

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
	pango_layout_set_width(layout, (WATERMARK_PERIOD_PX - 2 * MARGIN_PX) * PANGO_SCALE);
	pango_layout_set_wrap(layout, PANGO_WRAP_WORD_CHAR);
	pango_layout_set_text(layout, text, -1);
	return layout;
}

/* A pattern to be drawn. */
struct pattern {
	PangoLayout *layout;
	size_t bands; /* of text */
	const uint8_t *code;
	uint32_t width, height;
};

/* One band: its rows, as many as there is room for between two rows of dashes. */
static void
band_draw(PangoLayout *layout, cairo_t *cr, uint32_t gap)
{
	int row = 0;
	for (GSList *line = pango_layout_get_lines_readonly(layout); line;
		line = line->next, row++) {
		/* the lower end of a row of dashes, and the baseline of a row of text */
		double top = (gap + (uint32_t)(row / ROWS_IN_GAP) + 0.5) * WATERMARK_PITCH_PX +
			     CLEAR_Y_PX;
		cairo_move_to(cr, MARGIN_PX, top + row % ROWS_IN_GAP * ROW_PX + FONT_PX + 2);
		pango_cairo_show_layout_line(cr, line->data);
	}
}

static void
code_draw(const struct pattern *p, uint8_t *mask)
{
	for (uint32_t y = 0; y < p->height / WATERMARK_PITCH_PX; y++)
		for (uint32_t x = 0; x < p->width / WATERMARK_PITCH_PX; x++) {
			size_t cell = y % WATERMARK_CELLS * WATERMARK_CELLS + x % WATERMARK_CELLS;
			unsigned symbol = p->code[cell / 4] >> cell % 4 * 2 & 3;
			uint8_t *middle =
				mask +
				(size_t)(y * WATERMARK_PITCH_PX + WATERMARK_PITCH_PX / 2) *
					p->width +
				x * WATERMARK_PITCH_PX + WATERMARK_PITCH_PX / 2;
			for (int row = -CLEAR_Y_PX; row <= CLEAR_Y_PX; row++)
				memset(middle + row * (ptrdiff_t)p->width - CLEAR_X_PX, 0,
					2 * CLEAR_X_PX);
			ptrdiff_t right = symbol & 1 ? WATERMARK_OFFSET_PX : -WATERMARK_OFFSET_PX;
			ptrdiff_t down = symbol & 2 ? WATERMARK_OFFSET_PX : -WATERMARK_OFFSET_PX;
			memset(middle + down * (ptrdiff_t)p->width + right - WATERMARK_DASH_PX / 2,
				1, WATERMARK_DASH_PX);
		}
}

/* Below which row of dashes a band begins. */
static uint32_t
band_gap(const struct pattern *p, size_t band)
{
	uint32_t gaps = p->height / WATERMARK_PITCH_PX;
	return FIRST_GAP - 1 + (uint32_t)(band * (gaps / p->bands));
}

/* Returns how many pixels are strokes of text, or -ENOMEM. */
static int64_t
text_draw(const struct pattern *p, uint8_t *mask)
{
	cairo_surface_t *surface =
		cairo_image_surface_create(CAIRO_FORMAT_A8, (int)p->width, (int)p->height);
	cairo_t *cr = cairo_create(surface);
	for (size_t band = 0; band < p->bands; band++)
		band_draw(p->layout, cr, band_gap(p, band));
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

/* The smallest pattern that the bands have room in and that does not cover too much. */
static int
pattern_fit(struct pattern *p, uint8_t *mask, size_t cap)
{
	uint32_t rows = (uint32_t)pango_layout_get_line_count(p->layout);
	uint32_t need = (rows + ROWS_IN_GAP - 1) / ROWS_IN_GAP; /* gaps of a band */
	p->width = WATERMARK_PERIOD_PX;
	for (uint32_t high = 1; high <= HIGH_MAX; high++)
		for (p->bands = high == 1 ? 2 : 1; p->bands > 0; p->bands--) {
			p->height = high * WATERMARK_PERIOD_PX;
			double area = (double)p->width * p->height,
			       limit = area * WATERMARK_COVER_PERMILLE / 1000;
			if (p->code)
				limit -= area / (WATERMARK_PITCH_PX * WATERMARK_PITCH_PX) *
					 WATERMARK_DASH_PX;
			if ((size_t)area > cap ||
				band_gap(p, p->bands - 1) + need >= p->height / WATERMARK_PITCH_PX)
				continue;
			int64_t strokes = text_draw(p, mask);
			if (strokes <= 0)
				return strokes == 0 ? -EINVAL : (int)strokes;
			if ((double)strokes > limit)
				continue;
			if (p->code)
				code_draw(p, mask);
			return 0;
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

/* Lines that show something, one after the other. 0 or -EINVAL. */
static int
join(const char *const *lines, size_t count, char text[static TEXT_MAX_BYTES])
{
	text[0] = '\0';
	if (count > WATERMARK_LINES_MAX)
		return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		char line[LINE_MAX_BYTES];
		if (clean(lines[i], line) < 0)
			return -EINVAL;
		if (line[strspn(line, " ")] == '\0')
			continue;
		size_t len = strlen(text);
		snprintf(text + len, TEXT_MAX_BYTES - len, "%s%s", len ? BETWEEN : "", line);
	}
	return text[0] ? 0 : -EINVAL;
}

int
watermark_draw(const char *const *lines, size_t count, const uint8_t *code, uint8_t *mask,
	size_t cap, uint32_t *ret_width, uint32_t *ret_height)
{
	char text[TEXT_MAX_BYTES];
	int r = join(lines, count, text);
	if (r < 0)
		return r;
	struct pattern pattern = {.layout = layout_new(text), .code = code};
	r = pattern_fit(&pattern, mask, cap);
	if (r == 0) {
		*ret_width = pattern.width;
		*ret_height = pattern.height;
	}
	g_object_unref(pattern.layout);
	return r;
}
