#include "agent/message.h"

#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "base/wire.h"

/* 0 or 1. */
static uint8_t
get_flag(struct rd *r)
{
	uint8_t flag = rd_u8(r);
	if (flag > 1)
		r->failed = 1;
	return flag;
}

static int
finish(const struct rd *r)
{
	return rd_done(r) ? 0 : -ERR_PROTOCOL;
}

size_t
note_put(const struct note *note, uint8_t *out, size_t cap)
{
	struct wr w = wr_init(out, cap);
	wr_u8(&w, note->gate);
	wr_bytes(&w, note->session_id, sizeof note->session_id);
	wr_u32(&w, note->code);
	wr_bytes(&w, note->rest, note->rest_len);
	return w.failed ? 0 : w.len;
}

int
note_get(const uint8_t *p, size_t len, struct note *ret_note)
{
	struct rd r = rd_init(p, len);
	struct note note;
	note.gate = rd_u8(&r);
	rd_copy(&r, note.session_id, sizeof note.session_id);
	note.code = rd_u32(&r);
	note.rest_len = r.left;
	note.rest = rd_bytes(&r, r.left);
	if (r.failed)
		return -ERR_PROTOCOL;
	*ret_note = note;
	return 0;
}

static void
put_screens(struct wr *w, const struct screen *screens, size_t count)
{
	wr_u8(w, (uint8_t)count);
	for (size_t i = 0; i < count; i++) {
		wr_u32(w, (uint32_t)screens[i].x_px);
		wr_u32(w, (uint32_t)screens[i].y_px);
		wr_u32(w, screens[i].width_px);
		wr_u32(w, screens[i].height_px);
		wr_u32(w, screens[i].scale_percent);
	}
}

static size_t
get_screens(struct rd *r, struct screen screens[static SCREENS_MAX])
{
	size_t count = rd_u8(r);
	if (count > SCREENS_MAX) {
		r->failed = 1;
		return 0;
	}
	for (size_t i = 0; i < count; i++) {
		screens[i].x_px = (int32_t)rd_u32(r);
		screens[i].y_px = (int32_t)rd_u32(r);
		screens[i].width_px = rd_u32(r);
		screens[i].height_px = rd_u32(r);
		screens[i].scale_percent = rd_u32(r);
	}
	return count;
}

static void
put_layout(struct wr *w, const struct layout *layout)
{
	wr_u32(w, layout->width_px);
	wr_u32(w, layout->height_px);
	put_screens(w, layout->screens, layout->screen_count);
}

/* Pointer positions are held against it and a client sizes its picture by it: 16 bits in the
 * picture stream. */
static void
get_layout(struct rd *r, struct layout *ret_layout)
{
	ret_layout->width_px = rd_u32(r);
	ret_layout->height_px = rd_u32(r);
	ret_layout->screen_count = get_screens(r, ret_layout->screens);
	if (ret_layout->width_px - 1 >= UINT16_MAX || ret_layout->height_px - 1 >= UINT16_MAX)
		r->failed = 1;
}

size_t
ready_put(const struct ready *ready, uint8_t *out)
{
	struct wr w = wr_init(out, MESSAGE_MAX_BYTES);
	wr_u32(&w, ready->epoch);
	wr_u32(&w, ready->stream);
	wr_u64(&w, ready->from);
	put_layout(&w, &ready->layout);
	return w.len;
}

int
ready_get(const uint8_t *p, size_t len, struct ready *ret_ready)
{
	struct rd r = rd_init(p, len);
	memset(ret_ready, 0, sizeof *ret_ready);
	ret_ready->epoch = rd_u32(&r);
	ret_ready->stream = rd_u32(&r);
	ret_ready->from = rd_u64(&r);
	get_layout(&r, &ret_ready->layout);
	return finish(&r);
}

size_t
lost_put(const struct lost *lost, uint8_t *out)
{
	struct wr w = wr_init(out, MESSAGE_MAX_BYTES);
	wr_u32(&w, lost->epoch);
	wr_u32(&w, lost->code);
	return w.len;
}

