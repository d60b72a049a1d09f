// Signals that hit a function and a system call; the handlers call on.
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))

static volatile long sink;

NOINLINE static long work(long n) { return n * 7 + sink; }

static void handler(int number) {
    sink += work(number);
    if (number == SIGUSR1) raise(SIGUSR2);
}

NOINLINE static void interrupted(int number) {
    kill(getpid(), number);
    sink += work(3);
}

static sigjmp_buf out;

static void faulted(int number) {
    sink += work(number);
    siglongjmp(out, 1);
}

// A signal at an instruction that is no system call.
NOINLINE static void fault(volatile int *nowhere) {
    *nowhere = 1;
    sink++;
}

int main(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    sigaction(SIGUSR1, &action, 0);
    sigaction(SIGUSR2, &action, 0);
    for (int i = 0; i < 100; i++) interrupted(SIGUSR1);
    action.sa_handler = faulted;
    sigaction(SIGSEGV, &action, 0);
    if (sigsetjmp(out, 1) == 0) fault(0);
    return 0;
}
