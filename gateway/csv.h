/* SPDX-License-Identifier: MIT */
/* csv.h - rows of cells out of text as spreadsheets write it. Pure.
 *
 * Cells are parted by commas, semicolons or tabs, whichever stands most in the first row; one in quotes may hold the
 * separator, line ends, and quotes doubled. A byte order mark is passed over.
 */
#ifndef GATEWAY_CSV_H
#define GATEWAY_CSV_H

#include <stdbool.h>
#include <stddef.h>

enum { CSV_CELLS = 64 };

struct csv {
	char *at; /* NUL-terminated; is written to */
	char separator;
	int line; /* of the row that was read last, counted from 1 */
	int next_line;
};

void csv_init(struct csv *c, char *text);
/* The next row: its cells, without the blanks around them, valid as long as the text. Their number; 0: the end. A row of
 * nothing is passed over. More than CSV_CELLS: the rest is dropped. */
size_t csv_row(struct csv *c, char *cells[CSV_CELLS]);
char *csv_trim(char *cell); /* without the blanks around it; its end is cut off */

#endif
