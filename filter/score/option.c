#include "score/option.h"

static const char *const texts[] = {
#define X(id, text) [OPTION_##id] = text,
	OPTION_KINDS(X)
#undef X
};

/* A * at the end stands for the rest of the name. */
static const struct {
	const char	*name;
	enum option_kind kind;
} options[] = {
	{ "welcomelist_*", OPTION_LIST },
	{ "whitelist_*", OPTION_LIST },
	{ "def_welcomelist_*", OPTION_LIST },
	{ "def_whitelist_*", OPTION_LIST },
	{ "unwelcomelist_*", OPTION_LIST },
	{ "unwhitelist_*", OPTION_LIST },
	{ "blocklist_*", OPTION_LIST },
	{ "blacklist_*", OPTION_LIST },
	{ "unblocklist_from", OPTION_LIST },
	{ "unblacklist_from", OPTION_LIST },
	{ "more_spam_to", OPTION_LIST },
	{ "all_spam_to", OPTION_LIST },
	{ "enlist_uri_host", OPTION_LIST },
	{ "delist_uri_host", OPTION_LIST },
	{ "enlist_addrlist", OPTION_LIST },
	{ "freemail_*", OPTION_LIST },
	{ "adsp_override", OPTION_LIST },
	{ "ok_locales", OPTION_LIST },
	{ "fns_*", OPTION_LIST },
	{ "util_rb_tld", OPTION_URI },
	{ "util_rb_2tld", OPTION_URI },
	{ "util_rb_3tld", OPTION_URI },
	{ "clear_util_rb", OPTION_URI },
	{ "parse_dkim_uris", OPTION_URI },
	{ "normalize_charset", OPTION_URI },
	{ "body_part_scan_size", OPTION_URI },
	{ "rawbody_part_scan_size", OPTION_URI },
	{ "originating_ip_headers", OPTION_RELAY },
	{ "clear_originating_ip_headers", OPTION_RELAY },
	{ "always_trust_envelope_sender", OPTION_RELAY },
	{ "envelope_sender_header", OPTION_RELAY },
	{ "authres_*", OPTION_RELAY },
	{ "askdns", OPTION_NETWORK },
	{ "asn_*", OPTION_NETWORK },
	{ "clear_asn_lookups", OPTION_NETWORK },
	{ "skip_rbl_checks", OPTION_NETWORK },
	{ "skip_uribl_checks", OPTION_NETWORK },
	{ "rbl_headers", OPTION_NETWORK },
	{ "rbl_timeout", OPTION_NETWORK },
	{ "dns_*", OPTION_NETWORK },
	{ "clear_dns_*", OPTION_NETWORK },
	{ "uridnsbl*", OPTION_NETWORK },
	{ "uridnssub", OPTION_NETWORK },
	{ "urirhsbl", OPTION_NETWORK },
	{ "urirhssub", OPTION_NETWORK },
	{ "urinsrhsbl", OPTION_NETWORK },
	{ "urinsrhssub", OPTION_NETWORK },
	{ "urifullnsrhsbl", OPTION_NETWORK },
	{ "urifullnsrhssub", OPTION_NETWORK },
	{ "clear_uridnsbl_*", OPTION_NETWORK },
	{ "hashbl_*", OPTION_NETWORK },
	{ "url_shortener*", OPTION_NETWORK },
	{ "clear_url_shortener", OPTION_NETWORK },
	{ "url_redirector*", OPTION_NETWORK },
	{ "clear_url_redirector", OPTION_NETWORK },
	{ "max_short_url*", OPTION_NETWORK },
	{ "use_dcc*", OPTION_NETWORK },
	{ "dcc_*", OPTION_NETWORK },
	{ "dccifd_*", OPTION_NETWORK },
	{ "use_pyzor", OPTION_NETWORK },
	{ "pyzor_*", OPTION_NETWORK },
	{ "use_razor*", OPTION_NETWORK },
	{ "razor_*", OPTION_NETWORK },
	{ "spamcop_*", OPTION_NETWORK },
	{ "dkim_*", OPTION_NETWORK },
	{ "spf_timeout", OPTION_NETWORK },
	{ "ignore_received_spf_header", OPTION_NETWORK },
	{ "use_newest_received_spf_header", OPTION_NETWORK },
	{ "do_not_use_mail_spf*", OPTION_NETWORK },
	{ "dmarc_save_reports", OPTION_NETWORK },
	{ "use_learner", OPTION_LEARN },
	{ "use_bayes*", OPTION_LEARN },
	{ "bayes_*", OPTION_LEARN },
	{ "use_auto_w*", OPTION_LEARN },
	{ "auto_w*", OPTION_LEARN },
	{ "user_awl_*", OPTION_LEARN },
	{ "use_txrep", OPTION_LEARN },
	{ "txrep_*", OPTION_LEARN },
	{ "trigger_*", OPTION_LEARN },
	{ "reuse", OPTION_LEARN },
	{ "run_reuse_tests_only", OPTION_LEARN },
	{ "rewrite_header", OPTION_REPORT },
	{ "subjprefix", OPTION_REPORT },
	{ "add_header", OPTION_REPORT },
	{ "remove_header", OPTION_REPORT },
	{ "clear_headers", OPTION_REPORT },
	{ "report*", OPTION_REPORT },
	{ "clear_report_template", OPTION_REPORT },
	{ "unsafe_report*", OPTION_REPORT },
	{ "clear_unsafe_report_template", OPTION_REPORT },
	{ "fold_headers", OPTION_REPORT },
	{ "version_tag", OPTION_REPORT },
	{ "extracttext_*", OPTION_PLUGIN },
	{ "olemacro_*", OPTION_PLUGIN },
	{ "phishing_*", OPTION_PLUGIN },
	{ "resource_limit_*", OPTION_PLUGIN },
	{ "shortcircuit*", OPTION_PLUGIN },
	{ "ok_languages", OPTION_PLUGIN },
	{ "inactive_languages", OPTION_PLUGIN },
	{ "textcat_*", OPTION_PLUGIN },
	{ "uri_block_*", OPTION_PLUGIN },
	{ "replace_start", OPTION_PLUGIN },
	{ "replace_end", OPTION_PLUGIN },
	{ "geodb_*", OPTION_PLUGIN },
	{ "country_db_*", OPTION_PLUGIN },
	{ "uri_country_db_*", OPTION_PLUGIN },
	{ "tryplugin", OPTION_PLUGIN },
	{ "time_limit", OPTION_DAEMON },
	{ "lock_method", OPTION_DAEMON },
	{ "mbox_format_from_regex", OPTION_DAEMON },
	{ "allow_user_rules", OPTION_DAEMON },
	{ "user_scores_*", OPTION_DAEMON },
	{ "ignore_always_matching_regexps", OPTION_DAEMON },
};

bool
option_find(struct str name, enum option_kind *kind)
{
	struct str known;
	size_t i;
	bool same;

	for (i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		known = str_of(options[i].name);
		if (known.p[known.n - 1] == '*')
			same = str_starts(name, str_sub(known, 0, known.n - 1));
		else
			same = str_eq(name, known);
		if (same) {
			*kind = options[i].kind;
			return true;
		}
	}
	return false;
}

const char *
option_kind_text(enum option_kind kind)
{
	return texts[kind];
}

bool
option_kind_is_read(enum option_kind kind)
{
	return kind == OPTION_LIST || kind == OPTION_URI ||
	    kind == OPTION_RELAY;
}
