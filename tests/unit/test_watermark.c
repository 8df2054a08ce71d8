#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "screen/watermark.h"
#include "screen/watermark_draw.h"

enum {
	CAP = WATERMARK_MASK_MAX_BYTES
};

/* fontconfig keeps its caches until the end of the process */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:libfontconfig\nleak:libpango";
}

static uint8_t mask[CAP], again[CAP];
static const char *const lines[] = {"端末 K7QM 総務課 山田太郎", "接続元 自宅PC 203.0.113.7",
	"2026-11-22 13:08 JST  session 4F2A-91C0", "複製・撮影を禁じます"};

static struct watermark *
drawn(uint32_t *ret_w, uint32_t *ret_h)
{
	struct watermark *m;
	assert_int_equal(watermark_draw(lines, 4, NULL, mask, CAP, ret_w, ret_h), 0);
	assert_int_equal(watermark_new(mask, *ret_w, *ret_h, &m), 0);
	return m;
}

static size_t
rows_with_strokes(uint32_t w, uint32_t from, uint32_t to)
{
	size_t count = 0;
	for (uint32_t y = from; y < to; y++)
		count += memchr(mask + (size_t)y * w, 1, w) != NULL;
	return count;
}

static void
test_draw(void **state)
{
	(void)state;
	uint32_t w, h, w2, h2;
	watermark_free(drawn(&w, &h));
	size_t count = 0;
	for (size_t i = 0; i < (size_t)w * h; i++)
		count += mask[i];
	/* never beyond the limit; the whole text twice in a pattern that a full HD screen shows */
	assert_true(count * 1000 <= (size_t)w * h * WATERMARK_COVER_PERMILLE);
	assert_true(count * 1000 >= (size_t)w * h * 2);
	assert_true(w < 1920 && h < 1080);
	assert_true(rows_with_strokes(w, 0, h / 2) > 10);
	assert_true(rows_with_strokes(w, h / 2, h) > 10);
	/* few rows have any: these are what it costs */
	assert_true(rows_with_strokes(w, 0, h) < h / 10);
	assert_int_equal(watermark_draw(lines, 4, NULL, again, CAP, &w2, &h2), 0);
	assert_int_equal(w, w2);
	assert_int_equal(h, h2);
	assert_memory_equal(mask, again, (size_t)w * h);
}

/* Every cell has its dash, at the place that its symbol says, and no letter near it; the pattern
 * goes on without a seam. */
static void
test_code(void **state)
{
	(void)state;
	uint8_t code[WATERMARK_CODE_BYTES];
	uint32_t w, h;
	srandom(7);
	for (size_t i = 0; i < sizeof code; i++)
		code[i] = (uint8_t)random();
	assert_int_equal(watermark_draw(lines, 4, code, mask, CAP, &w, &h), 0);
	assert_int_equal(w % WATERMARK_PERIOD_PX, 0);
	assert_int_equal(h % WATERMARK_PERIOD_PX, 0);
	size_t count = 0;
	for (size_t i = 0; i < (size_t)w * h; i++)
		count += mask[i];
	assert_true(count * 1000 <= (size_t)w * h * WATERMARK_COVER_PERMILLE);
	/* text is there, too */
	assert_true(count > (size_t)w * h * 4 / 1000);
	for (uint32_t y = 0; y < h / WATERMARK_PITCH_PX; y++)
		for (uint32_t x = 0; x < w / WATERMARK_PITCH_PX; x++) {
			size_t cell = y % WATERMARK_CELLS * WATERMARK_CELLS + x % WATERMARK_CELLS;
			unsigned symbol = code[cell / 4] >> cell % 4 * 2 & 3;
			int mid_x = (int)x * WATERMARK_PITCH_PX + WATERMARK_PITCH_PX / 2,
			    mid_y = (int)y * WATERMARK_PITCH_PX + WATERMARK_PITCH_PX / 2;
			int dash_x = mid_x + (symbol & 1 ? 4 : -4) - 4,
			    dash_y = mid_y + (symbol & 2 ? 4 : -4);
			for (int v = mid_y - 6; v <= mid_y + 6; v++)
				for (int u = mid_x - 10; u < mid_x + 10; u++)
					assert_int_equal(mask[(size_t)v * w + (size_t)u],
						v == dash_y && u >= dash_x && u < dash_x + 8);
		}
}

static void
test_draw_refuses(void **state)
{
	(void)state;
	uint32_t w, h;
	const uint8_t code[WATERMARK_CODE_BYTES] = {0};
	const char *const blank[] = {" ", ""}, *const bad[] = {"\xff\xfe"};
	char longest[4][256];
	const char *const all[] = {longest[0], longest[1], longest[2], longest[3]};
	assert_int_equal(watermark_draw(lines, 0, NULL, mask, CAP, &w, &h), -EINVAL);
	assert_int_equal(watermark_draw(lines, 5, NULL, mask, CAP, &w, &h), -EINVAL);
	assert_int_equal(watermark_draw(blank, 2, NULL, mask, CAP, &w, &h), -EINVAL);
	assert_int_equal(watermark_draw(bad, 1, NULL, mask, CAP, &w, &h), -EINVAL);
	assert_int_equal(watermark_draw(lines, 4, NULL, mask, 10000, &w, &h), -ENOBUFS);
	/* the longest lines that DesktopStart can carry, of the blackest kanji */
	for (int i = 0; i < 4; i++) {
		longest[i][0] = '\0';
		for (int k = 0; k < 85; k++)
			strcat(longest[i], "鬱");
	}
	assert_int_equal(watermark_draw(all, 4, NULL, mask, CAP, &w, &h), 0);
	assert_int_equal(watermark_draw(all, 4, code, mask, CAP, &w, &h), 0);
}

