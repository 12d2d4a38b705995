// SPDX-License-Identifier: GPL-2.0
/*
 * First process of the virtual machine, linked statically into the initramfs.
 *
 * It inserts the modules that 9p and overlayfs need, mounts the host's root, or
 * another one that run.py chose, read-only under an overlay, moves there, runs one command with its output
 * on virtio ports, and reports the command's status to run.py.
 *
 * /conf holds NUL-terminated records KEY=VALUE, written by run.py.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define NR_MAX 512
#define MOUNT_9P "trans=virtio,version=9p2000.L,msize=512000,"

struct conf {
	char *modules[NR_MAX];
	char *shares[NR_MAX];
	char *seen[NR_MAX];
	char *binds[NR_MAX];
	char *args[NR_MAX];
	char *cwd;
	char *name;
	bool tty;
	unsigned short rows, cols;
};

static struct conf conf;

static void give_up(const char *fmt, ...)
{
	va_list ap;

	fputs("kheap-init: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, ": %s\n", strerror(errno));
	sync();
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}

/* Reading the configuration */

static void append(char **list, char *value)
{
	int n = 0;

	while (list[n])
		n++;
	if (n == NR_MAX - 1) {
		errno = E2BIG;
		give_up("too many values in /conf");
	}
	list[n] = value;
}

static void set_option(const char *key, char *value)
{
	if (!strcmp(key, "module"))
		append(conf.modules, value);
	else if (!strcmp(key, "share"))
		append(conf.shares, value);
	else if (!strcmp(key, "see"))
		append(conf.seen, value);
	else if (!strcmp(key, "bind"))
		append(conf.binds, value);
	else if (!strcmp(key, "arg"))
		append(conf.args, value);
	else if (!strcmp(key, "env"))
		putenv(value);
	else if (!strcmp(key, "cwd"))
		conf.cwd = value;
	else if (!strcmp(key, "name"))
		conf.name = value;
	else if (!strcmp(key, "tty"))
		conf.tty = sscanf(value, "%hu,%hu", &conf.rows, &conf.cols) == 2;
}

