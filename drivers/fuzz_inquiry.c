/* SPDX-License-Identifier: MIT */
/* Any bytes as a Modbus TCP client sends them: a request that can be asked is, built and read again, the same, and its
 * answer is one to it. */
#include "drivers/inquiry.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void answer(const struct inquiry *q)
{
	static struct reply a, back;
	uint8_t out[INQUIRY_MAX], frame[PDU_MAX];
	size_t len;

	a.count = q->function == FC_WRITE_READ ? q->request.read_count : q->request.count;
	len = inquiry_answer(q, &a, out);
	if (len < 8 || len > INQUIRY_MAX || pdu_match(&q->request, out + 6, len - 6, &back) != 0)
		abort();
	if (pdu_build(&q->request, frame) > sizeof(frame))
		abort();
	if (pdu_match(&q->request, out + 6, inquiry_refuse(q, 2, out) - 6, &back) != 0 || back.exception != 2)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct inquiry q;
	enum inquiry_end end = inquiry_look(data, size, &q);
	uint8_t frame[PDU_MAX];

	if (end == INQUIRY_MORE && size >= INQUIRY_MAX)
		abort();
	if (end != INQUIRY_WHOLE)
		return 0;
	if (q.used < 8 || q.used > size || q.used > INQUIRY_MAX)
		abort();
	if (q.refused)
		return 0;
	if (!inquiry_knows(q.function) || pdu_build(&q.request, frame) != q.used - 6)
		abort();
	answer(&q);
	return 0;
}