int
lost_get(const uint8_t *p, size_t len, struct lost *ret_lost)
{
	struct rd r = rd_init(p, len);
	ret_lost->epoch = rd_u32(&r);
	ret_lost->code = rd_u32(&r);
	return finish(&r);
}

size_t
facts_put(const struct facts *facts, uint8_t *out)
{
	struct wr w = wr_init(out, MESSAGE_MAX_BYTES);
	wr_u8(&w, facts->kind);
	wr_u32(&w, facts->build);
	wr_u32(&w, facts->window_mib);
	wr_u8(&w, facts->film);
	wr_text(&w, facts->os);
	wr_text(&w, facts->computer_name);
	wr_text(&w, facts->locale);
	wr_text(&w, facts->user);
	wr_u8(&w, (uint8_t)facts->mac_count);
	for (size_t i = 0; i < facts->mac_count; i++)
		wr_bytes(&w, facts->macs[i], sizeof facts->macs[i]);
	put_screens(&w, facts->screens, facts->screen_count);
	wr_bytes(&w, facts->device_key, sizeof facts->device_key);
	wr_bytes(&w, facts->device_proof, sizeof facts->device_proof);
	wr_text(&w, facts->apply);
	wr_u32(&w, facts->stream);
	wr_u64(&w, facts->received);
	return w.len;
}

int
facts_get(const uint8_t *p, size_t len, struct facts *ret_facts)
{
	struct rd r = rd_init(p, len);
	memset(ret_facts, 0, sizeof *ret_facts);
	ret_facts->kind = rd_u8(&r);
	ret_facts->build = rd_u32(&r);
	ret_facts->window_mib = rd_u32(&r);
	ret_facts->film = rd_u8(&r);
	rd_line(&r, ret_facts->os, sizeof ret_facts->os);
	rd_line(&r, ret_facts->computer_name, sizeof ret_facts->computer_name);
	rd_line(&r, ret_facts->locale, sizeof ret_facts->locale);
	rd_line(&r, ret_facts->user, sizeof ret_facts->user);
	ret_facts->mac_count = rd_u8(&r);
	if (ret_facts->mac_count > FACTS_MACS_MAX) {
		r.failed = 1;
		ret_facts->mac_count = 0;
	}
	for (size_t i = 0; i < ret_facts->mac_count; i++)
		rd_copy(&r, ret_facts->macs[i], sizeof ret_facts->macs[i]);
	ret_facts->screen_count = get_screens(&r, ret_facts->screens);
	rd_copy(&r, ret_facts->device_key, sizeof ret_facts->device_key);
	rd_copy(&r, ret_facts->device_proof, sizeof ret_facts->device_proof);
	rd_line(&r, ret_facts->apply, sizeof ret_facts->apply);
	ret_facts->stream = rd_u32(&r);
	ret_facts->received = rd_u64(&r);
	return finish(&r);
}

size_t
prompt_put(const struct prompt *prompt, uint8_t *out)
{
	struct wr w = wr_init(out, MESSAGE_MAX_BYTES);
	wr_u8(&w, prompt->kind);
	wr_u32(&w, prompt->wrong);
	wr_u32(&w, prompt->digits);
	wr_u32(&w, prompt->expires_s);
	wr_u8(&w, prompt->optional);
	for (size_t i = 0; i < 2; i++)
		wr_text(&w, prompt->words[i]);
	wr_text(&w, prompt->masked_address);
	wr_bytes(&w, prompt->challenge, sizeof prompt->challenge);
	wr_text(&w, prompt->rp_id);
	wr_text(&w, prompt->key_person);
	wr_u8(&w, prompt->user_verification);
	wr_u8(&w, prompt->new_address);
	wr_u8(&w, prompt->person);
	return w.len;
}

