#include "agent/login.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "crypto/noise.h"
#include "inner.pb.h"
#include "signed.pb.h"

enum {
	APP = 1 << engawa_ClientKind_CLIENT_APP,
	HTML5 = 1 << engawa_ClientKind_CLIENT_HTML5,
	ANY = APP | HTML5
};

static int
always(const struct policy *policy)
{
	(void)policy;
	return 1;
}

/*
 * The order is that of design/protocol.md 6: nothing that costs, and no mail, before the lock-out;
 * the person last, so that a password is only ever judged for who could come in. A row: which step,
 * for which kinds of client, under which policy. A browser meets a check it cannot pass unless
 * policy exempts browsers by name: step_client refuses it with its own code.
 */
static const struct row {
	const struct login_step *step;
	unsigned kinds;
	int (*wanted)(const struct policy *policy);
} rows[] = {
	{&step_policy, ANY, always},
	{&step_device, ANY, always},
	{&step_address, ANY, always},
	{&step_lockout, ANY, always},
	{&step_self, ANY, always},
	{&step_client, ANY, always},
	{&step_hours, ANY, always},
	{&step_server, ANY, always},
	{&step_apply, ANY, always},
	{&step_ready, ANY, always},
	{&step_pair_first, ANY, always},
	{&step_code, ANY, policy_wants_otp},
	{&step_pair, ANY, always},
	{&step_mac, APP, policy_wants_maccheck},
	{&step_inspection, APP, policy_wants_inspection},
	{&step_certificate, ANY, always},
	{&step_password, ANY, always},
	{&step_new_address, ANY, policy_wants_otp},
	{&step_firewall, APP, policy_wants_limited_firewall},
};
enum {
	ROWS = sizeof rows / sizeof rows[0]
};
_Static_assert(ROWS <= 32, "struct login.passed has a bit for each");

static int
is_wanted(const struct login *login, const struct row *row)
{
	return (row->kinds >> login->facts.kind & 1) && row->wanted(login->office.policy);
}

static int
meets(const struct login *login, const struct row *row)
{
	return is_wanted(login, row) && (!login->resumes || row->step->again);
}

void
login_init(struct login *login, const struct login_env *env, const struct login_office *office,
	const char *address, const uint8_t device[static DEVICE_HASH_BYTES],
	const uint8_t hash[static 32])
{
	memset(login, 0, sizeof *login);
	login->env = env;
	login->office = *office;
	/* one that does not fit is none, and fits no list */
	str_copy(login->address, sizeof login->address, address);
	memcpy(login->device, device, sizeof login->device);
	memcpy(login->hash, hash, sizeof login->hash);
	login->wait = LOGIN_WAIT_FACTS;
}

void
login_resume(struct login *login, const struct login *before)
{
	login->resumes = 1;
	login->passed = before->passed;
	login->kind_before = before->facts.kind;
	login->report_minutes = before->report_minutes;
	login->person.proved = before->person.proved;
	memcpy(login->person.name, before->person.name, sizeof login->person.name);
}

void
login_fini(struct login *login)
{
	mem_wipe(login, sizeof *login);
	login->wait = LOGIN_WAIT_NOTHING;
}

static int
stop(struct login *login, int r)
{
	mem_wipe(&login->code, sizeof login->code);
	mem_wipe(&login->address_change, sizeof login->address_change);
	login->wait = LOGIN_WAIT_NOTHING;
	login->prompt = engawa_PromptKind_PROMPT_NONE;
	return r;
}

/* What only a complete login may do. */
static int
conclude(struct login *login)
{
	for (size_t i = 0; i < ROWS; i++) {
		int r = meets(login, &rows[i]) && rows[i].step->passed ? rows[i].step->passed(login)
								       : 0;
		if (r < 0)
			return r;
	}
	return LOGIN_PASSED;
}

static int
enter(struct login *login, const struct row *row)
{
	if (!meets(login, row)) {
		int passed = (login->passed >> login->step & 1) &&
			     (!row->step->holds || row->step->holds(login));
		return passed ? LOGIN_PASSED : -ERR_POLICY_CHANGED;
	}
	return row->step->enter ? row->step->enter(login) : LOGIN_PASSED;
}

/* From the result of one step to the next one that waits, or to the end. */
static int
proceed(struct login *login, int r)
{
	while (r == LOGIN_PASSED) {
		if (is_wanted(login, &rows[login->step]))
			login->passed |= UINT32_C(1) << login->step;
		if (++login->step == ROWS)
			break;
		login->prompt = engawa_PromptKind_PROMPT_NONE;
		login->wait = LOGIN_WAIT_NOTHING;
		if (is_wanted(login, &rows[login->step]))
			r = enter(login, &rows[login->step]);
	}
	if (r == LOGIN_WAITS) {
		assert(login->wait != LOGIN_WAIT_NOTHING && login->wait != LOGIN_WAIT_FACTS);
		return r;
	}
	return stop(login, r == LOGIN_PASSED ? conclude(login) : r);
}

int
login_facts(struct login *login, const struct facts *facts)
{
	if (login->wait != LOGIN_WAIT_FACTS || facts->kind < engawa_ClientKind_CLIENT_APP ||
		facts->kind > engawa_ClientKind_CLIENT_HTML5 ||
		(login->resumes && facts->kind != login->kind_before))
		return stop(login, -ERR_PROTOCOL);
	/* the decoder's memory at the other end: what a client does not say is the smallest */
	if (facts->window_mib != 0 && facts->window_mib != 8 && facts->window_mib != 16 &&
		facts->window_mib != 32)
		return stop(login, -ERR_PROTOCOL);
	login->facts = *facts;
	if (!login->facts.window_mib)
		login->facts.window_mib = 8;
	login->wait = LOGIN_WAIT_NOTHING;
	int r = rows[0].step->enter(login);
	return proceed(login, r);
}

