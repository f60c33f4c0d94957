/* SPDX-License-Identifier: MIT */
/* notify.h - telling systemd how we are (sd_notify(3)), without its library.
 *
 * Owner     main thread. Does nothing where NOTIFY_SOCKET is not set.
 */
#ifndef GATEWAY_NOTIFY_H
#define GATEWAY_NOTIFY_H

#include <stdint.h>

/* "READY=1", "STATUS=...", "STOPPING=1", "RELOADING=1\nMONOTONIC_USEC=...", "WATCHDOG=1". One that does not get through is
 * logged: systemd will think what it thinks. */
void notify_send(const char *state);
void notify_status(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int64_t notify_watchdog_ms(void); /* how often to send WATCHDOG=1 (half of what systemd waits); 0: never */

#endif
