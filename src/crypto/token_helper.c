/* The process around token_sign, and its two messages. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/err.h"
#include "base/ipc.h"
#include "base/mem.h"
#include "base/wire.h"
#include "crypto/token.h"

size_t
token_question_put(const struct token_question *q, uint8_t *out)
{
	struct wr w = wr_init(out, TOKEN_QUESTION_MAX_BYTES);
	wr_text(&w, q->module);
	wr_text(&w, q->uri);
	wr_text(&w, q->pin);
	wr_bytes(&w, q->digest, sizeof q->digest);
	wr_u8(&w, q->use);
	return w.len;
}

int
token_question_get(const uint8_t *p, size_t len, struct token_question *ret_q)
{
	struct rd r = rd_init(p, len);
	memset(ret_q, 0, sizeof *ret_q);
	rd_text(&r, ret_q->module, sizeof ret_q->module);
	rd_text(&r, ret_q->uri, sizeof ret_q->uri);
	rd_text(&r, ret_q->pin, sizeof ret_q->pin);
	rd_copy(&r, ret_q->digest, sizeof ret_q->digest);
	ret_q->use = rd_u8(&r);
	return rd_done(&r) && ret_q->use < TOKEN_USES ? 0 : -ERR_PROTOCOL;
}

size_t
token_answer_put(int code, const struct token_answer *answer, uint8_t *out)
{
	struct wr w = wr_init(out, TOKEN_ANSWER_MAX_BYTES);
	wr_u32(&w, (uint32_t)-code);
	if (code < 0)
		return w.len;
	wr_u8(&w, (uint8_t)answer->is_rsa);
	wr_bytes(&w, answer->point, sizeof answer->point);
	wr_data(&w, answer->signature, answer->signature_len);
	wr_data(&w, answer->cert, answer->cert_len);
	return w.len;
}

int
token_answer_get(const uint8_t *p, size_t len, int *ret_code, struct token_answer *ret_answer)
{
	struct rd r = rd_init(p, len);
	uint32_t code = rd_u32(&r);
	memset(ret_answer, 0, sizeof *ret_answer);
	if (!r.failed && code) {
		*ret_code = code <= UINT16_MAX ? -(int)code : -ERR_PROTOCOL;
		return rd_done(&r) && code <= UINT16_MAX && err_find(*ret_code) ? 0 : -ERR_PROTOCOL;
	}
	ret_answer->is_rsa = rd_u8(&r);
	if (ret_answer->is_rsa > 1)
		return -ERR_PROTOCOL;
	rd_copy(&r, ret_answer->point, sizeof ret_answer->point);
	ret_answer->signature_len =
		rd_data(&r, ret_answer->signature, sizeof ret_answer->signature);
	ret_answer->cert_len = rd_data(&r, ret_answer->cert, sizeof ret_answer->cert);
	*ret_code = 0;
	return rd_done(&r) ? 0 : -ERR_PROTOCOL;
}

int
token_helper(void)
{
	struct rlimit none = {0, 0};
	uint8_t in[TOKEN_QUESTION_MAX_BYTES], out[TOKEN_ANSWER_MAX_BYTES];
	struct token_question question;
	struct token_answer answer;
	uint16_t type;
	/* it has the PIN */
	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0,
		0); /* a module that hangs has nobody left to end it */
	int n = ipc_recv(TOKEN_CHANNEL, &type, in, sizeof in, NULL);
	int r = n < 0 || type != TOKEN_MESSAGE ? -ERR_PROTOCOL
					       : token_question_get(in, (size_t)n, &question);
	mem_wipe(in, sizeof in);
	if (r < 0)
		return 2;
	r = token_sign(&question, &answer);
	mem_wipe(&question, sizeof question);
	return ipc_send(TOKEN_CHANNEL, TOKEN_MESSAGE, out, token_answer_put(r, &answer, out), -1) <
	       0;
}
