#include "agent/paper.h"

#include <openssl/rand.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum {
	GROUP = 5 /* characters between hyphens */
};

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

size_t
paper_fold(const char *text, char out[static PAPER_FOLDED_SIZE])
{
	size_t n = 0;
	uint32_t c;
	while (*text) {
		text += str_utf8_next(text, &c);
		if (c >= 0xff01 && c <= 0xff5e)
			c -= 0xfee0;
		if (c == ' ' || c == '-' || c == 0x3000 || c == 0x30fc ||
			(c >= 0x2010 && c <= 0x2015))
			continue;
		if (c >= 'a' && c <= 'z')
			c -= 'a' - 'A';
		c = c == 'O' ? '0' : c == 'I' || c == 'L' ? '1' : c;
		if (c >= 0x80 || n == PAPER_FOLDED_SIZE - 1)
			return 0;
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return n;
}

int
paper_make(size_t count, unsigned radix, char ret_text[static PAPER_TEXT_SIZE])
{
	size_t n = 0;
	for (size_t i = 0; i < count; i++) {
		uint8_t byte;
		do
			if (RAND_bytes(&byte, 1) != 1)
				return -ERR_CRYPTO;
		while (byte >= 256 / radix * radix);
		if (i && i % GROUP == 0)
			ret_text[n++] = '-';
		ret_text[n++] = alphabet[byte % radix];
	}
	ret_text[n] = '\0';
	return 0;
}
