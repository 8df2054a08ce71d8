/*
 * Memory runs out at the first allocation, at the second, at every one: what parses the network and
 * what holds keys then fails cleanly. OpenSSL's allocations go through its hooks, ours (calloc,
 * reallocarray) through the linker's --wrap. Leaks are the sanitizer's to find.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "crypto/noise.h"
#include "crypto/orgfile.h"
#include "crypto/seal.h"
#include "crypto/terminal.h"
#include "crypto/ticket.h"
#include "crypto/tls.h"
#include "pki.h"

void *__wrap_calloc(size_t count, size_t size);
void *__wrap_reallocarray(void *p, size_t count, size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_reallocarray(void *p, size_t count, size_t size);

static unsigned long seen, fail_at; /* 0 = never */

static int
out_of_memory(void)
{
	return fail_at != 0 && ++seen >= fail_at;
}

void *
__wrap_calloc(size_t count, size_t size)
{
	return out_of_memory() ? NULL : __real_calloc(count, size);
}

void *
__wrap_reallocarray(void *p, size_t count, size_t size)
{
	return out_of_memory() ? NULL : __real_reallocarray(p, count, size);
}

static void *
hook_malloc(size_t size, const char *file, int line)
{
	(void)file, (void)line;
	return out_of_memory() ? NULL : malloc(size);
}

static void *
hook_realloc(void *p, size_t size, const char *file, int line)
{
	(void)file, (void)line;
	return out_of_memory() ? NULL : realloc(p, size);
}

static void
hook_free(void *p, const char *file, int line)
{
	(void)file, (void)line;
	free(p);
}

static struct pki pki;
static EVP_PKEY *key;
static uint8_t point[1][SIGN_POINT_BYTES];
static engawa_TicketBody ticket_body;
static uint8_t ticket[TICKET_MAX_BYTES], statement[SIGN_ENVELOPE_MAX_BYTES], box[64], request[512];
static size_t ticket_len, statement_len, request_len;
static struct noise_keypair pair;
static X509 *gate_cert;
static char *organisation;

/* ---- scenarios: 0 or a failure ---- */

static int
handshake(void)
{
	uint8_t message[200], out[200];
	size_t len, out_len;
	struct noise_secrets secrets;
	struct noise_handshake *i = noise_handshake_new(1, &pair, pair.public, box, "p", 1, NULL);
	struct noise_handshake *r = noise_handshake_new(0, &pair, NULL, box, "p", 1, NULL);
	int result = i && r ? noise_handshake_write(i, NULL, 0, message, sizeof message, &len)
			    : -ERR_INTERNAL;
	if (result == 0)
		result = noise_handshake_read(r, message, len, out, sizeof out, &out_len);
	if (result == 0)
		result = noise_handshake_write(r, "s", 1, message, sizeof message, &len);
	if (result == 0)
		result = noise_handshake_read(i, message, len, out, sizeof out, &out_len);
	if (result == 0)
		result = noise_handshake_split(i, &secrets);
	noise_handshake_free(i);
	noise_handshake_free(r);
	return result;
}

static int
cipher(void)
{
	uint8_t out[32];
	struct noise_cipher c;
	int r = noise_cipher_init(&c, pair.secret);
	if (r == 0)
		r = noise_seal(&c, NULL, 0, (const uint8_t *)"text", 4, out);
	noise_cipher_fini(&c);
	return r;
}

static int
open_box(void)
{
	uint8_t out[16];
	return seal_open(pair.secret, "c", 1, box, SEAL_OVERHEAD_BYTES + 4, out);
}

static int
make_box(void)
{
	uint8_t out[64];
	return seal_make(pair.public, "c", 1, "text", 4, out);
}

static int
verify_ticket(void)
{
	engawa_TicketBody body;
	return ticket_verify(
		(const void *)point, 1, ticket, ticket_len, ticket_body.issued_s, &body);
}

static int
issue_ticket(void)
{
	uint8_t out[TICKET_MAX_BYTES];
	size_t len;
	return ticket_issue(key, &ticket_body, out, sizeof out, &len);
}

static int
decode_statement(void)
{
	engawa_StatementBody body;
	return statement_decode(statement, statement_len, &body);
}

static int
remember(void)
{
	struct ticket_memory *memory = ticket_memory_new(10);
	ticket_memory_free(memory);
	return memory ? 0 : -ERR_INTERNAL;
}

static int
read_request(void)
{
	EVP_PKEY *got;
	int r = cert_csr_key(request, request_len, &got);
	if (r == 0)
		sign_key_free(got);
	return r;
}

