#include "check/notify.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define NOTE_SPACE STR("notify")

struct job {
	char *command;
	char *key;
	char **envp;
};

static atomic_int running;

static struct {
	pthread_mutex_t lock;
	struct {
		uint64_t hash;
		int64_t until_ms;
	} told[NOTIFY_REMEMBERED];
	size_t next;
} memory = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void
log_skipped(struct str key, const char *why)
{
	log_event(LOG_EV_RULE, "notify=skipped key=%.*s why=%s", STR_FMT(key),
	    why);
}

/* true: not told within the hour, and now it is. */
static bool
memory_tell(struct str key, int64_t now)
{
	uint64_t hash = str_hash(key);
	bool told = false;

	pthread_mutex_lock(&memory.lock);
	for (size_t i = 0; i < NOTIFY_REMEMBERED; i++)
		if (memory.told[i].hash == hash &&
		    memory.told[i].until_ms > now)
			told = true;
	if (!told) {
		memory.told[memory.next].hash = hash;
		memory.told[memory.next].until_ms = now + NOTIFY_EVERY_MS;
		memory.next = (memory.next + 1) % NOTIFY_REMEMBERED;
	}
	pthread_mutex_unlock(&memory.lock);
	return !told;
}

/* The store writes in the background: a late note only tells once more. */
static bool
may_tell(struct services *services, struct str command, struct str key)
{
	struct buf both = BUF_INIT(STORE_KEY_MAX * 2);
	int64_t now = clock_wall_ms();
	bool may;

	buf_addstr(&both, str_sub(key, 0, STORE_KEY_MAX / 2));
	buf_addc(&both, ' ');
	buf_addstr(&both, str_sub(command, 0, STORE_KEY_MAX / 2));
	if (services->store == NULL) {
		may = memory_tell(buf_str(&both), now);
	} else {
		may = store_note_get(services->store, NOTE_SPACE,
			  buf_str(&both), NULL, NULL) != STORE_OK;
		if (may)
			store_note_put(services->store, NOTE_SPACE,
			    buf_str(&both), STR("told"), now + NOTIFY_EVERY_MS);
	}
	buf_free(&both);
	return may;
}

static void
job_free(struct job *job)
{
	for (char **e = job->envp; *e != NULL; e++)
		free(*e);
	free(job->envp);
	free(job->command);
	free(job->key);
	free(job);
}

static struct job *
job_new(struct str command, struct str key, char *const envp[])
{
	struct job *job = mem_alloc(sizeof(*job));
	size_t n = 0;

	while (envp != NULL && envp[n] != NULL)
		n++;
	job->envp = mem_alloc((n + 1) * sizeof(*job->envp));
	for (size_t i = 0; i < n; i++)
		job->envp[i] = mem_strdup(envp[i]);
	job->command = mem_strndup(command.p, command.n);
	job->key = mem_strndup(key.n ? key.p : "", key.n);
	return job;
}

static int
job_spawn(const struct job *job, pid_t *pid)
{
	char sh[] = "/bin/sh", dash_c[] = "-c";
	char *argv[] = { sh, dash_c, job->command, NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int rc;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null",
	    O_RDWR, 0);
	posix_spawn_file_actions_adddup2(&files, STDIN_FILENO, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&files, STDIN_FILENO, STDERR_FILENO);
	posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setflags(&attr,
	    POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
		POSIX_SPAWN_SETSID);
	rc = posix_spawn(pid, sh, &files, &attr, argv, job->envp);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return rc;
}

static void
job_wait(const struct job *job, pid_t pid)
{
	struct pollfd p = { .fd = pidfd_open(pid, 0), .events = POLLIN };
	int status = 0;

	if (p.fd >= 0 && poll(&p, 1, NOTIFY_MAX_MS) == 0)
		kill(-pid, SIGKILL);
	if (p.fd >= 0)
		close(p.fd);
	if (waitpid(pid, &status, 0) == pid && status != 0)
		log_event(LOG_EV_RULE, "notify=failed key=%s status=%d",
		    job->key,
		    WIFEXITED(status) ? WEXITSTATUS(status) :
					128 + WTERMSIG(status));
}

static void *
job_main(void *arg)
{
	struct job *job = arg;
	pid_t pid;

	if (job_spawn(job, &pid) == 0)
		job_wait(job, pid);
	else
		log_skipped(str_of(job->key), "no process");
	job_free(job);
	atomic_fetch_sub(&running, 1);
	return NULL;
}

static bool
job_start(struct job *job)
{
	pthread_attr_t attr;
	pthread_t thread;
	bool ok;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	ok = pthread_create(&thread, &attr, job_main, job) == 0;
	pthread_attr_destroy(&attr);
	if (!ok)
		job_free(job);
	return ok;
}

bool
notify_run(struct services *services, struct str command, struct str key,
    char *const envp[])
{
	if (command.n == 0)
		return false;
	if (atomic_fetch_add(&running, 1) >= NOTIFY_AT_ONCE) {
		atomic_fetch_sub(&running, 1);
		log_skipped(key, "too many commands are running");
		return false;
	}
	if (may_tell(services, command, key)) {
		if (job_start(job_new(command, key, envp)))
			return true;
		log_skipped(key, "no thread");
	}
	atomic_fetch_sub(&running, 1);
	return false;
}
