#include "net/frame.h"

#include <assert.h>
#include <pb_common.h>
#include <pb_decode.h>
#include <pb_encode.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "base/wire.h"

int
frame_parse(const uint8_t *data, size_t len, size_t max_payload, uint8_t *ret_type,
	const uint8_t **ret_payload, size_t *ret_len)
{
	struct rd r = rd_init(data, len);
	uint8_t type = rd_u8(&r);
	uint32_t size = rd_u24(&r);
	if (r.failed)
		return 0;
	if (size > max_payload)
		return -ERR_TOO_LONG;
	const uint8_t *payload = rd_bytes(&r, size);
	if (r.failed)
		return 0;
	*ret_type = type;
	*ret_payload = payload;
	*ret_len = size;
	return (int)(FRAME_HEADER_BYTES + size);
}

/* nanopb keeps a string as an array of characters: what follows a NUL inside it would be seen by
 * another decoder and not by us. */
static int
string_ok(const char *s, size_t size)
{
	size_t len = strnlen(s, size);
	if (len == size || !str_utf8(s, len))
		return 0;
	for (size_t i = len; i < size; i++)
		if (s[i])
			return 0;
	return 1;
}

static int strings_ok(const pb_msgdesc_t *fields, const void *msg);

static size_t
item_count(const pb_field_iter_t *field)
{
	if (PB_HTYPE(field->type) == PB_HTYPE_REPEATED)
		return *(const pb_size_t *)field->pSize;
	/* a message field comes with has_; a plain field of proto3 is always there */
	if (PB_HTYPE(field->type) == PB_HTYPE_OPTIONAL && field->pSize)
		return *(const bool *)field->pSize;
	return 1;
}

static int
field_ok(const pb_field_iter_t *field)
{
	pb_type_t ltype = PB_LTYPE(field->type);
	if (ltype != PB_LTYPE_STRING && !PB_LTYPE_IS_SUBMSG(field->type))
		return 1;
	assert(PB_ATYPE(field->type) == PB_ATYPE_STATIC); /* every field has a maximum in proto/ */
	const char *item = field->pData;
	for (size_t n = item_count(field); n > 0; n--, item += field->data_size)
		if (ltype == PB_LTYPE_STRING ? !string_ok(item, field->data_size)
					     : !strings_ok(field->submsg_desc, item))
			return 0;
	return 1;
}

static int
strings_ok(const pb_msgdesc_t *fields, const void *msg)
{
	pb_field_iter_t field;
	if (!pb_field_iter_begin_const(&field, fields, msg))
		return 1; /* a message without fields */
	do {
		if (!field_ok(&field))
			return 0;
	} while (pb_field_iter_next(&field));
	return 1;
}

/* nanopb leaves the items of a list as they were, and string_ok looks behind the end. */
static void
zero(const pb_msgdesc_t *fields, void *msg)
{
	pb_field_iter_t field;
	if (!pb_field_iter_begin(&field, fields, msg))
		return;
	do {
		memset(field.pField, 0, (size_t)field.data_size * field.array_size);
	} while (pb_field_iter_next(&field));
}

int
frame_decode(const pb_msgdesc_t *fields, void *msg, const uint8_t *payload, size_t len)
{
	pb_istream_t in = pb_istream_from_buffer(payload, len);
	zero(fields, msg);
	if (!pb_decode(&in, fields, msg) || in.bytes_left != 0 || !strings_ok(fields, msg))
		return -ERR_PROTOCOL;
	return 0;
}

int
frame_encode(uint8_t type, const pb_msgdesc_t *fields, const void *msg, uint8_t *out, size_t cap)
{
	if (cap < FRAME_HEADER_BYTES)
		return -ERR_TOO_LONG;
	size_t room = cap - FRAME_HEADER_BYTES < FRAME_MAX_BYTES ? cap - FRAME_HEADER_BYTES
								 : FRAME_MAX_BYTES;
	pb_ostream_t stream = pb_ostream_from_buffer(out + FRAME_HEADER_BYTES, room);
	if (!pb_encode(&stream, fields, msg))
		return -ERR_TOO_LONG;
	struct wr w = wr_init(out, FRAME_HEADER_BYTES);
	wr_u8(&w, type);
	wr_u24(&w, (uint32_t)stream.bytes_written);
	return (int)(FRAME_HEADER_BYTES + stream.bytes_written);
}
