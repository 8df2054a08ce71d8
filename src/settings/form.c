#include "settings/form.h"

#include <string.h>

#include "agent/message.h"
#include "base/err.h"

enum {
	GAP_PX = 12,
	HINT_DELAY_MS = 250
};

static void
add(GtkWidget *form, GtkWidget *widget)
{
	gtk_box_pack_start(GTK_BOX(form), widget, FALSE, FALSE, 0);
}

GtkWidget *
form_text(GtkWidget *form, const char *text)
{
	GtkWidget *label = gtk_label_new(text);
	gtk_label_set_line_wrap(GTK_LABEL(label), TRUE);
	gtk_label_set_line_wrap_mode(GTK_LABEL(label), PANGO_WRAP_WORD_CHAR);
	gtk_label_set_xalign(GTK_LABEL(label), 0);
	add(form, label);
	return label;
}

GtkWidget *
form_heading(GtkWidget *form, enum word head)
{
	GtkWidget *label = form_text(form, word(head));
	gtk_style_context_add_class(gtk_widget_get_style_context(label), "heading");
	atk_object_set_role(gtk_widget_get_accessible(label), ATK_ROLE_HEADING);
	return label;
}

GtkWidget *
form_new(enum word head, enum word text)
{
	GtkWidget *form = gtk_box_new(GTK_ORIENTATION_VERTICAL, GAP_PX);
	gtk_container_set_border_width(GTK_CONTAINER(form), 2 * GAP_PX);
	form_heading(form, head);
	if (text != WORD_COUNT)
		form_text(form, word(text));
	return form;
}

GtkWidget *
form_value(GtkWidget *form, enum word text)
{
	GtkWidget *row = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, GAP_PX);
	GtkWidget *label = gtk_label_new(word(text)), *value = gtk_label_new("");
	gtk_widget_set_size_request(label, 150, -1);
	gtk_label_set_xalign(GTK_LABEL(label), 0);
	gtk_widget_set_valign(label, GTK_ALIGN_START);
	gtk_label_set_xalign(GTK_LABEL(value), 0);
	gtk_label_set_line_wrap(GTK_LABEL(value), TRUE);
	gtk_label_set_selectable(GTK_LABEL(value), TRUE);
	gtk_label_set_mnemonic_widget(GTK_LABEL(label), value);
	gtk_box_pack_start(GTK_BOX(row), label, FALSE, FALSE, 0);
	gtk_box_pack_start(GTK_BOX(row), value, TRUE, TRUE, 0);
	add(form, row);
	return value;
}

/* Without "_X" and "(_X)", which say nothing when read out. */
static char *
spoken(const char *text)
{
	GString *out = g_string_new(NULL);
	for (const char *p = text; *p; p++) {
		if (p[0] == '(' && p[1] == '_' && p[2] && p[3] == ')')
			p += 3;
		else if (*p != '_')
			g_string_append_c(out, *p);
	}
	return g_string_free(out, FALSE);
}

static void
give_name(GtkWidget *widget, enum word name)
{
	char *text = spoken(word(name));
	atk_object_set_name(gtk_widget_get_accessible(widget), text);
	g_free(text);
}

void
form_labelled(GtkWidget *form, enum word text, GtkWidget *widget)
{
	GtkWidget *label = gtk_label_new_with_mnemonic(word(text));
	gtk_label_set_xalign(GTK_LABEL(label), 0);
	gtk_label_set_line_wrap(GTK_LABEL(label), TRUE);
	gtk_label_set_mnemonic_widget(GTK_LABEL(label), widget);
	give_name(widget, text);
	add(form, label);
	add(form, widget);
}

GtkWidget *
form_entry(GtkWidget *form, enum word label)
{
	GtkWidget *entry = gtk_entry_new();
	gtk_entry_set_activates_default(GTK_ENTRY(entry), TRUE);
	form_labelled(form, label, entry);
	return entry;
}

GtkWidget *
form_secret(GtkWidget *form, enum word label)
{
	GtkWidget *entry = form_entry(form, label);
	gtk_entry_set_visibility(GTK_ENTRY(entry), FALSE);
	gtk_entry_set_input_purpose(GTK_ENTRY(entry), GTK_INPUT_PURPOSE_PASSWORD);
	return entry;
}

GtkWidget *
form_row(GtkWidget *form)
{
	GtkWidget *row = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, GAP_PX);
	add(form, row);
	return row;
}

GtkWidget *
form_button(GtkWidget *row, enum word label, GCallback on_click, gpointer user)
{
	GtkWidget *button = gtk_button_new_with_mnemonic(word(label));
	give_name(button, label);
	g_signal_connect(button, "clicked", on_click, user);
	gtk_box_pack_start(GTK_BOX(row), button, FALSE, FALSE, 0);
	return button;
}

