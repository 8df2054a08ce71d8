#include "cli/connect_certificate.h"

#include <errno.h>
#include <openssl/ecdsa.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

#include "base/conf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/agent_local.h"
#include "client/token_ask.h"

enum {
	FILE_MAX_BYTES = 64 * 1024,
	CARD_MS = 30000 /* some cards take seconds; the agent waits longer */
};

struct certificate {
	EVP_PKEY *key;              /* NULL: on a card */
	struct token_question card; /* with the PIN */
	struct holder_proof proof;
	struct token_ask *ask;
	struct session *session;
	certificate_fn *fn;
	void *user;
};

static X509 *
parse(const char *data, size_t len)
{
	const unsigned char *at = (const unsigned char *)data;
	BIO *bio = BIO_new_mem_buf(data, (int)len);
	X509 *x509 = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	BIO_free(bio);
	return x509 ? x509 : d2i_X509(NULL, &at, (long)len);
}

static int
load_certificate(const char *path, X509 **ret)
{
	char *data;
	size_t len;
	int r = conf_read_file(path, FILE_MAX_BYTES, &data, &len);
	if (r < 0)
		return r;
	*ret = parse(data, len);
	mem_wipe_free(data, len); /* a key may be in the same file */
	return *ret ? 0 : -ERR_CERTIFICATE_KEY;
}

/* A key with a passphrase is not asked for it here: a card is the better place. */
static int
no_passphrase(char *buf, int size, int writing, void *user)
{
	(void)buf, (void)size, (void)writing, (void)user;
	return -1;
}

static int
load_key(const char *path, EVP_PKEY **ret)
{
	char *pem;
	size_t len;
	int r = conf_read_secret(path, FILE_MAX_BYTES, &pem, &len);
	if (r < 0)
		return r;
	BIO *bio = BIO_new_mem_buf(pem, (int)len);
	*ret = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
	BIO_free(bio);
	mem_wipe_free(pem, len);
	return *ret ? 0 : -ERR_CERTIFICATE_KEY;
}

static int
take_der(X509 *x509, struct holder_proof *proof)
{
	unsigned char *out = proof->certificate;
	int len = i2d_X509(x509, NULL);
	if (len <= 0 || (size_t)len > sizeof proof->certificate)
		return -ERR_CERTIFICATE_KEY;
	proof->certificate_len = (size_t)i2d_X509(x509, &out);
	return 0;
}

static int
load_pin(const char *path, char ret_pin[static TOKEN_PIN_SIZE])
{
	char text[TEXT_SIZE] = "";
	int r;
	if (path) {
		r = conf_read_secret_line(path, ret_pin, TOKEN_PIN_SIZE);
		return r == -EFBIG ? -ERR_TOKEN_PIN : r;
	}
	r = agent_read_tty("暗証番号 / PIN", text) < 0 ? -ERR_NO_ANSWER : 0;
	if (r == 0 && str_copy(ret_pin, TOKEN_PIN_SIZE, text) < 0)
		r = -ERR_TOKEN_PIN;
	mem_wipe(text, sizeof text);
	return r;
}

static int
load_card(const struct connect_certificate *from, struct certificate *c, const char **ret_bad)
{
	if (!from->module || !token_fits(from->module, from->key) ||
		str_copy(c->card.module, sizeof c->card.module, from->module) < 0 ||
		str_copy(c->card.uri, sizeof c->card.uri, from->key) < 0)
		return -ERR_TOKEN_NONE;
	*ret_bad = from->pin_file ? from->pin_file : "PIN";
	return load_pin(from->pin_file, c->card.pin);
}

