/* crypto/tls: handshakes in memory between our contexts and peers that want something else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "base/err.h"
#include "crypto/tls.h"
#include "pki.h"

#define HOST "gate.example"

static struct pki pki, rogue;
static EVP_PKEY *gate_key, *agent_key;
static X509 *gate_cert, *agent_cert;
static char directory[] = "/tmp/engawa-tls-XXXXXX";

static X509 *
agent_of(struct pki *p)
{
	struct cert_request request = {
		CERT_AGENT, "000102030405060708090a0b0c0d0e0f", "hinata-city", NULL, 30};
	return cert_issue(p->issuer_key, p->issuer, agent_key, &request);
}

static int
setup(void **state)
{
	(void)state;
	pki_init(&pki);
	pki_init(&rogue);
	gate_key = sign_key_generate();
	agent_key = sign_key_generate();
	gate_cert = pki_gate(&pki, HOST, gate_key, 0);
	agent_cert = agent_of(&pki);
	pki_must(mkdtemp(directory) != NULL);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	rmdir(directory);
	cert_free(gate_cert);
	cert_free(agent_cert);
	sign_key_free(gate_key);
	sign_key_free(agent_key);
	pki_fini(&pki);
	pki_fini(&rogue);
	return 0;
}

/* ---- one handshake ---- */

struct result {
	int client, server; /* 0 or what tls_failure says */
	char client_text[128], server_text[128];
	char alpn[16], suite[64], group[32];
	int version, has_peer, tickets;
};

