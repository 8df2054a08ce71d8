#include "gate/secure.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "crypto/cert.h"
#include "crypto/tls.h"
#include "gate/key.h"
#include "gate/tell.h"

enum {
	CHAIN_MAX = 8
};

struct secure_context {
	SSL_CTX *native, *page; /* page NULL = no browsers */
};

/* A struct secure is an SSL: no second allocation for each connection. */
static SSL *
ssl_of(const struct secure *secure)
{
	return (SSL *)(uintptr_t)secure;
}

static size_t
chain_parse(const char *pem, size_t len, X509 *ret_chain[static CHAIN_MAX])
{
	size_t count = 0;
	BIO *bio = len <= INT32_MAX ? BIO_new_mem_buf(pem, (int)len) : NULL;
	while (bio && count < CHAIN_MAX &&
		(ret_chain[count] = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
		count++;
	BIO_free(bio);
	ERR_clear_error();
	return count;
}

static SSL_CTX *
page_new(const char *pem, size_t len, struct key_channel *channel)
{
	X509 *chain[CHAIN_MAX];
	size_t count = chain_parse(pem, len, chain);
	EVP_PKEY *key = count > 0 ? key_remote_new(channel, chain[0], TELL_KEY_PAGE) : NULL;
	SSL_CTX *page = key ? tls_incoming_page_chain(chain, count, key) : NULL;
	EVP_PKEY_free(key);
	for (size_t i = 0; i < count; i++)
		cert_free(chain[i]);
	return page;
}

struct secure_context *
secure_context_new(X509 *native, X509 *const *issuers, size_t issuer_count, const char *page_pem,
	size_t page_len, int channel_fd)
{
	struct secure_context *context = mem_array(1, sizeof *context);
	struct key_channel *channel = key_channel_new(channel_fd);
	EVP_PKEY *key = channel ? key_remote_new(channel, native, TELL_KEY_NATIVE) : NULL;
	int ok = context && key;
	if (ok)
		context->native = tls_incoming(native, key, issuers, issuer_count);
	ok = ok && context->native;
	if (ok && page_pem) {
		context->page = page_new(page_pem, page_len, channel);
		ok = context->page != NULL;
		if (ok)
			tls_incoming_share(context->page, context->native);
	}
	EVP_PKEY_free(key);
	if (!ok) {
		if (channel)
			key_channel_keep(channel);
		secure_context_free(context);
		context = NULL;
	}
	key_channel_free(channel); /* the keys hold it from here on */
	return context;
}

void
secure_context_free(struct secure_context *context)
{
	if (!context)
		return;
	tls_free(context->page);
	tls_free(context->native);
	free(context);
}

struct secure *
secure_new(struct secure_context *context, int fd)
{
	SSL *ssl = SSL_new(context->page ? context->page : context->native);
	if (ssl && SSL_set_fd(ssl, fd)) {
		SSL_set_accept_state(ssl);
		SSL_set_read_ahead(
			ssl, 1); /* one system call for the header and the body of a record */
		return (struct secure *)ssl;
	}
	SSL_free(ssl);
	ERR_clear_error();
	return NULL;
}

void
secure_free(struct secure *secure)
{
	SSL_free(ssl_of(secure));
}

/* What a failed call means. A broken TLS connection is never used again (SSL_get_error(3)). */
static int
failure(SSL *ssl, int n)
{
	int saved = errno;
	switch (SSL_get_error(ssl, n)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return -ERR_CLOSED;
	case SSL_ERROR_SYSCALL:
		ERR_clear_error();
		return saved == EPIPE || saved == 0 ? -ECONNRESET : -saved;
	default:
		break;
	}
	int eof = ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
	return eof ? -ECONNRESET : -ERR_CRYPTO;
}

int
secure_handshake(struct secure *secure, char *ret_text, size_t size)
{
	SSL *ssl = ssl_of(secure);
	ERR_clear_error();
	errno = 0;
	int n = SSL_accept(ssl);
	if (n == 1)
		return 0;
	int r = failure(ssl, n);
	if (r == -ERR_CRYPTO)
		return tls_failure(ssl, ret_text, size);
	ERR_clear_error();
	return r;
}

int
secure_is_native(const struct secure *secure)
{
	const uint8_t *name;
	unsigned len;
	SSL_get0_alpn_selected(ssl_of(secure), &name, &len);
	return len == strlen(TLS_ALPN_NATIVE) && memcmp(name, TLS_ALPN_NATIVE, len) == 0;
}

int
secure_has_certificate(const struct secure *secure)
{
	return SSL_get0_peer_certificate(ssl_of(secure)) != NULL;
}

int
secure_agent(const struct secure *secure, uint8_t ret_agent_id[static 16])
{
	char organisation[128];
	X509 *cert = SSL_get0_peer_certificate(ssl_of(secure));
	if (!cert || SSL_get_verify_result(ssl_of(secure)) != X509_V_OK)
		return -ERR_CRYPTO;
	return cert_agent(cert, ret_agent_id, organisation, sizeof organisation);
}

int
secure_read(struct secure *secure, void *out, size_t cap)
{
	SSL *ssl = ssl_of(secure);
	ERR_clear_error();
	errno = 0;
	int n = SSL_read(ssl, out, cap > INT32_MAX ? INT32_MAX : (int)cap);
	if (n > 0)
		return n;
	int r = failure(ssl, n);
	ERR_clear_error();
	return r;
}

int
secure_write(struct secure *secure, const void *data, size_t len)
{
	SSL *ssl = ssl_of(secure);
	ERR_clear_error();
	errno = 0;
	int n = SSL_write(ssl, data, len > INT32_MAX ? INT32_MAX : (int)len);
	if (n > 0)
		return n;
	int r = failure(ssl, n);
	ERR_clear_error();
	return r;
}

int
secure_finish(struct secure *secure)
{
	SSL *ssl = ssl_of(secure);
	if (!SSL_is_init_finished(ssl))
		return 0;
	ERR_clear_error();
	errno = 0;
	int n = SSL_shutdown(ssl);
	if (n >= 0)
		return 0;
	int r = failure(ssl, n);
	ERR_clear_error();
	return r;
}
