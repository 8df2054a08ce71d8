#include <security/pam_appl.h>
#include <stdlib.h>
#include <string.h>

#include "agent/check.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"

/* The password to the questions that are not shown, nothing to any other. */
static int
converse(int count, const struct pam_message **messages, struct pam_response **ret, void *user)
{
	const struct check_question *q = user;
	if (count <= 0 || count > PAM_MAX_NUM_MSG)
		return PAM_CONV_ERR;
	/* PAM frees these with free */
	struct pam_response *answers = calloc((size_t)count, sizeof *answers);
	if (!answers)
		return PAM_BUF_ERR;
	for (int i = 0; i < count; i++) {
		if (messages[i]->msg_style == PAM_PROMPT_ECHO_OFF)
			answers[i].resp = strdup(q->field[CHECK_PASSWORD]);
		else if (messages[i]->msg_style == PAM_PROMPT_ECHO_ON)
			answers[i].resp = strdup("");
		else
			continue;
		if (answers[i].resp)
			continue;
		while (i-- > 0)
			mem_wipe_free(
				answers[i].resp, answers[i].resp ? strlen(answers[i].resp) : 0);
		free(answers);
		return PAM_BUF_ERR;
	}
	*ret = answers;
	return PAM_SUCCESS;
}

static int
from_pam(int r)
{
	switch (r) {
	case PAM_SUCCESS:
		return 0;
	case PAM_AUTH_ERR:
	case PAM_USER_UNKNOWN:
	case PAM_MAXTRIES:
		return -ERR_PASSWORD_WRONG;
	case PAM_ACCT_EXPIRED:
	case PAM_NEW_AUTHTOK_REQD:
	case PAM_AUTHTOK_EXPIRED:
		return -ERR_PERSON_EXPIRED;
	case PAM_PERM_DENIED:
		return -ERR_PERSON_DENIED;
	default:
		LOG(ERROR, "check.pam", F_INT("pam", r));
		return -ERR_PERSON_SERVICE;
	}
}

int
check_pam(const struct check_question *question)
{
	const char *directory = question->field[CHECK_PLACE];
	struct pam_conv conv = {converse, (void *)(uintptr_t)question};
	pam_handle_t *pam = NULL;
	int r = pam_start_confdir(question->field[CHECK_SERVICE], question->field[CHECK_USER],
		&conv, directory[0] ? directory : NULL, &pam);
	if (r != PAM_SUCCESS)
		return -ERR_PERSON_SERVICE;
	int result = from_pam(pam_authenticate(pam, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK));
	if (result == -ERR_PERSON_DENIED)
		result = -ERR_PASSWORD_WRONG; /* before the password was found right */
	if (result == 0) {
		result = from_pam(pam_acct_mgmt(pam, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK));
		if (result == -ERR_PASSWORD_WRONG)
			result = -ERR_PERSON_DENIED;
	}
	if (pam_end(pam, result == 0 ? PAM_SUCCESS : PAM_AUTH_ERR) != PAM_SUCCESS && result == 0)
		result = -ERR_PERSON_SERVICE;
	return result;
}
