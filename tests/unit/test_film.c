/* Films: what becomes one, what its pictures look like at the other end, and how it ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "screen/decode.h"
#include "screen/encode.h"
#include "screen/film.h"
#include "screen/motion.h"

enum {
	WIDTH = 640,
	HEIGHT = 512,
	FILM_X = 70,
	FILM_Y = 66,
	FILM_W = 320,
	FILM_H = 240,
};

struct world {
	struct damage damage;
	struct motion motion;
	struct image screen, shown;
	struct mono now;
	struct rect ended;
};

static int
make(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	assert_int_equal(damage_init(&w->damage, WIDTH, HEIGHT), 0);
	assert_int_equal(motion_init(&w->motion, &w->damage), 0);
	assert_int_equal(image_init(&w->screen, WIDTH, HEIGHT), 0);
	assert_int_equal(image_init(&w->shown, WIDTH, HEIGHT), 0);
	w->now.ns = 1000000000;
	*state = w;
	return 0;
}

static int
unmake(void **state)
{
	struct world *w = *state;
	damage_fini(&w->damage);
	motion_fini(&w->motion);
	image_fini(&w->screen);
	image_fini(&w->shown);
	free(w);
	return 0;
}

/* A smooth picture that moves: as photographs are, no two neighbours alike. */
static void
draw_smooth(struct image *image, struct rect at, unsigned t)
{
	for (unsigned y = 0; y < at.h; y++)
		for (unsigned x = 0; x < at.w; x++) {
			uint8_t *p = image_at(image, at.x + x, at.y + y);
			p[0] = (uint8_t)(x / 2 + y / 4 + t);
			p[1] = (uint8_t)(255 - (x + t) / 2 - (x & 1));
			p[2] = (uint8_t)(60 + y / 2 + (x & 1));
		}
}

static void
draw_film(struct image *image, unsigned t)
{
	draw_smooth(image, (struct rect){FILM_X, FILM_Y, FILM_W, FILM_H}, t);
}

/* Text: few colours, most neighbours alike. */
static void
draw_text(struct image *image, unsigned t)
{
	for (unsigned y = 0; y < FILM_H; y++)
		for (unsigned x = 0; x < FILM_W; x++)
			memset(image_at(image, FILM_X + x, FILM_Y + y),
				((x + t) / 5 * 7 + y / 9) % 3 ? 255 : 0, 3);
}

/* One look; the rectangles that are to be sent exactly, ended the film that is none any more. */
static size_t
look(struct world *w, uint64_t ms, struct rect *rects, struct rect *ret_film, int *ret_due)
{
	int fresh;
	w->now = mono_add_ms(w->now, ms);
	damage_compare(&w->damage, &w->screen, 0, 0, &w->shown);
	w->ended = motion_look(&w->motion, &w->damage, &w->shown, w->now);
	*ret_due = motion_due(&w->motion, w->now, ret_film, &fresh);
	return damage_changed(&w->damage, rects, 64);
}

static void
test_a_film_is_found_and_ends(void **state)
{
	struct world *w = *state;
	struct rect rects[64], film = {0};
	int due = 0, pictures = 0;
	for (unsigned t = 0; t < 40; t++) {
		draw_film(&w->screen, t * 3);
		size_t n = look(w, 33, rects, &film, &due);
		pictures += due;
		if (t >= 12)
			assert_int_equal(n, 0); /* nothing goes exactly any more */
	}
	assert_int_equal(film.x, FILM_X);
	assert_int_equal(film.y, FILM_Y);
	assert_int_equal(film.w, FILM_W);
	assert_int_equal(film.h, FILM_H);
	assert_in_range(pictures, 10, 27); /* of 20 in a second */
	/* it stands still: one last picture of what it is, then it is told, once */
	struct rect before = film;
	int wait, ends = 0;
	while ((wait = motion_wait_ms(&w->motion, w->now)) >= 0) {
		assert_int_equal(look(w, (uint64_t)wait, rects, &film, &due), 0);
		ends += w->ended.w > 0;
	}
	assert_int_equal(ends, 1);
	assert_memory_equal(&w->ended, &before, sizeof before);
	assert_int_equal(look(w, 1000, rects, &film, &due), 0);
	assert_false(due);
}

static uint64_t
area(const struct rect *rects, size_t count)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < count; i++)
		sum += rect_area(&rects[i]);
	return sum;
}

