#include "gate/certificates.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/ipc.h"
#include "base/log.h"
#include "base/mem.h"
#include "gate/tell.h"

static int
load_one(const char *path, uint8_t out[static CERT_DER_MAX_BYTES], size_t *ret_len)
{
	struct x509_st *cert = cert_load(path);
	int r = cert ? cert_der(cert, out, CERT_DER_MAX_BYTES, ret_len) : -ERR_CRYPTO;
	cert_free(cert);
	if (r < 0)
		LOG(ERROR, "gate.certificate", F_STR("file", path), F_ERR("code", r));
	return r;
}

int
certificates_load(const struct settings *s, struct certificates *ret)
{
	struct certificates *c = mem_new(sizeof *c);
	int r = load_one(s->certificate, c->native, &c->native_len);
	for (size_t i = 0; r == 0 && i < s->issuers.count; i++) {
		if (i == CERTIFICATES_ISSUERS_MAX) {
			LOG(ERROR, "gate.issuers", F_INT("max", CERTIFICATES_ISSUERS_MAX));
			r = -ERR_SETTING;
			break;
		}
		r = load_one(s->issuers.items[i], c->issuers[i], &c->issuer_lens[i]);
		c->issuer_count++;
	}
	if (r == 0 && s->page_certificate) {
		r = conf_read_file(s->page_certificate, IPC_PAYLOAD_MAX, &c->page, &c->page_len);
		if (r < 0)
			LOG(ERROR, "gate.certificate", F_STR("file", s->page_certificate),
				F_ERR("code", r));
	}
	if (r == 0) {
		free(ret->page);
		*ret = *c;
	} else {
		free(c->page);
	}
	free(c);
	return r;
}

void
certificates_fini(struct certificates *c)
{
	free(c->page);
	c->page = NULL;
}

int
certificates_tell(const struct certificates *c, struct process *worker)
{
	int r = process_tell(worker, TELL_CERTIFICATE, c->native, c->native_len, -1);
	for (size_t i = 0; r == 0 && i < c->issuer_count; i++)
		r = process_tell(worker, TELL_ISSUER, c->issuers[i], c->issuer_lens[i], -1);
	if (r == 0 && c->page)
		r = process_tell(worker, TELL_PAGE, c->page, c->page_len, -1);
	return r < 0 ? r : process_tell(worker, TELL_APPLY, NULL, 0, -1);
}
