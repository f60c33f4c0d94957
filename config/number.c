/* SPDX-License-Identifier: MIT */
#include "config/number.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static bool digits(const char *s, const char *set)
{
	return *s && s[strspn(s, set)] == '\0';
}

static bool is_decimal(const char *s)
{
	s += *s == '-' || *s == '+';
	return digits(s, "0123456789") && (s[0] != '0' || s[1] == '\0');
}

static bool is_hex(const char *s)
{
	return s[0] == '0' && s[1] == 'x' && digits(s + 2, "0123456789abcdefABCDEF");
}

static bool is_real(const char *s)
{
	size_t n;

	s += *s == '-' || *s == '+';
	if (s[0] == '0' && isdigit((unsigned char)s[1]))
		return false;
	n = strspn(s, "0123456789");
	s += n;
	if (*s == '.') {
		size_t m = strspn(s + 1, "0123456789");

		n = n && m;
		s += m + 1;
	}
	if (n && (*s == 'e' || *s == 'E')) {
		s += 1 + (s[1] == '-' || s[1] == '+');
		n = strspn(s, "0123456789");
		s += n;
	}
	return n && *s == '\0';
}

static bool sexagesimal(const char *s)
{
	return strchr(s, ':') && digits(s, "0123456789:") && isdigit((unsigned char)s[0]);
}

/* One comma among digits: 0,5 */
static bool decimal_comma(const char *s)
{
	const char *comma = strchr(s, ',');

	return comma && comma != s && digits(comma + 1, "0123456789") && digits(s, "-+0123456789,");
}

/* Why s is no number, where it looks like one to some eye. */
static bool odd_number(const char *s, const struct key *key, struct scalar_fault *f)
{
	const char *bare = s + (*s == '-' || *s == '+');
	struct node_quote q;

	node_quote(&q, s);
	if (bare[0] == '0' && digits(bare, "01234567"))
		return scalar_refuse(f, "%s is %lld (octal) to some YAML readers and %lld to others; write %lld",
			q.text, strtoll(s, NULL, 8), strtoll(s, NULL, 10), strtoll(s, NULL, 10));
	if (bare[0] == '0' && digits(bare, "0123456789"))
		return scalar_refuse(f, "%s begins with a zero; write %lld", q.text, strtoll(s, NULL, 10));
	if (bare[0] == '0' && bare[1] && strchr("oObBX", bare[1]) && digits(bare + 2, "0123456789abcdefABCDEF"))
		return scalar_refuse(
			f, "%s is not a number that is read here; write it in decimal, or as 0x1f", q.text);
	if (strchr(s, '_') && digits(bare, "0123456789_."))
		return scalar_refuse(
			f, "%s has a `_` in it, which only some YAML readers skip; write the digits alone", q.text);
	if (sexagesimal(s))
		return scalar_refuse(f, "%s is a number to base 60 to some YAML readers; write a plain number", q.text);
	if (decimal_comma(s) && key->type == KEY_REAL)
		return scalar_refuse(
			f, "%s has a comma; write %.*s.%s", q.text, (int)strcspn(s, ","), s, strchr(s, ',') + 1);
	if (isdigit((unsigned char)*bare) && strchr(s, '#'))
		return scalar_refuse(f, "%s has a comment glued to it; put a space before the `#`", q.text);
	if (isdigit((unsigned char)*bare) && strchr(",;", s[strlen(s) - 1]))
		return scalar_refuse(f, "%s has a `%c` at its end; remove it", q.text, s[strlen(s) - 1]);
	if (isdigit((unsigned char)*bare) && isalpha((unsigned char)s[strlen(s) - 1]) &&
		strspn(bare, "0123456789. ") >= 1 && !strpbrk(bare, "xX:/"))
		return scalar_refuse(f, "%s has a unit; write the number alone", q.text);
	return true;
}

bool number_check(const struct key *key, const struct key_node *n, const char *use, struct scalar_fault *f)
{
	const char *s = n->text;
	bool number = is_decimal(s) || is_hex(s) || (key->type == KEY_REAL && is_real(s));
	struct node_quote q;

	if (number && n->quoted)
		return scalar_refuse(f, "\"%.40s\" is text, since it is in quotes; write %.40s without them", s, s);
	if (number)
		return true;
	if (!odd_number(s, key, f))
		return false;
	if (key->type == KEY_INT)
		return scalar_refuse(f, "%s is not a whole number%s", node_quote(&q, s), use);
	return scalar_refuse(f, "%s is not a number%s", node_quote(&q, s), use);
}

int number_base(const char *text)
{
	return is_hex(text) ? 16 : 10;
}
