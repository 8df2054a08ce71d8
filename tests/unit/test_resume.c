/* crypto/resume: whose ticket it is, and for how long; which certificates count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"
#include "crypto/resume.h"
#include "crypto/tls.h"
#include "pki.h"

enum {
	NOW_S = 1795000000
};

static struct pki pki;
static EVP_PKEY *key, *other;
static engawa_ResumeBody body;

static X509 *
certificate(struct pki *by, EVP_PKEY *of, enum cert_use use)
{
	const char *hosts[] = {"gate.example", NULL};
	struct cert_request request = {
		use, "00112233445566778899aabbccddeeff", "test-city", hosts, 30};
	X509 *cert = cert_issue(by->issuer_key, by->issuer, of, &request);
	pki_must(cert != NULL);
	return cert;
}

static int
setup(void **state)
{
	size_t len;
	(void)state;
	pki_init(&pki);
	key = sign_key_generate();
	other = sign_key_generate();
	body = (engawa_ResumeBody){.session_id.size = 16,
		.device_hash.size = 32,
		.generation = 1,
		.issued_s = NOW_S,
		.not_after_s = NOW_S + 60};
	X509 *cert = certificate(&pki, key, CERT_AGENT);
	pki_must(cert_der(cert, body.certificate.bytes, sizeof body.certificate.bytes, &len) == 0);
	body.certificate.size = (pb_size_t)len;
	cert_free(cert);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	sign_key_free(key);
	sign_key_free(other);
	pki_fini(&pki);
	return 0;
}

static int
opens(EVP_PKEY *by, const engawa_ResumeBody *b, uint64_t now_s, const uint8_t *point)
{
	uint8_t ticket[SIGN_ENVELOPE_MAX_BYTES];
	engawa_ResumeBody got;
	size_t len;
	int r = resume_issue(by, b, ticket, sizeof ticket, &len);
	return r < 0 ? r : resume_open(ticket, len, now_s, point, &got);
}

static void
test_whose(void **state)
{
	(void)state;
	uint8_t mine[SIGN_POINT_BYTES], theirs[SIGN_POINT_BYTES];
	sign_key_point(key, mine);
	sign_key_point(other, theirs);
	assert_int_equal(opens(key, &body, NOW_S, NULL), 0);
	assert_int_equal(opens(key, &body, NOW_S, mine), 0);
	assert_int_equal(opens(key, &body, NOW_S, theirs), -ERR_SIGNATURE);
	/* somebody else's certificate in a ticket of his own */
	assert_int_equal(opens(other, &body, NOW_S, NULL), -ERR_SIGNATURE);
}

static void
test_time_and_shape(void **state)
{
	(void)state;
	assert_int_equal(opens(key, &body, NOW_S + 60, NULL), 0);
	assert_int_equal(opens(key, &body, NOW_S + 61, NULL), -ERR_TICKET_EXPIRED);
	assert_int_equal(opens(key, &body, NOW_S - 86400, NULL), 0); /* the office PC's clock */
	engawa_ResumeBody bad = body;
	bad.generation = 0;
	assert_int_equal(opens(key, &bad, NOW_S, NULL), -ERR_PROTOCOL);
	bad = body;
	bad.session_id.size = 15;
	assert_int_equal(opens(key, &bad, NOW_S, NULL), -ERR_PROTOCOL);
	bad = body;
	bad.certificate.size = 0;
	assert_int_equal(opens(key, &bad, NOW_S, NULL), -ERR_PROTOCOL);
	bad = body;
	bad.certificate.bytes[10] ^= 1;
	assert_true(opens(key, &bad, NOW_S, NULL) < 0);
}

static void
test_ids(void **state)
{
	(void)state;
	uint8_t a[16], b[16], attempt[RESUME_ATTEMPT_BYTES] = {1};
	resume_session_id("ticket", 6, attempt, a);
	resume_session_id("ticket", 6, attempt, b);
	assert_memory_equal(a, b, 16);
	attempt[15] = 1;
	resume_session_id("ticket", 6, attempt, b);
	assert_memory_not_equal(a, b, 16);
}

/* Attack: certificates that no handshake would let in as an agent's, shown by way of a ticket. */
static void
test_attack_certificates(void **state)
{
	(void)state;
	struct pki stranger;
	EVP_PKEY *gate_key = sign_key_generate();
	X509 *gate = pki_gate(&pki, "gate.example", gate_key, 0);
	SSL_CTX *ctx = tls_incoming(gate, gate_key, &pki.issuer, 1);
	X509 *good = certificate(&pki, key, CERT_AGENT),
	     *server = certificate(&pki, key, CERT_GATE);
	pki_init(&stranger);
	X509 *foreign = certificate(&stranger, key, CERT_AGENT);
	X509 *expired = pki_gate(&pki, "gate.example", key, 1);
	assert_non_null(ctx);
	assert_int_equal(tls_check_client(ctx, good), 0);
	assert_int_equal(tls_check_client(ctx, server), -ERR_CERT_UNTRUSTED);
	assert_int_equal(tls_check_client(ctx, foreign), -ERR_CERT_UNTRUSTED);
	assert_int_equal(tls_check_client(ctx, pki.issuer), -ERR_CERT_UNTRUSTED);
	assert_true(tls_check_client(ctx, expired) < 0);
	X509 *all[] = {gate, good, server, foreign, expired};
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		cert_free(all[i]);
	sign_key_free(gate_key);
	tls_free(ctx);
	pki_fini(&stranger);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whose),
		cmocka_unit_test(test_time_and_shape),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_attack_certificates),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
