/* The picture decoder. First byte: bit 0 wraps each piece into a raw zstd block, so that the
 * picture format itself is reached. Then pieces, and layouts (feed_picture.h). */
#include "feed_picture.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t piece[FEED_PIECE_BYTES];
	struct decoder *d;
	if (size < 2 || decoder_new(8, data[0] & 2 ? DECODER_RGBX : DECODER_BGRX, &d) < 0)
		return 0;
	struct rd in = rd_init(data + 1, size - 1);
	int r = decoder_layout(d, 1u + (data[0] >> 2 & 7), 1u + (data[0] >> 5)), begun = 0;
	for (uint32_t seq = 1; r >= 0 && in.left > 0; seq += r == 1) {
		uint8_t head = rd_u8(&in); /* bit 0: last; the rest: length; 0: a layout */
		if (head == 0) {
			r = feed_layout(d, &in);
			continue;
		}
		size_t len = feed_piece(&in, head >> 1, data[0] & 1, &begun, piece);
		r = decoder_frame(d, seq, head & 1, piece, len);
		if (r == 1)
			feed_look(d);
	}
	decoder_free(d);
	return 0;
}
