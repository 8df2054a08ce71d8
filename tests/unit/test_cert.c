/* crypto/cert: what we issue, and what we refuse to read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "base/err.h"
#include "pki.h"

enum {
	DAY_S = 86400
};

static struct pki pki;
static EVP_PKEY *key;
static const char *const hosts[] = {"gate.example", "127.0.0.1", "::1", NULL};

static int
setup(void **state)
{
	(void)state;
	pki_init(&pki);
	key = sign_key_generate();
	return key == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	sign_key_free(key);
	pki_fini(&pki);
	return 0;
}

static uint64_t
now(void)
{
	return (uint64_t)time(NULL);
}

static X509 *
issue(enum cert_use use, const char *common_name, const char *organisation, unsigned days)
{
	struct cert_request request = {
		use, common_name, organisation, use == CERT_GATE ? hosts : NULL, days};
	X509 *cert = cert_issue(pki.issuer_key, pki.issuer, key, &request);
	assert_non_null(cert);
	return cert;
}

static void
test_chain(void **state)
{
	(void)state;
	X509 *gate = issue(CERT_GATE, "gate-1", NULL, 30),
	     *late = issue(CERT_GATE, "gate-1", NULL, 9999);
	assert_int_equal(X509_check_purpose(gate, X509_PURPOSE_SSL_SERVER, 0), 1);
	assert_int_equal(X509_check_purpose(gate, X509_PURPOSE_SSL_CLIENT, 0), 0);
	assert_int_equal(X509_check_host(gate, "gate.example", 0, 0, NULL), 1);
	assert_int_equal(X509_check_host(gate, "other.example", 0, 0, NULL), 0);
	assert_int_equal(X509_check_host(gate, "gate-1", 0, 0, NULL), 0); /* CN is no host */
	assert_int_equal(X509_check_ip_asc(gate, "127.0.0.1", 0), 1);
	assert_int_equal(X509_check_ip_asc(gate, "::1", 0), 1);
	assert_int_equal(EVP_PKEY_get_bits(X509_get0_pubkey(pki.root)), 384);
	assert_int_equal(X509_get_pathlen(pki.issuer), 0);
	assert_int_equal(cert_check_issuer(gate, pki.issuer, now()), 0);
	assert_int_equal(cert_check_issuer(pki.issuer, pki.root, now()), 0);
	assert_int_equal(cert_check_issuer(pki.root, pki.root, now()), 0);
	assert_int_equal(cert_check_issuer(gate, pki.root, now()), -ERR_CERT_UNTRUSTED);
	assert_int_equal(cert_check_issuer(gate, gate, now()), -ERR_CERT_UNTRUSTED);
	assert_int_equal(
		cert_check_issuer(gate, pki.issuer, now() + 31 * DAY_S), -ERR_CERT_EXPIRED);
	assert_int_equal(cert_check_issuer(gate, pki.issuer, now() - DAY_S), -ERR_CERT_EXPIRED);
	/* nothing outlives its issuer */
	assert_int_equal(
		ASN1_TIME_compare(X509_get0_notAfter(late), X509_get0_notAfter(pki.issuer)), 0);
	cert_free(gate);
	cert_free(late);
}

static void
test_hosts(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"", "a b", "a,DNS:b", "*.example", "a_b", "縁側.example", "a\n"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		const char *const list[] = {"good.example", bad[i], NULL};
		struct cert_request request = {CERT_GATE, "gate-1", NULL, list, 30};
		assert_null(cert_issue(pki.issuer_key, pki.issuer, key, &request));
	}
}

/* Same names, same serial, other key. */
static void
test_rogue_authority(void **state)
{
	(void)state;
	struct pki rogue;
	pki_init(&rogue);
	X509_set_subject_name(rogue.root, X509_get_subject_name(pki.root));
	X509_set_issuer_name(rogue.root, X509_get_subject_name(pki.root));
	pki_must(X509_sign(rogue.root, rogue.root_key, EVP_sha384()) > 0);
	assert_int_equal(cert_check_issuer(pki.issuer, rogue.root, now()), -ERR_CERT_UNTRUSTED);
	/* an end certificate that plays authority */
	X509 *leaf = issue(CERT_AGENT, "00", "o", 30);
	struct cert_request request = {CERT_GATE, "gate-1", NULL, hosts, 30};
	X509 *under = cert_issue(key, leaf, key, &request);
	assert_int_equal(cert_is_authority(leaf), 0);
	assert_int_equal(cert_check_issuer(under, leaf, now()), -ERR_CERT_UNTRUSTED);
	cert_free(under);
	cert_free(leaf);
	pki_fini(&rogue);
}

