/* One zstd stream as an agent makes it, for the tests: nothing of this is in the page. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "zstd.h"

static ZSTD_CCtx *context;
static uint8_t *in, *out;
static size_t in_cap, out_cap;

/* Starts a new stream and makes room; 0 or -1. */
__attribute__((export_name("encoder_start"))) int
encoder_start(int level, int window_log, size_t piece_bytes)
{
	ZSTD_freeCCtx(context);
	free(in);
	free(out);
	context = ZSTD_createCCtx();
	in_cap = piece_bytes;
	out_cap = ZSTD_compressBound(piece_bytes) + 1024;
	in = malloc(in_cap);
	out = malloc(out_cap);
	if (!context || !in || !out)
		return -1;
	ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
	ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window_log);
	return 0;
}

__attribute__((export_name("encoder_in"))) void *
encoder_in(void)
{
	return in;
}

__attribute__((export_name("encoder_out"))) void *
encoder_out(void)
{
	return out;
}

/* Compresses len bytes of the input and flushes (end = 0) or ends the stream. Bytes of output, or -1. */
__attribute__((export_name("encoder_flush"))) int
encoder_flush(size_t len, int end)
{
	ZSTD_inBuffer from = { in, len, 0 };
	ZSTD_outBuffer to = { out, out_cap, 0 };
	size_t left = ZSTD_compressStream2(context, &to, &from, end ? ZSTD_e_end : ZSTD_e_flush);
	return left == 0 ? (int)to.pos : -1;
}