int
certificate_load(
	const struct connect_certificate *from, struct certificate **ret, const char **ret_bad)
{
	X509 *x509 = NULL;
	*ret = NULL;
	if (!from->path)
		return 0;
	struct certificate *c = mem_new(sizeof *c);
	*ret_bad = from->path;
	int r = load_certificate(from->path, &x509);
	if (r == 0)
		r = take_der(x509, &c->proof);
	if (r == 0) {
		*ret_bad = from->key;
		r = strncmp(from->key, "pkcs11:", 7) == 0 ? load_card(from, c, ret_bad)
							  : load_key(from->key, &c->key);
	}
	if (r == 0 && c->key && X509_check_private_key(x509, c->key) != 1)
		r = -ERR_CERTIFICATE_KEY;
	X509_free(x509);
	if (r < 0) {
		certificate_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

void
certificate_free(struct certificate *certificate)
{
	if (!certificate)
		return;
	token_ask_free(certificate->ask);
	EVP_PKEY_free(certificate->key);
	mem_wipe_free(certificate, sizeof *certificate);
}

/* r ‖ s as cards give it, in DER as certificates' signatures are. */
static int
take_ecdsa(const struct token_answer *answer, struct holder_proof *proof)
{
	size_t half = answer->signature_len / 2;
	unsigned char *out = proof->signature;
	ECDSA_SIG *signature = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(answer->signature, (int)half, NULL);
	BIGNUM *s = BN_bin2bn(answer->signature + half, (int)half, NULL);
	int len = -1;
	if (signature && r && s && ECDSA_SIG_set0(signature, r, s)) {
		r = s = NULL;
		len = i2d_ECDSA_SIG(signature, &out); /* 72 bytes at most for the curve of tokens */
	}
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(signature);
	proof->signature_len = len > 0 ? (size_t)len : 0;
	return len > 0 ? 0 : -ERR_CERTIFICATE_KEY;
}

/* Of the card's signature and the certificate's key: one that does not fit is told here, where it
 * can be helped. */
static int
take_signature(struct certificate *c, const struct token_answer *answer)
{
	const unsigned char *at = c->proof.certificate;
	int r = 0;
	if (answer->is_rsa) {
		memcpy(c->proof.signature, answer->signature, answer->signature_len);
		c->proof.signature_len = answer->signature_len;
	} else {
		r = take_ecdsa(answer, &c->proof);
	}
	X509 *x509 = d2i_X509(NULL, &at, (long)c->proof.certificate_len);
	if (r == 0 && holder_check(X509_get0_pubkey(x509), c->card.digest, c->proof.signature,
			      c->proof.signature_len) < 0)
		r = -ERR_CERTIFICATE_KEY;
	X509_free(x509);
	return r;
}

static void
on_card(void *user, int code, const struct token_answer *answer)
{
	struct certificate *c = user;
	if (code == 0)
		code = take_signature(c, answer);
	if (code == 0)
		code = session_reply_certificate(c->session, &c->proof);
	if (code < 0)
		c->fn(c->user, code);
}

static int
ask_card(struct certificate *c, struct loop *loop)
{
	token_ask_free(c->ask);
	c->ask = token_ask_new(loop, &c->card, CARD_MS, on_card, c);
	mem_wipe(c->card.pin, sizeof c->card.pin); /* tried once: cards count */
	return c->ask ? 0 : -ERR_TOKEN_FAILED;
}

void
certificate_answer(struct certificate *c, struct loop *loop, struct session *session,
	certificate_fn *fn, void *user)
{
	int r;
	if (!c) {
		r = session_reply(session, "");
	} else {
		c->session = session;
		c->fn = fn;
		c->user = user;
		r = session_certificate_digest(
			session, c->proof.certificate, c->proof.certificate_len, c->card.digest);
		if (r == 0 && !c->key)
			r = ask_card(c, loop);
		else if (r == 0 && holder_sign(c->key, c->card.digest, c->proof.signature,
					   &c->proof.signature_len) < 0)
			r = -ERR_CERTIFICATE_KEY;
		else if (r == 0)
			r = session_reply_certificate(session, &c->proof);
	}
	if (r < 0)
		fn(user, r);
}
