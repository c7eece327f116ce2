#include "base/gate.h"

#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

uint32_t
gate_number(struct gate *g)
{
	return atomic_load(&g->opened);
}

void
gate_wait(struct gate *g, uint32_t number)
{
	syscall(SYS_futex, &g->opened, FUTEX_WAIT_PRIVATE, number, NULL, NULL,
	    0);
}

void
gate_open(struct gate *g, int n)
{
	atomic_fetch_add(&g->opened, 1);
	syscall(SYS_futex, &g->opened, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
}
