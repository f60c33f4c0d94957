/* SPDX-License-Identifier: MIT */
#include "gateway/sharedoor.h"

#include "base/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RETRY_MS = 5000, REST_MS = 100 };

static void name_caller(char *name, size_t cap, const struct sockaddr_storage *from)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)from;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)from;

	snprintf(name, cap, "local");
	if (from->ss_family == AF_INET)
		inet_ntop(AF_INET, &v4->sin_addr, name, (socklen_t)cap);
	else if (from->ss_family == AF_INET6)
		inet_ntop(AF_INET6, &v6->sin6_addr, name, (socklen_t)cap);
}

/* Who waits to be let in stays readable: main would turn and turn. */
static void rest(struct sharedoor *d)
{
	for (size_t i = 0; i < d->ear_count; i++)
		if (loop_rewatch(d->loop, &d->ears[i].watch, 0) < 0)
			return;
	loop_arm(d->loop, &d->retry, loop_now_ms(d->loop) + REST_MS);
}

static void knocked(struct loop_watch *w, uint32_t events)
{
	const struct sharedoor_ear *ear = (const struct sharedoor_ear *)(const void *)w;
	struct sockaddr_storage from = {.ss_family = AF_UNSPEC};
	socklen_t len = sizeof(from);
	char name[INET6_ADDRSTRLEN + 1];
	int fd = accept4(w->fd, (struct sockaddr *)&from, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS))
		rest(ear->door);
	if (fd < 0)
		return;
	name_caller(name, sizeof(name), &from);
	ear->door->knocked(ear->door, fd, name);
}

static void hush(struct sharedoor *d)
{
	for (; d->ear_count > 0; d->ear_count--) {
		struct loop_watch *w = &d->ears[d->ear_count - 1].watch;
		int fd = w->fd;

		loop_unwatch(d->loop, w);
		close(fd);
	}
}

static int watch_all(struct sharedoor *d, const int *fds, int count)
{
	int r = 0;

	for (int i = 0; i < count; i++) {
		struct sharedoor_ear *ear = &d->ears[d->ear_count];

		*ear = (struct sharedoor_ear){.watch = {.fd = -1, .run = knocked}, .door = d};
		r = r < 0 ? r : loop_watch(d->loop, &ear->watch, fds[i], EPOLLIN);
		if (r < 0)
			close(fds[i]);
		else
			d->ear_count++;
	}
	return r;
}

static void try_to_open(struct sharedoor *d)
{
	int fds[ADDRESS_SOCKETS], count = address_open(fds, d->bind, 0);
	int r = count < 0 ? count : watch_all(d, fds, count);

	if (r == 0) {
		log_info("line=%s share=%s state=open", d->line, d->bind);
		return;
	}
	log_error("line=%s share=%s error=\"%s\"; trying again every %d s", d->line, d->bind, strerror(-r),
		RETRY_MS / 1000);
	hush(d);
	loop_arm(d->loop, &d->retry, loop_now_ms(d->loop) + RETRY_MS);
}

/* It has rested, or could not be opened. */
static void on_time(struct loop_timer *t)
{
	struct sharedoor *d = (struct sharedoor *)(void *)((char *)t - offsetof(struct sharedoor, retry));
	int r = 0;

	for (size_t i = 0; r == 0 && i < d->ear_count; i++)
		r = loop_rewatch(d->loop, &d->ears[i].watch, EPOLLIN);
	if (r < 0)
		hush(d);
	if (d->ear_count == 0)
		try_to_open(d);
}

void sharedoor_open(struct sharedoor *d)
{
	d->retry.run = on_time;
	try_to_open(d);
}

void sharedoor_close(struct sharedoor *d)
{
	hush(d);
	loop_disarm(d->loop, &d->retry);
}
