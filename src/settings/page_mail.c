/* Where codes are sent. The first address counts at once; another one needs the password, and
 * counts when the next login has confirmed it (agent/local_mail.h). */
#include <string.h>

#include "agent/message.h"
#include "settings/form.h"

struct mail {
	struct app *app;
	GtkWidget *mode, *now, *address, *change, *password, *next, *next_address;
	int has_address;
};

static const char *
text_of(GtkWidget *entry)
{
	return gtk_entry_get_text(GTK_ENTRY(entry));
}

static void
on_saved(struct app *app, int code, const char *answer, void *user)
{
	struct mail *m = user;
	(void)app, (void)answer;
	if (code == 0)
		gtk_entry_set_text(GTK_ENTRY(m->address), "");
	gtk_entry_set_text(GTK_ENTRY(m->password), "");
	gtk_widget_grab_focus(m->address);
}

/* A blank in the address would begin the password. */
static void
on_save(GtkWidget *widget, gpointer user)
{
	struct mail *m = user;
	char **parts = g_strsplit(text_of(m->address), " ", -1), *address = g_strjoinv("_", parts);
	char *text = m->has_address ? g_strdup_printf("change %s %s", address, text_of(m->password))
				    : g_strdup_printf("set %s", address);
	(void)widget;
	if (*address)
		app_change(m->app, MSG_MAIL, text, on_saved, m);
	explicit_bzero(text, strlen(text));
	g_free(text);
	g_free(address);
	g_strfreev(parts);
}

static void
on_cancel(GtkWidget *widget, gpointer user)
{
	struct mail *m = user;
	(void)widget;
	app_change(m->app, MSG_MAIL, "cancel", NULL, NULL);
}

static void
hide(GtkWidget *box)
{
	gtk_widget_show_all(box);
	gtk_widget_set_no_show_all(box, TRUE);
	gtk_widget_hide(box);
}

static GtkWidget *
build(struct app *app)
{
	struct mail *m = g_new0(struct mail, 1);
	GtkWidget *form = form_new(WORD_MAIL_HEAD, WORD_MAIL_TEXT);
	m->app = app;
	m->mode = form_text(form, "");
	m->now = form_value(form, WORD_MAIL_NOW);
	m->next = gtk_box_new(GTK_ORIENTATION_VERTICAL, 8);
	m->next_address = form_value(m->next, WORD_MAIL_NEXT);
	form_text(m->next, word(WORD_MAIL_NEXT_TEXT));
	form_button(form_row(m->next), WORD_MAIL_CANCEL, G_CALLBACK(on_cancel), m);
	gtk_box_pack_start(GTK_BOX(form), m->next, FALSE, FALSE, 0);
	m->address = form_entry(form, WORD_MAIL_NEW);
	gtk_entry_set_input_purpose(GTK_ENTRY(m->address), GTK_INPUT_PURPOSE_EMAIL);
	g_signal_connect(m->address, "activate", G_CALLBACK(on_save), m);
	m->change = gtk_box_new(GTK_ORIENTATION_VERTICAL, 8);
	m->password = form_secret(m->change, WORD_MAIL_PASSWORD);
	form_text(m->change, word(WORD_MAIL_CHANGE_TEXT));
	g_signal_connect(m->password, "activate", G_CALLBACK(on_save), m);
	gtk_box_pack_start(GTK_BOX(form), m->change, FALSE, FALSE, 0);
	form_button(form_row(form), WORD_MAIL_SAVE, G_CALLBACK(on_save), m);
	hide(m->next);
	hide(m->change);
	g_object_set_data_full(G_OBJECT(form), "mail", m, g_free);
	return form;
}

static const char *
string_of(const json_t *status, const char *key)
{
	const char *text = json_string_value(json_object_get(status, key));
	return text ? text : "";
}

static enum word
mode_of(const json_t *status)
{
	const char *mode = string_of(json_object_get(status, "policy"), "otp_mail");
	return strcmp(mode, "legacy") == 0     ? WORD_MAIL_LEGACY
	       : strcmp(mode, "recovery") == 0 ? WORD_MAIL_RECOVERY
					       : WORD_MAIL_OFF;
}

static void
refresh(struct app *app, GtkWidget *page, const json_t *status)
{
	struct mail *m = g_object_get_data(G_OBJECT(page), "mail");
	const char *now = string_of(status, "mail"), *next = string_of(status, "mail_next");
	(void)app;
	gtk_label_set_text(GTK_LABEL(m->mode), word(mode_of(status)));
	m->has_address = *now != '\0';
	gtk_label_set_text(GTK_LABEL(m->now), *now ? now : word(WORD_NONE));
	gtk_label_set_text(GTK_LABEL(m->next_address), next);
	gtk_widget_set_visible(m->next, *next != '\0');
	gtk_widget_set_visible(m->change, m->has_address);
}

const struct page page_mail = {"mail", WORD_MAIL, build, refresh};
