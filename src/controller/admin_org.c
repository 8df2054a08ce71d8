/* Organisations and enrolment codes, as the engawa command sees them. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "controller/admin_call.h"
#include "controller/enrol.h"
#include "controller/network.h"
#include "controller/server.h"

enum {
	HOUR_S = 3600,
	HOURS_MAX = 24 * 366,
	COUNT_MAX = 100000,
	QUOTA_MAX = 1000000,
	PREFECTURE_MAX = 47, /* JIS X 0401 */
};

static int
name_ok(const char *s, size_t size)
{
	return s && *s && strlen(s) < size && str_printable(s) && str_utf8(s, strlen(s));
}

static int
org_id_ok(const char *s)
{
	return s && *s && strlen(s) < STORE_ORG_SIZE &&
	       !s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-")];
}

static void
add_org(void *user, const struct store_org *org)
{
	json_array_append_new(user,
		json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:b, s:I}", "id", org->id, "name",
			org->name, "prefecture", (int)org->prefecture, "quota", (int)org->quota,
			"weight", (int)org->weight, "agents", (int)org->agents, "suspended",
			org->suspended, "created_s", (json_int_t)org->created_s));
}

int
admin_list_orgs(struct call *call)
{
	call->reply = json_array();
	return store_orgs(call->core->store, add_org, call->reply);
}

int
admin_create_org(struct call *call)
{
	struct store_org org = {.created_s = wall_s()};
	const char *id = admin_text(call, "id"), *name = admin_text(call, "name");
	int64_t prefecture, quota = 0, weight = 0;
	if (!org_id_ok(id))
		return admin_bad(call, "id");
	if (!name_ok(name, sizeof org.name))
		return admin_bad(call, "name");
	int r = admin_int(call, "prefecture", 0, 0, PREFECTURE_MAX, &prefecture);
	if (r == 0)
		r = admin_int(call, "quota", 100, 0, QUOTA_MAX, &quota);
	if (r == 0)
		r = admin_int(call, "weight", 1, 1, STORE_WEIGHT_MAX, &weight);
	if (r < 0)
		return r;
	(void)str_copy(org.id, sizeof org.id, id);
	(void)str_copy(org.name, sizeof org.name, name);
	org.prefecture = (uint32_t)prefecture;
	org.quota = (uint32_t)quota;
	org.weight = (uint32_t)weight;
	return store_org_create(call->core->store, &org, call->actor);
}

int
admin_change_org(struct call *call)
{
	struct store_org org;
	int64_t quota = 0, weight = 0;
	json_t *suspended = json_object_get(call->body, "suspended");
	int r = store_org_get(call->core->store, call->id, &org);
	if (r == 0)
		r = admin_int(call, "quota", org.quota, 0, QUOTA_MAX, &quota);
	if (r == 0)
		r = admin_int(call, "weight", org.weight, 1, STORE_WEIGHT_MAX, &weight);
	if (r == 0 && suspended && !json_is_boolean(suspended))
		r = admin_bad(call, "suspended");
	if (r < 0)
		return r;
	int before = org.suspended;
	org.suspended = suspended ? json_is_true(suspended) : before;
	org.quota = (uint32_t)quota;
	org.weight = (uint32_t)weight;
	r = store_org_change(call->core->store, &org, call->actor);
	if (r == 0 && org.suspended && !before)
		admin_end_sessions(call, NULL, call->id);
	return r;
}

static void
add_code(void *user, const struct store_code *code)
{
	json_array_append_new(
		user, json_pack("{s:I, s:s, s:i, s:i, s:I, s:I, s:s, s:b, s:b}", "id",
			      (json_int_t)code->id, "org", code->org, "count", (int)code->count,
			      "used", (int)code->used, "created_s", (json_int_t)code->created_s,
			      "expires_s", (json_int_t)code->expires_s, "networks", code->networks,
			      "approve", code->approve, "revoked", code->revoked));
}

int
admin_list_codes(struct call *call)
{
	call->reply = json_array();
	return store_codes(
		call->core->store, server_query(call->request, "org"), add_code, call->reply);
}

int
admin_create_code(struct call *call)
{
	struct store_code code = {.created_s = wall_s()};
	const char *org = admin_text(call, "org"), *networks = admin_text(call, "networks");
	char text[ENROL_CODE_SIZE];
	uint8_t hash[STORE_HASH_BYTES];
	int64_t count, hours = 0;
	if (!org_id_ok(org))
		return admin_bad(call, "org");
	if (networks && (network_list_check(networks) < 0 ||
				str_copy(code.networks, sizeof code.networks, networks) < 0))
		return admin_bad(call, "networks");
	int r = admin_int(call, "count", 1, 1, COUNT_MAX, &count);
	if (r == 0)
		r = admin_int(call, "hours", 24, 1, HOURS_MAX, &hours);
	if (r == 0)
		r = enrol_code_make(text, hash);
	if (r < 0)
		return r;
	(void)str_copy(code.org, sizeof code.org, org);
	code.count = (uint32_t)count;
	code.expires_s = code.created_s + (uint64_t)hours * HOUR_S;
	code.approve = json_is_true(json_object_get(call->body, "approve"));
	r = store_code_create(call->core->store, &code, hash, call->actor, &code.id);
	if (r == 0)
		call->reply = json_pack("{s:I, s:s, s:I}", "id", (json_int_t)code.id, "code", text,
			"expires_s", (json_int_t)code.expires_s);
	mem_wipe(text, sizeof text);
	return r;
}

int
admin_revoke_code(struct call *call)
{
	int64_t id;
	if (str_int(call->id, 1, INT64_MAX, &id) < 0)
		return -ERR_NOT_FOUND;
	return store_code_revoke(call->core->store, id, call->actor);
}
