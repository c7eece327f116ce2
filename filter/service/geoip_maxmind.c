#include <sys/stat.h>

#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <maxminddb.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "service/geoip.h"

#define FRESH_S 1 /* a file this young may still be half of it */

struct database {
	struct database *next;
	char *path;
	bool open;
	MMDB_s db;
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime;
};

struct geoip {
	pthread_rwlock_t lock; /* of what is open */
	struct database *first;
};

struct geoip *
geoip_new(void)
{
	struct geoip *g = mem_alloc(sizeof(*g));

	pthread_rwlock_init(&g->lock, NULL);
	return g;
}

void
geoip_free(struct geoip **gp)
{
	struct geoip *g = *gp;

	if (g == NULL)
		return;
	while (g->first != NULL) {
		struct database *d = g->first;

		g->first = d->next;
		if (d->open)
			MMDB_close(&d->db);
		free(d->path);
		free(d);
	}
	pthread_rwlock_destroy(&g->lock);
	free(g);
	*gp = NULL;
}

/* Takes the file as it is now; false where it has not changed. */
static bool
identity_take(struct database *d)
{
	struct stat st;

	if (stat(d->path, &st) != 0)
		return false;
	if (d->dev == st.st_dev && d->ino == st.st_ino &&
	    d->size == st.st_size && d->mtime.tv_sec == st.st_mtim.tv_sec &&
	    d->mtime.tv_nsec == st.st_mtim.tv_nsec)
		return false;
	if (d->size != 0 &&
	    clock_wall_ms() / 1000 - st.st_mtim.tv_sec <= FRESH_S)
		return false;
	d->dev = st.st_dev;
	d->ino = st.st_ino;
	d->size = st.st_size;
	d->mtime = st.st_mtim;
	return true;
}

bool
geoip_add(struct geoip *g, const char *path, struct buf *err)
{
	struct database *d = mem_alloc(sizeof(*d)), **at = &g->first;
	int status;

	d->path = mem_strdup(path);
	identity_take(d);
	status = MMDB_open(path, MMDB_MODE_MMAP, &d->db);
	d->open = status == MMDB_SUCCESS;
	while (*at != NULL)
		at = &(*at)->next;
	*at = d;
	if (!d->open)
		buf_printf(err, "cannot open %s: %s", path,
		    MMDB_strerror(status));
	return d->open;
}

static void
reopen(struct geoip *g, struct database *d)
{
	MMDB_s fresh, old;
	bool was;
	int status = MMDB_open(d->path, MMDB_MODE_MMAP, &fresh);

	if (status != MMDB_SUCCESS) {
		log_event(LOG_EV_TABLE, "geoip=%s problem=%s", d->path,
		    MMDB_strerror(status));
		return;
	}
	pthread_rwlock_wrlock(&g->lock);
	old = d->db;
	was = d->open;
	d->db = fresh;
	d->open = true;
	pthread_rwlock_unlock(&g->lock);
	if (was)
		MMDB_close(&old);
	log_event(LOG_EV_TABLE, "geoip=%s built=%llu", d->path,
	    (unsigned long long)fresh.metadata.build_epoch);
}

void
geoip_refresh(struct geoip *g)
{
	for (struct database *d = g->first; d != NULL; d = d->next)
		if (identity_take(d))
			reopen(g, d);
}

/* ---- looking up ---- */

static void
sockaddr_of(const struct addr *addr, struct sockaddr_storage *out)
{
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;

	memset(out, 0, sizeof(*out));
	if (addr->family == ADDR_V6) {
		v6->sin6_family = AF_INET6;
		memcpy(&v6->sin6_addr, addr->b, 16);
	} else {
		v4->sin_family = AF_INET;
		memcpy(&v4->sin_addr, addr->b, 4);
	}
}

/* The first of the paths that an entry has; false: none. */
static bool
entry_value(MMDB_entry_s *entry, const char *const *const paths[],
    MMDB_entry_data_s *data)
{
	for (size_t i = 0; paths[i] != NULL; i++)
		if (MMDB_aget_value(entry, data, paths[i]) == MMDB_SUCCESS &&
		    data->has_data)
			return true;
	return false;
}

/* take() looks at a value while the database is there; true: it will do. */
static enum geoip_answer
ask(struct geoip *g, const struct addr *addr, const char *const *const paths[],
    bool (*take)(const MMDB_entry_data_s *, void *), void *out)
{
	enum geoip_answer answer = GEOIP_NONE;
	struct sockaddr_storage sa;
	MMDB_lookup_result_s found;
	MMDB_entry_data_s data;
	int status;

	if (addr->family == ADDR_NONE)
		return answer;
	sockaddr_of(addr, &sa);
	pthread_rwlock_rdlock(&g->lock);
	for (struct database *d = g->first; d != NULL; d = d->next) {
		if (!d->open) {
			answer = GEOIP_UNKNOWN;
			continue;
		}
		found = MMDB_lookup_sockaddr(&d->db, (struct sockaddr *)&sa,
		    &status);
		if (status == MMDB_SUCCESS && found.found_entry &&
		    entry_value(&found.entry, paths, &data) &&
		    take(&data, out)) {
			answer = GEOIP_FOUND;
			break;
		}
		if (status != MMDB_SUCCESS &&
		    status != MMDB_IPV6_LOOKUP_IN_IPV4_DATABASE_ERROR)
			answer = GEOIP_UNKNOWN;
	}
	pthread_rwlock_unlock(&g->lock);
	return answer;
}

static bool
take_country(const MMDB_entry_data_s *data, void *arg)
{
	char *out = arg;

	if (data->type != MMDB_DATA_TYPE_UTF8_STRING || data->data_size != 2)
		return false;
	for (int i = 0; i < 2; i++) {
		if (!chr_alnum((unsigned char)data->utf8_string[i]))
			return false;
		out[i] = data->utf8_string[i];
		if (out[i] >= 'a' && out[i] <= 'z')
			out[i] = (char)(out[i] - 'a' + 'A');
	}
	out[2] = '\0';
	return true;
}

enum geoip_answer
geoip_country(struct geoip *g, const struct addr *addr, char out[3])
{
	static const char *const located[] = { "country", "iso_code", NULL };
	static const char *const registered[] = { "registered_country",
		"iso_code", NULL };
	static const char *const code[] = { "country_code", NULL };
	static const char *const *const paths[] = { located, registered, code,
		NULL };

	out[0] = '\0';
	return ask(g, addr, paths, take_country, out);
}

static bool
take_asn(const MMDB_entry_data_s *data, void *arg)
{
	uint32_t *asn = arg;

	if (data->type != MMDB_DATA_TYPE_UINT32)
		return false;
	*asn = data->uint32;
	return true;
}

enum geoip_answer
geoip_asn(struct geoip *g, const struct addr *addr, uint32_t *asn)
{
	static const char *const number[] = { "autonomous_system_number",
		NULL };
	static const char *const *const paths[] = { number, NULL };

	*asn = 0;
	return ask(g, addr, paths, take_asn, asn);
}
