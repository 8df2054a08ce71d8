/* The password for connecting. */
#include "agent/message.h"
#include "settings/form.h"

struct password {
	struct app *app;
	GtkWidget *now;
	struct new_password *fields;
};

static void
on_saved(struct app *app, int code, const char *answer, void *user)
{
	struct password *p = user;
	(void)app, (void)answer;
	if (code == 0)
		new_password_clear(p->fields);
	gtk_widget_grab_focus(p->fields->entry);
}

static void
on_save(GtkWidget *widget, gpointer user)
{
	struct password *p = user;
	(void)widget;
	app_change(
		p->app, MSG_PASSWORD, gtk_entry_get_text(GTK_ENTRY(p->fields->entry)), on_saved, p);
}

static GtkWidget *
build(struct app *app)
{
	static const struct new_password_words words = {
		WORD_PASSWORD_NEW, WORD_PASSWORD_AGAIN, WORD_PASSWORD_SAVE};
	struct password *p = g_new0(struct password, 1);
	GtkWidget *form = form_new(WORD_PASSWORD_HEAD, WORD_PASSWORD_TEXT);
	p->app = app;
	p->now = form_value(form, WORD_PASSWORD_NOW);
	p->fields = form_new_password(app, form, &words, G_CALLBACK(on_save), p);
	g_object_set_data_full(G_OBJECT(form), "password", p, g_free);
	return form;
}

static void
refresh(struct app *app, GtkWidget *page, const json_t *status)
{
	struct password *p = g_object_get_data(G_OBJECT(page), "password");
	int set = json_is_true(json_object_get(status, "password"));
	(void)app;
	gtk_label_set_text(GTK_LABEL(p->now), word(set ? WORD_PASSWORD_SET : WORD_PASSWORD_UNSET));
}

const struct page page_password = {"password", WORD_PASSWORD, build, refresh};