static int
step(SSL *tls, int *code, char *text, size_t size)
{
	uint8_t byte;
	ERR_clear_error();
	int r = SSL_is_init_finished(tls) ? SSL_read(tls, &byte, 1) : SSL_do_handshake(tls);
	int error = SSL_get_error(tls, r);
	if (r > 0 || error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
		return 0;
	*code = tls_failure(tls, text, size);
	return -1;
}

static void
describe(SSL *client, SSL *server, struct result *r)
{
	const unsigned char *alpn;
	unsigned len;
	SSL_get0_alpn_selected(client, &alpn, &len);
	snprintf(r->alpn, sizeof r->alpn, "%.*s", (int)len, (const char *)alpn);
	snprintf(r->suite, sizeof r->suite, "%s", SSL_get_cipher_name(client));
	snprintf(r->group, sizeof r->group, "%s",
		OBJ_nid2sn((int)SSL_get_negotiated_group(client) & 0xffff));
	r->version = SSL_version(client);
	X509 *peer = SSL_get1_peer_certificate(server);
	r->has_peer = peer != NULL;
	X509_free(peer);
	r->tickets = SSL_SESSION_has_ticket(SSL_get0_session(client)) ||
		     SSL_SESSION_is_resumable(SSL_get0_session(client));
}

static struct result
shake(SSL_CTX *client_ctx, SSL_CTX *server_ctx, const char *host)
{
	struct result r = {0};
	BIO *a, *b;
	assert_non_null(client_ctx);
	assert_non_null(server_ctx);
	SSL *client = SSL_new(client_ctx), *server = SSL_new(server_ctx);
	pki_must(BIO_new_bio_pair(&a, 0, &b, 0));
	SSL_set_bio(client, a, a);
	SSL_set_bio(server, b, b);
	SSL_set_connect_state(client);
	SSL_set_accept_state(server);
	if (host)
		SSL_set1_host(client, host);
	for (int round = 0; round < 10; round++) {
		if (!r.client)
			step(client, &r.client, r.client_text, sizeof r.client_text);
		if (!r.server)
			step(server, &r.server, r.server_text, sizeof r.server_text);
	}
	if (!r.client && !SSL_is_init_finished(client))
		r.client = -ERR_TIMEOUT;
	if (!r.server && !SSL_is_init_finished(server))
		r.server = -ERR_TIMEOUT;
	if (!r.client && !r.server)
		describe(client, server, &r);
	SSL_free(client);
	SSL_free(server);
	return r;
}

static SSL_CTX *
incoming(X509 *cert)
{
	SSL_CTX *ctx = tls_incoming(cert, gate_key, &pki.issuer, 1);
	assert_non_null(ctx);
	return ctx;
}

/* A client of somebody else: verifies nothing, offers what the test says. */
static SSL_CTX *
stranger(const char *alpn)
{
	uint8_t list[64];
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	if (alpn) {
		list[0] = (uint8_t)strlen(alpn);
		memcpy(list + 1, alpn, list[0]);
		SSL_CTX_set_alpn_protos(ctx, list, list[0] + 1u);
	}
	return ctx;
}

static int
choose(SSL *tls, const uint8_t **out, uint8_t *out_len, const uint8_t *in, unsigned in_len,
	void *user)
{
	(void)tls, (void)in_len, (void)user;
	*out = in + 1; /* agrees to whatever comes first */
	*out_len = in[0];
	return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *
strange_server(X509 *cert, EVP_PKEY *key, int with_alpn)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	SSL_CTX_set_security_level(ctx, 0);
	pki_must(SSL_CTX_use_certificate(ctx, cert) && SSL_CTX_use_PrivateKey(ctx, key));
	if (with_alpn)
		SSL_CTX_set_alpn_select_cb(ctx, choose, NULL);
	return ctx;
}

static void
drop(SSL_CTX *a, SSL_CTX *b)
{
	tls_free(a);
	tls_free(b);
}

/* ---- tests ---- */

static void
test_good(void **state)
{
	(void)state;
	for (int with_cert = 0; with_cert < 2; with_cert++) {
		SSL_CTX *client = tls_outgoing(
			&pki.org, with_cert ? agent_cert : NULL, with_cert ? agent_key : NULL);
		SSL_CTX *server = incoming(gate_cert);
		struct result r = shake(client, server, HOST);
		assert_int_equal(r.client, 0);
		assert_int_equal(r.server, 0);
		assert_string_equal(r.alpn, TLS_ALPN_NATIVE);
		assert_string_equal(r.suite, "TLS_AES_256_GCM_SHA384");
		assert_string_equal(r.group, "X25519");
		assert_int_equal(r.version, TLS1_3_VERSION);
		assert_int_equal(r.has_peer, with_cert);
		assert_int_equal(r.tickets, 0);
		drop(client, server);
	}
	assert_null(tls_outgoing(&pki.org, agent_cert, gate_key)); /* the key of another */
}

static int
client_says(X509 *server_cert, const char *host)
{
	SSL_CTX *client = tls_outgoing(&pki.org, NULL, NULL), *server = incoming(server_cert);
	struct result r = shake(client, server, host);
	drop(client, server);
	if (r.client)
		assert_true(r.client_text[0] != '\0' && r.server != 0);
	return r.client;
}

static void
test_server_certificate(void **state)
{
	(void)state;
	X509 *expired = pki_gate(&pki, HOST, gate_key, 1),
	     *foreign = pki_gate(&rogue, HOST, gate_key, 0);
	struct cert_request request = {CERT_AGENT, "00", "o", (const char *[]){HOST, NULL}, 30};
	X509 *agents = cert_issue(pki.issuer_key, pki.issuer, gate_key, &request);
	assert_int_equal(client_says(gate_cert, HOST), 0);
	assert_int_equal(client_says(gate_cert, "other.example"), -ERR_CERT_UNTRUSTED);
	assert_int_equal(client_says(expired, HOST), -ERR_CERT_EXPIRED);
	assert_int_equal(client_says(foreign, HOST), -ERR_CERT_UNTRUSTED);
	assert_int_equal(
		client_says(agents, HOST), -ERR_CERT_UNTRUSTED); /* an agent that plays gate */
	cert_free(expired);
	cert_free(foreign);
	cert_free(agents);
}

/* A proxy that inspects TLS, with its authority in the store of the system and in the environment.
 */
static void
test_system_store(void **state)
{
	(void)state;
	char path[64];
	snprintf(path, sizeof path, "%s/store.pem", directory);
	FILE *f = fopen(path, "w");
	pki_must(f && PEM_write_X509(f, rogue.root) && PEM_write_X509(f, rogue.issuer) &&
		 fclose(f) == 0);
	setenv("SSL_CERT_FILE", path, 1);
	X509 *foreign = pki_gate(&rogue, HOST, gate_key, 0);
	/* the trap works: a program that asks the system would be caught */
	SSL_CTX *naive = stranger(NULL), *server = strange_server(foreign, gate_key, 1);
	SSL_CTX_set_default_verify_paths(naive);
	SSL_CTX_set_verify(naive, SSL_VERIFY_PEER, NULL);
	X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(naive), X509_V_FLAG_PARTIAL_CHAIN);
	assert_int_equal(shake(naive, server, HOST).client, 0);
	SSL_CTX *client = tls_outgoing(&pki.org, NULL, NULL);
	assert_int_equal(shake(client, server, HOST).client, -ERR_CERT_UNTRUSTED);
	drop(client, server);
	tls_free(naive);
	cert_free(foreign);
	unsetenv("SSL_CERT_FILE");
	unlink(path);
}

