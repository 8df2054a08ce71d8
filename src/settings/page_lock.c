/* The settings password. */
#include "agent/message.h"
#include "settings/form.h"

struct lock {
	struct app *app;
	GtkWidget *now, *remove;
	struct new_password *fields;
};

static void
on_saved(struct app *app, int code, const char *answer, void *user)
{
	struct lock *l = user;
	(void)app, (void)answer;
	if (code == 0)
		new_password_clear(l->fields);
}

static void
on_save(GtkWidget *widget, gpointer user)
{
	struct lock *l = user;
	(void)widget;
	app_change(l->app, MSG_LOCK, gtk_entry_get_text(GTK_ENTRY(l->fields->entry)), on_saved, l);
}

static void
remove_lock(void *user)
{
	struct lock *l = user;
	app_change(l->app, MSG_LOCK, "", NULL, NULL);
}

static void
on_remove(GtkWidget *widget, gpointer user)
{
	struct lock *l = user;
	(void)widget;
	app_sure(l->app, word(WORD_LOCK_REMOVE_SURE), remove_lock, l);
}

static GtkWidget *
build(struct app *app)
{
	static const struct new_password_words words = {
		WORD_PASSWORD_NEW, WORD_PASSWORD_AGAIN, WORD_PASSWORD_SAVE};
	struct lock *l = g_new0(struct lock, 1);
	GtkWidget *form = form_new(WORD_LOCK_HEAD, WORD_LOCK_TEXT);
	l->app = app;
	l->now = form_value(form, WORD_APP_NOW);
	l->fields = form_new_password(app, form, &words, G_CALLBACK(on_save), l);
	l->remove = form_button(form_row(form), WORD_LOCK_REMOVE, G_CALLBACK(on_remove), l);
	g_object_set_data_full(G_OBJECT(form), "lock", l, g_free);
	return form;
}

static void
refresh(struct app *app, GtkWidget *page, const json_t *status)
{
	struct lock *l = g_object_get_data(G_OBJECT(page), "lock");
	int set = json_is_true(json_object_get(status, "locked"));
	(void)app;
	gtk_label_set_text(GTK_LABEL(l->now), word(set ? WORD_PASSWORD_SET : WORD_PASSWORD_UNSET));
	gtk_widget_set_sensitive(l->remove, set);
}

const struct page page_lock = {"lock", WORD_LOCK, build, refresh};
