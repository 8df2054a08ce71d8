/* What is a photograph, and above all what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <pango/pangocairo.h>
#include <stdlib.h>
#include <string.h>

#include "screen/photo.h"

/* fontconfig keeps its caches until the end of the process */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:libfontconfig\nleak:libpango";
}

enum {
	WIDTH = 1280,
	HEIGHT = 800,
};

struct world {
	struct image image;
	struct photo photo;
	cairo_t *cairo;
	uint32_t seed;
};

static int
make(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	assert_int_equal(image_init(&w->image, WIDTH, HEIGHT), 0);
	assert_int_equal(photo_init(&w->photo, WIDTH, HEIGHT), 0);
	cairo_surface_t *surface = cairo_image_surface_create_for_data(
		w->image.bytes, CAIRO_FORMAT_RGB24, WIDTH, HEIGHT, (int)w->image.stride);
	w->cairo = cairo_create(surface);
	cairo_surface_destroy(surface);
	w->seed = 1;
	*state = w;
	return 0;
}

static int
unmake(void **state)
{
	struct world *w = *state;
	cairo_destroy(w->cairo);
	photo_fini(&w->photo);
	image_fini(&w->image);
	free(w);
	return 0;
}

/* ---- drawing ---- */

static void
fill(struct world *w, double r, double g, double b)
{
	cairo_set_source_rgb(w->cairo, r, g, b);
	cairo_paint(w->cairo);
}

/* Text of this size all over the rectangle, each pixel with three coverages. */
static void
write_text(struct world *w, struct rect at, int px, double grey)
{
	static const char words[] =
		"本日の会議は午後二時より第三会議室で行います。資料は共有フォルダーに置きました。縁側から観る庭、"
		"鬱蒼とした憂鬱な薔薇の花壇。The quick brown fox jumps over 1,234.56 lazy dogs; ";
	PangoLayout *layout = pango_cairo_create_layout(w->cairo);
	PangoContext *context = pango_layout_get_context(layout);
	cairo_font_options_t *options = cairo_font_options_create();
	cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_SUBPIXEL);
	pango_cairo_context_set_font_options(context, options);
	PangoFontDescription *font = pango_font_description_from_string("Noto Sans CJK JP");
	pango_font_description_set_absolute_size(font, px * PANGO_SCALE);
	pango_layout_set_font_description(layout, font);
	pango_layout_set_width(layout, at.w * PANGO_SCALE);
	pango_layout_set_wrap(layout, PANGO_WRAP_CHAR);
	GString *text = g_string_new(NULL);
	for (int i = 0; i < 1 + at.w * at.h / (px * px * 60); i++)
		g_string_append(text, words);
	pango_layout_set_text(layout, text->str, -1);
	cairo_save(w->cairo);
	cairo_rectangle(w->cairo, at.x, at.y, at.w, at.h);
	cairo_clip(w->cairo);
	cairo_move_to(w->cairo, at.x, at.y);
	cairo_set_source_rgb(w->cairo, grey, grey, grey);
	pango_cairo_show_layout(w->cairo, layout);
	cairo_restore(w->cairo);
	g_string_free(text, TRUE);
	pango_font_description_free(font);
	cairo_font_options_destroy(options);
	g_object_unref(layout);
}

static uint32_t
chance(struct world *w)
{
	w->seed ^= w->seed << 13;
	w->seed ^= w->seed >> 17;
	w->seed ^= w->seed << 5;
	return w->seed;
}

/* Hills, light and the grain of a sensor; a sky with little of it. */
static void
draw_photo(struct world *w, struct rect at)
{
	for (unsigned y = 0; y < at.h; y++)
		for (unsigned x = 0; x < at.w; x++) {
			uint8_t *p = image_at(&w->image, at.x + x, at.y + y);
			double hill = sin(x * 0.05) * sin(y * 0.033 + x * 0.011),
			       rough = y * 3 < at.h ? 2 : 18;
			for (int i = 0; i < 3; i++)
				p[i] = (uint8_t)(110 + 60 * hill + 20 * i + y * 25.0 / at.h +
						 rough * (chance(w) % 256 / 255.0 - 0.5));
		}
}

