/* SPDX-License-Identifier: MIT */
#include "gateway/frames.h"

#include "drivers/driver.h"
#include "drivers/pdu.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

static const char *const kinds[] = {
	[LINE_SENT] = "sent", [LINE_HEARD] = "heard", [LINE_NOISE] = "noise", [LINE_FAULT] = "fault"};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/* --- as a line ----------------------------------------------------------------------------------------------- */

void frames_write(FILE *out, const struct tape_note *n, int64_t wall_us)
{
	fprintf(out, "%" PRIu64 " %" PRId64 " %s ", n->seq, n->at_us + wall_us,
		kinds[n->kind < KINDS ? n->kind : LINE_FAULT]);
	for (size_t i = 0; i < n->len; i++)
		fprintf(out, "%02x", n->bytes[i]);
	fputc('\n', out);
}

static bool read_bytes(struct tape_note *n, const char *s)
{
	unsigned byte;

	for (n->len = 0; isxdigit((unsigned char)s[0]) && isxdigit((unsigned char)s[1]) && n->len < TAPE_NOTE_MAX;
		s += 2) {
		if (sscanf(s, "%2x", &byte) != 1)
			return false;
		n->bytes[n->len++] = (uint8_t)byte;
	}
	return *s == '\0' || *s == '\n';
}

bool frames_read(struct tape_note *n, const char *line)
{
	char kind[8];
	int used = 0;

	*n = (struct tape_note){.seq = 0};
	if (sscanf(line, "%" SCNu64 " %" SCNd64 " %7[a-z]%n", &n->seq, &n->at_us, kind, &used) != 3 ||
		line[used] != ' ')
		return false;
	for (n->kind = 0; n->kind < KINDS; n->kind++) {
		if (strcmp(kinds[n->kind], kind) == 0)
			return read_bytes(n, line + used + 1);
	}
	return false;
}

/* --- for people ---------------------------------------------------------------------------------------------- */

static unsigned word(const uint8_t *b)
{
	return (unsigned)b[0] << 8 | b[1];
}

static const char *function_text(unsigned function)
{
	switch (function) {
	case FC_READ_COILS: return "read coil";
	case FC_READ_DISCRETE: return "read discrete";
	case FC_READ_HOLDING: return "read holding";
	case FC_READ_INPUT: return "read input";
	case FC_WRITE_COIL: return "write coil";
	case FC_WRITE_REGISTER: return "write holding";
	case FC_WRITE_COILS: return "write coils";
	case FC_WRITE_REGISTERS: return "write holdings";
	case FC_MASK_WRITE: return "mask holding";
	default: return NULL;
	}
}

/* What a whole frame asks or answers. */
static void explain(FILE *out, const struct tape_note *n)
{
	const uint8_t *b = n->bytes;
	const char *what;

	if (n->len < 4)
		return;
	fprintf(out, "  unit %u", b[0]);
	if (b[1] & 0x80) {
		fprintf(out, ": exception %u", b[2]);
		return;
	}
	what = function_text(b[1]);
	if (!what)
		fprintf(out, ": function %u", b[1]);
	else if (n->kind == LINE_SENT && pdu_is_read(b[1]) && n->len >= 6)
		fprintf(out, ": %s %u, %u of them", what, word(b + 2), word(b + 4));
	else if (n->kind == LINE_SENT && n->len >= 6)
		fprintf(out, ": %s %u", what, word(b + 2));
	else
		fprintf(out, " answers: %s", what);
}

static bool crc_fits(const struct tape_note *n)
{
	uint16_t crc;

	if (n->len < 4)
		return false;
	crc = pdu_crc(n->bytes, n->len - 2u);
	return n->bytes[n->len - 2] == (crc & 0xff) && n->bytes[n->len - 1] == crc >> 8;
}

static void show_bytes(FILE *out, const struct tape_note *n, bool text)
{
	for (size_t i = 0; i < n->len; i++) {
		if (!text)
			fprintf(out, " %02x", n->bytes[i]);
		else if (isprint(n->bytes[i]))
			fputc(n->bytes[i], out);
		else
			fprintf(out, "<%02x>", n->bytes[i]);
	}
}

void frames_show(FILE *out, const struct tape_note *n, int64_t last_us, enum frames_of of)
{
	static const char *const arrows[] = {
		[LINE_SENT] = "->", [LINE_HEARD] = "<-", [LINE_NOISE] = "??", [LINE_FAULT] = "!!"};
	time_t s = (time_t)(n->at_us / 1000000);
	struct tm tm;
	char clock[16];

	gmtime_r(&s, &tm);
	strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	fprintf(out, "%s.%06d ", clock, (int)(n->at_us % 1000000));
	if (last_us)
		fprintf(out, "%+9.3f ms ", (double)(n->at_us - last_us) / 1000);
	else
		fprintf(out, "%12s ", "");
	fprintf(out, "%s ", arrows[n->kind]);
	if (n->kind == LINE_FAULT) {
		fprintf(out, " %.*s\n", n->len, (const char *)n->bytes);
		return;
	}
	show_bytes(out, n, of == FRAMES_OF_TEXT);
	if (of == FRAMES_OF_TCP || (of == FRAMES_OF_RTU && crc_fits(n)))
		explain(out, n);
	fputc('\n', out);
}

bool frames_join(struct tape_note *before, const struct tape_note *n)
{
	enum { PAUSE_US = 50000 };
	int64_t since_us = n->at_us - before->at_us;

	if (before->kind != LINE_HEARD || n->kind != LINE_HEARD || n->seq != before->seq + 1 || since_us > PAUSE_US ||
		before->len == 0 || before->bytes[before->len - 1] == '\n' || before->len + n->len > TAPE_NOTE_MAX)
		return false;
	memcpy(before->bytes + before->len, n->bytes, n->len);
	before->len = (uint16_t)(before->len + n->len);
	before->seq = n->seq;
	before->at_us = n->at_us;
	return true;
}

/* --- as a capture -------------------------------------------------------------------------------------------- */

static void put16(FILE *out, unsigned v)
{
	fputc((int)(v & 0xff), out);
	fputc((int)(v >> 8 & 0xff), out);
}

static void put32(FILE *out, uint32_t v)
{
	put16(out, v & 0xffff);
	put16(out, v >> 16);
}

static void put32_big(FILE *out, uint32_t v)
{
	fputc((int)(v >> 24), out);
	fputc((int)(v >> 16 & 0xff), out);
	fputc((int)(v >> 8 & 0xff), out);
	fputc((int)(v & 0xff), out);
}

void frames_pcap_head(FILE *out)
{
	enum { RTAC_SERIAL = 250, SNAP = 65535 };

	put32(out, 0xa1b2c3d4); /* times in microseconds */
	put16(out, 2);
	put16(out, 4);
	put32(out, 0);
	put32(out, 0);
	put32(out, SNAP);
	put32(out, RTAC_SERIAL);
}

void frames_pcap(FILE *out, const struct tape_note *n)
{
	enum { HEAD = 12, DATA_TX = 1, DATA_RX = 2 };
	uint32_t s = (uint32_t)(n->at_us / 1000000), us = (uint32_t)(n->at_us % 1000000);

	if (n->kind == LINE_FAULT)
		return;
	put32(out, s);
	put32(out, us);
	put32(out, HEAD + (uint32_t)n->len);
	put32(out, HEAD + (uint32_t)n->len);
	put32_big(out, s);
	put32_big(out, us);
	fputc(n->kind == LINE_SENT ? DATA_TX : DATA_RX, out);
	fputc(0, out);
	put16(out, 0);
	fwrite(n->bytes, 1, n->len, out);
}
