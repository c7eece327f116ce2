/*
 * fact - everything a policy can ask about, one table.
 *
 * A row says the fact's name, when it is known, what kind of value it is,
 * what has to be collected for it, and what it means; the loader checks
 * policies against the rows, the negotiation with the MTA is computed from
 * them, the manual's table is printed from them.  fact_get() computes a
 * fact's value; checks remember their results, so that asking twice is cheap.
 */
#ifndef POLICY_FACT_H
#define POLICY_FACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/str.h"
#include "mail/session.h"

/* What must be collected for a fact. */
enum need {
	NEED_NOTHING	= 0,
	NEED_PTR	= 1 << 0,
	NEED_SPF	= 1 << 1,
	NEED_HEADERS	= 1 << 2,
	NEED_BODY_SIZE	= 1 << 3,	/* the body's bytes are counted */
	NEED_CONTENT	= 1 << 4,	/* the body is kept and parsed */
	NEED_DKIM	= 1 << 5,
	NEED_DMARC	= 1 << 6,
	NEED_SCORE	= 1 << 7,
	NEED_HELO	= 1 << 8,
	NEED_RCPT_REJ	= 1 << 9,	/* recipients the MTA refused */
	NEED_STORE	= 1 << 10,
	NEED_ARC	= 1 << 11,
	NEED_SIGN	= 1 << 12,	/* the body is hashed to be signed */
	NEED_SPF_HELO	= 1 << 13,
	NEED_LINKS	= 1 << 14	/* the domains that links lead to */
};

enum value_kind {
	VALUE_TEXT,		/* compared without ASCII case */
	VALUE_WORD,		/* one of a few words */
	VALUE_NUMBER,
	VALUE_ADDR,		/* an IP address */
	VALUE_MAILBOX,		/* a mail address: text is local@domain */
	VALUE_LIST,		/* several texts; a condition asks for any */
	VALUE_EVERY		/* several texts; a condition asks for all */
};

#define NEEDS_AUTH	(NEED_SPF | NEED_HEADERS | NEED_DKIM | NEED_DMARC)
#define NEEDS_ARC	(NEED_HEADERS | NEED_ARC)

