#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "crypto/noise.h"
#include "mark/code.h"
#include "mark/convolution.h"
#include "mark/grid.h"
#include "mark/photo.h"
#include "mark/read.h"
#include "mark/solve.h"

enum {
	CELLS = WATERMARK_CELLS * WATERMARK_CELLS
};

static const struct mark session = {"4F2A-91C0", 1795300000};
static uint8_t agent[32], colleague[32], org[32];
static uint8_t key[32], colleague_key[32];

static double
uniform(void)
{
	return (double)random() / RAND_MAX;
}

/* What a perfect photograph would show of a code, moved by so many cells, with noise on it. */
static void
photograph(const uint8_t *code, int shift_x, int shift_y, double noise, struct mark_table *table)
{
	for (int y = 0; y < WATERMARK_CELLS; y++)
		for (int x = 0; x < WATERMARK_CELLS; x++) {
			int cell = y * WATERMARK_CELLS + x;
			unsigned symbol = code[cell / 4] >> cell % 4 * 2 & 3;
			float *to = table->cell[(y + shift_y) % WATERMARK_CELLS * WATERMARK_CELLS +
						(x + shift_x) % WATERMARK_CELLS];
			for (unsigned k = 0; k < 4; k++)
				to[k] = (float)((k == symbol) +
						noise * (uniform() + uniform() + uniform() - 1.5));
		}
}

static int
make_keys(void **state)
{
	struct noise_keypair a, c, o;
	uint8_t other[32];
	(void)state;
	for (int i = 0; i < 32; i++) {
		agent[i] = (uint8_t)(i + 1);
		colleague[i] = (uint8_t)(i + 2);
		org[i] = (uint8_t)(i + 3);
	}
	assert_int_equal(noise_keypair_from_secret(agent, &a), 0);
	assert_int_equal(noise_keypair_from_secret(colleague, &c), 0);
	assert_int_equal(noise_keypair_from_secret(org, &o), 0);
	/* both sides come to the same key, and each office PC to another one */
	assert_int_equal(mark_key_agent(agent, o.public, key), 0);
	assert_int_equal(mark_key_org(org, a.public, other), 0);
	assert_memory_equal(key, other, sizeof key);
	assert_int_equal(mark_key_org(org, c.public, colleague_key), 0);
	assert_memory_not_equal(key, colleague_key, sizeof key);
	assert_int_equal(mark_key_org(org, (uint8_t[32]){0}, other), -ERR_CRYPTO);
	return 0;
}

static void
test_convolution(void **state)
{
	(void)state;
	uint8_t data[CONVOLUTION_DATA_BYTES], bits[CONVOLUTION_BITS], back[CONVOLUTION_DATA_BYTES];
	float soft[CONVOLUTION_BITS];
	srandom(1);
	for (int round = 0; round < 40; round++) {
		for (size_t i = 0; i < sizeof data; i++)
			data[i] = (uint8_t)random();
		convolution_encode(data, bits);
		for (int i = 0; i < CONVOLUTION_BITS; i++)
			soft[i] = bits[i] ? 1 : -1;
		/* a twentieth wrong, a quarter unknown */
		for (int i = 0; i < CONVOLUTION_BITS / 20; i++)
			soft[random() % CONVOLUTION_BITS] *= -1;
		for (int i = 0; i < CONVOLUTION_BITS / 4; i++)
			soft[random() % CONVOLUTION_BITS] = 0;
		convolution_decode(soft, back);
		assert_memory_equal(back, data, sizeof data);
	}
}

static void
test_round_trip(void **state)
{
	(void)state;
	uint8_t code[WATERMARK_CODE_BYTES];
	const uint8_t keys[2][MARK_KEY_BYTES] = {{1}, {2}};
	uint8_t all[3][MARK_KEY_BYTES];
	struct mark_table table;
	struct mark_reading got = {0};
	srandom(2);
	memcpy(all, keys, sizeof keys);
	memcpy(all[2], key, sizeof key);
	assert_int_equal(mark_encode(key, &session, code), 0);
	for (int i = 0; i < 6; i++) {
		photograph(code, i * 5 % 16, i * 11 % 16, i * 0.25, &table);
		assert_int_equal(mark_decode(&table, 1, all, 3, &got), 0);
		assert_int_equal(got.key, 2);
		assert_string_equal(got.mark.session, session.session);
		assert_int_equal(got.mark.started_s, session.started_s);
	}
}

