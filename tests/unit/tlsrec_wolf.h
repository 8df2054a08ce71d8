/* wolfSSL as a TLS 1.3 client; apart because its headers clash with OpenSSL's. */
#pragma once

void *wolf_connect(int fd); /* NULL on failure */
int wolf_send(void *session, const void *data, int len);
int wolf_recv(void *session, void *data, int len);
int wolf_update(void *session);
void wolf_close(void *session);
void wolf_free(void *session);