/* The authority moved on to its next issuing CA, and the organisation file here is older. */
static void
test_newer_issuer(void **state)
{
	(void)state;
	EVP_PKEY *key = sign_key_generate();
	X509 *issuer = cert_issuer(pki.root_key, pki.root, key, 90);
	struct cert_request request = {CERT_GATE, "gate-1", NULL, (const char *[]){HOST, NULL}, 30};
	X509 *cert = cert_issue(key, issuer, gate_key, &request);
	SSL_CTX *client = tls_outgoing(&pki.org, NULL, NULL);
	SSL_CTX *alone = tls_incoming(cert, gate_key, &pki.issuer, 1);
	SSL_CTX *with = tls_incoming(cert, gate_key, (X509 *const[]){pki.issuer, issuer}, 2);
	assert_int_equal(shake(client, alone, HOST).client, -ERR_CERT_UNTRUSTED);
	assert_int_equal(shake(client, with, HOST).client, 0);
	drop(alone, with);
	tls_free(client);
	cert_free(cert);
	cert_free(issuer);
	sign_key_free(key);
}

static int
server_says(X509 *cert, EVP_PKEY *key)
{
	SSL_CTX *client = stranger(TLS_ALPN_NATIVE), *server = incoming(gate_cert);
	pki_must(SSL_CTX_use_certificate(client, cert) && SSL_CTX_use_PrivateKey(client, key));
	struct result r = shake(client, server, NULL);
	drop(client, server);
	return r.server;
}

static void
test_client_certificate(void **state)
{
	(void)state;
	X509 *foreign = agent_of(&rogue), *expired = agent_of(&pki);
	pki_must(X509_gmtime_adj(X509_getm_notAfter(expired), -60) &&
		 X509_sign(expired, pki.issuer_key, EVP_sha256()));
	assert_int_equal(server_says(agent_cert, agent_key), 0);
	assert_int_equal(server_says(foreign, agent_key), -ERR_CERT_UNTRUSTED);
	assert_int_equal(server_says(expired, agent_key), -ERR_CERT_EXPIRED);
	assert_int_equal(server_says(gate_cert, gate_key),
		-ERR_CERT_UNTRUSTED); /* a gate that plays agent */
	cert_free(foreign);
	cert_free(expired);
}

static void
test_old_versions(void **state)
{
	(void)state;
	SSL_CTX *old = stranger(TLS_ALPN_NATIVE), *client = tls_outgoing(&pki.org, NULL, NULL);
	SSL_CTX *old_server = strange_server(gate_cert, gate_key, 1);
	SSL_CTX *servers[] = {
		incoming(gate_cert), tls_incoming_page_chain(&gate_cert, 1, gate_key)};
	SSL_CTX_set_security_level(old, 0);
	SSL_CTX_set_min_proto_version(old, 0);
	SSL_CTX_set_max_proto_version(old, TLS1_2_VERSION);
	SSL_CTX_set_max_proto_version(old_server, TLS1_2_VERSION);
	tls_incoming_share(servers[1], servers[0]);
	for (int i = 0; i < 2; i++) {
		struct result r = shake(old, servers[i], NULL);
		assert_int_equal(r.server, -ERR_VERSION);
		assert_int_equal(r.client, -ERR_VERSION);
	}
	assert_int_equal(shake(client, old_server, HOST).client, -ERR_VERSION);
	drop(old, client);
	drop(servers[0], servers[1]);
	tls_free(old_server);
}

static void
test_alpn(void **state)
{
	(void)state;
	static const char *const wrong[] = {
		NULL, "http/1.1", "h2", "engawa/2", "engawa/", "engawa/10"};
	SSL_CTX *native = incoming(gate_cert),
		*page = tls_incoming_page_chain(&gate_cert, 1, gate_key);
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		SSL_CTX *client = stranger(wrong[i]);
		struct result r = shake(client, native, NULL);
		assert_true(r.server < 0 && r.client == -ERR_VERSION);
		r = shake(client, page, NULL);
		assert_int_equal(r.server, i < 2 ? 0 : -ERR_VERSION);
		tls_free(client);
	}
	/* our client does not talk to a server that says nothing, or something else */
	SSL_CTX *client = tls_outgoing(&pki.org, NULL, NULL);
	SSL_CTX *mute = strange_server(gate_cert, gate_key, 0);
	struct result r = shake(client, mute, HOST);
	assert_int_equal(r.client, -ERR_VERSION);
	assert_non_null(strstr(r.client_text, TLS_ALPN_NATIVE));
	drop(client, mute);
	drop(native, page);
}

/* One port: the ALPN of the ClientHello decides, and with it certificate and client authentication.
 */
