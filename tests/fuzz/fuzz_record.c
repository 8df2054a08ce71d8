/* A peer that has the keys: first byte chooses between raw wire bytes and a plaintext that is
 * sealed for it. */
#include "crypto/record.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t key[32];
	static uint8_t wire[RECORD_WIRE_MAX_BYTES], plain[RECORD_PLAIN_MAX_BYTES];
	struct noise_cipher sealing, opening;
	uint8_t type;
	const uint8_t *payload;
	size_t len;
	if (size == 0 || size > RECORD_PLAIN_MAX_BYTES)
		return 0;
	noise_cipher_init(&sealing, key);
	noise_cipher_init(&opening, key);
	if (data[0] & 1) {
		record_open(&opening, data + 1, size - 1, plain, &type, &payload, &len);
	} else {
		wire[0] = (uint8_t)((size + 15) >> 8), wire[1] = (uint8_t)(size + 15);
		noise_seal(&sealing, NULL, 0, data + 1, size - 1, wire + 2);
		if (record_open(&opening, wire, size + 17, plain, &type, &payload, &len) > 0)
			assert(payload == plain + 4 && len + 5 <= size);
	}
	noise_cipher_fini(&sealing);
	noise_cipher_fini(&opening);
	return 0;
}
