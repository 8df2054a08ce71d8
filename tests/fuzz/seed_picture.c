/*
 * Inputs for the picture decoder and for films, made by the encoder itself: every kind of item,
 * what they do together, history and layouts.
 *
 *   seed_picture PICTURE-DIRECTORY FILM-DIRECTORY
 *
 * Each session becomes two files of fuzz_picture.c, one as it is sent and one with its plain bytes,
 * which a fuzzer can change to some purpose, where they are few. Its name ends with a hash of the
 * last picture, which other decoders must show, too. What the decoder does not take ends it with 1.
 */
#include <stdio.h>
#include <zstd.h>

#include "base/str.h"
#include "feed_picture.h"
#include "screen/encode.h"
#include "screen/film.h"
#include "screen/move.h"

enum {
	BYTES_MAX = 1 << 17,
	PLAIN_MAX = 1 << 13, /* a fuzzer likes them short */
	UNIT_MAX = 1 << 14,
	PLAIN_PIECE = 11, /* so that every field is cut somewhere */
	SENT_FLAG = 0,
	PLAIN_FLAG = 1,
	RGBX_FLAG = 2,
};

struct bytes {
	struct wr w;
	uint8_t data[BYTES_MAX];
};

struct seed {
	const char *directory, *name;
	uint8_t flags;
	int has_film; /* what it shows is not exact */
	struct image image;
	struct watermark *watermark;
	struct encoder *encoder;
	struct decoder *decoder;
	ZSTD_DCtx *plain;
	uint32_t seq;
	struct bytes sent, opened;
};

static void
must(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "seed_picture: %s\n", what);
	exit(1);
}

static void
save(const char *directory, const char *name, const char *kind, const struct bytes *b)
{
	char path[4096];
	must(!b->w.failed, "too long");
	must(str_print(path, sizeof path, "%s/made-%s%s", directory, name, kind) >= 0, "path");
	FILE *f = fopen(path, "wb");
	must(f && fwrite(b->data, 1, b->w.len, f) == b->w.len && fclose(f) == 0, path);
}

static void
layout(struct seed *s, uint16_t width, uint16_t height)
{
	image_fini(&s->image);
	must(image_init(&s->image, width, height) == 0, "no memory");
	must(decoder_layout(s->decoder, width, height) == 0, "layout");
	struct bytes *both[] = {&s->sent, &s->opened};
	for (int i = 0; i < 2; i++) {
		wr_u8(&both[i]->w, 0);
		wr_u8(&both[i]->w, (uint8_t)(width - 1));
		wr_u8(&both[i]->w, (uint8_t)(height - 1));
	}
}

static struct seed *
begin(const char *directory, const char *name, uint8_t flags, struct watermark *watermark)
{
	struct seed *s = calloc(1, sizeof *s);
	must(s != NULL, "no memory");
	s->directory = directory;
	s->name = name;
	s->flags = flags;
	s->watermark = watermark;
	s->sent.w = wr_init(s->sent.data, BYTES_MAX);
	s->opened.w = wr_init(s->opened.data, BYTES_MAX);
	s->plain = ZSTD_createDCtx();
	must(s->plain && encoder_new(8, watermark, &s->encoder) == 0 &&
			decoder_new(8, flags & RGBX_FLAG ? DECODER_RGBX : DECODER_BGRX,
				&s->decoder) == 0,
		"no memory");
	wr_u8(&s->sent.w, flags | SENT_FLAG);
	wr_u8(&s->opened.w, flags | PLAIN_FLAG);
	return s;
}

/* FNV-1a of B, G and R of all pixels of the last picture; it is what was drawn, marked. */
static uint32_t
digest(const struct seed *s)
{
	const struct image *shown = decoder_image(s->decoder);
	int blue = s->flags & RGBX_FLAG ? 2 : 0;
	uint32_t hash = 2166136261u;
	watermark_apply(s->watermark,
		&(struct image){s->image.bytes, s->image.stride, s->image.width, s->image.height},
		0, 0);
	for (size_t y = 0; y < shown->height; y++)
		for (size_t x = 0; x < shown->width; x++) {
			const uint8_t *p = image_at(shown, x, y), *q = image_at(&s->image, x, y);
			const uint8_t bgr[] = {p[blue], p[1], p[2 - blue]};
			must(s->has_film || __builtin_memcmp(bgr, q, 3) == 0, "not exact");
			for (int i = 0; i < 3; i++)
				hash = (hash ^ bgr[i]) * 16777619u;
		}
	return hash;
}