static size_t
find(struct world *w, struct rect *ret)
{
	const struct rect all = {0, 0, WIDTH, HEIGHT};
	return photo_find(&w->photo, &w->image, &all, 1, ret);
}

static void
nothing_found(struct world *w, const char *what)
{
	struct rect found[PHOTO_MAX];
	if (find(w, found) > 0)
		fail_msg("%s: a photograph at %u, %u of %ux%u", what, found[0].x, found[0].y,
			found[0].w, found[0].h);
}

/* ---- what is none ---- */

static void
test_text_is_none(void **state)
{
	struct world *w = *state;
	const struct rect all = {0, 0, WIDTH, HEIGHT};
	static const double inks[][2] = {{1, 0}, {0.12, 0.9}, {0.95, 0.45}, {0.7, 1}};
	for (int px = 9; px <= 36; px += px < 16 ? 1 : 5)
		for (size_t i = 0; i < sizeof inks / sizeof *inks; i++) {
			char what[64];
			snprintf(what, sizeof what, "text of %d px, colours %zu", px, i);
			fill(w, inks[i][0], inks[i][0], inks[i][0]);
			write_text(w, all, px, inks[i][1]);
			nothing_found(w, what);
		}
}

/* Windows have shades; text lies on them. */
static void
test_text_on_shades_is_none(void **state)
{
	struct world *w = *state;
	const struct rect all = {0, 0, WIDTH, HEIGHT};
	for (int way = 0; way < 3; way++) {
		cairo_pattern_t *shade = cairo_pattern_create_linear(
			0, 0, way == 1 ? 0 : WIDTH, way == 0 ? 0 : HEIGHT);
		cairo_pattern_add_color_stop_rgb(shade, 0, 0.93, 0.96, 1);
		cairo_pattern_add_color_stop_rgb(shade, 1, 0.4, 0.55, 0.8);
		cairo_set_source(w->cairo, shade);
		cairo_paint(w->cairo);
		cairo_pattern_destroy(shade);
		write_text(w, all, 14, 0);
		nothing_found(w, way == 0 ? "across" : way == 1 ? "down" : "aslant");
	}
}

/* Bars, a pie, a hatching, a grid, lines, and a scatter of points. */
static void
test_charts_are_none(void **state)
{
	struct world *w = *state;
	cairo_t *c = w->cairo;
	fill(w, 1, 1, 1);
	for (int i = 0; i < 24; i++) {
		cairo_set_source_rgb(c, i % 5 / 5.0, i % 3 / 3.0, i % 7 / 7.0);
		cairo_rectangle(c, 20 + i * 25, 380 - i * 13 % 300, 18, i * 13 % 300);
		cairo_fill(c);
		cairo_move_to(c, 950, 200);
		cairo_arc(c, 950, 200, 180, i * 0.2618, (i + 1) * 0.2618);
		cairo_fill(c);
	}
	cairo_set_source_rgb(c, 0, 0, 0.6);
	cairo_set_line_width(c, 1);
	for (int i = 0; i < 150; i++) {
		cairo_move_to(c, 20 + i * 4, 420);
		cairo_line_to(c, 20 + i * 4 - 100, 780);
		cairo_move_to(c, 660, 420 + i * 2.4);
		cairo_line_to(c, 920, 780 - i * 2.4);
	}
	cairo_stroke(c);
	for (int i = 0; i < 600; i++) {
		cairo_set_source_rgb(c, chance(w) % 4 / 4.0, 0.4, chance(w) % 4 / 4.0);
		cairo_arc(c, 960 + chance(w) % 300, 430 + chance(w) % 350, 2 + chance(w) % 3, 0, 7);
		cairo_fill(c);
	}
	nothing_found(w, "charts");
}

