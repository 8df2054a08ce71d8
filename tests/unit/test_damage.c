#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "screen/damage.h"
#include "screen/picture.h"

static struct rect rects[PICTURE_RECTS_MAX];

static void
assert_rect(struct rect r, unsigned x, unsigned y, unsigned w, unsigned h)
{
	assert_int_equal(r.x, x);
	assert_int_equal(r.y, y);
	assert_int_equal(r.w, w);
	assert_int_equal(r.h, h);
}

static void
test_limits(void **state)
{
	(void)state;
	struct damage d = {0};
	struct image image = {0};
	assert_int_equal(damage_init(&d, 0, 10), -EINVAL);
	assert_int_equal(damage_init(&d, 16385, 10), -EINVAL);
	assert_int_equal(damage_init(&d, 16384, 16384), -EINVAL);
	assert_int_equal(image_init(&image, 16384, 2049), -EINVAL);
	assert_int_equal(image_init(&image, UINT32_MAX, UINT32_MAX), -EINVAL);
	damage_fini(&d);
	image_fini(&image);
	damage_fini(NULL);
	image_fini(NULL);
}

static void
test_clip(void **state)
{
	(void)state;
	struct damage d;
	assert_int_equal(damage_init(&d, 200, 100), 0);
	damage_add(&d, -50, -50, 40, 40);
	damage_add(&d, 200, 0, 10, 10);
	damage_add(&d, 0, 100, 10, 10);
	damage_add(&d, 5, 5, 0, 7);
	damage_add(&d, INT32_MIN, INT32_MIN, 5, 5);
	assert_int_equal(d.dirty_count, 0);
	assert_int_equal(damage_take(&d, rects, 10), 0);
	damage_add(&d, INT32_MIN, INT32_MIN, UINT32_MAX, UINT32_MAX);
	assert_int_equal(damage_take(&d, rects, 10), 1);
	assert_rect(rects[0], 0, 0, 200, 100);
	damage_add(&d, 199, 99, UINT32_MAX, UINT32_MAX);
	assert_int_equal(damage_take(&d, rects, 10), 1);
	assert_rect(rects[0], 192, 64, 8, 36);
	assert_int_equal(damage_take(&d, rects, 10), 0);
	damage_fini(&d);
}

static void
test_merge(void **state)
{
	(void)state;
	struct damage d;
	assert_int_equal(damage_init(&d, 640, 640), 0);
	damage_add(&d, 64, 64, 128, 200); /* a block of tiles */
	damage_add(&d, 600, 600, 1, 1);
	assert_int_equal(damage_take(&d, rects, 10), 2);
	assert_rect(rects[0], 64, 64, 128, 256);
	assert_rect(rects[1], 576, 576, 64, 64);
	damage_add(&d, 0, 0, 1, 1);
	damage_add(&d, 0, 64, 65, 1); /* wider below: little waste */
	damage_add(&d, 300, 64, 1, 1);
	assert_int_equal(damage_take(&d, rects, 10), 2);
	damage_add(&d, 0, 0, 1, 1);
	damage_add(&d, 128, 64, 1, 1); /* the box around them is three times as large as they */
	assert_int_equal(damage_take(&d, rects, 10), 2);
	damage_add(&d, 0, 0, 448, 64); /* a frame, and what it goes around */
	damage_add(&d, 0, 64, 64, 384);
	damage_add(&d, 192, 192, 64, 64);
	damage_add(&d, 384, 64, 64, 384);
	damage_add(&d, 64, 384, 320, 64);
	assert_int_equal(damage_take(&d, rects, 10), 1);
	assert_rect(rects[0], 0, 0, 448, 448);
	damage_add(&d, 0, 0, 1, 1);
	damage_add(&d, 300, 64, 1, 1);
	damage_add(&d, 100, 300, 1, 1);
	assert_int_equal(damage_take(&d, rects, 2), 1); /* too many: one box */
	assert_rect(rects[0], 0, 0, 320, 320);
	damage_fini(&d);
}

