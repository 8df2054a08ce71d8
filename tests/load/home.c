/*
 * A home PC for ./bench screen: logs in with a password and prints a line for every picture, as
 * tests/load/watch does for the peers' windows: its time on the monotonic clock in microseconds and
 * the digest of what it shows without the watermark. The office PC's screen must show the first
 * frame of the recording when the session starts: what differs then is the watermark.
 *
 *   home ORGANISATION-FILE TERMINAL-ID PASSWORD-FILE DEVICE-KEY RECORDING [KEPT]
 *
 * KEPT: a recording of what is seen, once a second, for tests/load/ssim.
 * Until stdin ends; then the processor time in microseconds, without that of the digests, and the
 * number of pictures.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "client/facts.h"
#include "client/session.h"
#include "recording.h"
#include "screen/watermark.h"

static struct home {
	struct loop *loop;
	struct session *session;
	struct session_settings settings;
	char password[256];
	struct player *player;
	struct watermark *watermark;
	struct image bare; /* the picture without the watermark */
	struct digest digest;
	struct recorder *kept;
	struct mono keep_next;
	uint64_t pictures, digest_ns;
	int code;
} h;

static void __attribute__((noreturn)) die(const char *what)
{
	fprintf(stderr, "home: %s\n", what);
	exit(1);
}

static void
on_prompt(void *user, const engawa_Prompt *prompt, const char *const words[2])
{
	(void)user;
	(void)words;
	if (prompt->kind != engawa_PromptKind_PROMPT_PASSWORD || prompt->wrong)
		die("only a password is at hand");
	session_reply(h.session, h.password);
}

static void
on_started(void *user, const engawa_Start *start)
{
	(void)user;
	(void)start;
}

static int
differ(const uint8_t *a, const uint8_t *b)
{
	return memcmp(a, b, 3) != 0;
}

/* The mask as a picture: the first of what is kept. */
static void
keep_mask(const uint8_t *mask, const struct image *image)
{
	struct image white;
	struct rect all = {0, 0, image->width, image->height};
	if (!h.kept)
		return;
	if (image_init(&white, image->width, image->height) < 0)
		die("no memory");
	for (size_t i = 0; i < (size_t)image->width * image->height; i++)
		memset(white.bytes + i * IMAGE_PIXEL_BYTES, mask[i] ? 255 : 0, 3);
	recorder_frame(h.kept, 0, &white, &all, 1);
	image_fini(&white);
}

static void
keep(void)
{
	struct rect all = {0, 0, h.bare.width, h.bare.height};
	struct mono now = mono_now();
	if (!h.kept || mono_before(now, h.keep_next))
		return;
	recorder_frame(h.kept, (uint32_t)(now.ns / 1000000), &h.bare, &all, 1);
	h.keep_next = mono_add_ms(now, 1000);
}

/* The mask: where the first picture is not the recording's. */
static void
learn(const struct image *image)
{
	const struct image *frame = player_image(h.player);
	if (image->width != frame->width || image->height != frame->height)
		die("the office PC has another size than the recording");
	uint8_t *mask = mem_array(image->height, image->width);
	for (size_t y = 0; y < image->height; y++)
		for (size_t x = 0; x < image->width; x++)
			mask[y * image->width + x] =
				(uint8_t)differ(image_at(image, x, y), image_at(frame, x, y));
	keep_mask(mask, image);
	if (watermark_new(mask, image->width, image->height, &h.watermark) < 0)
		die("the office PC does not show the recording");
	free(mask);
	if (image_init(&h.bare, image->width, image->height) < 0 ||
		digest_init(&h.digest, image->width, image->height) < 0)
		die("no memory");
}

static void
take(const struct image *image, const struct rect *r)
{
	struct image part = h.bare;
	part.bytes = image_at(&h.bare, r->x, r->y);
	part.width = r->w;
	part.height = r->h;
	for (size_t y = 0; y < r->h; y++)
		memcpy(image_at(&h.bare, r->x, r->y + y), image_at(image, r->x, r->y + y),
			(size_t)r->w * IMAGE_PIXEL_BYTES);
	watermark_apply(h.watermark, &part, r->x, r->y);
	digest_rows(&h.digest, &h.bare, r->y, (uint32_t)r->y + r->h);
}

static uint64_t
cpu_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void
on_picture(void *user)
{
	(void)user;
	uint64_t now_us = mono_now().ns / 1000, began_ns = cpu_ns();
	const struct image *image = session_image(h.session);
	size_t count;
	const struct rect *rects = session_rects(h.session, &count);
	if (!h.watermark)
		learn(image);
	for (size_t i = 0; i < count; i++)
		take(image, &rects[i]);
	keep();
	h.pictures++;
	printf("%" PRIu64 " %016" PRIx64 "\n", now_us, h.digest.value);
	fflush(stdout);
	h.digest_ns += cpu_ns() - began_ns;
}

static void
on_ended(void *user, int code)
{
	(void)user;
	h.code = code;
	loop_stop(h.loop);
}

static void
on_stdin(void *user, int events)
{
	char bytes[64];
	(void)user;
	(void)events;
	if (read(STDIN_FILENO, bytes, sizeof bytes) <= 0)
		session_end(h.session);
}

static const struct session_events events = {
	.prompt = on_prompt,
	.started = on_started,
	.picture = on_picture,
	.ended = on_ended,
};

static void
read_password(const char *path)
{
	FILE *file = fopen(path, "re");
	if (!file || !fgets(h.password, sizeof h.password, file))
		die("no password");
	fclose(file);
	h.password[strcspn(h.password, "\n")] = 0;
}

int
main(int argc, char **argv)
{
	struct orgfile org;
	struct conf_error error = {""};
	if (argc != 6 && argc != 7)
		return 2;
	if (argc == 7 && !(h.kept = recorder_open(argv[6])))
		die("no place for a recording");
	if (orgfile_load(argv[1], &org, &error) < 0 ||
		terminal_id_parse(argv[2], h.settings.terminal) < 0 ||
		device_key_load(argv[4], &h.settings.device) < 0)
		die("settings");
	read_password(argv[3]);
	h.player = player_open(argv[5]);
	if (!h.player)
		die("no recording");
	h.settings.org = &org;
	facts_collect(1920, 1080, &h.settings.facts);
	h.loop = loop_new();
	h.session = session_new(h.loop, &h.settings, &events, NULL);
	struct watch *watch = watch_new(h.loop, STDIN_FILENO, on_stdin, NULL);
	watch_set(watch, WATCH_READ);
	loop_run(h.loop);
	printf("cpu_us %" PRIu64 " pictures %" PRIu64 "\n", (cpu_ns() - h.digest_ns) / 1000,
		h.pictures);
	if (h.code != -ERR_ENDED)
		fprintf(stderr, "home: %s: %s\n", err_text(-h.code, ERR_LANG_EN),
			session_error(h.session));
	if (h.kept && recorder_close(h.kept) < 0)
		die("recording");
	session_free(h.session);
	watch_free(watch);
	loop_free(h.loop);
	player_close(h.player);
	watermark_free(h.watermark);
	image_fini(&h.bare);
	digest_fini(&h.digest);
	orgfile_fini(&org);
	return h.code != -ERR_ENDED;
}
