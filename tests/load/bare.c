/*
 * The floor of a handshake: OpenSSL with the gate's certificates, one connection at a time, nothing
 * else. Answers the first message with one byte.
 *
 *   bare PORT CERTIFICATE KEY ISSUER      on 127.0.0.1, until it is killed; prints "ready"
 */
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"
#include "crypto/cert.h"
#include "crypto/sign.h"
#include "crypto/tls.h"
#include "ends.h"

static void
serve(SSL_CTX *context, int fd)
{
	uint8_t message[1024];
	SSL *ssl = SSL_new(context);
	if (!ssl || SSL_set_fd(ssl, fd) != 1 || SSL_accept(ssl) != 1 ||
		SSL_read(ssl, message, sizeof message) <= 0 || SSL_write(ssl, message, 1) != 1)
		ends_die("connection");
	SSL_free(ssl);
	close(fd);
}

int
main(int argc, char **argv)
{
	int64_t port;
	const int on = 1;
	struct sockaddr_in at = {.sin_family = AF_INET};
	struct evp_pkey_st *key;
	if (argc != 5 || str_int(argv[1], 1, UINT16_MAX, &port) < 0)
		return 2;
	struct x509_st *cert = cert_load(argv[2]), *issuer = cert_load(argv[4]);
	if (!cert || !issuer || sign_key_load(argv[3], &key) < 0)
		ends_die("certificates");
	SSL_CTX *context = tls_incoming(cert, key, &issuer, 1);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	at.sin_port = htons((uint16_t)port);
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (!context || bind(listener, (struct sockaddr *)&at, sizeof at) < 0 ||
		listen(listener, 512) < 0)
		ends_die("listen");
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		if (fd >= 0)
			serve(context, fd);
	}
}
