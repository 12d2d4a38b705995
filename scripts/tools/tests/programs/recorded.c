// SPDX-License-Identifier: GPL-2.0
/*
 * What programs do between two requests to malloc(), one way a run: the recorder
 * must neither change it nor lose an event of it. "recorded MODE [ARG]" prints
 * what it found and ends with 0; test_record.py runs it alone and recorded.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define LEN(array)	(sizeof(array) / sizeof((array)[0]))

extern char **environ;

static long argument;			/* ARG, or 0 */
static char *own_path;
static volatile int nr_signals;

static void die(const char *what)
{
	fprintf(stderr, "recorded: %s: %s\n", what, strerror(errno));
	exit(9);
}

/* Makes nr pairs of requests. */
static void churn(long nr)
{
	void *volatile block;

	for (long i = 0; i < nr; i++) {
		block = malloc(i % 500 + 1);
		free(block);
	}
}

static void wait_for(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || status)
		die("a child");
}

static int do_churn(void)
{
	churn(argument);
	return 0;
}

/* --- Signals and forks ----------------------------------------------------- */

/* One child in two ends here, the other goes on with what was interrupted. */
static void fork_now(int number)
{
	pid_t pid = fork();

	(void)number;
	nr_signals++;
	if (pid)
		return;
	signal(SIGALRM, SIG_IGN);
	if (nr_signals % 2)
		_exit(0);
	nr_signals = 1 << 30;
}

static int do_fork_in_handler(void)
{
	struct itimerval often = { { 0, 1000 }, { 0, 1000 } };
	void *volatile block;

	signal(SIGALRM, fork_now);
	setitimer(ITIMER_REAL, &often, NULL);
	for (long i = 0; nr_signals < argument; i++) {
		block = malloc(i % 500 + 1);
		free(block);
	}
	if (nr_signals >= 1 << 30) {
		churn(3000);
		_exit(0);
	}
	setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
	while (wait(NULL) > 0)
		;
	return 0;
}

/* A small stack and no more: what is below it cannot be touched. */
static void churn_now(int number)
{
	(void)number;
	churn(20);
	nr_signals++;
}

static int do_alternate_stack(void)
{
	struct itimerval often = { { 0, 500 }, { 0, 500 } };
	long page = sysconf(_SC_PAGESIZE), room = sysconf(_SC_SIGSTKSZ);
	struct sigaction act = { .sa_handler = churn_now, .sa_flags = SA_ONSTACK };
	stack_t stack = { 0 };
	char *map;

	room = (room + page - 1) / page * page;
	map = mmap(NULL, room + page, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED || mprotect(map, page, PROT_NONE))
		die("mmap");
	stack.ss_sp = map + page;
	stack.ss_size = room;
	if (sigaltstack(&stack, NULL))
		die("sigaltstack");
	/* The handler's requests are its own: malloc() is not to be interrupted. */
	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	while (nr_signals < 200)
		pause();
	return 0;
}

/* As a sandbox does it: no handler of the C library runs. */
static int do_raw_clone(void)
{
	churn(1000);
	for (int i = 0; i < 20; i++) {
		pid_t pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

		churn(2000);
		if (!pid)
			_exit(0);
		wait_for(pid);
	}
	return 0;
}

static int do_fork(void)
{
	for (int i = 0; i < argument; i++) {
		pid_t pid = fork();

		churn(1000);
		if (!pid)
			_exit(0);
		wait_for(pid);
	}
	return 0;
}

static int do_vfork(void)
{
	for (int i = 0; i < 20; i++) {
		pid_t pid = vfork();

		if (!pid) {
			void *volatile block = malloc(100);

			free(block);
			execl(own_path, own_path, "churn", "0", NULL);
			_exit(1);
		}
		churn(1000);
		wait_for(pid);
	}
	return 0;
}

/* --- Threads --------------------------------------------------------------- */

static void *one_pair(void *arg)
{
	churn(1);
	return arg;
}

static void *many_reallocs(void *arg)
{
	for (int i = 0; i < 500; i++) {
		char *volatile block = malloc(16);

		for (size_t size = 32; size < 200000; size *= 2)
			block = realloc(block, size);
		free(block);
	}
	return arg;
}

static int do_threads(void)
{
	pthread_t threads[4];

	for (long i = 0; i < argument; i++) {
		if (pthread_create(&threads[0], NULL, one_pair, NULL))
			die("pthread_create");
		pthread_join(threads[0], NULL);
	}
	for (size_t i = 0; i < LEN(threads); i++)
		pthread_create(&threads[i], NULL, many_reallocs, NULL);
	for (size_t i = 0; i < LEN(threads); i++)
		pthread_join(threads[i], NULL);
	return 0;
}

static void *for_ever(void *arg)
{
	for (;;)
		churn(1000);
	return arg;
}

static int do_killed(void)
{
	pthread_t thread;

	for (int i = 0; i < 3; i++)
		pthread_create(&thread, NULL, for_ever, NULL);
	usleep(200000);
	kill(getpid(), SIGKILL);
	return 0;
}

/* --- What it may not do any more ------------------------------------------- */

/* From here on, any system call but these four ends it. */
static int do_strict(void)
{
	churn(1000);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0))
		die("seccomp");
	churn(300000);
	syscall(SYS_exit, 0);
	return 1;
}

