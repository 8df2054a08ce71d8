/* Answers about a certificate: OCSP (1) and lists (2) as those sign them who may say something, and
 * who may not; any bytes. It is what is signed by who may that is taken, as it stands there. */
#include "sign_answer.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct signers *s;
	static struct answer a;
	struct rd in = rd_init(data, size);
	const char *text;
	int kind = rd_u8(&in), strict = 0;
	if (!s)
		s = signers_new();
	if (kind == 1)
		strict = answer_ocsp(s, &in, &a);
	if (kind == 2)
		answer_list(s, &in, &a);
	if (kind != 1 && kind != 2)
		a = (struct answer){.says = REVOCATION_NO_ANSWER};
	const uint8_t *der = kind == 1 || kind == 2 ? a.der : data;
	size_t len = kind == 1 || kind == 2 ? a.len : size;
	if (kind != 2)
		assert(answer_fits(&a, certificate_ocsp_judge(s->request, der, len, s->certificate,
					       s->x509[0], s->store, strict, &text)));
	if (kind != 1)
		assert(answer_fits(&a, certificate_crl_judge(der, len, s->certificate, s->store,
					       AUTHORITY_NOW_S, &text)));
	return 0;
}
