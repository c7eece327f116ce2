/* The functions that rules call, each asked about mail that it should hit and
 * mail that it should not. */
#include "base/psl.h"
#include "message_fixture.h"
#include "score/ruleset.h"
#include "score/score.h"

#define HEAD                                                             \
	"From: a@example.net\nTo: b@example.org\nSubject: hello there\n" \
	"Date: Mon, 05 Jan 2026 10:00:00 +0000\n"
#define MIME "MIME-Version: 1.0\n"
#define HTML HEAD MIME "Content-Type: text/html; charset=utf-8\n\n"
#define RELAY(when)                                      \
	"Received: from mx.example.net (mx.example.net " \
	"[192.0.2.7]) by mx.example.org with ESMTP id 1; " when "\n"
#define ALT HEAD MIME "Content-Type: multipart/alternative; boundary=b\n\n"
#define PART(type, text) "--b\nContent-Type: " type "\n\n" text "\n"

static const struct {
	const char	*rule;		/* behind its name */
	bool		 hit;
	const char	*message;
} cases[] = {
	{ "header X eval:check_for_missing_to_header()", true,
	    "From: a@example.net\n\ntext\n" },
	{ "header X eval:check_for_missing_to_header()", false,
	    HEAD "\ntext\n" },
	{ "header X eval:check_illegal_chars('Subject','0.00','2')", true,
	    "Subject: caf\xe9 ol\xe9\n\ntext\n" },
	{ "header X eval:check_illegal_chars('Subject','0.00','2')", false,
	    "Subject: caf\xc3\xa9 ol\xc3\xa9\n\ntext\n" },
	{ "header X eval:check_header_count_range('Received','2','9')", true,
	    "Received: one\nReceived: two\n\ntext\n" },
	{ "header X eval:check_header_count_range('Received','2','9')", false,
	    "Received: one\nReceived: one\n\ntext\n" },
	{ "header X eval:subject_is_all_caps()", true,
	    "Subject: Re: BUY THIS NOW\n\ntext\n" },
	{ "header X eval:subject_is_all_caps()", false,
	    "Subject: SHOUTING\n\ntext\n" },
	{ "header X eval:check_for_to_in_subject('address')", true,
	    "To: b@example.org\nSubject: for b@example.org only\n\ntext\n" },
	{ "header X eval:check_for_to_in_subject('user')", true,
	    "To: bob@example.org\nSubject: bob, read this\n\ntext\n" },
	{ "header X eval:check_for_to_in_subject('user')", false,
	    "To: bob@example.org\nSubject: bobsleigh, read this\n\ntext\n" },
	{ "header X eval:check_for_to_in_subject('user')", false,
	    "To: bob@example.org\nSubject: \n\n\ntext\n" },
	{ "header X eval:check_for_to_in_subject('user')", true,
	    "To: bob@example.org\nSubject: ,bob!\n\ntext\n" },
	{ "header X eval:check_unresolved_template()", true,
	    "X-Mailer: %RANDOM_WORD\n\ntext\n" },
	{ "header X eval:check_unresolved_template()", false,
	    "Subject: 100%OFF_NOW\n\ntext\n" },
	{ "header X eval:check_ratware_name_id()", true,
	    "Message-ID: <ABCDEFGHIJKLMNOPQRSTUVWXYZAB.a@example.net>\n"
	    "From: \"A\" <a@example.net>\n\ntext\n" },
	{ "header X eval:sorted_recipients()", true,
	    "To: a@a.example, b@a.example, c@a.example, d@a.example,\n"
	    " e@a.example, f@a.example, g@a.example\n\ntext\n" },
	{ "header X eval:sorted_recipients()", false,
	    "To: b@a.example, a@a.example, c@a.example, d@a.example,\n"
	    " e@a.example, f@a.example, g@a.example\n\ntext\n" },
	{ "header X eval:similar_recipients('0.9','undef')", true,
	    "To: ab1@a.example, ab2@a.example, ab3@a.example,\n"
	    " ab4@a.example, ab5@a.example\n\ntext\n" },
	{ "header X eval:check_for_shifted_date('6', '12')", true,
	    RELAY("Mon, 05 Jan 2026 02:00:00 +0000") HEAD "\ntext\n" },
	{ "header X eval:check_for_shifted_date('6', '12')", false,
	    RELAY("Mon, 05 Jan 2026 11:30:00 +0100") HEAD "\ntext\n" },
	{ "header X eval:check_for_shifted_date('undef', '-96')", true,
	    RELAY("Sat, 10 Jan 2026 02:00:00 EST") HEAD "\ntext\n" },
	{ "header X eval:check_for_forged_gmail_received_headers()", true,
	    "From: a@gmail.com\n\ntext\n" },
	{ "header X eval:check_for_forged_yahoo_received_headers()", true,
	    RELAY("Mon, 05 Jan 2026 10:00:00 +0000") "From: "
						     "a@yahoo.com\n\ntext\n" },
	{ "header X eval:check_for_forged_yahoo_received_headers()", false,
	    "From: a@yahoo.com\n\ntext\n" },
	{ "header X eval:check_no_relays()", true, HEAD "\ntext\n" },
	{ "header X eval:check_no_relays()", false,
	    RELAY("Mon, 05 Jan 2026 10:00:00 +0000") HEAD "\ntext\n" },
	{ "body X eval:check_for_mime_html_only()", true, HTML "<p>hi\n" },
	{ "body X eval:check_for_mime_html_only()", false,
	    ALT PART("text/plain", "hi") PART("text/html", "<p>hi") "--b--\n" },
	{ "rawbody X eval:check_for_mime('mime_base64_encoded_text')", true,
	    HEAD MIME
	    "Content-Type: text/plain\n"
	    "Content-Transfer-Encoding: base64\n\naGVsbG8gd29ybGQK\n" },
	{ "rawbody X eval:check_for_mime('mime_qp_long_line')", true,
	    HEAD MIME
	    "Content-Type: text/plain\nContent-Transfer-Encoding: "
	    "quoted-printable\n\n"
	    "1234567890123456789012345678901234567890123456789012345678901234"
	    "56789012345678901234567890\n" },
	{ "body X eval:check_mime_multipart_ratio('0','0.5')", true,
	    ALT PART("text/plain", "a")
		PART("text/html", "<p>a and more of it") "--b--\n" },
	{ "body X eval:check_ma_non_text()", true,
	    ALT PART("text/plain", "a")
		PART("application/x-y", "b") "--b--\n" },
	{ "body X eval:check_for_uppercase('75', '100')", true,
	    HEAD
	    "\nTHIS IS A LOT OF SHOUTING ABOUT NOTHING AT ALL, AND IT "
	    "GOES ON AND ON AND ON UNTIL NOBODY READS IT ANY MORE, WHICH IS "
	    "WHAT ONE WOULD EXPECT OF IT, AND STILL THERE IS MORE, MORE AND "
	    "MORE OF IT TO BE READ\n" },
	{ "body X eval:multipart_alternative_difference('99','100')", true,
	    ALT PART("text/plain", "one two")
		PART("text/html", "<p>three four") "--b--\n" },
	{ "body X eval:multipart_alternative_difference('99','100')", false,
	    ALT PART("text/plain", "one two")
		PART("text/html", "<p>one two") "--b--\n" },
	{ "body X eval:check_blank_line_ratio('50','100','3')", true,
	    HEAD "\na\n\n\n\nb\n" },
	{ "body X eval:check_body_length('10')", true, HEAD "\nshort\n" },
	{ "body X eval:check_body_length('10')", false,
	    HEAD "\nnot as short as that\n" },
	{ "body X eval:check_stock_info('2')", true,
	    HEAD "\nSymbol: ABCD\nPrice Target: $5\n" },
	{ "body X eval:plaintext_sig_length('5')", true,
	    HEAD "\ntext\n-- \na signature\n" },
	{ "body X eval:html_tag_exists('iframe')", true,
	    HTML "<iframe src=\"http://a.example/\"></iframe>\n" },
	{ "body X eval:html_tag_balance('body', '!= 0')", true,
	    HTML "<html><body>text\n" },
	{ "body X eval:html_tag_balance('body', '!= 0')", false,
	    HTML "<html><body>text</body></html>\n" },
	{ "body X eval:html_text_match('title', '^win')", true,
	    HTML "<title>win a car</title>text\n" },
	{ "body X eval:html_text_match('title', '^win')", false,
	    HTML "<title>to win a car</title>text\n" },
	{ "body X eval:html_title_subject_ratio('2')", true,
	    HTML "<title>a title that is a good deal longer</title>text\n" },
	{ "body X eval:check_iframe_src()", true,
	    HTML "<iframe src=\"http://a.example/\"></iframe>\n" },
	{ "body X eval:check_https_http_mismatch()", true,
	    HTML "<a href=\"http://evil.com/\">https://bank.com/</a>\n" },
	{ "body X eval:check_https_http_mismatch()", false,
	    HTML "<a href=\"http://www.bank.com/\">https://bank.com/</a>\n" },
	{ "body X eval:check_https_ip_mismatch()", true,
	    HTML "<a href=\"http://192.0.2.1/\">https://bank.com/</a>\n" },
	{ "header X eval:check_freemail_from()\n"
	  "freemail_domains gmail.com *.mail.example",
	    true, "From: a@gmail.com\n\ntext\n" },
	{ "header X eval:check_freemail_from()\n"
	  "freemail_domains gmail.com *.mail.example",
	    true, "From: a@x.mail.example\n\ntext\n" },
	{ "header X eval:check_freemail_from('\\d@')\n"
	  "freemail_domains gmail.com",
	    false, "From: a@gmail.com\n\ntext\n" },
	{ "header X eval:check_freemail_replyto('replyto')\n"
	  "freemail_domains gmail.com yahoo.com",
	    true, "From: a@gmail.com\nReply-To: b@yahoo.com\n\ntext\n" },
	{ "header X eval:check_freemail_replyto('replyto')\n"
	  "freemail_domains gmail.com yahoo.com",
	    true,
	    "From: a@example.net\nReply-To: b@yahoo.com\n\n"
	    "write to c@gmail.com today\n" },
	{ "header X eval:check_from_in_welcomelist()\n"
	  "whitelist_from *@example.net",
	    true, HEAD "\ntext\n" },
	{ "header X eval:check_from_in_welcomelist()\n"
	  "whitelist_from *@example.net\nunwhitelist_from *@example.net",
	    false, HEAD "\ntext\n" },
	{ "header X eval:check_from_in_welcomelist()\n"
	  "welcomelist_from_rcvd a@example.net example.net",
	    true, RELAY("Mon, 05 Jan 2026 10:00:00 +0000") HEAD "\ntext\n" },
	{ "header X eval:check_from_in_welcomelist()\n"
	  "welcomelist_from_rcvd a@example.net [198.51.100.0/24]",
	    false, RELAY("Mon, 05 Jan 2026 10:00:00 +0000") HEAD "\ntext\n" },
	{ "header X eval:check_to_in_blocklist()\nblocklist_to b@*", true,
	    HEAD "\ntext\n" },
	{ "body X eval:check_uri_host_in_blocklist()\n"
	  "blocklist_uri_host evil.com",
	    true, HEAD "\nsee http://www.evil.com/ now\n" },
	{ "body X eval:check_uri_host_in_blocklist()\n"
	  "blocklist_uri_host evil.com",
	    false, HEAD "\nsee http://notevil.com/ now\n" },
	{ "body X eval:image_count('gif','1','1')", true,
	    HEAD MIME
	    "Content-Type: image/gif\n"
	    "Content-Transfer-Encoding: base64\n\n"
	    "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7\n" },
	{ "body X eval:pixel_coverage('gif','1','1')", true,
	    HEAD MIME
	    "Content-Type: image/gif\n"
	    "Content-Transfer-Encoding: base64\n\n"
	    "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7\n" },
};

