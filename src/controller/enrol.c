/*
 * on the loop: limit, code, clock, proof, request → thread: terminal ID → on the loop: certificate,
 * transaction, answer
 */
#include "controller/enrol.h"

#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/wire.h"
#include "controller/link.h"
#include "controller/network.h"
#include "crypto/terminal.h"

enum {
	ENROLLING_MAX = 64, /* waiting for the thread pool */
	PROOF_MAX_BYTES = 64 + 1 + 32 + 16 + 32,
};

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

struct job {
	struct core *core;
	uint64_t origin, request;
	char address[64];
	struct evp_pkey_st *key; /* of the certificate request */
	struct store_agent agent;
	int derived;  /* result of the thread */
	int again;    /* it has been enrolled before */
	int64_t code; /* whose use it takes, 0 = none */
};

static void
hash_normal(const char normal[static ENROL_CODE_CHARS], uint8_t *ret_hash)
{
	static const char purpose[] = "engawa enrolment code";
	uint8_t text[sizeof purpose + ENROL_CODE_CHARS];
	memcpy(text, purpose, sizeof purpose);
	memcpy(text + sizeof purpose, normal, ENROL_CODE_CHARS);
	SHA256(text, sizeof text, ret_hash);
	mem_wipe(text, sizeof text);
}

int
enrol_code_make(char ret_text[static ENROL_CODE_SIZE], uint8_t ret_hash[static STORE_HASH_BYTES])
{
	uint8_t random[ENROL_CODE_CHARS];
	char normal[ENROL_CODE_CHARS];
	if (RAND_bytes(random, sizeof random) != 1)
		return -ERR_CRYPTO;
	for (size_t i = 0; i < sizeof normal; i++)
		normal[i] = alphabet[random[i] & 31];
	hash_normal(normal, ret_hash);
	str_print(ret_text, ENROL_CODE_SIZE, "%.4s-%.4s-%.4s-%.4s", normal, normal + 4, normal + 8,
		normal + 12);
	mem_wipe(random, sizeof random);
	mem_wipe(normal, sizeof normal);
	return 0;
}

int
enrol_code_hash(const char *text, uint8_t ret_hash[static STORE_HASH_BYTES])
{
	char normal[ENROL_CODE_CHARS];
	size_t n = 0;
	for (; *text; text++) {
		char c = *text >= 'a' && *text <= 'z' ? (char)(*text - 'a' + 'A') : *text;
		if (c == '-' || c == ' ')
			continue;
		c = c == 'O' ? '0' : c == 'I' || c == 'L' ? '1' : c;
		if (n == sizeof normal || !strchr(alphabet, c))
			return -ERR_ENROL_CODE_WRONG;
		normal[n++] = c;
	}
	if (n != sizeof normal)
		return -ERR_ENROL_CODE_WRONG;
	hash_normal(normal, ret_hash);
	mem_wipe(normal, sizeof normal);
	return 0;
}

static void
answer(struct core *core, uint64_t origin, uint64_t request, int code,
	const struct store_agent *agent, const struct authority_cert *cert)
{
	engawa_LinkEnrolled reply = {.request = request, .has_enrolled = true};
	engawa_Enrolled *e = &reply.enrolled;
	e->code = (uint32_t)-code;
	if (code == 0) {
		size_t len;
		const uint8_t *issuer = authority_issuer(core->authority, &len);
		memcpy(e->agent_id.bytes, agent->id, e->agent_id.size = sizeof agent->id);
		memcpy(e->certificate.bytes, cert->der, e->certificate.size = (pb_size_t)cert->len);
		memcpy(e->issuer.bytes, issuer, e->issuer.size = (pb_size_t)len);
		e->pending = agent->state == STORE_PENDING;
	}
	link_enrolled(core, origin, &reply);
}

static void
finish_job(struct job *job, int code, const struct authority_cert *cert)
{
	uint32_t held = 0;
	if (code == 0 || log_limit_pass(&job->core->enrol_log, &held))
		LOG(INFO, "enrol", F_ERR("result", code),
			F_HEX("agent", job->agent.id, sizeof job->agent.id),
			F_STR("organisation", job->agent.org),
			F_STR("computer", job->agent.computer),
			F_STR("state", store_state_name(job->agent.state)),
			F_STR("from", job->address), F_INT("held", held));
	if (!job->core->stopping)
		answer(job->core, job->origin, job->request, code, &job->agent, cert);
	job->core->enrolling--;
	sign_key_free(job->key);
	free(job);
}

