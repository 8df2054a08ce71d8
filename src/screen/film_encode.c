#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <wels/codec_api.h>

#include "screen/film.h"

enum {
	/* What a film of 854x480 may cost; larger ones more, by the square root of their area. */
	TARGET_BIT_S = 330000,
	TARGET_AREA_PX = 854 * 480,
	TARGET_MAX_BIT_S = 1500000,
	QP_MIN = 18,
	QP_MAX = 42,
	QP_STILL = 26, /* structural similarity 0.95 of the photographs of ./bench photo */
};

struct film_encoder {
	ISVCEncoder *codec;
	uint16_t width, height;
	uint32_t interval_ms;
	int64_t time_ms;
	uint8_t *planes; /* Y, then U and V of half the sides */
	uint8_t *row;    /* two rows of pixels, marked */
	uint8_t *unit;
};

int
film_fits(const struct rect *at, uint32_t width, uint32_t height)
{
	return rect_inside(at, width, height) && at->w % 2 == 0 && at->h % 2 == 0 &&
	       at->w >= FILM_SIDE_MIN_PX && at->h >= FILM_SIDE_MIN_PX;
}

static int
target(uint32_t area_px)
{
	uint64_t square = (uint64_t)TARGET_BIT_S * TARGET_BIT_S / TARGET_AREA_PX * area_px,
		 root = 0;
	for (uint64_t bit = (uint64_t)1 << 30; bit; bit >>= 1)
		if ((root + bit) * (root + bit) <= square)
			root += bit;
	return root < TARGET_MAX_BIT_S ? (int)root : TARGET_MAX_BIT_S;
}

static int
start(struct film_encoder *e)
{
	SEncParamExt p;
	int quiet = WELS_LOG_QUIET, format = videoFormatI420;
	(*e->codec)->SetOption(e->codec, ENCODER_OPTION_TRACE_LEVEL, &quiet);
	if ((*e->codec)->GetDefaultParams(e->codec, &p) != 0)
		return -ENOMEM;
	p.iUsageType = CAMERA_VIDEO_REAL_TIME;
	p.iPicWidth = e->width;
	p.iPicHeight = e->height;
	p.iTargetBitrate = target((uint32_t)e->width * e->height);
	p.iMaxBitrate = 2 * p.iTargetBitrate;
	p.iRCMode = e->interval_ms ? RC_BITRATE_MODE : RC_OFF_MODE;
	p.fMaxFrameRate = e->interval_ms ? 1000.0f / (float)e->interval_ms : 1;
	p.iMinQp = QP_MIN;
	p.iMaxQp = QP_MAX;
	p.bEnableFrameSkip = 0;
	p.uiIntraPeriod = 0;
	p.iMultipleThreadIdc = 1; /* no threads: the sandbox knows none */
	p.iEntropyCodingModeFlag = 0;
	p.bEnableSceneChangeDetect = 1;
	p.eSpsPpsIdStrategy = CONSTANT_ID;
	SSpatialLayerConfig *layer = &p.sSpatialLayers[0];
	layer->iVideoWidth = e->width;
	layer->iVideoHeight = e->height;
	layer->fFrameRate = p.fMaxFrameRate;
	layer->iSpatialBitrate = p.iTargetBitrate;
	layer->iMaxSpatialBitrate = p.iMaxBitrate;
	layer->uiProfileIdc = PRO_BASELINE;
	layer->iDLayerQp = QP_STILL; /* counts where no bitrate does */
	layer->bVideoSignalTypePresent = 1;
	layer->uiVideoFormat = VF_UNDEF;
	layer->bColorDescriptionPresent = 1;
	layer->uiColorPrimaries = CP_SMPTE170M;
	layer->uiTransferCharacteristics = TRC_SMPTE170M;
	layer->uiColorMatrix = CM_SMPTE170M;
	if ((*e->codec)->InitializeExt(e->codec, &p) != 0)
		return -ENOMEM;
	(*e->codec)->SetOption(e->codec, ENCODER_OPTION_DATAFORMAT, &format);
	return 0;
}

int
film_encoder_new(
	uint16_t width, uint16_t height, uint32_t interval_ms, struct film_encoder **ret_encoder)
{
	struct film_encoder *e = calloc(1, sizeof *e);
	if (!e)
		return -ENOMEM;
	e->width = width;
	e->height = height;
	e->interval_ms = interval_ms;
	e->planes = malloc((size_t)width * height * 3 / 2);
	e->row = malloc((size_t)width * IMAGE_PIXEL_BYTES * 2);
	e->unit = malloc(FILM_UNIT_MAX_BYTES);
	int r = e->planes && e->row && e->unit && WelsCreateSVCEncoder(&e->codec) == 0 ? start(e)
										       : -ENOMEM;
	if (r < 0) {
		film_encoder_free(e);
		return r;
	}
	*ret_encoder = e;
	return 0;
}

