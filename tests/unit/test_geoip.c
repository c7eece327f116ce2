#include <sys/stat.h>

#include <fcntl.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "service/geoip.h"

#define NODES 200

/* A writer of small databases: the MaxMind DB file format, version 2.0. */
struct writer {
	uint32_t nodes[NODES][2]; /* 0: nothing; DATA | offset; else a node */
	uint32_t nnodes;
	struct buf data;
};

#define DATA 0x80000000u

static void
put_text(struct buf *b, const char *s)
{
	buf_addc(b, (char)(0x40 | strlen(s)));
	buf_adds(b, s);
}

static void
put_number(struct buf *b, int type, uint32_t n)
{
	if (type > 7) {
		buf_addc(b, 4);
		buf_addc(b, (char)(type - 7));
	} else {
		buf_addc(b, (char)(type << 5 | (type == 5 ? 2 : 4)));
	}
	for (int shift = type == 5 ? 8 : 24; shift >= 0; shift -= 8)
		buf_addc(b, (char)(n >> shift & 0xff));
}

static void
put_map(struct buf *b, int n)
{
	buf_addc(b, (char)(7 << 5 | n));
}

static void
put_net(struct writer *w, const char *net, const char *country, uint32_t asn)
{
	uint32_t at = 0, offset = (uint32_t)w->data.n;
	struct addr_net n;
	const char *why;

	assert_true(addr_net_parse(str_of(net), &n, &why));
	put_map(&w->data, (country != NULL) + (asn != 0));
	if (country != NULL) {
		put_text(&w->data, "country");
		put_map(&w->data, 1);
		put_text(&w->data, "iso_code");
		put_text(&w->data, country);
	}
	if (asn != 0) {
		put_text(&w->data, "autonomous_system_number");
		put_number(&w->data, 6, asn);
	}
	for (unsigned int i = 0; i < n.bits; i++) {
		int bit = n.addr.b[i / 8] >> (7 - i % 8) & 1;

		if (i == n.bits - 1) {
			w->nodes[at][bit] = DATA | offset;
			break;
		}
		if (w->nodes[at][bit] == 0)
			w->nodes[at][bit] = ++w->nnodes;
		assert_true(w->nnodes < NODES);
		at = w->nodes[at][bit];
	}
}

static void
put_record(struct buf *b, uint32_t record, uint32_t nnodes)
{
	uint32_t n = record;

	if (record == 0)
		n = nnodes;
	else if (record & DATA)
		n = nnodes + 16 + (record & ~DATA);
	for (int shift = 16; shift >= 0; shift -= 8)
		buf_addc(b, (char)(n >> shift & 0xff));
}

static void
write_file(struct writer *w, const char *path)
{
	struct buf out = BUF_INIT(100000);
	uint32_t nnodes = w->nnodes + 1;
	FILE *f;

	for (uint32_t i = 0; i < nnodes; i++)
		for (int bit = 0; bit < 2; bit++)
			put_record(&out, w->nodes[i][bit], nnodes);
	for (int i = 0; i < 16; i++)
		buf_addc(&out, '\0');
	buf_addstr(&out, buf_str(&w->data));
	buf_adds(&out, "\xab\xcd\xefMaxMind.com");
	put_map(&out, 9);
	put_text(&out, "node_count");
	put_number(&out, 6, nnodes);
	put_text(&out, "record_size");
	put_number(&out, 5, 24);
	put_text(&out, "ip_version");
	put_number(&out, 5, 4);
	put_text(&out, "database_type");
	put_text(&out, "Test");
	put_text(&out, "languages");
	buf_add(&out, "\0\4", 2);
	put_text(&out, "binary_format_major_version");
	put_number(&out, 5, 2);
	put_text(&out, "binary_format_minor_version");
	put_number(&out, 5, 0);
	put_text(&out, "build_epoch");
	put_number(&out, 9, 1700000000);
	put_text(&out, "description");
	put_map(&out, 0);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(out.p, 1, out.n, f), out.n);
	fclose(f);
	buf_free(&out);
	buf_free(&w->data);
}

static char countries[] = "/tmp/test_geoip.XXXXXX";
static char networks[] = "/tmp/test_geoip.XXXXXX";

