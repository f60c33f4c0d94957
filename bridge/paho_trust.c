/* SPDX-License-Identifier: MIT */
/* Paho makes a context for each attempt and lends it to nobody. But OpenSSL tells of each context that is made whoever
 * has asked for data of his own in contexts, and hands it over: there the callback is set that decides about the
 * server's certificate in place of X509_verify_cert(). What Paho sets afterwards (SSL_CTX_set_verify) leaves it alone. */
#include "bridge/paho_trust.h"

#include "base/log.h"
#include "bridge/cause.h"
#include "bridge/keypin.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct paho_trust {
	struct paho_trust_opts o;
	int index; /* of our data in contexts */
};

static int refuse(const struct paho_trust *t, X509_STORE_CTX *handshake, const char *why, const char *which)
{
	char text[640];

	snprintf(text, sizeof(text), "the server's %s%s", why, which);
	t->o.refused(t->o.ctx, text);
	if (X509_STORE_CTX_get_error(handshake) == X509_V_OK)
		X509_STORE_CTX_set_error(handshake, X509_V_ERR_APPLICATION_VERIFICATION);
	return 0;
}

static int refuse_chain(const struct paho_trust *t, X509_STORE_CTX *handshake)
{
	int error = X509_STORE_CTX_get_error(handshake);
	char text[160];

	snprintf(text, sizeof(text), "%s%s", X509_verify_cert_error_string(error), cause_of_certificate(error));
	return refuse(t, handshake, "certificate is not trusted: ", text);
}

/* Only a chain that was verified vouches for the keys above the server's own: anybody may send certificates along. */
static bool any_listed(const struct bridge_tls *tls, X509_STORE_CTX *handshake)
{
	STACK_OF(X509) *chain = tls->ca ? X509_STORE_CTX_get0_chain(handshake) : NULL;
	uint8_t pin[KEYPIN_BYTES];

	if (!chain)
		return keypin_of(pin, X509_STORE_CTX_get0_cert(handshake)) == 0 && keypin_listed(&tls->pin, pin);
	for (int i = 0; i < sk_X509_num(chain); i++)
		if (keypin_of(pin, sk_X509_value(chain, i)) == 0 && keypin_listed(&tls->pin, pin))
			return true;
	return false;
}

/* Paho looks at it too, after the handshake, and tells nobody. */
static int is_for_another(const struct paho_trust *t, X509_STORE_CTX *handshake)
{
	X509 *cert = X509_STORE_CTX_get0_cert(handshake);
	char name[128] = "", shown[256], text[544];

	if (X509_check_host(cert, t->o.host, 0, 0, NULL) == 1 || X509_check_ip_asc(cert, t->o.host, 0) == 1)
		return 0;
	X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, name, sizeof(name));
	snprintf(text, sizeof(text), "%s, and is not for %s (look at the address)",
		log_text(shown, sizeof(shown), name, strlen(name)), t->o.host);
	refuse(t, handshake, "certificate names ", text);
	return 1;
}

static int accept_it(const struct paho_trust *t)
{
	t->o.trusted(t->o.ctx);
	return 1;
}

static int on_certificate(X509_STORE_CTX *handshake, void *ctx)
{
	const struct paho_trust *t = ctx;
	const struct bridge_tls *tls = t->o.tls;
	uint8_t seen[KEYPIN_BYTES];
	char text[KEYPIN_TEXT];
	bool by_chain = tls->verify && (tls->pin.count == 0 || tls->ca);

	if (by_chain && X509_verify_cert(handshake) != 1)
		return refuse_chain(t, handshake);
	if (by_chain && is_for_another(t, handshake))
		return 0;
	if (tls->pin.count == 0 || any_listed(tls, handshake))
		return accept_it(t);
	if (keypin_of(seen, X509_STORE_CTX_get0_cert(handshake)) < 0)
		return refuse(t, handshake, "certificate has no key that could be read", "");
	keypin_write(text, seen);
	return refuse(t, handshake, "key is not in tls.pin: ", text);
}

static void on_context(void *parent, void *ptr, CRYPTO_EX_DATA *data, int index, long number, void *ctx)
{
	const struct paho_trust *t = ctx;
	const struct bridge_tls *tls = t->o.tls;

	(void)ptr;
	(void)data;
	(void)index;
	(void)number;
	SSL_CTX_set_min_proto_version(parent, tls->min_version == BRIDGE_TLS_13 ? TLS1_3_VERSION : TLS1_2_VERSION);
	if (tls->verify || tls->pin.count > 0)
		SSL_CTX_set_cert_verify_callback(parent, on_certificate, ctx);
}

int paho_trust_new(struct paho_trust **out, const struct paho_trust_opts *opts)
{
	struct paho_trust *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->o = *opts;
	t->index = SSL_CTX_get_ex_new_index(0, t, on_context, NULL, NULL);
	if (t->index < 0) {
		free(t);
		return -ENOMEM;
	}
	*out = t;
	return 0;
}

void paho_trust_free(struct paho_trust *t)
{
	if (!t)
		return;
	CRYPTO_free_ex_index(CRYPTO_EX_INDEX_SSL_CTX, t->index); /* contexts made from now on are nobody's business */
	free(t);
}