static void
end(struct seed *s)
{
	char sent[16], opened[24];
	uint32_t hash = digest(s);
	must(str_print(sent, sizeof sent, ".%08x", hash) >= 0 &&
			str_print(opened, sizeof opened, "-plain.%08x", hash) >= 0,
		"name");
	save(s->directory, s->name, sent, &s->sent);
	if (s->opened.w.len <= PLAIN_MAX)
		save(s->directory, s->name, opened, &s->opened);
	image_fini(&s->image);
	encoder_free(s->encoder);
	decoder_free(s->decoder);
	ZSTD_freeDCtx(s->plain);
	watermark_free(s->watermark);
	free(s);
}

static void
put_pieces(struct bytes *out, const uint8_t *p, size_t len)
{
	for (size_t at = 0, n; at < len; at += n) {
		n = len - at < PLAIN_PIECE ? len - at : PLAIN_PIECE;
		wr_u8(&out->w, (uint8_t)(n << 1 | (at + n == len)));
		wr_bytes(&out->w, p + at, n);
	}
}

/* Where the plain bytes go. */
static void
open_piece(struct seed *s, const uint8_t *piece, size_t len, struct wr *out)
{
	uint8_t some[1 << 12];
	ZSTD_inBuffer from = {piece, len, 0};
	for (size_t got = sizeof some; from.pos < len || got == sizeof some;) {
		ZSTD_outBuffer to = {some, sizeof some, 0};
		must(!ZSTD_isError(ZSTD_decompressStream(s->plain, &to, &from)), "zstd");
		got = to.pos;
		wr_bytes(out, some, got);
	}
}

static void
picture(struct seed *s, const struct encode_change *change)
{
	static uint8_t opened[BYTES_MAX];
	struct wr plain = wr_init(opened, sizeof opened);
	encoder_start(s->encoder, ++s->seq, &s->image, change);
	for (int last = 0; !last;) {
		uint8_t piece[FEED_LEN_MAX];
		int len = encoder_next(s->encoder, piece, sizeof piece, &last);
		must(len >= 0, "encoder");
		must(decoder_frame(s->decoder, s->seq, last, piece, (size_t)len) == last, s->name);
		if (last)
			feed_look(s->decoder);
		wr_u8(&s->sent.w, (uint8_t)(len << 1 | last));
		wr_bytes(&s->sent.w, piece, (size_t)len);
		open_piece(s, piece, (size_t)len, &plain);
	}
	must(!plain.failed, "too long");
	put_pieces(&s->opened, opened, plain.len);
}

/* Draws into the rectangle: something else for each number; 0 is one colour. */
static void
draw(struct seed *s, struct rect r, uint32_t number)
{
	for (size_t y = r.y; y < (size_t)r.y + r.h; y++)
		for (size_t x = r.x; x < (size_t)r.x + r.w; x++) {
			uint8_t *p = image_at(&s->image, x, y);
			for (uint32_t i = 0; i < 3; i++)
				p[i] = (uint8_t)((uint32_t)(x * y + x) * number >> (4 + i));
		}
}

static void
pixels(struct seed *s, struct rect r, uint32_t number)
{
	draw(s, r, number);
	picture(s, &(struct encode_change){.rects = &r, .rect_count = 1});
}

static void
whole(struct seed *s, uint32_t number)
{
	pixels(s, (struct rect){0, 0, s->image.width, s->image.height}, number);
}

static void
copies(struct seed *s, const struct copy *list, size_t count, const struct rect *rect)
{
	for (size_t i = 0; i < count; i++)
		move_copy(&s->image, &list[i]);
	picture(s, &(struct encode_change){.copies = list,
			   .copy_count = count,
			   .rects = rect,
			   .rect_count = rect != NULL});
}