static void
test_agent(void **state)
{
	(void)state;
	static const struct {
		const char *common_name, *organisation;
		int want;
	} cases[] = {
		{"000102030405060708090a0b0c0d0e0f", "hinata-city", 0},
		{"000102030405060708090a0b0c0d0e", "hinata-city", -ERR_CRYPTO},
		{"000102030405060708090a0b0c0d0e0fff", "hinata-city", -ERR_CRYPTO},
		{"000102030405060708090a0b0c0d0e0g", "hinata-city", -ERR_CRYPTO},
		{"gate-1", "hinata-city", -ERR_CRYPTO},
		{"000102030405060708090a0b0c0d0e0f", NULL, -ERR_CRYPTO},
		{"000102030405060708090a0b0c0d0e0f", "a-very-long-name-that-does-not-fit",
			-ERR_CRYPTO},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint8_t id[CERT_AGENT_ID_BYTES];
		char organisation[16];
		X509 *cert = issue(CERT_AGENT, cases[i].common_name, cases[i].organisation, 30);
		assert_int_equal(
			cert_agent(cert, id, organisation, sizeof organisation), cases[i].want);
		if (cases[i].want == 0) {
			assert_int_equal(id[15], 15);
			assert_string_equal(organisation, "hinata-city");
		}
		assert_int_equal(X509_check_purpose(cert, X509_PURPOSE_SSL_SERVER, 0), 0);
		cert_free(cert);
	}
}

/* Two names, or one with a NUL inside: nobody may be two agents. */
static void
test_agent_ambiguous(void **state)
{
	(void)state;
	uint8_t id[CERT_AGENT_ID_BYTES];
	char organisation[64];
	X509 *cert = issue(CERT_AGENT, "000102030405060708090a0b0c0d0e0f", "o", 30);
	X509_NAME *name = X509_get_subject_name(cert);
	pki_must(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
		(const unsigned char *)"ff0102030405060708090a0b0c0d0e0f", -1, -1, 0));
	assert_int_equal(cert_agent(cert, id, organisation, sizeof organisation), -ERR_CRYPTO);
	cert_free(cert);
	cert = issue(CERT_AGENT, "000102030405060708090a0b0c0d0e0f", NULL, 30);
	pki_must(X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "O", MBSTRING_UTF8,
		(const unsigned char *)"a\0b", 3, -1, 0));
	assert_int_equal(cert_agent(cert, id, organisation, sizeof organisation), -ERR_CRYPTO);
	cert_free(cert);
}

static void
test_request(void **state)
{
	(void)state;
	uint8_t der[1025];
	size_t len;
	EVP_PKEY *got = NULL, *p384 = cert_root_key(), *rsa = EVP_RSA_gen(2048);
	assert_int_equal(cert_csr_make(key, der, sizeof der, &len), 0);
	assert_int_equal(cert_csr_key(der, len, &got), 0);
	assert_int_equal(EVP_PKEY_eq(got, key), 1);
	sign_key_free(got);
	got = NULL;
	assert_int_equal(cert_csr_key(der, len + 1, &got), -ERR_CRYPTO);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(cert_csr_key(der, cut, &got), -ERR_CRYPTO);
	der[len - 1] ^= 1; /* does not hold the key */
	assert_int_equal(cert_csr_key(der, len, &got), -ERR_CRYPTO);
	assert_int_equal(cert_csr_make(key, der, 50, &len), -ERR_TOO_LONG);
	assert_int_equal(cert_csr_make(p384, der, sizeof der, &len), 0);
	assert_int_equal(cert_csr_key(der, len, &got), -ERR_CRYPTO);
	assert_int_equal(cert_csr_make(rsa, der, sizeof der, &len), 0);
	assert_int_equal(cert_csr_key(der, len, &got), -ERR_CRYPTO);
	assert_int_equal(cert_csr_key(der, sizeof der, &got), -ERR_CRYPTO);
	assert_null(got);
	EVP_PKEY_free(rsa);
	sign_key_free(p384);
}

static void
test_bytes(void **state)
{
	(void)state;
	uint8_t der[CERT_DER_MAX_BYTES + 1] = {0};
	size_t len;
	X509 *cert;
	assert_int_equal(cert_der(pki.issuer, der, 100, &len), -ERR_TOO_LONG);
	assert_int_equal(cert_der(pki.issuer, der, sizeof der, &len), 0);
	cert = cert_parse(der, len);
	assert_non_null(cert);
	assert_int_equal(X509_cmp(cert, pki.issuer), 0);
	cert_free(cert);
	assert_null(cert_parse(der, len + 1)); /* something hangs on */
	for (size_t cut = 0; cut < len; cut++)
		assert_null(cert_parse(der, cut));
	assert_null(cert_parse(der, sizeof der));
	assert_null(cert_parse(NULL, 0));
	char path[] = "/tmp/engawa-cert-XXXXXX";
	close(mkstemp(path));
	assert_null(cert_load(path));
	assert_int_equal(cert_save(pki.issuer, path), 0);
	cert = cert_load(path);
	assert_int_equal(X509_cmp(cert, pki.issuer), 0);
	cert_free(cert);
	unlink(path);
	assert_null(cert_load(path));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_rogue_authority),
		cmocka_unit_test(test_agent),
		cmocka_unit_test(test_agent_ambiguous),
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_bytes),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