/* id, name, stage it is known from, kind, takes an argument, needs, help */
#define FACTS(X)							\
	X(CLIENT,	"client",	CONNECT, ADDR,	0, 0,		\
	    "address of the connecting host")				\
	X(CLIENT_NAME,	"client.name",	CONNECT, TEXT,	0, 0,		\
	    "its name as the MTA verified it; absent if it has none")	\
	X(CLIENT_PTR,	"client.ptr",	CONNECT, TEXT,	0, NEED_PTR,	\
	    "its PTR name that points back to it; absent if there is none") \
	X(COUNTRY,	"country",	CONNECT, TEXT,	0, 0,		\
	    "its country, two letters such as DE; absent if it has none") \
	X(ASN,		"asn",		CONNECT, TEXT,	0, 0,		\
	    "its network, such as AS64496; absent if it has none")	\
	X(HELO,		"helo",		HELO,	TEXT,	0, NEED_HELO,	\
	    "its HELO or EHLO name")					\
	X(TLS_VERSION,	"tls.version",	MAIL,	TEXT,	0, 0,		\
	    "TLS protocol of the connection, such as TLSv1.3")		\
	X(SENDER,	"sender",	MAIL,	MAILBOX, 0, 0,		\
	    "envelope sender; absent for <>")				\
	X(SENDER_LOCAL,	"sender.local",	MAIL,	TEXT,	0, 0,		\
	    "its local part")						\
	X(SENDER_DOMAIN, "sender.domain", MAIL,	TEXT,	0, 0,		\
	    "its domain")						\
	X(SENDER_BASE,	"sender.base",	MAIL,	MAILBOX, 0, 0,		\
	    "envelope sender without BATV, SRS, VERP and plus-tag")	\
	X(USER,		"user",		MAIL,	TEXT,	0, 0,		\
	    "SASL login; absent if nobody logged in")			\
	X(AUTH_METHOD,	"auth.method",	MAIL,	TEXT,	0, 0,		\
	    "SASL mechanism")						\
	X(SIZE_DECLARED, "size.declared", MAIL,	NUMBER,	0, 0,		\
	    "SIZE= of MAIL FROM in bytes; 0 if not declared")		\
	X(SPF,		"spf",		MAIL,	WORD,	0, \
	    NEED_SPF | NEED_HELO, \
	    "RFC 7208 result for MAIL FROM, for HELO where it is <>")	\
	X(SPF_EXPLANATION, "spf.explanation", MAIL, TEXT, 0, \
	    NEED_SPF | NEED_HELO, \
	    "what the domain says about a fail")			\
	X(SPF_DOMAIN,	"spf.domain",	MAIL,	TEXT,	0, \
	    NEED_SPF | NEED_HELO, \
	    "the domain SPF was checked for")				\
	X(SPF_HELO,	"spf.helo",	MAIL,	WORD,	0, \
	    NEED_SPF_HELO | NEED_HELO, \
	    "RFC 7208 result for HELO")					\
	X(SPF_RECEIVED,	"spf.received",	MAIL,	TEXT,	0, \
	    NEED_SPF | NEED_HELO, \
	    "the value of a Received-SPF field about `spf'")		\
	X(RCPT,		"rcpt",		RCPT,	MAILBOX, 0, 0,		\
	    "this recipient; any of them at message")			\
	X(RCPT_DOMAIN,	"rcpt.domain",	RCPT,	TEXT,	0, 0,		\
	    "its domain; any of them at message")			\
	X(RECIPIENTS,	"recipients",	RCPT,	NUMBER,	0, 0,		\
	    "how many recipients were accepted so far")			\
	X(HEADER,	"header",	MESSAGE, LIST,	1, NEED_HEADERS, \
	    "header(\"Name\"): every field of that name, decoded")	\
	X(SUBJECT,	"subject",	MESSAGE, TEXT,	0, NEED_HEADERS, \
	    "the Subject, decoded")					\
	X(FROM,		"from",		MESSAGE, MAILBOX, 0, NEED_HEADERS, \
	    "address of the From field")				\
	X(FROM_DOMAIN,	"from.domain",	MESSAGE, TEXT,	0, NEED_HEADERS, \
	    "its domain")						\
	X(FROM_NAME,	"from.name",	MESSAGE, TEXT,	0, NEED_HEADERS, \
	    "its display name, decoded")				\
	X(BODY,		"body",		MESSAGE, LIST,	0, \
	    NEED_HEADERS | NEED_CONTENT, \
	    "text parts, decoded, HTML made to text")			\
	X(SIZE,		"size",		MESSAGE, NUMBER, 0, \
	    NEED_HEADERS | NEED_BODY_SIZE, \
	    "bytes of the whole message")				\
	X(ATTACHMENT_NAME, "attachment.name", MESSAGE, LIST, 0, \
	    NEED_HEADERS | NEED_CONTENT, \
	    "file names of attachments, decoded")			\
	X(ATTACHMENT_TYPE, "attachment.type", MESSAGE, LIST, 0, \
	    NEED_HEADERS | NEED_CONTENT, \
	    "their media types, lower case")				\
	X(ATTACHMENT_MAGIC, "attachment.magic", MESSAGE, LIST, 0, \
	    NEED_HEADERS | NEED_CONTENT, \
	    "what they are by content; absent where that is not known") \
	X(ATTACHMENT_MISMATCH, "attachment.mismatch", MESSAGE, LIST, 0, \
	    NEED_HEADERS | NEED_CONTENT, \
	    "those whose name or media type contradicts their content")	\
	X(ATTACHMENT_MACRO, "attachment.macro", MESSAGE, LIST, 0, \
	    NEED_HEADERS | NEED_CONTENT, \
	    "what runs in documents: vba, xlm, autoopen and its like")	\
	X(ARCHIVE_NAME,	"archive.name",	MESSAGE, LIST,	0, \
	    NEED_HEADERS | NEED_CONTENT, \
	    "names of the files in archives")				\
	X(ARCHIVE_ENCRYPTED, "archive.encrypted", MESSAGE, LIST, 0, \
	    NEED_HEADERS | NEED_CONTENT, \
	    "archives and documents that need a password")		\
	X(URLS,		"urls",		MESSAGE, LIST,	0, \
	    NEED_HEADERS | NEED_CONTENT, \
	    "links in text and HTML parts")				\
	X(URLS_DOMAIN,	"urls.domain",	MESSAGE, LIST,	0, \
	    NEED_HEADERS | NEED_CONTENT | NEED_LINKS, \
	    "registered domains that they and bare names lead to, or " \
	    "addresses")						\
	X(DKIM,		"dkim",		MESSAGE, WORD,	0, \
	    NEED_HEADERS | NEED_DKIM, \
	    "best result of all DKIM signatures")			\
	X(DKIM_DOMAIN,	"dkim.domain",	MESSAGE, LIST,	0, \
	    NEED_HEADERS | NEED_DKIM, \
	    "domains of the signatures that passed")			\
	X(DMARC,	"dmarc",	MESSAGE, WORD,	0, NEEDS_AUTH,	\
	    "pass, none, or fail; reject or quarantine where the " \
	    "domain asks for it") \
	X(DMARC_POLICY,	"dmarc.policy",	MESSAGE, WORD,	0, NEEDS_AUTH,	\
	    "what the domain asks for mail that fails")			\
	X(ARC,		"arc",		MESSAGE, WORD,	0, NEEDS_ARC,	\
	    "RFC 8617 result of the message's ARC chain")		\
	X(ARC_DOMAIN,	"arc.domain",	MESSAGE, EVERY,	0, NEEDS_ARC,	\
	    "domains of all its sealers if it passed, newest first")	\
	X(ARC_SPF,	"arc.spf",	MESSAGE, WORD,	0, NEEDS_ARC,	\
	    "SPF as the first sealer of a chain that passed saw it")	\
	X(ARC_DKIM,	"arc.dkim",	MESSAGE, WORD,	0, NEEDS_ARC,	\
	    "DKIM as it saw it; pass if any signature did")		\
	X(ARC_DMARC,	"arc.dmarc",	MESSAGE, WORD,	0, NEEDS_ARC,	\
	    "DMARC as it saw it; absent where it does not say")		\
	X(SCORE,	"score",	MESSAGE, NUMBER, 0, NEED_SCORE,	\
	    "sum of `score' actions and of the rules that hit")		\
	X(HITS,		"hits",		MESSAGE, LIST,	0, NEED_SCORE,	\
	    "names of the rules that hit")				\
	X(SCORE_REPORT,	"score.report",	MESSAGE, TEXT,	0, NEED_SCORE,	\
	    "the X-Spam-Status value")					\
	X(QUEUE_ID,	"queue_id",	CONNECT, TEXT,	0, 0,		\
	    "the MTA's queue id; absent before it has one")		\
	X(HOSTNAME,	"hostname",	CONNECT, TEXT,	0, 0,		\
	    "the hostname setting")					\
	X(NOW,		"now",		CONNECT, NUMBER, 0, 0,		\
	    "seconds since 1970")					\
	X(LIMIT_NAME,	"limit.name",	CONNECT, TEXT,	0, 0,		\
	    "the limit that was last found over")			\
	X(LIMIT_MAX,	"limit.max",	CONNECT, TEXT,	0, 0,		\
	    "its maximum with the unit")				\
	X(LIMIT_WINDOW,	"limit.window",	CONNECT, TEXT,	0, 0,		\
	    "its window")						\
	X(LIMIT_USED,	"limit.used",	CONNECT, NUMBER, 0, 0,		\
	    "units used in it")						\
	X(LIMIT_RETRY,	"limit.retry",	CONNECT, TEXT,	0, 0,		\
	    "when there is room again, such as 12m")			\
	X(LIMIT_KEY,	"limit.key",	CONNECT, TEXT,	0, 0,		\
	    "whom it is about")						\
	X(DNSBL_NAME,	"dnsbl.name",	CONNECT, TEXT,	0, 0,		\
	    "the list that was last found to list the client or a link") \
	X(DNSBL_ZONE,	"dnsbl.zone",	CONNECT, TEXT,	0, 0,		\
	    "its zone")							\
	X(DNSBL_DOMAIN,	"dnsbl.domain",	CONNECT, TEXT,	0, 0,		\
	    "the domain of a link that it lists; absent for a client")	\
	X(DNSBL_CODE,	"dnsbl.code",	CONNECT, TEXT,	0, 0,		\
	    "the address it answered")

