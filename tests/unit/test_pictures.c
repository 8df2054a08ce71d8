/*
 * From a screen to a home over a line, both computed: photographs come roughly first where the line
 * is slow, all becomes exact, and what a person types does not wait for it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define PICTURE_LINE_MUST(what) assert_true(what)
#include "picture_line.h"

enum {
	WIDTH = 800,
	HEIGHT = 600,
	LETTER_W = 10,
	LETTER_H = 16,
	LETTER_MS = 150,
	SLOW_KBIT_S = 300,
	SLOW_MS = 30,
	LEARN_MS = 20000, /* the first picture, on the slow line */
};

static const struct rect photo = {131, 75, 512, 320}, all = {0, 0, WIDTH, HEIGHT};

struct world {
	struct picture_line line;
	uint32_t seed;
	struct image before; /* what text there may still be */
	struct rect exact; /* in here nothing is ever otherwise than before or now; w 0: not looked
			      at */
	struct rect letter;
	struct mono typed;
	uint64_t longest_ms; /* a letter */
	unsigned letters;
};

static int
make(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	w->seed = 1;
	*state = w;
	return 0;
}

static int
unmake(void **state)
{
	struct world *w = *state;
	line_stop(&w->line);
	image_fini(&w->before);
	free(w);
	return 0;
}

/* ---- drawing ---- */

static uint32_t
chance(struct world *w)
{
	w->seed ^= w->seed << 13;
	w->seed ^= w->seed >> 17;
	w->seed ^= w->seed << 5;
	return w->seed;
}

/* Slopes with grain. */
static void
draw_photo(struct world *w, struct rect at)
{
	uint32_t tone = chance(w) % 64;
	for (unsigned y = 0; y < at.h; y++)
		for (unsigned x = 0; x < at.w; x++) {
			uint8_t *p = image_at(&w->line.screen, at.x + x, at.y + y);
			p[0] = (uint8_t)(40 + tone + x / 8 + chance(w) % 12);
			p[1] = (uint8_t)(200 - y / 6 + chance(w) % 12);
			p[2] = (uint8_t)(60 + (x + y) / 12 + tone + chance(w) % 12);
		}
	line_damage(&w->line, at);
}

/* Strokes on a ground. */
static void
draw_text(struct world *w, struct rect at)
{
	uint32_t shift = chance(w) % 1000;
	for (unsigned y = 0; y < at.h; y++)
		for (unsigned x = 0; x < at.w; x++) {
			unsigned letter = (at.x + x) / 10 * 7 + (at.y + y) / 18 * 13 + shift,
				 stroke = (x * letter / 7 + y * 3 + letter) % 5 < 2 && y % 18 < 14;
			memset(image_at(&w->line.screen, at.x + x, at.y + y), stroke ? 30 : 250, 3);
		}
	line_damage(&w->line, at);
}

/* ---- looking ---- */

static void
look(struct picture_line *l, void *user)
{
	struct world *w = user;
	const struct image *home = decoder_image(l->decoder);
	for (size_t y = w->exact.y; y < (size_t)w->exact.y + w->exact.h; y++)
		for (size_t x = w->exact.x; x < (size_t)w->exact.x + w->exact.w; x++) {
			const uint8_t *p = image_at(home, x, y);
			if (memcmp(p, image_at(&l->screen, x, y), 3) != 0 &&
				memcmp(p, image_at(&w->before, x, y), 3) != 0)
				fail_msg("text at %zu, %zu is neither old nor new", x, y);
		}
	if (w->letter.w && line_differ(l, w->letter) == 0) {
		uint64_t ms = mono_diff_ms(w->typed, l->now);
		w->longest_ms = ms > w->longest_ms ? ms : w->longest_ms;
		w->letter.w = 0;
	}
}

static void
start(struct world *w, int film, uint64_t kbit_s, uint64_t delay_ms)
{
	line_start(&w->line, WIDTH, HEIGHT, film, kbit_s, delay_ms);
	assert_int_equal(image_init(&w->before, WIDTH, HEIGHT), 0);
	w->line.on_picture = look;
	w->line.user = w;
	draw_text(w, all);
	line_run(&w->line, LEARN_MS);
	assert_int_equal(line_differ(&w->line, all), 0);
}

static void
remember(struct world *w, struct rect exact)
{
	memcpy(w->before.bytes, w->line.screen.bytes, (size_t)HEIGHT * w->before.stride);
	w->exact = exact;
}

