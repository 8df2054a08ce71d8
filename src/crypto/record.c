#include "crypto/record.h"

#include "base/err.h"
#include "base/wire.h"

/* Length of the plaintext with its padding: what an eavesdropper learns. */
static size_t
bucket(enum record_padding padding, size_t len)
{
	static const size_t steps[] = {
		[RECORD_LOGIN] = 1024,
		[RECORD_CLIENT] = 256,
		[RECORD_AGENT_128] = 128,
		[RECORD_AGENT_256] = 256,
		[RECORD_AGENT_512] = 512,
	};
	size_t step = padding == RECORD_CLIENT && len <= 64 ? 64 : steps[padding];
	return (len + step - 1) / step * step;
}

int
record_seal(struct noise_cipher *cipher, enum record_padding padding, uint8_t type,
	const void *payload, size_t len, uint8_t *out, size_t cap)
{
	if (len > RECORD_PLAIN_MAX_BYTES - RECORD_HEADER_BYTES)
		return -ERR_TOO_LONG;
	size_t plain_len = bucket(padding, RECORD_HEADER_BYTES + len);
	if (plain_len > RECORD_PLAIN_MAX_BYTES || cap < 2 + plain_len + NOISE_TAG_BYTES)
		return -ERR_TOO_LONG;
	struct wr w = wr_init(out, cap);
	wr_u16(&w, (uint16_t)(plain_len + NOISE_TAG_BYTES));
	wr_u8(&w, type);
	wr_u24(&w, (uint32_t)len);
	wr_bytes(&w, payload, len);
	wr_zero(&w, plain_len - RECORD_HEADER_BYTES - len);
	int r = noise_seal(cipher, NULL, 0, out + 2, plain_len, out + 2);
	return r < 0 ? r : (int)(2 + plain_len + NOISE_TAG_BYTES);
}

static int
is_zero(const uint8_t *p, size_t len)
{
	unsigned any = 0;
	for (size_t i = 0; i < len; i++)
		any |= p[i];
	return any == 0;
}

int
record_open(struct noise_cipher *cipher, const uint8_t *wire, size_t wire_len, uint8_t *plain,
	uint8_t *ret_type, const uint8_t **ret_payload, size_t *ret_len)
{
	if (wire_len < 2)
		return 0;
	struct rd r = rd_init(wire, wire_len);
	size_t sealed_len = rd_u16(&r);
	if (sealed_len < RECORD_HEADER_BYTES + NOISE_TAG_BYTES)
		return -ERR_PROTOCOL;
	const uint8_t *sealed = rd_bytes(&r, sealed_len);
	if (!sealed)
		return 0;
	int result = noise_open(cipher, NULL, 0, sealed, sealed_len, plain);
	if (result < 0)
		return result;
	r = rd_init(plain, sealed_len - NOISE_TAG_BYTES);
	uint8_t type = rd_u8(&r);
	size_t len = rd_u24(&r);
	const uint8_t *payload = rd_bytes(&r, len);
	if (!payload || !is_zero(r.p, r.left))
		return -ERR_PROTOCOL;
	*ret_type = type;
	*ret_payload = payload;
	*ret_len = len;
	return (int)(2 + sealed_len);
}
