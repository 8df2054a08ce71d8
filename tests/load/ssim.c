/*
 * How like what was seen is to what was played, where the recording changes:
 *
 *   ssim OFFICE.rec HOME.rec < TIMES
 *
 * HOME.rec is what tests/load/home kept: its first frame is white where the watermark's strokes
 * are, which are left out; every other one is a picture that was seen, with its time. TIMES: when
 * each frame of OFFICE.rec was shown, milliseconds on that clock; a busy machine is late. A picture
 * shows what was, not what is: of the frames of the second before, the one most like it counts.
 * Prints the mean over the pictures of the structural similarity (Wang et al. 2004; Y, blocks of
 * 8x8, step 4) and how many there were.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recording.h"

enum {
	BLOCK = 8,
	STEP = 4,
	NEAR_MS = 1000, /* a picture is not older */
	FRAMES_MAX = 1 << 16,
};

static uint8_t *mask; /* 1: not looked at */
static uint32_t shown_ms[FRAMES_MAX];
static size_t shown;
static uint16_t width;

static int
luma(const uint8_t *p)
{
	return (66 * p[2] + 129 * p[1] + 25 * p[0] + 128) >> 8;
}

/* One block; -1 when nothing of it counts. */
static double
block(const struct image *a, const struct image *b, size_t x, size_t y)
{
	const double c1 = 6.5025, c2 = 58.5225; /* (0.01 * 255)^2, (0.03 * 255)^2 */
	double n = 0, sa = 0, sb = 0, saa = 0, sbb = 0, sab = 0;
	for (size_t i = 0; i < BLOCK; i++)
		for (size_t k = 0; k < BLOCK; k++) {
			if (mask[(y + i) * width + x + k])
				continue;
			double u = luma(image_at(a, x + k, y + i)),
			       v = luma(image_at(b, x + k, y + i));
			n++;
			sa += u;
			sb += v;
			saa += u * u;
			sbb += v * v;
			sab += u * v;
		}
	if (n < BLOCK * BLOCK / 2)
		return -1;
	double ma = sa / n, mb = sb / n, va = saa / n - ma * ma, vb = sbb / n - mb * mb,
	       cov = sab / n - ma * mb;
	return (2 * ma * mb + c1) * (2 * cov + c2) / ((ma * ma + mb * mb + c1) * (va + vb + c2));
}

static double
similar(const struct image *a, const struct image *b, struct rect at)
{
	double sum = 0, n = 0;
	for (size_t y = at.y; y + BLOCK <= (size_t)at.y + at.h; y += STEP)
		for (size_t x = at.x; x + BLOCK <= (size_t)at.x + at.w; x += STEP) {
			double s = block(a, b, x, y);
			if (s >= -0.999) {
				sum += s;
				n++;
			}
		}
	return n > 0 ? sum / n : 1;
}

static struct player *
start(const char *path)
{
	struct player *p = player_open(path);
	if (!p) {
		fprintf(stderr, "ssim: %s is no recording\n", path);
		exit(1);
	}
	return p;
}

/* The box around everything that the recording changes. */
static struct rect
changes(const char *path)
{
	struct player *p = start(path);
	struct rect box = {0};
	size_t count;
	while (player_next(p) == 1)
		for (const struct rect *r = player_rects(p, &count); count > 0; count--, r++)
			box = rect_union(box, *r);
	player_close(p);
	return box;
}

static void
read_mask(const struct image *image)
{
	width = image->width;
	mask = calloc(image->height, width);
	if (!mask)
		exit(1);
	for (size_t y = 0; y < image->height; y++)
		for (size_t x = 0; x < width; x++)
			mask[y * width + x] = image_at(image, x, y)[0] != 0;
}

/* Milliseconds after the first frame. */
static uint32_t
since(uint32_t ms)
{
	return ms - shown_ms[0];
}

int
main(int argc, char **argv)
{
	while (shown < FRAMES_MAX && scanf("%" SCNu32, &shown_ms[shown]) == 1)
		shown++;
	if (argc != 3 || shown == 0)
		return 2;
	struct rect at = changes(argv[1]);
	struct player *home = start(argv[2]), *office = start(argv[1]);
	struct image seen;
	read_mask(player_image(home));
	if (image_init(&seen, player_image(home)->width, player_image(home)->height) < 0)
		return 1;
	double sum = 0;
	int pictures = 0;
	size_t at_frame = 0;
	while (player_next(home) == 1) {
		uint32_t ms = since(player_ms(home));
		double best = -1;
		if ((int32_t)ms < 0)
			continue; /* before it began */
		do {
			if (since(shown_ms[at_frame]) + NEAR_MS < ms)
				continue;
			double s = similar(player_image(office), player_image(home), at);
			best = s > best ? s : best;
		} while (since(shown_ms[at_frame]) < ms && at_frame + 1 < shown &&
			 player_next(office) == 1 && ++at_frame);
		sum += best;
		pictures++;
	}
	printf("%.4f %d\n", pictures ? sum / pictures : 1, pictures);
	player_close(home);
	player_close(office);
	image_fini(&seen);
	free(mask);
	return 0;
}
