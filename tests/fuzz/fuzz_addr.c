/* Addresses: what was read is written so that it is read as the same. */
#include <stdlib.h>

#include "base/addr.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
must(bool held)
{
	if (!held)
		abort();
}

static void
check_addr(const struct addr *a)
{
	char text[ADDR_TEXT_MAX], reversed[80];
	struct addr again;

	addr_format(a, text);
	must(addr_parse(str_of(text), &again));
	must(addr_eq(a, &again));
	addr_reverse(a, reversed);
	must(str_of(reversed).n >= 7);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str s = { (const char *)data, n };
	const char *why = NULL;
	struct addr_net net;
	struct addr a;

	if (addr_parse(s, &a)) {
		check_addr(&a);
		must(addr_net_parse(s, &net, &why));
		must(addr_in_net(&a, &net));
	}
	if (addr_net_parse(s, &net, &why)) {
		check_addr(&net.addr);
		must(addr_in_net(&net.addr, &net));
	} else
		must(why != NULL);
	return 0;
}
