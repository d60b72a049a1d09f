/* Burns CPU in the first tenth of each second of the wall clock, and sleeps for the rest of it. */
#include <time.h>

static volatile unsigned long sum;

__attribute__((noinline)) static void burn(void) {
    for (unsigned long i = 0; i < 20000; i++) sum += i * i;
}

int main(void) {
    const long tenth = 100 * 1000 * 1000;
    for (;;) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        if (now.tv_nsec < tenth) {
            burn();
        } else {
            struct timespec until = {.tv_sec = now.tv_sec + 1, .tv_nsec = 0};
            clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, 0);
        }
    }
}
