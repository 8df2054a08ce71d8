#include "gate/draft.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "crypto/cert.h"
#include "gate/certificates.h"
#include "gate/secure.h"
#include "gate/tell.h"

struct draft {
	struct x509_st *native, *issuers[CERTIFICATES_ISSUERS_MAX];
	size_t issuer_count;
	char *page;
	size_t page_len;
	int channel;
};

static void
clear(struct draft *d)
{
	cert_free(d->native);
	for (size_t i = 0; i < d->issuer_count; i++)
		cert_free(d->issuers[i]);
	free(d->page);
	if (d->channel >= 0)
		close(d->channel);
	*d = (struct draft){.channel = -1};
}

struct draft *
draft_new(void)
{
	struct draft *d = mem_new(sizeof *d);
	d->channel = -1;
	return d;
}

static int
add_page(struct draft *d, const uint8_t *payload, size_t len)
{
	free(d->page);
	d->page = mem_array(len + 1, 1);
	if (!d->page)
		return -ERR_PROTOCOL;
	memcpy(d->page, payload, len);
	d->page_len = len;
	return 0;
}

int
draft_add(struct draft *d, uint16_t type, const uint8_t *payload, size_t len, int fd)
{
	switch ((enum tell)type) {
	case TELL_CHANNEL:
		if (d->channel >= 0)
			close(d->channel);
		d->channel = fd;
		return fd >= 0 ? 0 : -ERR_PROTOCOL;
	case TELL_CERTIFICATE:
		cert_free(d->native);
		d->native = cert_parse(payload, len);
		return d->native ? 0 : -ERR_PROTOCOL;
	case TELL_ISSUER:
		if (d->issuer_count == CERTIFICATES_ISSUERS_MAX)
			return -ERR_PROTOCOL;
		d->issuers[d->issuer_count] = cert_parse(payload, len);
		return d->issuers[d->issuer_count] ? (d->issuer_count++, 0) : -ERR_PROTOCOL;
	case TELL_PAGE:
		return add_page(d, payload, len);
	default:
		return -ERR_PROTOCOL;
	}
}

struct secure_context *
draft_apply(struct draft *d)
{
	struct secure_context *context = NULL;
	if (d->native && d->issuer_count > 0 && d->channel >= 0)
		context = secure_context_new(
			d->native, d->issuers, d->issuer_count, d->page, d->page_len, d->channel);
	if (context)
		d->channel = -1;
	clear(d);
	return context;
}
