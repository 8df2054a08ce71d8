#include "controller/mail.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	BODY_MAX_BYTES = 2048,
	LOCAL_MAX = 64,
	LABEL_MAX = 63,
	CODE_DIGITS_MIN = 6,
	CODE_DIGITS_MAX = 10,
	WORD_COUNT = 2,
	DEVICE_BYTES_MAX = 64,
	BASE64_LINE_BYTES = 57, /* 76 characters, RFC 2045 6.8 */
	ENCODED_WORD_BYTES =
		39, /* "Subject: =?UTF-8?B?" + 52 + "?=" is below 76 characters, RFC 2047 2 */
	JST_OFFSET_S = 9 * 3600,
};

static int
is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int
local_ok(const char *s, size_t len)
{
	if (len == 0 || len > LOCAL_MAX || s[0] == '.' || s[len - 1] == '.')
		return 0;
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '.' && s[i + 1] == '.')
			return 0;
		if (!is_alnum(s[i]) && !strchr(".!#$%&'*+-/=?^_`{|}~", s[i]))
			return 0;
	}
	/* a leading hyphen is an option to some mail programs */
	return s[0] != '-';
}

static int
domain_ok(const char *s)
{
	size_t label = 0;
	for (; *s; s++) {
		if (*s == '.' || *s == '-') {
			if (label == 0 || (*s == '.' && s[-1] == '-'))
				return 0;
			label = *s == '.' ? 0 : label + 1;
		} else if (!is_alnum(*s) || ++label > LABEL_MAX) {
			return 0;
		}
	}
	return label > 0 && s[-1] != '-';
}

int
mail_address_ok(const char *address)
{
	const char *at = strchr(address, '@');
	return at && strlen(address) <= MAIL_ADDRESS_MAX &&
	       local_ok(address, (size_t)(at - address)) && domain_ok(at + 1);
}

static int
digits_ok(const char *s)
{
	size_t len = strspn(s, "0123456789");
	return !s[len] && len >= CODE_DIGITS_MIN && len <= CODE_DIGITS_MAX;
}

/* First bytes of a character that is invisible, turns the writing direction, or that a mail program
 * may take for a dot: U+0080 to 00BF, U+2000 to 2FFF, U+3002, U+FE00 to FEFF, U+FF0E, U+FF61. */
static int
is_odd(const unsigned char *p)
{
	return p[0] == 0xc2 || p[0] == 0xe2 || (p[0] == 0xe3 && p[1] == 0x80 && p[2] == 0x82) ||
	       (p[0] == 0xef && ((p[1] >= 0xb8 && p[1] <= 0xbb) || (p[1] == 0xbc && p[2] == 0x8e) ||
					(p[1] == 0xbd && p[2] == 0xa1)));
}

/* The home PC's own words go into a mail that people trust: nothing in them may become a link, a
 * line or an invisible turn of the writing direction. Letters of any script, digits and a few marks
 * stay, the rest is a blank. */
static void
tame(const char *in, char *out, size_t size)
{
	size_t n = 0;
	for (const unsigned char *p = (const unsigned char *)in; *p && n + 5 < size; p++) {
		size_t len = *p < 0x80 ? 1 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;
		if (len == 1 ? !is_alnum((char)*p) && !strchr("-_()", *p) : is_odd(p) || len == 4)
			out[n++] = ' ';
		else
			for (size_t i = 0; i < len; i++)
				out[n++] = (char)p[i];
		p += len - 1;
	}
	out[n] = '\0';
	if (n == 0)
		(void)str_copy(out, size, "-");
}

struct facts {
	char device[DEVICE_BYTES_MAX + 8], address[INET6_ADDRSTRLEN], time[32], tail[8],
		words[2 * 32 + 8];
	const struct letter *letter;
};

/* Only what inet_pton takes is an address. */
static void
take_address(const char *in, char *out, size_t size)
{
	uint8_t bytes[16];
	int ok = inet_pton(AF_INET, in, bytes) == 1 || inet_pton(AF_INET6, in, bytes) == 1;
	(void)str_copy(out, size, ok ? in : "-");
}

