#include "agent/local_devices.h"

#include <stdio.h>
#include <string.h>

#include "agent/admit.h"
#include "agent/maclist.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	WORD_SIZE = 96
};

static int
pair(struct agent *agent, const char *rest, char *out, size_t size)
{
	char code[PAIRING_TEXT_SIZE];
	if (strcmp(rest, "end") == 0) {
		pairing_end(&agent->pairing);
		LOG(INFO, "device.pairing", F_STR("state", "ended"));
		return 0;
	}
	if (*rest)
		return -ERR_SETTING;
	int r = pairing_new(&agent->pairing, mono_now(), code);
	LOG(INFO, "device.pairing", F_STR("state", "open"), F_ERR("code", r));
	if (r == 0)
		r = str_print(out, size, "%s %d", code, PAIRING_LIFE_S);
	mem_wipe(code, sizeof code);
	return r;
}

static int
print_entry(const struct entry *e, char *out, size_t size)
{
	static const char *const states[] = {"registered", "applied", "removed"};
	char number[REGISTRY_NUMBER_SIZE], macs[FACTS_MACS_MAX * MAC_TEXT_SIZE + 1] = "";
	for (size_t i = 0; i < e->mac_count; i++) {
		char mac[MAC_TEXT_SIZE];
		size_t len = strlen(macs);
		mac_text(e->macs[i], mac);
		str_print(macs + len, sizeof macs - len, "%s%s", i ? " " : "", mac);
	}
	registry_number(e->hash, number);
	return str_print(out, size, "%s\t%s\t%llu\t%s\t%s\t%s\t%s\t%s\n", states[e->state], number,
		(unsigned long long)e->since_s, e->name, e->computer, e->os, e->address, macs);
}

static int
list(const struct registry *registry, const char *rest, char *out, size_t size)
{
	int64_t from;
	size_t len = 0;
	if (str_int(rest, 1, INT32_MAX, &from) < 0)
		return -ERR_SETTING;
	for (size_t i = (size_t)from - 1; i < registry->count; i++) {
		if (print_entry(&registry->list[i], out + len, size - len) < 0) {
			out[len] = '\0'; /* the rest is asked for next */
			break;
		}
		len += strlen(out + len);
	}
	return 0;
}

/* Whoever approves has the number from the person: all of it, for a part can be made to fit. */
static int
approve(struct agent *agent, const char *device, const char *name)
{
	const struct entry *found;
	char number[REGISTRY_NUMBER_SIZE];
	int r = registry_search(agent->registry, ENTRY_APPLIED, device, &found);
	if (r < 0)
		return r;
	registry_number(found->hash, number);
	if (strcasecmp(device, number) != 0)
		return -ERR_NOT_FOUND;
	struct entry entry = *found;
	if (*name && str_copy(entry.name, sizeof entry.name, name) < 0)
		return -ERR_TOO_LONG;
	return admit_register(agent, &entry, "approval");
}

int
local_devices(struct agent *agent, const char *text, char *ret_answer, size_t size)
{
	char device[WORD_SIZE];
	const struct entry *e;
	size_t len = strcspn(text, " ");
	const char *rest = text + len + (text[len] == ' ');
	if (strncmp(text, "pair", len) == 0 && len == 4)
		return pair(agent, rest, ret_answer, size);
	if (strncmp(text, "list", len) == 0 && len == 4)
		return list(agent->registry, rest, ret_answer, size);
	size_t device_len = strcspn(rest, " ");
	if (device_len == 0 || device_len >= sizeof device)
		return -ERR_SETTING;
	memcpy(device, rest, device_len);
	device[device_len] = '\0';
	rest += device_len + (rest[device_len] == ' ');
	if (strncmp(text, "approve", len) == 0 && len == 7)
		return approve(agent, device, rest);
	enum entry_state state =
		text[0] == 'r' && text[2] == 'j' ? ENTRY_APPLIED : ENTRY_REGISTERED;
	int r = registry_search(agent->registry, state, device, &e);
	if (r < 0)
		return r;
	if (strncmp(text, "reject", len) == 0 && len == 6 && !*rest)
		return registry_reject(agent->registry, e->hash);
	if (strncmp(text, "remove", len) == 0 && len == 6 && !*rest)
		return admit_remove(agent, e->hash);
	if (strncmp(text, "name", len) == 0 && len == 4 && *rest)
		return registry_rename(agent->registry, e->hash, rest);
	return -ERR_SETTING;
}
