// SPDX-License-Identifier: GPL-2.0
/*
 * The recorder in front of exec(): a program that becomes another one says which,
 * so that losing it can be told, and takes the recorder along, also with an
 * environment that has no word of it, as env -i makes one.
 *
 * vfork() lends its memory to the child. What that becomes is not what the
 * process becomes, so its pid is asked for: here, a system call is at hand.
 */
#define _GNU_SOURCE
#include <alloca.h>
#include <dlfcn.h>
#include <errno.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "kheap_append.h"
#include "kheap_ring.h"

extern char **environ;

/* The functions this library stands in front of. */
static struct {
	int (*execve)(const char *path, char *const argv[], char *const envp[]);
	int (*execvpe)(const char *file, char *const argv[], char *const envp[]);
	int (*fexecve)(int fd, char *const argv[], char *const envp[]);
	int (*execveat)(int fd, const char *path, char *const argv[],
			char *const envp[], int flags);
	__typeof__(posix_spawn) *posix_spawn, *posix_spawnp;
	int (*prctl)(int option, unsigned long a, unsigned long b,
		     unsigned long c, unsigned long d);
} real;

/* What an environment needs, as NAME=VALUE; empty if it was not there. */
static const char *const names[] = {
	"LD_PRELOAD=", "KHEAP_RECORD_RING=", "KHEAP_RECORD_PID="
};

#define NR_NAMES	(sizeof(names) / sizeof(names[0]))
#define MOST_VARIABLES	512

static char kept[NR_NAMES][PATH_MOST + 64];

static const char *find(char *const *env, const char *name)
{
	size_t len = strlen(name);

	for (; env && *env; env++)
		if (!strncmp(*env, name, len))
			return *env;
	return NULL;
}

void exec_start(void)
{
	if (real.execve)
		return;
	real.execve = dlsym(RTLD_NEXT, "execve");
	real.execvpe = dlsym(RTLD_NEXT, "execvpe");
	real.fexecve = dlsym(RTLD_NEXT, "fexecve");
	real.execveat = dlsym(RTLD_NEXT, "execveat");
	real.posix_spawn = dlsym(RTLD_NEXT, "posix_spawn");
	real.posix_spawnp = dlsym(RTLD_NEXT, "posix_spawnp");
	real.prctl = dlsym(RTLD_NEXT, "prctl");
	for (size_t i = 0; i < NR_NAMES; i++) {
		const char *found = find(environ, names[i]);

		if (found && strlen(found) < sizeof(kept[i]))
			strcpy(kept[i], found);
	}
}

/* Whether it is the recorded process that becomes another, not a vfork() child. */
static bool is_recorded(void)
{
	pid_t pid;

	exec_start();
	pid = append_pid();

	return pid && pid == getpid();
}

/* How many pointers an environment with the recorder has; 0: take it as it is. */
static size_t nr_with_recorder(char *const *env, bool recorded)
{
	size_t nr = 0;
	bool has_all = true;

	if (!kept[1][0] || !(recorded || append_children()))
		return 0;
	for (size_t i = 0; i < NR_NAMES; i++)
		has_all &= !kept[i][0] || find(env, names[i]);
	for (; env && env[nr]; nr++)
		;
	return has_all || nr > MOST_VARIABLES ? 0 : nr + NR_NAMES + 1;
}

static char *const *fill(char **copy, char *const *env)
{
	size_t nr = 0;

	for (size_t i = 0; i < NR_NAMES; i++)
		if (kept[i][0] && !find(env, names[i]))
			copy[nr++] = kept[i];
	for (; env && *env; env++)
		copy[nr++] = *env;
	copy[nr] = NULL;
	return copy;
}

/* The environment with the recorder, on the caller's stack. */
#define WITH_RECORDER(env, recorded) __extension__ ({			\
	char *const *__env = (char *const *)(env);			\
	size_t __nr = nr_with_recorder(__env, recorded);		\
									\
	__nr ? fill(alloca(__nr * sizeof(char *)), __env) : __env;	\
})

/* Says what this process is about to become. */
static void tell(bool recorded, const char *path)
{
	size_t len = path ? strlen(path) : 0;

	if (!recorded)
		return;
	for (size_t at = 0; !at || (at < len && at < IMAGE_BYTES - 1); at += 24) {
		size_t part = len - at < 24 ? len - at : 24;
		char text[24] = "";

		memcpy(text, path + at, part);
		append_text(RAW_EXEC, part | (at ? 0 : RAW_EXEC_FIRST), text);
	}
}

