/* RADIUS: the servers in turn. Over UDP the same packet again as long as nobody answers. */
#include <netdb.h>
#include <openssl/rand.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/check.h"
#include "agent/radius.h"
#include "agent/radsec.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

enum {
	RETRY_MS = 2500, /* a server may hold a reject back for a second or two */
	TOTAL_MS = 10000,
	FORGED_MAX = 1000 /* after so many it is no longer worth listening */
};

static int
connect_to(const struct radius_server *server)
{
	struct addrinfo hints = {.ai_socktype = SOCK_DGRAM}, *found;
	if (getaddrinfo(server->host, server->port, &hints, &found) != 0)
		return -1;
	/* connected: answers from anywhere else do not even reach us */
	int fd = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) < 0) {
		close(fd);
		fd = -1;
	}
	freeaddrinfo(found);
	return fd;
}

/* Until an answer that is one, or the time is over. */
static enum radius_answer
listen_for(int fd, const struct radius_request *request, const char *secret, struct mono until)
{
	uint8_t in[RADIUS_PACKET_MAX_BYTES];
	for (int forged = 0; forged < FORGED_MAX;) {
		struct pollfd ready = {fd, POLLIN, 0};
		uint64_t left = mono_diff_ms(mono_now(), until);
		if (left == 0 || poll(&ready, 1, (int)left) <= 0)
			return RADIUS_FORGED;
		ssize_t n = recv(fd, in, sizeof in, 0);
		if (n < 0)
			return RADIUS_FORGED; /* nobody listens there */
		enum radius_answer answer = radius_get(request, secret, 1, in, (size_t)n);
		if (answer != RADIUS_FORGED)
			return answer;
		forged++;
		LOG(WARN, "radius.forged", F_INT("bytes", n));
	}
	return RADIUS_FORGED;
}

static enum radius_answer
ask(const struct radius_server *server, const struct check_question *q, struct mono until)
{
	struct radius_request request;
	uint8_t out[RADIUS_PACKET_MAX_BYTES];
	enum radius_answer answer = RADIUS_FORGED;
	const char *secret = q->field[CHECK_SECRET];
	if (RAND_bytes(&request.id, 1) != 1 ||
		RAND_bytes(request.authenticator, sizeof request.authenticator) != 1)
		return RADIUS_FORGED;
	size_t len =
		radius_put(&request, q->field[CHECK_USER], q->field[CHECK_PASSWORD], secret, out);
	int fd = len ? connect_to(server) : -1;
	if (fd < 0) {
		LOG(ERROR, "radius.server", F_STR("server", server->host));
		return RADIUS_FORGED;
	}
	for (int i = 0; i < 2 && answer == RADIUS_FORGED; i++) {
		struct mono pause = mono_add_ms(mono_now(), RETRY_MS);
		if (send(fd, out, len, 0) == (ssize_t)len)
			answer = listen_for(
				fd, &request, secret, mono_before(pause, until) ? pause : until);
	}
	close(fd);
	return answer;
}

int
check_radius(const struct check_question *question)
{
	char list[CHECK_FIELD_SIZE], *state;
	struct mono until = mono_add_ms(mono_now(), TOTAL_MS);
	/* a longer one cannot be anybody's */
	if (strlen(question->field[CHECK_PASSWORD]) > RADIUS_PASSWORD_MAX_BYTES)
		return -ERR_PASSWORD_WRONG;
	memcpy(list, question->field[CHECK_SERVICE], sizeof list);
	for (char *server = strtok_r(list, " ", &state); server && mono_before(mono_now(), until);
		server = strtok_r(NULL, " ", &state)) {
		struct radius_server to;
		if (radius_server_parse(server, &to) < 0) {
			LOG(ERROR, "radius.server", F_STR("server", server));
			continue;
		}
		enum radius_answer answer =
			to.tls ? radsec_ask(&to, question, until) : ask(&to, question, until);
		if (answer != RADIUS_FORGED)
			return answer == RADIUS_ACCEPT ? 0 : -ERR_PASSWORD_WRONG;
	}
	return -ERR_PERSON_SERVICE;
}
