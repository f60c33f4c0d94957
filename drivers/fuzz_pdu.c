/* SPDX-License-Identifier: MIT */
/* A request made of the first eight bytes, the rest as its reply: matched, and decoded as every type. */
#include "drivers/decode.h"
#include "drivers/pdu.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode_all(const struct reply *a, unsigned seed)
{
	static const char *const zones[] = {"utc", "local", "-03:30"};
	char text[DECODE_TEXT_CAP];

	for (int type = TYPE_BOOL; type < TYPE_COUNT; type++) {
		struct point_opts p = {.type = type,
			.order = ORDER_GIVEN | (int)(seed & 7),
			.scale = 0.1,
			.decimals = (int64_t)(seed % 17) - 1,
			.length = 1 + seed % 250,
			.chars = 1 + (seed >> 3 & 1),
			.zone = zones[seed % 3]};
		struct value v;

		if (point_words(&p) <= a->count)
			decode_registers(&p, a->regs, text, &v);
	}
}

/* More bytes never make a reply shorter, and every step asks for more than there is, up to its end. */
static void check_need(const uint8_t *data, size_t size)
{
	size_t last = 0;

	for (size_t len = 0; len <= size; len++) {
		size_t need = pdu_need(data, len);

		if (need > PDU_MAX + 4 || (last > len && need < last))
			abort();
		if (need <= len)
			return;
		last = need;
	}
}

static void walk(const struct pdu_objects *o)
{
	const uint8_t *text;
	size_t at = 0, len;
	uint8_t id;

	while (pdu_object(o, &at, &id, &text, &len))
		if (text < o->bytes || text + len > o->bytes + o->len)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t functions[] = {1, 2, 3, 4, 5, 6, 15, 16, 22, 23, 43};
	struct request q = {0};
	struct reply a;

	if (size < 8)
		return 0;
	q.unit = data[0];
	q.function = functions[data[1] % sizeof(functions)];
	q.address = (uint16_t)(data[2] << 8 | data[3]);
	q.count = (uint16_t)(1 + data[4] % (pdu_is_read(q.function) ? 125 : 100));
	q.read_count = q.count;
	q.code = IDENTIFY_BASIC;
	q.regs[0] = data[5];
	check_need(data + 8, size - 8);
	if (pdu_match(&q, data + 8, size - 8, &a) == 0 && a.exception == 0 && q.function == FC_IDENTIFY)
		walk(&a.objects);
	if (pdu_match(&q, data + 8, size - 8, &a) == 0 && a.exception == 0 && pdu_is_read(q.function)) {
		if (a.count != q.count)
			abort();
		if (!pdu_is_bits(q.function))
			decode_all(&a, data[6]);
	}
	return 0;
}