static void
write_countries(const char *first)
{
	struct writer w = { .data = BUF_INIT(10000) };

	put_net(&w, "192.0.2.0/24", first, 0);
	put_net(&w, "198.51.100.0/25", "fr", 0);
	put_net(&w, "203.0.113.0/24", "longer", 0);
	write_file(&w, countries);
}

static int
setup(void **state)
{
	struct writer w = { .data = BUF_INIT(10000) };
	struct geoip *g = geoip_new();
	struct buf err = BUF_INIT(1000);

	(void)state;
	log_open(LOG_TO_NOWHERE, LOG_LEVEL_ERROR);
	close(mkstemp(countries));
	close(mkstemp(networks));
	write_countries("DE");
	put_net(&w, "192.0.2.0/25", NULL, 64496);
	write_file(&w, networks);
	geoip_add(g, networks, &err);
	*state =
	    str_find(buf_str(&err), STR("no libmaxminddb")) >= 0 ? NULL : g;
	if (*state == NULL)
		geoip_free(&g);
	buf_free(&err);
	return 0;
}

static int
teardown(void **state)
{
	struct geoip *g = *state;

	geoip_free(&g);
	unlink(countries);
	unlink(networks);
	return 0;
}

static struct addr
addr(const char *text)
{
	struct addr a = { .family = ADDR_NONE };

	assert_true(addr_parse(str_of(text), &a));
	return a;
}

static void
country_is(struct geoip *g, const char *client, const char *want)
{
	struct addr a = addr(client);
	char code[3];

	assert_int_equal(geoip_country(g, &a, code),
	    want[0] ? GEOIP_FOUND : GEOIP_NONE);
	assert_string_equal(code, want);
}

static void
test_lookups(void **state)
{
	struct addr a = addr("192.0.2.1"), local = { .family = ADDR_NONE };
	struct buf err = BUF_INIT(1000);
	struct geoip *g = *state;
	char code[3];
	uint32_t asn;

	if (g == NULL)
		skip();
	country_is(g, "192.0.2.1", ""); /* only networks are open yet */
	assert_true(geoip_add(g, countries, &err));
	country_is(g, "192.0.2.1", "DE");
	country_is(g, "192.0.2.255", "DE");
	country_is(g, "192.0.3.0", "");
	country_is(g, "198.51.100.127", "FR");
	country_is(g, "198.51.100.128", "");
	country_is(g, "203.0.113.1", "");
	country_is(g, "2001:db8::1", "");
	assert_int_equal(geoip_country(g, &local, code), GEOIP_NONE);
	assert_int_equal(geoip_asn(g, &a, &asn), GEOIP_FOUND);
	assert_int_equal(asn, 64496);
	a = addr("192.0.2.128");
	assert_int_equal(geoip_asn(g, &a, &asn), GEOIP_NONE);
	buf_free(&err);
}

/* A file that was replaced is seen; one that is gone stays open. */
static void
test_replaced(void **state)
{
	struct timespec old[2] = { { 1600000000, 0 }, { 1600000000, 0 } };
	struct geoip *g = *state;

	if (g == NULL)
		skip();
	geoip_refresh(g);
	country_is(g, "192.0.2.1", "DE");
	unlink(countries);
	geoip_refresh(g);
	country_is(g, "192.0.2.1", "DE");
	write_countries("IT");
	assert_int_equal(utimensat(AT_FDCWD, countries, old, 0), 0);
	geoip_refresh(g);
	country_is(g, "192.0.2.1", "IT");
}

static void
test_missing(void **state)
{
	struct buf err = BUF_INIT(1000);
	struct geoip *g = *state;
	struct addr a = addr("192.0.3.1"), known = addr("192.0.2.1");
	char code[3];

	if (g == NULL)
		skip();
	assert_false(geoip_add(g, "/nowhere/country.mmdb", &err));
	assert_true(err.n > 0);
	/* it might have known */
	assert_int_equal(geoip_country(g, &a, code), GEOIP_UNKNOWN);
	assert_int_equal(geoip_country(g, &known, code), GEOIP_FOUND);
	buf_free(&err);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lookups),
		cmocka_unit_test(test_replaced),
		cmocka_unit_test(test_missing),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
