#include "score/condition.h"

#include "base/arena.h"
#include "score/meta.h"

#define PERL_VERSION	"5.036000"
#define TEXT_MAX	4096
#define PREFIX		"Mail::SpamAssassin::"

/* Those whose work is done here, wherever it is done. */
static const char *const own_plugins[] = { "Check", "MIMEHeader", "ReplaceTags",
	"URIDetail", "HTMLEval", "BodyEval", "HeaderEval", "MIMEEval",
	"RelayEval", "URIEval", "WLBLEval", "FreeMail", "VBounce",
	"HTTPSMismatch", "ImageInfo", "SPF", "DKIM", "DMARC", NULL };

/* What can() and has() find in a class; of a plugin only while it is here. */
static const struct {
	const char	*class;		/* NULL: that of the line before */
	const char	*function;
	bool		 lies;		/* it is there, and says no */
} functions[] = {
	{ "Conf", "feature_originating_ip_headers", false },
	{ NULL, "feature_dns_local_ports_permit_avoid", false },
	{ NULL, "feature_bayes_auto_learn_on_error", false },
	{ NULL, "feature_uri_host_listed", false },
	{ NULL, "feature_yesno_takes_args", false },
	{ NULL, "feature_bug6558_free", false },
	{ NULL, "feature_edns", false },
	{ NULL, "feature_dns_query_restriction", false },
	{ NULL, "feature_registryboundaries", false },
	{ NULL, "feature_geodb", false },
	{ NULL, "feature_dns_block_rule", false },
	{ NULL, "feature_compile_regexp", false },
	{ NULL, "feature_meta_rules_matching", false },
	{ NULL, "feature_subjprefix", false },
	{ NULL, "feature_bayes_stopwords", false },
	{ NULL, "feature_get_host", false },
	{ NULL, "feature_blocklist_welcomelist", false },
	{ NULL, "feature_welcomelist_blocklist", false },
	{ NULL, "feature_header_address_parser", false },
	{ NULL, "feature_local_tests_only", false },
	{ NULL, "feature_header_first_last", false },
	{ NULL, "feature_header_match_many", false },
	{ NULL, "feature_capture_rules", false },
	{ NULL, "has_tflags_nosubject", false },
	{ NULL, "has_tflags_nolog", false },
	{ NULL, "perl_min_version_5010000", false },
	{ "Plugin::ASN", "has_asn_lookup_ipv6", false },
	{ NULL, "has_asn_geodb", false },
	{ NULL, "has_check_asn", false },
	{ NULL, "has_check_asn_tag", false },
	{ "Plugin::AskDNS", "has_tag_header", false },
	{ "Plugin::BodyEval", "has_check_body_length", false },
	{ NULL, "has_plaintext_body_sig_ratio", false },
	{ "Plugin::DKIM", "has_arc", false },
	{ "Plugin::DNSEval", "has_tflags_domains_only", false },
	{ NULL, "has_tflags_ips_only", false },
	{ "Plugin::DecodeShortURLs", "has_short_url", false },
	{ NULL, "has_short_url_code", false },
	{ NULL, "has_short_url_redir", false },
	{ NULL, "has_get", false },
	{ NULL, "has_clear", false },
	{ "Plugin::HashBL", "has_hashbl_bodyre", false },
	{ NULL, "has_hashbl_emails", false },
	{ NULL, "has_hashbl_uris", false },
	{ NULL, "has_hashbl_ignore", false },
	{ NULL, "has_hashbl_sha256", false },
	{ NULL, "has_hashbl_attachments", false },
	{ "Plugin::MIMEEval", "has_check_for_ascii_text_illegal", false },
	{ NULL, "has_check_abundant_unicode_ratio", false },
	{ NULL, "has_check_qp_ratio", false },
	{ "Plugin::MIMEHeader", "has_all_header", false },
	{ NULL, "has_tflags_range", false },
	{ NULL, "has_tflags_concat", false },
	{ NULL, "has_tflags_multiple", false },
	{ NULL, "has_capture_rules", false },
	{ "Plugin::OLEVBMacro", "has_olemacro_redirect_uri", false },
	{ NULL, "has_olemacro_mhtml_uri", false },
	{ NULL, "has_olertfobject", false },
	{ "Plugin::SPF", "has_check_for_spf_errors", false },
	{ NULL, "has_check_spf_skipped_noenvfrom", false },
	{ "Plugin::Test", "check_test_plugin", false },
	{ NULL, "test_feature_xxxx_true", false },
	{ NULL, "test_feature_xxxx_false", true },
	{ "Plugin::URIDNSBL", "has_tflags_domains_only", false },
	{ NULL, "has_subtest_for_ranges", false },
	{ NULL, "has_uridnsbl_for_a", false },
	{ NULL, "has_uridnsbl_a_ns", false },
	{ NULL, "has_tflags_notrim", false },
	{ "Plugin::URIDetail", "has_host_key", false },
};

struct reader {
	const struct condition *world;
	struct str	 in;
	size_t		 at;
	struct buf	*out, *why;
};

