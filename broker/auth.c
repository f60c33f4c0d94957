/* SPDX-License-Identifier: MIT */
/* A password goes: known already? else a job: wait for the address's delay, then to the worker, then back, and
 * the CONNECT is handled once more with the verdict in the connection. */
#include "broker/auth.h"

#include "base/log.h"
#include "base/worker.h"
#include "broker/core.h"
#include "broker/door.h"
#include "broker/hold.h"
#include "broker/levels.h"
#include "broker/tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum verdict { VERDICT_NONE, VERDICT_GOOD, VERDICT_BAD, VERDICT_LOST };

struct job {
	struct loop_timer delay; /* then the worker's */
	struct worker_job work;
	struct auth *auth;
	struct job *next, **pprev;
	struct conn *waiter; /* one or none: gone meanwhile */
	struct users *users;
	const struct user *user; /* NULL: not in the file */
	uint32_t address;        /* its place in the table */
	bool good;               /* the worker's answer */
	uint8_t proof[CRYPTO_SHA256];
	size_t len;
	uint8_t password[];
};

/* An address with failures; what hashes to the same place takes it over, with its failures. */
struct address {
	uint32_t hash;
	uint16_t failures, jobs;
	int64_t next_ms;
};

struct auth {
	struct broker *broker;
	struct users *users;
	struct job *jobs;
	unsigned job_count;
	struct worker *worker; /* NULL: not started */
	uint8_t key[32];       /* of the proofs */
	uint8_t known[AUTH_KNOWN][CRYPTO_SHA256];
	struct address addresses[AUTH_ADDRESSES];
};

/* --- the worker's thread ------------------------------------------------------------------------------------ */

static void look_at(struct worker_job *work)
{
	struct job *j = (struct job *)(void *)((char *)work - offsetof(struct job, work));

	if (j->user)
		j->good = users_verify(j->user, j->password, j->len);
	else
		users_refuse(j->users, j->password, j->len);
}

/* --- jobs --------------------------------------------------------------------------------------------------- */

static void job_free(struct job *j)
{
	struct auth *a = j->auth;

	loop_disarm(a->broker->loop, &j->delay);
	*j->pprev = j->next;
	if (j->next)
		j->next->pprev = j->pprev;
	a->job_count--;
	a->addresses[j->address].jobs--;
	users_unref(j->users);
	crypto_wipe(j->password, j->len);
	free(j);
}

static void failed(struct auth *a, struct address *from)
{
	int64_t now_ms = broker_now_ms(a->broker), delay_ms = AUTH_DELAY_MS;

	if (from->failures < UINT16_MAX)
		from->failures++;
	if (from->failures < AUTH_FREE)
		return;
	for (unsigned i = AUTH_FREE; i < from->failures && delay_ms < AUTH_DELAY_MAX_MS; i++)
		delay_ms *= 2;
	from->next_ms = now_ms + (delay_ms < AUTH_DELAY_MAX_MS ? delay_ms : AUTH_DELAY_MAX_MS);
}

static void remember(struct auth *a, const uint8_t *proof)
{
	memcpy(a->known[(proof[0] | proof[1] << 8) % AUTH_KNOWN], proof, CRYPTO_SHA256);
}

static bool is_known(const struct auth *a, const uint8_t *proof)
{
	return crypto_equal(a->known[(proof[0] | proof[1] << 8) % AUTH_KNOWN], proof, CRYPTO_SHA256);
}

static void decide(struct auth *a, struct job *j, enum verdict verdict)
{
	if (j->waiter) {
		j->waiter->verdict = verdict & 3u;
		hold_release(a->broker, &j->waiter);
	}
	job_free(j);
}

static void answered(struct worker_job *work)
{
	struct job *j = (struct job *)(void *)((char *)work - offsetof(struct job, work));
	struct auth *a = j->auth;
	struct address *from = &a->addresses[j->address];

	if (j->good) {
		remember(a, j->proof);
		from->failures /= 2;
	} else if (work->ran) {
		failed(a, from);
	}
	decide(a, j, j->good ? VERDICT_GOOD : VERDICT_BAD);
}

static void delay_over(struct loop_timer *t)
{
	struct job *j = (struct job *)(void *)((char *)t - offsetof(struct job, delay));

	if (worker_post(j->auth->worker, &j->work) != 0)
		decide(j->auth, j, VERDICT_LOST);
}

/* NULL: it has none. */
static struct job *job_of(const struct conn *c)
{
	struct job *j = c->held && c->broker->auth ? c->broker->auth->jobs : NULL;

	while (j && j->waiter != c)
		j = j->next;
	return j;
}

bool auth_is_at(const struct conn *c)
{
	return job_of(c);
}

void auth_forget(struct conn *c)
{
	struct job *j = job_of(c);

	if (!j)
		return;
	hold_leave(c); /* its list is the job's */
	if (j->delay.armed)
		job_free(j);
	else
		worker_cancel(&j->work);
}

/* The same password of the same user as of this file, and nobody else's, has this proof. */
static int prove(struct auth *a, uint8_t out[CRYPTO_SHA256], const struct connect *m, const struct user *u)
{
	uint8_t both[2 * CRYPTO_SHA256];
	int r = crypto_hmac_sha256(both, a->key, sizeof(a->key), m->password.at, m->password.len);

	if (r == 0)
		r = crypto_hmac_sha256(both + CRYPTO_SHA256, a->key, sizeof(a->key), u->hash, sizeof(u->hash));
	if (r == 0)
		r = crypto_hmac_sha256(out, both, sizeof(both), u->name, strlen(u->name));
	crypto_wipe(both, sizeof(both));
	return r;
}