/* A letter at the lower edge, every LETTER_MS. */
static void
type_for(struct world *w, uint64_t ms)
{
	for (; ms >= LETTER_MS; ms -= LETTER_MS) {
		assert_int_equal(w->letter.w, 0); /* the one before has come */
		memcpy(w->before.bytes, w->line.screen.bytes, (size_t)HEIGHT * w->before.stride);
		w->letter = (struct rect){(uint16_t)(10 + w->letters % 70 * LETTER_W),
			(uint16_t)(480 + w->letters / 70 % 5 * LETTER_H), LETTER_W, LETTER_H};
		w->letters++;
		w->typed = w->line.now;
		draw_text(w, w->letter);
		line_run(&w->line, LETTER_MS);
		if (w->letter.w)
			line_run(&w->line, 2 * LETTER_MS);
	}
}

/* Mean difference of a colour. */
static unsigned
roughness(const struct picture_line *l, struct rect r)
{
	uint64_t sum = 0;
	for (size_t y = r.y; y < (size_t)r.y + r.h; y++)
		for (size_t x = r.x; x < (size_t)r.x + r.w; x++)
			for (int i = 0; i < 3; i++)
				sum += (uint64_t)abs(image_at(&l->screen, x, y)[i] -
						     image_at(decoder_image(l->decoder), x, y)[i]);
	return (unsigned)(sum / rect_area(&r) / 3);
}

static uint64_t
run_until_exact(struct world *w, uint64_t limit_ms)
{
	struct mono from = w->line.now;
	while (line_differ(&w->line, all) > 0 && mono_diff_ms(from, w->line.now) < limit_ms)
		line_run(&w->line, 100);
	assert_int_equal(line_differ(&w->line, all), 0);
	return mono_diff_ms(from, w->line.now);
}

/* ---- tests ---- */

/* 400 KB of photograph, ten seconds of the line: seen within two, letters never behind it. */
static void
test_roughly_first_exact_later_typing_goes_on(void **state)
{
	struct world *w = *state;
	start(w, 1, SLOW_KBIT_S, SLOW_MS);
	remember(w, (struct rect){0, 450, WIDTH, 150});
	type_for(w, 1500);
	uint64_t alone_ms = w->longest_ms, bytes = w->line.bytes;
	draw_photo(w, photo);
	type_for(w, 2000);
	assert_true(w->line.films > 0);
	assert_in_range(line_differ(&w->line, photo), rect_area(&photo) / 4, rect_area(&photo));
	assert_in_range(roughness(&w->line, photo), 0, 8);
	type_for(w, 6000);
	assert_true(line_differ(&w->line, photo) > 0); /* so long does it take */
	uint64_t films = w->line.films;
	type_for(w, 20000);
	run_until_exact(w, 10000);
	assert_int_equal(w->line.films, films);
	assert_in_range(alone_ms, 1, 100);
	assert_in_range(w->longest_ms, 1, 400);
	assert_in_range(w->line.bytes - bytes, 200000, 560000);
	/* and nothing goes on for ever */
	bytes = w->line.bytes;
	line_run(&w->line, 5000);
	assert_int_equal(w->line.bytes, bytes);
}

/* Text beside a photograph and over all its page comes exactly and first. */
static void
test_text_is_never_rough(void **state)
{
	struct world *w = *state;
	start(w, 1, SLOW_KBIT_S, SLOW_MS);
	const struct rect text = {0, 0, WIDTH, 72}, left = {0, 0, 128, HEIGHT};
	for (int i = 0; i < 2; i++) {
		remember(w, i ? left : text);
		draw_text(w, all);
		draw_photo(w, photo);
		line_run(&w->line, 2500);
		assert_int_equal(line_differ(&w->line, text), 0);
		assert_int_equal(line_differ(&w->line, left), 0);
		assert_true(line_differ(&w->line, photo) > 0);
		assert_true(w->line.films > 0);
		run_until_exact(w, 60000);
		draw_text(w, all);
		run_until_exact(w, 60000);
	}
}

/* Before all strips of a photograph have come there is text instead. */
static void
test_text_instead(void **state)
{
	struct world *w = *state;
	start(w, 1, SLOW_KBIT_S, SLOW_MS);
	for (uint64_t ms = 100; ms < 1500; ms += 330) {
		draw_photo(w, photo);
		line_run(&w->line, ms);
		draw_text(w, photo);
		uint64_t films = w->line.films;
		line_run(&w->line, 2500);
		assert_int_equal(line_differ(&w->line, all), 0);
		assert_in_range(w->line.films - films, 0, 2); /* were on their way */
	}
}

static void
test_fast_line_exact_at_once(void **state)
{
	struct world *w = *state;
	start(w, 1, 50000, 5);
	type_for(w, 1500);
	uint64_t drawn = w->line.drawn;
	draw_photo(w, photo);
	assert_in_range(run_until_exact(w, 1000), 1, 200);
	assert_int_equal(w->line.films, 0);
	assert_int_equal(w->line.drawn - drawn, 1);
}

