#include "gate/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "gate/proxied.h"

#define OPTION(key, type, field, fallback, min, max, help)                                   \
	{                                                                                    \
		key, CONF_##type, offsetof(struct settings, field), fallback, min, max, help \
	}

enum {
	DAY_S = 86400,
	NAME_MAX_BYTES = 63
};

/*
 * Defaults suit networks in which thousands of people share one address: the two limits that count
 * an address's connections stand far above what one office or one NAT has, and faults are an
 * address's only as long as nobody better is known (fault.h).
 */
const struct conf_option settings_table[] = {
	OPTION("LISTEN", LIST, listen, NULL, 0, 0,
		"Address and port for agents, clients and browsers, as 192.0.2.1:443 or [::]:443. When there is none: [::]:443."),
	OPTION("RUN_DIRECTORY", STR, run_directory, "/run/engawa", 0, 0,
		"Directory of the controller's sockets link.sock and http.sock."),
	OPTION("NAME", STR, name, NULL, 0, 0,
		"Name of this gate, as in the organisation files and in tickets."),
	OPTION("CERTIFICATE", STR, certificate, NULL, 0, 0,
		"Certificate of this gate, PEM, from engawa gate add."),
	OPTION("KEY", STR, key, NULL, 0, 0, "Its private key. Only the keeper process reads it."),
	OPTION("ISSUER", LIST, issuers, NULL, 0, 0,
		"Certificate of an issuing authority for agents, PEM: the current one and, during a change, the next."),
	OPTION("PAGE_CERTIFICATE", STR, page_certificate, NULL, 0, 0,
		"Certificate chain for browsers, PEM. Without it browsers are refused."),
	OPTION("PAGE_KEY", STR, page_key, NULL, 0, 0,
		"Its private key (ECDSA). Only the keeper process reads it."),
	OPTION("SITE", LIST, sites, NULL, 0, 0, "host:port of a gate that agents are told of."),
	OPTION("PROXY_FROM", LIST, proxy_from, NULL, 0, 0,
		"Address or network of load balancers, as 192.0.2.0/24. What comes from there must begin with a PROXY protocol header, version 2; from nowhere else is one taken."),
	OPTION("USER", STR, user, "engawa", 0, 0,
		"User that workers and keeper become when the gate is started as root."),
	OPTION("LOG_LEVEL", STR, log_level, "info", 0, 0, "debug, info, warn or error."),
	OPTION("WORKERS", INT, workers, "0", 0, 64,
		"Worker processes. 0 = one for each core, or for each 18,500 of CONNECTIONS_MAX, whichever is more, but not more than 64."),

	OPTION("KEEPALIVE_S", INT, keepalive_s, "30", 1, 3600,
		"Seconds between two pings to a waiting agent."),
	OPTION("SILENCE_S", INT, silence_s, "75", 2, 7200,
		"An agent that sends nothing for this long is gone."),
	OPTION("HANDSHAKE_S", INT, handshake_s, "10", 1, 60, "Deadline of the TLS handshake."),
	OPTION("HELLO_S", INT, hello_s, "10", 1, 60,
		"Deadline of the first frame or of a browser's request head."),
	OPTION("FRAME_S", INT, frame_s, "20", 1, 300,
		"Deadline of the next frame of a client or of an enrolment."),
	OPTION("ANSWER_S", INT, answer_s, "15", 1, 60,
		"How long a client waits for the agent to answer a knock."),
	OPTION("CONTROLLER_S", INT, controller_s, "5", 1, 60,
		"How long a request waits for the controller."),
	OPTION("SESSION_SILENCE_S", INT, session_silence_s, "600", 1, DAY_S,
		"A session in which no byte moves for this long is ended. Longer than a person needs to fetch a code from the mail."),
	OPTION("HALF_CLOSED_S", INT, half_closed_s, "30", 1, 3600,
		"When one side has ended its direction, how long the other direction may still go on."),
	OPTION("DRAIN_S", INT, drain_s, "600", 0, DAY_S,
		"After SIGTERM, how long sessions may go on."),

	OPTION("CONNECTIONS_MAX", INT, connections_max, "18000", 4, 1000000,
		"Connections of all workers. Lowered to what their descriptors allow."),
	OPTION("HALF_OPEN_MAX", INT, half_open_max, "2048", 1, 1000000,
		"Connections that have not shown yet who they are, with a certificate or a ticket. When full, the slowest one makes room."),
	OPTION("SOURCE_MAX", INT, source_max, "8192", 1, 65535,
		"Connections from one IPv4 address or IPv6 /64."),
	OPTION("SOURCE_HALF_OPEN_MAX", INT, source_half_open_max, "512", 1, 65535,
		"Half-open ones from one source. When it has them all, the slowest of its own makes room for its next one after two seconds."),
	OPTION("SPLICE_MAX", INT, splice_max, "1024", 1, 65535,
		"Browser connections to the controller at a time, so that pages cannot starve sessions."),
	OPTION("ASKS_MAX", INT, asks_max, "8", 1, 1000,
		"Tickets that one client connection may ask for."),
	OPTION("MEMORY_MAX_MIB", INT, memory_max_mib, "512", 1, 1 << 20,
		"Buffers for bytes on their way. As they fill, each session may hold less."),
	OPTION("PIPE_HIGH_BYTES", INT, pipe_high_bytes, "262144", 16384, 1 << 26,
		"Bytes held for a side that does not read, before the other side is no longer read."),
	OPTION("CLIENT_RATE_BYTES_S", INT, client_rate_bytes_s, "16384", 0, 1 << 30,
		"Bytes a second from a client to its agent, sustained. 0 = no limit."),
	OPTION("CLIENT_BURST_BYTES", INT, client_burst_bytes, "65536", 4096, 1 << 30,
		"Burst above that rate."),
	OPTION("ORGANISATION_RATE_BYTES_S", INT, organisation_rate_bytes_s, "0", 0,
		INT64_C(1) << 40,
		"Bytes a second of all sessions of one organisation, both directions. Gates of one controller divide it. 0 = no limit."),
	OPTION("PREFECTURE_RATE_BYTES_S", INT, prefecture_rate_bytes_s, "0", 0, INT64_C(1) << 40,
		"Bytes a second of one prefecture. While there is more to send, each of its organisations that sends gets its part. Gates of one controller divide it. 0 = no limit."),
	OPTION("ORGANISATION_AGENTS_MAX", INT, organisation_agents_max, "0", 0, 1000000,
		"Office PCs of one organisation that wait here. 0 = no limit but its part of a full gate."),
	OPTION("ORGANISATION_SESSIONS_MAX", INT, organisation_sessions_max, "0", 0, 1000000,
		"Sessions of one organisation at a time. 0 = no limit but its part of a full gate."),
	OPTION("ORGANISATION_HANDSHAKES_S", INT, organisation_handshakes_s, "200", 0, 1000000,
		"Office PCs of one organisation that may come (back) in a second, ten seconds' worth at once. The others come a little later. One that is alone here has no such limit. 0 = no limit."),
	OPTION("ORGANISATION_RESERVE_PERCENT", INT, organisation_reserve_percent, "25", 0, 90,
		"So much of CONNECTIONS_MAX is kept for organisations that hold less than their part by weight. One that is alone may have all. 0 = nothing is kept."),
	OPTION("AGENT_FAULTS_PER_MINUTE", INT, agent_faults_per_minute, "60", 0, 6000,
		"Faults of one office PC, known by its certificate, before it is refused for up to a minute. 0 = no limit."),
	OPTION("DEVICE_FAULTS_PER_MINUTE", INT, device_faults_per_minute, "60", 0, 6000,
		"Faults of one device of a client, known by its ticket or its question for one. 0 = no limit."),
	OPTION("SOURCE_FAULTS_PER_MINUTE", INT, source_faults_per_minute, "600", 0, 6000,
		"Faults of those at one IPv4 address or IPv6 /64 who have not shown who they are. Newcomers from there then have their turn after the others; nobody is refused. When half-open places are short and nobody else is known there, a sixteenth of SOURCE_HALF_OPEN_MAX is left to it. 0 = no limit."),
	OPTION("RATE_BURST_MS", INT, rate_burst_ms, "500", 10, 10000,
		"So much of those rates may be used at once after a pause."),
	OPTION("METRICS_SOCKET", STR, metrics_socket, NULL, 0, 0,
		"Unix socket on which the gate tells its numbers to root and to the user who started it: OpenMetrics over HTTP. When not set there is none."),
	OPTION("SIGNS_MAX_S", INT, signs_max_s, "5000", 1, 1000000,
		"TLS handshakes that the keeper signs in a second, for each key."),
	CONF_OPTIONS_END,
};

