/* SPDX-License-Identifier: MIT */
/* keypin.h - public keys by which an upstream's server is known, whoever signed its certificate. Pure.
 *
 * A pin is the SHA-256 of a certificate's SubjectPublicKeyInfo, written "sha256/" and base64: it stays the same when
 * the certificate is renewed with the same key.
 */
#ifndef BRIDGE_KEYPIN_H
#define BRIDGE_KEYPIN_H

#include "config/key.h"

#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>

enum { KEYPIN_BYTES = 32, KEYPIN_TEXT = 7 + 44 + 1 };

int keypin_parse(uint8_t out[KEYPIN_BYTES], const char *text); /* 0 or -EINVAL */
void keypin_write(char out[KEYPIN_TEXT], const uint8_t pin[KEYPIN_BYTES]);

int keypin_of(uint8_t out[KEYPIN_BYTES], X509 *certificate); /* 0 or -errno */
bool keypin_listed(const struct key_list *pins, const uint8_t pin[KEYPIN_BYTES]);

#endif
