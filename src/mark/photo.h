/*
 * A photograph as brightness: PNG or JPEG. Foreign bytes: to be decoded in a process without rights
 * (read.h does).
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum {
	PHOTO_FILE_MAX_BYTES = 64 << 20,
	PHOTO_SIDE_MAX_PX = 20000,
	PHOTO_MAX_PX = 64 << 20, /* 64 megapixels */
};

struct photo {
	uint8_t *pixels; /* width * height, row by row, 0 = black; owned */
	uint32_t width, height;
};

/* 0, -ERR_PHOTO_KIND (neither PNG nor JPEG, or damaged), -ERR_PHOTO_LARGE, -ENOMEM. */
int photo_decode(const uint8_t *file, size_t len, struct photo *ret_photo);
void photo_fini(struct photo *photo);
