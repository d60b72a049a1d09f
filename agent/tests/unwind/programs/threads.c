// Threads: each stack begins in the C library.
#include <pthread.h>

static void *start(void *argument) {
    volatile long sum = 0;
    for (long i = 0; i < 1000; i++) sum += i * (long)argument;
    return (void *)sum;
}

int main(void) {
    pthread_t threads[2];
    for (long i = 0; i < 2; i++) pthread_create(&threads[i], 0, start, (void *)(i + 1));
    for (int i = 0; i < 2; i++) pthread_join(threads[i], 0);
    return 0;
}