/* A client that shows no H.264: exact slice by slice, and typing goes on all the same. */
static void
test_without_films(void **state)
{
	struct world *w = *state;
	start(w, 0, SLOW_KBIT_S, SLOW_MS);
	remember(w, (struct rect){0, 450, WIDTH, 150});
	draw_photo(w, photo);
	type_for(w, 20000);
	run_until_exact(w, 10000);
	assert_int_equal(w->line.films, 0);
	assert_in_range(w->longest_ms, 1, 400);
}

/* Somebody scrolls while it is rough: what was owed moves along, nothing is lost. */
static void
test_scrolling_what_is_owed(void **state)
{
	struct world *w = *state;
	start(w, 1, SLOW_KBIT_S, SLOW_MS);
	draw_photo(w, photo);
	line_run(&w->line, 1200);
	for (int i = 0; i < 5; i++) {
		struct image *s = &w->line.screen;
		memmove(s->bytes, image_at(s, 0, 32), (HEIGHT - 32) * s->stride);
		draw_text(w, (struct rect){0, HEIGHT - 32, WIDTH, 32});
		line_damage(&w->line, all);
		line_run(&w->line, 150u * (unsigned)i);
	}
	run_until_exact(w, 60000);
}

/* A film on a slow line that stops: a good picture soon, exact in the end. */
static void
test_a_film_that_stops(void **state)
{
	struct world *w = *state;
	start(w, 1, SLOW_KBIT_S, SLOW_MS);
	for (int i = 0; i < 40; i++) {
		draw_photo(w, photo);
		line_run(&w->line, 50);
	}
	assert_true(w->line.films > 5);
	remember(w, (struct rect){0, 450, WIDTH, 150});
	line_run(&w->line, 4000);
	assert_in_range(roughness(&w->line, photo), 0, 8);
	type_for(w, 1500);
	run_until_exact(w, 60000);
	assert_in_range(w->longest_ms, 1, 400);
}

/* The client comes back with empty hands in the middle of it. */
static void
test_restart_in_between(void **state)
{
	struct world *w = *state;
	struct picture_line *l = &w->line;
	start(w, 1, SLOW_KBIT_S, SLOW_MS);
	draw_photo(w, photo);
	line_run(l, 600);
	for (; l->first < l->end; l->first++)
		free(l->flights[l->first % LINE_FLIGHTS_MAX].data);
	l->ack_first = l->ack_end;
	decoder_free(l->decoder);
	assert_int_equal(pictures_restart(l->pictures), 0);
	assert_int_equal(decoder_new(32, DECODER_BGRX, &l->decoder), 0);
	assert_int_equal(decoder_layout(l->decoder, WIDTH, HEIGHT), 0);
	line_run(l, 100);
	run_until_exact(w, 60000);
}

/* Whatever is drawn, moved and played, at any time, on any line: once it stands still, it is exact.
 */
static void
test_anything_becomes_exact(void **state)
{
	struct world *w = *state;
	static const uint64_t kbit_s[] = {300, 1000, 8000};
	start(w, 1, SLOW_KBIT_S, SLOW_MS);
	for (int round = 0; round < 6; round++) {
		w->line.bytes_s = kbit_s[round % 3] * 125;
		for (int i = 0; i < 25; i++) {
			struct rect r = {(uint16_t)(chance(w) % 500), (uint16_t)(chance(w) % 400),
				(uint16_t)(1 + chance(w) % 300), (uint16_t)(1 + chance(w) % 200)};
			struct copy move = {
				r, (uint16_t)(chance(w) % 500), (uint16_t)(chance(w) % 400)};
			switch (chance(w) % 4) {
			case 0:
				draw_text(w, r);
				break;
			case 1:
				draw_photo(w, r);
				break;
			case 2:
				move_copy(&w->line.screen, &move);
				line_damage(&w->line, r);
				break;
			default:
				for (int k = 0; k < 8; k++) {
					draw_photo(w, (struct rect){r.x, r.y, 200, 150});
					line_run(&w->line, 40);
				}
			}
			line_run(&w->line, chance(w) % 5 ? chance(w) % 60 : chance(w) % 700);
		}
		run_until_exact(w, 120000);
	}
	assert_true(w->line.films > 30);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_roughly_first_exact_later_typing_goes_on, make, unmake),
		cmocka_unit_test_setup_teardown(test_text_is_never_rough, make, unmake),
		cmocka_unit_test_setup_teardown(test_text_instead, make, unmake),
		cmocka_unit_test_setup_teardown(test_fast_line_exact_at_once, make, unmake),
		cmocka_unit_test_setup_teardown(test_without_films, make, unmake),
		cmocka_unit_test_setup_teardown(test_scrolling_what_is_owed, make, unmake),
		cmocka_unit_test_setup_teardown(test_a_film_that_stops, make, unmake),
		cmocka_unit_test_setup_teardown(test_restart_in_between, make, unmake),
		cmocka_unit_test_setup_teardown(test_anything_becomes_exact, make, unmake),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
