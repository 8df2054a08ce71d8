#include "controller/mailer.h"

#include <errno.h>
#include <limits.h>
#include <openssl/rand.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sandbox.h"
#include "base/str.h"
#include "controller/limit.h"
#include "controller/mail.h"
#include "controller/peer.h"
#include "controller/returns.h"
#include "controller/smtp.h"
#include "crypto/seal.h"
#include "link.pb.h"
#include "net/frame.h"

enum {
	FD_CORE = 3,
	FD_BOUNCE,       /* with BOUNCE_ADDRESS */
	DEADLINE_S = 20, /* a person waits for the answer */
	PASSWORD_MAX_BYTES = 512,
	AGENTS = 65536,
	SESSION_BYTES = 16,
};

struct mailer {
	const struct settings *settings;
	struct loop *loop;
	struct peer *core;
	struct smtp *smtp;
	struct limit *limit;     /* by agent */
	struct returns *returns; /* NULL without BOUNCE_ADDRESS */
	uint8_t secret[32], bounce_key[BOUNCE_KEY_BYTES];
	char *password;
};

/* A mail that is under way. */
struct letter {
	struct mailer *mailer;
	engawa_LinkCodeSent sent;
};

static void
answer(struct mailer *mailer, engawa_LinkCodeSent *sent, int code)
{
	sent->code_sent.code = (uint32_t)-code;
	peer_send(mailer->core, PEER_MAILED, engawa_LinkCodeSent_fields, sent);
}

static void
on_sent(void *user, int code, const char *text)
{
	struct letter *letter = user;
	if (code < 0) /* libcurl's text names servers and replies, never the mail */
		LOG(WARN, "smtp", F_ERR("code", code), F_STR("why", text));
	answer(letter->mailer, &letter->sent, code);
	free(letter);
}

/* MailCode out of its seal. */
static int
open_code(const struct mailer *mailer, const engawa_SendCode *send, engawa_MailCode *ret_code)
{
	uint8_t plain[sizeof send->sealed.bytes];
	if (send->session_id.size != SESSION_BYTES || send->sealed.size <= SEAL_OVERHEAD_BYTES)
		return -ERR_PROTOCOL;
	int r = seal_open(mailer->secret, send->session_id.bytes, send->session_id.size,
		send->sealed.bytes, send->sealed.size, plain);
	if (r == 0)
		r = frame_decode(engawa_MailCode_fields, ret_code, plain,
			send->sealed.size - SEAL_OVERHEAD_BYTES);
	mem_wipe(plain, sizeof plain);
	return r;
}

/* The envelope's: where it comes back to when it cannot be delivered. */
static int
sender(const struct mailer *mailer, const uint8_t *agent, uint32_t mark,
	char out[static BOUNCE_SENDER_SIZE])
{
	const struct settings *s = mailer->settings;
	struct bounce bounce = {.mark = mark};
	memcpy(bounce.agent, agent, sizeof bounce.agent);
	return s->bounce_address ? bounce_sender(mailer->bounce_key, &bounce, wall_s(),
					   s->bounce_address, out)
				 : str_copy(out, BOUNCE_SENDER_SIZE, s->smtp_from);
}

static int
post(struct mailer *mailer, const uint8_t *agent, const engawa_MailCode *code,
	struct letter *letter)
{
	char message[MAIL_MAX_BYTES], from[BOUNCE_SENDER_SIZE];
	uint8_t id[MAIL_ID_BYTES];
	if (RAND_bytes(id, sizeof id) != 1 || sender(mailer, agent, code->address_mark, from) < 0)
		return -ERR_INTERNAL;
	int len = mail_compose(
		code, mailer->settings->smtp_from, id, wall_s(), message, sizeof message);
	int r = len < 0 ? len
			: smtp_send(mailer->smtp, from, code->address, message, (size_t)len,
				  on_sent, letter);
	mem_wipe(message, sizeof message);
	return r;
}

static int
start_letter(struct mailer *mailer, const engawa_LinkSendCode *send, struct letter *letter)
{
	engawa_MailCode code = engawa_MailCode_init_zero;
	if (send->agent_id.size != LIMIT_KEY_BYTES || !send->has_send_code)
		return -ERR_PROTOCOL;
	if (!limit_take(mailer->limit, send->agent_id.bytes, mono_now()))
		return -ERR_LIMIT;
	int r = open_code(mailer, &send->send_code, &code);
	if (r == 0)
		r = post(mailer, send->agent_id.bytes, &code, letter);
	mem_wipe(&code, sizeof code);
	return r;
}

/* A token of ours came back: the core knows where its office PC is. */
static void
on_returned(void *user, uint64_t number, const struct bounce *bounce,
	const struct bounce_report *report)
{
	struct mailer *mailer = user;
	engawa_LinkMailState state = {.request = number,
		.agent_id.size = sizeof bounce->agent,
		.has_mail_state = true,
		.mail_state = {(uint32_t)report->code, bounce->mark}};
	memcpy(state.agent_id.bytes, bounce->agent, sizeof bounce->agent);
	int r = str_copy(state.status, sizeof state.status, report->status);
	if (r == 0)
		r = peer_send(mailer->core, PEER_CAME_BACK, engawa_LinkMailState_fields, &state);
	if (r < 0)
		returns_answer(mailer->returns, number, ERR_UNREACHABLE);
}

