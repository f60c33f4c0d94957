/* SPDX-License-Identifier: MIT */
#include "bridge/keypin.h"

#include <errno.h>
#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* A certificate, and the pin that openssl x509 -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256 says. */
static const char certificate[] = "-----BEGIN CERTIFICATE-----\n"
				  "MIIBijCCAS+gAwIBAgIUIUyf/6k9RBGtP+qOghKibHgXlfMwCgYIKoZIzj0EAwIw\n"
				  "GTEXMBUGA1UEAwwOYnJva2VyLmV4YW1wbGUwIBcNMjYxMTIxMTA0NzI5WhgPMjEy\n"
				  "NjEwMjgxMDQ3MjlaMBkxFzAVBgNVBAMMDmJyb2tlci5leGFtcGxlMFkwEwYHKoZI\n"
				  "zj0CAQYIKoZIzj0DAQcDQgAEy00JIwKzxZs/zdU303eyIyxNXbwXkWxuC4gTq84v\n"
				  "oaw9m8nVYjd9+ExPGLcwBrVHoAAgnDWTEjy2kHvBmcvMnaNTMFEwHQYDVR0OBBYE\n"
				  "FOtvqAVexfwNCYlgCZK1cIUJrdlZMB8GA1UdIwQYMBaAFOtvqAVexfwNCYlgCZK1\n"
				  "cIUJrdlZMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSQAwRgIhAPGuh4yx\n"
				  "6SE+LYcZRKh3G6JcSrkM9ltTJvgLQCpJZq/FAiEAmN1tHzwJVsZMxhFmcT1PbEuF\n"
				  "4bu6ED+1kRfNffhGKbQ=\n"
				  "-----END CERTIFICATE-----\n";
static const char pin_of_it[] = "sha256/5a8mdKlEVvflz9XBMb0FgJ4triV3XjpsAwfHKKXXUcQ=";

static void a_pin_is_read_and_written_the_same(void **state)
{
	uint8_t pin[KEYPIN_BYTES];
	char text[KEYPIN_TEXT];

	(void)state;
	assert_int_equal(keypin_parse(pin, pin_of_it), 0);
	keypin_write(text, pin);
	assert_string_equal(text, pin_of_it);
}

static void what_is_no_pin_is_refused(void **state)
{
	static const char *const bad[] = {
		"", "sha256/", "sha1/AAAAAAAAAAAAAAAAAAAAAAAAAAA=", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		"sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",  /* 31 bytes */
		"sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",  /* 33 bytes */
		"sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=",  /* bits behind the end */
		"sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA-AAA=",  /* the other alphabet */
		"sha256/ AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",  /* a blank */
		"sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=x", /* more */
	};
	uint8_t pin[KEYPIN_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (keypin_parse(pin, bad[i]) != -EINVAL)
			fail_msg("\"%s\" passed for a pin", bad[i]);
	}
}

static X509 *read_certificate(void)
{
	BIO *bio = BIO_new_mem_buf(certificate, -1);
	X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	BIO_free(bio);
	assert_non_null(x);
	return x;
}

static void the_pin_of_a_certificate_is_that_of_its_key(void **state)
{
	X509 *x = read_certificate();
	uint8_t pin[KEYPIN_BYTES];
	char text[KEYPIN_TEXT];

	(void)state;
	assert_int_equal(keypin_of(pin, x), 0);
	keypin_write(text, pin);
	assert_string_equal(text, pin_of_it);
	X509_free(x);
}

static void a_list_holds_what_is_in_it_alone(void **state)
{
	const char *both[] = {"sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", pin_of_it};
	struct key_list one = {.items = both, .count = 1}, two = {.items = both, .count = 2}, none = {0};
	uint8_t pin[KEYPIN_BYTES];

	(void)state;
	assert_int_equal(keypin_parse(pin, pin_of_it), 0);
	assert_false(keypin_listed(&none, pin));
	assert_false(keypin_listed(&one, pin));
	assert_true(keypin_listed(&two, pin));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pin_is_read_and_written_the_same),
		cmocka_unit_test(what_is_no_pin_is_refused),
		cmocka_unit_test(the_pin_of_a_certificate_is_that_of_its_key),
		cmocka_unit_test(a_list_holds_what_is_in_it_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
