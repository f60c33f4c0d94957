/* SPDX-License-Identifier: MIT */
#include "broker/out.h"

#include "broker/area.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { VECTORS = 64 };

static const uint32_t class_bytes[STOCK_CLASSES] = {1024, 8 * 1024, 64 * 1024};

/* --- stock -------------------------------------------------------------------------------------------------- */

void stock_fini(struct stock *s)
{
	for (int i = 0; i < STOCK_CLASSES; i++) {
		while (s->spare[i]) {
			struct chunk *c = s->spare[i];

			s->spare[i] = c->next;
			free(c);
		}
	}
	s->large_used = false;
	stock_settle(s);
	while (stock_give_back(s))
		;
}

static size_t total_of(const struct chunk *c)
{
	return sizeof(*c) + c->cap;
}

static bool fits(const struct chunk *c, size_t size)
{
	return c->cap >= size && c->cap / STOCK_WASTE <= size;
}

/* A large one that is there, and not much too large; NULL: none. */
static struct chunk *take_large(struct stock *s, size_t size)
{
	struct chunk **at = &s->large, *c;

	while (*at && !fits(*at, size))
		at = &(*at)->next;
	c = *at;
	if (!c)
		return NULL;
	*at = c->next;
	s->large_bytes -= total_of(c);
	s->large_used = true;
	return c;
}

/* One of a class, or of its own size. */
static struct chunk *make(uint32_t class, size_t size)
{
	size_t total = class < STOCK_CLASSES ? class_bytes[class] : size + sizeof(struct chunk);
	struct chunk *c = total > UINT32_MAX      ? NULL
			  : class < STOCK_CLASSES ? malloc(total)
						  : area_resize(NULL, 0, total);

	if (!c)
		return NULL;
	c->cap = (uint32_t)(total - sizeof(*c));
	c->class = class;
	return c;
}

static struct chunk *take_spare(struct stock *s, uint32_t class)
{
	struct chunk *c = s->spare[class];

	if (!c)
		return NULL;
	s->spare[class] = c->next;
	s->spare_bytes -= class_bytes[class];
	return c;
}

struct chunk *stock_get(struct stock *s, size_t size)
{
	uint32_t class = 0;
	struct chunk *c;

	while (class < STOCK_CLASSES && class_bytes[class] - sizeof(*c) < size)
		class ++;
	c = class < STOCK_CLASSES ? take_spare(s, class) : take_large(s, size);
	if (!c)
		c = make(class, size);
	if (!c)
		return NULL;
	c->next = NULL;
	c->msg = NULL;
	c->len = c->sent = 0;
	c->at = c->bytes;
	s->used_bytes += c->cap;
	return c;
}

/* One that is no longer of a class grows where it is, or its pages move: nothing is copied, which takes a millisecond for
 * megabytes. */
static struct chunk *grow_loose(struct stock *s, struct chunk *c, size_t size)
{
	struct chunk *larger = size + sizeof(*c) <= UINT32_MAX ? area_resize(c, total_of(c), size + sizeof(*c)) : NULL;

	if (!larger)
		return NULL;
	s->used_bytes += size - larger->cap;
	larger->cap = (uint32_t)size;
	larger->at = larger->bytes;
	return larger;
}

static bool has_large(const struct stock *s, size_t size)
{
	for (const struct chunk *c = s->large; c; c = c->next)
		if (fits(c, size))
			return true;
	return false;
}

int stock_grow(struct stock *s, struct chunk **c, size_t size)
{
	struct chunk *old = *c, *larger;

	if (old->class == STOCK_CLASSES && (old->len > STOCK_PIECE || !has_large(s, size))) {
		larger = grow_loose(s, old, size);
	} else {
		larger = stock_get(s, size);
		if (larger) {
			memcpy(larger->bytes, old->bytes, old->len);
			larger->len = old->len;
			larger->sent = old->sent;
			stock_put(s, old);
		}
	}
	if (!larger)
		return -ENOMEM;
	*c = larger;
	return 0;
}

static void spend(struct stock *s, struct chunk *c)
{
	if (s->spent_bytes + total_of(c) > STOCK_SPENT) {
		area_free(c, total_of(c));
		return;
	}
	s->spent_bytes += total_of(c);
	c->next = s->spent;
	s->spent = c;
}

/* From its end, while it is the first of the list. */
bool stock_give_back(struct stock *s)
{
	struct chunk *c = s->spent, *next = c ? c->next : NULL, *rest = NULL;
	size_t total = c ? total_of(c) : 0;

	if (!c)
		return false;
	if (total > 2 * STOCK_PIECE)
		rest = area_resize(c, total, total - STOCK_PIECE);
	if (rest) {
		rest->cap -= STOCK_PIECE;
		s->spent = rest;
		s->spent_bytes -= STOCK_PIECE;
		return true;
	}
	area_free(c, total);
	s->spent = next;
	s->spent_bytes -= total;
	return true;
}