int
prompt_get(const uint8_t *p, size_t len, struct prompt *ret_prompt)
{
	struct rd r = rd_init(p, len);
	memset(ret_prompt, 0, sizeof *ret_prompt);
	ret_prompt->kind = rd_u8(&r);
	ret_prompt->wrong = rd_u32(&r);
	ret_prompt->digits = rd_u32(&r);
	ret_prompt->expires_s = rd_u32(&r);
	ret_prompt->optional = rd_u8(&r);
	for (size_t i = 0; i < 2; i++)
		rd_line(&r, ret_prompt->words[i], sizeof ret_prompt->words[i]);
	rd_line(&r, ret_prompt->masked_address, sizeof ret_prompt->masked_address);
	rd_copy(&r, ret_prompt->challenge, sizeof ret_prompt->challenge);
	rd_line(&r, ret_prompt->rp_id, sizeof ret_prompt->rp_id);
	rd_line(&r, ret_prompt->key_person, sizeof ret_prompt->key_person);
	ret_prompt->user_verification = get_flag(&r);
	ret_prompt->new_address = get_flag(&r);
	ret_prompt->person = get_flag(&r);
	return finish(&r);
}

void
message_put_proof(struct wr *w, const struct holder_proof *proof)
{
	wr_u16(w, (uint16_t)proof->certificate_len);
	wr_bytes(w, proof->certificate, proof->certificate_len);
	wr_u16(w, (uint16_t)proof->signature_len);
	wr_bytes(w, proof->signature, proof->signature_len);
}

static size_t
get_bytes(struct rd *r, uint8_t *out, size_t cap)
{
	size_t len = rd_u16(r);
	if (len > cap) {
		r->failed = 1;
		return 0;
	}
	rd_copy(r, out, len);
	return len;
}

void
message_get_proof(struct rd *r, struct holder_proof *ret_proof)
{
	ret_proof->certificate_len =
		get_bytes(r, ret_proof->certificate, sizeof ret_proof->certificate);
	ret_proof->signature_len = get_bytes(r, ret_proof->signature, sizeof ret_proof->signature);
}

/* The largest: its buffers are far below MESSAGE_MAX_BYTES together. */
size_t
reply_put(const struct reply *reply, uint8_t *out)
{
	struct wr w = wr_init(out, MESSAGE_MAX_BYTES);
	const struct assertion *a = &reply->assertion;
	wr_u8(&w, reply->kind);
	wr_text(&w, reply->text);
	message_put_proof(&w, &reply->proof);
	wr_text(&w, reply->user);
	wr_data(&w, a->credential, a->credential_len);
	wr_data(&w, a->authenticator_data, a->authenticator_data_len);
	wr_data(&w, a->client_data, a->client_data_len);
	wr_data(&w, a->signature, a->signature_len);
	wr_data(&w, reply->key.credential, reply->key.credential_len);
	wr_u32(&w, (uint32_t)reply->key.algorithm);
	wr_data(&w, reply->key.public_key, reply->key.public_key_len);
	return w.len;
}

int
reply_get(const uint8_t *p, size_t len, struct reply *ret_reply)
{
	struct rd r = rd_init(p, len);
	memset(ret_reply, 0, sizeof *ret_reply);
	ret_reply->kind = rd_u8(&r);
	rd_line(&r, ret_reply->text, sizeof ret_reply->text);
	message_get_proof(&r, &ret_reply->proof);
	rd_line(&r, ret_reply->user, sizeof ret_reply->user);
	struct assertion *a = &ret_reply->assertion;
	a->credential_len = rd_data(&r, a->credential, sizeof a->credential);
	a->authenticator_data_len =
		rd_data(&r, a->authenticator_data, sizeof a->authenticator_data);
	a->client_data_len = rd_data(&r, a->client_data, sizeof a->client_data);
	a->signature_len = rd_data(&r, a->signature, sizeof a->signature);
	struct new_key *key = &ret_reply->key;
	key->credential_len = rd_data(&r, key->credential, sizeof key->credential);
	key->algorithm = (int32_t)rd_u32(&r);
	key->public_key_len = rd_data(&r, key->public_key, sizeof key->public_key);
	return finish(&r);
}

size_t
refusal_put(const struct refusal *refusal, uint8_t *out)
{
	struct wr w = wr_init(out, MESSAGE_MAX_BYTES);
	wr_u32(&w, refusal->code);
	wr_u32(&w, refusal->retry_s);
	wr_text(&w, refusal->support);
	return w.len;
}

int
refusal_get(const uint8_t *p, size_t len, struct refusal *ret_refusal)
{
	struct rd r = rd_init(p, len);
	memset(ret_refusal, 0, sizeof *ret_refusal);
	ret_refusal->code = rd_u32(&r);
	ret_refusal->retry_s = rd_u32(&r);
	rd_line(&r, ret_refusal->support, sizeof ret_refusal->support);
	return finish(&r);
}

