/* SPDX-License-Identifier: MIT */
#include "gateway/password.h"

#include "broker/crypto.h"

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

static bool read_line(char out[PASSWORD_MAX])
{
	size_t len;

	if (!fgets(out, PASSWORD_MAX, stdin))
		return false;
	len = strcspn(out, "\r\n");
	if (out[len] == '\0' && len + 1 == PASSWORD_MAX)
		return false; /* longer than there is room */
	out[len] = '\0';
	return len > 0;
}

/* Nothing is shown, and what would end or stop the program waits, until show() is called. */
struct hiding {
	struct termios shown;
	sigset_t before;
	int signals;
};

static bool hide(struct hiding *h)
{
	static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
	struct termios hidden = h->shown;
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++)
		sigaddset(&set, ending[i]);
	h->signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (h->signals < 0)
		return false;
	sigprocmask(SIG_BLOCK, &set, &h->before);
	hidden.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
	return true;
}

/* The signal that waits does what it does now: it is never read from the descriptor. */
static void show(struct hiding *h)
{
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &h->shown);
	fputc('\n', stderr);
	close(h->signals);
	sigprocmask(SIG_SETMASK, &h->before, NULL);
}

static bool line_comes_first(const struct hiding *h)
{
	struct pollfd at[] = {{.fd = h->signals, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};

	while (poll(at, 2, -1) < 0)
		continue; /* EINTR: a signal that ends nothing */
	return at[0].revents == 0;
}

static bool ask(char out[PASSWORD_MAX], const char *what)
{
	struct hiding h;
	bool typed, got = false;

	if (tcgetattr(STDIN_FILENO, &h.shown) < 0)
		return read_line(out);
	do {
		fprintf(stderr, "%s: ", what);
		if (!hide(&h))
			return false;
		typed = line_comes_first(&h);
		if (typed)
			got = read_line(out);
		show(&h);
	} while (!typed); /* it was stopped and goes on */
	return got;
}

int password_ask(char out[PASSWORD_MAX])
{
	char again[PASSWORD_MAX];
	bool same;

	if (!ask(out, "password")) {
		fprintf(stderr, "weir user: no password of 1 to %d bytes on a line of its own\n", PASSWORD_MAX - 2);
		return 1;
	}
	if (!isatty(STDIN_FILENO))
		return 0;
	same = ask(again, "again") && strcmp(out, again) == 0;
	crypto_wipe(again, sizeof(again));
	if (!same)
		fprintf(stderr, "weir user: they differ; nothing was changed\n");
	return same ? 0 : 1;
}
