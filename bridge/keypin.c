/* SPDX-License-Identifier: MIT */
#include "bridge/keypin.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

static const char scheme[] = "sha256/";

enum { SCHEME_LEN = sizeof(scheme) - 1, BASE64_LEN = 44 };

/* 32 bytes are 43 letters and one filler; the block decodes to 33, of which the last is the filler's. */
int keypin_parse(uint8_t out[KEYPIN_BYTES], const char *text)
{
	uint8_t block[KEYPIN_BYTES + 1];
	char again[KEYPIN_TEXT];

	if (strncmp(text, scheme, SCHEME_LEN) != 0 || strlen(text) != SCHEME_LEN + BASE64_LEN)
		return -EINVAL;
	if (EVP_DecodeBlock(block, (const unsigned char *)text + SCHEME_LEN, BASE64_LEN) != (int)sizeof(block))
		return -EINVAL;
	keypin_write(again, block); /* the decoder forgives blanks and bits behind the end, this does not */
	if (strcmp(again, text) != 0)
		return -EINVAL;
	memcpy(out, block, KEYPIN_BYTES);
	return 0;
}

void keypin_write(char out[KEYPIN_TEXT], const uint8_t pin[KEYPIN_BYTES])
{
	memcpy(out, scheme, SCHEME_LEN);
	EVP_EncodeBlock((unsigned char *)out + SCHEME_LEN, pin, KEYPIN_BYTES);
}

int keypin_of(uint8_t out[KEYPIN_BYTES], X509 *certificate)
{
	unsigned char *der = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
	int ok = len > 0 && EVP_Digest(der, (size_t)len, out, NULL, EVP_sha256(), NULL) == 1;

	OPENSSL_free(der);
	return ok ? 0 : -EINVAL;
}

bool keypin_listed(const struct key_list *pins, const uint8_t pin[KEYPIN_BYTES])
{
	const char *const *texts = pins->items;
	uint8_t one[KEYPIN_BYTES];

	for (size_t i = 0; i < pins->count; i++)
		if (keypin_parse(one, texts[i]) == 0 && memcmp(one, pin, KEYPIN_BYTES) == 0)
			return true;
	return false;
}
