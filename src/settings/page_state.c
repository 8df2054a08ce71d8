/* What the agent says about itself: connected where, who came last, what is wrong. */
#include <time.h>

#include "base/err.h"
#include "settings/form.h"

struct state {
	struct app *app;
	GtkWidget *gates, *terminal_id, *organisation, *now, *last, *warnings;
};

static void
on_copy(GtkButton *button, gpointer user)
{
	struct state *s = user;
	(void)button;
	gtk_clipboard_set_text(gtk_clipboard_get(GDK_SELECTION_CLIPBOARD),
		gtk_label_get_text(GTK_LABEL(s->terminal_id)), -1);
	app_tell_text(s->app, word(WORD_COPIED));
}

static GtkWidget *
build(struct app *app)
{
	struct state *s = g_new0(struct state, 1);
	GtkWidget *form = form_new(WORD_STATE_HEAD, WORD_COUNT);
	s->app = app;
	s->warnings = form_text(form, "");
	atk_object_set_name(gtk_widget_get_accessible(s->warnings), word(WORD_WARNINGS));
	s->gates = form_value(form, WORD_GATES);
	s->terminal_id = form_value(form, WORD_TERMINAL_ID);
	gtk_style_context_add_class(gtk_widget_get_style_context(s->terminal_id), "mono");
	form_button(form_row(form), WORD_COPY, G_CALLBACK(on_copy), s);
	s->organisation = form_value(form, WORD_ORGANISATION);
	s->now = form_value(form, WORD_NOW);
	s->last = form_value(form, WORD_LAST);
	g_object_set_data_full(G_OBJECT(form), "state", s, g_free);
	return form;
}

static const char *
string_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

static void
add_line(GString *out, char *line)
{
	g_string_append_printf(out, "%s%s", out->len ? "\n" : "", line);
	g_free(line);
}

static void
show_gates(struct state *s, const json_t *status)
{
	GString *out = g_string_new(NULL);
	json_t *gate;
	size_t i;
	int up = 0;
	json_array_foreach(json_object_get(status, "gates"), i, gate)
	{
		int is_up = json_is_true(json_object_get(gate, "up"));
		up |= is_up;
		add_line(out, word_name(is_up ? WORD_GATE_UP_NAME : WORD_GATE_DOWN_NAME,
				      string_of(gate, "name")));
	}
	if (!up)
		add_line(out, g_strdup(word(WORD_GATE_NONE)));
	gtk_label_set_text(GTK_LABEL(s->gates), out->str);
	g_string_free(out, TRUE);
}

static void
show_last(struct state *s, const json_t *status)
{
	const json_t *last = json_object_get(status, "last");
	time_t when = (time_t)json_integer_value(json_object_get(last, "at_s"));
	struct tm day;
	char text[64] = "";
	if (!json_is_object(last) || !localtime_r(&when, &day)) {
		gtk_label_set_text(GTK_LABEL(s->last), word(WORD_LAST_NEVER));
		return;
	}
	strftime(text, sizeof text, "%Y-%m-%d %H:%M", &day);
	const char *device = string_of(last, "device");
	char *line = g_strdup_printf("%s  %s", text, *device ? device : word(WORD_LAST_UNNAMED));
	gtk_label_set_text(GTK_LABEL(s->last), line);
	g_free(line);
}

/* No way to get a one-time code; an address alone is one where policy has mails the old way. */
static void
show_no_code(GString *out, const json_t *status)
{
	int mails = strcmp(string_of(json_object_get(status, "policy"), "otp_mail"), "legacy") == 0;
	if (json_is_true(json_object_get(status, "totp")) ||
		json_integer_value(json_object_get(status, "keys")) > 0 ||
		(mails && *string_of(status, "mail")))
		return;
	add_line(out, g_strdup(word(mails ? WORD_UNSET_MAIL : WORD_UNSET_CODE)));
}

/* The policy's fault, little room, and what is still to be set. */
static void
show_warnings(struct state *s, const json_t *status)
{
	GString *out = g_string_new(NULL);
	json_t *warning;
	size_t i;
	int policy =
		(int)json_integer_value(json_object_get(json_object_get(status, "policy"), "code"));
	const char *message = string_of(json_object_get(status, "policy"), "message");
	if (policy)
		add_line(out, app_words(policy));
	json_array_foreach(json_object_get(status, "warnings"), i, warning)
	{
		add_line(out, app_words((int)json_integer_value(json_object_get(warning, "code"))));
		const json_t *free_mib = json_object_get(warning, "free_mib");
		if (free_mib)
			add_line(out, word_number(WORD_FREE_MIB, json_integer_value(free_mib)));
	}
	if (!json_is_true(json_object_get(status, "password")) &&
		json_integer_value(json_object_get(status, "users")) == 0)
		add_line(out, g_strdup(word(WORD_UNSET_PASSWORD)));
	show_no_code(out, status);
	if (*message)
		add_line(out, g_strdup(message));
	gtk_label_set_text(GTK_LABEL(s->warnings), out->str);
	gtk_widget_set_visible(s->warnings, out->len > 0);
	g_string_free(out, TRUE);
}

static void
refresh(struct app *app, GtkWidget *page, const json_t *status)
{
	struct state *s = g_object_get_data(G_OBJECT(page), "state");
	(void)app;
	if (!status) {
		gtk_label_set_text(GTK_LABEL(s->gates), word(WORD_GATE_NONE));
		return;
	}
	show_gates(s, status);
	show_last(s, status);
	show_warnings(s, status);
	gtk_label_set_text(GTK_LABEL(s->terminal_id), string_of(status, "terminal_id"));
	gtk_label_set_text(GTK_LABEL(s->organisation), string_of(status, "organisation_name"));
	gtk_label_set_text(GTK_LABEL(s->now),
		word(json_is_true(json_object_get(status, "working")) ? WORD_NOW_WORKING
								      : WORD_NOW_FREE));
}

const struct page page_state = {"state", WORD_STATE, build, refresh};
