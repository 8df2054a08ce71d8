/*
 * The attack on lengths (docs/threat-model.md, "Left"): somebody who can show lines on the
 * screen (a web page, a mail) and sees the records on the wire wants to know which of several lines
 * was on it before: the coder remembers, and what it remembers costs less.
 *
 *     leak SEED TRIALS < LINES    rows "WITH_MARK PADDING RIGHT TRIALS CANDIDATES": in how many
 *         trials the shortest record was that of the line that had been on the screen
 *
 * A trial: pages of a document, one line of which is one of the candidates; more pages; then every
 * candidate alone on an empty screen. What is sent is what the encoder of engawa-desktop makes of
 * it, padded as records are. Where several are the shortest, one of them is taken by lot.
 */
#include <pango/pangocairo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "desktop/mark.h"
#include "screen/damage.h"
#include "screen/encode.h"

enum {
	WIDTH_PX = 1920,
	HEIGHT_PX = 1080,
	LINE_PX = 27,
	LEFT_PX = 120,
	FONT_PX = 16,
	PAGE_LINES = 38,
	PAGES = 6,       /* of the document, */
	SECRET_PAGE = 2, /* and the one with the line */
	CHARACTERS = 36,
	CANDIDATES = 16,
	LINES_MAX = 20000,
	PADDINGS = 5,
	WINDOW_MIB = 32,
	FRAME_BYTES = 4 + 12, /* head of the record, sequence number, flag, length */
	RECT_MAX = 64,
};

static const size_t paddings[PADDINGS] = {1, 64, 128, 256, 512};

struct text {
	char *lines[LINES_MAX];
	size_t count;
};

struct screen {
	struct image now, shown;
	struct damage damage;
	struct encoder *encoder;
	uint32_t seq;
};

static uint64_t seed;

static void
need(int good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "leak: %s\n", what);
	exit(1);
}

/* Knuth's MMIX: the same trials from the same seed. */
static size_t
lot(size_t limit)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (size_t)(seed >> 33) % limit;
}

/* Where so many characters end, NULL when there are fewer. */
static char *
after_characters(char *line, size_t count)
{
	for (; *line && count > 0; count--)
		for (line++; ((unsigned char)*line & 0xc0) == 0x80; line++)
			;
	return count == 0 ? line : NULL;
}

/* All of one length: a shorter line would be the guess whatever was on the screen. */
static void
read_lines(struct text *text)
{
	char line[1024];
	while (text->count < LINES_MAX && fgets(line, sizeof line, stdin)) {
		line[strcspn(line, "\n")] = '\0';
		char *end = after_characters(line, CHARACTERS);
		if (!end)
			continue;
		*end = '\0';
		text->lines[text->count++] = mem_str(line);
	}
	need(text->count > 10 * CANDIDATES, "too few lines");
}

/* Black on white. */
static void
draw(struct screen *s, const char *line, size_t row)
{
	cairo_surface_t *surface = cairo_image_surface_create_for_data(
		s->now.bytes, CAIRO_FORMAT_RGB24, WIDTH_PX, HEIGHT_PX, (int)s->now.stride);
	cairo_t *cr = cairo_create(surface);
	PangoLayout *layout = pango_cairo_create_layout(cr);
	PangoFontDescription *font = pango_font_description_from_string("Noto Sans CJK JP");
	pango_font_description_set_absolute_size(font, FONT_PX * PANGO_SCALE);
	pango_layout_set_font_description(layout, font);
	pango_layout_set_text(layout, line, -1);
	cairo_move_to(cr, LEFT_PX, (double)(row * LINE_PX));
	pango_cairo_show_layout(cr, layout);
	pango_font_description_free(font);
	g_object_unref(layout);
	cairo_destroy(cr);
	cairo_surface_destroy(surface);
}

static void
blank(struct screen *s)
{
	memset(s->now.bytes, 0xff, s->now.stride * HEIGHT_PX);
}

