/*
 * Sessions through a relay, for the load generators: two ends of each, in one process. Setting up
 * blocks, is bounded in time, and ends the process when it fails.
 *
 *   engawa ORGANISATION-FILE CA-DIRECTORY    a gate
 *   pair PORT PEM                            tests/load/floor: the first two connections are one
 *                                            session
 *   tls PORT BACKEND-PORT PEM                a relay that takes TLS at PORT and opens TLS to
 *                                            BACKEND-PORT; both ports the same: no relay at all
 *   plain PORT BACKEND-PORT                  the same without TLS of ours
 *   agent PORT ORGANISATION-FILE CA-DIRECTORY    only for relay_greet
 *
 * PEM holds a certificate and its key. All is on 127.0.0.1.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "crypto/tlsrec.h"

struct end {
	int fd;
	struct ssl_st *ssl; /* NULL: plain */
	uint64_t sent;      /* records, with the key of application data */
	uint64_t got;       /* the same of the other side; only at a gate */
};

struct ends {
	struct end client, agent;
};

struct relay;

void __attribute__((noreturn)) ends_die(const char *what);
/* Words of the command line as above. */
struct relay *relay_open(int argc, char **argv);
void relay_session(struct relay *relay, struct ends *ret_ends);

/* No more sessions from here: another process may have the backend's port. */
void relay_done(struct relay *relay);
/* For "agent": connects with an agent's certificate, says Hello, waits for the first byte of an
 * answer, closes. */
void relay_greet(struct relay *relay);

/* Bytes of one end to its TLS library and back, blocking: exactly len. */
void end_write(struct end *end, const void *data, size_t len);
void end_read(struct end *end, void *data, size_t len);
/* From here on the caller makes and reads the records of this end itself: rec.out seals, at a gate
 * rec.in opens. */
void end_export(struct end *end, struct tlsrec *ret_rec);
