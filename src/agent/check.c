#include "agent/check.h"

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/message.h"
#include "agent/role.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/wire.h"

size_t
check_put(const struct check_question *question, uint8_t out[static CHECK_MAX_BYTES])
{
	struct wr w = wr_init(out, CHECK_MAX_BYTES);
	for (size_t i = 0; i < CHECK_FIELDS; i++) {
		size_t len = strlen(question->field[i]);
		wr_u16(&w, (uint16_t)len);
		wr_bytes(&w, question->field[i], len);
	}
	return w.len;
}

int
check_get(const uint8_t *p, size_t len, struct check_question *ret_question)
{
	struct rd r = rd_init(p, len);
	memset(ret_question, 0, sizeof *ret_question);
	for (size_t i = 0; i < CHECK_FIELDS; i++) {
		char *field = ret_question->field[i];
		size_t size = rd_u16(&r);
		if (r.failed || size >= CHECK_FIELD_SIZE)
			return -ERR_PROTOCOL;
		rd_copy(&r, field, size);
		if (r.failed || strlen(field) != size || !str_printable(field))
			return -ERR_PROTOCOL;
	}
	return rd_done(&r) ? 0 : -ERR_PROTOCOL;
}

/* Rights go before the question comes. */
static int
answer(int (*check)(const struct check_question *question))
{
	static uint8_t payload[CHECK_MAX_BYTES];
	static struct check_question question;
	uint8_t out[4];
	size_t len = role_expect(MSG_CHECK, payload, sizeof payload, NULL);
	int r = check_get(payload, len, &question);
	mem_wipe(payload, sizeof payload);
	if (r < 0)
		return 2;
	/* an empty password is no password: LDAP would call such a bind anonymous, and succeed */
	r = question.field[CHECK_PASSWORD][0] && question.field[CHECK_USER][0]
		    ? check(&question)
		    : -ERR_PASSWORD_WRONG;
	mem_wipe(&question, sizeof question);
	role_send(MSG_CHECKED, out, code_put((uint32_t)-r, out), -1);
	return 0;
}

/* What PAM's modules start (pam_exec) may leave our process group and session, but not a PID
 * namespace, and that ends with its first process: so nothing of it outlives our deadline. Returns
 * in that first process; the one that was started waits for it, and dies for it. Where there is no
 * right to a namespace it all goes on without. */
static void
contain(void)
{
	int status;
	if (unshare(CLONE_NEWPID) < 0)
		return;
	pid_t pid = fork();
	if (pid == 0) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
			_exit(2);
		return;
	}
	close(ROLE_CHANNEL);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		_exit(2);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 2);
}

/* PAM's modules read what only root may. */
int
check_pam_main(const struct options *options)
{
	role_privileged("check-pam");
	(void)options;
	contain();
	return answer(check_pam);
}

int
check_radius_main(const struct options *options)
{
	role_sandbox(options, "check-radius", SANDBOX_NETWORK);
	return answer(check_radius);
}

int
check_ldap_main(const struct options *options)
{
	role_sandbox(options, "check-ldap", SANDBOX_NETWORK);
	return answer(check_ldap);
}