static void
on_thread(void *user)
{
	struct job *job = user;
	if (!job->again)
		job->derived =
			terminal_id_derive(job->agent.anchor, job->agent.salt, job->agent.terminal);
}

static void
on_derived(void *user)
{
	struct job *job = user;
	struct core *core = job->core;
	struct authority_cert cert;
	char actor[64];
	int r = core->stopping ? -ERR_DRAIN : job->derived < 0 ? -ERR_INTERNAL : 0;
	if (r == 0)
		r = authority_issue(core->authority, job->key, job->agent.id, job->agent.org,
			(unsigned)core->settings->cert_days, &cert);
	if (r == 0) {
		(void)str_copy(job->agent.serial, sizeof job->agent.serial, cert.serial);
		job->agent.cert_expires_s = cert.expires_s;
		if (job->code)
			str_print(actor, sizeof actor, "code %lld", (long long)job->code);
		else
			strcpy(actor, "agent");
		r = job->again ? store_agent_certificate(
					 core->store, &job->agent, job->code, wall_s(), actor)
			       : store_agent_enrol(core->store, &job->agent, wall_s(), actor);
	}
	finish_job(job, r, &cert);
}

static int
check_shape(const engawa_Enrol *e)
{
	if (e->anchor_key.size != SIGN_POINT_BYTES || e->salt.size != TERMINAL_SALT_BYTES ||
		e->agent_key.size != 32 || e->csr.size == 0 || e->proof.size == 0 ||
		!str_printable(e->computer_name))
		return -ERR_PROTOCOL;
	return 0;
}

/* docs/protocol.md 2: code ‖ 0x00 ‖ H(csr) ‖ salt ‖ agent_key */
static int
check_proof(const engawa_Enrol *e)
{
	uint8_t text[PROOF_MAX_BYTES], hash[SHA256_DIGEST_LENGTH];
	struct wr w = wr_init(text, sizeof text);
	SHA256(e->csr.bytes, e->csr.size, hash);
	wr_bytes(&w, e->code, strlen(e->code));
	wr_u8(&w, 0);
	wr_bytes(&w, hash, sizeof hash);
	wr_bytes(&w, e->salt.bytes, e->salt.size);
	wr_bytes(&w, e->agent_key.bytes, e->agent_key.size);
	int r = w.failed ? -ERR_PROTOCOL
			 : sign_check(e->anchor_key.bytes, "engawa enrol v1", text, w.len,
				   e->proof.bytes, e->proof.size);
	mem_wipe(text, sizeof text);
	return r;
}

/* The person is told one thing for every reason; the log has which it was. */
static int
check_code(struct core *core, const engawa_LinkEnrol *enrol, uint64_t now_s,
	struct store_code *ret_code)
{
	uint8_t hash[STORE_HASH_BYTES], address[NETWORK_ADDRESS_BYTES];
	const char *why = NULL;
	int r = enrol_code_hash(enrol->enrol.code, hash);
	if (r == 0)
		r = store_code_find(core->store, hash, ret_code);
	if (r < 0)
		return r == -ERR_NOT_FOUND ? -ERR_ENROL_CODE_WRONG : r;
	if (ret_code->revoked)
		why = "revoked";
	else if (ret_code->expires_s <= now_s)
		why = "expired";
	else if (ret_code->networks[0] && (network_address(enrol->address, address) < 0 ||
						  !network_list_has(ret_code->networks, address)))
		why = "network";
	if (why)
		LOG(WARN, "enrol.code", F_INT("code", ret_code->id), F_STR("why", why),
			F_STR("from", enrol->address));
	return why ? -ERR_ENROL_CODE_WRONG : 0;
}

/* The agent with these keys, if it is one that may have a certificate. */
static int
find_same(struct core *core, const engawa_Enrol *e, struct store_agent *ret_old)
{
	int r = store_agent_by_key(core->store, e->agent_key.bytes, ret_old);
	if (r < 0)
		return r;
	if (memcmp(ret_old->anchor, e->anchor_key.bytes, sizeof ret_old->anchor) != 0 ||
		memcmp(ret_old->salt, e->salt.bytes, sizeof ret_old->salt) != 0)
		return -ERR_EXISTS;
	return ret_old->state == STORE_RETIRED                               ? -ERR_AGENT_RETIRED
	       : ret_old->state == STORE_SUSPENDED || ret_old->org_suspended ? -ERR_SUSPENDED
									     : 0;
}

