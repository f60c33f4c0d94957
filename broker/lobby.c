/* SPDX-License-Identifier: MIT */
#include "broker/lobby.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

void lobby_init(struct lobby *l)
{
	*l = (struct lobby){0};
	for (uint32_t i = 0; i < LOBBY_ROWS; i++)
		l->rows[i].last = &l->rows[i].first;
}

static struct guest *take_first(struct lobby *l, struct lobby_row *row)
{
	struct guest *g = row->first;

	row->first = g->next;
	if (!row->first)
		row->last = &row->first;
	row->count--;
	l->count--;
	return g;
}

static struct guest *take_last(struct lobby *l, struct lobby_row *row)
{
	struct guest **at = &row->first, *g;

	while ((*at)->next)
		at = &(*at)->next;
	g = *at;
	*at = NULL;
	row->last = at;
	row->count--;
	l->count--;
	return g;
}

static struct lobby_row *longest(struct lobby *l)
{
	struct lobby_row *most = &l->rows[0];

	for (uint32_t i = 1; i < LOBBY_ROWS; i++)
		if (l->rows[i].count > most->count)
			most = &l->rows[i];
	return most;
}

bool lobby_takes(struct lobby *l)
{
	return l->count < LOBBY_MAX || longest(l)->count > LOBBY_EACH;
}

int lobby_come(struct lobby *l, int fd, uint32_t key, const struct sockaddr_storage *from, struct guest **out)
{
	struct lobby_row *row = &l->rows[key % LOBBY_ROWS];
	struct guest *g = malloc(sizeof(*g));

	if (!g)
		return -ENOMEM;
	*g = (struct guest){.fd = fd, .from = *from};
	*row->last = g;
	row->last = &g->next;
	row->count++;
	if (++l->count <= LOBBY_MAX)
		return 0;
	*out = take_last(l, longest(l));
	return LOBBY_CROWD;
}

struct guest *lobby_leave(struct lobby *l)
{
	struct lobby_row *row;

	if (l->count == 0)
		return NULL;
	do
		row = &l->rows[l->next++ % LOBBY_ROWS];
	while (!row->first);
	return take_first(l, row);
}

void lobby_clear(struct lobby *l)
{
	struct guest *g;

	while ((g = lobby_leave(l)) != NULL) {
		close(g->fd);
		free(g);
	}
}
