/*
 * The helper that looks at certificates: parses what the peer sent, reads the issuers' file, asks
 * OCSP and fetches a CRL. What it finds, the monitor weighs. The network comes last: only a holder
 * of a key with a certificate of our issuers makes this process ask anybody anything, and only
 * where those issuers or the settings say.
 */
#include "agent/check_certificate.h"

#include <openssl/http.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "agent/message.h"
#include "agent/role.h"
#include "base/clock.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "base/wire.h"

enum {
	OCSP_S = 4, /* the original's 3 s, and a name to resolve */
	CRL_S = 5,
	CA_FILE_MAX_BYTES = 256 * 1024
};

/* ---- messages ---- */

size_t
certificate_question_put(const struct certificate_question *question, uint8_t *out)
{
	struct wr w = wr_init(out, CERTIFICATE_QUESTION_MAX_BYTES);
	message_put_proof(&w, &question->proof);
	wr_bytes(&w, question->digest, sizeof question->digest);
	wr_u8(&w, question->pinned);
	wr_u8(&w, question->ask_ocsp);
	wr_u8(&w, question->need_nonce);
	wr_text(&w, question->ca_file);
	wr_text(&w, question->crl);
	wr_text(&w, question->ocsp_url);
	wr_text(&w, question->rule);
	return w.len;
}

int
certificate_question_get(const uint8_t *p, size_t len, struct certificate_question *ret_question)
{
	struct certificate_question *q = ret_question;
	struct rd r = rd_init(p, len);
	memset(q, 0, sizeof *q);
	message_get_proof(&r, &q->proof);
	rd_copy(&r, q->digest, sizeof q->digest);
	q->pinned = rd_u8(&r);
	q->ask_ocsp = rd_u8(&r);
	q->need_nonce = rd_u8(&r);
	rd_line(&r, q->ca_file, sizeof q->ca_file);
	rd_line(&r, q->crl, sizeof q->crl);
	rd_line(&r, q->ocsp_url, sizeof q->ocsp_url);
	rd_line(&r, q->rule, sizeof q->rule);
	return rd_done(&r) ? 0 : -ERR_PROTOCOL;
}

size_t
certificate_answer_put(const struct certificate_answer *answer, uint8_t *out)
{
	struct wr w = wr_init(out, CERTIFICATE_ANSWER_TEXT_MAX_BYTES);
	wr_u32(&w, answer->code);
	wr_u8(&w, answer->ocsp);
	wr_u8(&w, answer->crl);
	wr_text(&w, answer->name);
	return w.len;
}

int
certificate_answer_get(const uint8_t *p, size_t len, struct certificate_answer *ret_answer)
{
	struct rd r = rd_init(p, len);
	memset(ret_answer, 0, sizeof *ret_answer);
	ret_answer->code = rd_u32(&r);
	ret_answer->ocsp = rd_u8(&r);
	ret_answer->crl = rd_u8(&r);
	rd_line(&r, ret_answer->name, sizeof ret_answer->name);
	int known = ret_answer->code == 0 || ret_answer->code == ERR_CERTIFICATE_REFUSED ||
		    ret_answer->code == ERR_CERTIFICATE_OUTDATED ||
		    ret_answer->code == ERR_PERSON_SERVICE;
	return rd_done(&r) && known && ret_answer->ocsp < REVOCATION_COUNT &&
			       ret_answer->crl < REVOCATION_COUNT
		       ? 0
		       : -ERR_PROTOCOL;
}

/* ---- the issuer ---- */

static uint8_t
no_answer(const char *what, const char *text)
{
	LOG(WARN, "certificate.unchecked", F_STR("what", what), F_STR("text", text));
	return REVOCATION_NO_ANSWER;
}

/* Posts the question. The answer's bytes, in memory. NULL: none in time. */
static BIO *
post(const char *url, OCSP_REQUEST *request)
{
	char *host = NULL, *port = NULL, *path = NULL;
	int tls = 0;
	BIO *body = BIO_new(BIO_s_mem()), *in = NULL, *out = NULL;
	if (body && OSSL_HTTP_parse_url(url, &tls, NULL, &host, &port, NULL, &path, NULL, NULL) &&
		!tls && i2d_OCSP_REQUEST_bio(body, request) > 0)
		in = OSSL_HTTP_transfer(NULL, host, port, path, 0, NULL, NULL, NULL, NULL, NULL,
			NULL, 0, NULL, "application/ocsp-request", body,
			"application/ocsp-response", 1, CERTIFICATE_ANSWER_MAX_BYTES, OCSP_S, 0);
	if (in && (out = BIO_new(BIO_s_mem()))) {
		char bytes[4096];
		int n;
		while ((n = BIO_read(in, bytes, sizeof bytes)) > 0 &&
			BIO_pending(out) <= CERTIFICATE_ANSWER_MAX_BYTES)
			BIO_write(out, bytes, n);
	}
	BIO_free(in);
	BIO_free(body);
	OPENSSL_free(host);
	OPENSSL_free(port);
	OPENSSL_free(path);
	return out;
}

