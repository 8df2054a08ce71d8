/* A person's certificate, signed by somebody (1) and as it comes. Nothing but the issuer's key
 * makes one good, and what is signed must be for this and of today. */
#include "base/str.h"
#include "sign_certificate.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *rules[] = {"cn", "email", "upn"};
	static struct issuers *s;
	static struct made made;
	char name[USER_NAME_SIZE];
	struct rd in = rd_init(data, size);
	int is_made = rd_u8(&in) == 1;
	if (!s)
		s = issuers_new();
	if (is_made)
		certificate_make(s, &in, &made);
	else
		made = (struct made){.code = -ERR_CERTIFICATE_REFUSED, .spoilt = 1};
	X509 *x = certificate_parse(is_made ? made.der : data, is_made ? made.len : size);
	assert(x || made.spoilt || made.len == 0);
	for (size_t i = 0; x && i < 3; i++)
		assert(certificate_name(x, rules[i], name) == 0 ? str_printable(name) : !name[0]);
	if (x)
		certificate_expect(s, x, &made);
	X509_free(x);
	return 0;
}