static int start_job(struct auth *a, struct users *users, struct conn *c, const struct connect *m, const struct user *u,
	const uint8_t *proof)
{
	uint32_t hash = peer_key(c), place = hash % AUTH_ADDRESSES;
	struct address *from = &a->addresses[place];
	int64_t now_ms = broker_now_ms(a->broker);
	struct job *j;

	if (!a->worker || a->job_count >= AUTH_JOBS || from->jobs >= AUTH_JOBS_EACH)
		return RC_BUSY;
	j = calloc(1, sizeof(*j) + m->password.len);
	if (!j)
		return RC_UNAVAILABLE;
	*j = (struct job){.delay.run = delay_over,
		.work = {.run = look_at, .done = answered},
		.auth = a,
		.users = users_ref(users),
		.user = u,
		.address = place,
		.len = m->password.len,
		.next = a->jobs,
		.pprev = &a->jobs};
	memcpy(j->proof, proof, CRYPTO_SHA256);
	if (m->password.len > 0)
		memcpy(j->password, m->password.at, m->password.len);
	if (a->jobs)
		a->jobs->pprev = &j->next;
	a->jobs = j;
	a->job_count++;
	from->hash = hash;
	from->jobs++;
	hold_conn(c, &j->waiter);
	/* the waiting is ours, not the client's */
	loop_arm(a->broker->loop, &c->timer, (from->next_ms > now_ms ? from->next_ms : now_ms) + AUTH_PATIENCE_MS);
	if (from->next_ms > now_ms)
		loop_arm(a->broker->loop, &j->delay, from->next_ms);
	else
		delay_over(&j->delay);
	return AUTH_LATER;
}

/* --- deciding ----------------------------------------------------------------------------------------------- */

static int check_password(struct auth *a, struct users *users, struct conn *c, const struct connect *m)
{
	const struct user *u = users_find(users, (const char *)m->user.at, m->user.len);
	uint8_t proof[CRYPTO_SHA256] = {0};
	enum verdict verdict = (enum verdict)c->verdict;

	c->verdict = VERDICT_NONE;
	if (verdict == VERDICT_GOOD)
		return 0;
	if (verdict == VERDICT_BAD)
		return RC_BAD_LOGIN;
	if (verdict == VERDICT_LOST)
		return RC_UNAVAILABLE;
	if (u && prove(a, proof, m, u) < 0)
		return RC_UNAVAILABLE;
	if (u && is_known(a, proof))
		return 0;
	return start_job(a, users, c, m, u, proof);
}

/* Of the listener, or else of the broker. */
static struct users *users_of(struct users *broker, const struct door *d)
{
	return d && d->users ? d->users : broker;
}

static int name_user(char user[PEER_USER_MAX], struct span name)
{
	if (name.len >= PEER_USER_MAX)
		return RC_BAD_LOGIN;
	memcpy(user, name.at, name.len);
	user[name.len] = '\0';
	return 0;
}

static bool is_revoked(const struct conn *c)
{
	const struct door *now = door_now(c->door);

	return now && tls_revokes(now->tls, c->transport);
}

int auth_check(struct conn *c, const struct connect *m, char user[PEER_USER_MAX])
{
	struct auth *a = c->broker->auth;
	bool anonymous = !c->door || c->door->allow_anonymous;
	struct users *users = users_of(a->users, door_now(c->door));
	int r;

	user[0] = '\0';
	c->by_password = false;
	if (c->door && c->door->heir && is_revoked(c)) /* its hand-shake began before a reload, on the terms of then */
		return RC_NOT_AUTHORIZED;
	if (peer_user(c, user, PEER_USER_MAX))
		return 0;
	if (!m->has_user || (!users && anonymous))
		return anonymous ? 0 : RC_NOT_AUTHORIZED;
	if (!users)
		return RC_BAD_LOGIN;
	r = check_password(a, users, c, m);
	if (r == 0)
		r = name_user(user, m->user);
	c->by_password = r == 0;
	return r;
}

/* --- life --------------------------------------------------------------------------------------------------- */

/* Who is gone from the file, has another password now or a certificate that was revoked since is not let stay on the old
 * one. */
static void show_out(struct auth *a, struct users *fresh)
{
	for (struct conn *c = a->broker->conns; c; c = c->next) {
		const char *name = c->session && c->by_password ? c->session->user : NULL;
		size_t len = name ? strlen(name) : 0;
		const struct users *then = users_of(a->users, c->door), *now = users_of(fresh, door_now(c->door));

		if (is_revoked(c))
			conn_doom(c, RC_NOT_AUTHORIZED);
		if (name && !users_same(users_find(then, name, len), users_find(now, name, len)))
			conn_doom(c, RC_NOT_AUTHORIZED);
	}
}

static int start(struct auth *a)
{
	int r = crypto_random(a->key, sizeof(a->key));

	return r == 0 ? worker_new(&a->worker, a->broker->loop, "passwords", AUTH_JOBS) : r;
}

void auth_set_users_take(struct auth *a, struct users *users, bool listeners)
{
	int r = (users || listeners) && !a->worker ? start(a) : 0;

	show_out(a, users);
	users_unref(a->users);
	a->users = users;
	if (r < 0)
		log_error("broker: passwords cannot be checked: %s; nobody who has one gets in", strerror(-r));
}

int auth_new(struct auth **out, struct broker *b)
{
	struct auth *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->broker = b;
	*out = a;
	return 0;
}

void auth_free(struct auth *a)
{
	if (!a)
		return;
	worker_free(a->worker); /* which gives back the last jobs: those who waited are gone */
	users_unref(a->users);
	free(a);
}
