/* The smallest service and hook: appends "NANOSECONDS PID ARGUMENT..." (CLOCK_MONOTONIC at its first instruction) to
 * ./stamp and pauses (a service, which s6 gives arguments), or to $STAMP and ends (a hook). Static and small, so that what
 * a bench sees is the supervisor's or the client's time and not a shell's. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	char line[256];
	int n = snprintf(line, sizeof line, "%lld %d", t.tv_sec * 1000000000LL + t.tv_nsec, getpid());
	for (int i = 1; i < argc && n < 200; i++)
		n += snprintf(line + n, sizeof line - n - 1, " %.40s", argv[i]);
	/* dhcpcd and dhclient say what happened in the environment. */
	const char *reason = getenv("reason");
	if (reason)
		n += snprintf(line + n, sizeof line - n - 1, " %.40s", reason);
	line[n++] = '\n';
	const char *where = getenv("STAMP");
	int fd = open(where ? where : "stamp", O_WRONLY | O_APPEND | O_CREAT, 0644);
	if (fd < 0 || write(fd, line, n) != n)
		return 1;
	if (where)
		return 0;
	for (;;)
		pause();
}
