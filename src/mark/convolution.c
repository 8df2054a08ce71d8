#include "mark/convolution.h"

#include <string.h>

enum {
	STATES = 256,
	OUTPUTS = 3,
	GENERATOR_0 = 0557,
	GENERATOR_1 = 0663,
	GENERATOR_2 = 0711,
};

/* The three bits that leave when the register, newest bit lowest, is full of these nine. */
static unsigned
outputs(unsigned nine)
{
	return (unsigned)(__builtin_parity(nine & GENERATOR_0) |
			  __builtin_parity(nine & GENERATOR_1) << 1 |
			  __builtin_parity(nine & GENERATOR_2) << 2);
}

static unsigned
data_bit(const uint8_t *data, unsigned step)
{
	return step < 8 * CONVOLUTION_DATA_BYTES ? (unsigned)data[step / 8] >> (7 - step % 8) & 1
						 : 0;
}

void
convolution_encode(const uint8_t data[static CONVOLUTION_DATA_BYTES],
	uint8_t ret_bits[static CONVOLUTION_BITS])
{
	unsigned state = 0;
	for (unsigned step = 0; step < CONVOLUTION_STEPS; step++) {
		unsigned nine = state << 1 | data_bit(data, step), out = outputs(nine);
		for (unsigned i = 0; i < OUTPUTS; i++)
			ret_bits[step * OUTPUTS + i] = out >> i & 1;
		state = nine % STATES;
	}
}

void
convolution_decode(
	const float soft[static CONVOLUTION_BITS], uint8_t ret_data[static CONVOLUTION_DATA_BYTES])
{
	/* from[step][state]: the bit that fell out of the register on the best way there */
	uint8_t from[CONVOLUTION_STEPS][STATES];
	float best[STATES], next[STATES], gain[8];
	for (unsigned s = 0; s < STATES; s++)
		best[s] = s == 0 ? 0 : -1e30f;
	for (unsigned step = 0; step < CONVOLUTION_STEPS; step++) {
		const float *in = soft + (size_t)step * OUTPUTS;
		for (unsigned o = 0; o < 8; o++)
			gain[o] = (o & 1 ? in[0] : -in[0]) + (o & 2 ? in[1] : -in[1]) +
				  (o & 4 ? in[2] : -in[2]);
		for (unsigned s = 0; s < STATES; s++) {
			/* the two states before that lead here: s / 2, without and with the top bit
			 */
			float zero = best[s >> 1] + gain[outputs(s)],
			      one = best[s >> 1 | STATES / 2] + gain[outputs(s | STATES)];
			from[step][s] = one > zero;
			next[s] = one > zero ? one : zero;
		}
		memcpy(best, next, sizeof best);
	}
	memset(ret_data, 0, CONVOLUTION_DATA_BYTES);
	for (unsigned step = CONVOLUTION_STEPS, state = 0; step-- > 0;) {
		if (step < 8 * CONVOLUTION_DATA_BYTES)
			ret_data[step / 8] |= (uint8_t)((state & 1) << (7 - step % 8));
		state = state >> 1 | (from[step][state] ? STATES / 2 : 0);
	}
}
