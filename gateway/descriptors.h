/* SPDX-License-Identifier: MIT */
/* descriptors.h - how many files the process may have open: a client is one, and so is a device on the network. */
#ifndef GATEWAY_DESCRIPTORS_H
#define GATEWAY_DESCRIPTORS_H

void descriptors_raise(void); /* as many as the system lets us have */

#endif
