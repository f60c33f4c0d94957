/* SPDX-License-Identifier: MIT */
/* handover.h - what root made in the folder of the service belongs to the service.
 *
 * Its folder lies where only root and the service itself come, so who restores a queue does it as root; the files would
 * then be closed to the service, which would not start.
 */
#ifndef GATEWAY_HANDOVER_H
#define GATEWAY_HANDOVER_H

/* Gives all files of root's in dir to the owner of dir. Does nothing for others than root, and where dir is root's own. 0,
 * or -errno: the last that failed. */
int handover(const char *dir);

#endif
