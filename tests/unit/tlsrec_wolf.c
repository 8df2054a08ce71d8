#include "tlsrec_wolf.h"

#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

void *
wolf_connect(int fd)
{
	wolfSSL_Init();
	WOLFSSL_CTX *ctx = wolfSSL_CTX_new(wolfTLSv1_3_client_method());
	if (!ctx)
		return NULL;
	wolfSSL_CTX_set_verify(ctx, WOLFSSL_VERIFY_NONE, NULL);
	WOLFSSL *ssl = wolfSSL_new(ctx);
	wolfSSL_CTX_free(ctx); /* the session keeps its own reference */
	if (!ssl || wolfSSL_set_fd(ssl, fd) != WOLFSSL_SUCCESS || wolfSSL_connect(ssl) != WOLFSSL_SUCCESS) {
		wolfSSL_free(ssl);
		return NULL;
	}
	return ssl;
}

int
wolf_send(void *session, const void *data, int len)
{
	return wolfSSL_write(session, data, len);
}

int
wolf_recv(void *session, void *data, int len)
{
	return wolfSSL_read(session, data, len);
}

int
wolf_update(void *session)
{
	return wolfSSL_update_keys(session) == WOLFSSL_SUCCESS ? 0 : -1;
}

void
wolf_close(void *session)
{
	wolfSSL_shutdown(session);
}

void
wolf_free(void *session)
{
	wolfSSL_free(session);
}