/* A photograph that lies on its side, or upside down. */
static void
test_turned(void **state)
{
	(void)state;
	uint8_t code[WATERMARK_CODE_BYTES];
	struct mark_table table, turned;
	struct mark_reading got;
	assert_int_equal(mark_encode(key, &session, code), 0);
	photograph(code, 3, 9, 0, &table);
	for (int turn = 0; turn < 4; turn++) {
		assert_int_equal(mark_decode(&table, 1, (const uint8_t(*)[32])key, 1, &got), 0);
		assert_string_equal(got.mark.session, session.session);
		/* clockwise: what was left below is left above */
		static const int from[4] = {2, 0, 3, 1};
		for (int y = 0; y < WATERMARK_CELLS; y++)
			for (int x = 0; x < WATERMARK_CELLS; x++)
				for (int k = 0; k < 4; k++)
					turned.cell[y * WATERMARK_CELLS + x][k] =
						table.cell[(WATERMARK_CELLS - 1 - x) *
								   WATERMARK_CELLS +
							   y][from[k]];
		table = turned;
	}
}

static void
test_refuses(void **state)
{
	(void)state;
	uint8_t code[WATERMARK_CODE_BYTES];
	static struct mark_table table;
	struct mark_reading got;
	struct mark bad = session;
	bad.started_s = 1ULL << 32;
	assert_int_equal(mark_encode(key, &bad, code), -EINVAL);
	bad = (struct mark){"4F2A91C00", 1};
	assert_int_equal(mark_encode(key, &bad, code), -EINVAL);
	bad = (struct mark){"4F2A-91CI", 1};
	assert_int_equal(mark_encode(key, &bad, code), -EINVAL);
	/* nothing, noise, and what no photograph gives */
	memset(&table, 0, sizeof table);
	assert_int_equal(
		mark_decode(&table, 1, (const uint8_t(*)[32])key, 1, &got), -ERR_MARK_UNREADABLE);
	assert_int_equal(
		mark_decode(&table, 0, (const uint8_t(*)[32])key, 1, &got), -ERR_MARK_UNREADABLE);
	srandom(3);
	memset(code, 0, sizeof code);
	photograph(code, 0, 0, 50, &table);
	assert_int_equal(
		mark_decode(&table, 1, (const uint8_t(*)[32])key, 1, &got), -ERR_MARK_UNREADABLE);
	for (int i = 0; i < CELLS; i++)
		for (int k = 0; k < 4; k++)
			table.cell[i][k] = i % 3 ? NAN : INFINITY;
	assert_int_equal(
		mark_decode(&table, 1, (const uint8_t(*)[32])key, 1, &got), -ERR_MARK_UNREADABLE);
}

/* A person who knows all of their own marks, at their own office PC or at home, tries to be taken
 * for a colleague, or for another time: every way ends in "no mark can be read". */
static void
test_attack_forged_colleague(void **state)
{
	(void)state;
	const struct mark theirs = {"ZZZZ-0001", 1795300000};
	uint8_t code[WATERMARK_CODE_BYTES], mine[WATERMARK_CODE_BYTES], mixed[WATERMARK_CODE_BYTES];
	uint8_t guessed[MARK_KEY_BYTES];
	struct noise_keypair o;
	struct mark_table table;
	struct mark_reading got;
	assert_int_equal(mark_encode(key, &session, mine), 0);

	/* the colleague's session under their own PC's key: it is that PC which is named, never the
	 * colleague's */
	assert_int_equal(mark_encode(key, &theirs, code), 0);
	photograph(code, 0, 0, 0, &table);
	assert_int_equal(mark_decode(&table, 1, (const uint8_t(*)[32])colleague_key, 1, &got),
		-ERR_MARK_UNREADABLE);

	/* what everybody has: the organisation file's public key, and a key of one's own making */
	assert_int_equal(noise_keypair_from_secret(org, &o), 0);
	uint8_t own[32] = {9, 9, 9};
	assert_int_equal(mark_key_agent(own, o.public, guessed), 0);
	assert_int_equal(mark_encode(guessed, &theirs, code), 0);
	photograph(code, 0, 0, 0, &table);
	assert_int_equal(mark_decode(&table, 1, (const uint8_t(*)[32])colleague_key, 1, &got),
		-ERR_MARK_UNREADABLE);

	/* the code is linear: the difference of two sessions of one's own, put on a third, would be
	 * a fourth if there were no MAC */
	const struct mark a = {"4F2A-91C0", 1795300001}, b = {"4F2A-91C1", 1795300000};
	uint8_t code_a[WATERMARK_CODE_BYTES], code_b[WATERMARK_CODE_BYTES];
	assert_int_equal(mark_encode(key, &a, code_a), 0);
	assert_int_equal(mark_encode(key, &b, code_b), 0);
	for (size_t i = 0; i < sizeof mixed; i++)
		mixed[i] = mine[i] ^ code_a[i] ^ code_b[i];
	photograph(mixed, 0, 0, 0, &table);
	assert_int_equal(
		mark_decode(&table, 1, (const uint8_t(*)[32])key, 1, &got), -ERR_MARK_UNREADABLE);
}

