/* SPDX-License-Identifier: MIT */
#include "tests/broker/rig.h"

#include "config/bind.h"
#include "config/report.h"
#include "tests/lib/test.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void rig_defaults(struct rig *r)
{
	struct arena *a;
	struct key_report *report;

	memset(r, 0, sizeof(*r));
	fake_clock_init(&r->clock, 1000000);
	assert_int_equal(arena_new(&a, 1024 * 1024), 0);
	assert_int_equal(report_new(&report), 0);
	assert_int_equal(bind_defaults(&r->opts, &broker_table, a, report), 0);
	report_free(report);
	arena_free(a); /* no text among them */
	r->opts.sys_interval_ms = 0;
}

void rig_start(struct rig *r, const struct persist *persist)
{
	static struct broker_listener anybody = {.bind = "127.0.0.1:0", .allow_anonymous = true};

	r->opts.listeners = (struct key_list){&anybody, 1};
	assert_int_equal(broker_new(&r->broker, &r->opts, persist, &r->clock.clock), 0);
}

void rig_stop(struct rig *r)
{
	broker_free(r->broker);
	r->broker = NULL;
}

void rig_turn(struct rig *r)
{
	for (int i = 0; i < 8; i++)
		assert_int_equal(loop_turn(r->broker->loop, 0), 0);
}

void rig_pass_ms(struct rig *r, int64_t ms)
{
	fake_clock_advance_ms(&r->clock, ms);
	rig_turn(r);
}

int rig_open(struct rig *r)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd), 0);
	assert_int_equal(conn_new(r->broker, fd[1], NULL, 0), 0);
	return fd[0];
}

void rig_send(struct rig *r, int fd, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	while (len > 0) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			break; /* the broker closed it: what it said is there to be read */
		if (n > 0) {
			at += n;
			len -= (size_t)n;
		}
		rig_turn(r);
	}
	rig_turn(r);
}

size_t rig_read(struct rig *r, int fd, uint8_t *out, size_t cap, bool *closed)
{
	size_t have = 0;

	*closed = false;
	while (have < cap) {
		ssize_t n;

		rig_turn(r);
		n = recv(fd, out + have, cap - have, 0);
		if (n == 0 || (n < 0 && errno != EAGAIN)) {
			*closed = true;
			break;
		}
		if (n < 0)
			break;
		have += (size_t)n;
	}
	return have;
}

void rig_expect(struct rig *r, int fd, const void *bytes, size_t len)
{
	static uint8_t got[1 << 20];
	bool closed;
	size_t n = rig_read(r, fd, got, sizeof(got), &closed);

	assert_int_equal(n, len);
	assert_memory_equal(got, bytes, len);
}

bool rig_closed(struct rig *r, int fd)
{
	static uint8_t got[1 << 20];
	bool closed;

	rig_read(r, fd, got, sizeof(got), &closed);
	return closed;
}

int rig_connect(struct rig *r, uint8_t version, const char *client_id, bool clean)
{
	uint8_t p[128] = {0x10, 0, 0, 4, 'M', 'Q', 'T', 'T', version, clean ? 2 : 0, 0, 0}, got[256];
	size_t n = 12, len = strlen(client_id);
	int fd = rig_open(r);
	bool closed;

	if (version == 5) {
		static const uint8_t props[] = {7, 0x17, 0, 0x11, 0, 0, 0x0e, 0x10}; /* an hour, and no words */
		size_t size = clean ? 3 : sizeof(props);

		memcpy(p + n, props, size);
		p[n] = (uint8_t)(size - 1);
		n += size;
	}
	p[n++] = 0;
	p[n++] = (uint8_t)len;
	memcpy(p + n, client_id, len);
	n += len;
	p[1] = (uint8_t)(n - 2);
	rig_send(r, fd, p, n);
	assert_true(rig_read(r, fd, got, sizeof(got), &closed) >= 4);
	assert_int_equal(got[0], 0x20);
	assert_int_equal(got[3], 0);
	return fd;
}

static size_t put_text(uint8_t *out, const char *text)
{
	size_t len = strlen(text);

	out[0] = (uint8_t)(len >> 8);
	out[1] = (uint8_t)len;
	memcpy(out + 2, text, len);
	return len + 2;
}

size_t rig_publish(uint8_t *out, uint8_t version, const char *topic, const char *payload, uint8_t flags, uint16_t id)
{
	size_t n = 2;

	n += put_text(out + n, topic);
	if (flags & 6) {
		out[n++] = (uint8_t)(id >> 8);
		out[n++] = (uint8_t)id;
	}
	if (version == 5)
		out[n++] = 0;
	memcpy(out + n, payload, strlen(payload));
	n += strlen(payload);
	assert_true(n - 2 < 128);
	out[0] = 0x30 | flags;
	out[1] = (uint8_t)(n - 2);
	return n;
}

size_t rig_subscribe(uint8_t *out, uint8_t version, uint16_t id, const char *filter, uint8_t options)
{
	size_t n = 4;

	if (version == 5)
		out[n++] = 0;
	n += put_text(out + n, filter);
	out[n++] = options;
	out[0] = 0x82;
	out[1] = (uint8_t)(n - 2);
	out[2] = (uint8_t)(id >> 8);
	out[3] = (uint8_t)id;
	return n;
}

size_t rig_answer(uint8_t *out, uint8_t type, uint16_t id)
{
	out[0] = (uint8_t)(type << 4 | (type == PKT_PUBREL ? 2 : 0));
	out[1] = 2;
	out[2] = (uint8_t)(id >> 8);
	out[3] = (uint8_t)id;
	return 4;
}

void rig_subscribed(struct rig *r, int fd, uint8_t version, const char *filter, uint8_t options)
{
	uint8_t p[256], got[256];
	size_t n = rig_subscribe(p, version, 77, filter, options);
	bool closed;

	rig_send(r, fd, p, n);
	n = rig_read(r, fd, got, sizeof(got), &closed);
	assert_true(n >= 5);
	assert_int_equal(got[0], 0x90);
	assert_true(got[n - 1] <= 2);
}
