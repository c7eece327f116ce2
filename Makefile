# postern: a milter in C.  `make run' and `make check' do everything;
# README.md says more.  The sources stand in reading order.

PREFIX ?= /usr/local
DESTDIR ?=
BUILD ?= build
DATA ?= ../shared/data
CC ?= cc

BASE := mem arena str map addr clock log metric
SERVICE := resolver dns_answer resolver_file resolver_unbound store \
	store_memory store_sqlite
MAIL := stage session envelope charset header mailbox body mime html verdict
CHECK := check key spf spf_record spf_dns dkim dmarc dnsbl greylist limit \
	notify authres
SCORE := regex rule_parse rule_compile rule_match meta report
POLICY := diag lex parse parse_rule setting table resolve fact_table \
	fact text trace cond act act_call eval policy journal \
	road
MILTER := threads glue apply
DAEMON := socket server control cli scan report main

SRCS := $(BASE:%=filter/base/%.c) $(SERVICE:%=filter/service/%.c) \
	$(MAIL:%=filter/mail/%.c) $(CHECK:%=filter/check/%.c) \
	$(SCORE:%=filter/score/%.c) $(POLICY:%=filter/policy/%.c) \
	$(MILTER:%=filter/milter/%.c) $(DAEMON:%=filter/daemon/%.c)
SRCS := $(wildcard $(SRCS))
MAIN := filter/daemon/main.c
OBJS := $(SRCS:%.c=$(BUILD)/%.o)
LIB_OBJS := $(filter-out $(BUILD)/filter/daemon/main.o,$(OBJS))

PACKAGES := libpcre2-8 gmime-3.0 sqlite3 libunbound libpsl libidn2 opendkim
PKG_CFLAGS := $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
PKG_LIBS := $(shell pkg-config --libs $(PACKAGES) 2>/dev/null)

WARN := -Wall -Wextra -Wstrict-prototypes -Wmissing-prototypes -Wshadow \
	-Wpointer-arith -Wwrite-strings
CFLAGS ?= -O2 -g
HARDEN ?= -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -pthread -Ifilter $(WARN) \
	$(if $(WERROR),-Werror) $(HARDEN) $(PKG_CFLAGS) $(CFLAGS)
ALL_LDFLAGS = -pthread -pie -Wl,-z,relro,-z,now $(LDFLAGS)
LIBS := -lmilter -lspf2 $(PKG_LIBS) -lm

all: $(BUILD)/postern

$(BUILD)/postern: $(BUILD)/filter/daemon/main.o $(BUILD)/libpostern.a
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/libpostern.a: $(LIB_OBJS)
	rm -f $@
	ar rcs $@ $^

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# Unit tests: tests/unit/test_STEM.c is a program of its own.
UNIT := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))

$(BUILD)/unit/%: tests/unit/%.c $(BUILD)/libpostern.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -Wno-missing-prototypes -MMD -MP -MF $@.d \
		$(ALL_LDFLAGS) -o $@ $< $(BUILD)/libpostern.a -lcmocka $(LIBS)

unit: $(UNIT:%=$(BUILD)/unit/%)
	@for t in $^; do DATA=$(DATA) $$t || exit 1; done

clean:
	rm -rf build

.PHONY: all unit clean
-include $(OBJS:.o=.d) $(wildcard $(BUILD)/unit/*.d)
