#include "agent/own_certificate.h"

#include <limits.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/str.h"
#include "base/wire.h"

/* ECDSA by the anchor over code, request, salt and agent key: none of them can be exchanged on the
 * way. */
static int
prove(const struct keys *keys, engawa_Enrol *msg)
{
	uint8_t body[sizeof msg->code + 1 + SHA256_DIGEST_LENGTH + TERMINAL_SALT_BYTES +
		     NOISE_KEY_BYTES];
	uint8_t hash[SHA256_DIGEST_LENGTH], der[SIGN_DER_MAX_BYTES];
	size_t len;
	SHA256(msg->csr.bytes, msg->csr.size, hash);
	struct wr w = wr_init(body, sizeof body);
	wr_bytes(&w, msg->code, strlen(msg->code));
	wr_u8(&w, 0);
	wr_bytes(&w, hash, sizeof hash);
	wr_bytes(&w, msg->salt.bytes, msg->salt.size);
	wr_bytes(&w, msg->agent_key.bytes, msg->agent_key.size);
	int r = sign_bytes(keys->anchor, "engawa enrol v1", body, w.len, der, &len);
	if (r < 0)
		return r;
	msg->proof.size = (pb_size_t)len;
	memcpy(msg->proof.bytes, der, len);
	return 0;
}

int
own_certificate_request(const struct keys *keys, const char *code, engawa_Enrol *ret_msg)
{
	engawa_Enrol msg = engawa_Enrol_init_zero;
	size_t len;
	if (str_copy(msg.code, sizeof msg.code, code) < 0)
		return -ERR_ENROL_CODE_WRONG;
	int r = cert_csr_make(keys->tls, msg.csr.bytes, sizeof msg.csr.bytes, &len);
	if (r < 0)
		return r;
	msg.csr.size = (pb_size_t)len;
	msg.anchor_key.size = SIGN_POINT_BYTES;
	r = sign_key_point(keys->anchor, msg.anchor_key.bytes);
	msg.salt.size = TERMINAL_SALT_BYTES;
	memcpy(msg.salt.bytes, keys->salt, TERMINAL_SALT_BYTES);
	msg.agent_key.size = NOISE_KEY_BYTES;
	memcpy(msg.agent_key.bytes, keys->agent.public, NOISE_KEY_BYTES);
	if (gethostname(msg.computer_name, sizeof msg.computer_name - 1) < 0 ||
		!str_printable(msg.computer_name))
		msg.computer_name[0] = '\0';
	if (r == 0)
		r = prove(keys, &msg);
	if (r == 0)
		*ret_msg = msg;
	return r;
}

static int
check_issuer(const struct keys *keys, struct x509_st *cert, uint64_t now_s)
{
	int r = -ERR_CERT_UNTRUSTED;
	for (size_t i = 0; r < 0 && i < keys->org.issuer_count; i++) {
		struct x509_st *issuer = cert_parse(keys->org.issuers[i], keys->org.issuer_lens[i]);
		r = issuer ? cert_check_issuer(cert, issuer, now_s) : -ERR_CERT_UNTRUSTED;
		cert_free(issuer);
	}
	return r;
}

int
own_certificate_take(struct keys *keys, const void *der, size_t len, uint64_t now_s)
{
	uint8_t id[CERT_AGENT_ID_BYTES];
	char organisation[sizeof keys->org.id];
	struct x509_st *cert = len <= sizeof keys->certificate ? cert_parse(der, len) : NULL;
	int r = cert ? cert_agent(cert, id, organisation, sizeof organisation) : -ERR_PROTOCOL;
	if (r == 0 && (X509_check_private_key(cert, keys->tls) != 1 ||
			      strcmp(organisation, keys->org.id) != 0))
		r = -ERR_CERT_UNTRUSTED;
	if (r == 0)
		r = check_issuer(keys, cert, now_s);
	cert_free(cert);
	if (r < 0)
		return r;
	memcpy(keys->agent_id, id, sizeof id);
	memcpy(keys->certificate, der, len);
	keys->certificate_len = len;
	return 0;
}

int
own_certificate_save(const struct options *options, const struct keys *keys)
{
	char path[PATH_MAX];
	struct x509_st *cert = cert_parse(keys->certificate, keys->certificate_len);
	int r = cert ? state_path(options, "certificate", path, sizeof path) : -ERR_CRYPTO;
	if (r == 0)
		r = cert_save(cert, path);
	cert_free(cert);
	return r;
}

int
own_certificate_state(
	const struct keys *keys, uint64_t now_s, uint64_t *ret_renew_s, uint64_t *ret_until_s)
{
	uint64_t from_s = 0, until_s = 0;
	struct x509_st *cert = cert_parse(keys->certificate, keys->certificate_len);
	int r = cert ? cert_times(cert, &from_s, &until_s) : -ERR_CRYPTO;
	cert_free(cert);
	if (r < 0 || until_s < from_s)
		return -ERR_CRYPTO;
	*ret_renew_s = from_s + (until_s - from_s) / 3 * 2;
	*ret_until_s = until_s;
	return now_s < from_s ? -ERR_CERT_EARLY : now_s > until_s ? -ERR_CERT_LAPSED : 0;
}
