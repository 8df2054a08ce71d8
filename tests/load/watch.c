/*
 * What $DISPLAY shows, until stdin ends: a line for every new picture, its time on the monotonic
 * clock in microseconds and its digest.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "grab.h"
#include "recording.h"

int
main(void)
{
	struct grab *grab = grab_open();
	const struct image *image = grab_image(grab);
	struct rect rects[RECORDING_RECTS_MAX];
	struct digest digest;
	if (digest_init(&digest, image->width, image->height) < 0)
		return 1;
	digest_rows(&digest, image, 0, image->height);
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
	}
	digest_fini(&digest);
	grab_close(grab);
	return 0;
}