static int
issue_cert(void)
{
	struct cert_request r = {
		CERT_GATE, "gate-1", "o", (const char *[]){"a.example", "::1", NULL}, 9};
	X509 *cert = cert_issue(pki.issuer_key, pki.issuer, key, &r);
	X509 *next = cert_issuer(pki.root_key, pki.root, key, 9);
	int ok = cert && next;
	cert_free(cert);
	cert_free(next);
	return ok ? 0 : -ERR_CRYPTO;
}

static int
read_organisation(void)
{
	struct orgfile org;
	struct conf_error error;
	int r = orgfile_parse(
		organisation, strlen(organisation), (uint64_t)time(NULL), &org, &error);
	if (r == 0)
		orgfile_fini(&org);
	return r;
}

static int
contexts(void)
{
	SSL_CTX *out = tls_outgoing(&pki.org, gate_cert, key);
	SSL_CTX *in = tls_incoming(gate_cert, key, &pki.issuer, 1);
	int ok = out && in;
	tls_free(out);
	tls_free(in);
	return ok ? 0 : -ERR_CRYPTO;
}

static int
queue(void)
{
	struct buf b;
	buf_init(&b, 5000);
	int r = buf_add(&b, statement, 100);
	for (int i = 0; r == 0 && i < 3; i++)
		r = buf_add(&b, statement, 1000);
	buf_fini(&b);
	return r;
}

/* ---- */

static void
torture(int (*scenario)(void))
{
	unsigned long n = 0;
	int r;
	assert_int_equal(scenario(), 0); /* what is made once and kept is made now */
	do {
		fail_at = ++n;
		seen = 0;
		r = scenario();
		unsigned long last = seen;
		fail_at = 0;
		ERR_clear_error();
		assert_true(r <= 0 && n < 20000);
		if (last < n) { /* nothing was refused any more */
			assert_int_equal(r, 0);
			break;
		}
	} while (1);
	assert_int_equal(scenario(), 0); /* and nothing stays broken */
}

static int (*const scenarios[])(void) = {handshake, cipher, open_box, make_box, verify_ticket,
	issue_ticket, decode_statement, remember, read_request, issue_cert, read_organisation,
	contexts, queue};

static void
test_all(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++)
		torture(scenarios[i]);
}

static void
make_organisation(void)
{
	static char text[16384];
	char b64[4][4096];
	str_base64(b64[0], pki.org.root, pki.org.root_len);
	str_base64(b64[1], pki.org.issuers[0], pki.org.issuer_lens[0]);
	str_base64(b64[2], point, SIGN_POINT_BYTES);
	str_base64(b64[3], pair.public, 32);
	pki_must(
		str_print(text, sizeof text,
			"ORGANISATION o\nNAME n\nREVISION 1\nNOT_AFTER 2099-01-01\nROOT %s\nISSUER %s\n"
			"GATE a b:1\nSIGNING_KEY %s\nPOLICY_KEY %s\nTICKET_KEY %s\nMAIL_KEY %s\nSUPPORT s\n",
			b64[0], b64[1], b64[2], b64[2], b64[2], b64[3]) == 0);
	pki_must(orgfile_sign(text, strlen(text), ORGFILE_PURPOSE, key, &organisation) == 0);
}

static int
setup(void **state)
{
	(void)state;
	engawa_StatementBody s = engawa_StatementBody_init_zero;
	pki_init(&pki);
	key = sign_key_generate();
	pki_must(sign_key_point(key, point[0]) == 0 && noise_keypair_generate(&pair) == 0);
	gate_cert = pki_gate(&pki, "gate.example", key, 0);
	ticket_body.session_id.size = ticket_body.agent_id.size = 16;
	ticket_body.agent_key.size = ticket_body.device_hash.size = 32;
	strcpy(ticket_body.organisation, "o");
	strcpy(ticket_body.gates[0], "g");
	ticket_body.gates_count = 1;
	ticket_body.issued_s = ticket_body.not_after_s = 1795000000;
	s.anchor_key.size = SIGN_POINT_BYTES;
	memcpy(s.anchor_key.bytes, point, SIGN_POINT_BYTES);
	s.salt.size = s.agent_id.size = 16;
	s.agent_key.size = 32;
	make_organisation();
	return ticket_issue(key, &ticket_body, ticket, sizeof ticket, &ticket_len) ||
	       statement_issue(key, &s, statement, sizeof statement, &statement_len) ||
	       seal_make(pair.public, "c", 1, "text", 4, box) ||
	       cert_csr_make(key, request, sizeof request, &request_len);
}

static int
teardown(void **state)
{
	(void)state;
	free(organisation);
	cert_free(gate_cert);
	sign_key_free(key);
	pki_fini(&pki);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),
	};
	/* before OpenSSL's first allocation */
	if (!CRYPTO_set_mem_functions(hook_malloc, hook_realloc, hook_free))
		return 1;
	return cmocka_run_group_tests(tests, setup, teardown);
}
