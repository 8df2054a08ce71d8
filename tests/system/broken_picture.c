/* Preloaded into a client: two seconds after the first picture one piece cannot be decompressed,
 * as if it had been damaged at the office PC. BROKEN_TWICE in the environment: and one again, two
 * seconds later. */
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <zstd.h>

enum {
	AFTER_S = 2,
	CORRUPT = 20, /* ZSTD_error_corruption_detected */
};

size_t
ZSTD_decompressStream(ZSTD_DStream *stream, ZSTD_outBuffer *out, ZSTD_inBuffer *in)
{
	static size_t (*real)(ZSTD_DStream *, ZSTD_outBuffer *, ZSTD_inBuffer *);
	static time_t since;
	static int left;
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!real) {
		*(void **)&real = dlsym(RTLD_NEXT, "ZSTD_decompressStream");
		since = now.tv_sec;
		left = getenv("BROKEN_TWICE") ? 2 : 1;
	}
	if (left == 0 || now.tv_sec < since + AFTER_S)
		return real(stream, out, in);
	left--;
	since = now.tv_sec;
	return (size_t)-CORRUPT;
}
