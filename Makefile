# postern: a milter in C.  `make run' and `make check' do everything, from
# missing packages on; README.md says more.  The sources stand in reading
# order.

PREFIX ?= /usr/local
DESTDIR ?=
BUILD ?= build
export DATA ?= ../shared/data
CC ?= cc
FUZZ_SECONDS ?= 60

BASE := mem arena chr str map addr psl clock gate log metric
SERVICE := resolver dns_answer resolver_file resolver_unbound store \
	slots members store_cell store_memory store_row store_writer store_file \
	store_sqlite redis_url redis_wire redis_batch redis_lease redis_link store_redis \
	aside history_zip history_file history post
# What is optional is there or not: files are chosen, not lines.
HAS = $(shell pkg-config --exists $(1) 2>/dev/null && echo yes)
GEOIP := $(call HAS,libmaxminddb)
SERVICE += $(if $(GEOIP),geoip_maxmind,geoip_none)
MAIL := stage session envelope charset header header_mailbox tld field \
	field_word field_address field_pseudo relay relay_line relay_form \
	relay_table body link mime_cut mime html html_entity html_token \
	html_uri view view_line view_type view_part view_decode view_charset \
	view_body view_style view_tag view_html view_text view_attr \
	uri uri_text uri_canon oddity filetype \
	archive archive_pack archive_zip archive_rar archive_7z archive_disk ole inspect uuencode \
	link_host verdict
CHECK := check key taglist spf spf_received spf_eval spf_record spf_macro \
	dkim_canon dkim_key dkim_signature dkim dkim_signer dkim_sign dmarc \
	dmarc_record arc_set arc dnsbl uribl greylist limit limit_book limit_ask notify authres
SCORE := regex perl_share perl_regex meta meta_range meta_need rule \
	rule_trust rule_text condition option replace_tag rule_file ruleset \
	ruleset_report capture tree literal \
	chain nodes walks states automaton prefilter sieve needs outset plan eval_pattern eval_list eval \
	eval_header eval_date eval_forged eval_welcome eval_trusted eval_freemail eval_mime \
	eval_image eval_body eval_html eval_uri eval_relay auth_rule links part_text match \
	demand score score_report
POLICY := diag lex parse parse_define parse_rule parse_condition \
	parse_signing setting table override allowance \
	resolve fact_table fact \
	fact_content fact_auth fact_geo text trace cond act act_call eval policy \
	summary journal record road
MILTER := packet threads glue apply
DAEMON := socket control admin_key admin_rows admin why server message \
	report scan maillog_time maillog limits_report limits_try limits_main \
	cli main

SRCS := $(BASE:%=filter/base/%.c) $(SERVICE:%=filter/service/%.c) \
	$(MAIL:%=filter/mail/%.c) $(CHECK:%=filter/check/%.c) \
	$(SCORE:%=filter/score/%.c) $(POLICY:%=filter/policy/%.c) \
	$(MILTER:%=filter/milter/%.c) $(DAEMON:%=filter/daemon/%.c)
SRCS := $(wildcard $(SRCS))
OBJS := $(SRCS:%.c=$(BUILD)/%.o)
LIB_OBJS := $(filter-out $(BUILD)/filter/daemon/main.o,$(OBJS))

# (libunbound's own entry asks for libevent, which nobody needs here.)
PACKAGES := libpcre2-8 gmime-3.0 sqlite3 hiredis libpsl libidn2 libssl libcrypto zlib liblzma libzstd \
	libcurl $(if $(GEOIP),libmaxminddb)
PKG_CFLAGS := $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
PKG_LIBS := $(shell pkg-config --libs $(PACKAGES) 2>/dev/null)
HEADERS := libmilter/mfapi.h pcre2.h gmime/gmime.h sqlite3.h \
	unbound.h libpsl.h idn2.h openssl/evp.h curl/curl.h \
	zlib.h lzma.h bzlib.h zstd.h hiredis/hiredis.h

WARN := -Wall -Wextra -Wstrict-prototypes -Wmissing-prototypes -Wshadow \
	-Wpointer-arith -Wwrite-strings -Wvla
CFLAGS ?= -O2 -g
HARDEN ?= -D_FORTIFY_SOURCE=2 -fstack-protector-strong
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -pthread -fPIE -Ifilter $(WARN) \
	$(if $(WERROR),-Werror) $(HARDEN) $(PKG_CFLAGS) $(CFLAGS)
