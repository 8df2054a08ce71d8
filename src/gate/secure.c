#include "gate/secure.h"

#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "crypto/cert.h"
#include "crypto/tls.h"
#include "crypto/tlsexport.h"
#include "gate/key.h"
#include "gate/tell.h"

enum {
	CHAIN_MAX = 8
};

struct secure_context {
	SSL_CTX *native, *page; /* page NULL = no browsers */
};

/* Bytes of the wire that make no whole record yet. */
struct held {
	uint32_t len, cap;
	uint8_t bytes[];
};

struct secure {
	SSL *ssl;          /* until the handshake is done, then freed: rec goes on */
	struct held *held; /* NULL while idle */
	int fd;
	int failed;    /* what the next read says, 0 = nothing */
	uint8_t alert; /* that the peer is owed for it, SECURE_NO_ALERT */
	uint8_t is_native, has_certificate, is_agent;
	uint8_t drained; /* the last read took all that there was */
	uint8_t agent_id[16];
	struct tlsrec rec;
};

enum {
	NO_ALERT = 255
};

/* All that TLS costs an idle connection. */
static_assert(
	sizeof(struct secure) <= 288, "struct secure: every byte counts half a million times");

/* One process, one thread: a record at a time is on the table. */
static struct {
	struct tlsrec_crypto *crypto;
	uint8_t record[TLSREC_WIRE_MAX_BYTES];
} table;

