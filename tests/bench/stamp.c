/* The smallest service and hook: appends "NANOSECONDS PID ARGUMENT..." (CLOCK_MONOTONIC at its first instruction) to
 * ./stamp and pauses (a service, which s6 gives arguments), or to $STAMP and ends (a hook). Static and small, so that what
 * a bench sees is the supervisor's or the client's time and not a shell's. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Filled in by the entry point, before libc's own start, which takes longer than the exec: 228 and 113 are clock_gettime, 1
 * is CLOCK_MONOTONIC. */
struct timespec t;
#if defined(__x86_64__)
__asm__(".globl first\nfirst:\n"
	"mov $228, %eax\nmov $1, %edi\nlea t(%rip), %rsi\nsyscall\nxor %edx, %edx\njmp _start\n");
#elif defined(__aarch64__)
__asm__(".globl first\nfirst:\n"
	"mov x8, #113\nmov x0, #1\nadrp x1, t\nadd x1, x1, :lo12:t\nsvc #0\nmov x0, #0\nb _start\n");
#else
#error "the entry point in this machine's assembler"
#endif

int main(int argc, char **argv)
{
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