void
form_dialog_buttons(GtkWidget *dialog, int fallback)
{
	give_name(gtk_dialog_add_button(GTK_DIALOG(dialog), word(WORD_CANCEL), GTK_RESPONSE_CANCEL),
		WORD_CANCEL);
	give_name(
		gtk_dialog_add_button(GTK_DIALOG(dialog), word(WORD_OK), GTK_RESPONSE_OK), WORD_OK);
	gtk_dialog_set_default_response(GTK_DIALOG(dialog), fallback);
}

static void
on_show(GtkToggleButton *box, gpointer entry)
{
	gtk_entry_set_visibility(GTK_ENTRY(entry), gtk_toggle_button_get_active(box));
}

void
form_show_secrets(GtkWidget *form, GtkWidget *first, GtkWidget *second)
{
	GtkWidget *box = gtk_check_button_new_with_mnemonic(word(WORD_SHOW_PASSWORD));
	give_name(box, WORD_SHOW_PASSWORD);
	g_signal_connect(box, "toggled", G_CALLBACK(on_show), first);
	if (second)
		g_signal_connect(box, "toggled", G_CALLBACK(on_show), second);
	add(form, box);
}

/* ---- a new password ---- */

static const char *
text_of(GtkWidget *entry)
{
	return gtk_entry_get_text(GTK_ENTRY(entry));
}

static void
hint(struct new_password *p, const char *text, int good)
{
	gtk_label_set_text(GTK_LABEL(p->hint), text);
	gtk_widget_set_sensitive(p->button, good);
}

struct look {
	struct new_password *p;
	guint number;
};

/* Of the newest text only. */
static void
on_looked(struct app *app, int code, const char *answer, void *user)
{
	struct look *look = user;
	struct new_password *p = look->p;
	(void)app, (void)answer;
	if (look->number == p->asked) {
		char *words = code < 0 ? app_words(code) : NULL;
		int same = strcmp(text_of(p->entry), text_of(p->again)) == 0;
		hint(p,
			words ? words
			      : word(same || !*text_of(p->again) ? WORD_PASSWORD_GOOD
								 : WORD_NOT_SAME),
			code == 0 && same);
		g_free(words);
	}
	g_free(look);
}

static gboolean
on_look(gpointer user)
{
	struct new_password *p = user;
	struct look *look = g_new0(struct look, 1);
	char *text =
		g_strdup_printf("%s %s", p->person ? p->person(p->user) : "", text_of(p->entry));
	p->timer = 0;
	*look = (struct look){p, p->asked};
	app_look(p->app, MSG_FIT, text, on_looked, look);
	memset(text, 0, strlen(text));
	g_free(text);
	return G_SOURCE_REMOVE;
}

static void
on_typed(GtkEditable *editable, gpointer user)
{
	struct new_password *p = user;
	(void)editable;
	p->asked++;
	if (p->timer)
		g_source_remove(p->timer);
	p->timer = 0;
	hint(p, "", 0);
	if (*text_of(p->entry))
		p->timer = g_timeout_add(HINT_DELAY_MS, on_look, p);
}

static void
on_gone(GtkWidget *widget, gpointer user)
{
	struct new_password *p = user;
	(void)widget;
	if (p->timer)
		g_source_remove(p->timer);
	p->timer = 0;
}

struct new_password *
form_new_password(struct app *app, GtkWidget *form, const struct new_password_words *words,
	GCallback on_click, gpointer user)
{
	struct new_password *p = g_new0(struct new_password, 1);
	p->app = app;
	p->entry = form_secret(form, words->first);
	p->again = form_secret(form, words->again);
	p->hint = form_text(form, "");
	atk_object_set_role(gtk_widget_get_accessible(p->hint), ATK_ROLE_ALERT);
	form_show_secrets(form, p->entry, p->again);
	p->button = form_button(form_row(form), words->save, on_click, user);
	gtk_widget_set_sensitive(p->button, FALSE);
	g_signal_connect(p->entry, "changed", G_CALLBACK(on_typed), p);
	g_signal_connect(p->again, "changed", G_CALLBACK(on_typed), p);
	g_signal_connect(form, "destroy", G_CALLBACK(on_gone), p);
	g_object_set_data_full(G_OBJECT(form), "new-password", p, g_free);
	return p;
}

void
new_password_clear(struct new_password *p)
{
	gtk_entry_set_text(GTK_ENTRY(p->entry), "");
	gtk_entry_set_text(GTK_ENTRY(p->again), "");
}
