/* SPDX-License-Identifier: MIT */
#include "drivers/ops.h"

const struct driver_ops *const registry[DRIVER_COUNT] = {
	[DRIVER_MODBUS_RTU] = &modbus_ops,
	[DRIVER_MODBUS_ASCII] = &modbus_ops,
	[DRIVER_MODBUS_TCP] = &modbus_ops,
	[DRIVER_RTU_OVER_TCP] = &modbus_ops,
	[DRIVER_SERIAL] = &serial_ops,
	[DRIVER_SIM] = &sim_ops,
};
