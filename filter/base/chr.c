#include "base/chr.h"

const unsigned char chr_kinds[256] = {
	['0' ... '9'] = CHR_DIGIT,
	['A' ... 'Z'] = CHR_ALPHA,
	['a' ... 'z'] = CHR_ALPHA,
	['_'] = CHR_UNDERSCORE,
	[' '] = CHR_SPACE,
	['\t'] = CHR_SPACE,
	['\n'] = CHR_SPACE,
	['\r'] = CHR_SPACE,
	['\v'] = CHR_PAGE,
	['\f'] = CHR_PAGE,
};

int
chr_utf8_len(const unsigned char *p, size_t n)
{
	unsigned char low = 0x80, high = 0xbf;
	int want;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return -1;
	want = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	for (int i = 1; i < want; i++) {
		if ((size_t)i >= n || p[i] < low || p[i] > high)
			return -i;
		low = 0x80;
		high = 0xbf;
	}
	return want;
}
