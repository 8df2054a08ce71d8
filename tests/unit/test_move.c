/* A desktop that scrolls, drags and repaints, through search, coder and decoder, with a watermark:
 * no pixel may differ, and moves must be found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "screen/damage.h"
#include "screen/decode.h"
#include "screen/encode.h"
#include "screen/move.h"

enum {
	W = 640,
	H = 400
};

static struct desk {
	struct image now, shown, marked;
	struct watermark *watermark;
	struct damage damage;
	struct moves *moves;
	struct encoder *encoder;
	struct decoder *decoder;
	uint32_t seq;
	size_t copies; /* of the last picture */
	size_t moved_px, sent_px;
} d;

static void
put(size_t x, size_t y, uint32_t bgrx)
{
	memcpy(image_at(&d.now, x, y), &bgrx, 4);
}

/* Like text: dark on light, in lines of varying length. */
static void
text(struct rect r, uint32_t ground)
{
	for (size_t y = r.y; y < (size_t)r.y + r.h; y++)
		for (size_t x = r.x; x < (size_t)r.x + r.w; x++)
			put(x, y, ground);
	for (size_t line = 0; line + 14 < r.h; line += 16) {
		size_t length = (size_t)random() % r.w;
		for (size_t y = r.y + line; y < r.y + line + 12; y++)
			for (size_t x = 0; x < length; x++)
				if (random() % 4 == 0)
					put(r.x + x, y, (uint32_t)(random() & 0x3f3f3f));
	}
}

static void
shift(struct rect area, int dx, int dy)
{
	int x0 = dx > 0 ? dx : 0, y0 = dy > 0 ? dy : 0;
	struct copy c = {{(uint16_t)(area.x + x0), (uint16_t)(area.y + y0),
				 (uint16_t)(area.w - abs(dx)), (uint16_t)(area.h - abs(dy))},
		(uint16_t)(area.x + x0 - dx), (uint16_t)(area.y + y0 - dy)};
	move_copy(&d.now, &c);
}

static void
carry(const struct encode_change *change)
{
	static uint8_t piece[ENCODE_PIECE_MAX_BYTES];
	int last = 0;
	encoder_start(d.encoder, ++d.seq, &d.shown, change);
	while (!last) {
		int len = encoder_next(d.encoder, piece, sizeof piece, &last);
		assert_in_range(len, 0, sizeof piece);
		assert_int_equal(decoder_frame(d.decoder, d.seq, last, piece, (size_t)len), last);
	}
	memcpy(d.marked.bytes, d.now.bytes, (size_t)W * H * 4);
	watermark_apply(d.watermark, &d.marked, 0, 0);
	const struct image *got = decoder_image(d.decoder);
	for (size_t y = 0; y < H; y++)
		for (size_t x = 0; x < W; x++)
			assert_memory_equal(image_at(got, x, y), image_at(&d.marked, x, y), 3);
}

/* What the session does with captured areas. */
static void
picture(const struct rect *areas, size_t n)
{
	static struct rect rects[ENCODE_RECTS_MAX];
	struct move_view views[MOVE_VIEWS_MAX];
	struct copy copies[MOVE_COPIES_MAX];
	for (size_t i = 0; i < n; i++)
		views[i] = (struct move_view){{image_at(&d.now, areas[i].x, areas[i].y),
						      d.now.stride, areas[i].w, areas[i].h},
			areas[i]};
	struct encode_change change = {.copies = copies, .rects = rects};
	change.copy_count = d.copies =
		moves_find(d.moves, views, n, &(struct rect){0}, &d.shown, copies);
	for (size_t i = 0; i < n; i++)
		damage_compare(&d.damage, &views[i].image, areas[i].x, areas[i].y, &d.shown);
	change.rect_count = damage_changed(&d.damage, rects, ENCODE_RECTS_MAX);
	d.moved_px = d.sent_px = 0;
	for (size_t i = 0; i < change.copy_count; i++)
		d.moved_px += (size_t)copies[i].to.w * copies[i].to.h;
	for (size_t i = 0; i < change.rect_count; i++)
		d.sent_px += (size_t)rects[i].w * rects[i].h;
	carry(&change);
}

static void
whole(void)
{
	picture(&(struct rect){0, 0, W, H}, 1);
}

static int
open_desk(void **state)
{
	(void)state;
	static uint8_t mask[97 * 61];
	static const struct rect all = {0, 0, W, H};
	srandom(4);
	d = (struct desk){0};
	memset(mask, 0, sizeof mask);
	for (int i = 0; i < 60; i++)
		mask[random() % (97 * 61)] = 1;
	assert_int_equal(watermark_new(mask, 97, 61, &d.watermark), 0);
	assert_int_equal(encoder_new(8, d.watermark, &d.encoder), 0);
	assert_int_equal(decoder_new(8, DECODER_BGRX, &d.decoder), 0);
	assert_int_equal(decoder_layout(d.decoder, W, H), 0);
	assert_int_equal(moves_new(&d.moves), 0);
	assert_int_equal(damage_init(&d.damage, W, H), 0);
	assert_int_equal(image_init(&d.now, W, H), 0);
	assert_int_equal(image_init(&d.shown, W, H), 0);
	assert_int_equal(image_init(&d.marked, W, H), 0);
	text(all, 0xffffff);
	memcpy(d.shown.bytes, d.now.bytes, (size_t)W * H * 4);
	carry(&(struct encode_change){.rects = &all, .rect_count = 1});
	return 0;
}