/* Round shaded icons with names below, as on a desktop. */
static void
test_icons_are_none(void **state)
{
	struct world *w = *state;
	fill(w, 0.2, 0.35, 0.5);
	for (int i = 0; i < 60; i++) {
		double x = 60 + i % 12 * 104, y = 60 + i / 12 * 150;
		cairo_pattern_t *shade = cairo_pattern_create_radial(x - 10, y - 10, 4, x, y, 32);
		cairo_pattern_add_color_stop_rgb(shade, 0, 1, 1, i % 3 / 3.0);
		cairo_pattern_add_color_stop_rgb(shade, 1, i % 4 / 4.0, i % 5 / 5.0, 0.3);
		cairo_set_source(w->cairo, shade);
		cairo_arc(w->cairo, x, y, 32, 0, 7);
		cairo_fill(w->cairo);
		cairo_pattern_destroy(shade);
		write_text(w, (struct rect){(uint16_t)(x - 45), (uint16_t)(y + 40), 90, 30}, 13, 1);
	}
	nothing_found(w, "icons");
}

/* ---- what is one ---- */

static void
test_a_photograph_on_a_page(void **state)
{
	struct world *w = *state;
	const struct rect at = {301, 155, 640, 480}, all = {0, 0, WIDTH, HEIGHT};
	struct rect found[PHOTO_MAX];
	fill(w, 1, 1, 1);
	write_text(w, all, 14, 0);
	draw_photo(w, at);
	assert_int_equal(find(w, found), 1);
	assert_true(rect_within(&found[0], &at));
	assert_in_range(rect_area(&found[0]), rect_area(&at) * 99 / 100, rect_area(&at));
	assert_int_equal(found[0].w % 2 + found[0].h % 2, 0);
	/* only what has changed is looked at */
	assert_int_equal(
		photo_find(&w->photo, &w->image, &(struct rect){0, 0, 300, HEIGHT}, 1, found), 0);
}

/* A line of text across, on a ground of its own: two photographs, and the text is in neither. */
static void
test_a_caption_stays_out(void **state)
{
	struct world *w = *state;
	const struct rect at = {160, 80, 960, 640}, caption = {160, 400, 960, 48};
	struct rect found[PHOTO_MAX];
	fill(w, 1, 1, 1);
	draw_photo(w, at);
	cairo_set_source_rgb(w->cairo, 0, 0, 0);
	cairo_rectangle(w->cairo, caption.x, caption.y, caption.w, caption.h);
	cairo_fill(w->cairo);
	write_text(w, (struct rect){170, 410, 940, 30}, 22, 1);
	size_t count = find(w, found);
	assert_int_equal(count, 2);
	for (size_t i = 0; i < count; i++) {
		assert_false(rect_overlap(&found[i], &caption));
		assert_true(rect_within(&found[i], &at));
	}
	assert_in_range(
		rect_area(&found[0]) + rect_area(&found[1]), 960 * 592 * 95 / 100, 960 * 592);
	assert_false(rect_overlap(&found[0], &found[1]));
}

static void
test_small_screens(void **state)
{
	(void)state;
	static const uint16_t sizes[][2] = {{1, 1}, {15, 200}, {16, 16}, {64, 64}, {65, 79}};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct world w = {.seed = 7};
		struct rect all = {0, 0, sizes[i][0], sizes[i][1]}, found[PHOTO_MAX];
		assert_int_equal(image_init(&w.image, all.w, all.h), 0);
		assert_int_equal(photo_init(&w.photo, all.w, all.h), 0);
		draw_photo(&w, all);
		size_t count = photo_find(&w.photo, &w.image, &all, 1, found);
		assert_int_equal(count, all.w >= 64 && all.h >= 64);
		for (size_t k = 0; k < count; k++)
			assert_true(rect_within(&found[k], &all));
		photo_fini(&w.photo);
		image_fini(&w.image);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_text_is_none, make, unmake),
		cmocka_unit_test_setup_teardown(test_text_on_shades_is_none, make, unmake),
		cmocka_unit_test_setup_teardown(test_charts_are_none, make, unmake),
		cmocka_unit_test_setup_teardown(test_icons_are_none, make, unmake),
		cmocka_unit_test_setup_teardown(test_a_photograph_on_a_page, make, unmake),
		cmocka_unit_test_setup_teardown(test_a_caption_stays_out, make, unmake),
		cmocka_unit_test(test_small_screens),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
