/*
 * What the client's picture becomes next, and when: from captures and acknowledgements to coded
 * pieces. Knows no display and no socket.
 *
 * In this order, as far as the path takes them:
 *
 *   1. what has changed, exactly; what moves, as a film's next picture
 *   2. when the path has nothing to carry: the next strip of a photograph, roughly (H.264)
 *   3. when it still has not, and nothing new came for a while: a slice of what is owed, exactly
 *
 * 2. only where a photograph would keep the path busy for longer than a moment. A strip and a slice
 * are so small that what a person types does not have to wait for long behind them.
 */
#pragma once
#include "base/clock.h"
#include "screen/damage.h"
#include "screen/encode.h"
#include "screen/move.h"

struct pictures;

struct pictures_settings {
	uint32_t window_mib;
	uint32_t interval_ms;              /* between captures under continuous change */
	const struct watermark *watermark; /* NULL = none; outlives the pictures */
	int film;                          /* the client shows H.264 */
};

/* 0, -EINVAL, -ENOMEM. pictures_resize comes first. */
int pictures_new(const struct pictures_settings *settings, struct pictures **ret_pictures);
void pictures_free(struct pictures *pictures);

/* The screen has another size; the next picture is whole. Not while one is open. 0, -EINVAL,
 * -ENOMEM. */
int pictures_resize(struct pictures *pictures, uint32_t width, uint32_t height);
/* A client with empty hands: a new stream, from a whole picture. An open picture is given up. 0,
 * -ENOMEM. */
int pictures_restart(struct pictures *pictures);

/* 0, -ERR_PROTOCOL. */
int pictures_ack(struct pictures *pictures, uint32_t seq, struct mono now);

/* Where the source says what may have changed, and is asked what to capture. */
struct damage *pictures_damage(struct pictures *pictures);

/* Milliseconds until pictures_begin (or, with *ret_capture, first a capture) has something to do,
 * unless more comes before; -1: not by time alone. Not while a picture is open. */
int pictures_wait_ms(const struct pictures *pictures, struct mono now, int *ret_capture);
/* The screen is being captured. */
void pictures_capture(struct pictures *pictures, struct mono now);
/* Begins a picture, when there is anything to send: afterwards pictures_open. With the parts that
 * were captured, at most MOVE_VIEWS_MAX, or without. */
void pictures_begin(
	struct pictures *pictures, const struct move_view *views, size_t count, struct mono now);

/* 1 while pieces of a picture are to come. */
int pictures_open(const struct pictures *pictures);
/* Its next piece, as encoder_next; *ret_seq: the picture's number. */
int pictures_next(
	struct pictures *pictures, uint8_t *out, size_t cap, uint32_t *ret_seq, int *ret_last);