/* Only write() and exit_group(). */
static int do_filter(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { LEN(filter), filter };

	churn(1000);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program))
		die("seccomp");
	churn(300000);
	syscall(SYS_exit_group, 0);
	return 1;
}

static void limit(int resource, rlim_t value)
{
	struct rlimit both = { value, value };

	if (setrlimit(resource, &both))
		die("setrlimit");
}

/* Its descriptors are its own: all closed, then all in use. */
static int do_descriptors(void)
{
	char name[] = "descriptors.XXXXXX", text[] = "mine\n", read[8] = "";
	int fd;

	for (fd = 3; fd < 1024; fd++)
		close(fd);
	limit(RLIMIT_NOFILE, 8);
	churn(1000);
	fd = mkstemp(name);
	unlink(name);
	while (dup(fd) >= 0)
		;
	churn(300000);
	if (write(fd, text, sizeof(text)) != sizeof(text) ||
	    pread(fd, read, sizeof(read), 0) != sizeof(text))
		die("its file");
	printf("%s", read);
	return 0;
}

static int do_file_size(void)
{
	limit(RLIMIT_FSIZE, 0);
	churn(300000);
	return 0;
}

/* A megabyte more than it has, and most of it is to be had. */
static int do_address_space(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	unsigned long pages;
	void *volatile block;

	if (!file || fscanf(file, "%lu", &pages) != 1)
		die("statm");
	fclose(file);
	limit(RLIMIT_AS, pages * sysconf(_SC_PAGESIZE) + (4 << 20));
	churn(300000);
	block = malloc(3 << 20);
	if (!block)
		die("malloc");
	free(block);
	return 0;
}

static int do_locked(void)
{
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		die("mlockall");
	churn(300000);
	return 0;
}

static int do_other_user(void)
{
	if (setgroups(0, NULL) || setresgid(65534, 65534, 65534) ||
	    setresuid(65534, 65534, 65534))
		die("setresuid");
	churn(300000);
	return 0;
}

static int do_other_root(void)
{
	if (chroot("/proc/self/fdinfo") || chdir("/"))
		die("chroot");
	churn(300000);
	return 0;
}

/* --- Other programs -------------------------------------------------------- */

/* Becomes itself, in each way that there is; the last one makes requests. */
static int do_exec(void)
{
	char next[16], *argv[] = { own_path, "exec", next, NULL };
	int way = argument;

	churn(100);
	snprintf(next, sizeof(next), "%d", way + 1);
	execl("/nonexistent", "nonexistent", NULL);
	switch (way) {
	case 0:
		execl(own_path, own_path, "exec", next, NULL);
		break;
	case 1:
		execlp(own_path, own_path, "exec", next, NULL);
		break;
	case 2:
		execle(own_path, own_path, "exec", next, NULL, (char *[]){ NULL });
		break;
	case 3:
		execv(own_path, argv);
		break;
	case 4:
		execvp(own_path, argv);
		break;
	case 5:
		execve(own_path, argv, (char *[]){ "A=b", NULL });
		break;
	case 6:
		execvpe(own_path, argv, environ);
		break;
	case 7:
		fexecve(open(own_path, O_RDONLY | O_CLOEXEC), argv, environ);
		break;
	case 8:
		execveat(AT_FDCWD, own_path, argv, environ, 0);
		break;
	default:
		churn(1000);
		return 0;
	}
	die("exec");
	return 1;
}

static int do_spawn(void)
{
	char *argv[] = { own_path, "churn", "500", NULL };
	pid_t pid;

	if (posix_spawn(&pid, own_path, NULL, NULL, argv, (char *[]){ NULL }))
		die("posix_spawn");
	wait_for(pid);
	if (posix_spawnp(&pid, own_path, NULL, NULL, argv, environ))
		die("posix_spawnp");
	wait_for(pid);
	return 0;
}

/* Its parent is gone at once; it works for ARG milliseconds. */
static int do_daemon(void)
{
	if (fork())
		return 0;
	setsid();
	for (long i = 0; i < argument / 10; i++) {
		churn(100);
		usleep(10000);
	}
	return 0;
}

static const struct {
	const char *name;
	int (*run)(void);
} modes[] = {
	{ "churn", do_churn },
	{ "fork-in-handler", do_fork_in_handler },
	{ "alternate-stack", do_alternate_stack },
	{ "raw-clone", do_raw_clone },
	{ "fork", do_fork },
	{ "vfork", do_vfork },
	{ "threads", do_threads },
	{ "killed", do_killed },
	{ "strict", do_strict },
	{ "filter", do_filter },
	{ "descriptors", do_descriptors },
	{ "file-size", do_file_size },
	{ "address-space", do_address_space },
	{ "locked", do_locked },
	{ "other-user", do_other_user },
	{ "other-root", do_other_root },
	{ "exec", do_exec },
	{ "spawn", do_spawn },
	{ "daemon", do_daemon },
};

int main(int argc, char **argv)
{
	own_path = argv[0];
	argument = argc > 2 ? atol(argv[2]) : 0;
	for (size_t i = 0; argc > 1 && i < LEN(modes); i++)
		if (!strcmp(argv[1], modes[i].name))
			return modes[i].run();
	fprintf(stderr, "recorded: no such mode\n");
	return 2;
}