static void read_conf(void)
{
	int fd = open("/conf", O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *data, *end, *sep;

	if (fd < 0 || fstat(fd, &st))
		give_up("/conf");
	data = calloc(1, st.st_size + 1);
	if (!data || read(fd, data, st.st_size) != st.st_size)
		give_up("reading /conf");
	close(fd);
	for (end = data + st.st_size; data < end; data += strlen(data) + 1) {
		sep = strchr(data, '=');
		if (!sep)
			continue;
		*sep = '\0';
		set_option(data, sep + 1);
		*sep = '=';
	}
}

/* Bringing the system up */

static void insert_modules(void)
{
	char **path;
	int fd;

	for (path = conf.modules; *path; path++) {
		fd = open(*path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			give_up("%s", *path);
		if (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST)
			give_up("inserting %s", *path);
		close(fd);
	}
}

static void make_dirs(const char *path)
{
	char *copy = strdup(path), *p;

	for (p = copy + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		mkdir(copy, 0755);
		*p = '/';
	}
	mkdir(copy, 0755);
	free(copy);
}

static void must_mount(const char *what, const char *where, const char *type,
		       unsigned long flags, const char *opts)
{
	make_dirs(where);
	if (mount(what, where, type, flags, opts))
		give_up("mounting %s on %s", what, where);
}

static void may_mount(const char *type, const char *where)
{
	mkdir(where, 0755);
	mount(type, where, type, 0, NULL);
}

static void mount_root(void)
{
	must_mount("root", "/lower", "9p", MS_RDONLY, MOUNT_9P "cache=loose");
	must_mount("tmpfs", "/rw", "tmpfs", 0, "mode=755");
	make_dirs("/rw/upper");
	make_dirs("/rw/work");
	must_mount("overlay", "/root", "overlay", 0,
		   "lowerdir=/lower,upperdir=/rw/upper,workdir=/rw/work,"
		   "index=off,metacopy=off,xino=off");
	if (chdir("/root") || mount(".", "/", NULL, MS_MOVE, NULL) ||
	    chroot(".") || chdir("/"))
		give_up("moving to the new root");
}

/* A record "a\tb" is split into its two halves. */
static char *second_half(char *record)
{
	char *tab = strchr(record, '\t');

	if (!tab)
		give_up("bad record %s", record);
	*tab = '\0';
	return tab + 1;
}

static void mount_rest(void)
{
	char **rec, *to;

	must_mount("proc", "/proc", "proc", 0, NULL);
	must_mount("sysfs", "/sys", "sysfs", 0, NULL);
	must_mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	must_mount("tmpfs", "/run", "tmpfs", 0, "mode=755");
	may_mount("devpts", "/dev/pts");
	may_mount("tmpfs", "/dev/shm");
	may_mount("debugfs", "/sys/kernel/debug");
	may_mount("tracefs", "/sys/kernel/tracing");
	may_mount("bpf", "/sys/fs/bpf");
	may_mount("cgroup2", "/sys/fs/cgroup");
	symlink("/proc/self/fd", "/dev/fd");
	symlink("/proc/self/fd/0", "/dev/stdin");
	symlink("/proc/self/fd/1", "/dev/stdout");
	symlink("/proc/self/fd/2", "/dev/stderr");
	for (rec = conf.seen; *rec; rec++) {
		to = second_half(*rec);
		must_mount(*rec, to, "9p", MS_RDONLY, MOUNT_9P "cache=loose");
	}
	for (rec = conf.shares; *rec; rec++) {
		to = second_half(*rec);
		must_mount(*rec, to, "9p", 0, MOUNT_9P "cache=mmap");
	}
	for (rec = conf.binds; *rec; rec++) {
		to = second_half(*rec);
		must_mount(*rec, to, NULL, MS_BIND, NULL);
	}
}

static void loopback_up(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };

	if (fd < 0)
		return;
	ioctl(fd, SIOCSIFFLAGS, &ifr);
	close(fd);
}

/* The ports to the host: /sys/class/virtio-ports/vportXpY/name says which. */

static int find_port(const char *name)
{
	char path[512], text[64];
	struct dirent *ent;
	int fd, found = -1;
	ssize_t len;
	DIR *dir = opendir("/sys/class/virtio-ports");

	while (dir && found < 0 && (ent = readdir(dir))) {
		snprintf(path, sizeof(path),
			 "/sys/class/virtio-ports/%s/name", ent->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		len = read(fd, text, sizeof(text) - 1);
		close(fd);
		text[len > 0 ? len : 0] = '\0';
		text[strcspn(text, "\n")] = '\0';
		if (strcmp(text, name))
			continue;
		snprintf(path, sizeof(path), "/dev/%s", ent->d_name);
		found = open(path, O_RDWR | O_CLOEXEC);
	}
	if (dir)
		closedir(dir);
	return found;
}

static int open_port(const char *name)
{
	int tries, fd;

	for (tries = 0; tries < 2000; tries++) {
		fd = find_port(name);
		if (fd >= 0)
			return fd;
		usleep(5000);
	}
	give_up("no virtio port %s", name);
	return -1;
}

static void write_all(int fd, const char *data, ssize_t len)
{
	ssize_t done;

	while (len > 0) {
		done = write(fd, data, len);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return;
		data += done;
		len -= done;
	}
}

/* Running the command */

/* Does nothing: that it runs is what ends a wait. */
static void on_child(int sig)
{
	(void)sig;
}

/* Children's deaths interrupt this wait and nothing else. */
static int wait_for(struct pollfd *fds, int nr)
{
	sigset_t none;

	sigemptyset(&none);
	return ppoll(fds, nr, NULL, &none);
}

static void run_command(int in, int out, int err)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGCHLD, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	setsid();
	dup2(in, 0);
	dup2(out, 1);
	dup2(err, 2);
	if (conf.tty)
		ioctl(0, TIOCSCTTY, 0);
	if (chdir(conf.cwd))
		fprintf(stderr, "cannot enter %s: %s\n", conf.cwd,
			strerror(errno));
	execvp(conf.args[0], conf.args);
	fprintf(stderr, "cannot run %s: %s\n", conf.args[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

static void resize(int fd, unsigned short rows, unsigned short cols)
{
	struct winsize size = { .ws_row = rows, .ws_col = cols };

	ioctl(fd, TIOCSWINSZ, &size);
}

/* Copy what is there from one descriptor to the other; false at its end. */
static bool copy_some(int from, int to)
{
	static char data[65536];
	ssize_t len = read(from, data, sizeof(data));

	if (len < 0)
		return errno == EINTR || errno == EAGAIN;
	write_all(to, data, len);
	return len > 0;
}

static void handle_control(int ctl, int pty)
{
	unsigned short rows, cols;
	char text[64];
	ssize_t len = read(ctl, text, sizeof(text) - 1);

	if (len <= 0)
		return;
	text[len] = '\0';
	if (sscanf(text, "size %hu %hu", &rows, &cols) == 2)
		resize(pty, rows, cols);
}

/* Reap every process; true when the command is among them. */
static bool reap(pid_t child, int *status)
{
	bool gone = false;
	int st;
	pid_t pid;

	while ((pid = waitpid(-1, &st, WNOHANG)) > 0) {
		if (pid != child)
			continue;
		*status = WIFEXITED(st) ? WEXITSTATUS(st) :
			  128 + WTERMSIG(st);
		gone = true;
	}
	return gone;
}

static int run_on_pty(int out, int ctl)
{
	int pty = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	int slave, status = 0;
	pid_t child;

	if (pty < 0 || grantpt(pty) || unlockpt(pty))
		give_up("no pseudo terminal");
	slave = open(ptsname(pty), O_RDWR | O_NOCTTY | O_CLOEXEC);
	resize(pty, conf.rows, conf.cols);
	child = fork();
	if (!child)
		run_command(slave, slave, slave);
	close(slave);
	for (;;) {
		struct pollfd fds[] = {
			{ .fd = pty, .events = POLLIN },
			{ .fd = out, .events = POLLIN },
			{ .fd = ctl, .events = POLLIN },
		};

		if (reap(child, &status))
			break;
		if (wait_for(fds, 3) <= 0)
			continue;
		if (fds[0].revents & POLLIN)
			copy_some(pty, out);
		if (fds[1].revents & POLLIN)
			copy_some(out, pty);
		if (fds[2].revents & POLLIN)
			handle_control(ctl, pty);
	}
	fcntl(pty, F_SETFL, O_NONBLOCK);
	while (copy_some(pty, out) && errno != EAGAIN)
		;
	return status;
}

static void drain(int from, int to)
{
	fcntl(from, F_SETFL, O_NONBLOCK);
	errno = 0;
	while (copy_some(from, to) && errno != EAGAIN)
		errno = 0;
}

/*
 * Pipes stand between the command and the ports, because a port can be
 * opened once only, and scripts open /dev/stderr.
 */
static int run_on_pipes(int out, int err)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int po[2], pe[2], status = 0;
	pid_t child;

	if (pipe2(po, O_CLOEXEC) || pipe2(pe, O_CLOEXEC))
		give_up("no pipe");
	child = fork();
	if (!child)
		run_command(null, po[1], pe[1]);
	for (;;) {
		struct pollfd fds[] = {
			{ .fd = po[0], .events = POLLIN },
			{ .fd = pe[0], .events = POLLIN },
		};

		if (reap(child, &status))
			break;
		if (wait_for(fds, 2) <= 0)
			continue;
		if (fds[0].revents & POLLIN)
			copy_some(po[0], out);
		if (fds[1].revents & POLLIN)
			copy_some(pe[0], err);
	}
	drain(po[0], out);
	drain(pe[0], err);
	return status;
}

int main(void)
{
	struct sigaction act = { .sa_handler = on_child };
	int out, err, ctl, status;
	sigset_t chld;
	char text[32];

	umask(022);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	sigaction(SIGCHLD, &act, NULL);
	read_conf();
	must_mount("proc", "/proc", "proc", 0, NULL);
	must_mount("sysfs", "/sys", "sysfs", 0, NULL);
	must_mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	insert_modules();
	out = open_port("out");
	err = open_port("err");
	ctl = open_port("ctl");
	mount_root();
	mount_rest();
	loopback_up();
	sethostname(conf.name, strlen(conf.name));
	write_all(ctl, "up\n", 3);
	status = conf.tty ? run_on_pty(out, ctl) : run_on_pipes(out, err);
	sync();
	snprintf(text, sizeof(text), "exit %d\n", status);
	write_all(ctl, text, strlen(text));
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}
