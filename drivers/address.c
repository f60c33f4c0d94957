/* SPDX-License-Identifier: MIT */
/* Names, sizes and addresses: how the options write them, read without the configuration. */
#include "drivers/opts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a type is called and how many registers it takes; 0: as many as its length says. */
static const struct {
	const char *name;
	unsigned words;
} types[TYPE_COUNT] = {
	[TYPE_BY_SOURCE] = {"-", 1},
	[TYPE_BOOL] = {"bool", 1},
	[TYPE_INT16] = {"int16", 1},
	[TYPE_UINT16] = {"uint16", 1},
	[TYPE_INT32] = {"int32", 2},
	[TYPE_UINT32] = {"uint32", 2},
	[TYPE_INT64] = {"int64", 4},
	[TYPE_UINT64] = {"uint64", 4},
	[TYPE_FLOAT16] = {"float16", 1},
	[TYPE_FLOAT32] = {"float32", 2},
	[TYPE_FLOAT64] = {"float64", 4},
	[TYPE_BCD16] = {"bcd16", 1},
	[TYPE_BCD32] = {"bcd32", 2},
	[TYPE_BCD64] = {"bcd64", 4},
	[TYPE_TIME32] = {"time32", 2},
	[TYPE_TIME64] = {"time64", 4},
	[TYPE_TIME_BCD] = {"time-bcd", 3},
	[TYPE_TIME6] = {"time6", 6},
	[TYPE_TIME6YY] = {"time6-yy", 6},
	[TYPE_STRING] = {"string", 0},
};

const char *source_name(enum point_source s)
{
	static const char *const source_names[] = {[SOURCE_NONE] = "ref",
		[SOURCE_COIL] = "coil",
		[SOURCE_DISCRETE] = "discrete",
		[SOURCE_INPUT] = "input",
		[SOURCE_HOLDING] = "holding",
		[SOURCE_FIELD] = "field",
		[SOURCE_MATCH] = "match",
		[SOURCE_SIGNAL] = "signal"};

	return source_names[s];
}

const char *type_name(enum point_type t)
{
	return types[t].name;
}

unsigned point_words(const struct point_opts *p)
{
	if (p->type == TYPE_STRING)
		return (unsigned)(p->chars == 1 ? p->length : (p->length + 1) / 2);
	return types[p->type].words;
}

bool point_is_number(const struct point_opts *p)
{
	return p->type != TYPE_STRING && (p->type < TYPE_TIME32 || p->type > TYPE_TIME6YY) && p->values.count == 0;
}

bool ref_parse(const char *text, enum point_source *source, uint16_t *address)
{
	static const enum point_source of_digit[] = {
		SOURCE_COIL, SOURCE_DISCRETE, SOURCE_NONE, SOURCE_INPUT, SOURCE_HOLDING};
	size_t len = strlen(text);
	unsigned long n;

	if ((len != 5 && len != 6) || strspn(text, "0123456789") != len || text[0] > '4' || text[0] == '2')
		return false;
	n = strtoul(text + 1, NULL, 10);
	if (n == 0 || n > 65536)
		return false;
	*source = of_digit[text[0] - '0'];
	*address = (uint16_t)(n - 1);
	return true;
}

bool address_parse(const char *text, char *host, size_t host_cap, uint16_t *port)
{
	bool v6 = text[0] == '[';
	const char *begin = text + v6;
	const char *end = v6 ? strchr(begin, ']') : strrchr(begin, ':');
	const char *colon;
	char *rest;
	unsigned long n;

	if (!end && v6)
		return false;
	if (!end)
		end = begin + strlen(begin);
	if (end == begin || (size_t)(end - begin) >= host_cap || (!v6 && memchr(begin, ':', (size_t)(end - begin))))
		return false;
	memcpy(host, begin, (size_t)(end - begin));
	host[end - begin] = '\0';
	colon = end + v6;
	if (*colon == '\0')
		return true;
	if (*colon != ':' || colon[1] < '0' || colon[1] > '9')
		return false;
	n = strtoul(colon + 1, &rest, 10);
	if (*rest != '\0' || n == 0 || n > 65535)
		return false;
	*port = (uint16_t)n;
	return true;
}

bool range_parse(const char *text, enum point_source *source, uint16_t *first, uint16_t *last)
{
	static const enum point_source tables[] = {SOURCE_HOLDING, SOURCE_INPUT, SOURCE_COIL, SOURCE_DISCRETE};
	unsigned from, to;
	int used = 0;

	for (size_t i = 0; i < KEY_COUNT(tables); i++) {
		size_t len = strlen(source_name(tables[i]));

		if (strncmp(text, source_name(tables[i]), len) != 0 || text[len] != ' ')
			continue;
		text += len + 1;
		if (sscanf(text, "%5u%n", &from, &used) != 1)
			return false;
		to = from;
		if (text[used] == '-') {
			text += used + 1;
			if (sscanf(text, "%5u%n", &to, &used) != 1)
				return false;
		}
		if (text[used] != '\0' || from > to || to > 65535)
			return false;
		*source = tables[i];
		*first = (uint16_t)from;
		*last = (uint16_t)to;
		return true;
	}
	return false;
}

bool line_is_bus(const struct line_opts *l)
{
	return l->driver == DRIVER_MODBUS_RTU || l->driver == DRIVER_MODBUS_ASCII;
}

bool line_is_modbus(const struct line_opts *l)
{
	return line_is_bus(l) || l->driver == DRIVER_MODBUS_TCP || l->driver == DRIVER_RTU_OVER_TCP;
}