/* An office PC's root, who has that PC's key, reads what others' screens show: without the
 * organisation's key there is nothing to be read. */
static void
test_attack_read_without_key(void **state)
{
	(void)state;
	uint8_t code[WATERMARK_CODE_BYTES];
	struct mark_table table;
	struct mark_reading got;
	assert_int_equal(mark_encode(colleague_key, &session, code), 0);
	photograph(code, 0, 0, 0, &table);
	assert_int_equal(
		mark_decode(&table, 1, (const uint8_t(*)[32])key, 1, &got), -ERR_MARK_UNREADABLE);
	assert_int_equal(mark_decode(&table, 1, (const uint8_t(*)[32])colleague_key, 1, &got), 0);
}

static void
test_grid_there_and_back(void **state)
{
	(void)state;
	const struct grid grid = {{30, 1, -2, 28, 0.1, -0.2, 0.3, 0.7}, 600, 400, 700};
	double cell[2], pixel[2];
	for (int x = 0; x < 1200; x += 90)
		for (int y = 0; y < 800; y += 70) {
			grid_cell(&grid, x, y, cell);
			assert_int_equal(grid_pixel(&grid, cell[0], cell[1], pixel), 0);
			assert_true(fabs(pixel[0] - x) < 1e-6 && fabs(pixel[1] - y) < 1e-6);
		}
	/* behind the camera */
	const struct grid steep = {{30, 0, 0, 30, 0.9, 0, 0, 0}, 0, 0, 1};
	assert_int_equal(grid_pixel(&steep, 100, 0, pixel), -EINVAL);
}

static void
test_solve(void **state)
{
	(void)state;
	struct solve s = {.count = 3};
	double x[SOLVE_MAX];
	solve_add(&s, (double[]){1, 2, 0}, 5, 1);
	solve_add(&s, (double[]){0, 1, 0}, 2, 3);
	solve_end(&s, x);
	assert_true(fabs(x[0] - 1) < 1e-9 && fabs(x[1] - 2) < 1e-9 && x[2] == 0);
}

/* A picture that is smaller than a cell, and one without anything on it, have no tables. */
static void
test_tables_of_nothing(void **state)
{
	(void)state;
	static struct mark_table tables[MARK_TABLES_MAX];
	/* a PNG of one pixel */
	static const uint8_t dot[] = {137, 80, 78, 71, 13, 10, 26, 10, 0, 0, 0, 13, 73, 72, 68, 82,
		0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0, 58, 126, 155, 85, 0, 0, 0, 10, 73, 68, 65,
		84, 120, 156, 99, 248, 15, 0, 1, 1, 1, 0, 177, 56, 246, 20, 0, 0, 0, 0, 73, 69, 78,
		68, 174, 66, 96, 130};
	const double none[8] = {0};
	assert_int_equal(read_tables(dot, sizeof dot, NULL, 0, tables), 0);
	assert_int_equal(read_tables(dot, sizeof dot, none, 0, tables), -EINVAL);
	assert_int_equal(read_tables(dot, 20, NULL, 0, tables), -ERR_PHOTO_KIND);
}

/* Sizes are looked at before memory is taken; what is no picture is said to be none. */
static void
test_photo_refuses(void **state)
{
	(void)state;
	struct photo photo;
	/* a PNG's head of 100000 x 100000 pixels, and one of 16384 x 16384 */
	uint8_t png[] =
		"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\x01\x86\xa0\0\x01\x86\xa0\x08\0\0\0\0\x22\xee\xbd\xaf";
	assert_int_equal(photo_decode(png, sizeof png - 1, &photo), -ERR_PHOTO_KIND);
	assert_int_equal(photo_decode((const uint8_t *)"", 0, &photo), -ERR_PHOTO_KIND);
	assert_int_equal(photo_decode((const uint8_t *)"\xff\xd8\xff", 3, &photo), -ERR_PHOTO_KIND);
	assert_int_equal(photo_decode((const uint8_t *)"GIF89a....................", 20, &photo),
		-ERR_PHOTO_KIND);
	/* a JPEG's frame of 65500 x 65500 */
	static const uint8_t jpeg[] = {0xff, 0xd8, 0xff, 0xc0, 0, 11, 8, 0xff, 0xdc, 0xff, 0xdc, 1,
		1, 0x11, 0, 0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0};
	assert_int_equal(photo_decode(jpeg, sizeof jpeg, &photo), -ERR_PHOTO_LARGE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_convolution),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_turned),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_attack_forged_colleague),
		cmocka_unit_test(test_attack_read_without_key),
		cmocka_unit_test(test_grid_there_and_back),
		cmocka_unit_test(test_solve),
		cmocka_unit_test(test_tables_of_nothing),
		cmocka_unit_test(test_photo_refuses),
	};
	return cmocka_run_group_tests(tests, make_keys, NULL);
}