static int
take_facts(const engawa_MailCode *code, struct facts *f)
{
	time_t local = (time_t)code->time_s + JST_OFFSET_S;
	struct tm tm;
	if (code->words_count != WORD_COUNT || !code->words[0][0] || !code->words[1][0])
		return -ERR_PROTOCOL;
	for (size_t i = 0; i < WORD_COUNT; i++) {
		char word[sizeof code->words[0] + 8];
		tame(code->words[i], word, sizeof word);
		if (strcmp(word, code->words[i]) != 0)
			return -ERR_PROTOCOL;
	}
	for (const char *p = code->terminal_tail; *p; p++)
		if (!is_alnum(*p))
			return -ERR_PROTOCOL;
	if (str_copy(f->tail, sizeof f->tail, code->terminal_tail) < 0 ||
		str_print(f->words, sizeof f->words, "%s ・ %s", code->words[0], code->words[1]) <
			0)
		return -ERR_PROTOCOL;
	tame(code->device, f->device, sizeof f->device);
	take_address(code->client_address, f->address, sizeof f->address);
	if (code->time_s > UINT32_MAX || !gmtime_r(&local, &tm) ||
		!strftime(f->time, sizeof f->time, "%Y-%m-%d %H:%M:%S", &tm))
		return -ERR_PROTOCOL;
	return 0;
}

/* What a mail is for: subject with the terminal's tail, what stands above and below the facts. Of
 * those with a code, `above` has its place. */
#define FACTS_JA                             \
	"    接続元の端末: %s\n"       \
	"    接続元のアドレス: %s\n" \
	"    時刻: %s (日本時間)\n"    \
	"    端末IDの末尾: %s\n"
#define FACTS_EN                      \
	"    Connecting device: %s\n" \
	"    Its address: %s\n"       \
	"    Time: %s (Japan)\n"      \
	"    Terminal ID ends in: %s\n"
#define WORDS_JA                                                                                                                                  \
	"\n"                                                                                                                                      \
	"    確認コード: %s\n"                                                                                                               \
	"\n"                                                                                                                                      \
	"接続しようとしている画面に入力してください。5分間に1回だけ使えます。\n"                                 \
	"画面の照合語が次の2語と同じであることを確かめてください。違うときは入力しないでください。\n" \
	"\n"                                                                                                                                      \
	"    照合語: %s\n"
#define WORDS_EN                                                                                           \
	"\n"                                                                                               \
	"    Code: %s\n"                                                                                   \
	"\n"                                                                                               \
	"Type it on the screen that asks for it. It works once, within 5 minutes.\n"                       \
	"Check that the screen shows the same two words as below. If it does not, do not type the code.\n" \
	"\n"                                                                                               \
	"    Words: %s\n"
#define CODE_END_JA                                                                                                                                    \
	"\n"                                                                                                                                           \
	"心当たりがない場合は、このコードを入力せず、だれにも教えず、すぐに管理者に連絡してください。\n" \
	"職員や管理者がこのコードを尋ねることはありません。このメールには返信できません。\n"
#define CODE_END_EN                                                                                               \
	"\n"                                                                                                      \
	"If this was not you, do not type the code, tell it to nobody, and contact your administrator at once.\n" \
	"Nobody will ever ask you for this code. Replies to this mail are not read.\n"
#define NOTICE_END_JA \
	"\n"          \
	"心当たりがない場合は、すぐに管理者に連絡してください。このメールには返信できません。\n"
#define NOTICE_END_EN \
	"\n"          \
	"If this was not you, contact your administrator at once. Replies to this mail are not read.\n"

