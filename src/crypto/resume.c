#include "crypto/resume.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <pb_decode.h>
#include <pb_encode.h>
#include <string.h>

#include "base/err.h"

#define PURPOSE "engawa resume v1"

static int
is_shaped(const engawa_ResumeBody *body)
{
	return body->certificate.size > 0 && body->session_id.size == 16 &&
	       body->device_hash.size == 32 && body->generation > 0 &&
	       body->not_after_s >= body->issued_s;
}

int
resume_issue(
	EVP_PKEY *key, const engawa_ResumeBody *body, uint8_t *out, size_t cap, size_t *ret_len)
{
	uint8_t bytes[engawa_ResumeBody_size];
	pb_ostream_t stream = pb_ostream_from_buffer(bytes, sizeof bytes);
	if (!is_shaped(body) || !pb_encode(&stream, engawa_ResumeBody_fields, body))
		return -ERR_PROTOCOL;
	return sign_envelope(key, PURPOSE, bytes, stream.bytes_written, out, cap, ret_len);
}

static int
decode_body(const void *ticket, size_t len, engawa_ResumeBody *ret)
{
	engawa_Signed envelope = engawa_Signed_init_zero;
	pb_istream_t stream = pb_istream_from_buffer(ticket, len);
	if (len > SIGN_ENVELOPE_MAX_BYTES || !pb_decode(&stream, engawa_Signed_fields, &envelope))
		return -ERR_PROTOCOL;
	stream = pb_istream_from_buffer(envelope.body.bytes, envelope.body.size);
	return pb_decode(&stream, engawa_ResumeBody_fields, ret) && is_shaped(ret) ? 0
										   : -ERR_PROTOCOL;
}

static int
point_of(const engawa_ResumeBody *body, uint8_t ret_point[static SIGN_POINT_BYTES])
{
	X509 *cert = cert_parse(body->certificate.bytes, body->certificate.size);
	EVP_PKEY *key = cert ? X509_get0_pubkey(cert) : NULL;
	int r = key && sign_key_point(key, ret_point) == 0 ? 0 : -ERR_SIGNATURE;
	cert_free(cert);
	return r;
}

int
resume_open(const void *ticket, size_t len, uint64_t now_s, const uint8_t *point,
	engawa_ResumeBody *ret_body)
{
	engawa_ResumeBody body = engawa_ResumeBody_init_zero;
	uint8_t points[1][SIGN_POINT_BYTES], bytes[engawa_ResumeBody_size];
	size_t bytes_len;
	int r = decode_body(ticket, len, &body);
	if (point)
		memcpy(points[0], point, sizeof points[0]);
	else if (r == 0)
		r = point_of(&body, points[0]);
	if (r == 0)
		r = sign_open((const uint8_t(*)[SIGN_POINT_BYTES])points, 1, PURPOSE, ticket, len,
			bytes, sizeof bytes, &bytes_len);
	if (r < 0)
		return r;
	if (now_s > body.not_after_s)
		return -ERR_TICKET_EXPIRED;
	*ret_body = body;
	return 0;
}

void
resume_session_id(const void *ticket, size_t len,
	const uint8_t attempt[static RESUME_ATTEMPT_BYTES], uint8_t ret_id[static 16])
{
	static const char purpose[] = "engawa resume"; /* with its zero */
	uint8_t hash[SHA256_DIGEST_LENGTH];
	unsigned hash_len = sizeof hash;
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	int ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
		 EVP_DigestUpdate(md, purpose, sizeof purpose) == 1 &&
		 EVP_DigestUpdate(md, ticket, len) == 1 &&
		 EVP_DigestUpdate(md, attempt, RESUME_ATTEMPT_BYTES) == 1 &&
		 EVP_DigestFinal_ex(md, hash, &hash_len) == 1;
	EVP_MD_CTX_free(md);
	/* without memory: an id that no session has */
	if (ok)
		memcpy(ret_id, hash, 16);
	else
		memset(ret_id, 0, 16);
}