size_t
report_put(const struct report *report, uint8_t *out)
{
	struct wr w = wr_init(out, MESSAGE_MAX_BYTES);
	wr_u8(&w, report->system);
	wr_bytes(&w, report->channel, sizeof report->channel);
	wr_text(&w, report->os);
	wr_text(&w, report->os_version);
	wr_u8(&w, (uint8_t)report->antivirus_count);
	for (size_t i = 0; i < report->antivirus_count; i++) {
		wr_text(&w, report->antivirus[i].name);
		wr_u8(&w, report->antivirus[i].running);
		wr_u64(&w, report->antivirus[i].patterns_s);
	}
	wr_u8(&w, (uint8_t)report->network_count);
	wr_bytes(&w, report->networks, report->network_count);
	wr_u64(&w, report->updates_looked_s);
	wr_u64(&w, report->updates_done_s);
	wr_u8(&w, report->reboot_pending);
	wr_u64(&w, report->reboot_since_s);
	wr_u8(&w, report->login_password);
	wr_u8(&w, report->screen_lock);
	wr_u32(&w, report->lock_after_s);
	wr_u8(&w, report->disk_encrypted);
	return w.len;
}

/* A count of a list: more than there is room for is a broken message. */
static size_t
get_count(struct rd *r, size_t max)
{
	size_t count = rd_u8(r);
	if (count <= max)
		return count;
	r->failed = 1;
	return 0;
}

int
report_get(const uint8_t *p, size_t len, struct report *ret_report)
{
	struct rd r = rd_init(p, len);
	struct report *report = ret_report;
	memset(report, 0, sizeof *report);
	report->system = rd_u8(&r);
	rd_copy(&r, report->channel, sizeof report->channel);
	rd_line(&r, report->os, sizeof report->os);
	rd_line(&r, report->os_version, sizeof report->os_version);
	report->antivirus_count = get_count(&r, REPORT_ANTIVIRUS_MAX);
	for (size_t i = 0; i < report->antivirus_count; i++) {
		rd_line(&r, report->antivirus[i].name, sizeof report->antivirus[i].name);
		report->antivirus[i].running = rd_u8(&r);
		report->antivirus[i].patterns_s = rd_u64(&r);
	}
	report->network_count = get_count(&r, REPORT_NETWORKS_MAX);
	rd_copy(&r, report->networks, report->network_count);
	report->updates_looked_s = rd_u64(&r);
	report->updates_done_s = rd_u64(&r);
	report->reboot_pending = rd_u8(&r);
	report->reboot_since_s = rd_u64(&r);
	report->login_password = rd_u8(&r);
	report->screen_lock = rd_u8(&r);
	report->lock_after_s = rd_u32(&r);
	report->disk_encrypted = rd_u8(&r);
	return finish(&r) < 0 || report_check(report) < 0 ? -ERR_PROTOCOL : 0;
}

size_t
notice_put(const struct notice *notice, uint8_t *out)
{
	struct wr w = wr_init(out, MESSAGE_MAX_BYTES);
	wr_u32(&w, notice->code);
	wr_u32(&w, notice->seconds);
	wr_u8(&w, (uint8_t)notice->findings.count);
	for (size_t i = 0; i < notice->findings.count; i++)
		wr_u32(&w, notice->findings.codes[i]);
	return w.len;
}

int
notice_get(const uint8_t *p, size_t len, struct notice *ret_notice)
{
	struct rd r = rd_init(p, len);
	memset(ret_notice, 0, sizeof *ret_notice);
	ret_notice->code = rd_u32(&r);
	ret_notice->seconds = rd_u32(&r);
	ret_notice->findings.count = get_count(&r, FINDINGS_MAX);
	for (size_t i = 0; i < ret_notice->findings.count; i++)
		ret_notice->findings.codes[i] = rd_u32(&r);
	return finish(&r);
}