static const struct letter {
	engawa_MailKind kind;
	int has_code;
	const char *subject[2], *body[2]; /* by enum err_lang */
} letters[] = {
	{engawa_MailKind_MAIL_LOGIN, 1,
		{"確認コードのお知らせ (端末ID末尾 %s)",
			"Code for your remote connection (terminal …%s)"},
		{"テレワークの接続に使う確認コードです。\n" WORDS_JA FACTS_JA CODE_END_JA,
			"This is the code for your remote connection.\n" WORDS_EN FACTS_EN
				CODE_END_EN}},
	{engawa_MailKind_MAIL_NEW_ADDRESS, 1,
		{"メールアドレス変更の確認コード (端末ID末尾 %s)",
			"Code to register this mail address (terminal …%s)"},
		{"このアドレスを、テレワークの確認コードの送り先として登録するための確認コードです。\n" WORDS_JA
				FACTS_JA CODE_END_JA,
			"This is the code that registers this address for the codes of your remote connection.\n" WORDS_EN
				FACTS_EN CODE_END_EN}},
	{engawa_MailKind_MAIL_ADDRESS_CHANGED, 0,
		{"メールアドレスを変更しました (端末ID末尾 %s)",
			"The mail address was changed (terminal …%s)"},
		{"テレワークの確認コードの送り先が、別のメールアドレスに変更されました。\n"
		 "今後、このアドレスに確認コードは届きません。\n\n" FACTS_JA NOTICE_END_JA,
			"The codes of your remote connection go to another mail address from now on,\n"
			"and no longer to this one.\n\n" FACTS_EN NOTICE_END_EN}},
	{engawa_MailKind_MAIL_DEVICE_ADDED, 0,
		{"端末が登録されました (端末ID末尾 %s)",
			"A computer was registered (terminal …%s)"},
		{"次の端末が、あなたの庁内PCに接続できる端末として登録されました。\n\n" FACTS_JA
				NOTICE_END_JA,
			"This computer was registered: it may connect to your office PC.\n\n" FACTS_EN
				NOTICE_END_EN}},
	{engawa_MailKind_MAIL_DEVICE_NEW, 0,
		{"新しい端末から接続されました (端末ID末尾 %s)",
			"A new computer has connected (terminal …%s)"},
		{"これまで使われたことのない次の端末から、あなたの庁内PCへの接続がありました。\n\n" FACTS_JA
				NOTICE_END_JA,
			"A computer that was never used before has connected to your office PC.\n\n" FACTS_EN
				NOTICE_END_EN}},
	{engawa_MailKind_MAIL_KEY_ADDED, 0,
		{"セキュリティキーを登録しました (端末ID末尾 %s)",
			"A security key was registered (terminal …%s)"},
		{"テレワークの接続に使うセキュリティキーが新しく登録されました。\n\n" FACTS_JA
				NOTICE_END_JA,
			"A new security key was registered for your remote connection.\n\n" FACTS_EN
				NOTICE_END_EN}},
	{engawa_MailKind_MAIL_PAPER_USED, 0,
		{"回復コードで接続されました (端末ID末尾 %s)",
			"A recovery code was used (terminal …%s)"},
		{"回復コードまたは緊急用コードを使った、あなたの庁内PCへの接続がありました。使ったコードはもう使えません。\n"
		 "庁内PCの設定で新しい回復コードを作り、古い紙は捨ててください。残りの数もそこで確かめられます。\n"
		 "認証アプリなどをなくしたときは、登録もし直してください。\n\n" FACTS_JA
				NOTICE_END_JA,
			"A recovery or emergency code was used to connect to your office PC. It is void now.\n"
			"Make new recovery codes in the settings of the office PC, which show how many are left, and throw the old\n"
			"paper away. If the authenticator app or the key is lost, register another one.\n\n" FACTS_EN
				NOTICE_END_EN}},
};

static const struct letter *
letter_of(engawa_MailKind kind)
{
	for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++)
		if (letters[i].kind == kind)
			return &letters[i];
	return NULL;
}

struct text {
	char *out;
	size_t size, len;
	int failed;
};

static void __attribute__((format(printf, 2, 3))) add(struct text *t, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	int n = t->failed ? -1 : vsnprintf(t->out + t->len, t->size - t->len, format, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= t->size - t->len)
		t->failed = 1;
	else
		t->len += (size_t)n;
}

