#include "agent/admit.h"

#include <errno.h>
#include <string.h>

#include "agent/letter.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "crypto/noise.h"
#include "signed.pb.h"

int
admit_open(struct agent *agent, char *path, size_t size, struct conf_error *error)
{
	int r = state_path(&agent->options, "registry", path, size);
	if (r == 0)
		r = registry_open(path, &agent->registry, error);
	for (size_t i = 0; r == 0 && i < agent->registry->count; i++)
		if (agent->registry->list[i].state == ENTRY_REGISTERED)
			devices_mark_kept(agent->devices, agent->registry->list[i].hash);
	return r;
}

/* The relay writes mail only while somebody connects: so it goes out in the session that the device
 * comes in for the first time. */
static int
send(struct session *s, engawa_MailKind kind)
{
	struct login_mail mail = {.kind = (int)kind,
		.address = s->agent->settings.mail,
		.code = "",
		.device = s->flow.facts.computer_name,
		.locale = s->flow.facts.locale};
	if (!mail.address[0])
		return -ERR_MAIL_UNSET;
	noise_words(s->flow.hash, mail.words);
	return letter_send(s, &mail);
}

int
admit_register(struct agent *agent, const struct entry *entry, const char *by)
{
	char number[REGISTRY_NUMBER_SIZE];
	/* its own counters first: what is registered is in the file of counters */
	int r = registry_add(agent->registry, entry);
	if (r == 0)
		r = devices_keep(agent->devices, entry->hash, 1, wall_s());
	registry_number(entry->hash, number);
	LOG(INFO, "device.registered", F_STR("device", number), F_STR("by", by),
		F_STR("name", entry->name), F_STR("computer", entry->computer),
		F_STR("address", entry->address), F_ERR("code", r));
	return r == -ENOSPC ? -ERR_DISK_FULL : r;
}

int
admit_passed(struct agent *agent, struct session *s)
{
	const struct login *flow = &s->flow;
	const uint8_t *hash = s->ticket.device_hash.bytes;
	int seen = devices_seen(agent->devices, hash), r = 0;
	struct entry entry;
	if (flow->admission.paired) {
		registry_take(&entry, &flow->facts, hash, s->ticket.client_address, wall_s());
		r = admit_register(agent, &entry, "pairing");
		if (r == 0)
			r = devices_paired(agent->devices);
	}
	if (r < 0)
		return r;
	r = devices_login(agent->devices, hash, flow->facts.computer_name, wall_s());
	if (r < 0)
		LOG(ERROR, "login.record", F_ERR("code", r)); /* it stays a stranger's */
	if (seen && !flow->admission.paired)
		return 0;
	int registered = flow->admission.paired || flow->admission.registered;
	r = send(s,
		registered ? engawa_MailKind_MAIL_DEVICE_ADDED : engawa_MailKind_MAIL_DEVICE_NEW);
	LOG(INFO, "device.new", F_HEX("device", hash, 4), F_INT("registered", registered),
		F_STR("computer", flow->facts.computer_name),
		F_STR("address", s->ticket.client_address), F_ERR("notice", r));
	return 0;
}

void
admit_persons(struct agent *agent)
{
	for (size_t i = 0; i < SESSIONS_MAX; i++) {
		struct session *s = agent->sessions[i];
		const char *name = s ? s->flow.person.name : "";
		if (!name[0] || s->state < SESSION_TURN || s->state >= SESSION_ENDING ||
			users_admit(agent->users, name))
			continue;
		LOG(INFO, "person.cut", F_STR("session", s->code), F_STR("person", name));
		session_end(s, ERR_PERSON_DENIED);
	}
}

int
admit_remove(struct agent *agent, const uint8_t hash[static REGISTRY_HASH_BYTES])
{
	uint8_t gone[REGISTRY_HASH_BYTES];
	char number[REGISTRY_NUMBER_SIZE];
	unsigned cut = 0;
	memcpy(gone, hash, sizeof gone); /* it may point into the registry */
	int r = registry_remove(agent->registry, gone, wall_s());
	if (r < 0)
		return r;
	for (size_t i = 0; i < SESSIONS_MAX; i++) {
		struct session *s = agent->sessions[i];
		if (!s || memcmp(s->ticket.device_hash.bytes, gone, sizeof gone) != 0 ||
			s->state >= SESSION_ENDING)
			continue;
		session_end(s, ERR_DEVICE_REMOVED);
		cut++;
	}
	r = devices_keep(agent->devices, gone, 0, wall_s());
	registry_number(gone, number);
	LOG(INFO, "device.removed", F_STR("device", number), F_INT("cut", cut), F_ERR("code", r));
	return r;
}