/* It has not become it. */
static int failed(bool recorded, int result)
{
	static const char none[24];
	int error = errno;

	if (recorded)
		append_text(RAW_EXEC_FAILED, 0, none);
	errno = error;
	return result;
}

EXPORT int execve(const char *path, char *const argv[], char *const envp[])
{
	bool recorded = is_recorded();

	tell(recorded, path);
	return failed(recorded, real.execve(path, argv,
					    WITH_RECORDER(envp, recorded)));
}

EXPORT int execvpe(const char *file, char *const argv[], char *const envp[])
{
	bool recorded = is_recorded();

	tell(recorded, file);
	return failed(recorded, real.execvpe(file, argv,
					     WITH_RECORDER(envp, recorded)));
}

EXPORT int fexecve(int fd, char *const argv[], char *const envp[])
{
	bool recorded = is_recorded();

	tell(recorded, argv[0] ? argv[0] : "");
	return failed(recorded, real.fexecve(fd, argv,
					     WITH_RECORDER(envp, recorded)));
}

EXPORT int execveat(int fd, const char *path, char *const argv[],
		    char *const envp[], int flags)
{
	bool recorded = is_recorded();

	if (!real.execveat) {
		errno = ENOSYS;
		return -1;
	}
	tell(recorded, *path ? path : argv[0] ? argv[0] : "");
	return failed(recorded, real.execveat(fd, path, argv,
					      WITH_RECORDER(envp, recorded), flags));
}

EXPORT int execv(const char *path, char *const argv[])
{
	return execve(path, argv, environ);
}

EXPORT int execvp(const char *file, char *const argv[])
{
	return execvpe(file, argv, environ);
}

/* The arguments of an execl() as an array, on the caller's stack. */
#define ARGUMENTS(argv, first, end) do {				\
	va_list __args;							\
	size_t __nr = 1;						\
									\
	va_start(__args, first);					\
	while (va_arg(__args, char *))					\
		__nr++;							\
	va_end(__args);							\
	(argv) = alloca((__nr + 1) * sizeof(char *));			\
	va_start(__args, first);					\
	(argv)[0] = (char *)(first);					\
	for (size_t __i = 1; __i <= __nr; __i++)			\
		(argv)[__i] = va_arg(__args, char *);			\
	end;								\
	va_end(__args);							\
} while (0)

EXPORT int execl(const char *path, const char *arg, ...)
{
	char **argv;

	ARGUMENTS(argv, arg, );
	return execve(path, argv, environ);
}

EXPORT int execlp(const char *file, const char *arg, ...)
{
	char **argv;

	ARGUMENTS(argv, arg, );
	return execvpe(file, argv, environ);
}

EXPORT int execle(const char *path, const char *arg, ...)
{
	char **argv, **envp;

	ARGUMENTS(argv, arg, envp = va_arg(__args, char **));
	return execve(path, argv, envp);
}

EXPORT int posix_spawn(pid_t *pid, const char *path,
		       const posix_spawn_file_actions_t *actions,
		       const posix_spawnattr_t *attr, char *const argv[],
		       char *const envp[])
{
	exec_start();
	return real.posix_spawn(pid, path, actions, attr, argv,
				WITH_RECORDER(envp, false));
}

EXPORT int posix_spawnp(pid_t *pid, const char *file,
			const posix_spawn_file_actions_t *actions,
			const posix_spawnattr_t *attr, char *const argv[],
			char *const envp[])
{
	exec_start();
	return real.posix_spawnp(pid, file, actions, attr, argv,
				 WITH_RECORDER(envp, false));
}

/* The first sandbox of the kernel takes the clock away, and so can a program. */
EXPORT int prctl(int option, ...)
{
	unsigned long a, b, c, d;
	va_list args;

	va_start(args, option);
	a = va_arg(args, unsigned long);
	b = va_arg(args, unsigned long);
	c = va_arg(args, unsigned long);
	d = va_arg(args, unsigned long);
	va_end(args);
	if (option == PR_SET_SECCOMP || option == PR_SET_TSC)
		append_coarse_clock();
	exec_start();
	return real.prctl(option, a, b, c, d);
}
