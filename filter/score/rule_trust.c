#include "score/rule_trust.h"

#include <stdio.h>
#include <string.h>

#include "score/rule_text.h"

#define NET_TEXT_MAX 64

/* "10/8", "192.168." and "[2001:db8::]/32" written out. */
static bool
write_out(struct str s, char out[NET_TEXT_MAX])
{
	struct str mask, host = str_cut(s, '/', &mask);
	unsigned int dots = 0;

	if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = str_sub(host, 1, host.n - 2);
	if (host.n == 0 || host.n + mask.n + 16 > NET_TEXT_MAX)
		return false;
	if (str_chr(host, ':') >= 0) {
		snprintf(out, NET_TEXT_MAX, "%.*s%s%.*s", STR_FMT(host),
		    mask.p != NULL ? "/" : "", STR_FMT(mask));
		return true;
	}
	if (host.p[host.n - 1] == '.')
		host.n--;
	for (size_t i = 0; i < host.n; i++)
		dots += host.p[i] == '.';
	if (dots > 3)
		return false;
	if (mask.p != NULL)
		snprintf(out, NET_TEXT_MAX, "%.*s%s/%.*s", STR_FMT(host),
		    &".0.0.0"[2 * dots], STR_FMT(mask));
	else
		snprintf(out, NET_TEXT_MAX, "%.*s%s/%u", STR_FMT(host),
		    &".0.0.0"[2 * dots], 8 * (dots + 1));
	return true;
}

static bool
add_net(struct relay_nets *nets, struct arena *a, struct str word)
{
	struct relay_net net = { .except = false };
	char text[NET_TEXT_MAX];
	struct relay_net *grown;
	const char *why;

	if (word.n > 0 && word.p[0] == '!') {
		net.except = true;
		word = str_sub(word, 1, word.n);
	}
	if (!write_out(word, text) ||
	    !addr_net_parse(str_of(text), &net.net, &why))
		return false;
	/* Room is made at each power of two. */
	if ((nets->n & (nets->n - 1)) == 0) {
		grown = arena_alloc(a, (2 * nets->n + 1) * sizeof(*grown));
		if (grown == NULL)
			return false;
		if (nets->n > 0)
			memcpy(grown, nets->nets, nets->n * sizeof(*grown));
		nets->nets = grown;
	}
	nets->nets[nets->n++] = net;
	return true;
}

static struct relay_nets *
nets_of(struct rule_trust *h, struct str word)
{
	if (str_starts(word, STR("clear_")))
		word = str_sub(word, 6, word.n);
	if (str_eq(word, STR("trusted_networks")))
		return &h->nets.trusted;
	if (str_eq(word, STR("internal_networks")))
		return &h->nets.internal;
	return &h->nets.msa;
}

bool
rule_trust_read(struct rule_trust *h, struct arena *a, struct str word,
    struct str rest, struct str *bad)
{
	bool ok = true;

	*bad = STR_NONE;
	if (str_starts(word, STR("clear_"))) {
		nets_of(h, word)->n = 0;
		return true;
	}
	while (rest.n > 0) {
		struct str net = rule_word(&rest);

		if (!add_net(nets_of(h, word), a, net)) {
			*bad = net;
			ok = false;
		}
	}
	return ok;
}
