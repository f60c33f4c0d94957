/* SPDX-License-Identifier: MIT */
#include "tests/sim/sensor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *const sensor_kinds[N_SENSORS] = {"scale", "nmea", "asked"};

static bool strike(int64_t *left)
{
	if (*left == 0)
		return false;
	if (*left > 0)
		--*left;
	return true;
}

static void compose(struct sensor *s)
{
	double value = (double)(s->count % 100000) / 10;
	unsigned sum = 0;
	char body[48];

	if (s->opts.kind != SENSOR_NMEA) {
		s->len = (size_t)snprintf((char *)s->line, sizeof(s->line), "%+07.1f kg\r\n", value);
		return;
	}
	snprintf(body, sizeof(body), "WIMTW,%.1f,C", value);
	for (const char *c = body; *c; c++)
		sum ^= (uint8_t)*c;
	s->len = (size_t)snprintf((char *)s->line, sizeof(s->line), "$%s*%02X\r\n", body, sum);
}

/* A line leaves byte by byte at the rate of the wire. */
static void pass_byte(struct pace_timer *t)
{
	struct sensor *s = (struct sensor *)((char *)t - offsetof(struct sensor, out));

	pty_write(&s->pty, s->line + s->sent, 1);
	if (++s->sent < s->len)
		pace_arm(s->pty.pace, t, t->due_us + 10000000 / s->opts.baud);
}

static void say(struct sensor *s)
{
	if (s->sent < s->len)
		return; /* still at the last one */
	s->count++;
	if (strike(&s->mute))
		return;
	compose(s);
	if (strike(&s->garbled))
		memset(s->line, '#', s->len / 2);
	s->sent = 0;
	pace_arm(s->pty.pace, &s->out, pace_now_us());
}

static void due(struct pace_timer *t)
{
	struct sensor *s = (struct sensor *)((char *)t - offsetof(struct sensor, next));

	pace_arm(s->pty.pace, t, t->due_us + s->opts.every_ms * 1000);
	if (pty_in_use(&s->pty))
		say(s);
}

static void asked(struct pty *p, const uint8_t *bytes, size_t len, int64_t now_us)
{
	struct sensor *s = (struct sensor *)((char *)p - offsetof(struct sensor, pty));

	(void)now_us;
	if (s->opts.kind == SENSOR_ASKED && memchr(bytes, '\r', len))
		say(s);
}

int sensor_new(struct sensor **out, struct pace *pace, const struct sensor_opts *opts)
{
	struct sensor *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->opts = *opts;
	s->next.run = due;
	s->out.run = pass_byte;
	s->pty.input = asked;
	r = pty_open(&s->pty, pace, opts->path);
	s->opts.path = NULL;
	if (r < 0) {
		sensor_free(s);
		return r;
	}
	if (opts->kind != SENSOR_ASKED)
		pace_arm(pace, &s->next, pace_now_us() + opts->every_ms * 1000);
	*out = s;
	return 0;
}

void sensor_free(struct sensor *s)
{
	if (!s)
		return;
	pace_disarm(s->pty.pace, &s->next);
	pace_disarm(s->pty.pace, &s->out);
	pty_close(&s->pty);
	free(s);
}

void sensor_print(const struct sensor *s, FILE *to, const char *name)
{
	fprintf(to, "sensor=%s lines=%ju\n", name, s->count);
}
