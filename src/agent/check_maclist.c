#include "agent/check_maclist.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/role.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/wire.h"

static const char head[] = "#URL ";

struct text {
	char *bytes; /* MACLIST_COPY_MAX_BYTES */
	size_t len;
};

/* ---- messages ---- */

size_t
maclist_question_put(
	const struct maclist_question *question, uint8_t out[static MACLIST_QUESTION_MAX_BYTES])
{
	struct wr w = wr_init(out, MACLIST_QUESTION_MAX_BYTES);
	wr_text(&w, question->url);
	wr_text(&w, question->ca_file);
	wr_u32(&w, question->max_age_s);
	wr_u8(&w, (uint8_t)question->count);
	for (size_t i = 0; i < question->count; i++)
		wr_bytes(&w, question->macs[i], MAC_BYTES);
	return w.len;
}

int
maclist_question_get(const uint8_t *p, size_t len, struct maclist_question *ret_question)
{
	struct rd r = rd_init(p, len);
	memset(ret_question, 0, sizeof *ret_question);
	rd_text(&r, ret_question->url, sizeof ret_question->url);
	rd_text(&r, ret_question->ca_file, sizeof ret_question->ca_file);
	ret_question->max_age_s = rd_u32(&r);
	ret_question->count = rd_u8(&r);
	if (ret_question->count > FACTS_MACS_MAX)
		return -ERR_PROTOCOL;
	for (size_t i = 0; i < ret_question->count; i++)
		rd_copy(&r, ret_question->macs[i], MAC_BYTES);
	return rd_done(&r) ? 0 : -ERR_PROTOCOL;
}

/* ---- the list ---- */

int
maclist_judge(const struct maclist_question *question, const char *text, size_t len)
{
	struct maclist list;
	struct conf_error error = {""};
	int r = maclist_parse(text, len, &list, &error);
	if (r < 0) {
		LOG(ERROR, "maclist.bad", F_STR("text", error.text));
		return -ERR_MAC_LIST;
	}
	r = -ERR_MAC_DENIED;
	for (size_t i = 0; i < question->count; i++)
		if (maclist_has(&list, question->macs[i]))
			r = 0;
	maclist_fini(&list);
	return r;
}

const char *
maclist_copy_of(const char *url, const char *text, size_t *len)
{
	size_t url_len = strlen(url), skip = sizeof head - 1 + url_len + 1;
	if (*len < skip || memcmp(text, head, sizeof head - 1) != 0 ||
		memcmp(text + sizeof head - 1, url, url_len) != 0 || text[skip - 1] != '\n')
		return NULL;
	*len -= skip;
	return text + skip;
}

/* Age in seconds; -1 when there is no copy of this list. A copy from the future is as old as can
 * be. */
static int64_t
read_copy(int fd, const char *url, struct text *ret_text)
{
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return -1;
	for (ssize_t n = 1; n > 0 && ret_text->len < MACLIST_COPY_MAX_BYTES;
		ret_text->len += (size_t)n) {
		n = read(fd, ret_text->bytes + ret_text->len,
			MACLIST_COPY_MAX_BYTES - ret_text->len);
		if (n < 0)
			return -1;
	}
	size_t len = ret_text->len;
	const char *list = maclist_copy_of(url, ret_text->bytes, &len);
	if (!list)
		return -1;
	memmove(ret_text->bytes, list, len);
	ret_text->len = len;
	int64_t age = (int64_t)wall_s() - (int64_t)st.st_mtime;
	return age < 0 ? INT64_MAX : age;
}

/* More than a list may have ends the transfer. */
static size_t
on_body(char *data, size_t size, size_t count, void *user)
{
	struct text *text = user;
	size_t len = size * count;
	if (len > MACLIST_TEXT_MAX_BYTES - text->len)
		return 0;
	memcpy(text->bytes + text->len, data, len);
	text->len += len;
	return len;
}

