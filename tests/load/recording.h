/*
 * Recordings of a screen, for ./bench screen: work on a real desktop, recorded once and played to
 * us and to every peer alike. And what a screen shows, as one number, by which a picture is found
 * again at the other end.
 *
 * File: one zstd stream of frames. A frame: u32 milliseconds since the first, u16 count, then
 * count rectangles: u16 x, y, w, h and w * h pixels B G R. The first frame covers the screen: its
 * one rectangle tells the size. Trusted input: made by tests/load/record.
 */
#pragma once
#include <stdint.h>
#include <stdio.h>

#include "screen/image.h"

enum {
	RECORDING_RECTS_MAX = 1024
};

/* ---- writing ---- */

struct recorder;

/* NULL with errno. */
struct recorder *recorder_open(const char *path);
/* Frames in the order of their times. 0 or -errno. */
int recorder_frame(struct recorder *recorder, uint32_t ms, const struct image *image,
	const struct rect *rects, size_t count);
/* 0 when everything is in the file. */
int recorder_close(struct recorder *recorder);

/* ---- reading ---- */

struct player;

/* Reads the first frame. NULL with errno. */
struct player *player_open(const char *path);
void player_close(struct player *player);
/* The present frame: image, what it changed, and when. */
const struct image *player_image(const struct player *player);
const struct rect *player_rects(const struct player *player, size_t *ret_count);
uint32_t player_ms(const struct player *player);
/* On to the next. 1, 0 at the end, -errno. */
int player_next(struct player *player);

/* ---- telling pictures apart ---- */

/* Of B, G and R of all pixels; kept up to date row by row. */
struct digest {
	uint64_t *rows;
	uint16_t width, height;
	uint64_t value;
};

/* 0 or -ENOMEM. */
int digest_init(struct digest *digest, uint32_t width, uint32_t height);
void digest_fini(struct digest *digest);
/* Rows first to last - 1 of image have changed. */
void digest_rows(struct digest *digest, const struct image *image, uint32_t first, uint32_t last);