/* A large photograph may be the first picture of a film: it is held back for a moment, and then all
 * of it, once, is what changed. */
static void
test_a_photograph_is_given_back(void **state)
{
	struct world *w = *state;
	const struct rect large = {0, 0, WIDTH, HEIGHT};
	struct rect rects[64], film;
	int due;
	for (unsigned t = 0; t < 3; t++) {
		draw_smooth(&w->screen, large, t * 50);
		assert_int_equal(look(w, 2000, rects, &film, &due), 0);
		assert_false(due || motion_playing(&w->motion));
		int wait = motion_wait_ms(&w->motion, w->now);
		assert_in_range(wait, 1, MOTION_DOUBT_MS);
		size_t n = look(w, (uint64_t)wait, rects, &film, &due);
		assert_int_equal(area(rects, n), WIDTH * HEIGHT);
		assert_int_equal(w->ended.w, 0);
		assert_int_equal(motion_wait_ms(&w->motion, w->now), -1);
		assert_int_equal(look(w, 20, rects, &film, &due), 0);
	}
}

/* A large film costs no exact picture. */
static void
test_a_large_film_is_found_at_once(void **state)
{
	struct world *w = *state;
	const struct rect large = {0, 0, WIDTH, HEIGHT};
	struct rect rects[64], film;
	int due, pictures = 0;
	for (unsigned t = 0; t < 10; t++) {
		draw_smooth(&w->screen, large, t * 3);
		assert_int_equal(look(w, 40, rects, &film, &due), 0);
		pictures += due;
		assert_int_equal(motion_playing(&w->motion), t >= 2);
	}
	assert_in_range(pictures, 4, 8);
}

static void
test_text_is_no_film(void **state)
{
	struct world *w = *state;
	struct rect rects[64], film;
	int due;
	for (unsigned t = 0; t < 60; t++) {
		draw_text(&w->screen, t * 5);
		assert_true(look(w, 33, rects, &film, &due) > 0);
		assert_false(due);
	}
	assert_int_equal(motion_wait_ms(&w->motion, w->now), -1);
}

static void
test_dropped_film_is_told(void **state)
{
	struct world *w = *state;
	struct rect rects[64], film;
	int due;
	for (unsigned t = 0; t < 20; t++) {
		draw_film(&w->screen, t * 3);
		look(w, 33, rects, &film, &due);
	}
	struct rect told = motion_drop(&w->motion);
	assert_memory_equal(&told, &film, sizeof film);
	assert_int_equal(rect_area(&told), FILM_W * FILM_H);
	assert_int_equal(motion_drop(&w->motion).w, 0);
	assert_int_equal(motion_wait_ms(&w->motion, w->now), -1);
}

/* Something else was shown in between: the next picture stands for itself. */
static void
test_a_film_begins_anew(void **state)
{
	struct world *w = *state;
	struct rect rects[64], film;
	int due = 0, fresh = 0;
	for (unsigned t = 0; t < 20; t++) {
		draw_film(&w->screen, t * 3);
		look(w, 33, rects, &film, &due);
	}
	motion_anew(&w->motion);
	for (int i = 0; i < 2; i++) {
		draw_film(&w->screen, 200 + (unsigned)i);
		w->now = mono_add_ms(w->now, 60);
		damage_compare(&w->damage, &w->screen, 0, 0, &w->shown);
		motion_look(&w->motion, &w->damage, &w->shown, w->now);
		assert_true(motion_due(&w->motion, w->now, &film, &fresh));
		assert_int_equal(fresh, i == 0);
	}
}

