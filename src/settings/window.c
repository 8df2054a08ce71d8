/* The window: pages at its left, a bar for what came of something, a spinner while it is under way.
 */
#include <string.h>

#include "agent/message.h"
#include "base/err.h"
#include "settings/form.h"

enum {
	WIDTH_PX = 860,
	HEIGHT_PX = 620,
	STATUS_EVERY_S = 3
};

static const struct page *const pages[] = {&page_state, &page_mail, &page_password,
	&page_authenticator, &page_keys, &page_devices, &page_users, &page_lock};
enum {
	PAGES = sizeof pages / sizeof pages[0]
};

struct app {
	struct asker *asker;
	GtkWidget *window, *stack, *bar, *bar_text, *busy, *spinner;
	GtkWidget *page[PAGES];
	guint timer;
	int asking; /* changes under way */
	int looking;
};

/* A change, from the click to its end. */
struct change {
	struct app *app;
	uint16_t type;
	char *text;
	char *name; /* whose password it may change */
	int quiet;
	done_fn *done;
	void *user;
};

struct look {
	struct app *app;
	int tell;
	done_fn *done;
	void *user;
};

static void
wipe_free(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	g_free(text);
}

char *
app_words(int code)
{
	const struct err_entry *entry = err_find(code);
	if (!entry)
		return g_strdup(err_text(code, words_lang()));
	return g_strdup_printf("%s%s%s (EW-%d)", entry->what[words_lang()],
		words_lang() == ERR_LANG_EN ? " " : "", entry->next[words_lang()], entry->number);
}

void
app_tell_text(struct app *app, const char *text)
{
	gtk_info_bar_set_message_type(GTK_INFO_BAR(app->bar), GTK_MESSAGE_INFO);
	gtk_label_set_text(GTK_LABEL(app->bar_text), text);
	gtk_widget_show(app->bar);
}

void
app_tell(struct app *app, int code)
{
	char *words = code == 0 ? g_strdup(word(WORD_CHANGED)) : app_words(code);
	app_tell_text(app, words);
	if (code < 0)
		gtk_info_bar_set_message_type(GTK_INFO_BAR(app->bar), GTK_MESSAGE_WARNING);
	g_free(words);
}

GtkWindow *
app_window(struct app *app)
{
	return GTK_WINDOW(app->window);
}

/* No dialog is waited for in a loop of its own: a screen reader that pressed the button would wait
 * for us as long. */
struct sure {
	struct app *app;
	void (*yes)(void *user);
	void *user;
};

static void
on_sure(GtkDialog *dialog, int answer, gpointer user)
{
	struct sure *sure = user;
	gtk_widget_destroy(GTK_WIDGET(dialog));
	if (answer == GTK_RESPONSE_OK)
		sure->yes(sure->user);
	g_free(sure);
}

void
app_sure(struct app *app, const char *question, void (*yes)(void *user), void *user)
{
	struct sure *sure = g_new0(struct sure, 1);
	GtkWidget *dialog = gtk_message_dialog_new(app_window(app), GTK_DIALOG_MODAL,
		GTK_MESSAGE_QUESTION, GTK_BUTTONS_NONE, "%s", question);
	*sure = (struct sure){app, yes, user};
	form_dialog_buttons(dialog, GTK_RESPONSE_CANCEL);
	g_signal_connect(dialog, "response", G_CALLBACK(on_sure), sure);
	gtk_widget_show_all(dialog);
}

/* ---- state ---- */

static void
on_status(void *user, int code, const char *answer)
{
	struct app *app = user;
	json_t *status = code == 0 ? json_loads(answer, 0, NULL) : NULL;
	app->looking = 0;
	for (size_t i = 0; i < PAGES; i++)
		if (pages[i]->refresh)
			pages[i]->refresh(app, app->page[i], status);
	if (code < 0)
		app_tell(app, code);
	json_decref(status);
}

static gboolean
look_at_status(gpointer user)
{
	struct app *app = user;
	if (!app->looking && !app->asking) {
		app->looking = 1;
		asker_ask(app->asker, MSG_STATUS, "", on_status, app);
	}
	return G_SOURCE_CONTINUE;
}

/* ---- questions ---- */

static void
set_busy(struct app *app, int step)
{
	app->asking += step;
	gtk_widget_set_sensitive(app->stack, app->asking == 0);
	gtk_widget_set_visible(app->busy, app->asking > 0);
	if (app->asking)
		gtk_spinner_start(GTK_SPINNER(app->spinner));
	else
		gtk_spinner_stop(GTK_SPINNER(app->spinner));
}

static void
change_end(struct change *change, int code, const char *answer)
{
	struct app *app = change->app;
	set_busy(app, -1);
	if (code < 0 || !change->quiet)
		app_tell(app, code);
	if (change->done)
		change->done(app, code, answer, change->user);
	wipe_free(change->text);
	g_free(change->name);
	g_free(change);
	look_at_status(app);
}