static void
on_told(struct mailer *mailer, const uint8_t *payload, size_t len)
{
	engawa_LinkCodeSent told;
	if (frame_decode(engawa_LinkCodeSent_fields, &told, payload, len) == 0)
		returns_answer(mailer->returns, told.request, told.code_sent.code);
}

static void
on_core(void *user, uint16_t type, const uint8_t *payload, size_t len, int fd)
{
	struct mailer *mailer = user;
	engawa_LinkSendCode send;
	(void)fd;
	if (type == PEER_TOLD) {
		on_told(mailer, payload, len);
		return;
	}
	if (type != PEER_MAIL ||
		frame_decode(engawa_LinkSendCode_fields, &send, payload, len) < 0) {
		loop_stop(mailer->loop);
		return;
	}
	struct letter *letter = mem_new(sizeof *letter);
	letter->mailer = mailer;
	letter->sent.request = send.request;
	letter->sent.has_code_sent = true;
	letter->sent.code_sent.session_id.size = send.send_code.session_id.size;
	memcpy(letter->sent.code_sent.session_id.bytes, send.send_code.session_id.bytes,
		letter->sent.code_sent.session_id.size);
	int r = start_letter(mailer, &send, letter);
	if (r == 0)
		return;
	LOG(WARN, "mail.refused", F_ERR("code", r),
		F_HEX("agent", send.agent_id.bytes, send.agent_id.size));
	answer(mailer, &letter->sent, r);
	free(letter);
}

static void
on_signal(void *user, int number)
{
	(void)number;
	loop_stop(((struct mailer *)user)->loop);
}

static int
load_secrets(struct mailer *mailer)
{
	const struct settings *s = mailer->settings;
	char path[PATH_MAX];
	uint8_t public[32];
	size_t len;
	int r = str_print(path, sizeof path, "%s/mail.key", s->ca_directory);
	if (r == 0)
		r = seal_key_load(path, mailer->secret, public);
	if (r == 0)
		r = bounce_key(mailer->secret, mailer->bounce_key);
	if (r < 0)
		LOG(ERROR, "mail.key", F_ERR("code", r));
	if (r < 0 || !s->smtp_password_file)
		return r;
	r = conf_read_file(s->smtp_password_file, PASSWORD_MAX_BYTES, &mailer->password, &len);
	if (r < 0)
		LOG(ERROR, "smtp.password", F_ERR("code", r));
	else
		mailer->password[strcspn(mailer->password, "\r\n")] = '\0';
	return r;
}

/* Before the user's name cannot be looked up any more. */
static void
open_returns(struct mailer *mailer)
{
	const struct passwd *pw = getpwnam(mailer->settings->bounce_user);
	mailer->returns = returns_new(mailer->loop, FD_BOUNCE, pw ? pw->pw_uid : geteuid(),
		mailer->bounce_key, on_returned, mailer);
}

static int
start(struct mailer *mailer)
{
	const struct settings *s = mailer->settings;
	int r = load_secrets(mailer);
	if (r < 0)
		return r;
	struct smtp_server server = {s->smtp_url, s->smtp_user, mailer->password, s->smtp_ca_file,
		(int)s->smtp_starttls, DEADLINE_S};
	mailer->smtp = smtp_new(mailer->loop, &server);
	mailer->limit = limit_new(AGENTS, (unsigned)s->mail_burst, (unsigned)s->mail_burst,
		(uint64_t)s->mail_window_s * 1000);
	if (!mailer->smtp)
		return -ERR_INTERNAL;
	if (s->bounce_address)
		open_returns(mailer);
	r = sandbox_user(s->user, NULL);
	if (r == 0)
		r = sandbox_calls(SANDBOX_NETWORK);
	if (r < 0)
		LOG(ERROR, "sandbox", F_ERR("code", r));
	return r;
}

int
mailer_main(const struct settings *settings)
{
	struct mailer mailer = {.settings = settings, .loop = loop_new()};
	struct signal_watch *term = signal_new(mailer.loop, SIGTERM, on_signal, &mailer);
	struct signal_watch *interrupt = signal_new(mailer.loop, SIGINT, on_signal, &mailer);
	int r = start(&mailer);
	if (r == 0) {
		mailer.core = peer_new(mailer.loop, FD_CORE, 0, on_core, &mailer);
		LOG(INFO, "ready", F_STR("role", "mailer"));
		loop_run(mailer.loop);
	}
	smtp_free(mailer.smtp);
	returns_free(mailer.returns);
	peer_free(mailer.core);
	limit_free(mailer.limit);
	signal_free(term);
	signal_free(interrupt);
	loop_free(mailer.loop);
	mem_wipe(mailer.secret, sizeof mailer.secret);
	mem_wipe(mailer.bounce_key, sizeof mailer.bounce_key);
	mem_wipe_free(mailer.password, mailer.password ? strlen(mailer.password) : 0);
	return r < 0 ? 1 : 0;
}
