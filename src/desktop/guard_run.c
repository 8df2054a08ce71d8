#include <string.h>

#include "base/err.h"
#include "base/wire.h"
#include "desktop/guard.h"

size_t
guard_run_put(const struct guard_run *run, uint8_t out[static GUARD_RUN_MAX_BYTES])
{
	struct wr w = wr_init(out, GUARD_RUN_MAX_BYTES);
	size_t name_len = strnlen(run->auth_name, sizeof run->auth_name - 1);
	wr_u8(&w, run->flags);
	wr_u8(&w, (uint8_t)name_len);
	wr_bytes(&w, run->auth_name, name_len);
	wr_u8(&w, (uint8_t)run->auth_len);
	wr_bytes(&w, run->auth_data, run->auth_len);
	return w.len;
}

int
guard_run_get(const uint8_t *p, size_t len, struct guard_run *ret_run)
{
	struct rd r = rd_init(p, len);
	memset(ret_run, 0, sizeof *ret_run);
	ret_run->flags = rd_u8(&r);
	size_t name_len = rd_u8(&r);
	if (name_len >= sizeof ret_run->auth_name)
		return -ERR_PROTOCOL;
	rd_copy(&r, ret_run->auth_name, name_len);
	ret_run->auth_len = rd_u8(&r);
	if (ret_run->auth_len > sizeof ret_run->auth_data)
		return -ERR_PROTOCOL;
	rd_copy(&r, ret_run->auth_data, ret_run->auth_len);
	return rd_done(&r) ? 0 : -ERR_PROTOCOL;
}