static void on_change(void *user, int code, const char *answer);

static void
on_unlocked(void *user, int code, const char *answer)
{
	struct change *change = user;
	if (code < 0)
		change_end(change, code, answer);
	else
		asker_ask(change->app->asker, change->type, change->text, on_change, change);
}

static void
on_lock(GtkDialog *dialog, int response, gpointer user)
{
	struct change *change = user;
	GtkWidget *entry = g_object_get_data(G_OBJECT(dialog), "entry");
	if (response == GTK_RESPONSE_OK)
		asker_ask(change->app->asker, MSG_LOCK_OPEN, gtk_entry_get_text(GTK_ENTRY(entry)),
			on_unlocked, change);
	else
		change_end(change, -ERR_SETTINGS_LOCKED, "");
	gtk_widget_destroy(GTK_WIDGET(dialog));
}

static void
on_present(GtkDialog *dialog, int response, gpointer user)
{
	struct change *change = user;
	GtkWidget *entry = g_object_get_data(G_OBJECT(dialog), "entry");
	char *text = g_strdup_printf("%s %s", change->name, gtk_entry_get_text(GTK_ENTRY(entry)));
	if (response == GTK_RESPONSE_OK)
		asker_ask(change->app->asker, MSG_PROVE, text, on_unlocked, change);
	else
		change_end(change, -ERR_PASSWORD_PROTECTED, "");
	wipe_free(text);
	gtk_widget_destroy(GTK_WIDGET(dialog));
}

/* Asks for a password; the change goes on, or ends, when the person has answered. */
static void
ask_secret(struct change *change, enum word head, enum word label, GCallback on_answer)
{
	GtkWidget *dialog = gtk_dialog_new_with_buttons(
		word(head), app_window(change->app), GTK_DIALOG_MODAL, NULL, NULL);
	GtkWidget *form = form_new(head, WORD_COUNT);
	g_object_set_data(G_OBJECT(dialog), "entry", form_secret(form, label));
	gtk_container_add(GTK_CONTAINER(gtk_dialog_get_content_area(GTK_DIALOG(dialog))), form);
	form_dialog_buttons(dialog, GTK_RESPONSE_OK);
	g_signal_connect(dialog, "response", on_answer, change);
	gtk_widget_show_all(dialog);
}

static void
on_change(void *user, int code, const char *answer)
{
	struct change *change = user;
	if (code == -ERR_SETTINGS_LOCKED)
		ask_secret(change, WORD_LOCK_HEAD, WORD_LOCK_ASK, G_CALLBACK(on_lock));
	else if (code == -ERR_PASSWORD_PROTECTED)
		ask_secret(change, WORD_PASSWORD_HEAD, WORD_PASSWORD_ASK, G_CALLBACK(on_present));
	else
		change_end(change, code, answer);
}

static void
start_change(struct app *app, const char *name, uint16_t type, const char *text, int quiet,
	done_fn *done, void *user)
{
	struct change *change = g_new0(struct change, 1);
	*change = (struct change){app, type, g_strdup(text), g_strdup(name), quiet, done, user};
	gtk_widget_hide(app->bar);
	set_busy(app, 1);
	asker_ask(app->asker, type, text, on_change, change);
}

void
app_change(struct app *app, uint16_t type, const char *text, done_fn *done, void *user)
{
	start_change(app, "", type, text, 0, done, user);
}

void
app_change_person(struct app *app, const char *name, uint16_t type, const char *text, done_fn *done,
	void *user)
{
	start_change(app, name, type, text, 0, done, user);
}

void
app_change_quiet(struct app *app, uint16_t type, const char *text, done_fn *done, void *user)
{
	start_change(app, "", type, text, 1, done, user);
}

static void
on_look(void *user, int code, const char *answer)
{
	struct look *look = user;
	if (code < 0 && look->tell)
		app_tell(look->app, code);
	look->done(look->app, code, answer, look->user);
	g_free(look);
}

static void
start_look(struct app *app, int tell, uint16_t type, const char *text, done_fn *done, void *user)
{
	struct look *look = g_new0(struct look, 1);
	*look = (struct look){app, tell, done, user};
	asker_ask(app->asker, type, text, on_look, look);
}

void
app_ask(struct app *app, uint16_t type, const char *text, done_fn *done, void *user)
{
	start_look(app, 1, type, text, done, user);
}

void
app_look(struct app *app, uint16_t type, const char *text, done_fn *done, void *user)
{
	start_look(app, 0, type, text, done, user);
}

/* ---- made once ---- */

static void
on_bar(GtkInfoBar *bar, int response, gpointer user)
{
	(void)response, (void)user;
	gtk_widget_hide(GTK_WIDGET(bar));
}

