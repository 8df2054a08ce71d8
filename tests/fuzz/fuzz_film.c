/* The units of a film, as OpenH264 takes them. Two bytes: its sides in pairs of pixels, less one.
 * Then units, each after its length. */
#include "base/wire.h"
#include "fuzz.h"
#include "screen/film.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd in = rd_init(data, size);
	unsigned width = rd_u8(&in) % 32u * 2 + 2, height = rd_u8(&in) % 32u * 2 + 2;
	struct rect at = {1, 1, (uint16_t)width, (uint16_t)height};
	struct image image;
	struct film_decoder *d;
	if (in.left < 3 || film_decoder_new(&d) < 0)
		return 0;
	assert(image_init(&image, width + 2, height + 2) == 0);
	for (int r = 0; r == 0 && in.left > 2;) { /* after an error the client's session ends */
		size_t len = rd_u16(&in);
		len = len < in.left ? len : in.left;
		r = film_decode(d, rd_bytes(&in, len), len, &at, &image);
		assert(r < 0 || image_at(&image, width, height)[3] == 255);
	}
	for (size_t x = 0; x < image.width; x++) /* around it nothing is written */
		assert(!image_at(&image, x, 0)[3] && !image_at(&image, x, height + 1)[3]);
	film_decoder_free(d);
	image_fini(&image);
	return 0;
}