static size_t
chain_parse(const char *pem, size_t len, X509 *ret_chain[static CHAIN_MAX])
{
	size_t count = 0;
	BIO *bio = len <= INT32_MAX ? BIO_new_mem_buf(pem, (int)len) : NULL;
	while (bio && count < CHAIN_MAX &&
		(ret_chain[count] = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
		count++;
	BIO_free(bio);
	ERR_clear_error();
	return count;
}

static SSL_CTX *
page_new(const char *pem, size_t len, struct key_channel *channel)
{
	X509 *chain[CHAIN_MAX];
	size_t count = chain_parse(pem, len, chain);
	EVP_PKEY *key = count > 0 ? key_remote_new(channel, chain[0], TELL_KEY_PAGE) : NULL;
	SSL_CTX *page = key ? tls_incoming_page_chain(chain, count, key) : NULL;
	EVP_PKEY_free(key);
	for (size_t i = 0; i < count; i++)
		cert_free(chain[i]);
	return page;
}

struct secure_context *
secure_context_new(X509 *native, X509 *const *issuers, size_t issuer_count, const char *page_pem,
	size_t page_len, int channel_fd)
{
	if (!table.crypto)
		table.crypto = tlsrec_crypto_new();
	struct secure_context *context = table.crypto ? mem_array(1, sizeof *context) : NULL;
	struct key_channel *channel = key_channel_new(channel_fd);
	EVP_PKEY *key = channel ? key_remote_new(channel, native, TELL_KEY_NATIVE) : NULL;
	int ok = context && key;
	if (ok)
		context->native = tls_incoming(native, key, issuers, issuer_count);
	ok = ok && context->native && tlsexport_prepare(context->native) == 0;
	if (ok && page_pem) {
		context->page = page_new(page_pem, page_len, channel);
		ok = context->page != NULL && tlsexport_prepare(context->page) == 0;
		if (ok)
			tls_incoming_share(context->page, context->native);
	}
	EVP_PKEY_free(key);
	if (!ok) {
		if (channel)
			key_channel_keep(channel);
		secure_context_free(context);
		context = NULL;
	}
	key_channel_free(channel); /* the keys hold it from here on */
	return context;
}

void
secure_context_free(struct secure_context *context)
{
	if (!context)
		return;
	tls_free(context->page);
	tls_free(context->native);
	free(context);
}

int
secure_check_agent(struct secure_context *context, const void *der, size_t len,
	uint8_t ret_agent_id[static 16], char *ret_organisation, size_t size)
{
	X509 *cert = cert_parse(der, len);
	int r = cert ? tls_check_client(context->native, cert) : -ERR_CRYPTO;
	if (r == 0)
		r = cert_agent(cert, ret_agent_id, ret_organisation, size);
	cert_free(cert);
	ERR_clear_error();
	return r;
}

struct secure *
secure_new(struct secure_context *context, int fd)
{
	struct secure *s = mem_array(1, sizeof *s);
	SSL *ssl = s ? SSL_new(context->page ? context->page : context->native) : NULL;
	if (!ssl || !SSL_set_fd(ssl, fd)) {
		SSL_free(ssl);
		free(s);
		ERR_clear_error();
		return NULL;
	}
	SSL_set_accept_state(ssl);
	SSL_set_quiet_shutdown(ssl, 1); /* when it is freed the connection goes on */
	s->ssl = ssl;
	s->fd = fd;
	s->alert = NO_ALERT;
	return s;
}

static void
drop_held(struct secure *s)
{
	mem_wipe_free(s->held, s->held ? sizeof *s->held + s->held->cap : 0);
	s->held = NULL;
}

void
secure_free(struct secure *secure)
{
	if (!secure)
		return;
	SSL_free(secure->ssl);
	drop_held(secure);
	mem_wipe_free(secure, sizeof *secure);
}

/* What a failed handshake call means. */
static int
failure(SSL *ssl, int n)
{
	int saved = errno;
	switch (SSL_get_error(ssl, n)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return -ERR_CLOSED;
	case SSL_ERROR_SYSCALL:
		return saved == EPIPE || saved == 0 ? -ECONNRESET : -saved;
	default:
		break;
	}
	int eof = ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
	return eof ? -ECONNRESET : -ERR_CRYPTO;
}

/* All that is asked of the handshake later; then OpenSSL's part is over. */
static int export(struct secure *s, char *ret_organisation, size_t size)
{
	const uint8_t *name;
	unsigned len;
	SSL_get0_alpn_selected(s->ssl, &name, &len);
	s->is_native = len == strlen(TLS_ALPN_NATIVE) && memcmp(name, TLS_ALPN_NATIVE, len) == 0;
	X509 *cert = SSL_get0_peer_certificate(s->ssl);
	s->has_certificate = cert != NULL;
	s->is_agent = cert && SSL_get_verify_result(s->ssl) == X509_V_OK &&
		      cert_agent(cert, s->agent_id, ret_organisation, size) == 0;
	int r = tlsexport_take(s->ssl, &s->rec);
	SSL_free(s->ssl);
	s->ssl = NULL;
	ERR_clear_error();
	return r;
}

int
secure_handshake(struct secure *secure, char *ret_text, size_t size)
{
	ERR_clear_error();
	errno = 0;
	int n = SSL_accept(secure->ssl);
	if (n == 1)
		return export(secure, ret_text, size);
	int r = failure(secure->ssl, n), ours = key_has_failed();
	if (r == -ERR_CRYPTO)
		r = tls_failure(secure->ssl, ret_text, size);
	ERR_clear_error();
	return ours ? -ERR_NO_SIGNATURE : r;
}

int
secure_has_begun(const struct secure *secure)
{
	return secure->ssl && SSL_get_state(secure->ssl) != TLS_ST_BEFORE;
}

int
secure_is_native(const struct secure *secure)
{
	return secure->is_native;
}

int
secure_has_certificate(const struct secure *secure)
{
	return secure->has_certificate;
}

int
secure_agent(const struct secure *secure, uint8_t ret_agent_id[static 16])
{
	if (!secure->is_agent)
		return -ERR_CRYPTO;
	memcpy(ret_agent_id, secure->agent_id, sizeof secure->agent_id);
	return 0;
}

static int
hold(struct secure *s, const uint8_t *data, size_t len)
{
	if (len == 0) {
		drop_held(s);
		return 0;
	}
	if (!s->held || s->held->cap < len) {
		/* while bytes flow there is always a rest: its memory is kept for the next one */
		struct held *held = malloc(sizeof *held + len);
		if (!held)
			return -ENOMEM;
		held->cap = (uint32_t)len;
		drop_held(s);
		s->held = held;
	}
	s->held->len = (uint32_t)len;
	memcpy(s->held->bytes, data, len);
	return 0;
}

static size_t
take_held(struct secure *s, uint8_t *out)
{
	size_t len = s->held ? s->held->len : 0;
	if (len)
		memcpy(out, s->held->bytes, len);
	return len;
}

/* Bytes from the kernel; -EAGAIN; -ECONNRESET also at an end without close_notify. */
static int
receive(struct secure *s, uint8_t *out, size_t cap)
{
	ssize_t n = recv(s->fd, out, cap, 0);
	s->drained = n < (ssize_t)cap;
	if (n > 0)
		return (int)n;
	if (n == 0)
		return -ECONNRESET;
	return errno == EINTR || errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

/* Length of the whole record at data, 0 when it is not whole; a failure is kept. */
static size_t
whole(struct secure *s, const uint8_t *data, size_t len)
{
	int n = s->failed ? 0 : tlsrec_length(data, len);
	if (n < 0) {
		s->failed = -ERR_CRYPTO;
		s->alert = (uint8_t)-n;
	}
	return n > 0 && (size_t)n <= len ? (size_t)n : 0;
}

/* Opens one record; 0, or a failure that is kept: what came before it is still good. */
static int
open_record(struct secure *s, uint8_t *record, size_t len, uint8_t **ret_data, size_t *ret_len)
{
	int r = tlsrec_open(&s->rec, table.crypto, record, len, ret_data, ret_len);
	if (r < 0)
		s->alert = (uint8_t)-r;
	if (r == TLSREC_KEY_WORN) {
		s->alert = TLSREC_ALERT_UNEXPECTED_MESSAGE;
		s->failed = -ERR_KEY_WORN;
	} else if (r != 0)
		s->failed = -ERR_CRYPTO;
	else if (s->rec.closed)
		s->failed = -ERR_CLOSED;
	return s->failed;
}

int
secure_read(struct secure *secure, uint8_t *out, size_t cap)
{
	assert(cap >= SECURE_READ_BYTES);
	size_t have = secure->failed ? 0 : take_held(secure, table.record), record;
	while (!secure->failed) {
		record = whole(secure, table.record, have);
		if (record == 0 && !secure->failed) {
			int n = receive(secure, table.record + have, sizeof table.record - have);
			if (n < 0) {
				int r = n == -EAGAIN ? hold(secure, table.record, have) : n;
				return r < 0 ? r : n;
			}
			have += (size_t)n;
			continue;
		}
		uint8_t *data;
		size_t len;
		if (secure->failed || open_record(secure, table.record, record, &data, &len) < 0)
			break;
		memcpy(out, data, len);
		memmove(table.record, table.record + record, have - record);
		have -= record;
		if (len > 0) {
			int r = hold(secure, table.record, have);
			return r < 0 ? r : (int)len;
		}
	}
	drop_held(secure);
	return secure->failed;
}

/* A KeyUpdate of ours where one is due. Its length, or negative. */
static int
update(struct secure *s, uint8_t *out)
{
	return tlsrec_update_due(&s->rec) ? tlsrec_update(&s->rec, table.crypto, out) : 0;
}

int
secure_wrap(struct secure *secure, const uint8_t *data, size_t len, uint8_t *out)
{
	int before = update(secure, out);
	if (before < 0)
		return before;
	int n = tlsrec_seal(&secure->rec, table.crypto, data, len, out + before);
	return n < 0 ? n : before + n;
}

int
secure_ask_due(const struct secure *secure)
{
	return tlsrec_ask_due(&secure->rec);
}

int
secure_ask(struct secure *secure, uint8_t *out)
{
	return tlsrec_update(&secure->rec, table.crypto, out);
}

/* Every whole record at data, in place: a record of the other side is never longer than the one it
 * was. */
static int
turn(struct secure *from, struct secure *to, uint8_t *data, size_t len, size_t *ret_used,
	size_t *ret_len, size_t *ret_payload)
{
	size_t used = 0, out = 0, payload = 0, record;
	while ((record = whole(from, data + used, len - used)) > 0) {
		uint8_t *plain;
		size_t plain_len;
		if (open_record(from, data + used, record, &plain, &plain_len) < 0)
			break;
		if (plain_len > 0) {
			int n = tlsrec_seal(&to->rec, table.crypto, plain, plain_len, data + used);
			if (n < 0)
				return n;
			if (out < used)
				memmove(data + out, data + used, (size_t)n);
			out += (size_t)n;
			payload += plain_len;
		}
		used += record;
	}
	*ret_used = used;
	*ret_len = out;
	*ret_payload = payload;
	return 0;
}

int
secure_relay(struct secure *from, struct secure *to, uint8_t *buf, size_t cap, size_t most,
	uint8_t **ret_wire, size_t *ret_len, size_t *ret_payload)
{
	assert(cap >= SECURE_RELAY_BYTES);
	if (from->failed)
		return from->failed;
	uint8_t *data = buf + TLSREC_UPDATE_BYTES;
	size_t have = take_held(from, data), room = cap - TLSREC_UPDATE_BYTES - have, used, len;
	int n = receive(from, data + have, most < room ? most : room);
	if (n == -EAGAIN && whole(from, data, have) > 0)
		n = 0; /* secure_read left one */
	if (n < 0)
		return n;
	have += (size_t)n;
	int before = update(to, buf);
	if (before < 0)
		return before;
	int r = turn(from, to, data, have, &used, &len, ret_payload);
	if (r == 0)
		r = hold(from, data + used, from->failed ? 0 : have - used);
	if (r < 0)
		return r;
	*ret_wire = before ? buf : data;
	*ret_len = (size_t)before + len;
	return *ret_len == 0 && from->failed ? from->failed : 0;
}

int
secure_is_drained(const struct secure *secure)
{
	return secure->drained && !secure->failed; /* a failure, or the end, is still to be told */
}

size_t
secure_goodbye(struct secure *secure, uint8_t *out)
{
	int n = tlsrec_alert(&secure->rec, table.crypto, TLSREC_ALERT_CLOSE_NOTIFY, out);
	return n < 0 ? 0 : (size_t)n;
}

size_t
secure_alert(struct secure *secure, uint8_t *out)
{
	if (secure->alert == NO_ALERT)
		return 0;
	int n = tlsrec_alert(&secure->rec, table.crypto, (enum tlsrec_alert)secure->alert, out);
	secure->alert = NO_ALERT;
	return n < 0 ? 0 : (size_t)n;
}

void
secure_pack(const struct secure *secure, struct wr *out)
{
	const struct tlsrec *t = &secure->rec;
	size_t secret = tlsrec_secret_bytes((enum tlsrec_suite)t->suite);
	size_t held = secure->held ? secure->held->len : 0;
	wr_u8(out, secure->is_native);
	wr_u8(out, secure->has_certificate);
	wr_u8(out, secure->is_agent);
	wr_bytes(out, secure->agent_id, sizeof secure->agent_id);
	wr_u8(out, t->suite);
	wr_bytes(out, t->in.secret, secret);
	wr_bytes(out, t->out.secret, secret);
	wr_u64(out, t->in.seq);
	wr_u64(out, t->out.seq);
	/* not asked: whoever takes it over asks once more, and the peer answers each */
	wr_u8(out, t->update_wanted);
	wr_u8(out, t->updates);
	wr_u8(out, t->partial_len);
	wr_bytes(out, t->partial, sizeof t->partial);
	wr_u24(out, (uint32_t)held);
	if (held)
		wr_bytes(out, secure->held->bytes, held);
}

static int
unpack_rec(struct rd *in, struct tlsrec *t)
{
	uint8_t suite = rd_u8(in);
	if (suite > TLSREC_CHACHA20_POLY1305)
		return -ERR_PROTOCOL;
	size_t secret = tlsrec_secret_bytes((enum tlsrec_suite)suite);
	const uint8_t *client = rd_bytes(in, secret), *server = rd_bytes(in, secret);
	uint64_t in_seq = rd_u64(in), out_seq = rd_u64(in);
	if (in->failed ||
		tlsrec_init(t, (enum tlsrec_suite)suite, client, server, in_seq, out_seq) < 0)
		return -ERR_PROTOCOL;
	t->update_wanted = rd_u8(in);
	t->updates = rd_u8(in);
	t->partial_len = rd_u8(in);
	rd_copy(in, t->partial, sizeof t->partial);
	int good = t->update_wanted <= 1 && t->updates <= TLSREC_UPDATES_MAX &&
		   t->partial_len < sizeof t->partial;
	return good ? 0 : -ERR_PROTOCOL;
}

struct secure *
secure_unpack(struct rd *in, int fd)
{
	struct secure *s = mem_array(1, sizeof *s);
	if (!s)
		return NULL;
	s->fd = fd;
	s->alert = NO_ALERT;
	s->is_native = rd_u8(in);
	s->has_certificate = rd_u8(in);
	s->is_agent = rd_u8(in);
	rd_copy(in, s->agent_id, sizeof s->agent_id);
	int r = unpack_rec(in, &s->rec);
	size_t held = rd_u24(in);
	const uint8_t *bytes = rd_bytes(in, held);
	if (s->is_native > 1 || s->has_certificate > 1 || s->is_agent > s->has_certificate ||
		in->failed || held > TLSREC_WIRE_MAX_BYTES)
		r = -ERR_PROTOCOL;
	if (r == 0)
		r = hold(s, bytes, held);
	if (r == 0)
		return s;
	secure_free(s);
	return NULL;
}
