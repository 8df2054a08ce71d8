/* The picture decoder. First byte: bit 0 wraps the rest into a raw zstd block, so that the picture
 * format itself is reached. */
#include "base/wire.h"
#include "fuzz.h"
#include "screen/decode.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t raw[1 << 17];
	struct decoder *d;
	if (size < 2 || decoder_new(8, data[0] & 2 ? DECODER_RGBX : DECODER_BGRX, &d) < 0)
		return 0;
	struct rd in = rd_init(data + 1, size - 1);
	int raw_blocks = data[0] & 1;
	int r = decoder_layout(d, 1u + (data[0] >> 2 & 7), 1u + (data[0] >> 5));
	if (raw_blocks)
		r = decoder_frame(d, 1, 0, (const uint8_t *)"\x28\xb5\x2f\xfd\0\x68", 6);
	for (uint32_t seq = 1; r >= 0 && in.left > 0; seq += r == 1) {
		uint8_t head = rd_u8(&in); /* bit 0: last; the rest: length */
		size_t len = (size_t)(head >> 1) < in.left ? (size_t)(head >> 1) : in.left;
		struct wr w = wr_init(raw, sizeof raw);
		if (raw_blocks)
			wr_u24(&w, (uint32_t)((len << 3 & 0xff) << 16 | len >> 5 << 8));
		wr_bytes(&w, rd_bytes(&in, len), len);
		r = decoder_frame(d, seq, head & 1, raw, w.len);
	}
	decoder_free(d);
	return 0;
}
