/* SPDX-License-Identifier: MIT */
/* gateway.h - the whole of it: built from a configuration, started, reloaded, stopped.
 *
 * Owner     main thread, whose loop it runs.
 * Order     up: store, broker, upstreams, lines. Down: lines, local clients, what is still to be sent (for a while),
 *           upstreams, store. A stop that takes longer than stop_timeout ends anyway: nothing acknowledged is lost.
 */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include "base/clock.h"

struct gateway;
struct gateway_opts;

/* Takes opts, loaded from config_path, in any case. Blocks TERM, INT and HUP in this thread, which answers them from
 * its loop; the other threads inherit that. */
int gateway_new(struct gateway **out, struct gateway_opts *opts, const char *config_path, const struct clock *clock);
int gateway_run(struct gateway *g);   /* until TERM or INT; 0, or -errno */
void gateway_free(struct gateway *g); /* NULL and half-built are fine */

#endif
