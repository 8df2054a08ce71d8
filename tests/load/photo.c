/*
 * A photograph appears on a page while somebody types below it, over a line that is computed
 * (tests/unit/picture_line.h): as slow and far as it is told, no time for coding.
 *
 *   photo PAGE.rec PHOTOGRAPHS.rec N KBIT_S DELAY_MS FILM
 *
 * The page is the first frame of PAGE.rec, the photograph 1280x800 pixels of PHOTOGRAPHS.rec's
 * frame N; home shows H.264 when FILM is 1; a letter every 150 ms from half a second before it on.
 * Prints, in milliseconds from the photograph's appearance: the photograph at home like the office
 * PC's (structural similarity 0.95 or more), and exact; typed letters at home, median and the
 * longest; then bytes over the line, pictures with H.264, and how long letters took before, the
 * longest.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "recording.h"
#include "similar.h"

static void
must(int good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "photo: %s\n", what);
	exit(1);
}
#define PICTURE_LINE_MUST(what) must(what, #what)
#include "../unit/picture_line.h"

enum {
	PHOTO_W = 1280,
	PHOTO_H = 800,
	LETTER_W = 12,
	LETTER_H = 20,
	LETTER_MS = 150,
	LETTERS_MAX = 20000,
	BEFORE = 10, /* letters before the photograph */
	SETTLE_MS = 200000,
	LIMIT_MS = 400000,
};

static const struct rect photo = {320, 60, PHOTO_W, PHOTO_H};

static struct run {
	struct picture_line line;
	struct mono appeared, recognisable, exact;
	struct mono typed[LETTERS_MAX], seen[LETTERS_MAX];
	struct rect letters[LETTERS_MAX];
	size_t typed_count, seen_count;
	uint64_t bytes, films; /* before */
} run;

static struct player *
open_at(const char *path, int frame)
{
	struct player *p = player_open(path);
	must(p != NULL, path);
	while (frame-- > 0)
		must(player_next(p) == 1, "no such frame");
	return p;
}

static void
paste(struct image *to, size_t x, size_t y, const struct image *from, struct rect part)
{
	for (size_t i = 0; i < part.h; i++)
		memcpy(image_at(to, x, y + i), image_at(from, part.x, part.y + i),
			(size_t)part.w * IMAGE_PIXEL_BYTES);
}

static void
type(void)
{
	size_t n = run.typed_count++, per_line = 100;
	must(n < LETTERS_MAX, "too much was typed");
	struct rect r = {(uint16_t)(300 + n % per_line * LETTER_W),
		(uint16_t)(900 + n / per_line % 7 * LETTER_H), LETTER_W, LETTER_H};
	for (size_t y = 0; y < r.h; y++)
		for (size_t x = 0; x < r.w; x++)
			memset(image_at(&run.line.screen, r.x + x, r.y + y),
				(x * 7 + y * 3 + n * 13) % 11 < 4 ? 40 : 250, 3);
	run.typed[n] = run.line.now;
	run.letters[n] = r;
	line_damage(&run.line, r);
}

static void
look(struct picture_line *l, void *user)
{
	(void)user;
	while (run.seen_count < run.typed_count && line_differ(l, run.letters[run.seen_count]) == 0)
		run.seen[run.seen_count++] = l->now;
	if (!run.appeared.ns || run.exact.ns)
		return;
	if (line_differ(l, photo) == 0)
		run.exact = l->now;
	if (!run.recognisable.ns &&
		similar(&l->screen, decoder_image(l->decoder), photo, NULL) >= 0.95)
		run.recognisable = l->now;
}

static int
compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

/* Of the letters from first on; sorted. */
static size_t
delays(size_t first, size_t end, uint64_t *ret)
{
	size_t n = 0;
	for (size_t i = first; i < end && i < run.seen_count; i++)
		ret[n++] = mono_diff_ms(run.typed[i], run.seen[i]);
	qsort(ret, n, sizeof *ret, compare);
	return n;
}

static void
print(void)
{
	static uint64_t ms[LETTERS_MAX];
	size_t before = delays(0, BEFORE, ms);
	uint64_t longest_before = ms[before - 1];
	size_t count = delays(BEFORE, LETTERS_MAX, ms);
	must(count > 0, "no letter came");
	printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
	       "\n",
		mono_diff_ms(run.appeared, run.recognisable), mono_diff_ms(run.appeared, run.exact),
		ms[count / 2], ms[count - 1], run.line.bytes - run.bytes,
		run.line.films - run.films, longest_before);
}

int
main(int argc, char **argv)
{
	int64_t n = 0, kbit_s = 1, delay_ms = 0, film = 0;
	must(argc == 7 && str_int(argv[3], 0, 1000, &n) == 0 &&
			str_int(argv[4], 1, 10000000, &kbit_s) == 0 &&
			str_int(argv[5], 0, 10000, &delay_ms) == 0 &&
			str_int(argv[6], 0, 1, &film) == 0,
		"PAGE.rec PHOTOGRAPHS.rec N KBIT_S DELAY_MS FILM");
	struct player *page = open_at(argv[1], 0), *photos = open_at(argv[2], (int)n);
	const struct image *first = player_image(page), *image = player_image(photos);
	struct picture_line *l = &run.line;
	must(first->width == 1920 && first->height == 1080 && image->width == 1920 &&
			image->height == 1080,
		"1920x1080");
	line_start(l, first->width, first->height, (int)film, (uint64_t)kbit_s, (uint64_t)delay_ms);
	l->on_picture = look;
	paste(&l->screen, 0, 0, first, (struct rect){0, 0, first->width, first->height});
	line_damage(l, (struct rect){0, 0, first->width, first->height});
	line_run(l, SETTLE_MS);
	must(line_differ(l, (struct rect){0, 0, first->width, first->height}) == 0, "no page");
	for (int i = 0; i < BEFORE; i++) {
		type();
		line_run(l, LETTER_MS);
	}
	run.bytes = l->bytes;
	run.films = l->films;
	run.appeared = l->now;
	paste(&l->screen, photo.x, photo.y, image, (struct rect){320, 140, PHOTO_W, PHOTO_H});
	line_damage(l, photo);
	while (!run.exact.ns && mono_diff_ms(run.appeared, l->now) < LIMIT_MS) {
		type();
		line_run(l, LETTER_MS);
	}
	print();
	player_close(page);
	player_close(photos);
	line_stop(l);
	return 0;
}