size_t
start_put(const struct start *start, uint8_t *out)
{
	struct wr w = wr_init(out, MESSAGE_MAX_BYTES);
	put_layout(&w, &start->layout);
	wr_u32(&w, start->idle_s);
	wr_u32(&w, start->window_mib);
	wr_text(&w, start->message);
	wr_text(&w, start->session_code);
	wr_u32(&w, start->resume_s);
	wr_u8(&w, start->own_display);
	wr_u16(&w, (uint16_t)start->resume_len);
	wr_bytes(&w, start->resume, start->resume_len);
	wr_u32(&w, start->stream);
	wr_u64(&w, start->from);
	return w.len;
}

int
start_get(const uint8_t *p, size_t len, struct start *ret_start)
{
	struct rd r = rd_init(p, len);
	memset(ret_start, 0, sizeof *ret_start);
	get_layout(&r, &ret_start->layout);
	ret_start->idle_s = rd_u32(&r);
	ret_start->window_mib = rd_u32(&r);
	rd_line(&r, ret_start->message, sizeof ret_start->message);
	rd_line(&r, ret_start->session_code, sizeof ret_start->session_code);
	ret_start->resume_s = rd_u32(&r);
	ret_start->own_display = rd_u8(&r);
	ret_start->resume_len = rd_u16(&r);
	if (ret_start->resume_len > sizeof ret_start->resume)
		return -ERR_PROTOCOL;
	rd_copy(&r, ret_start->resume, ret_start->resume_len);
	ret_start->stream = rd_u32(&r);
	ret_start->from = rd_u64(&r);
	return finish(&r);
}

size_t
work_run_put(const struct work_run *run, uint8_t *out)
{
	struct wr w = wr_init(out, MESSAGE_MAX_BYTES);
	wr_bytes(&w, run->client, sizeof run->client);
	wr_bytes(&w, run->agent, sizeof run->agent);
	wr_u32(&w, run->idle_s);
	wr_u32(&w, run->epoch);
	wr_u8(&w, run->keep);
	wr_u8(&w, run->padding);
	wr_u32(&w, run->stream);
	wr_u64(&w, run->received);
	return w.len;
}

int
work_run_get(const uint8_t *p, size_t len, struct work_run *ret_run)
{
	struct rd r = rd_init(p, len);
	rd_copy(&r, ret_run->client, sizeof ret_run->client);
	rd_copy(&r, ret_run->agent, sizeof ret_run->agent);
	ret_run->idle_s = rd_u32(&r);
	ret_run->epoch = rd_u32(&r);
	ret_run->keep = rd_u8(&r);
	ret_run->padding = rd_u8(&r);
	if (ret_run->padding < RECORD_AGENT_128 || ret_run->padding > RECORD_AGENT_512)
		return -ERR_PROTOCOL;
	ret_run->stream = rd_u32(&r);
	ret_run->received = rd_u64(&r);
	return finish(&r);
}

size_t
display_auth_put(const struct display_auth *auth, uint8_t *out)
{
	struct wr w = wr_init(out, MESSAGE_MAX_BYTES);
	wr_text(&w, auth->name);
	wr_u8(&w, (uint8_t)auth->data_len);
	wr_bytes(&w, auth->data, auth->data_len);
	return w.len;
}

int
display_auth_get(const uint8_t *p, size_t len, struct display_auth *ret_auth)
{
	struct rd r = rd_init(p, len);
	memset(ret_auth, 0, sizeof *ret_auth);
	rd_line(&r, ret_auth->name, sizeof ret_auth->name);
	ret_auth->data_len = rd_u8(&r);
	if (ret_auth->data_len > sizeof ret_auth->data) {
		r.failed = 1;
		ret_auth->data_len = 0;
	}
	rd_copy(&r, ret_auth->data, ret_auth->data_len);
	return finish(&r);
}

size_t
code_put(uint32_t code, uint8_t *out)
{
	struct wr w = wr_init(out, sizeof code);
	wr_u32(&w, code);
	return w.len;
}

int
code_get(const uint8_t *p, size_t len, uint32_t *ret_code)
{
	struct rd r = rd_init(p, len);
	uint32_t code = rd_u32(&r);
	if (!rd_done(&r))
		return -ERR_PROTOCOL;
	*ret_code = code;
	return 0;
}
