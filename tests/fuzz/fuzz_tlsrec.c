/* Correctly sealed records with any content: input is a list of {length:u8, inner plaintext}. */
#include "seal_tlsrec.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct tlsrec_crypto *crypto;
	uint8_t secret[48] = {7}, wire[512], *out;
	struct tlsrec rec;
	size_t len;
	int r = 0;
	if (!crypto)
		crypto = tlsrec_crypto_new();
	tlsrec_init(&rec, TLSREC_AES_256_GCM, secret, secret, 0, 0);
	for (struct rd in = rd_init(data, size); r == 0 && in.left > 0;) {
		size_t part = rd_u8(&in);
		part = part < in.left ? part : in.left;
		seal_tlsrec(&rec, rd_bytes(&in, part), part, wire);
		if (tlsrec_length(wire, part + 21) > 0)
			r = tlsrec_open(&rec, crypto, wire, part + 21, &out, &len);
	}
	return 0;
}