static int
wrong(struct conf_error *error, const char *text)
{
	snprintf(error->text, sizeof error->text, "%s", text);
	return -ERR_SETTING;
}

int
settings_check(const struct settings *s, struct conf_error *error)
{
	enum log_level level;
	if (!s->name || !*s->name || strlen(s->name) > NAME_MAX_BYTES)
		return wrong(error, "NAME is not set, or longer than 63 bytes");
	if (!s->certificate || !s->key)
		return wrong(error, "CERTIFICATE and KEY must be set");
	if (s->issuers.count == 0)
		return wrong(error, "ISSUER must be set");
	if (!s->page_certificate != !s->page_key)
		return wrong(error, "PAGE_CERTIFICATE and PAGE_KEY go together");
	for (size_t i = 0; i < s->proxy_from.count; i++)
		if (proxied_match(s->proxy_from.items[i], &(struct address){{0}}) < 0)
			return wrong(error, "PROXY_FROM must be an address or a network");
	if (s->silence_s <= s->keepalive_s)
		return wrong(error, "SILENCE_S must be longer than KEEPALIVE_S");
	if (log_level_parse(s->log_level, &level) < 0)
		return wrong(error, "LOG_LEVEL must be debug, info, warn or error");
	return 0;
}

int64_t
settings_workers(const struct settings *s)
{
	enum {
		CONNECTIONS_EACH = 18500,
		MOST = 64
	};
	int64_t cores = sysconf(_SC_NPROCESSORS_ONLN);
	int64_t n = (s->connections_max + CONNECTIONS_EACH - 1) / CONNECTIONS_EACH;
	n = s->workers > 0 ? s->workers : n > cores ? n : cores;
	return n < 1 ? 1 : n > MOST ? MOST : n;
}

int
settings_pack(const struct settings *settings, char **ret_text, size_t *ret_len)
{
	FILE *out = open_memstream(ret_text, ret_len);
	if (!out)
		return -ENOMEM;
	conf_dump(settings_table, settings, out);
	return fclose(out) == 0 ? 0 : -ENOMEM;
}

static int
on_line(void *user, const char *key, const char *value)
{
	struct conf_error error;
	return conf_set(settings_table, user, key, value, &error);
}

int
settings_unpack(const char *text, size_t len, struct settings *settings)
{
	unsigned line;
	return conf_lines(text, len, on_line, settings, &line);
}

void
settings_free(struct settings *settings)
{
	conf_free(settings_table, settings);
}
