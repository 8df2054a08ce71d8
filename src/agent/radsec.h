/*
 * RADIUS over TLS (RadSec, RFC 6614). An own client around radius.h: Debian's radcli (1.2.11) takes
 * one TLS record for one packet, knows one such server, needs a dictionary, and switches the check
 * of the server's name off by most values of the option that is to switch it on.
 */
#pragma once
#include "agent/check.h"
#include "agent/radius.h"
#include "base/clock.h"

/* Asks one server; its certificate must come from CHECK_CA and have its name. Blocks until then.
 * RADIUS_FORGED: no answer. */
enum radius_answer radsec_ask(
	const struct radius_server *server, const struct check_question *q, struct mono until);
