/*
 * Plays a recording to $DISPLAY, which has its size:  replay FILE [HOLD-MS]
 * Paints the first frame in a window over everything and says "ready". Then for every line on
 * stdin it plays the whole recording once from its beginning, as fast as it was recorded, each
 * frame at once (the server is held), and prints for each frame the monotonic clock in
 * microseconds when its painting began and its digest; "end" closes a run.
 * HOLD-MS: after each so many milliseconds of the recording it says "hold" and stands still until
 * another line comes.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <xcb/shm.h>
#include <xcb/xcb.h>

#include "base/clock.h"
#include "base/str.h"
#include "recording.h"

static xcb_connection_t *c;
static xcb_window_t window;
static xcb_gcontext_t gc;
static xcb_shm_seg_t segment;
static uint8_t *memory;

static void __attribute__((noreturn)) die(const char *what)
{
	fprintf(stderr, "replay: %s\n", what);
	exit(1);
}

static void
done(void)
{
	free(xcb_get_input_focus_reply(c, xcb_get_input_focus(c), NULL));
	if (xcb_connection_has_error(c))
		die("the display is gone");
}

static void
open_window(uint16_t width, uint16_t height)
{
	c = xcb_connect(NULL, NULL);
	if (xcb_connection_has_error(c))
		die("no display");
	const xcb_screen_t *screen = xcb_setup_roots_iterator(xcb_get_setup(c)).data;
	if (screen->width_in_pixels != width || screen->height_in_pixels != height)
		die("the display has another size than the recording");
	window = xcb_generate_id(c);
	uint32_t override = 1;
	xcb_create_window(c, XCB_COPY_FROM_PARENT, window, screen->root, 0, 0, width, height, 0,
		XCB_WINDOW_CLASS_INPUT_OUTPUT, XCB_COPY_FROM_PARENT, XCB_CW_OVERRIDE_REDIRECT,
		&override);
	gc = xcb_generate_id(c);
	xcb_create_gc(c, gc, window, 0, NULL);
	xcb_map_window(c, window);
	segment = xcb_generate_id(c);
	size_t len = (size_t)width * height * IMAGE_PIXEL_BYTES;
	xcb_shm_create_segment_reply_t *reply = xcb_shm_create_segment_reply(
		c, xcb_shm_create_segment(c, segment, (uint32_t)len, 0), NULL);
	if (!reply || reply->nfd != 1)
		die("no shared memory with the display");
	int fd = xcb_shm_create_segment_reply_fds(c, reply)[0];
	free(reply);
	void *mapped = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (mapped == MAP_FAILED)
		die("no memory");
	memory = mapped;
	done();
}

/* The segment holds the whole picture; the server copies what changed. */
static void
paint(const struct player *player)
{
	const struct image *image = player_image(player);
	size_t count;
	const struct rect *rects = player_rects(player, &count);
	for (size_t i = 0; i < count; i++)
		for (size_t y = rects[i].y; y < (size_t)rects[i].y + rects[i].h; y++)
			__builtin_memcpy(
				memory + (y * image->width + rects[i].x) * IMAGE_PIXEL_BYTES,
				image_at(image, rects[i].x, y),
				(size_t)rects[i].w * IMAGE_PIXEL_BYTES);
	xcb_grab_server(c);
	for (size_t i = 0; i < count; i++)
		xcb_shm_put_image(c, window, gc, image->width, image->height, rects[i].x,
			rects[i].y, rects[i].w, rects[i].h, (int16_t)rects[i].x,
			(int16_t)rects[i].y, 24, XCB_IMAGE_FORMAT_Z_PIXMAP, 0, segment, 0);
	xcb_ungrab_server(c);
	done();
}

static void
wait_until(struct mono t)
{
	struct timespec at = {(time_t)(t.ns / 1000000000), (long)(t.ns % 1000000000)};
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static struct player *
start(const char *path)
{
	struct player *player = player_open(path);
	if (!player)
		die("no such recording");
	return player;
}

/* Until the next line: how long that was. */
static uint64_t
hold(void)
{
	struct mono since = mono_now();
	puts("hold");
	fflush(stdout);
	for (int byte; (byte = getchar()) != '\n';)
		if (byte == EOF)
			exit(0);
	return mono_diff_ms(since, mono_now());
}

static void
play(const char *path, uint32_t hold_ms)
{
	struct player *player = start(path);
	const struct image *image = player_image(player);
	struct digest digest;
	if (digest_init(&digest, image->width, image->height) < 0)
		die("no memory");
	digest_rows(&digest, image, 0, image->height);
	struct mono begin = mono_now();
	uint32_t held = 0; /* how often */
	int r;
	do {
		if (hold_ms && player_ms(player) / hold_ms > held) {
			held = player_ms(player) / hold_ms;
			begin = mono_add_ms(begin, hold());
		}
		size_t count;
		const struct rect *rects = player_rects(player, &count);
		for (size_t i = 0; i < count; i++)
			digest_rows(&digest, image, rects[i].y, rects[i].y + rects[i].h);
		wait_until(mono_add_ms(begin, player_ms(player)));
		uint64_t begun_us = mono_now().ns / 1000;
		paint(player);
		printf("%" PRIu64 " %016" PRIx64 "\n", begun_us, digest.value);
		r = player_next(player);
	} while (r == 1);
	if (r < 0)
		die("the recording is broken");
	puts("end");
	fflush(stdout);
	digest_fini(&digest);
	player_close(player);
}

int
main(int argc, char **argv)
{
	int64_t hold_ms = 0;
	if (argc < 2 || argc > 3 || (argc == 3 && str_int(argv[2], 1, INT32_MAX, &hold_ms) < 0))
		return 2;
	struct player *first = start(argv[1]);
	open_window(player_image(first)->width, player_image(first)->height);
	paint(first);
	player_close(first);
	puts("ready");
	fflush(stdout);
	for (int byte; (byte = getchar()) != EOF;)
		if (byte == '\n')
			play(argv[1], (uint32_t)hold_ms);
	return 0;
}
