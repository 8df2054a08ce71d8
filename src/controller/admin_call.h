/* Inside the administration: what a handler of a request sees, and the handlers. */
#pragma once
#include <jansson.h>

#include "controller/core.h"

struct server_request;

/* What a handler sees. Its result is 0 or the failure; reply is what it fills. */
struct call {
	struct core *core;
	const struct server_request *request;
	const char *id;     /* second part of the path, NULL */
	const char *action; /* third part */
	json_t *body;       /* an object, NULL for GET */
	json_t *reply;
	const char *actor;
	char detail[160];
};

int admin_bad(
	struct call *call, const char *detail); /* -ERR_SETTING with the name of what is wrong */
/* NULL when missing or no string. */
const char *admin_text(const struct call *call, const char *name);
/* Missing gives the fallback. 0 or -ERR_SETTING. */
int admin_int(struct call *call, const char *name, int64_t fallback, int64_t min, int64_t max,
	int64_t *ret);
json_t *admin_hex(const uint8_t *bytes, size_t len);
/* Ends the sessions of an agent, or with agent NULL of an organisation. */
void admin_end_sessions(struct call *call, const uint8_t *agent, const char *org);

typedef int admin_fn(struct call *call); /* 0 or the failure */
admin_fn admin_list_orgs, admin_create_org, admin_change_org;
admin_fn admin_list_codes, admin_create_code, admin_revoke_code;
admin_fn admin_list_agents, admin_show_agent, admin_move_agent;
admin_fn admin_list_sessions, admin_stop_session;