static struct str
short_name(struct str name)
{
	if (str_starts(name, STR(PREFIX)))
		name = str_sub(name, sizeof(PREFIX) - 1, name.n);
	return name;
}

bool
condition_plugin(const struct condition *c, struct str name)
{
	const char *const *list = c->plugins ? c->plugins : own_plugins;
	struct str bare = short_name(name);

	if (str_starts(bare, STR("Plugin::")))
		bare = str_sub(bare, 8, bare.n);
	/* Two that have been renamed, and one that is no more. */
	if (str_eq(bare, STR("Dmarc")))
		bare = STR("DMARC");
	if (str_eq(bare, STR("WhiteListSubject")))
		bare = STR("WelcomeListSubject");
	if (str_eq(bare, STR("RaciallyCharged")))
		return true;
	for (; *list != NULL; list++)
		if (str_eq(bare, str_of(*list)))
			return true;
	return c->loaded != NULL && map_get(c->loaded, bare) != NULL;
}

static bool
has_function(const struct condition *c, struct str word, bool asks)
{
	struct str name = short_name(word), class = name, f;
	const char *last = NULL;
	size_t i = name.n;

	while (i > 1 && name.p[i - 1] != ':')
		i--;
	if (i < 3)
		return false;
	class = str_sub(name, 0, i - 2);
	f = str_sub(name, i, name.n);
	if (str_eq(class, STR("Conf")) && str_starts(f, STR("compat_")))
		return c->compat != NULL &&
		    map_get(c->compat, str_sub(f, 7, f.n)) != NULL;
	if (str_starts(class, STR("Plugin::")) && !condition_plugin(c, class))
		return false;
	for (i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		if (functions[i].class != NULL)
			last = functions[i].class;
		if (str_eq(class, str_of(last)) &&
		    str_eq(f, str_of(functions[i].function)))
			return !asks || !functions[i].lies;
	}
	return false;
}

static bool
word_char(int c)
{
	return chr_alnum(c) || c == '_' || c == ':';
}

static struct str
next_word(struct reader *r)
{
	size_t start = r->at;

	while (r->at < r->in.n && word_char((unsigned char)r->in.p[r->at]))
		r->at++;
	return str_sub(r->in, start, r->at - start);
}

static void
skip_space(struct reader *r)
{
	while (r->at < r->in.n && chr_space((unsigned char)r->in.p[r->at]))
		r->at++;
}

/* "( Class::name )" */
static bool
argument(struct reader *r, struct str *arg)
{
	skip_space(r);
	if (r->at < r->in.n && r->in.p[r->at] == '(') {
		r->at++;
		skip_space(r);
		*arg = next_word(r);
		skip_space(r);
		if (arg->n > 0 && r->at < r->in.n && r->in.p[r->at] == ')') {
			r->at++;
			return true;
		}
	}
	buf_adds(r->why, "a name in parentheses is expected");
	return false;
}

/* A word becomes its value. */
static bool
read_word(struct reader *r)
{
	struct str word = next_word(r), arg;
	bool yes;

	if (str_eq(word, STR("version"))) {
		buf_adds(r->out, CONDITION_VERSION);
		return true;
	}
	if (str_eq(word, STR("perl_version"))) {
		buf_adds(r->out, PERL_VERSION);
		return true;
	}
	if (str_eq(word, STR("local_tests_only"))) {
		buf_addc(r->out, r->world->local_only ? '1' : '0');
		return true;
	}
	if (chr_digit((unsigned char)word.p[0])) {
		buf_addstr(r->out, word);
		return true;
	}
	if (!str_eq(word, STR("plugin")) && !str_eq(word, STR("can")) &&
	    !str_eq(word, STR("has"))) {
		buf_printf(r->why, "`%.*s' has no meaning in a condition",
		    STR_FMT(word));
		return false;
	}
	if (!argument(r, &arg))
		return false;
	if (word.p[0] == 'p')
		yes = condition_plugin(r->world, arg);
	else
		yes = has_function(r->world, arg, word.p[0] == 'c');
	buf_addc(r->out, yes ? '1' : '0');
	return true;
}

/* Numbers and operators are left, which metas have as well. */
static bool
calculate(struct str text, bool *yes, struct buf *why)
{
	struct arena *a = arena_new(1024 * 1024);
	struct meta *m = meta_parse(a, text, why);

	if (m != NULL)
		*yes = meta_eval(m, NULL, NULL) != 0;
	arena_free(&a);
	return m != NULL;
}

bool
condition_eval(const struct condition *world, struct str text, bool *yes,
    struct buf *why)
{
	struct buf out = BUF_INIT(TEXT_MAX);
	struct reader r = { world, text, 0, &out, why };
	bool ok = true;

	*yes = false;
	while (ok && r.at < r.in.n) {
		if (word_char((unsigned char)r.in.p[r.at]) &&
		    r.in.p[r.at] != ':')
			ok = read_word(&r);
		else
			buf_addc(&out, r.in.p[r.at++]);
	}
	if (out.failed) {
		buf_adds(why, "the condition is too long");
		ok = false;
	}
	ok = ok && calculate(buf_str(&out), yes, why);
	buf_free(&out);
	return ok;
}
