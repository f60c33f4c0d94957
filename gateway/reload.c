/* SPDX-License-Identifier: MIT */
/* SIGHUP: the file is read again; what reads the same is not touched. A file with mistakes changes nothing. */
#include "base/log.h"
#include "gateway/health.h"
#include "gateway/internal.h"
#include "gateway/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUTES_RETRY_MS = 10 };

/* systemd wants to know when the reload began, on its own clock. */
static void tell_reloading(const struct clock *clock)
{
	char state[64];

	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_mono_us(clock));
	notify_send(state);
}

/* Upstreams that begin now have to find the store that is open, and lines the site that all others are of. */
static void keep_what_needs_a_restart(struct generation *fresh, struct generation *running, FILE *out)
{
	static const char sentence[] =
		"changed settings of site, control, store and what the broker keeps take effect at the next start";
	char *was = gateway_fixed_text(running->opts), *is = gateway_fixed_text(fresh->opts);

	if (!was || !is || strcmp(was, is) != 0) {
		log_warn("reload=partial; %s", sentence);
		if (out != stderr)
			fprintf(out, "%s\n", sentence);
		generation_keep_fixed(fresh, running);
	}
	free(was);
	free(is);
}

/* Who has a cursor in the store. */
static int set_upstreams(struct gateway *g, const struct gateway_opts *o)
{
	const struct bridge_opts *list = o->upstreams.items;
	const char **names = calloc(o->upstreams.count + 1, sizeof(*names));
	int r = names ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < o->upstreams.count; i++)
		names[i] = list[i].head.name;
	if (r == 0)
		r = store_set_upstreams(g->store, names, o->upstreams.count);
	free(names);
	return r;
}

/* Until the broker has heard of it: what it has cached would go past the new rules. */
void gateway_tell_routes(struct loop_timer *t)
{
	struct gateway *g = (struct gateway *)(void *)((char *)t - offsetof(struct gateway, routes_timer));

	if (broker_routes_changed(g->broker) == BROKER_BUSY)
		loop_arm(g->loop, t, loop_now_ms(g->loop) + ROUTES_RETRY_MS);
}

static bool same_upstreams(const struct gateway_opts *a, const struct gateway_opts *b)
{
	const struct bridge_opts *x = a->upstreams.items, *y = b->upstreams.items;

	if (a->upstreams.count != b->upstreams.count)
		return false;
	for (size_t i = 0; i < a->upstreams.count; i++)
		if (strcmp(x[i].head.name, y[i].head.name) != 0)
			return false;
	return true;
}

/* The store and the route first: either may refuse, and then nothing has changed. The store is not asked where it has
 * the same upstreams: a full disk would refuse that, too. */
static int enter(struct gateway *g, struct generation *gen)
{
	int r = same_upstreams(g->gen->opts, gen->opts) ? 0 : set_upstreams(g, gen->opts);

	if (r < 0)
		return r;
	r = route_set_rules(g->route, gen->opts->upstreams.items, gen->opts->upstreams.count);
	if (r < 0) {
		if (set_upstreams(g, g->gen->opts) < 0)
			log_error(
				"reload: the store has the upstreams of the new file; another reload puts that right");
		return r;
	}
	generation_unref(g->gen); /* lines and upstreams that go on with it hold it themselves */
	g->gen = gen;
	return 0;
}

/* Rules before sources: what a new line sends must find the rules that select it. One part that fails does not keep the
 * others from being as the file says. */
static int apply(struct gateway *g)
{
	const struct gateway_opts *o = g->gen->opts;
	int r, first;

	log_set_level((enum log_level)o->log);
	gateway_tell_routes(&g->routes_timer);
	first = upstreams_apply(g->upstreams, g->gen);
	r = field_apply(g->field, g->gen);
	first = first < 0 ? first : r;
	setter_reloaded(g->setter, o->command_expiry_ms);
	r = broker_reload(g->broker, &o->broker);
	first = first < 0 ? first : r == BROKER_BUSY ? -EBUSY : r;
	log_info("reload=done lines=%zu upstreams=%zu result=\"%s\"", field_lines(g->field),
		upstreams_count(g->upstreams), first < 0 ? strerror(-first) : "all is as the file says");
	return first;
}

static void refused(struct gateway *g, const char *why)
{
	log_error(
		"reload=refused file=%s reason=\"%s\"; the running configuration stays as it is", g->config_path, why);
	outbox_post_take(&g->outbox, health_event(gateway_site(g), "reload-refused", why, g->clock));
}

int gateway_reload(struct gateway *g, FILE *out)
{
	struct gateway_opts *opts = NULL;
	struct generation *gen = NULL;
	int r;

	if (g->phase != RUNNING)
		return -ESHUTDOWN;
	tell_reloading(g->clock);
	r = gateway_opts_load(&opts, g->config_path, out);
	if (r != 0) {
		refused(g, r > 0 ? "it has mistakes; weir check lists them" : strerror(-r));
	} else if (generation_new(&gen, opts) < 0) {
		gateway_opts_free(opts);
		r = -ENOMEM;
		refused(g, strerror(ENOMEM));
	} else {
		keep_what_needs_a_restart(gen, g->gen, out);
		r = enter(g, gen);
		if (r == 0) {
			r = apply(g);
		} else {
			generation_unref(gen);
			refused(g, strerror(-r));
		}
	}
	notify_send("READY=1");
	return r;
}