static uint8_t
ask_ocsp(const struct certificate_question *q, X509 *certificate, X509 *issuer, X509_STORE *store)
{
	const char *text = "no answer in time";
	STACK_OF(OPENSSL_STRING) *named = X509_get1_ocsp(certificate);
	const char *url = q->ocsp_url[0] ? q->ocsp_url
			  : named && sk_OPENSSL_STRING_num(named) > 0
				  ? sk_OPENSSL_STRING_value(named, 0)
				  : NULL;
	OCSP_REQUEST *request = certificate_ocsp(certificate, issuer);
	BIO *answer = url && request ? post(url, request) : NULL;
	enum revocation result = REVOCATION_NO_ANSWER;
	if (!url)
		text = "nobody to ask: neither OCSP_URL nor the certificate names one";
	if (answer) {
		char *der;
		long len = BIO_get_mem_data(answer, &der);
		result = certificate_ocsp_judge(request, der, (size_t)len, certificate, issuer,
			store, q->need_nonce, &text);
	}
	BIO_free(answer);
	OCSP_REQUEST_free(request);
	X509_email_free(named);
	return result == REVOCATION_NO_ANSWER ? no_answer("ocsp", text) : (uint8_t)result;
}

/* A file, or fetched, as DER then (RFC 5280 4.2.1.13). */
static int
read_crl(const char *place, char **ret_data, size_t *ret_len)
{
	if (strncmp(place, "http://", 7) != 0)
		return conf_read_file(place, CERTIFICATE_CRL_MAX_BYTES, ret_data, ret_len);
	BIO *bio = OSSL_HTTP_get(place, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, 1,
		CERTIFICATE_CRL_MAX_BYTES, CRL_S);
	char *data = bio ? malloc(CERTIFICATE_CRL_MAX_BYTES) : NULL;
	int n, len = 0;
	while (data && len < CERTIFICATE_CRL_MAX_BYTES &&
		(n = BIO_read(bio, data + len, CERTIFICATE_CRL_MAX_BYTES - len)) > 0)
		len += n;
	BIO_free(bio);
	if (!data)
		return -ERR_PERSON_SERVICE;
	*ret_data = data;
	*ret_len = (size_t)len;
	return 0;
}

static uint8_t
ask_crl(const struct certificate_question *q, X509 *certificate, X509_STORE *store)
{
	const char *text;
	char *data;
	size_t len;
	if (read_crl(q->crl, &data, &len) < 0)
		return no_answer("crl", "cannot be read");
	enum revocation result =
		certificate_crl_judge(data, len, certificate, store, wall_s(), &text);
	free(data);
	return result == REVOCATION_NO_ANSWER ? no_answer("crl", text) : (uint8_t)result;
}

/* ---- the answer ---- */

static int
judge_issued(const struct certificate_question *q, X509 *certificate, struct certificate_answer *a)
{
	X509 *issuer = NULL;
	const char *text = "";
	char *pem;
	size_t len;
	if (!q->ca_file[0])
		return -ERR_CERTIFICATE_REFUSED; /* only pinned ones are known here */
	int r = conf_read_file(q->ca_file, CA_FILE_MAX_BYTES, &pem, &len);
	X509_STORE *store = r == 0 ? certificate_store(pem, len) : NULL;
	if (r == 0)
		free(pem);
	if (!store) {
		LOG(ERROR, "certificate.issuers", F_STR("path", q->ca_file));
		return -ERR_PERSON_SERVICE;
	}
	r = certificate_check(certificate, store, wall_s(), &issuer, &text);
	if (r < 0)
		LOG(WARN, "certificate.refused", F_ERR("code", r), F_STR("text", text));
	if (r == 0 || r == -ERR_CERTIFICATE_OUTDATED) {
		int named = certificate_name(certificate, q->rule, a->name);
		r = named < 0 ? named : r;
	}
	if (r == 0 && q->crl[0])
		a->crl = ask_crl(q, certificate, store);
	if (r == 0 && q->ask_ocsp && a->crl != REVOCATION_REVOKED)
		a->ocsp = ask_ocsp(q, certificate, issuer, store);
	X509_free(issuer);
	X509_STORE_free(store);
	return r;
}

static int
judge(const struct certificate_question *q, struct certificate_answer *a)
{
	X509 *certificate = certificate_parse(q->proof.certificate, q->proof.certificate_len);
	if (!certificate)
		return -ERR_CERTIFICATE_REFUSED;
	int r = certificate_check_holder(
		certificate, q->digest, q->proof.signature, q->proof.signature_len);
	if (r == 0)
		r = q->pinned ? certificate_check_pinned(certificate, wall_s())
			      : judge_issued(q, certificate, a);
	X509_free(certificate);
	return r;
}

int
check_certificate_main(const struct options *options)
{
	static uint8_t payload[CERTIFICATE_QUESTION_MAX_BYTES];
	static struct certificate_question question;
	uint8_t out[CERTIFICATE_ANSWER_TEXT_MAX_BYTES];
	struct certificate_answer answer = {0};
	role_sandbox(options, "check-certificate", SANDBOX_NETWORK);
	size_t len = role_expect(MSG_CHECK_CERTIFICATE, payload, sizeof payload, NULL);
	if (certificate_question_get(payload, len, &question) < 0)
		return 2;
	int r = judge(&question, &answer);
	answer.code = r == -ERR_INTERNAL ? ERR_PERSON_SERVICE : (uint32_t)-r;
	role_send(MSG_CERTIFICATE_CHECKED, out, certificate_answer_put(&answer, out), -1);
	return 0;
}
