/* SPDX-License-Identifier: MIT */
#include "bridge/cause.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* OpenSSL's numbers, which its ABI holds still; <openssl/x509_vfy.h> stays where certificates are looked at. */
enum {
	NO_ISSUER = 2,
	NOT_YET_VALID = 9,
	EXPIRED = 10,
	SELF_SIGNED = 18,
	SELF_SIGNED_IN_CHAIN = 19,
	NO_LOCAL_ISSUER = 20,
	NO_LEAF_SIGNATURE = 21,
};

static bool is_number(const char *host)
{
	uint8_t address[16];

	return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

static const char *where_to_look(const struct cause *c)
{
	if (!c->tls)
		return "nobody takes the connection there, or it was ended before a word: look at the address, whether "
		       "the server runs, the firewall, and whether the port wants TLS (mqtts://)";
	if (!c->trusted)
		return "nobody takes the connection there, or the port does not speak TLS: look at the address, "
		       "whether the server runs, and the firewall";
	if (!c->has_cert)
		return "the server ended the connection behind its certificate: it may want one of ours (tls.cert, "
		       "tls.key)";
	return "the server ended the connection behind its certificate: it may not believe ours (tls.cert)";
}

void cause_write(char *out, size_t cap, const struct cause *c)
{
	if (strcmp(c->said, "connect (-1)") == 0 && !is_number(c->host))
		snprintf(out, cap, "the name %s was not found: look at the address, and at the DNS of this machine",
			c->host);
	else if (strncmp(c->said, "connect", 7) == 0 && strstr(c->said, "failure"))
		snprintf(out, cap, "%s", where_to_look(c));
	else
		snprintf(out, cap, "%s", c->said);
}

const char *cause_of_code(uint8_t code)
{
	switch (code) {
	case 0x84: return ": look at version";
	case 0x85: return ": look at client_id";
	case 0x86:
	case 0x87: return ": look at username and password_file, and at what the server allows this client_id";
	case 0x8a:
	case 0x8c: return ": ask who runs the server";
	default: return "";
	}
}

const char *cause_of_certificate(int x509_err)
{
	switch (x509_err) {
	case NO_ISSUER:
	case SELF_SIGNED:
	case SELF_SIGNED_IN_CHAIN:
	case NO_LOCAL_ISSUER:
	case NO_LEAF_SIGNATURE: return " (tls.ca has to hold who signed it)";
	case NOT_YET_VALID: return " (is the clock of this machine right?)";
	case EXPIRED: return " (it has to be renewed at the server; is the clock of this machine right?)";
	default: return "";
	}
}