void
film_encoder_free(struct film_encoder *e)
{
	if (!e)
		return;
	if (e->codec) {
		(*e->codec)->Uninitialize(e->codec);
		WelsDestroySVCEncoder(e->codec);
	}
	free(e->planes);
	free(e->row);
	free(e->unit);
	free(e);
}

/* Rec. ITU-R BT.601, 8 bits, limited range, in 256ths. */
static uint8_t
luma(const uint8_t *p)
{
	return (uint8_t)(((66 * p[2] + 129 * p[1] + 25 * p[0] + 128) >> 8) + 16);
}

/* Two rows of pixels to two rows of Y and one of U and V each. */
static void
convert(struct film_encoder *e, size_t y)
{
	size_t w = e->width, luma_bytes = w * e->height;
	const uint8_t *a = e->row, *b = e->row + w * IMAGE_PIXEL_BYTES;
	uint8_t *ya = e->planes + y * w, *yb = ya + w,
		*u = e->planes + luma_bytes + y / 2 * (w / 2), *v = u + luma_bytes / 4;
	for (size_t x = 0; x < w; x += 2, a += 2 * IMAGE_PIXEL_BYTES, b += 2 * IMAGE_PIXEL_BYTES) {
		ya[x] = luma(a);
		ya[x + 1] = luma(a + IMAGE_PIXEL_BYTES);
		yb[x] = luma(b);
		yb[x + 1] = luma(b + IMAGE_PIXEL_BYTES);
		int sum[3];
		for (int i = 0; i < 3; i++)
			sum[i] = (a[i] + a[i + IMAGE_PIXEL_BYTES] + b[i] +
					 b[i + IMAGE_PIXEL_BYTES] + 2) /
				 4;
		u[x / 2] =
			(uint8_t)(((-38 * sum[2] - 74 * sum[1] + 112 * sum[0] + 128) >> 8) + 128);
		v[x / 2] = (uint8_t)(((112 * sum[2] - 94 * sum[1] - 18 * sum[0] + 128) >> 8) + 128);
	}
}

static int
collect(struct film_encoder *e, const SFrameBSInfo *info)
{
	size_t len = 0;
	for (int i = 0; i < info->iLayerNum; i++) {
		const SLayerBSInfo *layer = &info->sLayerInfo[i];
		size_t bytes = 0;
		for (int k = 0; k < layer->iNalCount; k++)
			bytes += (size_t)layer->pNalLengthInByte[k];
		if (bytes > FILM_UNIT_MAX_BYTES - len)
			return -ENOMEM;
		memcpy(e->unit + len, layer->pBsBuf, bytes);
		len += bytes;
	}
	return (int)len;
}

int
film_encode(struct film_encoder *e, const struct image *image, const struct rect *at,
	const struct watermark *watermark, const uint8_t **ret_unit)
{
	size_t row_bytes = (size_t)e->width * IMAGE_PIXEL_BYTES;
	for (size_t y = 0; y < e->height; y += 2) {
		for (size_t i = 0; i < 2; i++) {
			uint8_t *row = e->row + i * row_bytes;
			memcpy(row, image_at(image, at->x, at->y + y + i), row_bytes);
			if (watermark)
				watermark_row(watermark, row, IMAGE_PIXEL_BYTES, at->x,
					(uint32_t)(at->y + y + i), e->width);
		}
		convert(e, y);
	}
	SSourcePicture picture = {.iColorFormat = videoFormatI420,
		.iPicWidth = e->width,
		.iPicHeight = e->height,
		.iStride = {e->width, e->width / 2, e->width / 2},
		.uiTimeStamp = e->time_ms};
	size_t luma_bytes = (size_t)e->width * e->height;
	picture.pData[0] = e->planes;
	picture.pData[1] = e->planes + luma_bytes;
	picture.pData[2] = e->planes + luma_bytes + luma_bytes / 4;
	SFrameBSInfo info = {0};
	e->time_ms += e->interval_ms;
	if ((*e->codec)->EncodeFrame(e->codec, &picture, &info) != 0)
		return -ENOMEM;
	*ret_unit = e->unit;
	return info.eFrameType == videoFrameTypeSkip ? 0 : collect(e, &info);
}
