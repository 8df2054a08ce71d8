#include "cli/admin.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/command.h"

enum {
	REPLY_MAX_BYTES = 256 << 20, /* all agents of a large relay */
	TIMEOUT_S = 30,
	URL_SIZE = 1024,
	STATUS_OK = 200,
};

const char *
admin_socket(const char *option)
{
	const char *environment = getenv("ENGAWA_ADMIN_SOCKET");
	return option                        ? option
	       : environment && *environment ? environment
					     : "/run/engawa/admin.sock";
}

static size_t
on_data(char *data, size_t size, size_t count, void *user)
{
	return buf_add(user, data, size * count) == 0 ? size * count : 0;
}

/* The reply's JSON, NULL when there is none; *ret_status is 0 when nothing was answered. */
static json_t *
transfer(
	const char *socket, const char *method, const char *url, const char *body, long *ret_status)
{
	struct buf reply;
	json_t *json = NULL;
	CURL *easy = curl_easy_init();
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	buf_init(&reply, REPLY_MAX_BYTES);
	*ret_status = 0;
	if (!easy || !headers)
		goto out;
	curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, socket);
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_TIMEOUT, (long)TIMEOUT_S);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, &reply);
	if (strcmp(method, "POST") == 0)
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
	if (curl_easy_perform(easy) == CURLE_OK) {
		curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, ret_status);
		json = json_loadb((const char *)buf_data(&reply), buf_len(&reply), 0, NULL);
	}
out:
	buf_fini(&reply);
	curl_slist_free_all(headers);
	curl_easy_cleanup(easy);
	return json;
}

int
admin_call(
	const char *socket, const char *method, const char *path, json_t *body, json_t **ret_reply)
{
	char url[URL_SIZE];
	long status;
	socket = admin_socket(socket);
	char *text = body ? json_dumps(body, JSON_COMPACT) : mem_str("");
	json_decref(body);
	if (!text || str_print(url, sizeof url, "http://localhost%s", path) < 0) {
		free(text);
		return command_fail(ERR_TOO_LONG, path);
	}
	json_t *reply = transfer(socket, method, url, text, &status);
	free(text);
	if (!reply)
		return command_fail(status ? ERR_PROTOCOL : ERR_NO_CONTROLLER, socket);
	if (status != STATUS_OK) {
		const char *detail = json_string_value(json_object_get(reply, "detail"));
		int code = (int)json_integer_value(json_object_get(reply, "code"));
		command_fail(code ? code : ERR_PROTOCOL, detail && *detail ? detail : path);
		json_decref(reply);
		return 1;
	}
	if (ret_reply)
		*ret_reply = reply;
	else
		json_decref(reply);
	return 0;
}

int
admin_path(char *out, size_t size, const char *collection, const char *id, const char *action)
{
	char *escaped = curl_easy_escape(NULL, id, 0);
	int r = escaped ? str_print(out, size, "/%s/%s%s%s", collection, escaped, action ? "/" : "",
				  action ? action : "")
			: -ENAMETOOLONG;
	curl_free(escaped);
	return r;
}

int
admin_each(const char *socket, const char *collection, const char *const *ids, int count,
	const char *action)
{
	int failed = 0;
	for (int i = 0; i < count; i++) {
		char path[URL_SIZE / 2];
		if (admin_path(path, sizeof path, collection, ids[i], action) == 0)
			failed |= admin_call(socket, "POST", path, json_object(), NULL);
		else
			failed |= command_fail(ERR_TOO_LONG, ids[i]);
	}
	return failed;
}
