#include "service/history_zip.h"

#include <stdlib.h>
#include <zstd.h>

#include "base/mem.h"

#define LEVEL (-1) /* half the time of 1, and 4 % more bytes */

/* What policy/record.c writes, and rules that much mail hits; what is likely
 * to stand together does.  Rows are packed with it: it is never changed. */
static const char words[] =
    "I\trule\t\nI\treason\t\nI\treply\t550 5.7.1 451 4.7.1 quarantine "
    "discard tempfail reject\nI\tstage\tconnect\nI\tstage\thelo\n"
    "I\tstage\tmail\nI\tstage\trcpt\nI\tuser\tunknown fail softfail "
    "neutral permerror temperror policy BAYES_99 BAYES_00 FREEMAIL_FROM "
    "URIBL_BLOCKED RCVD_IN_ RAZOR2_ HEADER_FROM_DIFFERENT_DOMAINS "
    "MISSING_MID MIME_HTML_ONLY MAILING_LIST_MULTI HTML_IMAGE_RATIO_02 T_ "
    "I\tclient\t192.168.\nI\tclient_name\tmail.example.com\n"
    "I\thelo\tmail.example.org\nI\tfrom\tnoreply@gmail.com\nI\tid\t1\n"
    "I\tverdict\taccept\nI\tstage\tmessage\nI\tsize\t1\n"
    "I\tspf\tnone\nI\tdkim\tnone\nI\tdmarc\tnone\nI\tspf\tpass\n"
    "I\tdkim\tpass\nI\tdmarc\tpass\nI\tarc\tnone\nI\tscore\t0.0\n"
    "I\tms\t1\nH\tHTML_MESSAGE\t0.001\nH\tSPF_HELO_NONE\t0.001\n"
    "H\tSPF_HELO_PASS\t-0.001\nH\tSPF_PASS\t-0.001\n"
    "H\tDMARC_MISSING\t0.001\nH\tDMARC_PASS\t-0.001\n"
    "H\tDKIM_SIGNED\t0.100\nH\tDKIM_VALID\t-0.100\n"
    "H\tDKIM_VALID_AU\t-0.100\nH\tDKIM_VALID_EF\t-0.100\n"
    "T\t@example.com\taccept\t\nR\tpostern.conf:10\trcpt\tno\t0\ttag \""
    "if spf = fail\t\nF\tspf\tpass\t0\t1\nF\tscore.report\tYes, score=10.0 "
    "required=5.0 tests=\nR\tpostern.conf:1\tmessage\tno\t0\treject "
    "if score > \t\nF\tdmarc\tpass\t0\t1\nR\tpostern.conf:1\tmessage\tyes\t0\t"
    "header \"X-Spam-Status\" \"{score.report}\"\tNo, score=0.0 required=5.0 "
    "tests=DKIM_SIGNED,DKIM_VALID,\\n\\tDKIM_VALID_AU,SPF_HELO_NONE,SPF_PASS "
    "autolearn=no\nF\tdkim\tpass\t0\t1\n";

#define WORDS (sizeof(words) - 1)

struct history_zip {
	ZSTD_CCtx *packer;
	ZSTD_DCtx *unpacker;
	char *packed;
	size_t room;
};

/* NULL where there is no memory; nothing is packed then. */
static ZSTD_CCtx *
packer_new(void)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();

	if (c != NULL &&
	    !ZSTD_isError(
		ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, LEVEL)) &&
	    !ZSTD_isError(ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1)) &&
	    !ZSTD_isError(ZSTD_CCtx_loadDictionary(c, words, WORDS)))
		return c;
	ZSTD_freeCCtx(c);
	return NULL;
}

static ZSTD_DCtx *
unpacker_new(void)
{
	ZSTD_DCtx *d = ZSTD_createDCtx();

	if (d != NULL &&
	    !ZSTD_isError(ZSTD_DCtx_loadDictionary(d, words, WORDS)))
		return d;
	ZSTD_freeDCtx(d);
	return NULL;
}

struct history_zip *
history_zip_new(void)
{
	struct history_zip *z = mem_alloc(sizeof(*z));

	z->packer = packer_new();
	return z;
}

void
history_zip_free(struct history_zip **z)
{
	if (*z == NULL)
		return;
	ZSTD_freeCCtx((*z)->packer);
	ZSTD_freeDCtx((*z)->unpacker);
	free((*z)->packed);
	free(*z);
	*z = NULL;
}

struct str
history_zip_pack(struct history_zip *z, struct str s)
{
	size_t room = ZSTD_compressBound(s.n), n;

	if (room > z->room) {
		z->packed = mem_resize(z->packed, room);
		z->room = room;
	}
	if (z->packer == NULL)
		return STR_NONE;
	n = ZSTD_compress2(z->packer, z->packed, z->room, s.p, s.n);
	return ZSTD_isError(n) ? STR_NONE : (struct str){ z->packed, n };
}

bool
history_zip_unpack(struct history_zip *z, struct str packed, char *out,
    size_t n)
{
	/* Few who write ever read. */
	if (z->unpacker == NULL)
		z->unpacker = unpacker_new();
	return z->unpacker != NULL &&
	    ZSTD_decompressDCtx(z->unpacker, out, n, packed.p, packed.n) == n;
}
