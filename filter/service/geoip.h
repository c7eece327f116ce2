/*
 * geoip - which country and network an address belongs to.
 *
 * Databases in MaxMind's format (GeoLite2-Country.mmdb, GeoLite2-ASN.mmdb and
 * their like), asked in the order they were added; the first that knows
 * answers.  A file that is replaced is opened anew by geoip_refresh().
 *
 * Any thread may look up while another refreshes; both are quick.  A file that
 * can't be opened is kept in mind and tried again when it changes; until then
 * what the others don't know is unknown.  A build without libmaxminddb has
 * geoip_none.c: nothing can be opened.
 */
#ifndef SERVICE_GEOIP_H
#define SERVICE_GEOIP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/str.h"

struct geoip;

enum geoip_answer { GEOIP_FOUND, GEOIP_NONE, GEOIP_UNKNOWN };

struct geoip	*geoip_new(void);
void		 geoip_free(struct geoip **);
/* false with a text: it can't be used now. */
bool		 geoip_add(struct geoip *, const char *path, struct buf *err);
void		 geoip_refresh(struct geoip *);
/* Two letters of ISO 3166, upper case; "" where it is not found. */
enum geoip_answer geoip_country(struct geoip *, const struct addr *,
		    char out[3]);
enum geoip_answer geoip_asn(struct geoip *, const struct addr *,
		    uint32_t *asn);

#endif
