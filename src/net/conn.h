/*
 * A connection that carries bytes, with or without TLS, on a loop. Outer connections of agent and client, links of the
 * controller. (Gate workers have their own, leaner one.)
 *
 * Events come in this order: ready once; data and drained any number of times; closed exactly once, also after a failed
 * handshake, never from inside a call of ours. After closed only conn_free is allowed; conn_free before closed means
 * closed is never called.
 *
 * Back-pressure: data() returns how many bytes it used; the rest (at most in_max) is offered again when more comes or after
 * conn_resume. conn_pause stops reading: TCP's window tells the peer. conn_send queues up to out_max bytes; past
 * CONN_HIGH_BYTES the sender should stop until drained() (queue empty again).
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "net/loop.h"

struct conn;
struct ssl_st;
struct ssl_ctx_st;

enum { CONN_HIGH_BYTES = 256 * 1024, CONN_OUT_MAX_BYTES = 4 * 1024 * 1024 };

struct conn_events {
	void (*ready)(void *user);
	size_t (*data)(void *user, const uint8_t *data, size_t len);
	void (*drained)(void *user); /* may be NULL */
	/* code: -ERR_CLOSED for an orderly end, else what went wrong (-ERR_CERT_UNTRUSTED, -ERR_TIMEOUT, -errno...). */
	void (*closed)(void *user, int code);
};

/* Takes over the connected (or connecting) non-blocking fd. tls NULL = plain. host is checked against the
 * peer's certificate when connecting; NULL when accepting. ready must come within deadline_ms. */
struct conn *conn_new(struct loop *loop, int fd, struct ssl_ctx_st *tls, const char *host, int accepting,
	uint64_t deadline_ms, const struct conn_events *events, void *user);
void conn_free(struct conn *conn); /* at once, no close_notify wait */

/* 0, -ENOBUFS over CONN_OUT_MAX_BYTES (nothing queued), -ERR_CLOSED. */
int conn_send(struct conn *conn, const void *data, size_t len);
size_t conn_queued(const struct conn *conn); /* bytes not yet given to the kernel */
void conn_finish(struct conn *conn); /* flush, then close; closed(-ERR_CLOSED) follows */
void conn_pause(struct conn *conn);
void conn_resume(struct conn *conn);

/* Peer's address as text, "" when it has none. The first failure in words for diagnosis, "" when there is none. */
const char *conn_address(const struct conn *conn);
const char *conn_error(const struct conn *conn);
/* NULL for plain connections. */
struct ssl_st *conn_tls(struct conn *conn);
uint64_t conn_bytes_in(const struct conn *conn);
uint64_t conn_bytes_out(const struct conn *conn);
