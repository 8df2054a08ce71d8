/*
 * Pictures to bytes (docs/protocol.md 8.1): one zstd stream for a session, whose history is what
 * makes text cheap; flushed at the end of each picture. Pulled piece by piece, so that nobody ever
 * holds a whole coded picture.
 */
#pragma once
#include "screen/image.h"
#include "screen/move.h"
#include "screen/picture.h"
#include "screen/watermark.h"

struct encoder;

enum {
	ENCODE_PIECE_MAX_BYTES = 60000, /* Frame.data */
	ENCODE_RECTS_MAX = PICTURE_RECTS_MAX - MOVE_COPIES_MAX - 2,
};

/* 1 for the windows a session can have: 8, 16 and 32 MiB. */
int encode_window_ok(uint32_t window_mib);

/* window_mib: as agreed with the client. watermark: put into all that is sent, borrowed until
 * encoder_free; NULL = none. 0, -EINVAL, -ENOMEM. Takes about window_mib + 6 MiB. */
int encoder_new(
	uint32_t window_mib, const struct watermark *watermark, struct encoder **ret_encoder);
void encoder_free(struct encoder *encoder);

/* What a picture changes: first the copies, one after the other, then the rectangles' pixels, then
 * the film. All lie inside the image; the copies' area together is at most the image's, and so is
 * that of the rectangles. */
struct encode_change {
	const struct copy *copies;
	size_t copy_count; /* <= MOVE_COPIES_MAX */
	const struct rect *rects;
	size_t rect_count;   /* <= ENCODE_RECTS_MAX */
	struct rect film;    /* w 0: none */
	const uint8_t *unit; /* of the film (screen/film.h), borrowed until the last piece is out */
	size_t unit_len;     /* <= PICTURE_UNIT_MAX_BYTES */
};

/* Begins picture seq of image, which is without the watermark and must not change before the last
 * piece is out. The change is copied. Not while a picture is open. */
void encoder_start(struct encoder *encoder, uint32_t seq, const struct image *image,
	const struct encode_change *change);

/* 1 while pieces of a picture are to come. */
int encoder_busy(const struct encoder *encoder);

/* The next piece of at most cap bytes (cap >= 1). Returns its length (may be 0 only with
 * *ret_last), -ENOMEM. *ret_last: the picture is complete. */
int encoder_next(struct encoder *encoder, uint8_t *out, size_t cap, int *ret_last);
