/*
 * dns_answer - names and answers of the DNS, as bytes and as text.
 *
 * dns_name_normal() says whether a name can be asked at all.  A dns_build
 * collects records, from wire form or from text, up to DNS_MAX_RECORDS and
 * DNS_MAX_BYTES; dns_build_end() makes one block of them that free()
 * releases.  Names out of records are escaped as RFC 1035 section 5.1 has
 * it, so that a dot inside a label can't pass for the end of one.
 * Values only, any thread.  What is malformed becomes DNS_SERVFAIL.
 */
#ifndef SERVICE_DNS_ANSWER_H
#define SERVICE_DNS_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "service/resolver.h"

#define DNS_NAME_MAX	253		/* as text, without the last dot */
#define DNS_LABEL_MAX	63
#define DNS_MAX_RECORDS	200		/* of one answer; more are left out */
#define DNS_MAX_BYTES	(128 * 1024)

struct dns_build {
	struct buf	 data;
	size_t		 count;
	bool		 malformed;	/* at least one record was */
	size_t		 room;		/* in records */
	struct dns_built {
		uint16_t pref;
		size_t	 from, n;	/* in data */
	} *records;
};

/* Lower case, without the last dot; false for what DNS can't carry. */
bool	dns_name_normal(struct str, char out[DNS_NAME_MAX + 1]);
const char *dns_type_word(enum dns_type);
bool	dns_type_parse(struct str, enum dns_type *);

void	dns_build_begin(struct dns_build *);
void	dns_build_free(struct dns_build *);
void	dns_build_add(struct dns_build *, uint16_t pref, struct str data);
/* Wire form, names not compressed. */
void	dns_build_rdata(struct dns_build *, enum dns_type, const uint8_t *,
	    size_t);
void	dns_build_copy(struct dns_build *, const struct dns_build *from);
/* Ends and frees the build.  status is DNS_OK, or there are no records.
 * *size is the block's. */
struct dns_answer *dns_build_end(struct dns_build *, enum dns_status,
	    bool secure, size_t *size);

#endif
