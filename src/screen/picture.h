/* The plain bytes of a picture, docs/protocol.md 8.1: what encoder and decoder share. */
#pragma once

enum {
	PICTURE_HEADER_BYTES = 4 + 2 + 2 + 2,
	PICTURE_RECT_BYTES = 1 + 2 + 2 + 2 + 2,
	PICTURE_PIXEL_BYTES = 3, /* B G R */
	PICTURE_RECTS_MAX = 4096,
};

enum picture_kind {
	PICTURE_PIXELS = 1,
};