static void
test_control_characters(void **state)
{
	(void)state;
	uint32_t w, h, w2, h2;
	const char *const with[] = {"a\nb\tc\x7f"}, *const without[] = {"a b c "};
	assert_int_equal(watermark_draw(with, 1, NULL, mask, CAP, &w, &h), 0);
	assert_int_equal(watermark_draw(without, 1, NULL, again, CAP, &w2, &h2), 0);
	assert_int_equal(w, w2);
	assert_int_equal(h, h2);
	assert_memory_equal(mask, again, (size_t)w * h);
}

static void
test_new_refuses(void **state)
{
	(void)state;
	struct watermark *m = NULL;
	memset(mask, 0, 1000);
	assert_int_equal(watermark_new(mask, 0, 10, &m), -EINVAL);
	assert_int_equal(watermark_new(mask, 10, 4097, &m), -EINVAL);
	memset(mask, 1, WATERMARK_COVER_PERMILLE + 1);
	assert_int_equal(watermark_new(mask, 100, 10, &m), -EINVAL);
	mask[0] = 0;
	assert_int_equal(watermark_new(mask, 100, 10, &m), 0);
	watermark_free(m);
	watermark_free(NULL);
}

/* Applied part by part it is the same as applied at once: captures of any area fit together. */
static void
test_parts(void **state)
{
	(void)state;
	enum {
		W = 1500,
		H = 900
	};
	uint32_t w, h;
	struct watermark *m = drawn(&w, &h);
	struct image whole, parts, plain;
	assert_int_equal(image_init(&whole, W, H), 0);
	assert_int_equal(image_init(&parts, W, H), 0);
	assert_int_equal(image_init(&plain, W, H), 0);
	srandom(3);
	for (size_t i = 0; i < (size_t)W * H * 4; i++)
		plain.bytes[i] = (uint8_t)random();
	memcpy(whole.bytes, plain.bytes, (size_t)W * H * 4);
	memcpy(parts.bytes, plain.bytes, (size_t)W * H * 4);
	watermark_apply(m, &whole, 0, 0);
	for (unsigned y = 0; y < H; y += 61)
		for (unsigned x = 0; x < W; x += 97) {
			struct image part = {image_at(&parts, x, y), parts.stride,
				(uint16_t)(W - x < 97 ? W - x : 97),
				(uint16_t)(H - y < 61 ? H - y : 61)};
			watermark_apply(m, &part, (uint16_t)x, (uint16_t)y);
		}
	assert_memory_equal(whole.bytes, parts.bytes, (size_t)W * H * 4);

	size_t marked = 0;
	for (size_t y = 0; y < H; y++)
		for (size_t x = 0; x < W; x++) {
			int differs =
				memcmp(image_at(&whole, x, y), image_at(&plain, x, y), 4) != 0;
			assert_int_equal(differs, mask[y % h * w + x % w]);
			marked += (size_t)differs;
		}
	assert_in_range(marked, 1, W * H * 3 / 100);
	watermark_apply(NULL, &whole, 0, 0);
	image_fini(&whole);
	image_fini(&parts);
	image_fini(&plain);
	watermark_free(m);
}

/* It shows on every ground, and faintly; twice, it is gone. */
static void
test_every_ground(void **state)
{
	(void)state;
	struct watermark *m;
	memset(mask, 0, 100);
	mask[0] = 1;
	assert_int_equal(watermark_new(mask, 100, 1, &m), 0);
	for (int v = 0; v < 256; v++) {
		uint8_t pixel[4] = {(uint8_t)v, (uint8_t)v, (uint8_t)v, 0};
		struct image view = {pixel, 4, 1, 1};
		watermark_apply(m, &view, 0, 77);
		assert_int_equal(
			abs(pixel[1] - v), v < 36 ? WATERMARK_STRENGTH_DARK : WATERMARK_STRENGTH);
		assert_int_equal(pixel[0], pixel[1]);
		assert_int_equal(pixel[2], pixel[1]);
		assert_int_equal(pixel[3], 0);
		watermark_apply(m, &view, 0, 77);
		assert_int_equal(pixel[0], v);
	}
	watermark_free(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_draw),
		cmocka_unit_test(test_code),
		cmocka_unit_test(test_draw_refuses),
		cmocka_unit_test(test_control_characters),
		cmocka_unit_test(test_new_refuses),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_every_ground),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
