/*
 * A rectangle of the screen as H.264, for what moves all the time: OpenH264, constrained baseline,
 * no reordering, a first picture that needs no other. ITU-T H.264 Annex B byte stream, one access
 * unit for each picture; BT.601 colours in limited range, as the stream says itself.
 */
#pragma once
#include "screen/image.h"
#include "screen/picture.h"
#include "screen/watermark.h"

enum {
	FILM_SIDE_MIN_PX = 16,
	FILM_UNIT_MAX_BYTES = PICTURE_UNIT_MAX_BYTES,
};

/* 1 when a rectangle can be a film: inside width x height, even sides. */
int film_fits(const struct rect *at, uint32_t width, uint32_t height);

struct film_encoder;
/* For a rectangle of this size; interval_ms: between pictures; 0: one picture that stands still, of
 * good quality, whatever bytes it takes. 0, -ENOMEM. */
int film_encoder_new(
	uint16_t width, uint16_t height, uint32_t interval_ms, struct film_encoder **ret_encoder);
void film_encoder_free(struct film_encoder *encoder);
/* One picture: the rectangle of image, with the watermark on it (NULL = none). Returns the bytes of
 * the unit, valid until the next call: at most FILM_UNIT_MAX_BYTES. 0 when the encoder leaves this
 * picture out, -ENOMEM when it fails. */
int film_encode(struct film_encoder *encoder, const struct image *image, const struct rect *at,
	const struct watermark *watermark, const uint8_t **ret_unit);

struct film_decoder;
/* 0, -ENOMEM. */
int film_decoder_new(struct film_decoder **ret_decoder);
void film_decoder_free(struct film_decoder *decoder);
/* Writes the picture into the rectangle of image, B G R X with 255. 0; -ERR_PROTOCOL for bytes that
 * are no picture of exactly this size. */
int film_decode(struct film_decoder *decoder, const uint8_t *unit, size_t len,
	const struct rect *at, struct image *image);