ALL_LDFLAGS = -pthread -pie -Wl,-z,relro,-z,now $(LDFLAGS)
LIBS := -lmilter -lunbound -lbz2 $(PKG_LIBS) -lm

all: $(BUILD)/postern

$(BUILD)/postern: $(BUILD)/filter/daemon/main.o $(BUILD)/libpostern.a
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

# Appended, not replaced: two folders may have files of one name.
$(BUILD)/libpostern.a: $(LIB_OBJS)
	@rm -f $@
	ar qcs $@ $^

$(BUILD)/%.o: %.c | $(BUILD)/.headers
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/.headers:
	@printf '#include <%s>\n' $(HEADERS) | $(CC) $(ALL_CFLAGS) \
		-DPCRE2_CODE_UNIT_WIDTH=8 -E -x c -o /dev/null - || \
		{ echo "make: the compiler or a library is missing;" \
		"make deps installs them" >&2; exit 1; }
	@mkdir -p $(@D) && touch $@

# The script that a Redis server runs is part of the program.
$(BUILD)/filter/service/redis_lease.o: filter/service/store_redis.lua

# Unit tests: tests/unit/test_STEM.c is a program of its own.
UNIT := $(patsubst %.c,%,$(notdir $(wildcard tests/unit/test_*.c)))

$(BUILD)/unit/%: tests/unit/%.c $(BUILD)/libpostern.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -Wno-missing-prototypes -MMD -MP -MF $@.d \
		$(ALL_LDFLAGS) -o $@ $< $(BUILD)/libpostern.a -lcmocka $(LIBS)

# libopendkim judges our DKIM, in a program of its own.
$(BUILD)/unit/opendkim_judge: tests/unit/opendkim_judge.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -MF $@.d $(ALL_LDFLAGS) -o $@ $< \
		-lopendkim

$(BUILD)/unit/test_dkim_opendkim: $(BUILD)/unit/opendkim_judge

# Conversations from text files: tests/replay/run plays them.
$(BUILD)/replay: tests/replay/replay.c $(BUILD)/libpostern.a
	$(CC) $(ALL_CFLAGS) -MMD -MP -MF $@.d $(ALL_LDFLAGS) -o $@ $< \
		$(BUILD)/libpostern.a $(LIBS)

# What rules see of a message: tests/sa compares it with SpamAssassin's.
$(BUILD)/sa/%: tests/sa/%.c $(BUILD)/libpostern.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -MF $@.d $(ALL_LDFLAGS) -o $@ $< \
		$(BUILD)/libpostern.a $(LIBS)

# What the stock rules cost a message, with and without the prefilter.
$(BUILD)/bench/%: tests/bench/%.c $(BUILD)/libpostern.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -MF $@.d $(ALL_LDFLAGS) -o $@ $< \
		$(BUILD)/libpostern.a $(LIBS)

# Decisions of limits: tests/bench/run drives it.
$(BUILD)/bench_limits: tests/bench/limits.c $(BUILD)/libpostern.a
	$(CC) $(ALL_CFLAGS) -MMD -MP -MF $@.d $(ALL_LDFLAGS) -o $@ $< \
		$(BUILD)/libpostern.a $(LIBS)