static void keep_large(struct stock *s, struct chunk *c)
{
	if (s->large_bytes + total_of(c) > STOCK_LARGE) {
		spend(s, c);
		return;
	}
	s->large_bytes += total_of(c);
	c->next = s->large;
	s->large = c;
}

void stock_settle(struct stock *s)
{
	while (s->large && !s->large_used) {
		struct chunk *c = s->large;

		s->large = c->next;
		spend(s, c);
	}
	s->large_bytes = s->large ? s->large_bytes : 0;
	s->large_used = false;
}

void stock_put(struct stock *s, struct chunk *c)
{
	if (!c)
		return;
	msg_unref(c->msg);
	s->used_bytes -= c->cap;
	if (c->class == STOCK_CLASSES) {
		keep_large(s, c);
		return;
	}
	if (s->spare_bytes + class_bytes[c->class] > STOCK_SPARE) {
		free(c);
		return;
	}
	s->spare_bytes += class_bytes[c->class];
	c->next = s->spare[c->class];
	s->spare[c->class] = c;
}

/* --- out ---------------------------------------------------------------------------------------------------- */

static void link_last(struct out *o, struct chunk *c)
{
	if (o->last)
		o->last->next = c;
	else
		o->first = c;
	o->last = c;
}

/* Growing steps: a lone acknowledgement takes a small chunk, a busy chain large ones. */
static size_t wanted(const struct out *o)
{
	return o->bytes < class_bytes[0] / 2 ? 1 : o->bytes < 2 * class_bytes[1] ? 4096 : 32768;
}

int out_append(struct out *o, struct stock *s, const void *bytes, size_t len)
{
	struct chunk *last = o->last;
	size_t room = last && !last->msg ? last->cap - last->len : 0;
	struct chunk *more = NULL;

	if (room < len) {
		size_t rest = len - room, size = wanted(o);

		more = stock_get(s, rest > size ? rest : size);
		if (!more)
			return -ENOMEM;
		memcpy(more->bytes, (const uint8_t *)bytes + room, rest);
		more->len = (uint32_t)rest;
	} else {
		room = len;
	}
	if (room > 0) {
		memcpy(last->bytes + last->len, bytes, room);
		last->len += (uint32_t)room;
	}
	if (more)
		link_last(o, more);
	o->bytes += len;
	return 0;
}

int out_refer(struct out *o, struct stock *s, struct msg *m, const uint8_t *at, size_t len)
{
	struct chunk *c = stock_get(s, 1);

	if (!c)
		return -ENOMEM;
	c->msg = msg_ref(m);
	c->at = at;
	c->len = (uint32_t)len;
	link_last(o, c);
	o->bytes += len;
	return 0;
}

void out_clear(struct out *o, struct stock *s)
{
	while (o->first) {
		struct chunk *c = o->first;

		o->first = c->next;
		stock_put(s, c);
	}
	*o = (struct out){0};
}

static void written(struct out *o, struct stock *s, size_t n)
{
	o->bytes -= n;
	while (o->first && n >= o->first->len - o->first->sent) {
		struct chunk *c = o->first;

		n -= c->len - c->sent;
		o->first = c->next;
		stock_put(s, c);
	}
	if (o->first)
		o->first->sent += (uint32_t)n;
	else
		o->last = NULL;
}

static ssize_t write_some(const struct out *o, int fd, struct transport *t, size_t most, size_t *tried)
{
	struct iovec v[VECTORS];
	struct msghdr m = {.msg_iov = v};
	struct chunk *c = o->first;

	*tried = 0;
	for (; c && m.msg_iovlen < VECTORS && *tried < most; c = c->next) {
		size_t len = c->len - c->sent, rest = most - *tried;

		len = len < rest ? len : rest;
		v[m.msg_iovlen++] = (struct iovec){(void *)(uintptr_t)(c->at + c->sent), len};
		*tried += len;
	}
	if (t)
		return t->ops->write(t, v, (int)m.msg_iovlen);
	if (m.msg_iovlen == 1)
		return send(fd, v[0].iov_base, v[0].iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
	return sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int out_write(struct out *o, struct stock *s, int fd, struct transport *t, size_t most)
{
	int r = 0;

	while (o->first && most > 0) {
		size_t tried;
		ssize_t n = write_some(o, fd, t, most, &tried);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? OUT_BLOCKED : -errno;
		written(o, s, (size_t)n);
		if ((size_t)n < tried) /* a short write: asking again would only say EAGAIN */
			return OUT_BLOCKED;
		most -= (size_t)n;
	}
	if (t)
		r = t->ops->flush(t);
	return r == 0 && o->first ? OUT_MORE : r;
}
