/*
 * eval_pattern - the fixed regexes of the functions that rules call.
 *
 * One table of texts, compiled together when the first is asked, kept as
 * long as the process lives.  A regex of the table that does not compile is
 * a bug.  Any thread.
 */
#ifndef SCORE_EVAL_PATTERN_H
#define SCORE_EVAL_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

#define EVAL_IP								\
	"(?i:\\b(?:\\d{1,3}\\.){3}\\d{1,3}\\b|"				\
	"(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4})"

#define EVAL_EMAIL							\
	"(?=.{0,64}@)(?<![a-z0-9!#$%&'*+/=?^_`{|}~-])"			\
	"([a-z0-9!#$%&'*+/=?^_`{|}~-]+"					\
	"(?:\\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*"				\
	"@(?:[a-z0-9](?:[a-z0-9-]{0,59}[a-z0-9])?\\.){1,4}"		\
	"(?:xn--[a-z0-9-]{1,59}|[a-z]{2,63}))"

/* id, regex, flags */
#define EVAL_PATTERNS(X)						\
	X(AOL_RELAY, " rly-[a-z][a-z]\\d\\d\\.", "i")			\
	X(AOL_REAL, "/AOL-\\d+\\.\\d+\\.\\d+\\)|"			\
	    "ESMTP id (?:RELAY|MAILRELAY|MAILIN)", "")			\
	X(EZMLM, "^contact \\S+@\\S+; run by ezmlm$", "m")		\
	X(EZMLM_TO, "^mailing list \\S+@\\S+", "m")			\
	X(QMAIL_RECEIVED, "qmail \\d+ invoked (?:from network|"		\
	    "by .{3,20})\\); \\d+ ... \\d+", "")			\
	X(MSN_GROUPS, "from groups\\.msn\\.com \\(\\S+\\.msn\\.com ", "") \
	X(MSN_LIST, "<(\\S+)@groups\\.msn\\.com>", "i")			\
	X(MSN_PICKUP, "from mail pickup service by "			\
	    "((?:p\\d\\d\\.)groups\\.msn\\.com)\\b", "")		\
	X(HOTMAIL_PICKUP, "from mail pickup service by hotmail\\.com "	\
	    "with Microsoft SMTPSVC;", "")				\
	X(HOTMAIL_ORIGIN, "hotmail\\.com|msonline-outlook", "")	\
	X(HOTMAIL_BY_IP,						\
	    "from (?:\\S*\\.)?hotmail.com \\(\\S+\\.hotmail"		\
	    "(?:\\.msn)?\\.com[ \\)]|"					\
	    "from \\S*\\.hotmail.com \\(\\[" EVAL_IP "\\][ \\):]|"	\
	    "from \\S+ by \\S+\\.hotmail(?:\\.msn)?\\.com with HTTP;|"	\
	    "from \\[66\\.218.\\S+\\] by \\S+\\.yahoo\\.com", "")	\
	X(HOTMAIL_BY_ORIGIN,						\
	    "from \\S*\\.outbound\\.protection\\.outlook\\.com "	\
	    "\\(\\S+\\.outbound\\.protection\\.outlook\\.com[ \\)]|"	\
	    "from \\S*\\.(?:eur|nam)prd\\d+\\.prod\\.outlook\\.com "	\
	    "\\(" EVAL_IP "\\)", "")					\
	X(HOTMAIL_HELO, "(?:from |HELO |helo=)\\S*hotmail\\.com\\b", "") \
	X(HOTMAIL_FROM, "\\bhotmail\\.com$", "i")			\
	X(EUDORAMAIL_FROM, "\\beudoramail\\.com$", "i")			\
	X(EUDORAMAIL_BY, "by \\S*whowhere.com;", "")			\
	X(YAHOO_FROM, "\\byahoo\\.com$", "i")				\
	X(YAHOO_REPLY, "@reply\\.yahoo\\.com$", "i")			\
	X(YAHOO_BULK, "\\bmailer\\d+\\.bulk\\.scd\\.yahoo\\.com\\b", "") \
	X(YAHOO_TRUSTED, " rdns=\\S+\\.yahoo\\.com ", "")		\
	X(YAHOO_UNTRUSTED, "^[^\\]]+ rdns=\\S+\\.yahoo\\.com ", "")	\
	X(YAHOO_RECEIVED,						\
	    "by web\\S+\\.mail\\S*\\.yahoo\\.com via HTTP|"		\
	    "by sonic\\S+\\.consmr\\.mail\\S*\\.yahoo\\.com with HTTP|"	\
	    "by smtp\\S+\\.yahoo\\.com with SMTP|"			\
	    "from \\[" EVAL_IP "\\] by \\S+\\.(?:groups|scd|dcn)"	\
	    "\\.yahoo\\.com with NNFMP|"				\
	    "by \\w+\\.\\w+\\.yahoo\\.com "				\
	    "\\(\\d+\\.\\d+\\.\\d+/\\d+\\.\\d+\\.\\d+\\)"		\
	    "(?: with ESMTP)? id \\w+", "")				\
	X(JUNO_FROM, "\\bjuno\\.com$", "i")				\
	X(JUNO_NEW, "from.*\\b(?:juno|untd)\\.com.*[\\[\\(]" EVAL_IP	\
	    "[\\]\\)].*by| cookie\\.(?:juno|untd)\\.com ", "")		\
	X(GMAIL_FROM, "\\bgmail\\.com$", "i")				\
	X(GMAIL_X, "by 10\\.\\S+ with SMTP id \\S+|"			\
	    "by 2002:a\\d\\d:\\w+:\\S+ with SMTP id \\S+", "")		\
	X(GMAIL_RECEIVED,						\
	    "by smtp\\.googlemail\\.com with ESMTPSA id \\S+", "")	\
	X(IP, EVAL_IP, "")						\
	X(RECEIVED_DATE, "(\\s.?\\d+ \\S\\S\\S \\d+ \\d+:\\d+:\\d+ \\S+)", \
	    "")								\
	X(RECEIVED_LOCAL, "\\bfrom (?:localhost\\s|(?:\\S+ ){1,2}\\S*"	\
	    "\\b127\\.0\\.0\\.1\\b)|qmail \\d+ invoked by uid \\d+", "") \
	X(FETCHMAIL, "\\bby localhost with \\w+ \\(fetchmail-[\\d.]+", "") \
	X(DATE_DMY, " (\\d+) (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov"\
	    "|Dec) (\\d{4}) ", "i")					\
	X(DATE_MDY, " (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)" \
	    " +(\\d+) (?=\\d+:\\d+:\\d+ (\\d{4}) )", "i")		\
	X(DATE_SHORT, " (\\d+) (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct"\
	    "|Nov|Dec) (\\d{2,3}) ", "i")				\
	X(DATE_TIME, " (\\d?\\d):(\\d\\d)(?::(\\d\\d))? ", "")		\
	X(DATE_ZONE, " ([-+])(\\d\\d)(\\d\\d) ", "")			\
	X(DATE_ZONE_NAME, "\\b([A-Z]{2,4}(?:-DST)?)\\b", "")		\
	X(CAPS_CHARSET, "^[-_a-z0-9]*(?:koi|jp|jis|euc|gb|big5|isoir|"	\
	    "cp1251|windows-1251|georgianps|pt154|tis)[-_a-z0-9]*$", "i") \
	X(CAPS_ENCODED, "=\\?[-_a-z0-9]*(?:koi|jp|jis|euc|gb|big5|isoir|" \
	    "cp1251|windows-1251|georgianps|pt154|tis)[-_a-z0-9]*\\?", "i") \
	X(REPLY_WORDS, "^(?:(?:Re|Fwd|Fw|Aw|Antwort|WG|SV|VB|VS|VL):\\s*)+",\
	    "i")							\
	X(OUTLOOK_ID, "^<[0-9a-f]{4}([0-9a-f]{8})\\$[0-9a-f]{8}"	\
	    "\\$[0-9a-f]{8}@", "")					\
	X(LEAVE_LIST, "<mailto:(?:leave-\\S+|\\S+-unsubscribe)@\\S+>$", "i") \
	X(WACKY_MTA, "/CWT/DCE\\)|iPlanet Messaging Server", "")	\
	X(TEMPLATE, "%[A-Z][A-Z_-]", "")				\
	X(TEMPLATE_FIELDS, "^(?:X-VMS-To|X-UIDL|X-Face|To|Cc|From|Subject|" \
	    "References|In-Reply-To|(?:X-|Resent-|X-Original-)?Message-Id" \
	    "):", "i")							\
	X(RATWARE_ID, "<[A-Z]{28}\\.([^>]+?)>", "")			\
	X(QUOTED_FROM, "\"[^\"]+\"\\s*<([^>]*)>", "")			\
	X(SRS, "^SRS\\d[=+-]", "i")					\
	X(TWO_LABELS, "^.+\\.([^.]+\\.[^.]+)$", "")			\
	X(ISO_CHARSET, "iso-\\S+-\\S+\\b", "i")				\
	X(ISO_GOOD, "iso-(?:8859-\\d{1,2}|2022-(?:jp|kr))\\b", "")	\
	X(ASCII_CHARSET, "us-ascii|ansi_x3\\.4-1968|iso-ir-6|"		\
	    "ansi_x3\\.4-1986|iso_646\\.irv:1991|ascii|iso646-us|us|"	\
	    "ibm367|cp367|csascii", "")					\
	X(CHARSET_PARAM, "charset=(?|\"([^\"]+)\"|'([^']+)'|(\\S+))", "i") \
	X(INNER_SPACE, "\\S\\s+\\S", "")				\
	X(LINGERING_BASE64, "^(?:[A-Za-z0-9+/=]{60,76} ){2}", "")	\
	X(SHIFT_JIS, "\\x1b\\$B.*\\x1b\\(B", "s")			\
	X(STOCK_LINE, "^\\s*([^:\\s][^:\\n]{2,29})\\s*:\\s*\\S", "m")	\
	X(STOCK_WORD, "(^trad(?:e|ing)date|company(?:name)?|"		\
	    "s\\w?(?:t\\w?o\\w?c\\w?k|y\\w?m(?:\\w?b\\w?o\\w?l)?)|"	\
	    "t(?:arget|icker)|(?:opening|current)p(?:rice)?|"		\
	    "p(?:rojected|osition)|expectations|weeks?high|"		\
	    "marketperformance|"					\
	    "(?:year|week|month|day|price)(?:target|estimates?)|"	\
	    "sector|r(?:ecommendation|ating))$", "")			\
	X(SIGNATURE, "^-- ?\\r?$", "m")					\
	X(BIG_DOTCOM, "(?:\\.|^)(lycos\\.com|lycos\\.co\\.uk|"		\
	    "hotmail\\.com|localhost\\.com|excite\\.com|caramail\\.com|" \
	    "cs\\.com|aol\\.com|msn\\.com|yahoo\\.com|drizzle\\.com)$", "i") \
	X(HOST_NAME, "^\\w+(?:[\\w.-]+\\.)+\\w+$", "")			\
	X(NUMERIC_HELO, "\\bhelo=((?:\\d{1,3}\\.){3}\\d{1,3})"		\
	    "(?=[\\x00-\\x20,;\\[()<>]|\\z)", "i")			\
	X(REDIRECT, "^https?://([^/:?]+).+?(https?:/{0,2}?([^/:?]+).*)$", \
	    "i")							\
	X(HTTPS_HOST, "https://([^\\s/:?#]+)", "i")			\
	X(HTTP_HOST, "^https?://([^/:?#]+)", "i")			\
	X(HTTP_IP, "^https?:/*(?:[^@/]+@)?\\d+\\.\\d+\\.\\d+\\.\\d+", "i") \
	X(HTTPS_IP, "^https:/*(?:[^@/]+@)?\\d+\\.\\d+\\.\\d+\\.\\d+", "i") \
	X(EMAIL, EVAL_EMAIL, "i")					\
	X(URL_WITH_EMAIL, "<?https?://\\S{0,255}(?:@|%40)\\S{0,255}", "i") \
	X(EMAIL_QUOTED, "<?(?<!mailto:)" EVAL_EMAIL "(?:>|\\s{1,10}"	\
	    "(?!(?:fa(?:x|csi)|tel|phone|e?-?mail))[a-z]{2,11}:)", "i")	\
	X(ROLE_ADDRESS, "^(?:abuse|support|sales|info|helpdesk|contact|" \
	    "kontakt|(?:post|host|domain)master|undisclosed.*|"		\
	    "request-[a-f0-9]{16}|bounced?-|"				\
	    "[a-f0-9]{8}(?:\\.[a-f0-9]{8}|-[a-f0-9]{4}-[a-f0-9]{4}-"	\
	    "[a-f0-9]{4}-[a-f0-9]{12})|.+=.+=.+)@", "i") \
	X(BULK_SENDER, "(?:^(?:post|host|domain)master|^double-bounce|"	\
	    "^(?:sentto|owner|return|(?:gr)?bounced?)-.+|"		\
	    "-(?:request|bounces?|admin|owner)|"			\
	    "\\b(?:do[._-t]?)?no[._-t]?repl(?:y|ies)|.+=.+)@", "i")

enum eval_pattern {
#define X(id, text, flags) EVAL_RE_##id,
	EVAL_PATTERNS(X)
#undef X
	EVAL_PATTERN_COUNT
};

bool	eval_matches(enum eval_pattern, struct str);
/* group[0] is the first group, empty where it took no part. */
bool	eval_groups(enum eval_pattern, struct str, struct str group[],
	    size_t n);
/* The same from `from' on; *end is where the match ended. */
bool	eval_next(enum eval_pattern, struct str, size_t from, size_t *begin,
	    size_t *end, struct str *group);

#endif
