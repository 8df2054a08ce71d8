/* Connections that come by way of a load balancer: the PROXY protocol, version 2, from the sources
 * that PROXY_FROM names, and from them always. */
#pragma once
#include "gate/leg.h"

/* "192.0.2.0/24", "2001:db8::1": 1 when the address is in it, 0 when not, -ERR_SETTING when it is
 * no network. */
int proxied_match(const char *network, const struct address *address);
/* Whether this peer has to say whom it speaks for. */
int proxied_source(const struct worker *w, const struct address *address);
/* Before the first byte of TLS. 0 = the leg has its real address, -EAGAIN, or the leg has to go. */
int proxied_take(struct worker *w, struct leg *l);
