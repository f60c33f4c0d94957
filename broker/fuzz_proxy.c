/* SPDX-License-Identifier: MIT */
/* A header in every cut: it asks for more until it has decided, and never for what it will not look at. */
#include "broker/proxy.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char address[PROXY_ADDRESS];
	size_t need = 0, len = 0;
	int r;

	do {
		r = proxy_decode(data, len, &need, address);
		if (!memchr(address, '\0', sizeof(address)) || (r == PROXY_SHORT && (need <= len || need > PROXY_MAX)))
			abort();
		len = r == PROXY_SHORT && len < size ? len + 1 : len;
	} while (r == PROXY_SHORT && len < size);
	return 0;
}
