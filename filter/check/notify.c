#include "check/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "service/post.h"

#define NOTE_SPACE    STR("notify")
#define FACT_PREFIX   "POSTERN_"
#define FACT_NAME_MAX 40
#define ADDRESS_MAX   300
#define SUBJECT_MAX   200
#define MAIL_MAX      (256 * 1024)
#define LOOK_MS	      50

struct job {
	struct job *next;
	enum notify_how how;
	char *to, *same, *key, *text, *via, *hostname;
	char **facts;
};

static struct {
	pthread_mutex_t lock;
	struct job *first, **last;
	int waiting, threads;
} queue = { .lock = PTHREAD_MUTEX_INITIALIZER };

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
	log_event(LOG_EV_NOTIFY, "what=skipped key=%.*s why=%s", STR_FMT(key),
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

/* The store lets only one through, of all hosts that share it, and remembers
 * over restarts; the memory stands in for a store that is down. */
static bool
may_tell(struct services *services, struct str same, struct str key)
{
	struct buf both = BUF_INIT(STORE_KEY_MAX * 2);
	int64_t now = clock_wall_ms();
	bool may;

	buf_addstr(&both, str_sub(key, 0, STORE_KEY_MAX / 2));
	buf_addc(&both, ' ');
	buf_addstr(&both, str_sub(same, 0, STORE_KEY_MAX / 2));
	may = services->store == NULL ||
	    store_note_claim(services->store, NOTE_SPACE, buf_str(&both),
		STR("told"), now + NOTIFY_EVERY_MS) != STORE_OVER;
	may = may && memory_tell(buf_str(&both), now);
	buf_free(&both);
	return may;
}

/* ---- jobs ---- */

static void
job_free(struct job *job)
{
	for (char **f = job->facts; *f != NULL; f++)
		free(*f);
	free(job->facts);
	free(job->to);
	free(job->same);
	free(job->key);
	free(job->text);
	free(job->via);
	free(job->hostname);
	free(job);
}

static char *
copy(struct str s)
{
	return mem_strndup(s.n ? s.p : "", s.n);
}

static struct job *
job_new(const struct notice *n)
{
	struct job *job = mem_alloc(sizeof(*job));
	size_t nfacts = 0;

	while (n->facts != NULL && n->facts[nfacts] != NULL)
		nfacts++;
	job->facts = mem_alloc((nfacts + 1) * sizeof(*job->facts));
	for (size_t i = 0; i < nfacts; i++)
		job->facts[i] = mem_strdup(n->facts[i]);
	job->how = n->how;
	job->to = copy(n->to);
	job->same = copy(n->same);
	job->key = copy(n->key);
	job->text = copy(n->text);
	job->via = copy(n->via);
	job->hostname = copy(n->hostname);
	return job;
}

/* ---- programs ---- */

/* input: -1 for none. */
static int
program_start(char *const argv[], char *const envp[], int input, pid_t *pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int rc;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	if (input >= 0)
		posix_spawn_file_actions_adddup2(&files, input, STDIN_FILENO);
	else
		posix_spawn_file_actions_addopen(&files, STDIN_FILENO,
		    "/dev/null", O_RDWR, 0);
	posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null",
	    O_RDWR, 0);
	posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
	posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setflags(&attr,
	    POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
		POSIX_SPAWN_SETSID);
	rc = posix_spawn(pid, argv[0], &files, &attr, argv, envp);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return rc;
}

