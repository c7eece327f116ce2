#include "base/metric.h"

#include <inttypes.h>
#include <stdatomic.h>

enum metric_kind { METRIC_KIND_COUNTER, METRIC_KIND_GAUGE };

static const struct {
	enum metric_kind kind;
	const char	*name, *help;
} metrics[] = {
#define X(id, kind, name, help) { METRIC_KIND_##kind, name, help },
	METRICS(X)
#undef X
};

static _Atomic int64_t values[METRIC_COUNT];

void
metric_inc(enum metric m)
{
	metric_add(m, 1);
}

void
metric_add(enum metric m, int64_t n)
{
	atomic_fetch_add_explicit(&values[m], n, memory_order_relaxed);
}

int64_t
metric_get(enum metric m)
{
	return atomic_load_explicit(&values[m], memory_order_relaxed);
}

const char *
metric_name(enum metric m)
{
	return metrics[m].name;
}

const char *
metric_help(enum metric m)
{
	return metrics[m].help;
}

void
metric_prometheus(struct buf *b)
{
	static const char *const kinds[] = { "counter", "gauge" };
	const char *name, *kind;

	for (int m = 0; m < METRIC_COUNT; m++) {
		name = metrics[m].name;
		kind = kinds[metrics[m].kind];
		buf_printf(b, "# HELP postern_%s %s\n", name, metrics[m].help);
		buf_printf(b, "# TYPE postern_%s %s\n", name, kind);
		buf_printf(b, "postern_%s %" PRId64 "\n", name, metric_get(m));
	}
}

void
metric_json(struct buf *b)
{
	for (int m = 0; m < METRIC_COUNT; m++) {
		buf_addc(b, m == 0 ? '{' : ',');
		buf_json(b, str_of(metrics[m].name));
		buf_printf(b, ":%" PRId64, metric_get(m));
	}
	buf_addc(b, '}');
}