static bool
is_hit(const char *rule, const char *message)
{
	struct buf problems = BUF_INIT(4096);
	struct ruleset_how how = { 0 };
	struct ruleset *set = ruleset_parse(str_of(rule), &how, &problems);
	const struct score_result *result;
	struct fixture f = { 0 };
	bool hit;

	assert_string_equal(problems.n > 0 ? problems.p : "", "");
	buf_free(&problems);
	fixture_begin(&f, 1000);
	fixture_message(&f, str_of(message));
	result = score_run(f.txn, set);
	assert_non_null(result);
	hit = score_hit(result, STR("X"));
	fixture_end(&f);
	ruleset_free(&set);
	return hit;
}

static void
test_functions(void **state)
{
	size_t i, wrong = 0;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (is_hit(cases[i].rule, cases[i].message) == cases[i].hit)
			continue;
		wrong++;
		print_message("%s: should %shit\n", cases[i].rule,
		    cases[i].hit ? "" : "not ");
	}
	assert_int_equal(wrong, 0);
}

/* A message of bytes without sense hurts none of them. */
static void
test_noise(void **state)
{
	char noise[4096];
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(noise) - 1; i++)
		noise[i] = (char)(1 + (i * 2654435761u >> 13) % 255);
	noise[sizeof(noise) - 1] = '\0';
	memcpy(noise, "From: ", 6);
	for (k = 0; k < sizeof(cases) / sizeof(cases[0]); k++)
		is_hit(cases[k].rule, noise);
}

