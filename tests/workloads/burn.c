/* Burns CPU time in three named functions, 50 : 30 : 20, for argv[1] seconds of CPU time, and says
 * what each really got, in nanoseconds. Chunks have random lengths, so that no sampling frequency
 * can beat with them. Build with frame pointers. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static volatile uint64_t sink;

static uint64_t cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

#define HOT(name)                                        \
    __attribute__((noinline)) static void name(uint64_t n) { \
        uint64_t x = n;                                  \
        for (uint64_t i = 0; i < n; i++)                 \
            x = x * 6364136223846793005u + i;            \
        sink += x;                                       \
    }

HOT(hot_half)
HOT(hot_third)
HOT(hot_fifth)

int main(int argc, char **argv) {
    static void (*const hot[3])(uint64_t) = {hot_half, hot_third, hot_fifth};
    static const double share[3] = {0.5, 0.3, 0.2};
    double seconds = argc > 1 ? atof(argv[1]) : 5;
    uint64_t spent[3] = {0, 0, 0}, total = 0, random = 88172645463325252u;
    while ((double)total < seconds * 1e9) {
        int next = 0;
        for (int i = 1; i < 3; i++)
            if ((double)spent[i] / share[i] < (double)spent[next] / share[next])
                next = i;
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        uint64_t before = cpu_ns();
        hot[next](200000 + random % 1800000);
        uint64_t took = cpu_ns() - before;
        spent[next] += took, total += took;
    }
    printf("hot_half %llu\nhot_third %llu\nhot_fifth %llu\n", (unsigned long long)spent[0],
           (unsigned long long)spent[1], (unsigned long long)spent[2]);
    return 0;
}
