/* SPDX-License-Identifier: MIT */
#include "broker/tls_terms.h"

#include "base/log.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <string.h>

/* --- the files ---------------------------------------------------------------------------------------------- */

/* The first error of the pile is the cause where it is the system's (no such file, permission denied): the last then says
 * no more than that. */
static int wrong(const char *file, const char *what)
{
	unsigned long first = ERR_peek_error(), last = ERR_peek_last_error();
	int cause = ERR_SYSTEM_ERROR(first) ? ERR_GET_REASON(first) : EINVAL;
	const char *why = ERR_SYSTEM_ERROR(first) || last == 0 ? strerror(cause) : ERR_reason_error_string(last);

	log_error("broker: tls: %s: %s: %s%s", file, what, why ? why : strerror(cause),
		cause == EACCES ? "; it is to be readable by who runs weir" : "");
	ERR_clear_error();
	return -cause;
}

/* OpenSSL would ask the terminal for the password of a key, and the broker would stand still until somebody types one. */
static int no_password(char *out, int size, int writing, void *unused)
{
	(void)out;
	(void)size;
	(void)writing;
	(void)unused;
	return -1;
}

static int load_own(SSL_CTX *ctx, const struct broker_tls *o)
{
	const char *key = o->key ? o->key : o->cert;

	SSL_CTX_set_default_passwd_cb(ctx, no_password);
	if (SSL_CTX_use_certificate_chain_file(ctx, o->cert) != 1)
		return wrong(o->cert, "cannot read the certificate");
	if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
		return wrong(key, "cannot read the key");
	return SSL_CTX_check_private_key(ctx) == 1 ? 0 : wrong(key, "is not the key of the certificate");
}

static int load_revoked(SSL_CTX *ctx, const char *path)
{
	X509_LOOKUP *lookup = X509_STORE_add_lookup(SSL_CTX_get_cert_store(ctx), X509_LOOKUP_file());

	if (!lookup || X509_load_crl_file(lookup, path, X509_FILETYPE_PEM) < 1)
		return wrong(path, "cannot read the revoked certificates");
	if (X509_STORE_set_flags(SSL_CTX_get_cert_store(ctx), X509_V_FLAG_CRL_CHECK) != 1)
		return wrong(path, "cannot use the revoked certificates");
	return 0;
}

static int load_trusted(SSL_CTX *ctx, const struct broker_tls *o)
{
	int mode = SSL_VERIFY_PEER | (o->require_certificate ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);
	STACK_OF(X509_NAME) * names;

	if (!o->ca)
		return 0;
	if (SSL_CTX_load_verify_file(ctx, o->ca) != 1)
		return wrong(o->ca, "cannot read the certificates of authorities");
	names = SSL_load_client_CA_file(o->ca);
	if (!names)
		return wrong(o->ca, "cannot read the names of authorities");
	SSL_CTX_set_client_CA_list(ctx, names);
	SSL_CTX_set_verify(ctx, mode, NULL);
	return o->crl ? load_revoked(ctx, o->crl) : 0;
}

static int set_terms(SSL_CTX *ctx, const struct broker_tls *o)
{
	uint8_t id[16];

	SSL_CTX_set_min_proto_version(ctx, o->min_version == BROKER_TLS_13 ? TLS1_3_VERSION : TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_COMPRESSION |
					 SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(
		ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets: the client keeps it */
	SSL_CTX_set_num_tickets(ctx, 1);
	if (RAND_bytes(id, sizeof(id)) != 1 || SSL_CTX_set_session_id_context(ctx, id, sizeof(id)) != 1)
		return wrong(o->cert, "cannot set up sessions");
	return 0;
}

int tls_terms_load(SSL_CTX *ctx, const struct broker_tls *o)
{
	int r;

	errno = 0; /* what is wrong with a file may have no words of OpenSSL's */
	r = set_terms(ctx, o);
	if (r == 0)
		r = load_own(ctx, o);
	return r == 0 ? load_trusted(ctx, o) : r;
}

/* --- who was let in before, and is not any more --------------------------------------------------------------- */

static bool lists(const X509_OBJECT *object, const X509 *cert)
{
	X509_CRL *crl = X509_OBJECT_get0_X509_CRL(object);
	X509_REVOKED *entry;

	return crl && X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_issuer_name(cert)) == 0 &&
	       X509_CRL_get0_by_cert(crl, &entry, (X509 *)(uintptr_t)cert) == 1;
}

bool tls_terms_revoke(const SSL_CTX *ctx, const X509 *cert)
{
	const STACK_OF(X509_OBJECT) *known = X509_STORE_get0_objects(SSL_CTX_get_cert_store(ctx));

	for (int i = 0; known && i < sk_X509_OBJECT_num(known); i++)
		if (lists(sk_X509_OBJECT_value(known, i), cert))
			return true;
	return false;
}

/* --- who is it ---------------------------------------------------------------------------------------------- */

static bool take_name(const ASN1_STRING *s, char *out, size_t cap)
{
	unsigned char *text = NULL;
	int len = s ? ASN1_STRING_to_UTF8(&text, s) : -1;
	bool fits = len > 0 && (size_t)len < cap && !memchr(text, '\0', (size_t)len);

	if (fits) {
		memcpy(out, text, (size_t)len);
		out[len] = '\0';
	}
	OPENSSL_free(text);
	return fits;
}

static bool common_name(const X509 *cert, char *out, size_t cap)
{
	const X509_NAME *name = X509_get_subject_name(cert);
	int at = name ? X509_NAME_get_index_by_NID(name, NID_commonName, -1) : -1;

	return at >= 0 && take_name(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)), out, cap);
}

/* The first name of a host, an address for mail, or a URI. */
static bool alternative_name(const X509 *cert, char *out, size_t cap)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	bool found = false;

	for (int i = 0; !found && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);

		if (n->type == GEN_DNS || n->type == GEN_EMAIL || n->type == GEN_URI)
			found = take_name(n->d.ia5, out, cap);
	}
	GENERAL_NAMES_free(names);
	return found;
}

bool tls_terms_name(int user, const X509 *cert, char *out, size_t cap)
{
	switch (user) {
	case BROKER_TLS_USER_NONE: return false;
	case BROKER_TLS_USER_CN: return common_name(cert, out, cap);
	default: return alternative_name(cert, out, cap);
	}
}
