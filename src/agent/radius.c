#include "agent/radius.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/wire.h"

enum {
	ACCESS_REQUEST = 1,
	ACCESS_ACCEPT = 2,
	USER_NAME = 1,
	USER_PASSWORD = 2,
	SERVICE_TYPE = 6,
	AUTHENTICATE_ONLY = 8,
	NAS_IDENTIFIER = 32,
	MESSAGE_AUTHENTICATOR = 80,
	ATTRIBUTE_MAX_BYTES = 253,
	MD5_BYTES = 16
};

static int
md5(const void *a, size_t a_len, const void *b, size_t b_len, uint8_t out[static MD5_BYTES])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int ok = ctx && EVP_DigestInit_ex(ctx, EVP_md5(), NULL) == 1 &&
		 EVP_DigestUpdate(ctx, a, a_len) == 1 && EVP_DigestUpdate(ctx, b, b_len) == 1 &&
		 EVP_DigestFinal_ex(ctx, out, NULL) == 1;
	EVP_MD_CTX_free(ctx);
	return ok;
}

static int
hmac(const char *secret, const void *data, size_t len, uint8_t out[static MD5_BYTES])
{
	unsigned out_len = MD5_BYTES;
	return HMAC(EVP_md5(), secret, (int)strlen(secret), data, len, out, &out_len) != NULL;
}

/* RFC 2865 5.2: blocks xored with MD5(secret, the block before). */
static int
hide(const struct radius_request *request, const char *password, const char *secret, struct wr *w)
{
	uint8_t block[MD5_BYTES], key[MD5_BYTES];
	const uint8_t *before = request->authenticator;
	size_t len = strlen(password), blocks = (len + MD5_BYTES - 1) / MD5_BYTES;
	blocks = blocks ? blocks : 1;
	wr_u8(w, USER_PASSWORD);
	wr_u8(w, (uint8_t)(2 + blocks * MD5_BYTES));
	for (size_t i = 0; i < blocks; i++) {
		if (!md5(secret, strlen(secret), before, MD5_BYTES, key))
			return 0;
		for (size_t j = 0; j < MD5_BYTES; j++) {
			size_t at = i * MD5_BYTES + j;
			block[j] = (uint8_t)(key[j] ^ (at < len ? (uint8_t)password[at] : 0));
		}
		wr_bytes(w, block, sizeof block);
		before = block;
	}
	mem_wipe(key, sizeof key);
	return 1;
}

static void
put_text(struct wr *w, uint8_t type, const char *text)
{
	wr_u8(w, type);
	wr_u8(w, (uint8_t)(2 + strlen(text)));
	wr_bytes(w, text, strlen(text));
}

size_t
radius_put(const struct radius_request *request, const char *user, const char *password,
	const char *secret, uint8_t out[static RADIUS_PACKET_MAX_BYTES])
{
	enum {
		MAC_AT = RADIUS_HEADER_BYTES + 2
	};
	if (!user[0] || strlen(user) > ATTRIBUTE_MAX_BYTES || !password[0] || !secret[0] ||
		strlen(password) > RADIUS_PASSWORD_MAX_BYTES)
		return 0;
	struct wr w = wr_init(out, RADIUS_PACKET_MAX_BYTES);
	wr_u8(&w, ACCESS_REQUEST);
	wr_u8(&w, request->id);
	wr_u16(&w, 0);
	wr_bytes(&w, request->authenticator, RADIUS_AUTHENTICATOR_BYTES);
	wr_u8(&w, MESSAGE_AUTHENTICATOR);
	wr_u8(&w, 2 + MD5_BYTES);
	wr_zero(&w, MD5_BYTES);
	put_text(&w, USER_NAME, user);
	if (!hide(request, password, secret, &w))
		return 0;
	put_text(&w, NAS_IDENTIFIER, "engawa");
	wr_u8(&w, SERVICE_TYPE);
	wr_u8(&w, 6);
	wr_u32(&w, AUTHENTICATE_ONLY);
	out[2] = (uint8_t)(w.len >> 8);
	out[3] = (uint8_t)w.len;
	return !w.failed && hmac(secret, out, w.len, out + MAC_AT) ? w.len : 0;
}

/* Where the only Message-Authenticator's value is, 0 when there is none. Negative: more than one,
 * or what is there is no list of attributes. */
static int
find_mac(const uint8_t *p, size_t len)
{
	struct rd r = rd_init(p + RADIUS_HEADER_BYTES, len - RADIUS_HEADER_BYTES);
	int found = 0;
	while (r.left > 0) {
		size_t at = len - r.left + 2;
		uint8_t type = rd_u8(&r), size = rd_u8(&r);
		if (size < 2 || !rd_bytes(&r, size - 2u))
			return -1;
		if (type != MESSAGE_AUTHENTICATOR)
			continue;
		if (found || size != 2 + MD5_BYTES)
			return -1;
		found = (int)at;
	}
	return found;
}

enum radius_answer
radius_get(const struct radius_request *request, const char *secret, int need_mac, const uint8_t *p,
	size_t len)
{
	uint8_t copy[RADIUS_PACKET_MAX_BYTES], mac[MD5_BYTES], digest[MD5_BYTES];
	if (len < RADIUS_HEADER_BYTES || len > sizeof copy || p[1] != request->id)
		return RADIUS_FORGED;
	size_t stated = (size_t)p[2] << 8 | p[3];
	if (stated < RADIUS_HEADER_BYTES || stated > len)
		return RADIUS_FORGED;
	len = stated; /* what is behind it is padding */
	int at = find_mac(p, len);
	if (at < 0 || (at == 0 && need_mac))
		return RADIUS_FORGED;
	memcpy(copy, p, len);
	memcpy(copy + 4, request->authenticator, RADIUS_AUTHENTICATOR_BYTES);
	if (!md5(copy, len, secret, strlen(secret), digest) ||
		!mem_equal(digest, p + 4, sizeof digest))
		return RADIUS_FORGED;
	if (at > 0) {
		memset(copy + at, 0, MD5_BYTES);
		if (!hmac(secret, copy, len, mac) || !mem_equal(mac, p + at, sizeof mac))
			return RADIUS_FORGED;
	}
	return p[0] == ACCESS_ACCEPT ? RADIUS_ACCEPT : RADIUS_REJECT;
}

int
radius_server_parse(const char *text, struct radius_server *ret_server)
{
	static const char scheme[] = "tls://";
	struct radius_server server = {.tls = strncmp(text, scheme, sizeof scheme - 1) == 0};
	int64_t port;
	if (server.tls)
		text += sizeof scheme - 1;
	const char *end = text[0] == '[' ? strchr(text, ']') : NULL;
	if (text[0] == '[' && (!end || (end[1] && end[1] != ':')))
		return -EINVAL;
	const char *colon = end ? (end[1] ? end + 1 : NULL) : strchr(text, ':');
	if (colon && !end && strchr(colon + 1, ':'))
		return -EINVAL; /* an address of version 6 needs its brackets */
	const char *from = end ? text + 1 : text;
	size_t len = end ? (size_t)(end - from) : colon ? (size_t)(colon - from) : strlen(from);
	if (len == 0 || len >= sizeof server.host ||
		(colon && str_int(colon + 1, 1, 65535, &port) < 0))
		return -EINVAL;
	memcpy(server.host, from, len);
	if (str_copy(server.port, sizeof server.port,
		    colon        ? colon + 1
		    : server.tls ? "2083"
				 : "1812") < 0)
		return -EINVAL;
	*ret_server = server;
	return 0;
}
