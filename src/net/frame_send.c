#include "base/mem.h"
#include "net/frame.h"

int
frame_send(struct conn *conn, uint8_t type, const pb_msgdesc_t *fields, const void *msg)
{
	uint8_t out[FRAME_HEADER_BYTES + FRAME_MAX_BYTES];
	int len = frame_encode(type, fields, msg, out, sizeof out);
	if (len < 0)
		return len;
	int r = conn_send(conn, out, (size_t)len);
	mem_wipe(out, (size_t)len);
	return r;
}
