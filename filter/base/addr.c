#include "base/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

static size_t
addr_len(const struct addr *a)
{
	return a->family == ADDR_V4 ? 4 : a->family == ADDR_V6 ? 16 : 0;
}

static struct addr
addr_of_v4(const void *bytes)
{
	struct addr a = { .family = ADDR_V4 };

	memcpy(a.b, bytes, 4);
	return a;
}

static struct addr
addr_of_v6(const void *bytes)
{
	struct addr a = { .family = ADDR_V6 };

	if (memcmp(bytes, mapped, sizeof(mapped)) == 0)
		return addr_of_v4((const char *)bytes + sizeof(mapped));
	memcpy(a.b, bytes, 16);
	return a;
}

/* *was_v6: written as IPv6, though it may have become IPv4. */
static bool
addr_read(struct str s, struct addr *out, bool *was_v6)
{
	char text[ADDR_TEXT_MAX];
	uint8_t bytes[16];
	bool tagged = str_istarts(s, STR("IPv6:"));

	if (tagged)
		s = str_sub(s, 5, s.n);
	if (s.n >= sizeof(text) || str_chr(s, '\0') >= 0)
		return false;
	if (s.n > 0)
		memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	*was_v6 = inet_pton(AF_INET6, text, bytes) == 1;
	if (*was_v6)
		*out = addr_of_v6(bytes);
	else if (!tagged && inet_pton(AF_INET, text, bytes) == 1)
		*out = addr_of_v4(bytes);
	else
		return false;
	return true;
}

bool
addr_parse(struct str s, struct addr *out)
{
	bool was_v6;

	return addr_read(s, out, &was_v6);
}

/* The prefix length as it counts for the address that was read. */
static const char *
net_bits(struct str s, const struct addr *a, bool was_v6, unsigned int *out)
{
	bool is_mapped = was_v6 && a->family == ADDR_V4;
	uint64_t bits;

	if (s.n > 3 || !str_u64(s, &bits))
		return "the prefix length is not a number";
	if (bits > (was_v6 ? 128 : 32))
		return was_v6 ? "the prefix length is more than 128" :
				"the prefix length is more than 32";
	if (is_mapped && bits < 96)
		return "the prefix of an IPv4-mapped address is less than 96";
	*out = (unsigned int)bits - (is_mapped ? 96 : 0);
	return NULL;
}

bool
addr_net_parse(struct str s, struct addr_net *out, const char **why)
{
	struct addr_net net = { .bits = 0 };
	struct str length, text = str_cut(s, '/', &length);
	struct addr masked;
	bool was_v6;

	if (!addr_read(text, &net.addr, &was_v6)) {
		*why = "not an IP address";
		return false;
	}
	net.bits = (unsigned int)addr_len(&net.addr) * 8;
	if (length.p != NULL) {
		*why = net_bits(length, &net.addr, was_v6, &net.bits);
		if (*why != NULL)
			return false;
	}
	masked = net.addr;
	addr_mask(&masked, net.bits);
	if (!addr_eq(&masked, &net.addr)) {
		*why = "bits are set behind the prefix";
		return false;
	}
	*out = net;
	return true;
}

bool
addr_of_sockaddr(const struct sockaddr *sa, struct addr *out)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	if (sa != NULL && sa->sa_family == AF_INET) {
		memcpy(&in, sa, sizeof(in));
		*out = addr_of_v4(&in.sin_addr);
	} else if (sa != NULL && sa->sa_family == AF_INET6) {
		memcpy(&in6, sa, sizeof(in6));
		*out = addr_of_v6(&in6.sin6_addr);
	} else
		return false;
	return true;
}

void
addr_format(const struct addr *a, char out[ADDR_TEXT_MAX])
{
	int family = a->family == ADDR_V4 ? AF_INET : AF_INET6;

	out[0] = '\0';
	if (a->family != ADDR_NONE)
		inet_ntop(family, a->b, out, ADDR_TEXT_MAX);
}

int
addr_cmp(const struct addr *a, const struct addr *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->b, b->b, addr_len(a));
}

bool
addr_eq(const struct addr *a, const struct addr *b)
{
	return addr_cmp(a, b) == 0;
}

bool
addr_in_net(const struct addr *a, const struct addr_net *net)
{
	size_t whole = net->bits / 8;
	unsigned int rest = net->bits % 8;

	if (a->family != net->addr.family || a->family == ADDR_NONE)
		return false;
	if (memcmp(a->b, net->addr.b, whole) != 0)
		return false;
	return rest == 0 ||
	    ((a->b[whole] ^ net->addr.b[whole]) >> (8 - rest)) == 0;
}

void
addr_mask(struct addr *a, unsigned int bits)
{
	for (size_t i = 0; i < addr_len(a); i++) {
		if (bits >= 8) {
			bits -= 8;
			continue;
		}
		a->b[i] &= (uint8_t)(0xff00u >> bits);
		bits = 0;
	}
}

bool
addr_is_loopback(const struct addr *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	if (a->family == ADDR_V4)
		return a->b[0] == 127;
	return a->family == ADDR_V6 && memcmp(a->b, one, 16) == 0;
}

bool
addr_is_private(const struct addr *a)
{
	static const char *const nets[] = { "10.0.0.0/8", "127.0.0.0/8",
		"169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
		"100.64.0.0/10", "::1", "fe80::/10", "fc00::/7" };
	struct addr_net net;
	const char *why;
	size_t i;

	for (i = 0; i < sizeof(nets) / sizeof(nets[0]); i++)
		if (addr_net_parse(str_of(nets[i]), &net, &why) &&
		    addr_in_net(a, &net))
			return true;
	return false;
}

void
addr_reverse(const struct addr *a, char out[80])
{
	struct buf b = BUF_INIT(79);

	for (size_t i = addr_len(a); i-- > 0;) {
		if (a->family == ADDR_V4)
			buf_printf(&b, "%u", a->b[i]);
		else
			buf_printf(&b, "%x.%x", a->b[i] & 15, a->b[i] >> 4);
		if (i > 0)
			buf_addc(&b, '.');
	}
	memcpy(out, buf_str(&b).p, b.n);
	out[b.n] = '\0';
	buf_free(&b);
}
