/* SPDX-License-Identifier: MIT */
/* settings.h - what the configuration says of a broker: as it begins, and other while it runs.
 *
 * Owner     settings_take(): the broker's thread. The others: whoever makes the broker, or reloads it.
 * Outcomes  users, rights and certificates are read by settings_new(): what cannot be read changes nothing.
 */
#ifndef BROKER_SETTINGS_H
#define BROKER_SETTINGS_H

#include "broker/broker.h"

/* Before the thread runs: the numbers, which the parts of the broker are made by; then users, rights and listeners. */
void settings_set(struct broker *b, const struct broker_opts *opts);
int settings_open(struct broker *b, const struct broker_opts *opts);

/* While it runs; connections stay. */
struct settings;
int settings_new(struct settings **out, const struct broker_opts *opts);
void settings_free(struct settings *s); /* NULL is fine */
void settings_take(struct broker *b, struct settings *take);

#endif