enum fact_id {
#define X(id, name, stage, kind, arg, needs, help) FACT_##id,
	FACTS(X)
#undef X
	FACT_COUNT
};

struct fact_def {
	enum fact_id	 id;
	const char	*name;
	enum stage	 stage;
	enum value_kind	 kind;
	bool		 takes_arg;
	unsigned int	 needs;
	const char	*help;
	const char *const *words;	/* NULL-ended; NULL: any text */
};

struct fact_ref {
	const struct fact_def *def;
	struct str	 arg;
};

struct value {
	enum value_kind	 kind;
	/* Could not be computed.  EVERY with items: it is absent or them. */
	bool		 unknown;
	bool		 absent;	/* null sender, no login */
	struct str	 text;		/* TEXT, WORD, MAILBOX */
	double		 number;
	struct addr	 addr;
	const struct str *items;	/* LIST; several of others */
	size_t		 nitems;
	const char	*why;		/* unknown: what failed */
};

const struct fact_def	*fact_find(struct str name);
const struct fact_def	*fact_by_id(enum fact_id);
/* All names, for suggestions; *n of them. */
const char *const	*fact_names(size_t *n);
/* Computes; may wait for DNS.  *out is always set (unknown on a fault). */
void	fact_get(struct session *, const struct fact_ref *, struct value *out);
/* As {fact} shows it: absent is "", unknown "unknown". */
struct str fact_text(struct arena *, const struct value *);
/* The same in short, without an arena: points into the value or into out. */
#define FACT_BRIEF	256
struct str fact_brief(const struct value *, char out[FACT_BRIEF]);
/* "12m", "45s", "3h": rounded up. */
struct str fact_duration(struct arena *, int64_t ms);
/* The client's country; STR_NONE: unknown, or it has none. */
struct str fact_country(const struct session *);
/* struct checks' `link_domains'. */
struct link_domain;
bool fact_link_domains(struct txn *, const struct link_domain **first);

#endif