int
login_reply(struct login *login, const struct reply *reply)
{
	if (login->wait != LOGIN_WAIT_REPLY || reply->kind != login->prompt ||
		login->prompt == engawa_PromptKind_PROMPT_NONE)
		return stop(login, -ERR_PROTOCOL);
	login->wait = LOGIN_WAIT_NOTHING;
	/* another session of the same class may have failed in between */
	int r = login_locked(login);
	return proceed(login, r < 0 ? r : rows[login->step].step->reply(login, reply));
}

int
login_mailed(struct login *login, int code)
{
	if (login->wait != LOGIN_WAIT_MAIL)
		return stop(login, -ERR_PROTOCOL);
	login->wait = LOGIN_WAIT_NOTHING;
	return proceed(login, rows[login->step].step->mailed(login, code));
}

int
login_checked(struct login *login, int code)
{
	if (login->wait != LOGIN_WAIT_CHECK)
		return stop(login, -ERR_PROTOCOL);
	login->wait = LOGIN_WAIT_NOTHING;
	return proceed(login, rows[login->step].step->checked(login, code));
}

int
login_certified(struct login *login, int code, const char *name)
{
	/* a name that cannot be a person's here is nobody's */
	if (user_fold(name, login->person.certified) < 0)
		login->person.certified[0] = '\0';
	return login_checked(login, code);
}

int
login_posture(struct login *login, const struct report *report)
{
	if (login->wait != LOGIN_WAIT_POSTURE)
		return stop(login, -ERR_PROTOCOL);
	login->wait = LOGIN_WAIT_NOTHING;
	return proceed(login, rows[login->step].step->posture(login, report));
}

int
login_report_fits(const struct login *login, const struct report *report)
{
	return memcmp(report->channel, login->hash, sizeof report->channel) == 0;
}

const char *
login_mail_waits(const struct login *login)
{
	if (login->wait != LOGIN_WAIT_REPLY || login->prompt != engawa_PromptKind_PROMPT_MAIL_CODE)
		return NULL;
	return rows[login->step].step == &step_new_address ? login->address_change.address
							   : login->office.settings->mail;
}

const char *
login_step_name(const struct login *login)
{
	return login->wait == LOGIN_WAIT_FACTS ? "facts"
	       : login->step < ROWS            ? rows[login->step].step->name
					       : "done";
}

int
login_ready(struct login *login)
{
	int r = 0;
	for (size_t i = login->step + 1; r == 0 && i < ROWS; i++)
		if (meets(login, &rows[i]) && rows[i].step->ready)
			r = rows[i].step->ready(login);
	return r;
}

/* Whose counters. */
static const uint8_t *
class_of(const struct login *login)
{
	return login->admission.paired ? devices_pairing : login->device;
}

int
login_locked(struct login *login)
{
	if (login->admission.first && !login->admission.paired)
		return 0; /* that code decides, and nothing else is asked before it */
	return devices_check(login->office.devices, class_of(login),
		login->env->wall_s(login->env->user), &login->retry_s);
}

int
login_charge(struct login *login, struct tries *ret_before)
{
	struct lockout_rule rule = {(uint32_t)login->office.policy->lockout_count,
		(uint32_t)login->office.policy->lockout_timeout_s};
	int r = devices_charge(login->office.devices, class_of(login), &rule,
		login->env->wall_s(login->env->user), ret_before);
	if (r < 0)
		LOG(ERROR, "login.record", F_ERR("code", r));
	return r < 0 ? -ERR_DISK_FULL : 0;
}

/* A refund that cannot be written leaves the person with one try less: that is the safe side. */
void
login_refund(struct login *login, const struct tries *before)
{
	int r = devices_refund(login->office.devices, class_of(login), before);
	if (r < 0)
		LOG(ERROR, "login.record", F_ERR("code", r));
}

/* A code is what anybody may ask for; the others are notices that follow a whole login, and are not
 * kept from whom they warn by codes that were asked for before. */
static uint32_t
strangers_mails(const struct login *login, int kind)
{
	return kind == engawa_MailKind_MAIL_LOGIN
		       ? (uint32_t)login->office.policy->otp_mail_strangers
		       : MAILS_PER_HOUR;
}

int
login_no_mail_left(const struct login *login)
{
	return devices_mails_used(login->office.devices, class_of(login),
		strangers_mails(login, engawa_MailKind_MAIL_LOGIN),
		login->env->wall_s(login->env->user));
}

int
login_send(struct login *login, int kind, const char *address, const char *code)
{
	struct login_mail mail = {.kind = kind,
		.address = address,
		.code = code,
		.device = login->facts.computer_name,
		.locale = login->facts.locale};
	int r = devices_mail(login->office.devices, class_of(login), strangers_mails(login, kind),
		login->env->wall_s(login->env->user), &login->retry_s);
	if (r < 0)
		return r == -ERR_LIMIT ? r : -ERR_DISK_FULL;
	noise_words(login->hash, mail.words);
	return login->env->mail(login->env->user, &mail);
}
