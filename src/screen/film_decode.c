#include <errno.h>
#include <stdlib.h>
#include <wels/codec_api.h>

#include "base/err.h"
#include "screen/film.h"

struct film_decoder {
	ISVCDecoder *codec;
};

int
film_decoder_new(struct film_decoder **ret_decoder)
{
	struct film_decoder *d = calloc(1, sizeof *d);
	SDecodingParam p = {.uiTargetDqLayer = UINT8_MAX,
		.eEcActiveIdc = ERROR_CON_DISABLE,
		.sVideoProperty.eVideoBsType = VIDEO_BITSTREAM_AVC};
	int quiet = WELS_LOG_QUIET;
	if (!d || WelsCreateDecoder(&d->codec) != 0) {
		free(d);
		return -ENOMEM;
	}
	(*d->codec)->SetOption(d->codec, DECODER_OPTION_TRACE_LEVEL, &quiet);
	if ((*d->codec)->Initialize(d->codec, &p) != 0) {
		WelsDestroyDecoder(d->codec);
		free(d);
		return -ENOMEM;
	}
	*ret_decoder = d;
	return 0;
}

void
film_decoder_free(struct film_decoder *d)
{
	if (!d)
		return;
	(*d->codec)->Uninitialize(d->codec);
	WelsDestroyDecoder(d->codec);
	free(d);
}

static uint8_t
byte(int v)
{
	return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* Rec. ITU-R BT.601, 8 bits, limited range, in 256ths. */
static void
put(uint8_t *out, int y, int u, int v)
{
	int c = 298 * (y - 16) + 128;
	out[0] = byte((c + 516 * (u - 128)) >> 8);
	out[1] = byte((c - 100 * (u - 128) - 208 * (v - 128)) >> 8);
	out[2] = byte((c + 409 * (v - 128)) >> 8);
	out[3] = 255;
}

int
film_decode(struct film_decoder *d, const uint8_t *unit, size_t len, const struct rect *at,
	struct image *image)
{
	unsigned char *planes[3] = {NULL};
	SBufferInfo info = {0};
	if (len > FILM_UNIT_MAX_BYTES ||
		(*d->codec)->DecodeFrameNoDelay(d->codec, unit, (int)len, planes, &info) !=
			dsErrorFree ||
		info.iBufferStatus != 1 || !planes[0] || !planes[1] || !planes[2])
		return -ERR_PROTOCOL;
	const SSysMEMBuffer *m = &info.UsrData.sSystemBuffer;
	if (m->iWidth != at->w || m->iHeight != at->h)
		return -ERR_PROTOCOL;
	for (size_t y = 0; y < at->h; y++) {
		const uint8_t *luma = planes[0] + y * (size_t)m->iStride[0],
			      *u = planes[1] + y / 2 * (size_t)m->iStride[1],
			      *v = planes[2] + y / 2 * (size_t)m->iStride[1];
		uint8_t *out = image_at(image, at->x, at->y + y);
		for (size_t x = 0; x < at->w; x++)
			put(out + x * IMAGE_PIXEL_BYTES, luma[x], u[x / 2], v[x / 2]);
	}
	return 0;
}