/* An agent that has this key already: the same enrolment again, whose answer got lost; one that was
 * away until its certificate had expired, and comes with a new code; or a key that is not its own.
 */
static int
check_again(
	struct core *core, const engawa_Enrol *e, const struct store_code *code, struct job *job)
{
	struct store_agent old;
	int r = find_same(core, e, &old);
	if (r == -ERR_NOT_FOUND || (r == 0 && old.code != code->id)) {
		job->code = code->id;
		if (code->used >= code->count)
			return -ERR_ENROL_CODE_WRONG;
	}
	if (r == 0 && strcmp(old.org, code->org) != 0)
		r = -ERR_EXISTS;
	if (r < 0)
		return r == -ERR_NOT_FOUND ? 0 : r;
	job->agent = old;
	job->again = 1;
	return 0;
}

/* Without a code: the next certificate of an agent whose last one is still good. Its anchor says
 * that it is the agent; nothing depends on the connection. */
static int
check_renewal(struct core *core, const engawa_Enrol *e, uint64_t now_s, struct job *job)
{
	int r = check_shape(e);
	if (r == 0)
		r = authority_clock(core->authority, now_s);
	if (r == 0)
		r = find_same(core, e, &job->agent);
	if (r == 0 && job->agent.cert_expires_s < now_s)
		r = -ERR_CERT_LAPSED;
	if (r == 0)
		r = check_proof(e);
	/* only the agent itself uses up what it may ask: who knows its key is many */
	if (r == 0 && !limit_take(core->enrolments, e->agent_key.bytes, mono_now()))
		return -ERR_LIMIT;
	if (r == 0)
		r = cert_csr_key(e->csr.bytes, e->csr.size, &job->key);
	job->again = 1;
	return r == -ERR_NOT_FOUND ? -ERR_DENIED : r;
}

static int
fill_agent(const engawa_Enrol *e, const struct store_code *code, uint64_t now_s,
	struct store_agent *agent)
{
	if (RAND_bytes(agent->id, sizeof agent->id) != 1)
		return -ERR_INTERNAL;
	(void)str_copy(agent->org, sizeof agent->org, code->org);
	(void)str_copy(agent->computer, sizeof agent->computer, e->computer_name);
	memcpy(agent->anchor, e->anchor_key.bytes, sizeof agent->anchor);
	memcpy(agent->salt, e->salt.bytes, sizeof agent->salt);
	memcpy(agent->key, e->agent_key.bytes, sizeof agent->key);
	agent->created_s = now_s;
	agent->code = code->id;
	agent->state = code->approve ? STORE_ACTIVE : STORE_PENDING;
	return 0;
}

static int
check_all(struct core *core, const engawa_LinkEnrol *enrol, struct job *job)
{
	const engawa_Enrol *e = &enrol->enrol;
	struct store_code code;
	struct store_org org;
	uint64_t now_s = wall_s();
	uint8_t source[LIMIT_KEY_BYTES];
	network_source(enrol->address, source);
	if (!enrol->has_enrol)
		return -ERR_PROTOCOL;
	if (core->enrolling >= ENROLLING_MAX)
		return -ERR_TOO_MANY;
	if (!e->code[0])
		return check_renewal(core, e, now_s, job);
	if (!limit_take(core->enrolments, source, mono_now()))
		return -ERR_LIMIT;
	int r = check_shape(e);
	if (r == 0)
		r = authority_clock(core->authority, now_s);
	if (r == 0)
		r = check_code(core, enrol, now_s, &code);
	if (r == 0)
		r = check_proof(e);
	if (r == 0)
		r = cert_csr_key(e->csr.bytes, e->csr.size, &job->key);
	if (r == 0)
		r = check_again(core, e, &code, job);
	if (r < 0 || job->again)
		return r;
	r = store_org_get(core->store, code.org, &org);
	if (r == 0)
		r = org.suspended ? -ERR_SUSPENDED : org.agents >= org.quota ? -ERR_QUOTA : 0;
	return r < 0 ? r : fill_agent(e, &code, now_s, &job->agent);
}

void
enrol_start(struct core *core, uint64_t origin, const engawa_LinkEnrol *enrol)
{
	struct job *job = mem_new(sizeof *job);
	job->core = core;
	job->origin = origin;
	job->request = enrol->request;
	(void)str_copy(job->address, sizeof job->address, enrol->address);
	core->enrolling++;
	int r = check_all(core, enrol, job);
	if (r < 0)
		finish_job(job, r, NULL);
	else
		loop_work(core->loop, on_thread, on_derived, job);
}