/* Coded bytes of what changed. */
static size_t
show(struct screen *s)
{
	static struct rect areas[RECT_MAX], rects[ENCODE_RECTS_MAX];
	static uint8_t piece[ENCODE_PIECE_MAX_BYTES];
	struct encode_change change = {.rects = rects};
	size_t bytes = 0;
	int last = 0;
	damage_add_all(&s->damage);
	size_t count = damage_take(&s->damage, areas, RECT_MAX);
	for (size_t i = 0; i < count; i++) {
		struct image view = {image_at(&s->now, areas[i].x, areas[i].y), s->now.stride,
			areas[i].w, areas[i].h};
		damage_compare(&s->damage, &view, areas[i].x, areas[i].y, &s->shown);
	}
	change.rect_count = damage_changed(&s->damage, rects, ENCODE_RECTS_MAX);
	encoder_start(s->encoder, ++s->seq, &s->shown, &change);
	while (!last) {
		int len = encoder_next(s->encoder, piece, sizeof piece, &last);
		need(len >= 0, "encoder_next");
		bytes += (size_t)len;
	}
	return bytes;
}

static void
read_document(struct screen *s, const struct text *text, const char *secret)
{
	size_t secret_row = lot(PAGE_LINES);
	for (size_t page = 0; page < PAGES; page++) {
		blank(s);
		for (size_t row = 0; row < PAGE_LINES; row++)
			draw(s,
				page == SECRET_PAGE && row == secret_row
					? secret
					: text->lines[lot(text->count)],
				row);
		show(s);
	}
	blank(s);
	show(s);
}

/* The index of the shortest. */
static size_t
guess(const size_t lengths[CANDIDATES], size_t padding)
{
	size_t best[CANDIDATES], count = 0, least = SIZE_MAX;
	for (size_t i = 0; i < CANDIDATES; i++) {
		size_t padded = (lengths[i] + FRAME_BYTES + padding - 1) / padding;
		if (padded < least)
			count = 0;
		if (padded <= least)
			best[count++] = i;
		least = padded < least ? padded : least;
	}
	return best[lot(count)];
}

static void
trial(const struct text *text, const struct watermark *mark, size_t right[PADDINGS])
{
	struct screen s = {0};
	const char *candidates[CANDIDATES];
	size_t lengths[CANDIDATES], secret = lot(CANDIDATES), row = lot(PAGE_LINES);
	for (size_t i = 0; i < CANDIDATES; i++)
		candidates[i] = text->lines[lot(text->count)];
	need(image_init(&s.now, WIDTH_PX, HEIGHT_PX) == 0 &&
			image_init(&s.shown, WIDTH_PX, HEIGHT_PX) == 0 &&
			damage_init(&s.damage, WIDTH_PX, HEIGHT_PX) == 0 &&
			encoder_new(WINDOW_MIB, mark, &s.encoder) == 0,
		"memory");
	read_document(&s, text, candidates[secret]);
	for (size_t i = 0; i < CANDIDATES; i++) {
		draw(&s, candidates[i], row);
		lengths[i] = show(&s);
		blank(&s);
		show(&s);
	}
	for (size_t i = 0; i < PADDINGS; i++)
		right[i] += guess(lengths, paddings[i]) == secret;
	encoder_free(s.encoder);
	damage_fini(&s.damage);
	image_fini(&s.shown);
	image_fini(&s.now);
}

int
main(int argc, char **argv)
{
	static const char *const lines[] = {"日向市 取扱注意",
		"K7QM-2345-6789-ABCD-EFGH  4F2A-91C0", "自宅PC yamada  203.0.113.7",
		"2026-11-22 13:08:22 JST"};
	static struct text text;
	struct watermark *mark;
	int64_t trials, start;
	need(argc == 3 && str_int(argv[1], 0, INT32_MAX, &start) == 0 &&
			str_int(argv[2], 1, 10000, &trials) == 0,
		"SEED TRIALS < LINES");
	read_lines(&text);
	need(mark_draw(lines, sizeof lines / sizeof lines[0], NULL, &mark) == 0, "mark_draw");
	for (int marked = 0; marked < 2; marked++) {
		size_t right[PADDINGS] = {0};
		seed = (uint64_t)start;
		for (int64_t i = 0; i < trials; i++)
			trial(&text, marked ? mark : NULL, right);
		for (size_t i = 0; i < PADDINGS; i++)
			printf("%d %zu %zu %d %d\n", marked, paddings[i], right[i], (int)trials,
				CANDIDATES);
	}
	watermark_free(mark);
	return 0;
}
