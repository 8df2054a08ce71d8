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
#include "similar.h"

enum {
	NEAR_MS = 1000, /* a picture is not older */
	FRAMES_MAX = 1 << 16,
};

static uint8_t *mask; /* 1: not looked at */
static uint32_t shown_ms[FRAMES_MAX];
static size_t shown;

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
	size_t width = image->width;
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
			double s = similar(player_image(office), player_image(home), at, mask);
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
