/* SPDX-License-Identifier: MIT */
#include "bridge/squeeze.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <zstd.h>

enum { LEVEL = 3 };

struct squeeze {
	ZSTD_CCtx *ctx;
	uint8_t *buf;
	size_t cap;
};

int squeeze_new(struct squeeze **out)
{
	struct squeeze *s = calloc(1, sizeof(*s));

	if (s)
		s->ctx = ZSTD_createCCtx();
	if (!s || !s->ctx || ZSTD_isError(ZSTD_CCtx_setParameter(s->ctx, ZSTD_c_compressionLevel, LEVEL)) ||
		ZSTD_isError(ZSTD_CCtx_setParameter(s->ctx, ZSTD_c_checksumFlag, 1))) {
		squeeze_free(s);
		return -ENOMEM;
	}
	*out = s;
	return 0;
}

void squeeze_free(struct squeeze *s)
{
	if (!s)
		return;
	ZSTD_freeCCtx(s->ctx);
	free(s->buf);
	free(s);
}

static int make_room(struct squeeze *s, size_t need)
{
	uint8_t *more;

	if (s->cap >= need)
		return 0;
	more = realloc(s->buf, need);
	if (!more)
		return -ENOMEM;
	s->buf = more;
	s->cap = need;
	return 0;
}

int squeeze_run(struct squeeze *s, const void *bytes, size_t len, const uint8_t **out, size_t *out_len)
{
	size_t n;
	int r = make_room(s, ZSTD_compressBound(len));

	if (r < 0)
		return r;
	n = ZSTD_compress2(s->ctx, s->buf, s->cap, bytes, len);
	if (ZSTD_isError(n)) { /* with room for the worst case, only memory can be missing */
		log_warn("zstd: %s", ZSTD_getErrorName(n));
		return -ENOMEM;
	}
	*out = s->buf;
	*out_len = n;
	return 0;
}