programs: all $(BUILD)/replay $(UNIT:%=$(BUILD)/unit/%) \
	$(patsubst tests/%.c,$(BUILD)/%,$(wildcard tests/sa/*.c))

unit: $(UNIT:%=$(BUILD)/unit/%)
	@tests/run $(BUILD)/postern unit

# Fuzzers: tests/fuzz/fuzz_STEM.c, each against a library of build/fuzz.
FUZZ := $(patsubst %.c,%,$(notdir $(wildcard tests/fuzz/fuzz_*.c)))

$(BUILD)/fuzz_%: tests/fuzz/fuzz_%.c $(BUILD)/libpostern.a
	$(CC) $(ALL_CFLAGS) -Wno-missing-prototypes -fsanitize=fuzzer \
		-MMD -MP -MF $@.d $(ALL_LDFLAGS) -o $@ $< \
		$(BUILD)/libpostern.a $(LIBS)

fuzz-programs: $(FUZZ:%=$(BUILD)/%)

# Other ways to build.  A make of its own each, so that what `deps' has
# just installed is seen.
SAN := -O1 -g -fno-omit-frame-pointer
ASAN := $(SAN) -fsanitize=address,undefined -fno-sanitize-recover=all \
	-DARENA_EMULATE
TSAN := $(SAN) -fsanitize=thread
MAKE_J = $(MAKE) $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))
MAKE_GCC = $(MAKE_J) CC=gcc BUILD=build/gcc WERROR=1
MAKE_CLANG = $(MAKE_J) CC=clang BUILD=build/clang WERROR=1
MAKE_ASAN = $(MAKE_J) CC=gcc BUILD=build/asan HARDEN= CFLAGS="$(ASAN)"
MAKE_TSAN = $(MAKE_J) CC=gcc BUILD=build/tsan HARDEN= CFLAGS="$(TSAN)"
MAKE_FUZZ = $(MAKE_J) CC=clang BUILD=build/fuzz HARDEN= \
	CFLAGS="$(ASAN) -fsanitize=fuzzer-no-link"

deps:
	@tests/deps.sh build

deps-test:
	@tests/deps.sh test

check: deps-test
	+$(MAKE_GCC) programs
	+$(MAKE_CLANG) all
	+$(MAKE_FUZZ) fuzz-programs
	tests/run build/gcc/postern

check-asan: deps-test
	+$(MAKE_ASAN) programs
	POSTERN_SLACK=4 tests/run build/asan/postern unit errors replay odd \
		wire

check-tsan: deps-test
	+$(MAKE_TSAN) programs
	TSAN_OPTIONS=suppressions=$(CURDIR)/tests/tsan.supp \
		POSTERN_SLACK=8 tests/run build/tsan/postern unit errors replay wire

fuzz: deps-test
	+$(MAKE_FUZZ) fuzz-programs
	tests/fuzz/run $(FUZZ_SECONDS)

# SPF against pyspf; `make check' does 300 of these.
spf-random: deps-test
	+$(MAKE_J) build/unit/test_spf_suite
	SPF_CASES=$${SPF_CASES:-20000} build/unit/test_spf_suite 2>/dev/null

# The promise of limits against a model that keeps every timestamp, on each
# kind of store; `make check' does a part of it.
store-property: deps-test
	+$(MAKE_J) build/unit/test_store_property
	STORE_EVENTS=$${STORE_EVENTS:-1000000} build/unit/test_store_property

# Ten million keys of strangers, and those in use keep their counts.
store-flood: deps-test
	+$(MAKE_J) build/unit/test_store_size
	STORE_KEYS=$${STORE_KEYS:-10000000} build/unit/test_store_size

bench: deps-test
	+$(MAKE_J) all $(BUILD)/bench_limits $(BUILD)/bench/rules
	tests/bench/run $(BUILD)/postern

run: deps
	+$(MAKE_J) all
	@mkdir -p build/run
	$(BUILD)/postern run -f -c contrib/postern.conf

lint:
	+$(MAKE_GCC) build/gcc/libpostern.a
	tests/run build/gcc/postern lint

format:
	tests/lint/format --fix

SHARE := $(DESTDIR)$(PREFIX)/share
UNITS := $(DESTDIR)$(PREFIX)/lib/systemd/system

install: all
	install -D $(BUILD)/postern $(DESTDIR)$(PREFIX)/sbin/postern
	for page in $(wildcard filter/*/*.[1-8]); do \
		install -D -m 644 -t $(SHARE)/man/man$${page##*.} $$page; done
	for file in $(wildcard contrib/*.conf); do \
		install -D -m 644 -t $(SHARE)/postern $$file; done
	sed -i 's,/usr/share/postern,$(PREFIX)/share/postern,' \
		$(SHARE)/postern/*.conf
	for file in $(wildcard rules/*.cf); do \
		install -D -m 644 -t $(SHARE)/postern/rules $$file; done
	for unit in $(wildcard contrib/*.service contrib/*.socket); do \
		install -D -m 644 -t $(UNITS) $$unit; done
	sed -i 's,/usr/sbin/postern,$(PREFIX)/sbin/postern,' \
		$(UNITS)/postern.service

clean:
	rm -rf build

.PHONY: all programs unit fuzz-programs deps deps-test check check-asan \
	check-tsan fuzz spf-random store-property store-flood \
	bench run lint format install clean
-include $(OBJS:.o=.d) $(wildcard $(BUILD)/unit/*.d $(BUILD)/fuzz_*.d \
	$(BUILD)/replay.d $(BUILD)/sa/*.d)