static int
close_desk(void **state)
{
	(void)state;
	image_fini(&d.now);
	image_fini(&d.shown);
	image_fini(&d.marked);
	damage_fini(&d.damage);
	moves_free(d.moves);
	encoder_free(d.encoder);
	decoder_free(d.decoder);
	watermark_free(d.watermark);
	return 0;
}

static void
test_scroll(void **state)
{
	(void)state;
	struct rect page = {21, 35, 570, 330};
	static const int steps[][2] = {{0, -16}, {0, -47}, {0, 3}, {0, 120}, {-31, 0}, {64, 0}};
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		int dx = steps[i][0], dy = steps[i][1];
		shift(page, dx, dy);
		struct rect fresh = page;
		if (dx) {
			fresh.w = (uint16_t)abs(dx);
			fresh.x = (uint16_t)(dx > 0 ? page.x : page.x + page.w - fresh.w);
		} else {
			fresh.h = (uint16_t)abs(dy);
			fresh.y = (uint16_t)(dy > 0 ? page.y : page.y + page.h - fresh.h);
		}
		text(fresh, 0xf0fff0);
		whole();
		size_t still = (size_t)(page.w - abs(dx)) * (size_t)(page.h - abs(dy));
		assert_true(d.copies > 0);
		assert_in_range(d.moved_px, still * 99 / 100, still);
		assert_true(d.sent_px < (size_t)page.w * page.h - still + 1000);
	}
}

/* A page that lies in several captures, in a direction in which one writes what another reads: all
 * of it moves, and nothing is written that is to be read still. */
static void
test_scroll_in_parts(void **state)
{
	(void)state;
	static const struct rect page = {0, 64, 576, 256};
	static const struct rect parts[] = {
		{0, 64, 128, 64}, {128, 64, 448, 64}, {0, 128, 448, 192}, {448, 128, 128, 192}};
	static const int steps[][2] = {
		{0, -19}, {0, 23}, {-21, 0}, {33, 0}, {17, 12}, {-17, 12}, {17, -12}, {-17, -12}};
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		int dx = steps[i][0], dy = steps[i][1];
		text(page, 0xf0fff0);
		whole();
		shift(page, dx, dy);
		picture(parts, 4);
		size_t still = (size_t)(page.w - abs(dx)) * (size_t)(page.h - abs(dy));
		assert_int_equal(d.sent_px, 0);
		assert_true(d.moved_px <= still);
	}
}

/* A window over text: what it uncovers and something painted in it in the same moment. */
static void
test_drag(void **state)
{
	(void)state;
	struct rect window = {100, 80, 260, 180};
	struct image ground;
	assert_int_equal(image_init(&ground, W, H), 0);
	memcpy(ground.bytes, d.now.bytes, (size_t)W * H * 4);
	text(window, 0xddeeff);
	whole();
	for (int i = 0; i < 20; i++) {
		struct rect from = window;
		window.x = (uint16_t)(random() % (W - window.w));
		window.y = (uint16_t)(random() % (H - window.h));
		struct copy c = {window, from.x, from.y};
		move_copy(&d.now, &c);
		for (size_t y = from.y; y < (size_t)from.y + from.h; y++)
			for (size_t x = from.x; x < (size_t)from.x + from.w; x++)
				if (x < window.x || x >= (size_t)window.x + window.w ||
					y < window.y || y >= (size_t)window.y + window.h)
					memcpy(image_at(&d.now, x, y), image_at(&ground, x, y), 4);
		struct rect painted = {
			(uint16_t)(window.x + 70), (uint16_t)(window.y + 50), 40, 32};
		text(painted, 0xff00ff);
		whole();
		assert_true(d.copies > 0 && d.moved_px > (size_t)window.w * window.h / 2);
	}
	image_fini(&ground);
}

/* Anything, in captures of anything. */
static void
test_anything(void **state)
{
	(void)state;
	for (int i = 0; i < 300; i++) {
		for (int k = (int)(random() % 4); k >= 0; k--) {
			struct rect r;
			r.w = (uint16_t)(8 + random() % (W - 8));
			r.h = (uint16_t)(8 + random() % (H - 8));
			r.x = (uint16_t)(random() % (W - r.w + 1));
			r.y = (uint16_t)(random() % (H - r.h + 1));
			int way = (int)(random() % 4);
			if (way == 0)
				text(r, (uint32_t)random() & 0xffffff);
			else
				shift(r, way & 1 ? (int)(random() % r.w) - r.w / 2 : 0,
					way & 2 ? (int)(random() % r.h) - r.h / 2 : 0);
		}
		if (i & 1) {
			whole();
			continue;
		}
		uint16_t x = (uint16_t)(random() % 9 * 64 + 64),
			 y = (uint16_t)(random() % 6 * 64 + 64);
		x = x < W ? x : 64;
		y = y < H ? y : 64;
		const struct rect parts[] = {{0, 0, x, y}, {x, 0, (uint16_t)(W - x), y},
			{0, y, x, (uint16_t)(H - y)}, {x, y, (uint16_t)(W - x), (uint16_t)(H - y)}};
		picture(parts, 4);
	}
	whole();
	assert_int_equal(d.copies, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_scroll, open_desk, close_desk),
		cmocka_unit_test_setup_teardown(test_scroll_in_parts, open_desk, close_desk),
		cmocka_unit_test_setup_teardown(test_drag, open_desk, close_desk),
		cmocka_unit_test_setup_teardown(test_anything, open_desk, close_desk),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
