/* Where codes are sent. */
#include "agent/message.h"
#include "settings/form.h"

struct mail {
	struct app *app;
	GtkWidget *now, *address;
};

static void
on_saved(struct app *app, int code, const char *answer, void *user)
{
	struct mail *m = user;
	(void)app, (void)answer;
	if (code == 0)
		gtk_entry_set_text(GTK_ENTRY(m->address), "");
	gtk_widget_grab_focus(m->address);
}

static void
on_save(GtkWidget *widget, gpointer user)
{
	struct mail *m = user;
	const char *address = gtk_entry_get_text(GTK_ENTRY(m->address));
	(void)widget;
	if (*address)
		app_change(m->app, MSG_MAIL, address, on_saved, m);
}

static GtkWidget *
build(struct app *app)
{
	struct mail *m = g_new0(struct mail, 1);
	GtkWidget *form = form_new(WORD_MAIL_HEAD, WORD_MAIL_TEXT);
	m->app = app;
	m->now = form_value(form, WORD_MAIL_NOW);
	m->address = form_entry(form, WORD_MAIL_NEW);
	gtk_entry_set_input_purpose(GTK_ENTRY(m->address), GTK_INPUT_PURPOSE_EMAIL);
	g_signal_connect(m->address, "activate", G_CALLBACK(on_save), m);
	form_button(form_row(form), WORD_MAIL_SAVE, G_CALLBACK(on_save), m);
	g_object_set_data_full(G_OBJECT(form), "mail", m, g_free);
	return form;
}

static void
refresh(struct app *app, GtkWidget *page, const json_t *status)
{
	struct mail *m = g_object_get_data(G_OBJECT(page), "mail");
	const char *mail = json_string_value(json_object_get(status, "mail"));
	(void)app;
	gtk_label_set_text(GTK_LABEL(m->now), mail && *mail ? mail : word(WORD_NONE));
}

const struct page page_mail = {"mail", WORD_MAIL, build, refresh};
