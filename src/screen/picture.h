/* The plain bytes of a picture, docs/protocol.md 8.1: what encoder and decoder share. */
#pragma once

enum {
	PICTURE_HEADER_BYTES = 4 + 2 + 2 + 2,
	PICTURE_RECT_BYTES = 1 + 2 + 2 + 2 + 2,
	PICTURE_PIXEL_BYTES = 3,    /* B G R */
	PICTURE_COPY_BYTES = 2 + 2, /* the source, after the rectangle's head */
	PICTURE_UNIT_BYTES = 3,     /* length of a film's unit, after the rectangle's head */
	PICTURE_UNIT_MAX_BYTES = 1 << 20,
	PICTURE_RECTS_MAX = 4096,
};

enum picture_kind {
	PICTURE_PIXELS = 1,
	PICTURE_COPY = 2,
	PICTURE_MARK = 3,
	PICTURE_FILM = 4,
};
