#include "controller/connect.h"

#include <jansson.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"

static int
take(json_t *root, engawa_Ask *ask)
{
	const char *terminal, *hash;
	size_t terminal_len, hash_len, bytes;
	if (json_unpack_ex(root, NULL, JSON_STRICT, "{s:s%, s:s%}", "terminal_id", &terminal,
		    &terminal_len, "device_hash", &hash, &hash_len) < 0)
		return -ERR_PROTOCOL;
	if (strlen(terminal) != terminal_len ||
		str_copy(ask->terminal_id, sizeof ask->terminal_id, terminal) < 0)
		return -ERR_PROTOCOL;
	if (str_unbase64(hash, hash_len, ask->device_hash.bytes, sizeof ask->device_hash.bytes,
		    &bytes) < 0 ||
		bytes != sizeof ask->device_hash.bytes)
		return -ERR_PROTOCOL;
	ask->device_hash.size = (pb_size_t)bytes;
	return 0;
}

int
connect_parse(const char *body, size_t len, engawa_Ask *ret_ask)
{
	engawa_Ask ask = engawa_Ask_init_zero;
	if (len > CONNECT_BODY_MAX_BYTES)
		return -ERR_TOO_LONG;
	json_t *root = json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL);
	int r = root ? take(root, &ask) : -ERR_PROTOCOL;
	json_decref(root);
	if (r == 0)
		*ret_ask = ask;
	return r;
}
