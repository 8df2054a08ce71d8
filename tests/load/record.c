/*
 * Records $DISPLAY until stdin ends:  record FILE FRAMES-PER-SECOND
 * Says "ready" when the first frame is in.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "grab.h"
#include "recording.h"

static int
told_to_stop(void)
{
	struct pollfd p = {STDIN_FILENO, POLLIN, 0};
	return poll(&p, 1, 0) > 0;
}

int
main(int argc, char **argv)
{
	int64_t fps;
	if (argc != 3 || str_int(argv[2], 1, 120, &fps) < 0)
		return 2;
	uint64_t step_ms = 1000 / (uint64_t)fps;
	struct grab *grab = grab_open();
	struct recorder *recorder = recorder_open(argv[1]);
	if (!recorder)
		return 1;
	struct rect rects[RECORDING_RECTS_MAX] = {
		{0, 0, grab_image(grab)->width, grab_image(grab)->height}};
	struct rect whole = rects[0];
	grab_wait(grab, 0, rects, RECORDING_RECTS_MAX);
	if (recorder_frame(recorder, 0, grab_image(grab), &whole, 1) < 0)
		return 1;
	puts("ready");
	fflush(stdout);
	struct mono begin = mono_now(), next = begin;
	while (!told_to_stop()) {
		size_t count = grab_wait(grab, 100, rects, RECORDING_RECTS_MAX);
		struct mono now = mono_now();
		if (count && recorder_frame(recorder, (uint32_t)mono_diff_ms(begin, now),
				     grab_image(grab), rects, count) < 0)
			return 1;
		next = mono_add_ms(now, step_ms);
		while (count && mono_before(mono_now(), next) && !told_to_stop())
			nanosleep(&(struct timespec){0, 1000000}, NULL);
	}
	grab_close(grab);
	return recorder_close(recorder) < 0;
}
