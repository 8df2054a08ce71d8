/*
 * Too many failures of this device, or of all strangers together, close the door for a while.
 *
 * A stranger who could be the device that is being paired at the office PC right now goes on to be
 * asked for the pairing code (step_pair_first.c): else whoever has the terminal ID could keep every
 * new device out. So does one who would get no code any more because strangers have asked for all
 * that there are.
 */
#include "agent/login.h"

static int
enter(struct login *login)
{
	int r = login_locked(login);
	int shut = r < 0 || (!login->resumes && login_mails_first(login) &&
				    !devices_known(login->office.devices, login->device) &&
				    login_no_mail_left(login));
	if (shut && !login->resumes && !login->facts.apply[0] && login_may_pair(login)) {
		login->admission.first = 1;
		return LOGIN_PASSED;
	}
	return r < 0 ? r : LOGIN_PASSED;
}

const struct login_step step_lockout = {.name = "lockout", .again = 1, .enter = enter};