static struct watermark *
mark(uint32_t width, uint32_t height)
{
	static uint8_t mask[64 * 64];
	struct watermark *w;
	for (uint32_t i = 0; i < width * height; i++)
		mask[i] = i % 97 == 41;
	must(watermark_new(mask, width, height, &w) == 0, "mark");
	return w;
}

/* A film of so many pictures; what is in the picture beside it is the caller's. */
static void
film(struct seed *s, struct rect at, uint32_t count, struct encode_change change,
	struct bytes *units)
{
	struct film_encoder *e;
	must(film_encoder_new(at.w, at.h, 50, &e) == 0, "film");
	change.film = at;
	s->has_film = 1;
	for (uint32_t i = 0; i < count; i++) {
		draw(s, at, 5 + i * 3);
		int len = film_encode(e, &s->image, &at, s->watermark, &change.unit);
		must(len > 0 && len < UNIT_MAX, "film");
		change.unit_len = (size_t)len;
		picture(s, &change);
		wr_u16(&units->w, (uint16_t)len);
		wr_bytes(&units->w, change.unit, (size_t)len);
	}
	film_encoder_free(e);
}

static const struct copy scroll[] = {
	{{0, 0, 20, 10}, 0, 4}, {{2, 6, 20, 8}, 0, 3}, {{5, 5, 12, 9}, 5, 5}};

static void
seed_text(const char *directory, uint8_t flags, struct watermark *watermark, const char *name)
{
	const struct rect caret = {7, 3, 2, 11}, line = {0, 14, 26, 6};
	struct seed *s = begin(directory, name, flags, watermark);
	layout(s, 26, 20);
	whole(s, 3);
	copies(s, scroll, 1, &line);
	copies(s, scroll, 3, NULL);
	for (uint32_t i = 0; i < 4; i++) /* from history */
		pixels(s, caret, i % 2 ? 9 : 0);
	end(s);
}

/* A layout that grows and shrinks between pictures; one that is much larger than its bytes. */
static void
seed_layouts(const char *directory)
{
	struct seed *s = begin(directory, "layouts", RGBX_FLAG, mark(33, 7));
	layout(s, 5, 4);
	whole(s, 7);
	layout(s, 256, 128);
	whole(s, 0);
	copies(s, (struct copy[]){{{100, 0, 156, 128}, 0, 0}}, 1, NULL);
	layout(s, 1, 1);
	whole(s, 7);
	end(s);
}

static void
seed_films(const char *directory, const char *units_directory)
{
	static struct bytes units;
	const struct rect beside = {36, 0, 8, 8};
	struct seed *s = begin(directory, "films", 0, mark(31, 16));
	layout(s, 48, 36);
	whole(s, 0);
	units.w = wr_init(units.data, BYTES_MAX);
	wr_u8(&units.w, 16 / 2 - 1);
	wr_u8(&units.w, 16 / 2 - 1);
	film(s, (struct rect){1, 3, 16, 16}, 3, (struct encode_change){0}, &units);
	pixels(s, (struct rect){1, 3, 16, 16}, 11);
	save(units_directory, "square", "", &units);
	units.w = wr_init(units.data, BYTES_MAX);
	wr_u8(&units.w, 32 / 2 - 1);
	wr_u8(&units.w, 18 / 2 - 1);
	film(s, (struct rect){0, 18, 32, 18}, 2,
		(struct encode_change){
			.copies = scroll, .copy_count = 1, .rects = &beside, .rect_count = 1},
		&units);
	save(units_directory, "wide", "", &units);
	end(s);
}

int
main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	seed_text(argv[1], 0, NULL, "text");
	seed_text(argv[1], 0, mark(16, 13), "mark");
	seed_text(argv[1], RGBX_FLAG, mark(64, 5), "mark-rgbx");
	seed_layouts(argv[1]);
	seed_films(argv[1], argv[2]);
	return 0;
}
