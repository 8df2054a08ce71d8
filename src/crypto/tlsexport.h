/*
 * From an OpenSSL server handshake to a struct tlsrec. The context must issue no tickets and must not read ahead, so that after
 * SSL_accept nothing of the application's is inside OpenSSL and both application keys stand at sequence number 0.
 */
#pragma once
#include "crypto/tlsrec.h"

struct ssl_ctx_st;
struct ssl_st;

/* Once per context, before the first SSL_new: keeps each connection's traffic secrets with it. 0 or -ERR_CRYPTO. */
int tlsexport_prepare(struct ssl_ctx_st *ctx);

/* After a finished handshake; the SSL is to be freed next. 0 and *ret_rec, -ERR_CRYPTO (not finished, no TLS 1.3, or bytes are left inside). */
int tlsexport_take(struct ssl_st *ssl, struct tlsrec *ret_rec);
