/* SPDX-License-Identifier: MIT */
#include "bridge/cause.h"
#include "tests/lib/test.h"

#include <openssl/x509_vfy.h>
#include <string.h>

static const char refused[] = "connect: TCP/TLS connect failure", ended[] = "connect: TCP connect completion failure";

static const struct {
	struct cause cause;
	const char *says;
} rows[] = {
	{{"connect (-1)", "broker.example", false, false, false}, "the name broker.example was not found"},
	{{"connect (-1)", "broker.example", true, false, false}, "the name broker.example was not found"},
	{{"connect (-1)", "192.0.2.1", false, false, false}, "connect (-1)"},
	{{"connect (-1)", "2001:db8::1", false, false, false}, "connect (-1)"},
	{{refused, "h", false, false, false}, "nobody takes the connection there"},
	{{ended, "h", false, false, false}, "whether the port wants TLS (mqtts://)"},
	{{refused, "h", true, false, false}, "or the port does not speak TLS"},
	{{refused, "h", true, true, false}, "it may want one of ours (tls.cert, tls.key)"},
	{{ended, "h", true, true, true}, "it may not believe ours (tls.cert)"},
	{{"connection lost: closed by the other side or silent", "h", true, true, true}, "connection lost: closed"},
	{{"credentials: no password", "h", true, false, false}, "credentials: no password"},
};

static void each_failure_says_where_to_look(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char said[512];

		cause_write(said, sizeof(said), &rows[i].cause);
		if (!strstr(said, rows[i].says))
			fail_msg("row %zu: %s", i, said);
	}
}

static void a_long_name_is_cut(void **state)
{
	char name[256], said[64];

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	cause_write(said, sizeof(said), &(struct cause){.said = "connect (-1)", .host = name});
	assert_int_equal(strlen(said), sizeof(said) - 1);
}

static void refusals_say_what_to_mend(void **state)
{
	(void)state;
	assert_non_null(strstr(cause_of_code(0x86), "password_file"));
	assert_non_null(strstr(cause_of_code(0x87), "username"));
	assert_non_null(strstr(cause_of_code(0x85), "client_id"));
	assert_string_equal(cause_of_code(0x88), "");
}

/* The numbers are OpenSSL's. */
static void certificates_say_what_to_mend(void **state)
{
	(void)state;
	assert_non_null(strstr(cause_of_certificate(X509_V_ERR_CERT_HAS_EXPIRED), "renewed"));
	assert_non_null(strstr(cause_of_certificate(X509_V_ERR_CERT_NOT_YET_VALID), "clock"));
	assert_non_null(strstr(cause_of_certificate(X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT), "tls.ca"));
	assert_non_null(strstr(cause_of_certificate(X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY), "tls.ca"));
	assert_non_null(strstr(cause_of_certificate(X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT), "tls.ca"));
	assert_non_null(strstr(cause_of_certificate(X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN), "tls.ca"));
	assert_non_null(strstr(cause_of_certificate(X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE), "tls.ca"));
	assert_string_equal(cause_of_certificate(X509_V_ERR_CERT_REVOKED), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_failure_says_where_to_look),
		cmocka_unit_test(a_long_name_is_cut),
		cmocka_unit_test(refusals_say_what_to_mend),
		cmocka_unit_test(certificates_say_what_to_mend),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
