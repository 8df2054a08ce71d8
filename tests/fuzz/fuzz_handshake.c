/* First byte chooses the side; the rest is the peer's message. */
#include "crypto/noise.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t secret[32] = {1}, psk[32] = {2};
	static uint8_t in[NOISE_MESSAGE_MAX_BYTES], out[NOISE_MESSAGE_MAX_BYTES];
	struct noise_keypair pair;
	size_t len;
	if (size == 0 || noise_keypair_from_secret(secret, &pair) < 0)
		return 0;
	int initiator = data[0] & 1, r = 0;
	struct noise_handshake *hs = noise_handshake_new(
		initiator, &pair, pair.public, data[0] & 2 ? psk : NULL, "p", 1, &pair);
	if (hs && initiator)
		r = noise_handshake_write(hs, NULL, 0, out, sizeof out, &len);
	if (hs && r == 0)
		r = noise_handshake_read(hs, data + 1, size - 1, in, sizeof in, &len);
	if (hs && r == 0 && !initiator)
		noise_handshake_write(hs, in, len, out, sizeof out, &len);
	noise_handshake_free(hs);
	return 0;
}
