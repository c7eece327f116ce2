/*
 * policy - an immutable snapshot of the policy file, and its judgement.
 *
 * policy_load() reads everything (file, includes, tables, score rules) and
 * gives a snapshot or a diag full of mistakes.  Snapshots are refcounted:
 * a session takes one at connect and again at MAIL; reload makes a new one.
 * Nothing in a snapshot changes but counters and the contents of file tables.
 * policy_load() is one thread's; everything else any thread's.
 */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "check/check.h"
#include "mail/session.h"
#include "policy/ast.h"
#include "policy/diag.h"

/* id, words in the file, default, what it is */
#define SETTINGS(X)							\
	X(HOSTNAME,	"hostname",	"",				\
	    "our name: authserv-id of Authentication-Results")		\
	X(LISTEN,	"listen",					\
	    "unix:/run/postern/postern.sock mode 0660",			\
	    "where the MTA connects: unix:PATH [mode OCTAL] [group NAME] " \
	    "[user NAME], inet:PORT@ADDR, inet6:PORT@ADDR, systemd")	\
	X(CONTROL,	"control",					\
	    "unix:/run/postern/control.sock mode 0600",			\
	    "where postern status and its like connect; `off' for none") \
	X(STATE_MAX,	"state max",	"256M",				\
	    "bytes that counters and notes may take")			\
	X(STATE,	"state",	"sqlite:/var/lib/postern/state.db", \
	    "where counters live: sqlite:PATH, redis://HOST, "		\
	    "rediss://HOST, redis+unix:///PATH or memory:")		\
	X(HISTORY,	"history",	"7d 100M",			\
	    "how long, and in how many bytes, `postern why' "		\
	    "remembers: TIME SIZE [PATH], or off")			\
	X(RESOLVER,	"resolver",	"system",			\
	    "system, recursive, ADDR@PORT or file:PATH")		\
	X(GEOIP,	"geoip",	"",				\
	    "databases of countries and networks, for country and asn")	\
	X(RULES,	"rules",	"",				\
	    "SpamAssassin-syntax rule files, a glob")			\
	X(USER,		"user",		"",				\
	    "whom to become when started as root: USER or USER:GROUP")	\
	X(LOG,		"log",		"stderr info",			\
	    "stderr or syslog, and error, warn, info or debug")		\
	X(DEADLINE_STAGE, "deadline stage", "8s",			\
	    "how long one stage waits for DNS in all")			\
	X(DEADLINE_MESSAGE, "deadline message", "20s",			\
	    "how long one message waits in all")			\
	X(BODY_MAX,	"body max",	"16M",				\
	    "bytes of a body that are kept for content rules")		\
	X(MTA,		"mta",		"smtp://127.0.0.1:25",		\
	    "where `notify mail` brings its mails: smtp://HOST:PORT or " \
	    "sendmail")							\
	X(ON_FAULT,	"on fault",	"accept",			\
	    "accept or tempfail when the state store is down")

enum setting {
#define X(id, words, def, help) SETTING_##id,
	SETTINGS(X)
#undef X
	SETTING_COUNT
};

struct listen {			/* a parsed socket address */
	enum { LISTEN_OFF, LISTEN_UNIX, LISTEN_INET, LISTEN_SYSTEMD } kind;
	struct str	 path;		/* unix */
	int		 mode;		/* -1: the umask's */
	struct str	 user, group;
	struct addr	 addr;		/* inet */
	unsigned int	 port;
};

struct settings {
	struct str	 text[SETTING_COUNT];	/* as written or the default */
	struct place	 place[SETTING_COUNT];	/* source NULL: the default */
	struct listen	 listen, control;
	int64_t		 deadline_stage_ms, deadline_message_ms;
	uint64_t	 body_max, state_max;
	bool		 fault_tempfail;
	/* history; 0 bytes: off.  No path: beside the state. */
	int64_t		 history_age_ms;
	uint64_t	 history_bytes;
	struct str	 history_path;
};

struct policy {
	atomic_uint	 refs;
	struct arena	*arena;		/* everything below lives in it */
	struct settings	 settings;
	struct source	*sources;
	struct rule	*rules[STAGE_COUNT];
	struct rule	*again[STAGE_COUNT];	/* of earlier stages */
	size_t		 nrules;
	struct table	**tables;
	size_t		 ntables;
	struct dnsbl	**dnsbls;
	size_t		 ndnsbls;
	struct limit	**limits;
	size_t		 nlimits;
	struct table	*dmarc_override;	/* NULL: none; among tables */
	struct place	 override_place;
	struct regex	**regexes;	/* to free */
	size_t		 nregexes;
	/* limits that count rejected recipients, and lists asked anywhere */
	const struct limit **rejected_limits;
	size_t		 nrejected_limits;
	unsigned int	 needs;		/* enum need, of all rules */
	unsigned int	 stage_needs[STAGE_COUNT];
	bool		 stage_decides[STAGE_COUNT]; /* the MTA waits for it */
	bool		 shadow;	/* all of it */
	struct geoip	*geoip;		/* service/geoip.h; NULL: no setting */
	struct dkim_signers *signers;	/* check/; keys to sign with, or NULL */
	bool		 sign_simple;	/* one wants simple bodies */
	struct ruleset	*ruleset;	/* score/; NULL without rule files */
};

/* NULL when there are mistakes; warnings may be in the diag either way. */
struct policy	*policy_load(const char *path, bool shadow, struct diag *);
/* Only what the settings say; mistakes stay in the diag.  For commands that
 * must find the daemon while a policy is being edited.  NULL: unreadable. */
struct policy	*policy_load_settings(const char *path, struct diag *);
/* The same from a text; relative paths in it are relative to `name'. */
struct policy	*policy_load_text(struct str name, struct str text,
		    bool shadow, struct diag *);
struct policy	*policy_ref(struct policy *);
void		 policy_release(struct policy **);
/* Is there such a rule in the files of `rules'?  Then it is asked about each
 * message.  True where they could not be read, which has been told. */
bool		 policy_want_rule(const struct policy *, struct str name);
/* Rereads file tables that have changed; the daemon's ticker calls it. */
void		 policy_refresh(struct policy *);

struct decision {
	enum action	 action;	/* ACTION_NONE: go on */
	struct reply	 reply;		/* for REJECT and TEMPFAIL */
	const struct rule *rule;	/* NULL where none decided */
	bool		 fault;		/* `on fault tempfail' decided */
};

/*
 * Judges a stage by session->policy: adds to the verdict, the trace, the
 * limits' charges; at STAGE_RCPT it is about txn->rcpt.  May wait for DNS up
 * to session->deadline.
 */
void		 policy_eval(struct session *, enum stage, struct decision *);
/* One recipient was rejected, by a rule or by the MTA itself. */
void		 policy_count_rejected(struct session *);
/* Starts the lookups that rules of this and later stages will want. */
void		 policy_prefetch(struct session *, enum stage);

#endif
