/*
 * The two packets of a RADIUS login with PAP (RFC 2865), each with Message-Authenticator (RFC 2869
 * 5.14, RFC 3579 3.2), which is sent first and demanded in every answer: without it whoever is
 * between can turn a reject into an accept (CVE-2024-3596).
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum {
	RADIUS_PACKET_MAX_BYTES = 4096,
	RADIUS_HEADER_BYTES = 20,
	RADIUS_AUTHENTICATOR_BYTES = 16,
	RADIUS_PASSWORD_MAX_BYTES = 128
};

struct radius_request {
	uint8_t id;
	uint8_t authenticator[RADIUS_AUTHENTICATOR_BYTES]; /* random, never used twice */
};

enum radius_answer {
	RADIUS_FORGED, /* not an answer to this request by who knows the secret: as if it never
			  came */
	RADIUS_REJECT, /* anything but an accept, whatever its texts say */
	RADIUS_ACCEPT
};

/* Access-Request. Its length; 0 when name or password do not fit or the library fails. */
size_t radius_put(const struct radius_request *request, const char *user, const char *password,
	const char *secret, uint8_t out[static RADIUS_PACKET_MAX_BYTES]);
/* need_mac: without Message-Authenticator it is forged; only for what came over TLS that is not so.
 */
enum radius_answer radius_get(const struct radius_request *request, const char *secret,
	int need_mac, const uint8_t *p, size_t len);

/* "host", "host:port", "[address]:port", each with "tls://" in front for RadSec. 0 or -EINVAL. */
struct radius_server {
	char host[256], port[8];
	int tls;
};
int radius_server_parse(const char *text, struct radius_server *ret_server);
