#include <stdlib.h>

#include "base/mem.h"
#include "service/geoip.h"

struct geoip {
	bool asked; /* for a database: nothing is known then */
};

struct geoip *
geoip_new(void)
{
	return mem_alloc(sizeof(struct geoip));
}

void
geoip_free(struct geoip **g)
{
	free(*g);
	*g = NULL;
}

bool
geoip_add(struct geoip *g, const char *path, struct buf *err)
{
	g->asked = true;
	buf_printf(err, "%s: this build has no libmaxminddb", path);
	return false;
}

void
geoip_refresh(struct geoip *g)
{
	(void)g;
}

enum geoip_answer
geoip_country(struct geoip *g, const struct addr *addr, char out[3])
{
	(void)addr;
	out[0] = '\0';
	return g->asked ? GEOIP_UNKNOWN : GEOIP_NONE;
}

enum geoip_answer
geoip_asn(struct geoip *g, const struct addr *addr, uint32_t *asn)
{
	(void)addr;
	*asn = 0;
	return g->asked ? GEOIP_UNKNOWN : GEOIP_NONE;
}