/* Through the coder, the stream and the decoder; nearly the same colours come out. */
static void
test_film_there_and_back(void **state)
{
	struct world *w = *state;
	struct encoder *encoder;
	struct decoder *decoder;
	struct film_encoder *in;
	struct film_decoder *out;
	static uint8_t piece[ENCODE_PIECE_MAX_BYTES];
	const struct rect at = {FILM_X, FILM_Y, FILM_W, FILM_H}, whole = {0, 0, WIDTH, HEIGHT};
	assert_int_equal(encoder_new(8, NULL, &encoder), 0);
	assert_int_equal(decoder_new(8, DECODER_BGRX, &decoder), 0);
	assert_int_equal(decoder_layout(decoder, WIDTH, HEIGHT), 0);
	assert_int_equal(film_encoder_new(FILM_W, FILM_H, 50, &in), 0);
	assert_int_equal(film_decoder_new(&out), 0);
	for (uint32_t seq = 1; seq <= 20; seq++) {
		struct encode_change change = {.rects = &whole, .rect_count = seq == 1};
		if (seq > 1) {
			draw_film(&w->screen, seq * 3);
			int len = film_encode(in, &w->screen, &at, NULL, &change.unit);
			assert_true(len > 0);
			change.film = at;
			change.unit_len = (size_t)len;
		}
		encoder_start(encoder, seq, &w->screen, &change);
		int last = 0, r = 0;
		while (!last) {
			int n = encoder_next(encoder, piece, 7000, &last);
			assert_true(n >= 0);
			r = decoder_frame(decoder, seq, last, piece, (size_t)n);
			assert_int_equal(r, last);
		}
		struct rect to;
		size_t len;
		const uint8_t *unit = decoder_film(decoder, &to, &len);
		assert_int_equal(unit != NULL, seq > 1);
		if (unit) {
			assert_memory_equal(&to, &at, sizeof at);
			assert_int_equal(
				film_decode(out, unit, len, &to, decoder_canvas(decoder)), 0);
		}
	}
	uint64_t error = 0;
	for (size_t y = 0; y < FILM_H; y++)
		for (size_t x = 0; x < FILM_W; x++)
			for (int i = 0; i < 3; i++)
				error += (uint64_t)abs(
					image_at(&w->screen, FILM_X + x, FILM_Y + y)[i] -
					image_at(
						decoder_image(decoder), FILM_X + x, FILM_Y + y)[i]);
	assert_in_range(error / (FILM_W * FILM_H * 3), 0, 6);
	encoder_free(encoder);
	decoder_free(decoder);
	film_encoder_free(in);
	film_decoder_free(out);
}

/* Units of another size, cut, empty of pictures, or noise: an error, no pixel outside. */
static void
test_attack_units(void **state)
{
	struct world *w = *state;
	struct film_encoder *in;
	const struct rect at = {FILM_X, FILM_Y, FILM_W, FILM_H};
	const uint8_t *unit;
	assert_int_equal(film_encoder_new(FILM_W, FILM_H, 50, &in), 0);
	draw_film(&w->screen, 0);
	int len = film_encode(in, &w->screen, &at, NULL, &unit);
	assert_true(len > 100);
	uint8_t *bytes = malloc((size_t)len);
	for (int i = 0; i < 60; i++) {
		struct film_decoder *out;
		struct rect to = at;
		size_t n = (size_t)len;
		assert_int_equal(film_decoder_new(&out), 0);
		memcpy(bytes, unit, (size_t)len);
		if (i == 0)
			to.w -= 2;
		else if (i == 1)
			to.h += 2;
		else if (i < 20)
			n = (size_t)i;
		else
			bytes[(unsigned)i * 2654435761u % (unsigned)len] ^= (uint8_t)i;
		int r = film_decode(out, bytes, n, &to, &w->shown);
		if (i < 20)
			assert_int_equal(r, -ERR_PROTOCOL);
		film_decoder_free(out);
	}
	for (size_t x = 0; x < WIDTH; x++)
		assert_int_equal(image_at(&w->shown, x, FILM_Y - 1)[3], 0);
	free(bytes);
	film_encoder_free(in);
}

static void
test_fits(void **state)
{
	(void)state;
	assert_true(film_fits(&(struct rect){1, 1, 64, 64}, 65, 65));
	assert_false(film_fits(&(struct rect){2, 1, 64, 64}, 65, 65));
	assert_false(film_fits(&(struct rect){0, 0, 63, 64}, 65, 65));
	assert_false(film_fits(&(struct rect){0, 0, 8, 8}, 65, 65));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_film_is_found_and_ends, make, unmake),
		cmocka_unit_test_setup_teardown(test_a_photograph_is_given_back, make, unmake),
		cmocka_unit_test_setup_teardown(test_a_large_film_is_found_at_once, make, unmake),
		cmocka_unit_test_setup_teardown(test_text_is_no_film, make, unmake),
		cmocka_unit_test_setup_teardown(test_dropped_film_is_told, make, unmake),
		cmocka_unit_test_setup_teardown(test_a_film_begins_anew, make, unmake),
		cmocka_unit_test_setup_teardown(test_film_there_and_back, make, unmake),
		cmocka_unit_test_setup_teardown(test_attack_units, make, unmake),
		cmocka_unit_test(test_fits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
