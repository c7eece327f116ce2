#include "service/post.h"

#include <string.h>

#include <curl/curl.h>

#define CONNECT_MS 5000

struct reading {
	struct str rest;
};

bool
post_init(void)
{
	return curl_global_init(CURL_GLOBAL_DEFAULT) == 0;
}

/* What the other side answers is of no interest. */
static size_t
drop(char *data, size_t size, size_t n, void *arg)
{
	(void)data;
	(void)arg;
	return size * n;
}

static size_t
read_on(char *out, size_t size, size_t n, void *arg)
{
	struct reading *r = arg;
	struct str part = str_sub(r->rest, 0, size * n);

	if (part.n > 0)
		memcpy(out, part.p, part.n);
	r->rest = str_sub(r->rest, part.n, r->rest.n);
	return part.n;
}

static CURL *
begin(const char *url, const char *protocols, int64_t timeout_ms, char *problem)
{
	CURL *c = curl_easy_init();

	if (c == NULL)
		return NULL;
	problem[0] = '\0';
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, protocols);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS,
	    (long)(timeout_ms < CONNECT_MS ? timeout_ms : CONNECT_MS));
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, problem);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "postern");
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, drop);
	return c;
}

static bool
finish(CURL *c, const char *problem, bool http, struct buf *err)
{
	CURLcode rc = curl_easy_perform(c);
	long status = 0;

	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(c);
	if (rc != CURLE_OK)
		buf_adds(err, problem[0] ? problem : curl_easy_strerror(rc));
	else if (http && status / 100 != 2)
		buf_printf(err, "HTTP status %ld", status);
	return err->n == 0;
}

bool
post_http(const char *url, struct str json, int64_t timeout_ms, struct buf *err)
{
	char problem[CURL_ERROR_SIZE];
	CURL *c = begin(url, "http,https", timeout_ms, problem);
	struct curl_slist *fields;
	bool ok;

	if (c == NULL) {
		buf_adds(err, "no memory");
		return false;
	}
	fields = curl_slist_append(NULL, "Content-Type: application/json");
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, fields);
	curl_easy_setopt(c, CURLOPT_POSTFIELDS, json.p);
	curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)json.n);
	ok = finish(c, problem, true, err);
	curl_slist_free_all(fields);
	return ok;
}

bool
post_mail(const char *url, const char *rcpt, struct str mail,
    int64_t timeout_ms, struct buf *err)
{
	char problem[CURL_ERROR_SIZE];
	CURL *c = begin(url, "smtp,smtps", timeout_ms, problem);
	struct reading reading = { mail };
	struct curl_slist *rcpts;
	bool ok;

	if (c == NULL) {
		buf_adds(err, "no memory");
		return false;
	}
	/* Without CURLOPT_MAIL_FROM it is the null sender. */
	rcpts = curl_slist_append(NULL, rcpt);
	curl_easy_setopt(c, CURLOPT_MAIL_RCPT, rcpts);
	curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(c, CURLOPT_READFUNCTION, read_on);
	curl_easy_setopt(c, CURLOPT_READDATA, &reading);
	ok = finish(c, problem, false, err);
	curl_slist_free_all(rcpts);
	return ok;
}
