/* engawa-settings [--socket PATH | --state-directory DIR]: a window for the settings of this office
 * PC. */
#include <locale.h>
#include <stdio.h>

#include "settings/app.h"

static char *socket_path, *state_directory;
static struct app *app;

static void
on_activate(GtkApplication *gtk, gpointer user)
{
	(void)user;
	GtkWindow *window = gtk_application_get_active_window(gtk);
	if (window)
		gtk_window_present(window);
	else
		app = app_new(gtk, asker_new(socket_path, state_directory));
}

int
main(int argc, char **argv)
{
	static const GOptionEntry options[] = {
		{"socket", 's', 0, G_OPTION_ARG_FILENAME, &socket_path, "agent.sock of the agent",
			"PATH"},
		{"state-directory", 'd', 0, G_OPTION_ARG_FILENAME, &state_directory,
			"directory of the agent, when agent.sock is there", "DIR"},
		{NULL, 0, 0, 0, NULL, NULL, NULL},
	};
	setlocale(LC_ALL, "");
	words_choose(g_get_language_names()[0]);
	GtkApplication *gtk = gtk_application_new(NULL, G_APPLICATION_NON_UNIQUE);
	g_application_add_main_option_entries(G_APPLICATION(gtk), options);
	g_signal_connect(gtk, "activate", G_CALLBACK(on_activate), NULL);
	int status = g_application_run(G_APPLICATION(gtk), argc, argv);
	g_object_unref(gtk);
	app_free(app);
	return status;
}
