#include "net/proxy.h"

#include <netinet/in.h>
#include <string.h>

#include "base/err.h"
#include "base/wire.h"

static const uint8_t signature[12] = "\r\n\r\n\0\r\nQUIT\n";

enum {
	VERSION2_LOCAL = 0x20,
	VERSION2_PROXY = 0x21,
	TCP4 = 0x11,
	TCP6 = 0x21
};

static int
read_tcp4(struct rd *r, struct proxy *proxy)
{
	struct sockaddr_in *sa = (struct sockaddr_in *)&proxy->source;
	sa->sin_family = AF_INET;
	rd_copy(r, &sa->sin_addr, sizeof sa->sin_addr);
	rd_u32(r);
	sa->sin_port = htons(rd_u16(r));
	rd_u16(r);
	proxy->source_len = sizeof *sa;
	return r->failed ? -ERR_PROTOCOL : 0;
}

static int
read_tcp6(struct rd *r, struct proxy *proxy)
{
	struct sockaddr_in6 *sa = (struct sockaddr_in6 *)&proxy->source;
	sa->sin6_family = AF_INET6;
	rd_copy(r, &sa->sin6_addr, sizeof sa->sin6_addr);
	rd_bytes(r, sizeof sa->sin6_addr);
	sa->sin6_port = htons(rd_u16(r));
	rd_u16(r);
	proxy->source_len = sizeof *sa;
	return r->failed ? -ERR_PROTOCOL : 0;
}

int
proxy_parse(const uint8_t *data, size_t len, struct proxy *ret_proxy, size_t *ret_need)
{
	struct proxy proxy = {.source_len = 0};
	struct rd r = rd_init(data, len);
	size_t compare = len < sizeof signature ? len : sizeof signature;
	int result = 0;
	if (compare > 0 && memcmp(data, signature, compare) != 0)
		return -ERR_PROTOCOL;
	if (len < PROXY_FIXED_BYTES) {
		*ret_need = PROXY_FIXED_BYTES - len;
		return 0;
	}
	rd_bytes(&r, sizeof signature);
	uint8_t command = rd_u8(&r), family = rd_u8(&r);
	size_t total = PROXY_FIXED_BYTES + (size_t)rd_u16(&r);
	if (total > PROXY_MAX_BYTES || (command != VERSION2_LOCAL && command != VERSION2_PROXY))
		return -ERR_PROTOCOL;
	if (len < total) {
		*ret_need = total - len;
		return 0;
	}
	r = rd_init(data + PROXY_FIXED_BYTES, total - PROXY_FIXED_BYTES);
	if (command == VERSION2_PROXY)
		result = family == TCP4   ? read_tcp4(&r, &proxy)
			 : family == TCP6 ? read_tcp6(&r, &proxy)
					  : -ERR_PROTOCOL;
	if (result < 0)
		return result;
	*ret_proxy = proxy; /* what follows the addresses are TLVs, none of which we use */
	return (int)total;
}