static void
test_shared_port(void **state)
{
	(void)state;
	SSL_CTX *native = incoming(gate_cert),
		*page = tls_incoming_page_chain(&gate_cert, 1, gate_key);
	SSL_CTX *agent = tls_outgoing(&pki.org, agent_cert, agent_key),
		*browser = stranger(TLS_ALPN_HTTP);
	SSL_CTX *plain = stranger(NULL), *thief = stranger(TLS_ALPN_NATIVE);
	X509 *foreign = agent_of(&rogue);
	pki_must(SSL_CTX_use_certificate(thief, foreign) &&
		 SSL_CTX_use_PrivateKey(thief, agent_key));
	pki_must(SSL_CTX_use_certificate(browser, foreign) &&
		 SSL_CTX_use_PrivateKey(browser, agent_key));
	tls_incoming_share(page, native);
	struct result r = shake(agent, page, HOST);
	assert_int_equal(r.client, 0);
	assert_int_equal(r.server, 0);
	assert_string_equal(r.alpn, TLS_ALPN_NATIVE);
	assert_int_equal(r.has_peer, 1);
	assert_int_equal(r.tickets, 0);
	r = shake(browser, page, NULL);
	assert_int_equal(r.server, 0);
	assert_string_equal(r.alpn, TLS_ALPN_HTTP);
	assert_int_equal(r.has_peer, 0); /* never asked for */
	r = shake(plain, page, NULL);
	assert_int_equal(r.server, 0);
	assert_string_equal(r.alpn, "");
	assert_int_equal(shake(thief, page, NULL).server, -ERR_CERT_UNTRUSTED);
	cert_free(foreign);
	drop(native, page);
	drop(agent, browser);
	drop(plain, thief);
}

static void
test_profile(void **state)
{
	(void)state;
	static const struct {
		const char *suites, *groups, *sigalgs;
		int passes;
	} cases[] = {
		{"TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384", NULL, NULL, 1},
		{"TLS_CHACHA20_POLY1305_SHA256", NULL, NULL, 1},
		{"TLS_AES_128_GCM_SHA256", NULL, NULL, 1},
		{"TLS_AES_128_CCM_SHA256", NULL, NULL, 0},
		{"TLS_AES_128_CCM_8_SHA256", NULL, NULL, 0},
		{NULL, "P-256", NULL, 1},
		{NULL, "P-384", NULL, 1},
		{NULL, "P-521", NULL, 0},
		{NULL, "X448", NULL, 0},
		{NULL, "ffdhe2048", NULL, 0},
		{NULL, NULL, "rsa_pss_rsae_sha256", 0},
		{NULL, NULL, "ecdsa_secp521r1_sha512", 0},
	};
	SSL_CTX *server = incoming(gate_cert);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		SSL_CTX *client = stranger(TLS_ALPN_NATIVE);
		if (cases[i].suites)
			pki_must(SSL_CTX_set_ciphersuites(client, cases[i].suites));
		if (cases[i].groups)
			pki_must((int)SSL_CTX_set1_groups_list(client, cases[i].groups));
		if (cases[i].sigalgs)
			pki_must((int)SSL_CTX_set1_sigalgs_list(client, cases[i].sigalgs));
		struct result r = shake(client, server, NULL);
		assert_int_equal(r.server == 0, cases[i].passes);
		if (i == 0) /* the order is ours, not the client's */
			assert_string_equal(r.suite, "TLS_AES_256_GCM_SHA384");
		tls_free(client);
	}
	tls_free(server);
}

static void
test_weak_page_key(void **state)
{
	(void)state;
	EVP_PKEY *rsa = EVP_RSA_gen(2048);
	X509 *cert = pki_gate(&pki, HOST, rsa, 0);
	assert_null(tls_incoming_page_chain(&cert, 1, rsa));
	assert_null(tls_incoming_page_chain((X509 *const[]){gate_cert, cert}, 2, gate_key));
	assert_null(tls_incoming_page_chain(&gate_cert, 1, agent_key)); /* not a pair */
	assert_null(tls_incoming_page_chain(NULL, 0, gate_key));
	cert_free(cert);
	EVP_PKEY_free(rsa);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_server_certificate),
		cmocka_unit_test(test_system_store),
		cmocka_unit_test(test_newer_issuer),
		cmocka_unit_test(test_client_certificate),
		cmocka_unit_test(test_old_versions),
		cmocka_unit_test(test_alpn),
		cmocka_unit_test(test_shared_port),
		cmocka_unit_test(test_profile),
		cmocka_unit_test(test_weak_page_key),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
