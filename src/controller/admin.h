/*
 * HTTP and JSON on admin.sock for the engawa command; root and the controller's own user only
 * (SO_PEERCRED).
 *
 *   GET  /orgs                      POST /orgs {id, name, prefecture, quota, weight}
 * POST /orgs/ID {quota?, weight?, suspended?} GET  /codes?org=                POST /codes {org, count, hours, networks,
 * approve} -> {id, code, expires_s} POST /codes/ID/revoke GET  /agents?org=&state=        GET
 * /agents/ID    POST /agents/ID/approve|suspend|resume|retire GET  /sessions                  POST
 * /sessions/ID/end GET  /gates    GET /events?since=&limit=    GET /status
 *
 * An agent's ID is its 32 hex digits or its terminal ID. A failure is {"code": n, "detail": "…"}
 * with a 4xx or 5xx status.
 */
#pragma once
#include "controller/core.h"

int admin_start(struct core *core);
void admin_stop(struct core *core);
void admin_accept(struct core *core, int fd);
