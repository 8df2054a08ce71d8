/*
 * What $DISPLAY shows, until stdin ends: a line for every new picture, its time on the monotonic
 * clock in microseconds and its digest. With a file, a picture each second is kept in it (for ssim,
 * so behind one without strokes).
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "grab.h"
#include "recording.h"

static void
keep(struct recorder *kept, const struct image *image, uint64_t now_us)
{
	static uint64_t next_us;
	struct rect all = {0, 0, image->width, image->height};
	if (!kept || now_us < next_us)
		return;
	recorder_frame(kept, (uint32_t)(now_us / 1000), image, &all, 1);
	next_us = now_us + 1000000;
}

static struct recorder *
start_keeping(const char *path, const struct image *image)
{
	struct image black;
	struct rect all = {0, 0, image->width, image->height};
	struct recorder *kept = recorder_open(path);
	if (!kept || image_init(&black, image->width, image->height) < 0)
		exit(1);
	recorder_frame(kept, 0, &black, &all, 1);
	image_fini(&black);
	return kept;
}

int
main(int argc, char **argv)
{
	struct grab *grab = grab_open();
	const struct image *image = grab_image(grab);
	struct rect rects[RECORDING_RECTS_MAX];
	struct digest digest;
	if (digest_init(&digest, image->width, image->height) < 0)
		return 1;
	digest_rows(&digest, image, 0, image->height);
	struct recorder *kept = argc == 2 ? start_keeping(argv[1], image) : NULL;
	struct pollfd in = {STDIN_FILENO, POLLIN, 0};
	while (poll(&in, 1, 0) == 0) {
		size_t count = grab_wait(grab, 50, rects, RECORDING_RECTS_MAX);
		if (!count)
			continue;
		uint64_t seen_us = mono_now().ns / 1000;
		for (size_t i = 0; i < count; i++)
			digest_rows(&digest, image, rects[i].y, rects[i].y + rects[i].h);
		printf("%" PRIu64 " %016" PRIx64 "\n", seen_us, digest.value);
		fflush(stdout);
		keep(kept, image, seen_us);
	}
	int r = kept ? recorder_close(kept) : 0;
	digest_fini(&digest);
	grab_close(grab);
	return r < 0;
}