static int
set_options(CURL *curl, const struct maclist_question *q, struct text *text)
{
	int bad = curl_easy_setopt(curl, CURLOPT_URL, q->url) != CURLE_OK ||
		  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https") != CURLE_OK ||
		  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L) != CURLE_OK ||
		  curl_easy_setopt(curl, CURLOPT_NOPROXY, "*") != CURLE_OK ||
		  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) != CURLE_OK ||
		  curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)MACLIST_FETCH_S) != CURLE_OK ||
		  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L) != CURLE_OK ||
		  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L) != CURLE_OK ||
		  curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) !=
			  CURLE_OK ||
		  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body) != CURLE_OK ||
		  curl_easy_setopt(curl, CURLOPT_WRITEDATA, text) != CURLE_OK;
	if (q->ca_file[0])
		bad |= curl_easy_setopt(curl, CURLOPT_CAINFO, q->ca_file) != CURLE_OK ||
		       curl_easy_setopt(curl, CURLOPT_CAPATH, NULL) != CURLE_OK;
	return bad ? -ERR_MAC_LIST : 0;
}

/* 0 when the whole list came, with status 200. */
static int
fetch(const struct maclist_question *q, struct text *ret_text)
{
	long status = 0;
	CURL *curl = curl_easy_init();
	CURLcode code = CURLE_FAILED_INIT;
	ret_text->len = 0;
	if (curl && set_options(curl, q, ret_text) == 0)
		code = curl_easy_perform(curl);
	if (curl)
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(curl);
	if (code == CURLE_OK && status == 200)
		return 0;
	LOG(ERROR, "maclist.fetch", F_STR("url", q->url), F_INT("status", status),
		F_STR("text", curl_easy_strerror(code)));
	return -ERR_MAC_LIST;
}

static int
keep(int fd, const char *url, const struct text *text)
{
	if (dprintf(fd, "%s%s\n", head, url) < 0)
		return -errno;
	for (size_t at = 0; at < text->len;) {
		ssize_t n = write(fd, text->bytes + at, text->len - at);
		if (n < 0)
			return -errno;
		at += (size_t)n;
	}
	return 0;
}

/* A list that is none does not replace the copy of one. ret_fresh: text is worth being kept. */
static int
decide(const struct maclist_question *q, int copy, struct text *text, struct text *old,
	int *ret_fresh)
{
	int64_t age = read_copy(copy, q->url, old);
	if (age >= 0 && age <= MACLIST_FRESH_S)
		return maclist_judge(q, old->bytes, old->len);
	int r = fetch(q, text);
	if (r == 0)
		r = maclist_judge(q, text->bytes, text->len);
	*ret_fresh = r != -ERR_MAC_LIST;
	if (r != -ERR_MAC_LIST || age < 0 || age > (int64_t)q->max_age_s)
		return r;
	LOG(WARN, "maclist.copy", F_STR("url", q->url), F_INT("age_s", age));
	return maclist_judge(q, old->bytes, old->len);
}

int
check_maclist_main(const struct options *options)
{
	uint8_t payload[MACLIST_QUESTION_MAX_BYTES], out[4];
	struct maclist_question question;
	struct text text = {mem_array(1, MACLIST_COPY_MAX_BYTES), 0},
		    old = {mem_array(1, MACLIST_COPY_MAX_BYTES), 0};
	int copy, fresh = 0, made = memfd_create("maclist", MFD_CLOEXEC);
	if (!text.bytes || !old.bytes || made < 0 || curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
		return 2;
	role_sandbox(options, "check-maclist", SANDBOX_NETWORK);
	size_t len = role_expect(MSG_CHECK_MACLIST, payload, sizeof payload, &copy);
	int r = maclist_question_get(payload, len, &question);
	if (r < 0)
		return 2;
	r = decide(&question, copy, &text, &old, &fresh);
	if (fresh && keep(made, question.url, &text) < 0)
		fresh = 0;
	role_send(MSG_MACLIST_CHECKED, out, code_put((uint32_t)-r, out), fresh ? made : -1);
	return 0;
}
