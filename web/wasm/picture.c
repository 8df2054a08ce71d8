/* src/screen's decoder for one session, as a WebAssembly library. Called from one worker, one call after another. */
#include <stddef.h>
#include <stdint.h>

#include "screen/decode.h"

#define EXPORT(name) __attribute__((export_name(#name)))

enum { PIECE_MAX_BYTES = 65536 }; /* a Frame carries at most 60,000 */

static struct decoder *decoder;
static uint8_t piece[PIECE_MAX_BYTES];

/* Returns of all: 0 or more, or negative as in screen/decode.h. */
EXPORT(picture_start) int
picture_start(uint32_t window_mib)
{
	return decoder_new(window_mib, DECODER_RGBX, &decoder);
}

EXPORT(picture_layout) int
picture_layout(uint32_t width, uint32_t height)
{
	return decoder_layout(decoder, width, height);
}

/* Where the caller writes the data of the next Frame, at most picture_piece_max() bytes. */
EXPORT(picture_piece) void *
picture_piece(void)
{
	return piece;
}

EXPORT(picture_piece_max) uint32_t
picture_piece_max(void)
{
	return sizeof piece;
}

/* 1: a picture is complete. */
EXPORT(picture_frame) int
picture_frame(uint32_t seq, int last, uint32_t len)
{
	return decoder_frame(decoder, seq, last, piece, len);
}

/* The unit of the complete picture's film (screen/film.h), NULL: none; its length; x y w h of where it belongs. */
static struct rect film;
static size_t film_len;

EXPORT(picture_film) const void *
picture_film(void)
{
	return decoder_film(decoder, &film, &film_len);
}

EXPORT(picture_film_length) uint32_t
picture_film_length(void)
{
	return (uint32_t)film_len;
}

EXPORT(picture_film_place) const void *
picture_film_place(void)
{
	return &film;
}

/* R G B A, rows top down without gaps. */
EXPORT(picture_pixels) void *
picture_pixels(void)
{
	return decoder_image(decoder)->bytes;
}

/* x y w h of what the complete picture wrote, 16 bit each in the machine's order; picture_count() of them. */
EXPORT(picture_rectangles) const void *
picture_rectangles(void)
{
	size_t count;
	return decoder_rects(decoder, &count);
}

EXPORT(picture_count) uint32_t
picture_count(void)
{
	size_t count;
	decoder_rects(decoder, &count);
	return (uint32_t)count;
}
