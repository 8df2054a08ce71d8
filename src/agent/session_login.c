/* The handshake, in the monitor because it takes the long-term key (message 1 has one size, there
 * is nothing to parse), and what the login's steps need from outside. */
#include <errno.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/letter.h"
#include "agent/local.h"
#include "agent/resume.h"
#include "agent/self.h"
#include "agent/session.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/wire.h"
#include "signed.pb.h"

static void
on_prompt(void *user, const struct prompt *prompt)
{
	struct session *s = user;
	uint8_t out[MESSAGE_MAX_BYTES];
	process_send(s->login, MSG_PROMPT, out, prompt_put(prompt, out),
		-1); /* when it fails, gone follows */
}

static int
on_mail(void *user, const struct login_mail *mail)
{
	return letter_send(user, mail);
}

static int
on_mail_arrived(void *user)
{
	return letter_arrived(((struct session *)user)->agent);
}

static void
on_notice(void *user, uint32_t code)
{
	session_login_notice(user, code);
}

static int
on_self(void *user, const struct facts *facts)
{
	struct session *s = user;
	return !s->agent->options.self_connect && self_is(facts, s->ticket.client_address);
}

static struct mono
on_now(void *user)
{
	(void)user;
	return mono_now();
}

static uint64_t
on_wall(void *user)
{
	(void)user;
	return wall_s();
}

static int
on_address_confirmed(void *user)
{
	struct session *s = user;
	struct settings settings = s->agent->settings;
	memcpy(settings.mail, settings.mail_next, sizeof settings.mail);
	settings.mail_next[0] = '\0';
	settings.mail_next_until_s = settings.mail_back_s = 0;
	int r = local_save(s->agent, &settings);
	mem_wipe(&settings, sizeof settings);
	return r;
}

/* Suite, generation, ticket, session, terminal: both ends mean the same or the handshake fails
 * (docs/protocol.md 5). */
static struct noise_handshake *
handshake_new(struct session *s, const uint8_t *suite_generation, const uint8_t *psk)
{
	uint8_t prologue[5 + 32 + SESSION_ID_BYTES + TERMINAL_ID_CHARS];
	struct wr w = wr_init(prologue, sizeof prologue);
	wr_bytes(&w, suite_generation, 5);
	wr_bytes(&w, s->ticket_hash, sizeof s->ticket_hash);
	wr_bytes(&w, s->ticket.session_id.bytes, SESSION_ID_BYTES);
	wr_bytes(&w, s->agent->keys.terminal_id, TERMINAL_ID_CHARS);
	return noise_handshake_new(0, &s->agent->keys.agent, NULL, psk, prologue, w.len, NULL);
}

static int
shake(struct session *s, struct noise_handshake *hs, const uint8_t *message1)
{
	uint8_t none[1], hash[32], statement[SIGN_ENVELOPE_MAX_BYTES];
	uint8_t second[2 + NOISE_MESSAGE2_OVERHEAD_BYTES + sizeof statement];
	size_t len, statement_len = 0;
	int r = noise_handshake_read(hs, message1, NOISE_MESSAGE1_BYTES, none, sizeof none, &len);
	if (r < 0)
		return r;
	SHA256(noise_handshake_remote(hs), NOISE_KEY_BYTES, hash);
	if (!mem_equal(hash, s->ticket.device_hash.bytes, sizeof hash))
		return -ERR_TICKET_BAD;
	/* the psk proves more than a statement could: it is the very same agent */
	if (!s->base)
		r = keys_statement(
			&s->agent->keys, wall_s(), statement, sizeof statement, &statement_len);
	if (r == 0)
		r = noise_handshake_write(
			hs, statement, statement_len, second + 2, sizeof second - 2, &len);
	if (r == 0)
		r = noise_handshake_split(hs, &s->secrets);
	if (r < 0)
		return r;
	struct wr w = wr_init(second, 2);
	wr_u16(&w, (uint16_t)len);
	return process_send(s->pump, MSG_SECOND, second, 2 + len, -1);
}

static int
start_login(struct session *s)
{
	uint8_t keys[2 * NOISE_KEY_BYTES];
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	memcpy(keys, s->secrets.login_client, NOISE_KEY_BYTES);
	memcpy(keys + NOISE_KEY_BYTES, s->secrets.login_agent, NOISE_KEY_BYTES);
	s->login = session_start_process(s, ROLE_LOGIN, pair[0], -1);
	int r = s->login ? process_send(s->login, MSG_KEYS, keys, sizeof keys, -1) : -ERR_INTERNAL;
	if (r == 0)
		r = process_send(s->pump, MSG_ATTACH, NULL, 0, pair[1]);
	close(pair[0]);
	close(pair[1]);
	mem_wipe(keys, sizeof keys);
	mem_wipe(s->secrets.login_client, NOISE_KEY_BYTES);
	mem_wipe(s->secrets.login_agent, NOISE_KEY_BYTES);
	return r;
}

int
session_handshake(struct session *s, const uint8_t *first, size_t len)
{
	static const struct login_env env = {.prompt = on_prompt,
		.mail = on_mail,
		.check = session_check,
		.check_certificate = session_check_certificate,
		.maclist = session_maclist,
		.is_self = on_self,
		.now = on_now,
		.wall_s = on_wall,
		.address_confirmed = on_address_confirmed,
		.mail_arrived = on_mail_arrived,
		.notice = on_notice};
	struct rd r = rd_init(first, len);
	const uint8_t *suite_generation = rd_bytes(&r, 5);
	unsigned message_len = rd_u16(&r);
	const uint8_t *message1 = rd_bytes(&r, NOISE_MESSAGE1_BYTES);
	if (!rd_done(&r) || message_len != NOISE_MESSAGE1_BYTES)
		return -ERR_PROTOCOL;
	/* a login is IK alone; whoever comes back has a key from before, or is somebody else */
	struct rd g = rd_init(suite_generation + 1, 4);
	uint32_t generation = rd_u32(&g);
	const uint8_t *psk = s->base ? resume_psk(s->base, generation) : NULL;
	if (suite_generation[0] != (s->base ? NOISE_SUITE_IKPSK2 : NOISE_SUITE_IK) ||
		(s->base ? !psk : generation != 0))
		return -ERR_VERSION;
	struct noise_handshake *hs = handshake_new(s, suite_generation, psk);
	int result = hs ? shake(s, hs, message1) : -ENOMEM;
	noise_handshake_free(hs);
	if (result == 0) {
		resume_keep(s, generation);
		result = start_login(s);
	}
	if (result < 0)
		return result;
	policy_fini(&s->policy); /* the defaults, until now */
	s->policy_code = agent_policy(s->agent, &s->policy);
	s->env = env;
	s->env.user = s;
	const struct login_office office = {.policy = &s->policy,
		.policy_code = s->policy_code,
		.settings = &s->agent->settings,
		.addresses = &s->agent->addresses,
		.devices = s->agent->devices,
		.factors = s->agent->factors,
		.passkeys = s->agent->passkeys,
		.registry = s->agent->registry,
		.pairing = &s->agent->pairing,
		.macs = &s->agent->macs,
		.users = s->agent->users,
		.persons = s->agent->persons};
	login_init(&s->flow, &s->env, &office, s->ticket.client_address,
		s->ticket.device_hash.bytes, s->secrets.hash);
	if (s->base)
		login_resume(&s->flow, &s->base->flow);
	return 0;
}

void
session_login_close(struct session *s)
{
	session_check_drop(s);
	session_maclist_drop(s);
	login_fini(&s->flow);
	mem_wipe(&s->secrets, sizeof s->secrets);
}
