/*
 * An office PC and a home with a line between them, on a clock that is told the time: pictures of
 * desktop/pictures.h go one way, as fast as the line takes them, and are decoded; acknowledgements
 * come back. For tests and for ./bench photo. Whoever includes it says what fails:
 * PICTURE_LINE_MUST.
 */
#pragma once
#include <stdlib.h>
#include <string.h>

#include "desktop/pictures.h"
#include "screen/decode.h"
#include "screen/film.h"

enum {
	LINE_FLIGHTS_MAX = 4096,
	LINE_QUEUE_BYTES = 64 * 1024,                 /* waiting at the line, as in sockets */
	LINE_PADDING_BYTES = 256,                     /* of a record */
	LINE_SEALED_BYTES = 2 + 16 + 5 + 1 + 16 + 16, /* around it, and Frame's own fields */
};

struct flight {
	struct mono arrives;
	uint32_t seq;
	int last;
	size_t len;
	uint8_t *data;
};

struct picture_line {
	struct pictures *pictures;
	struct decoder *decoder;
	struct film_decoder *film;
	struct image screen; /* the office PC's */
	uint64_t bytes_s, delay_ms;
	struct mono now, free; /* the line has sent all that was given to it */
	struct flight flights[LINE_FLIGHTS_MAX], acks[LINE_FLIGHTS_MAX];
	size_t first, end, ack_first, ack_end;
	uint64_t bytes, drawn, films; /* over the line; pictures at home, and those with H.264 */
	void (*on_picture)(struct picture_line *line, void *user);
	void *user;
};

static void
line_start(struct picture_line *l, uint16_t width, uint16_t height, int film, uint64_t kbit_s,
	uint64_t delay_ms)
{
	const struct pictures_settings settings = {
		.window_mib = 32, .interval_ms = 15, .film = film};
	*l = (struct picture_line){.bytes_s = kbit_s * 125, .delay_ms = delay_ms, .now = {1000000}};
	PICTURE_LINE_MUST(pictures_new(&settings, &l->pictures) == 0);
	PICTURE_LINE_MUST(pictures_resize(l->pictures, width, height) == 0);
	PICTURE_LINE_MUST(decoder_new(32, DECODER_BGRX, &l->decoder) == 0);
	PICTURE_LINE_MUST(decoder_layout(l->decoder, width, height) == 0);
	PICTURE_LINE_MUST(film_decoder_new(&l->film) == 0);
	PICTURE_LINE_MUST(image_init(&l->screen, width, height) == 0);
}

static void
line_stop(struct picture_line *l)
{
	for (; l->first < l->end; l->first++)
		free(l->flights[l->first % LINE_FLIGHTS_MAX].data);
	pictures_free(l->pictures);
	decoder_free(l->decoder);
	film_decoder_free(l->film);
	image_fini(&l->screen);
}

/* Something was drawn there. */
static void
line_damage(struct picture_line *l, struct rect r)
{
	damage_add(pictures_damage(l->pictures), r.x, r.y, r.w, r.h);
}

static void
line_home(struct picture_line *l, const struct flight *f)
{
	struct rect at;
	size_t len;
	int r = decoder_frame(l->decoder, f->seq, f->last, f->data, f->len);
	PICTURE_LINE_MUST(r == f->last);
	if (r != 1)
		return;
	const uint8_t *unit = decoder_film(l->decoder, &at, &len);
	if (unit)
		PICTURE_LINE_MUST(
			film_decode(l->film, unit, len, &at, decoder_canvas(l->decoder)) == 0);
	l->films += unit != NULL;
	l->drawn++;
	l->acks[l->ack_end++ % LINE_FLIGHTS_MAX] =
		(struct flight){.arrives = mono_add_ms(l->now, l->delay_ms), .seq = f->seq};
	if (l->on_picture)
		l->on_picture(l, l->user);
}

static void
line_deliver(struct picture_line *l)
{
	while (l->first < l->end) {
		struct flight *f = &l->flights[l->first % LINE_FLIGHTS_MAX];
		if (mono_before(l->now, f->arrives))
			break;
		line_home(l, f);
		free(f->data);
		l->first++;
	}
	while (l->ack_first < l->ack_end) {
		const struct flight *f = &l->acks[l->ack_first % LINE_FLIGHTS_MAX];
		if (mono_before(l->now, f->arrives))
			break;
		PICTURE_LINE_MUST(pictures_ack(l->pictures, f->seq, l->now) == 0);
		l->ack_first++;
	}
}

static void
line_begin(struct picture_line *l)
{
	struct rect areas[MOVE_VIEWS_MAX];
	struct move_view views[MOVE_VIEWS_MAX];
	int capture;
	if (pictures_wait_ms(l->pictures, l->now, &capture) != 0)
		return;
	size_t count =
		capture ? damage_take(pictures_damage(l->pictures), areas, MOVE_VIEWS_MAX) : 0;
	if (capture)
		pictures_capture(l->pictures, l->now);
	for (size_t i = 0; i < count; i++)
		views[i] = (struct move_view){{image_at(&l->screen, areas[i].x, areas[i].y),
						      l->screen.stride, areas[i].w, areas[i].h},
			areas[i]};
	pictures_begin(l->pictures, views, count, l->now);
}

static void
line_send(struct picture_line *l)
{
	static uint8_t piece[ENCODE_PIECE_MAX_BYTES];
	uint64_t queue_ns = (uint64_t)LINE_QUEUE_BYTES * 1000000000 / l->bytes_s;
	while (pictures_open(l->pictures) && l->free.ns < l->now.ns + queue_ns) {
		struct flight *f = &l->flights[l->end % LINE_FLIGHTS_MAX];
		int len = pictures_next(l->pictures, piece, sizeof piece, &f->seq, &f->last);
		PICTURE_LINE_MUST(len > 0 && l->end - l->first < LINE_FLIGHTS_MAX);
		f->len = (size_t)len;
		f->data = malloc(f->len);
		PICTURE_LINE_MUST(f->data != NULL);
		memcpy(f->data, piece, f->len);
		size_t padded = (f->len + LINE_PADDING_BYTES - 1) / LINE_PADDING_BYTES *
					LINE_PADDING_BYTES +
				LINE_SEALED_BYTES;
		l->bytes += padded;
		if (mono_before(l->free, l->now))
			l->free = l->now;
		l->free.ns += padded * 1000000000 / l->bytes_s;
		f->arrives = mono_add_ms(l->free, l->delay_ms);
		l->end++;
	}
}

/* So long, a millisecond at a time. */
static void
line_run(struct picture_line *l, uint64_t ms)
{
	for (; ms > 0; ms--) {
		l->now = mono_add_ms(l->now, 1);
		line_deliver(l);
		if (!pictures_open(l->pictures))
			line_begin(l);
		line_send(l);
	}
}

/* Pixels of the rectangle that home has otherwise. */
static size_t
line_differ(const struct picture_line *l, struct rect r)
{
	const struct image *home = decoder_image(l->decoder);
	size_t count = 0;
	for (size_t y = r.y; y < (size_t)r.y + r.h; y++)
		for (size_t x = r.x; x < (size_t)r.x + r.w; x++)
			count += memcmp(image_at(&l->screen, x, y), image_at(home, x, y), 3) != 0;
	return count;
}
