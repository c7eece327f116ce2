#include "service/redis_lease.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "service/redis_batch.h"

/* The script, as the assembler finds it from the top of the sources. */
__asm__(".section .rodata\n"
	".global redis_lease_script, redis_lease_script_end\n"
	"redis_lease_script: .incbin \"filter/service/store_redis.lua\"\n"
	"redis_lease_script_end: .byte 0\n"
	".previous\n");
extern const char redis_lease_script[], redis_lease_script_end[];

/* Takes the lease over: what it said of the last batches, which stays until the
 * next, and the secret all posterns share. */
#define BEGIN                                              \
	"local said = redis.call('GET', KEYS[1]) or '' "   \
	"local now = tonumber(ARGV[2]) "                   \
	"if not now then local t = redis.call('TIME') "    \
	"now = t[1] * 1000 + math.floor(t[2] / 1000) end " \
	"said = string.gsub(said, '^%x*:0:........', '') " \
	"redis.call('SET', KEYS[1], ARGV[1] .. ':0:' .. "  \
	"struct.pack('<d', now) .. said, 'PX', ARGV[4]) "  \
	"redis.call('SET', KEYS[2], ARGV[3], 'NX') "       \
	"return { said, redis.call('GET', KEYS[2]) }"

static void
random_id(char out[REDIS_ID_LEN + 1])
{
	uint64_t id = 0;

	if (getrandom(&id, sizeof(id), 0) < 0)
		id = (uint64_t)clock_mono_us() * 0x9e3779b97f4a7c15;
	snprintf(out, REDIS_ID_LEN + 1, "%016llx", (unsigned long long)id);
}

void
redis_lease_init(struct redis_lease *l, bool own_clock)
{
	char proc[REDIS_ID_LEN + 1];

	random_id(proc);
	snprintf(l->name, sizeof(l->name), REDIS_PREFIX "l:%s", proc);
	l->own_clock = own_clock;
}

static struct str
own_time(const struct redis_lease *l, char out[24])
{
	if (!l->own_clock)
		return STR("");
	snprintf(out, 24, "%lld", (long long)clock_wall_ms());
	return str_of(out);
}

bool
redis_lease_load(struct redis_lease *l, struct redis_wire *wire,
    struct buf *why)
{
	struct str script = { redis_lease_script,
		redis_lease_script_end - redis_lease_script };
	redisReply *r;
	bool ok;

	r = redis_wire_ask(wire,
	    (struct str[]){ STR("SCRIPT"), STR("LOAD"), script }, 3, why);
	if (r == NULL)
		return false;
	ok = r->type == REDIS_REPLY_STRING && r->len == 40;
	if (ok)
		memcpy(l->sha, r->str, 41);
	else
		buf_adds(why, "SCRIPT LOAD gave no name");
	freeReplyObject(r);
	return ok;
}

bool
redis_lease_tells(struct str *said, const char *epoch, uint64_t seq, size_t n,
    struct str *codes, int64_t *when_ms)
{
	char head[REDIS_ID_LEN + 32];
	size_t at;

	snprintf(head, sizeof(head), "%s:%llu:", epoch,
	    (unsigned long long)seq);
	at = strlen(head);
	if (!str_starts(*said, str_of(head)) || said->n < at + 8 + n)
		return false;
	*when_ms = redis_get_number(said->p + at);
	*codes = str_sub(*said, at + 8, at + 8 + n);
	*said = str_sub(*said, at + 8 + n, said->n);
	return true;
}

static void
lease_set_secret(struct redis_lease *l, const char *text)
{
	char half[REDIS_ID_LEN + 1] = "";

	for (size_t i = 0; i < 2; i++) {
		memcpy(half, text + i * REDIS_ID_LEN, REDIS_ID_LEN);
		l->secret[i] = strtoull(half, NULL, 16);
	}
}

bool
redis_lease_begin(struct redis_lease *l, struct redis_wire *wire,
    struct buf *said, struct buf *why)
{
	char now[24], stay[24], secret[2 * REDIS_ID_LEN + 1],
	    epoch[REDIS_ID_LEN + 1];
	redisReply *r;
	bool ok;

	snprintf(stay, sizeof(stay), "%d", REDIS_STAY_MS);
	random_id(epoch);
	random_id(secret);
	random_id(secret + REDIS_ID_LEN);
	r = redis_wire_ask(wire,
	    (struct str[]){ STR("EVAL"), STR(BEGIN), STR("2"), str_of(l->name),
		STR(REDIS_PREFIX "s"), str_of(epoch), own_time(l, now),
		str_of(secret), str_of(stay) },
	    9, why);
	if (r == NULL)
		return false;
	ok = r->type == REDIS_REPLY_ARRAY && r->elements == 2 &&
	    r->element[0]->type == REDIS_REPLY_STRING &&
	    r->element[1]->type == REDIS_REPLY_STRING &&
	    r->element[1]->len == 2 * REDIS_ID_LEN;
	if (ok) {
		memcpy(l->epoch, epoch, sizeof(epoch));
		lease_set_secret(l, r->element[1]->str);
		buf_add(said, r->element[0]->str, r->element[0]->len);
	} else {
		buf_adds(why, "no lease to be had");
	}
	freeReplyObject(r);
	return ok;
}

void
redis_lease_end(const struct redis_lease *l, struct redis_wire *wire)
{
	struct buf ignored = BUF_INIT(1024);
	redisReply *r;

	r = redis_wire_ask(wire, (struct str[]){ STR("DEL"), str_of(l->name) },
	    2, &ignored);
	if (r)
		freeReplyObject(r);
	buf_free(&ignored);
}

static bool
info_says(struct redis_wire *wire, struct str section, struct str line)
{
	struct buf ignored = BUF_INIT(1024);
	redisReply *r;
	bool says = false;

	r = redis_wire_ask(wire, (struct str[]){ STR("INFO"), section }, 2,
	    &ignored);
	if (r && r->type == REDIS_REPLY_STRING)
		says = str_find((struct str){ r->str, r->len }, line) >= 0;
	if (r)
		freeReplyObject(r);
	buf_free(&ignored);
	return says;
}

void
redis_lease_warn(struct redis_wire *wire, struct str spec)
{
	if (info_says(wire, STR("persistence"), STR("aof_enabled:0")))
		log_event(LOG_EV_STORE,
		    "store=%.*s warning=\"the server keeps no append-only "
		    "file: it forgets when it dies\"",
		    STR_FMT(spec));
	if (!info_says(wire, STR("memory"), STR("maxmemory:0\r")) &&
	    !info_says(wire, STR("memory"), STR("maxmemory_policy:noeviction")))
		log_event(LOG_EV_STORE,
		    "store=%.*s warning=\"the server may evict keys, and "
		    "limits with them\"",
		    STR_FMT(spec));
}
