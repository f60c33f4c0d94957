/* SPDX-License-Identifier: MIT */
/* sys.h - `$SYS/broker/...`: counters as retained messages, under the names that users of mosquitto know. */
#ifndef BROKER_SYS_H
#define BROKER_SYS_H

struct broker;

int sys_start(struct broker *b);  /* every opts.sys_interval_ms from now on */
void sys_rearm(struct broker *b); /* the interval has changed */
void sys_free(struct broker *b);

#endif
