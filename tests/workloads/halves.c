/* Two threads by turns: `early` burns CPU for the first half of a second, `late` for the second half. */
#define _GNU_SOURCE
#include <pthread.h>
#include <time.h>

static volatile unsigned long sink;
static struct timespec start;

static double since_start(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start.tv_sec) + (double)(now.tv_nsec - start.tv_nsec) / 1e9;
}

/* Not the same code: a compiler would make one function of the two. */
#define BURN(name, op)                                        \
    __attribute__((noinline)) static void name(double until) { \
        while (since_start() < until)                         \
            for (unsigned long i = 0; i < 200000; i++)        \
                sink += i op 3;                               \
    }

BURN(burn_early, *)
BURN(burn_late, ^)

static void *early(void *unused) {
    pthread_setname_np(pthread_self(), "early");
    burn_early(0.5);
    return unused;
}

static void *late(void *unused) {
    struct timespec half = {0, 500 * 1000 * 1000};
    pthread_setname_np(pthread_self(), "late");
    nanosleep(&half, NULL);
    burn_late(1.0);
    return unused;
}

int main(void) {
    pthread_t threads[2];
    clock_gettime(CLOCK_MONOTONIC, &start);
    pthread_create(&threads[0], NULL, late, NULL);
    pthread_create(&threads[1], NULL, early, NULL);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    return 0;
}
