#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"

static void
test_zeroed(void **state)
{
	unsigned char *p = mem_alloc(5000);

	(void)state;
	for (size_t i = 0; i < 5000; i++)
		assert_int_equal(p[i], 0);
	memset(p, 7, 5000);
	p = mem_resize(p, 100000);
	for (size_t i = 0; i < 5000; i++)
		assert_int_equal(p[i], 7);
	free(p);
	p = mem_alloc(0);
	assert_non_null(p);
	p = mem_resize(p, 0);
	assert_non_null(p);
	free(p);
}

static void
test_copies(void **state)
{
	char raw[3] = { 'a', 'b', 'c' };
	char *s = mem_strndup(raw, 3);

	(void)state;
	assert_string_equal(s, "abc");
	free(s);
	s = mem_strndup("ab", 100);
	assert_string_equal(s, "ab");
	free(s);
	s = mem_strdup("");
	assert_string_equal(s, "");
	free(s);
}

/* The process ends, with one line that says why. */
static void
test_exhaustion(void **state)
{
	char line[100] = "";
	int fds[2], status;
	pid_t pid;

	(void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	skip();	/* their malloc ends the process itself */
#endif
	assert_int_equal(pipe(fds), 0);
	if ((pid = fork()) == 0) {
		dup2(fds[1], STDERR_FILENO);
		mem_alloc(SIZE_MAX / 2);
		_exit(0);
	}
	close(fds[1]);
	assert_true(read(fds[0], line, sizeof(line) - 1) > 0);
	assert_string_equal(line, "postern: out of memory\n");
	assert_int_equal(read(fds[0], line, 1), 0);
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EX_OSERR);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zeroed),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_exhaustion),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
