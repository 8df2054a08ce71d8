/*
 * The client's permanent MAC addresses: one of them is in the office PC's own list, was recorded
 * when this device was registered, or is in the organisation's list. What a client says is all
 * there is to look at: an order for the office, no proof (docs/threat-model.md).
 */
#include <stdio.h>
#include <string.h>

#include "agent/login.h"
#include "agent/maclist.h"
#include "base/err.h"
#include "base/log.h"

static int
has(const struct facts *facts, const uint8_t (*macs)[6], size_t count)
{
	for (size_t i = 0; i < facts->mac_count; i++)
		for (size_t j = 0; j < count; j++)
			if (memcmp(facts->macs[i], macs[j], 6) == 0)
				return 1;
	return 0;
}

/* By what the office PC itself knows. */
static int
local(const struct login *login)
{
	const struct facts *f = &login->facts;
	const struct entry *e = registry_find(login->office.registry, login->device);
	if (login->office.policy->no_local_mac_list)
		return 0;
	if (f->mac_count > 0 && login->admission.paired)
		return 1; /* whoever gave the pairing code may fill the list too */
	if (login->admission.registered && e && has(f, e->macs, e->mac_count))
		return 1;
	for (size_t i = 0; i < f->mac_count; i++)
		if (login->office.macs && maclist_has(login->office.macs, f->macs[i]))
			return 1;
	return 0;
}

static int
could_pair(const struct login *login)
{
	return !login->office.policy->no_local_mac_list && !login->admission.registered &&
	       login->facts.device_key[0] &&
	       pairing_left_s(login->office.pairing, login->env->now(login->env->user)) > 0;
}

/* For the administrator, who may have to add one of them. */
static int
refuse(const struct login *login, int why)
{
	char text[FACTS_MACS_MAX * MAC_TEXT_SIZE + 1] = "";
	for (size_t i = 0; i < login->facts.mac_count; i++) {
		size_t len = strlen(text);
		char mac[MAC_TEXT_SIZE];
		mac_text(login->facts.macs[i], mac);
		snprintf(text + len, sizeof text - len, "%s%s", i ? " " : "", mac);
	}
	LOG(WARN, "login.mac", F_ERR("code", why), F_STR("macs", text),
		F_STR("computer", login->facts.computer_name));
	return -ERR_MAC_DENIED;
}

static int
ready(struct login *login)
{
	if (login->facts.mac_count > 0 &&
		(local(login) || login->office.policy->client_mac_list || could_pair(login)))
		return 0;
	return refuse(login, -ERR_MAC_DENIED);
}

static int
enter(struct login *login)
{
	if (local(login))
		return LOGIN_PASSED;
	if (login->facts.mac_count == 0 || !login->office.policy->client_mac_list)
		return refuse(login, -ERR_MAC_DENIED);
	login->wait = LOGIN_WAIT_CHECK;
	login->env->maclist(login->env->user, MAC_LIST_CLIENT);
	return LOGIN_WAITS;
}

static int
checked(struct login *login, int code)
{
	return code == 0 ? LOGIN_PASSED : refuse(login, code);
}

const struct login_step step_mac = {
	.name = "mac", .again = 1, .ready = ready, .enter = enter, .checked = checked};
