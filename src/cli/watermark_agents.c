#include "cli/watermark_agents.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/admin.h"
#include "cli/command.h"

static int
load(const char *file, const char *socket, json_t **ret_list)
{
	json_error_t error;
	if (!file)
		return admin_call(socket, "GET", "/agents", NULL, ret_list);
	json_t *list = json_load_file(file, 0, &error);
	if (!list)
		return command_fail(ERR_SETTING, file);
	*ret_list = list;
	return 0;
}

/* A key that does not work (not hex, not a point) belongs to nobody. */
static int
take_key(const json_t *row, const uint8_t org_secret[static MARK_KEY_BYTES],
	uint8_t ret_key[static MARK_KEY_BYTES])
{
	const char *hex = json_string_value(json_object_get(row, "agent_key"));
	uint8_t public[MARK_KEY_BYTES];
	return hex && strlen(hex) == 2 * sizeof public &&
	       str_unhex(hex, public, sizeof public) == 0 &&
	       mark_key_org(org_secret, public, ret_key) == 0;
}

int
watermark_agents_load(const char *file, const char *socket,
	const uint8_t org_secret[static MARK_KEY_BYTES], struct watermark_agents *ret_agents)
{
	struct watermark_agents a = {0};
	if (load(file, socket, &a.list) != 0)
		return 1;
	size_t rows = json_array_size(a.list);
	if (rows > WATERMARK_AGENTS_MAX) {
		json_decref(a.list);
		return command_fail(ERR_TOO_LONG, file);
	}
	a.keys = mem_array(rows + 1, sizeof *a.keys);
	a.rows = mem_array(rows + 1, sizeof *a.rows);
	if (!a.keys || !a.rows) {
		watermark_agents_fini(&a);
		return command_fail(command_error(-ENOMEM), file);
	}
	for (size_t i = 0; i < rows; i++)
		if (take_key(json_array_get(a.list, i), org_secret, a.keys[a.count]))
			a.rows[a.count++] = i;
	if (a.count == 0) {
		watermark_agents_fini(&a);
		return command_fail(ERR_MARK_NOBODY, file);
	}
	*ret_agents = a;
	return 0;
}

void
watermark_agents_fini(struct watermark_agents *agents)
{
	if (agents->keys)
		mem_wipe(agents->keys, agents->count * sizeof *agents->keys);
	free(agents->keys);
	free(agents->rows);
	json_decref(agents->list);
	*agents = (struct watermark_agents){0};
}

const char *
watermark_agents_text(const struct watermark_agents *agents, size_t key, const char *name)
{
	const char *text = json_string_value(
		json_object_get(json_array_get(agents->list, agents->rows[key]), name));
	return text ? text : "";
}