static void
add_subject(struct text *t, const char *subject)
{
	char encoded[ENCODED_WORD_BYTES / 3 * 4 + 8];
	size_t left = strlen(subject);
	add(t, "Subject:");
	while (left > 0) {
		size_t n = left < ENCODED_WORD_BYTES ? left : ENCODED_WORD_BYTES;
		while (n < left && ((unsigned char)subject[n] & 0xc0) == 0x80)
			n--; /* never inside a character */
		str_base64(encoded, subject, n);
		add(t, " =?UTF-8?B?%s?=\r\n", encoded);
		subject += n;
		left -= n;
	}
}

static void
add_body(struct text *t, const char *body)
{
	char crlf[BODY_MAX_BYTES + 64], line[BASE64_LINE_BYTES / 3 * 4 + 8];
	size_t len = 0;
	for (; *body && len + 2 < sizeof crlf; body++) {
		if (*body == '\n')
			crlf[len++] = '\r';
		crlf[len++] = *body;
	}
	for (size_t at = 0; at < len; at += BASE64_LINE_BYTES) {
		size_t n = len - at < BASE64_LINE_BYTES ? len - at : BASE64_LINE_BYTES;
		str_base64(line, crlf + at, n);
		add(t, "%s\r\n", line);
	}
	mem_wipe(crlf, sizeof crlf);
	mem_wipe(line, sizeof line);
}

/* The formats are the table's. */
static int
print_known(char *out, size_t size, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	int n = vsnprintf(out, size, format, ap);
#pragma GCC diagnostic pop
	va_end(ap);
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static void
add_headers(struct text *t, const engawa_MailCode *code, const struct facts *f, const char *from,
	const uint8_t *id, uint64_t now_s, enum err_lang lang)
{
	char hex[2 * MAIL_ID_BYTES + 1], date[64], subject[128];
	time_t local = (time_t)now_s + JST_OFFSET_S;
	struct tm tm = {0};
	gmtime_r(&local, &tm);
	/* the C locale of a program that never calls setlocale: English names, as RFC 5322 3.3
	 * wants */
	strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S +0900", &tm);
	str_hex(hex, id, MAIL_ID_BYTES);
	print_known(subject, sizeof subject, f->letter->subject[lang], f->tail);
	add(t, "Date: %s\r\nFrom: <%s>\r\nTo: <%s>\r\nMessage-ID: <%s%s>\r\n", date, from,
		code->address, hex, strchr(from, '@'));
	add_subject(t, subject);
	add(t,
		"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=UTF-8\r\n"
		"Content-Transfer-Encoding: base64\r\nContent-Language: %s\r\n"
		"Auto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All\r\n\r\n",
		lang == ERR_LANG_JA ? "ja" : "en");
}

int
mail_compose(const engawa_MailCode *code, const char *from, const uint8_t id[static MAIL_ID_BYTES],
	uint64_t now_s, char *out, size_t size)
{
	struct text t = {out, size, 0, 0};
	struct facts f;
	char body[BODY_MAX_BYTES];
	enum err_lang lang = err_lang(code->locale);
	if (!mail_address_ok(code->address))
		return -ERR_MAIL_ADDRESS;
	if (!str_utf8(code->device, strlen(code->device)) ||
		!str_utf8(code->words[0], strlen(code->words[0])) ||
		!str_utf8(code->words[1], strlen(code->words[1])))
		return -ERR_PROTOCOL;
	f.letter = letter_of(code->kind);
	if (!f.letter)
		return -ERR_PROTOCOL;
	if (f.letter->has_code ? !digits_ok(code->code) : code->code[0] != '\0')
		return -ERR_PROTOCOL;
	int r = take_facts(code, &f);
	if (r < 0)
		return r;
	if (f.letter->has_code)
		r = print_known(body, sizeof body, f.letter->body[lang], code->code, f.words,
			f.device, f.address, f.time, f.tail);
	else
		r = print_known(body, sizeof body, f.letter->body[lang], f.device, f.address,
			f.time, f.tail);
	if (r == 0) {
		add_headers(&t, code, &f, from, id, now_s, lang);
		add_body(&t, body);
	}
	mem_wipe(body, sizeof body);
	return r < 0 || t.failed ? -ERR_TOO_LONG : (int)t.len;
}
