#include "agent/letter.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pb_encode.h>
#include <string.h>

#include "agent/local.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "crypto/seal.h"
#include "signed.pb.h"

enum {
	HASH_BYTES = 32
};

static struct log_limit returned_limit = {.burst = 20, .window_ms = 60000};

/* Keyed: it goes through the hands of the relay, which is not to learn addresses by guessing. */
static int
mark_of(const struct agent *agent, const char *address, uint32_t *ret_mark)
{
	static const char purpose[] = "engawa mail address v1";
	uint8_t hash[HASH_BYTES];
	char text[sizeof purpose + SETTINGS_MAIL_SIZE];
	unsigned len;
	if (str_print(text, sizeof text, "%s %s", purpose, address) < 0 ||
		!HMAC(EVP_sha256(), agent->keys.agent.secret, NOISE_KEY_BYTES,
			(const uint8_t *)text, strlen(text), hash, &len))
		return -ERR_CRYPTO;
	memcpy(ret_mark, hash, sizeof *ret_mark);
	return 0;
}

static int
is_marked(const struct agent *agent, const char *address, uint32_t mark)
{
	uint32_t own;
	return address && address[0] && mark_of(agent, address, &own) == 0 && own == mark;
}

static int
fill(const struct session *s, const struct login_mail *mail, engawa_MailCode *msg)
{
	const char *terminal_id = s->agent->keys.terminal_id;
	if (str_copy(msg->address, sizeof msg->address, mail->address) < 0 ||
		str_copy(msg->code, sizeof msg->code, mail->code) < 0 ||
		str_copy(msg->device, sizeof msg->device, mail->device) < 0 ||
		str_copy(msg->locale, sizeof msg->locale, mail->locale) < 0 ||
		str_copy(msg->client_address, sizeof msg->client_address,
			s->ticket.client_address) < 0 ||
		str_copy(msg->words[0], sizeof msg->words[0], mail->words[0]) < 0 ||
		str_copy(msg->words[1], sizeof msg->words[1], mail->words[1]) < 0 ||
		str_copy(msg->terminal_tail, sizeof msg->terminal_tail,
			terminal_id + TERMINAL_ID_CHARS - 4) < 0)
		return -ERR_INTERNAL;
	return mark_of(s->agent, mail->address, &msg->address_mark);
}

int
letter_send(struct session *s, const struct login_mail *mail)
{
	uint8_t plain[engawa_MailCode_size], sealed[sizeof plain + SEAL_OVERHEAD_BYTES];
	engawa_MailCode msg = {
		.time_s = wall_s(), .words_count = 2, .kind = (engawa_MailKind)mail->kind};
	struct note note = {.gate = s->gate, .rest = sealed};
	memcpy(note.session_id, s->ticket.session_id.bytes, SESSION_ID_BYTES);
	pb_ostream_t stream = pb_ostream_from_buffer(plain, sizeof plain);
	int r = fill(s, mail, &msg);
	if (r == 0 && !pb_encode(&stream, engawa_MailCode_fields, &msg))
		r = -ERR_INTERNAL;
	if (r == 0)
		r = seal_make(s->agent->keys.org.mail_key, note.session_id, SESSION_ID_BYTES, plain,
			stream.bytes_written, sealed);
	note.rest_len = stream.bytes_written + SEAL_OVERHEAD_BYTES;
	mem_wipe(&msg, sizeof msg);
	mem_wipe(plain, sizeof plain);
	s->mail_told = 0;
	return r < 0 ? r : agent_control(s->agent, MSG_SEND_CODE, &note);
}

static int
keep(struct agent *agent, uint64_t back_s)
{
	struct settings settings = agent->settings;
	settings.mail_back_s = back_s;
	int r = local_save(agent, &settings);
	mem_wipe(&settings, sizeof settings);
	if (r < 0)
		LOG(ERROR, "settings.mail", F_STR("change", "returned"), F_ERR("code", r));
	return r;
}

int
letter_arrived(struct agent *agent)
{
	return agent->settings.mail_back_s ? keep(agent, 0) : 0;
}

/* Each of them once for each mail. */
static void
tell_waiting(struct agent *agent, uint32_t mark, uint32_t code)
{
	const unsigned bit = code == ERR_MAIL_CAME_BACK ? 1 : 2;
	for (size_t i = 0; i < SESSIONS_MAX; i++) {
		struct session *s = agent->sessions[i];
		if (!s || s->state != SESSION_LOGIN || (s->mail_told & bit) ||
			!is_marked(agent, login_mail_waits(&s->flow), mark))
			continue;
		s->mail_told |= bit;
		session_login_notice(s, code);
	}
}

void
letter_returned(struct agent *agent, const struct note *note)
{
	uint32_t mark, held;
	int came_back = note->code == ERR_MAIL_CAME_BACK;
	if (note->rest_len != sizeof mark || (!came_back && note->code != ERR_MAIL_DELAYED))
		return;
	memcpy(&mark, note->rest, sizeof mark);
	int registered = is_marked(agent, agent->settings.mail, mark);
	if (!registered && !is_marked(agent, agent->settings.mail_next, mark))
		return; /* no longer anybody's */
	if (log_limit_pass(&returned_limit, &held))
		LOG(WARN, "mail.returned", F_STR("address", registered ? "registered" : "next"),
			F_ERR("state", (int)note->code), F_INT("held", held));
	if (came_back && registered && !agent->settings.mail_back_s)
		keep(agent, wall_s());
	tell_waiting(agent, mark, note->code);
}
