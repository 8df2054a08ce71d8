/*
 * Everything is set on the context, where no caller can forget it. What OpenSSL leaves to the
 * application is done in three callbacks: a native context refuses a ClientHello without our ALPN
 * (hello), selects it (select_alpn), and a client refuses a server that did not select it before it
 * looks at the certificate (verify).
 */
#include "crypto/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "base/wire.h"
#include "crypto/cert.h"

#define SUITES "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256"
#define GROUPS "X25519:P-256:P-384"
#define SIGALGS_NATIVE "ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384"
#define SIGALGS_PAGE SIGALGS_NATIVE ":rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:ed25519"

enum {
	LEVEL = 3,                   /* 128 bits: refuses RSA under 3072 and SHA-1 everywhere */
	DEPTH = 2,                   /* leaf, issuer, root */
	PEER_CERTS_MAX_BYTES = 8192, /* a leaf and an issuer of CERT_DER_MAX_BYTES, with room */
};

/* Length and name, as ALPN writes them. */
static const uint8_t alpn_native[] = "\x08" TLS_ALPN_NATIVE;
static const uint8_t alpn_http[] = "\x08" TLS_ALPN_HTTP;
_Static_assert(sizeof TLS_ALPN_NATIVE - 1 == 8 && sizeof TLS_ALPN_HTTP - 1 == 8, "lengths above");

/* 1 when the connection speaks engawa/1. */
static int
is_native(SSL *tls)
{
	const uint8_t *name;
	unsigned len;
	SSL_get0_alpn_selected(tls, &name, &len);
	return len == alpn_native[0] && memcmp(name, alpn_native + 1, len) == 0;
}

static int
verify(X509_STORE_CTX *store, void *unused)
{
	(void)unused;
	SSL *tls = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	if (!tls || !is_native(tls)) {
		X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
		return 0;
	}
	if (X509_verify_cert(store) != 1)
		return 0;
	/* OpenSSL takes a certificate that names no use for any use; the organisation's authority
	 * makes none like that */
	if (X509_get_extended_key_usage(X509_STORE_CTX_get0_cert(store)) == UINT32_MAX) {
		X509_STORE_CTX_set_error(store, X509_V_ERR_INVALID_PURPOSE);
		return 0;
	}
	return 1;
}

int
tls_alpn_native(const uint8_t *extension, size_t extension_len)
{
	struct rd r = rd_init(extension, extension_len);
	size_t len = rd_u16(&r);
	if (len != r.left)
		return 0;
	while (r.left > 0) {
		size_t name_len = rd_u8(&r);
		const uint8_t *name = rd_bytes(&r, name_len);
		if (name && name_len == alpn_native[0] &&
			memcmp(name, alpn_native + 1, name_len) == 0)
			return 1;
		if (!name)
			return 0;
	}
	return 0;
}

/* 1 when the ClientHello offers engawa/1. */
static int
offers_native(SSL *tls)
{
	const uint8_t *list;
	size_t len;
	return SSL_client_hello_get0_ext(tls, TLSEXT_TYPE_application_layer_protocol_negotiation,
		       &list, &len) &&
	       tls_alpn_native(list, len);
}

static int
hello_native(SSL *tls, int *alert, void *unused)
{
	(void)unused;
	if (offers_native(tls))
		return SSL_CLIENT_HELLO_SUCCESS;
	*alert = TLS1_AD_NO_APPLICATION_PROTOCOL;
	return SSL_CLIENT_HELLO_ERROR;
}

/* SSL_set_SSL_CTX takes over certificate and callbacks, but what SSL_new copied has to be copied
 * again. */
static int
hello_shared(SSL *tls, int *alert, void *user)
{
	SSL_CTX *native = user;
	if (!offers_native(tls))
		return SSL_CLIENT_HELLO_SUCCESS;
	if (!SSL_set_SSL_CTX(tls, native) ||
		!X509_VERIFY_PARAM_set1(SSL_get0_param(tls), SSL_CTX_get0_param(native))) {
		*alert = SSL_AD_INTERNAL_ERROR;
		return SSL_CLIENT_HELLO_ERROR;
	}
	SSL_set_verify(tls, SSL_CTX_get_verify_mode(native), NULL);
	SSL_set_max_cert_list(tls, SSL_CTX_get_max_cert_list(native));
	return SSL_CLIENT_HELLO_SUCCESS;
}

