/* SPDX-License-Identifier: MIT */
#include "tests/broker/fake_ledger.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct fake_entry *add(struct fake_ledger *l)
{
	if (l->count == l->cap) {
		l->cap = l->cap > 0 ? l->cap * 2 : 64;
		l->all = realloc(l->all, l->cap * sizeof(*l->all));
		assert(l->all);
	}
	l->all[l->count] = (struct fake_entry){.number = l->next++, .put_turn = l->turn};
	return &l->all[l->count++];
}

static int replay(void *ctx, int (*each)(void *arg, uint64_t number, struct span bytes), void *arg)
{
	struct fake_ledger *l = ctx;
	size_t count = l->count;
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++)
		r = each(arg, l->all[i].number, (struct span){l->all[i].bytes, l->all[i].len});
	assert(l->count == count); /* nothing is put while it is read */
	return r;
}

static int room(void *ctx)
{
	return ((struct fake_ledger *)ctx)->room;
}

static int put(void *ctx, const struct span *parts, size_t count, uint64_t *number)
{
	struct fake_ledger *l = ctx;
	struct fake_entry *e;

	if (l->fail != 0)
		return l->fail;
	e = add(l);
	for (size_t i = 0; i < count; i++) {
		e->bytes = realloc(e->bytes, e->len + parts[i].len + 1);
		assert(e->bytes);
		memcpy(e->bytes + e->len, parts[i].at, parts[i].len);
		e->len += parts[i].len;
	}
	*number = e->number;
	l->touched = true;
	l->puts++;
	return 0;
}

static struct fake_entry *find(const struct fake_ledger *l, uint64_t number)
{
	size_t low = 0, high = l->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (l->all[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < l->count && l->all[low].number == number ? &l->all[low] : NULL;
}

static void drop(void *ctx, uint64_t number)
{
	struct fake_ledger *l = ctx;
	struct fake_entry *e = find(l, number);

	assert(e && e->drop_turn == 0); /* the broker drops each entry once */
	e->drop_turn = l->turn;
	l->touched = true;
	l->drops++;
}

static uint64_t ticket(void *ctx)
{
	const struct fake_ledger *l = ctx;

	return l->touched ? l->turn : l->turn - 1;
}

static uint64_t committed(void *ctx)
{
	struct fake_ledger *l = ctx;
	uint64_t ignored;

	if (read(l->fd, &ignored, sizeof(ignored)) < 0)
		return l->committed; /* nobody woke it: it asks by itself */
	return l->committed;
}

static int wake_fd(void *ctx)
{
	return ((struct fake_ledger *)ctx)->fd;
}

static void turn_over(void *ctx)
{
	struct fake_ledger *l = ctx;

	if (l->touched)
		l->turn++;
	l->touched = false;
	if (l->at_once && l->committed < l->turn - 1)
		fake_ledger_commit(l, l->turn - 1);
}

struct ledger fake_ledger_seam(struct fake_ledger *l)
{
	static const struct ledger_ops ops = {.replay = replay,
		.room = room,
		.put = put,
		.drop = drop,
		.ticket = ticket,
		.committed = committed,
		.wake_fd = wake_fd,
		.turn_over = turn_over};

	return (struct ledger){&ops, l};
}

void fake_ledger_init(struct fake_ledger *l)
{
	*l = (struct fake_ledger){.next = 1, .turn = 1, .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
	assert(l->fd >= 0);
}

void fake_ledger_fini(struct fake_ledger *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->all[i].bytes);
	free(l->all);
	close(l->fd);
}

uint64_t fake_ledger_now(const struct fake_ledger *l)
{
	return l->turn - 1;
}

void fake_ledger_commit(struct fake_ledger *l, uint64_t turn)
{
	uint64_t one = 1;

	l->committed = turn;
	if (write(l->fd, &one, sizeof(one)) != sizeof(one))
		abort();
}

void fake_ledger_plant(struct fake_ledger *l, const void *bytes, size_t len)
{
	struct fake_entry *e = add(l);

	e->put_turn = 0; /* it was there before the first turn */
	e->bytes = malloc(len + 1);
	assert(e->bytes);
	memcpy(e->bytes, bytes, len);
	e->len = len;
}

void fake_ledger_crash(struct fake_ledger *out, const struct fake_ledger *from, uint64_t turn)
{
	fake_ledger_init(out);
	for (size_t i = 0; i < from->count; i++) {
		const struct fake_entry *e = &from->all[i];

		if (e->put_turn > turn || (e->drop_turn != 0 && e->drop_turn <= turn))
			continue;
		out->next = e->number;
		fake_ledger_plant(out, e->bytes, e->len);
	}
	out->next = from->next;
	out->turn = out->committed = 0;
	out->turn = 1;
	out->at_once = from->at_once;
}

size_t fake_ledger_live(const struct fake_ledger *l)
{
	size_t live = 0;

	for (size_t i = 0; i < l->count; i++)
		live += l->all[i].drop_turn == 0;
	return live;
}
