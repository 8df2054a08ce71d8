/*
 * What the watermark costs: plays recordings through the pipeline of engawa-desktop (compare,
 * moves, encoder; no films) without a mark, with the text only, and with text and code.
 *
 *     mark_cost RECORDING AGENT.KEY ORGANISATION.KEY LINE...    "plain text code": coded bytes of
 *         all pictures but the first, then the same in records as they are sent
 *     mark_cost --show MS RECORDING    the first frame that is not before MS: WIDTH HEIGHT, a line
 *         end, and B G R X pixels
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "crypto/seal.h"
#include "desktop/mark.h"
#include "mark/code.h"
#include "recording.h"
#include "screen/damage.h"
#include "screen/encode.h"

enum {
	WINDOW_MIB = 32,
	KINDS = 3,
	FRAME_OVERHEAD_BYTES =
		4 + 12, /* type and length, sequence number, flag, length of the data */
	PADDING_BYTES = 256,
	SEALED_BYTES = 2 + 16 + 5 + 1 + 16, /* inner record, TLS record */
};

static void
need(int good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "mark_cost: %s\n", what);
	exit(1);
}

struct run {
	struct encoder *encoder;
	uint64_t coded, sent;
};

struct screen {
	struct image shown;
	struct damage damage;
	struct moves *moves;
	uint32_t seq;
};

static void
encode(struct run *run, const struct screen *s, const struct encode_change *change)
{
	static uint8_t piece[ENCODE_PIECE_MAX_BYTES];
	int last = 0;
	encoder_start(run->encoder, s->seq, &s->shown, change);
	while (!last) {
		int len = encoder_next(run->encoder, piece, sizeof piece, &last);
		need(len >= 0, "encoder_next");
		size_t plain = (size_t)len + FRAME_OVERHEAD_BYTES;
		if (s->seq > 1) {
			run->coded += (uint64_t)len;
			run->sent += (plain + PADDING_BYTES - 1) / PADDING_BYTES * PADDING_BYTES +
				     SEALED_BYTES;
		}
	}
}

static void
play(const struct player *player, struct screen *s, struct run *runs)
{
	static struct rect rects[ENCODE_RECTS_MAX];
	struct copy copies[MOVE_COPIES_MAX];
	struct encode_change change = {.copies = copies, .rects = rects};
	struct rect areas[MOVE_VIEWS_MAX];
	struct move_view views[MOVE_VIEWS_MAX];
	const struct image *image = player_image(player);
	size_t count, changed;
	const struct rect *from = player_rects(player, &changed);
	for (size_t i = 0; i < changed; i++)
		damage_add(&s->damage, from[i].x, from[i].y, from[i].w, from[i].h);
	count = damage_take(&s->damage, areas, MOVE_VIEWS_MAX);
	for (size_t i = 0; i < count; i++)
		views[i] = (struct move_view){{image_at(image, areas[i].x, areas[i].y),
						      image->stride, areas[i].w, areas[i].h},
			areas[i]};
	if (s->seq > 0)
		change.copy_count =
			moves_find(s->moves, views, count, &(struct rect){0}, &s->shown, copies);
	for (size_t i = 0; i < count; i++)
		damage_compare(&s->damage, &views[i].image, areas[i].x, areas[i].y, &s->shown);
	change.rect_count = damage_changed(&s->damage, rects, ENCODE_RECTS_MAX);
	if (s->seq == 0) {
		rects[0] = (struct rect){0, 0, s->shown.width, s->shown.height};
		change.rect_count = 1;
	}
	if (change.copy_count + change.rect_count == 0)
		return;
	s->seq++;
	for (int i = 0; i < KINDS; i++)
		encode(&runs[i], s, &change);
}

static void
make_code(char **words, uint8_t code[static WATERMARK_CODE_BYTES])
{
	uint8_t agent[32], agent_public[32], org[32], org_public[32], key[MARK_KEY_BYTES];
	const struct mark mark = {"4F2A-91C0", 1795300000};
	need(seal_key_load(words[0], agent, agent_public) == 0, words[0]);
	need(seal_key_load(words[1], org, org_public) == 0, words[1]);
	need(mark_key_agent(agent, org_public, key) == 0, "mark_key_agent");
	need(mark_encode(key, &mark, code) == 0, "mark_encode");
}

static void
show(const char *ms, const char *path)
{
	int64_t from = 0;
	struct player *player = player_open(path);
	need(player && str_int(ms, 0, INT32_MAX, &from) == 0, path);
	while (player_ms(player) < (uint64_t)from && player_next(player) == 1)
		;
	const struct image *image = player_image(player);
	printf("%u %u\n", image->width, image->height);
	for (size_t y = 0; y < image->height; y++)
		fwrite(image_at(image, 0, y), IMAGE_PIXEL_BYTES, image->width, stdout);
	player_close(player);
}

int
main(int argc, char **argv)
{
	struct watermark *marks[KINDS] = {NULL};
	struct run runs[KINDS] = {{0}};
	struct screen s = {0};
	uint8_t code[WATERMARK_CODE_BYTES];
	if (argc == 4 && strcmp(argv[1], "--show") == 0)
		return show(argv[2], argv[3]), 0;
	need(argc > 4, "RECORDING AGENT.KEY ORGANISATION.KEY LINE...");
	struct player *player = player_open(argv[1]);
	need(player != NULL, argv[1]);
	make_code(argv + 2, code);
	for (int i = 0; i < KINDS; i++) {
		need(i == 0 || mark_draw((const char *const *)argv + 4, (size_t)(argc - 4),
				       i == 2 ? code : NULL, &marks[i]) == 0,
			"mark_draw");
		need(encoder_new(WINDOW_MIB, marks[i], &runs[i].encoder) == 0, "encoder_new");
	}
	const struct image *image = player_image(player);
	need(image_init(&s.shown, image->width, image->height) == 0 &&
			damage_init(&s.damage, image->width, image->height) == 0 &&
			moves_new(&s.moves) == 0,
		"memory");
	damage_add_all(&s.damage);
	do
		play(player, &s, runs);
	while (player_next(player) == 1);
	printf("%llu %llu %llu %llu %llu %llu\n", (unsigned long long)runs[0].coded,
		(unsigned long long)runs[1].coded, (unsigned long long)runs[2].coded,
		(unsigned long long)runs[0].sent, (unsigned long long)runs[1].sent,
		(unsigned long long)runs[2].sent);
	for (int i = 0; i < KINDS; i++) {
		encoder_free(runs[i].encoder);
		watermark_free(marks[i]);
	}
	moves_free(s.moves);
	damage_fini(&s.damage);
	image_fini(&s.shown);
	player_close(player);
	return 0;
}