void
tls_incoming_share(SSL_CTX *page, SSL_CTX *native)
{
	SSL_CTX_set_client_hello_cb(page, hello_shared, native);
}

static int
select_alpn(SSL *tls, const uint8_t **out, uint8_t *out_len, const uint8_t *in, unsigned in_len,
	void *user)
{
	(void)tls;
	const uint8_t *ours = user;
	uint8_t *name;
	int r = SSL_select_next_proto(&name, out_len, ours, ours[0] + 1u, in, in_len);
	*out = name;
	return r == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static SSL_CTX *
context(const SSL_METHOD *method, const char *sigalgs)
{
	SSL_CTX *ctx = SSL_CTX_new(method);
	if (!ctx)
		return NULL;
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
					 SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(ctx, SSL_MODE_NO_AUTO_CHAIN | SSL_MODE_RELEASE_BUFFERS |
				      SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_security_level(ctx, LEVEL);
	SSL_CTX_set_verify_depth(ctx, DEPTH);
	SSL_CTX_set_max_cert_list(ctx, PEER_CERTS_MAX_BYTES);
	if (!SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) ||
		!SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) ||
		!SSL_CTX_set_ciphersuites(ctx, SUITES) || !SSL_CTX_set1_groups_list(ctx, GROUPS) ||
		!SSL_CTX_set1_sigalgs_list(ctx, sigalgs) ||
		!SSL_CTX_set1_client_sigalgs_list(ctx, SIGALGS_NATIVE) ||
		!SSL_CTX_set_num_tickets(ctx, 0)) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

/* The only anchors of this context: no system store, no environment variable. */
static int
trust(SSL_CTX *ctx, X509 *const *anchors, size_t count)
{
	X509_STORE *store = X509_STORE_new();
	int ok = store != NULL;
	for (size_t i = 0; ok && i < count; i++)
		ok = anchors[i] && X509_STORE_add_cert(store, anchors[i]);
	if (!ok) {
		X509_STORE_free(store);
		return 0;
	}
	SSL_CTX_set_cert_store(ctx, store);
	X509_VERIFY_PARAM_set_flags(
		SSL_CTX_get0_param(ctx), X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_X509_STRICT);
	/* a host is in the subject alternative names or nowhere (RFC 9525) */
	X509_VERIFY_PARAM_set_hostflags(
		SSL_CTX_get0_param(ctx), X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	SSL_CTX_set_cert_verify_callback(ctx, verify, NULL);
	return 1;
}

static int
present(SSL_CTX *ctx, X509 *cert, EVP_PKEY *key, X509 *const *issuers, size_t issuer_count)
{
	if (!SSL_CTX_use_certificate(ctx, cert) || !SSL_CTX_use_PrivateKey(ctx, key) ||
		!SSL_CTX_check_private_key(ctx))
		return 0;
	/* its own issuer travels along, so that a peer with an older organisation file gets to the
	 * root */
	for (size_t i = 0; i < issuer_count; i++)
		if (X509_check_issued(issuers[i], cert) == X509_V_OK)
			return (int)SSL_CTX_add1_chain_cert(ctx, issuers[i]);
	return 1;
}

SSL_CTX *
tls_outgoing(const struct orgfile *org, X509 *cert, EVP_PKEY *key)
{
	X509 *anchors[ORGFILE_KEYS_MAX + 1] = {NULL};
	size_t count = 0;
	SSL_CTX *ctx = context(TLS_client_method(), SIGALGS_NATIVE);
	for (; count < org->issuer_count; count++)
		anchors[count] = cert_parse(org->issuers[count], org->issuer_lens[count]);
	anchors[count++] = cert_parse(org->root, org->root_len);
	/* SSL_CTX_set_alpn_protos returns 0 when it succeeds */
	int ok = ctx && trust(ctx, anchors, count) &&
		 SSL_CTX_set_alpn_protos(ctx, alpn_native, alpn_native[0] + 1u) == 0 &&
		 (!cert || present(ctx, cert, key, NULL, 0));
	for (size_t i = 0; i < count; i++)
		cert_free(anchors[i]);
	if (!ok) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	return ctx;
}

SSL_CTX *
tls_incoming(X509 *cert, EVP_PKEY *key, X509 *const *issuers, size_t issuer_count)
{
	SSL_CTX *ctx = context(TLS_server_method(), SIGALGS_NATIVE);
	if (!ctx || !trust(ctx, issuers, issuer_count) ||
		!present(ctx, cert, key, issuers, issuer_count)) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	SSL_CTX_set_client_hello_cb(ctx, hello_native, NULL);
	SSL_CTX_set_alpn_select_cb(ctx, select_alpn, (void *)(uintptr_t)alpn_native);
	/* clients have no certificate; whoever has one must have a good one */
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	return ctx;
}

SSL_CTX *
tls_incoming_page_chain(X509 *const *chain, size_t count, EVP_PKEY *key)
{
	SSL_CTX *ctx = context(TLS_server_method(), SIGALGS_PAGE);
	int ok = ctx && count > 0 && present(ctx, chain[0], key, NULL, 0);
	for (size_t i = 1; ok && i < count; i++)
		ok = (int)SSL_CTX_add1_chain_cert(ctx, chain[i]);
	if (!ok) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	SSL_CTX_set_alpn_select_cb(ctx, select_alpn, (void *)(uintptr_t)alpn_http);
	return ctx;
}

void
tls_free(SSL_CTX *ctx)
{
	SSL_CTX_free(ctx);
}

static int
verify_failure(long result)
{
	switch (result) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return -ERR_CERT_EXPIRED;
	case X509_V_ERR_APPLICATION_VERIFICATION:
		return -ERR_VERSION;
	default:
		return -ERR_CERT_UNTRUSTED;
	}
}

/* Reasons 1000 and up are the alerts that the peer sent (1000 + alert). */
static int
reason_failure(int reason)
{
	switch (reason) {
	case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
		return -ERR_CERT_EXPIRED;
	case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
	case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
		return -ERR_CERT_UNTRUSTED;
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_WRONG_SSL_VERSION:
	case SSL_R_VERSION_TOO_LOW:
	case SSL_R_HTTP_REQUEST:
	case SSL_R_HTTPS_PROXY_REQUEST:
	case SSL_R_NO_APPLICATION_PROTOCOL:
	case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
	case SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL:
		return -ERR_VERSION;
	default:
		return -ERR_CRYPTO;
	}
}

int
tls_failure(SSL *tls, char *ret_text, size_t size)
{
	long result = SSL_get_verify_result(tls);
	unsigned long error = ERR_peek_error();
	int r = result != X509_V_OK ? verify_failure(result)
				    : reason_failure(ERR_GET_REASON(error));
	const char *text = result != X509_V_OK ? X509_verify_cert_error_string(result)
					       : ERR_reason_error_string(error);
	if (result == X509_V_ERR_APPLICATION_VERIFICATION)
		text = "the server did not select " TLS_ALPN_NATIVE;
	if (size > 0)
		str_print(ret_text, size, "%.*s", (int)size - 1, text ? text : "");
	ERR_clear_error();
	return r;
}

int
tls_check_client(SSL_CTX *ctx, X509 *cert)
{
	X509_STORE_CTX *store = X509_STORE_CTX_new();
	int ok = store && X509_STORE_CTX_init(store, SSL_CTX_get_cert_store(ctx), cert, NULL) == 1 &&
		 X509_STORE_CTX_set_default(store, "ssl_client") == 1;
	long result = X509_V_ERR_UNSPECIFIED;
	if (ok) {
		X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(store),
			X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_X509_STRICT);
		ok = X509_verify_cert(store) == 1 &&
		     X509_get_extended_key_usage(cert) != UINT32_MAX;
		result = X509_STORE_CTX_get_error(store);
	}
	X509_STORE_CTX_free(store);
	return ok ? 0 : result == X509_V_OK ? -ERR_CERT_UNTRUSTED : verify_failure(result);
}