/* Waits without being told of the end: old kernels have no pidfd. */
static bool
program_look(pid_t pid, int *status)
{
	const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000 };

	for (int ms = 0; ms < NOTIFY_MAX_MS; ms += LOOK_MS) {
		if (waitpid(pid, status, WNOHANG) != 0)
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

/* What it ended with, as the shell has it. */
static int
program_wait(pid_t pid)
{
	struct pollfd p = { .fd = pidfd_open(pid, 0), .events = POLLIN };
	int status = 0, n;
	bool ended;

	if (p.fd < 0) {
		ended = program_look(pid, &status);
	} else {
		while ((n = poll(&p, 1, NOTIFY_MAX_MS)) < 0 && errno == EINTR)
			continue;
		ended = n > 0;
		if (ended)
			waitpid(pid, &status, 0);
		close(p.fd);
	}
	if (!ended) {
		kill(-pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static bool
program_run(char *const argv[], char *const envp[], int input, struct buf *err)
{
	pid_t pid;
	int rc = program_start(argv, envp, input, &pid);

	if (rc != 0) {
		buf_printf(err, "%s: %s", argv[0], strerror(rc));
		return false;
	}
	if ((rc = program_wait(pid)) != 0)
		buf_printf(err, "status %d", rc);
	return rc == 0;
}

static bool
give_command(const struct job *job, struct buf *err)
{
	char sh[] = "/bin/sh", dash_c[] = "-c";
	char *argv[] = { sh, dash_c, job->to, NULL };

	return program_run(argv, job->facts, -1, err);
}

/* ---- mail ---- */

/* A field is one line of ASCII, whatever a stranger wrote. */
static void
add_plain(struct buf *out, const char *s, size_t max)
{
	for (; *s != '\0' && max > 0; s++, max--)
		buf_addc(out, *s >= ' ' && *s <= '~' ? *s : '?');
}

static void
add_date(struct buf *out)
{
	time_t now = clock_wall_ms() / 1000;
	char text[64] = "";
	struct tm tm;

	if (gmtime_r(&now, &tm) != NULL)
		strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S +0000",
		    &tm);
	buf_printf(out, "Date: %s\r\n", text);
}

/* "POSTERN_QUEUE_ID=4ABC": the name in small letters, and the value. */
static bool
fact_split(const char *fact, char name[FACT_NAME_MAX], const char **value)
{
	const char *eq = strchr(fact, '=');
	size_t n = 0;

	if (strncmp(fact, FACT_PREFIX, sizeof(FACT_PREFIX) - 1) != 0 ||
	    eq == NULL || eq[1] == '\0')
		return false;
	for (fact += sizeof(FACT_PREFIX) - 1;
	     fact < eq && n < FACT_NAME_MAX - 1; fact++)
		name[n++] = (char)chr_lower((unsigned char)*fact);
	name[n] = '\0';
	*value = eq + 1;
	return true;
}

/* RFC 3834: nobody answers it, and no filter of ours tells of it again. */
static void
mail_make(const struct job *job, struct buf *out)
{
	char name[FACT_NAME_MAX];
	const char *value;

	buf_printf(out, "From: postern <postmaster@%s>\r\nTo: ", job->hostname);
	add_plain(out, job->to, ADDRESS_MAX);
	buf_adds(out, "\r\nSubject: postern: ");
	add_plain(out, job->text, SUBJECT_MAX);
	buf_adds(out, "\r\n");
	add_date(out);
	buf_printf(out, "Message-ID: <%llx.%llx@%s>\r\n",
	    (unsigned long long)clock_wall_ms(),
	    (unsigned long long)str_hash(str_of(job->key)), job->hostname);
	buf_adds(out,
	    "Auto-Submitted: auto-generated\r\n"
	    "MIME-Version: 1.0\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\n"
	    "Content-Transfer-Encoding: 8bit\r\n\r\n");
	buf_printf(out, "%s\r\n\r\n", job->text);
	for (char **f = job->facts; *f != NULL; f++)
		if (fact_split(*f, name, &value))
			buf_printf(out, "%-12s %s\r\n", name, value);
	buf_adds(out,
	    "\r\nThe next notice of this kind about this key comes in an "
	    "hour at the earliest.\r\n");
}

/* sendmail(1) wants lines as Unix has them. */
static int
mail_file(struct str mail)
{
	int fd = memfd_create("mail", MFD_CLOEXEC);
	FILE *f;

	if (fd < 0 || (f = fdopen(dup(fd), "w")) == NULL) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	for (size_t i = 0; i < mail.n; i++)
		if (mail.p[i] != '\r')
			fputc(mail.p[i], f);
	fclose(f);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static bool
mail_pipe(const struct job *job, struct str mail, struct buf *err)
{
	char path[] = "/usr/sbin/sendmail", dots[] = "-i", from[] = "-f";
	char null_sender[] = "<>", end[] = "--";
	char *argv[] = { path, dots, from, null_sender, end, job->to, NULL };
	int fd = mail_file(mail);
	bool ok;

	if (fd < 0) {
		buf_adds(err, "no file for the mail");
		return false;
	}
	ok = program_run(argv, job->facts, fd, err);
	close(fd);
	return ok;
}

static bool
give_mail(const struct job *job, struct buf *err)
{
	struct buf mail = BUF_INIT(MAIL_MAX), url = BUF_INIT(1000);
	bool ok;

	mail_make(job, &mail);
	if (strcmp(job->via, "sendmail") == 0) {
		ok = mail_pipe(job, buf_str(&mail), err);
	} else {
		/* the path is the name in EHLO */
		buf_printf(&url, "%s/%s", job->via, job->hostname);
		ok = post_mail(url.p, job->to, buf_str(&mail), NOTIFY_POST_MS,
		    err);
	}
	buf_free(&mail);
	buf_free(&url);
	return ok;
}

/* ---- JSON ---- */

static void
json_field(struct buf *out, const char *name, const char *value)
{
	buf_addc(out, ',');
	buf_json(out, str_of(name));
	buf_addc(out, ':');
	buf_json(out, str_of(value));
}

static bool
give_http(const struct job *job, struct buf *err)
{
	struct buf json = BUF_INIT(MAIL_MAX);
	char name[FACT_NAME_MAX];
	const char *value;
	bool ok;

	buf_printf(&json, "{\"time\":%lld", (long long)clock_wall_ms() / 1000);
	json_field(&json, "host", job->hostname);
	json_field(&json, "key", job->key);
	json_field(&json, "notice", job->text);
	for (char **f = job->facts; *f != NULL; f++)
		if (fact_split(*f, name, &value) && strcmp(name, "key") != 0)
			json_field(&json, name, value);
	buf_adds(&json, "}");
	ok = post_http(job->to, buf_str(&json), NOTIFY_POST_MS, err);
	buf_free(&json);
	return ok;
}

/* ---- the queue ---- */

static void
job_give(const struct job *job)
{
	static bool (*const ways[])(const struct job *, struct buf *) = {
		[NOTIFY_COMMAND] = give_command,
		[NOTIFY_MAIL] = give_mail,
		[NOTIFY_HTTP] = give_http,
	};
	struct buf err = BUF_INIT(1000);

	if (ways[job->how](job, &err))
		log_event(LOG_EV_NOTIFY, "what=given key=%s to=%s", job->key,
		    job->to);
	else
		log_event(LOG_EV_NOTIFY, "what=failed key=%s to=%s why=%.*s",
		    job->key, job->to, STR_FMT(buf_str(&err)));
	buf_free(&err);
}

/* The next one; NULL: the thread is counted no more. */
static struct job *
queue_take(void)
{
	struct job *job;

	pthread_mutex_lock(&queue.lock);
	job = queue.first;
	if (job != NULL) {
		queue.first = job->next;
		queue.waiting--;
	} else {
		queue.threads--;
	}
	pthread_mutex_unlock(&queue.lock);
	return job;
}

static void *
queue_main(void *arg)
{
	struct job *job;

	(void)arg;
	while ((job = queue_take()) != NULL) {
		job_give(job);
		job_free(job);
	}
	return NULL;
}

static bool
thread_start(void)
{
	pthread_attr_t attr;
	pthread_t thread;
	bool ok;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	ok = pthread_create(&thread, &attr, queue_main, NULL) == 0;
	pthread_attr_destroy(&attr);
	return ok;
}

static bool
queue_has_room(void)
{
	bool room;

	pthread_mutex_lock(&queue.lock);
	room = queue.waiting < NOTIFY_WAITING;
	pthread_mutex_unlock(&queue.lock);
	return room;
}

/* Those who give notices end when there is none left. */
static void
queue_add(struct job *job)
{
	bool start;

	pthread_mutex_lock(&queue.lock);
	if (queue.first == NULL)
		queue.last = &queue.first;
	*queue.last = job;
	queue.last = &job->next;
	queue.waiting++;
	start = queue.threads < NOTIFY_AT_ONCE;
	queue.threads += start;
	pthread_mutex_unlock(&queue.lock);
	if (!start || thread_start())
		return;
	/* Another one, or the next notice's, will come to it. */
	pthread_mutex_lock(&queue.lock);
	queue.threads--;
	pthread_mutex_unlock(&queue.lock);
	log_skipped(str_of(job->key), "no thread yet");
}

bool
notify_send(struct services *services, const struct notice *n)
{
	if (n->to.n == 0)
		return false;
	if (!queue_has_room()) {
		log_skipped(n->key, "too many notices are waiting");
		return false;
	}
	if (!may_tell(services, n->same, n->key))
		return false;
	if (services->notify != NULL)
		services->notify(n);
	else
		queue_add(job_new(n));
	return true;
}