/* What the message's arena takes when that rule is asked. */
static size_t
memory_for(const char *rule, struct str message)
{
	struct buf problems = BUF_INIT(4096);
	struct ruleset_how how = { 0 };
	struct ruleset *set = ruleset_parse(str_of(rule), &how, &problems);
	struct fixture f = { 0 };
	size_t used;

	buf_free(&problems);
	fixture_begin(&f, 1000);
	fixture_message(&f, message);
	assert_non_null(score_run(f.txn, set));
	used = arena_used(f.txn->arena);
	fixture_end(&f);
	ruleset_free(&set);
	return used;
}

/* An album of photographs does not fill the message's memory. */
static void
test_pictures_are_not_kept(void **state)
{
	struct buf b = BUF_INIT(2 << 20);
	size_t with, without;
	int i;

	(void)state;
	buf_adds(&b,
	    HEAD MIME "Content-Type: image/gif\n"
		      "Content-Transfer-Encoding: base64\n\nR0lGODlhAQAB\n");
	for (i = 0; i < 10000; i++)
		buf_adds(&b,
		    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
		    "AAAAAAAAAAAAAAAA\n");
	with = memory_for("body X eval:image_count('gif','1')", buf_str(&b));
	without = memory_for("header X exists:From", buf_str(&b));
	buf_free(&b);
	assert_in_range(with, without, without + 100 * 1024);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_functions),
		cmocka_unit_test(test_noise),
		cmocka_unit_test(test_pictures_are_not_kept),
	};

	int failed;

	if (!psl_global_init())
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	psl_global_free();
	return failed;
}
