/* Rdata of every type, and names, as a stranger's server may send them. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "service/dns_answer.h"

static const enum dns_type types[] = { DNS_A, DNS_NS, DNS_CNAME, DNS_PTR,
	DNS_MX, DNS_TXT, DNS_AAAA };

static void
check_records(const struct dns_answer *a, size_t size)
{
	assert(a->count <= DNS_MAX_RECORDS);
	assert((a->status == DNS_OK) == (a->count > 0));
	assert(size <= DNS_MAX_BYTES + sizeof(*a) +
		DNS_MAX_RECORDS * sizeof(struct dns_record));
	for (size_t i = 0; i < a->count; i++)
		assert(a->records[i].data.p[a->records[i].data.n] == '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char name[DNS_NAME_MAX + 1], again[DNS_NAME_MAX + 1];
	struct dns_build b;
	struct dns_answer *a;
	size_t size;

	if (dns_name_normal((struct str){ (const char *)p, n }, name)) {
		assert(dns_name_normal(str_of(name), again));
		assert(strcmp(name, again) == 0);
	}
	if (n == 0)
		return 0;
	dns_build_begin(&b);
	for (unsigned int i = 0; i < 1 + p[0] / 64 * 100U; i++)
		dns_build_rdata(&b, types[p[0] % 7], p + 1, n - 1);
	a = dns_build_end(&b, DNS_OK, false, &size);
	check_records(a, size);
	free(a);
	return 0;
}
