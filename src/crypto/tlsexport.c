#include "crypto/tlsexport.h"

#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

struct secrets {
	uint8_t client[TLSREC_SECRET_MAX_BYTES], server[TLSREC_SECRET_MAX_BYTES];
	size_t client_len, server_len;
};

static int ex_index = -1; /* process-wide in OpenSSL too */

static void
on_free(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
	(void)parent, (void)ad, (void)idx, (void)argl, (void)argp;
	mem_wipe_free(ptr, sizeof(struct secrets));
}

/* NSS key log line: LABEL client_random secret */
static int
take_secret(const char *line, const char *label, uint8_t *out, size_t *ret_len)
{
	size_t n = strlen(label);
	if (strncmp(line, label, n) != 0 || line[n] != ' ')
		return 0;
	const char *hex = strrchr(line, ' ') + 1;
	size_t len = strlen(hex) / 2;
	if (len > TLSREC_SECRET_MAX_BYTES || str_unhex(hex, out, len) < 0)
		return 0;
	*ret_len = len;
	return 1;
}

static void
on_keylog(const SSL *ssl, const char *line)
{
	struct secrets *s = SSL_get_ex_data(ssl, ex_index);
	if (!s) {
		s = mem_array(1, sizeof *s);
		if (!s || SSL_set_ex_data((SSL *)(uintptr_t)ssl, ex_index, s) != 1) {
			free(s);
			return;
		}
	}
	if (!take_secret(line, "CLIENT_TRAFFIC_SECRET_0", s->client, &s->client_len))
		take_secret(line, "SERVER_TRAFFIC_SECRET_0", s->server, &s->server_len);
}

int
tlsexport_prepare(struct ssl_ctx_st *ctx)
{
	if (ex_index < 0)
		ex_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, on_free);
	if (ex_index < 0 || SSL_CTX_set_num_tickets(ctx, 0) != 1)
		return -ERR_CRYPTO;
	SSL_CTX_set_read_ahead(ctx, 0);
	SSL_CTX_set_keylog_callback(ctx, on_keylog);
	return 0;
}

int
tlsexport_take(struct ssl_st *ssl, struct tlsrec *ret_rec)
{
	const struct secrets *s = ex_index < 0 ? NULL : SSL_get_ex_data(ssl, ex_index);
	const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
	enum tlsrec_suite suite;
	if (!s || !cipher || !SSL_is_init_finished(ssl) || SSL_version(ssl) != TLS1_3_VERSION || SSL_has_pending(ssl) ||
		tlsrec_suite_find(SSL_CIPHER_get_protocol_id(cipher), &suite) < 0)
		return -ERR_CRYPTO;
	if (s->client_len != tlsrec_secret_bytes(suite) || s->server_len != s->client_len)
		return -ERR_CRYPTO;
	return tlsrec_init(ret_rec, suite, s->client, s->server, 0, 0);
}
