#include "cli/org_policy.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/policy.h"
#include "base/build.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "cli/org_file.h"

enum {
	DAY_S = 86400,
	SESSION_LONG_S = DAY_S, /* NIST SP 800-63B 2.2.3 */
	IDLE_LONG_S = 3600,
	STRANGERS_MAILS_MANY = 3, /* of a relay's MAIL_BURST, by default 5 */
	FILE_MODE = 0644,
	FIRST_SIZE = 2048
};

static const char first_text[] =
	"# 団体の規則。書き方は engawa-policy(5)。書かれていないことは、閉じたままです。\n"
	"# 変更したら REVISION を増やし、engawa org policy sign で署名して、庁内PCに配ります。\n"
	"# The organisation's policy: engawa-policy(5). What is not written stays closed.\n"
	"# After a change raise REVISION, sign it with engawa org policy sign, and hand it to the office PCs.\n"
	"REVISION 1\n"
	"NOT_AFTER %s\n"
	"# 確認コードは認証アプリかセキュリティキーで。メールは旧方式なので、それらが手元にないときだけ送ります。\n"
	"# One-time codes come from an app or a security key. Mail is the old way: only when these are not at hand.\n"
	"OTP_MAIL recovery\n"
	"# セキュリティキーを使うには、次の2行の # を外し、中継のページのホスト名を書きます。\n"
	"# For security keys: these two lines, with the host name of the relay's page.\n"
	"#OTP_WEBAUTHN on\n"
	"#WEBAUTHN_RP_ID relay.example\n";

/* 0 = without end */
static int
above(int64_t seconds, int64_t most_s)
{
	return seconds == 0 || seconds > most_s;
}

static unsigned
notes_of(const struct policy *p)
{
	const int is[ORG_NOTE_COUNT] = {
		[ORG_NOTE_ONE_FACTOR] = !policy_wants_otp(p) && !policy_wants_devicecheck(p) &&
					!p->require_certificate,
		[ORG_NOTE_MINIMUM_BUILD] = p->minimum_build > BUILD,
		[ORG_NOTE_LONG_SESSION] = above(p->max_session_s, SESSION_LONG_S) ||
					  above(p->idle_timeout_s, IDLE_LONG_S),
		[ORG_NOTE_STRANGERS] = policy_wants_otp(p) && !policy_wants_devicecheck(p) &&
				       p->otp_mail_strangers > STRANGERS_MAILS_MANY,
	};
	unsigned notes = 0;
	for (unsigned i = 0; i < ORG_NOTE_COUNT; i++)
		notes |= (unsigned)is[i] << i;
	return notes;
}

int
org_policy_sign(const char *dir, const char *file, unsigned *ret_notes, const char **ret_dir,
	const char **ret_at, struct conf_error *error)
{
	char path[PATH_MAX], *text = NULL, *signed_text = NULL;
	struct evp_pkey_st *key = NULL;
	uint8_t point[SIGN_POINT_BYTES];
	struct policy values;
	size_t len;
	policy_init(&values);
	*ret_dir = dir;
	*ret_at = "policy.key";
	int r = org_path(path, sizeof path, dir, *ret_at);
	if (r == 0)
		r = sign_key_load(path, &key);
	if (r == 0) {
		*ret_dir = "";
		*ret_at = file;
		r = sign_key_point(key, point);
	}
	if (r == 0)
		r = conf_read_file(file, POLICY_MAX_BYTES, &text, &len);
	if (r == 0)
		r = orgfile_sign(text, len, "engawa policy v1", key, &signed_text);
	/* a policy that no agent would take must not look signed: its keys and values too */
	if (r == 0)
		r = policy_read(&values, signed_text, strlen(signed_text), point, wall_s(), error);
	if (r == 0)
		r = conf_write_file(file, signed_text, strlen(signed_text), FILE_MODE);
	if (r == 0)
		*ret_notes = notes_of(&values);
	policy_fini(&values);
	free(signed_text);
	free(text);
	sign_key_free(key);
	return r;
}

int
org_policy_first(const char *dir, int64_t days, struct conf_error *error)
{
	char path[PATH_MAX], date[sizeof "YYYY-MM-DD"], text[FIRST_SIZE];
	const char *at_dir, *at;
	unsigned notes;
	time_t end = (time_t)wall_s() + (time_t)days * DAY_S;
	struct tm tm;
	if (!gmtime_r(&end, &tm) || !strftime(date, sizeof date, "%Y-%m-%d", &tm))
		return -ERR_CLOCK;
	int r = org_path(path, sizeof path, dir, ORG_POLICY);
	if (r == 0)
		r = str_print(text, sizeof text, first_text, date);
	if (r == 0)
		r = conf_write_new(path, text, strlen(text), FILE_MODE);
	if (r < 0)
		return r == -EEXIST ? 0 : r;
	r = org_policy_sign(dir, path, &notes, &at_dir, &at, error);
	if (r < 0)
		unlink(path);
	return r < 0 ? r : 1;
}
