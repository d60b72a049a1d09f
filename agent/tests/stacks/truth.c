/*
 * Knows its own call graph: `truth MODE`, without end. Every function is kept (noipa), no call is a
 * tail call, and time is spent in burn(), in the C library, or in the kernel, as the mode says.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define KEPT __attribute__((noipa))

static volatile unsigned long sink;

KEPT void burn(unsigned long rounds)
{
	for (unsigned long i = 0; i < rounds; i++)
		sink += i;
}

KEPT long inner(long rounds)
{
	burn(rounds);
	return sink & 3;
}

/* A frame of variable size: the compiler needs a frame pointer here whatever it is told. */
KEPT long variable(long size)
{
	volatile char space[size % 4000 + 16];
	space[0] = 1;
	space[size % 4000] = (char)inner(2000);
	return space[0] + space[size % 4000];
}

KEPT long recurse(long depth)
{
	if (depth == 0)
		return variable(sink) + inner(2000);
	return recurse(depth - 1) + 1;
}

KEPT int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b + (int)(inner(50) & 0);
}

KEPT long sorting(void)
{
	int values[256];
	for (int i = 0; i < 256; i++)
		values[i] = rand();
	qsort(values, 256, sizeof(*values), compare);
	return values[0];
}

KEPT void handler(int number)
{
	sink += inner(3000) + number;
}

KEPT long interrupted(void)
{
	for (int i = 0; i < 2000; i++)
		sink += inner(1000);
	return sink & 1;
}

/* Mostly at the first and last instructions of functions, where the rules change. */
KEPT long small(long a)
{
	return a * 3 + 1;
}

KEPT long edges(void)
{
	long sum = 0;
	for (int i = 0; i < 100000; i++)
		sum += small(i);
	return sum;
}

KEPT long syscalls(void)
{
	static char space[4096];
	int file = open("/dev/zero", O_RDONLY);
	long sum = 0;
	for (int i = 0; i < 20000; i++)
		sum += read(file, space, sizeof(space));
	close(file);
	return sum;
}

KEPT long called_back(long rounds)
{
	return inner(rounds) + 1;
}

static long (*plugin)(long (*)(long), long);

KEPT long plugged(void)
{
	return plugin(called_back, 2000) + 1;
}

KEPT void *thread(void *unused)
{
	for (;;)
		sink += recurse(10);
	return unused;
}

KEPT int once(const char *mode)
{
	if (!strcmp(mode, "recurse"))
		sink += recurse(20);
	if (!strcmp(mode, "deep"))
		sink += recurse(100);
	if (!strcmp(mode, "sort"))
		sink += sorting();
	if (!strcmp(mode, "signal"))
		sink += interrupted();
	if (!strcmp(mode, "edges"))
		sink += edges();
	if (!strcmp(mode, "syscalls"))
		sink += syscalls();
	if (!strcmp(mode, "plugin"))
		sink += plugged();
	return 0;
}

static void prepare_signal(int stack)
{
	static char other[65536];
	stack_t alternative = { .ss_sp = other, .ss_size = sizeof(other) };
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };
	struct itimerval timer = { { 0, 200 }, { 0, 200 } };
	if (stack) {
		sigaltstack(&alternative, 0);
		action.sa_flags |= SA_ONSTACK;
	}
	sigaction(SIGALRM, &action, 0);
	setitimer(ITIMER_REAL, &timer, 0);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "recurse";
	pthread_t id;

	if (!strcmp(mode, "signal") || !strcmp(mode, "sigaltstack"))
		prepare_signal(!strcmp(mode, "sigaltstack"));
	if (!strcmp(mode, "sigaltstack"))
		mode = "signal";
	if (!strcmp(mode, "fork")) {
		mode = "recurse";
		/* Late, when its tables are there. */
		time_t start = time(0);
		while (time(0) - start < 6)
			sink += recurse(500);
		/* The child goes on with what its parent has mapped; the parent waits to be killed. */
		if (fork() != 0)
			for (;;)
				pause();
	}
	if (!strcmp(mode, "threads")) {
		pthread_create(&id, 0, thread, 0);
		pthread_join(id, 0);
	}
	if (!strcmp(mode, "plugin")) {
		/* Late, so that it is seen being loaded. */
		for (int i = 0; i < 200; i++)
			sink += recurse(500);
		plugin = (long (*)(long (*)(long), long))dlsym(dlopen(argv[2], RTLD_NOW), "plugin");
	}
	for (;;)
		once(mode);
}