static GtkWidget *
make_bar(struct app *app)
{
	app->bar = gtk_info_bar_new();
	app->bar_text = gtk_label_new("");
	gtk_label_set_line_wrap(GTK_LABEL(app->bar_text), TRUE);
	gtk_label_set_xalign(GTK_LABEL(app->bar_text), 0);
	gtk_label_set_selectable(GTK_LABEL(app->bar_text), TRUE);
	atk_object_set_role(gtk_widget_get_accessible(app->bar_text), ATK_ROLE_ALERT);
	gtk_container_add(GTK_CONTAINER(gtk_info_bar_get_content_area(GTK_INFO_BAR(app->bar))),
		app->bar_text);
	gtk_info_bar_add_button(
		GTK_INFO_BAR(app->bar), word(WORD_CLOSE_MESSAGE), GTK_RESPONSE_CLOSE);
	g_signal_connect(app->bar, "response", G_CALLBACK(on_bar), NULL);
	gtk_widget_show_all(app->bar);
	gtk_widget_set_no_show_all(app->bar, TRUE);
	gtk_widget_hide(app->bar);
	return app->bar;
}

static GtkWidget *
make_busy(struct app *app)
{
	app->busy = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 8);
	app->spinner = gtk_spinner_new();
	gtk_container_set_border_width(GTK_CONTAINER(app->busy), 8);
	gtk_box_pack_start(GTK_BOX(app->busy), app->spinner, FALSE, FALSE, 0);
	gtk_box_pack_start(GTK_BOX(app->busy), gtk_label_new(word(WORD_BUSY)), FALSE, FALSE, 0);
	gtk_widget_show_all(app->busy);
	gtk_widget_set_no_show_all(app->busy, TRUE);
	gtk_widget_hide(app->busy);
	return app->busy;
}

static void
add_page(struct app *app, size_t i)
{
	GtkWidget *scrolled = gtk_scrolled_window_new(NULL, NULL);
	app->page[i] = pages[i]->build(app);
	gtk_scrolled_window_set_policy(
		GTK_SCROLLED_WINDOW(scrolled), GTK_POLICY_NEVER, GTK_POLICY_AUTOMATIC);
	gtk_container_add(GTK_CONTAINER(scrolled), app->page[i]);
	gtk_stack_add_titled(
		GTK_STACK(app->stack), scrolled, pages[i]->name, word(pages[i]->title));
}

static void
make_look(void)
{
	static const char css[] =
		"label { font-size: 11pt; } .heading { font-size: 15pt; font-weight: bold; }"
		" .large { font-size: 20pt; font-weight: bold; letter-spacing: 2px; }"
		" .mono { font-family: monospace; }";
	GtkCssProvider *provider = gtk_css_provider_new();
	gtk_css_provider_load_from_data(provider, css, -1, NULL);
	gtk_style_context_add_provider_for_screen(gdk_screen_get_default(),
		GTK_STYLE_PROVIDER(provider), GTK_STYLE_PROVIDER_PRIORITY_APPLICATION);
	g_object_unref(provider);
}

static void
on_destroy(GtkWidget *widget, gpointer user)
{
	struct app *app = user;
	(void)widget;
	g_source_remove(app->timer);
	asker_free(app->asker);
	app->asker = NULL;
}

struct app *
app_new(GtkApplication *gtk, struct asker *asker)
{
	struct app *app = g_new0(struct app, 1);
	GtkWidget *columns = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 0);
	GtkWidget *right = gtk_box_new(GTK_ORIENTATION_VERTICAL, 0);
	GtkWidget *side = gtk_stack_sidebar_new();
	app->asker = asker;
	make_look();
	app->window = gtk_application_window_new(gtk);
	gtk_window_set_title(app_window(app), word(WORD_TITLE));
	gtk_window_set_default_size(app_window(app), WIDTH_PX, HEIGHT_PX);
	gtk_window_set_icon_name(app_window(app), "preferences-system");
	app->stack = gtk_stack_new();
	gtk_stack_sidebar_set_stack(GTK_STACK_SIDEBAR(side), GTK_STACK(app->stack));
	for (size_t i = 0; i < PAGES; i++)
		add_page(app, i);
	gtk_box_pack_start(GTK_BOX(right), make_bar(app), FALSE, FALSE, 0);
	gtk_box_pack_start(GTK_BOX(right), app->stack, TRUE, TRUE, 0);
	gtk_box_pack_end(GTK_BOX(right), make_busy(app), FALSE, FALSE, 0);
	gtk_box_pack_start(GTK_BOX(columns), side, FALSE, FALSE, 0);
	gtk_box_pack_start(GTK_BOX(columns), right, TRUE, TRUE, 0);
	gtk_container_add(GTK_CONTAINER(app->window), columns);
	g_signal_connect(app->window, "destroy", G_CALLBACK(on_destroy), app);
	gtk_widget_show_all(app->window);
	look_at_status(app);
	app->timer = g_timeout_add_seconds(STATUS_EVERY_S, look_at_status, app);
	return app;
}

void
app_free(struct app *app)
{
	g_free(app);
}
