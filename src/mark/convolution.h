/* The error-correcting code of the watermark: convolutional, rate 1/3, 256 states (generators 557,
 * 663, 711, octal), ended in state 0; decoded softly (Viterbi). */
#pragma once
#include <stdint.h>

enum {
	CONVOLUTION_DATA_BYTES = 16,
	CONVOLUTION_STEPS = 8 * CONVOLUTION_DATA_BYTES + 8,
	CONVOLUTION_BITS = 3 * CONVOLUTION_STEPS,
};

/* One bit a byte. */
void convolution_encode(const uint8_t data[static CONVOLUTION_DATA_BYTES],
	uint8_t ret_bits[static CONVOLUTION_BITS]);
/* soft: how likely each bit is 1, any scale, 0 = unknown. Always finds something. */
void convolution_decode(
	const float soft[static CONVOLUTION_BITS], uint8_t ret_data[static CONVOLUTION_DATA_BYTES]);