/* Every dirty tile is covered once, and at most as many others, whatever the pattern. */
static void
test_merge_random(void **state)
{
	(void)state;
	srandom(1);
	struct damage d;
	assert_int_equal(damage_init(&d, 1024, 704), 0);
	for (int round = 0; round < 200; round++) {
		uint8_t want[16][16] = {{0}}, got[16][16] = {{0}};
		for (int i = 0; i < round; i++) {
			unsigned c = (unsigned)random() % 16, r = (unsigned)random() % 11;
			want[r][c] = 1;
			damage_add(&d, (int32_t)c * 64 + 3, (int32_t)r * 64 + 3, 1, 1);
		}
		size_t n = damage_take(&d, rects, PICTURE_RECTS_MAX);
		for (size_t i = 0; i < n; i++) {
			assert_true(rect_inside(&rects[i], 1024, 704));
			for (unsigned r = rects[i].y / 64;
				r * 64 < (unsigned)rects[i].y + rects[i].h; r++)
				for (unsigned c = rects[i].x / 64;
					c * 64 < (unsigned)rects[i].x + rects[i].w; c++)
					got[r][c]++;
		}
		int dirty = 0, taken = 0;
		for (int r = 0; r < 16; r++)
			for (int c = 0; c < 16; c++) {
				assert_true(got[r][c] <= 1 && want[r][c] <= got[r][c]);
				dirty += want[r][c];
				taken += got[r][c];
			}
		assert_true(taken <= 2 * dirty);
	}
	damage_fini(&d);
}

static void
test_compare(void **state)
{
	(void)state;
	struct damage d;
	struct image shown, now;
	assert_int_equal(damage_init(&d, 200, 150), 0);
	assert_int_equal(image_init(&shown, 200, 150), 0);
	assert_int_equal(image_init(&now, 200, 150), 0);
	damage_compare(&d, &now, 0, 0, &shown);
	assert_int_equal(damage_changed(&d, rects, 10), 0);

	image_at(&now, 70, 10)[1] = 9;
	image_at(&now, 100, 30)[0] = 9;
	image_at(&now, 3, 3)[3] = 9; /* the fourth byte is no change */
	damage_compare(&d, &now, 0, 0, &shown);
	assert_int_equal(damage_changed(&d, rects, 10), 1);
	assert_rect(rects[0], 70, 10, 31, 21);
	assert_int_equal(image_at(&shown, 70, 10)[1], 9);
	assert_int_equal(image_at(&shown, 100, 30)[0], 9);
	damage_compare(&d, &now, 0, 0, &shown);
	assert_int_equal(damage_changed(&d, rects, 10), 0);

	/* a part of the screen, changed at its last pixel; boxes of neighbours join */
	struct image part = {image_at(&now, 128, 64), now.stride, 72, 86};
	image_at(&now, 199, 149)[2] = 1;
	image_at(&now, 191, 149)[2] = 1;
	damage_compare(&d, &part, 128, 64, &shown);
	assert_int_equal(damage_changed(&d, rects, 10), 1);
	assert_rect(rects[0], 191, 149, 9, 1);
	image_fini(&now);
	image_fini(&shown);
	damage_fini(&d);
}

/* Whatever changes, the shown picture becomes the captured one, and the rectangles cover every
 * pixel that changed. */
static void
test_compare_random(void **state)
{
	(void)state;
	enum {
		W = 333,
		H = 222
	};
	srandom(2);
	struct damage d;
	struct image shown, now, client;
	assert_int_equal(damage_init(&d, W, H), 0);
	assert_int_equal(image_init(&shown, W, H), 0);
	assert_int_equal(image_init(&now, W, H), 0);
	assert_int_equal(image_init(&client, W, H), 0);
	for (int round = 0; round < 300; round++) {
		for (int i = (int)(random() % 20); i > 0; i--) {
			unsigned x = (unsigned)random() % W, y = (unsigned)random() % H;
			damage_add(&d, (int32_t)x, (int32_t)y, 1, 1);
			image_at(&now, x, y)[random() % 3] = (uint8_t)random();
		}
		size_t n = damage_take(&d, rects, 5);
		for (size_t i = 0; i < n; i++) {
			struct image part = {image_at(&now, rects[i].x, rects[i].y), now.stride,
				rects[i].w, rects[i].h};
			damage_compare(&d, &part, rects[i].x, rects[i].y, &shown);
		}
		n = damage_changed(&d, rects, 4);
		for (size_t i = 0; i < n; i++)
			for (size_t y = rects[i].y; y < (size_t)rects[i].y + rects[i].h; y++)
				memcpy(image_at(&client, rects[i].x, y),
					image_at(&shown, rects[i].x, y), rects[i].w * 4u);
		assert_memory_equal(shown.bytes, now.bytes, (size_t)W * H * 4);
		assert_memory_equal(client.bytes, now.bytes, (size_t)W * H * 4);
	}
	image_fini(&client);
	image_fini(&now);
	image_fini(&shown);
	damage_fini(&d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_clip),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_merge_random),
		cmocka_unit_test(test_compare),
		cmocka_unit_test(test_compare_random),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
