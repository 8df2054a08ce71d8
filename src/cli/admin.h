/* Calls to the controller over its admin.sock (src/controller/admin.h). */
#pragma once
#include <jansson.h>

/* Default of every --socket option: ENGAWA_ADMIN_SOCKET of the environment, else
 * /run/engawa/admin.sock. */
const char *admin_socket(const char *option);

/* body: taken over, NULL for none. 0 with *ret_reply (the caller's; may be NULL when not wanted),
 * or 1 after command_fail. */
int admin_call(
	const char *socket, const char *method, const char *path, json_t *body, json_t **ret_reply);
/* "/collection/id" or "/collection/id/action", escaped. 0 or -ENAMETOOLONG. */
int admin_path(char *out, size_t size, const char *collection, const char *id, const char *action);
/* The same for each of count ids: POST /COLLECTION/ID/ACTION. Goes on after a failure; 0 or 1. */
int admin_each(const char *socket, const char *collection, const char *const *ids, int count,
	const char *action);
