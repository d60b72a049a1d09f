// What C programs do to a stack: frames without frame pointers, variable and aligned frames,
// callbacks through libc, tail calls, jumps out of depth, floating varargs.
#include <setjmp.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOINLINE __attribute__((noinline))

static volatile long sink;
static jmp_buf out;

NOINLINE static long leaf(long a) { return a * 3 + sink; }

NOINLINE static long variable(long n) {
    char *bytes = __builtin_alloca((size_t)n * 8);
    memset(bytes, (int)n, (size_t)n * 8);
    return leaf(bytes[n]) + bytes[0];
}

NOINLINE static long aligned(long n) {
    alignas(64) char bytes[128];
    memset(bytes, (int)n, sizeof bytes);
    return variable(n) + bytes[n];
}

NOINLINE static long many(long a, long b, long c, long d, long e, long f, long g, long h) {
    return leaf(a + b) + leaf(c + d) * leaf(e + f) + aligned(g + h);
}

NOINLINE static long tail(long n) { return leaf(n + 1); }

static int compare(const void *a, const void *b) {
    sink += tail(1);
    return *(const int *)a - *(const int *)b;
}

NOINLINE static void deep(int n) {
    if (n == 0) longjmp(out, 1);
    deep(n - 1);
    sink++;
}

static void once(void) {
    int numbers[] = {5, 3, 9, 1, 7};
    sink += many(1, 2, 3, 4, 5, 6, 7, 8);
    qsort(numbers, 5, sizeof *numbers, compare);
    if (setjmp(out) == 0) deep(20);
    char text[64];
    snprintf(text, sizeof text, "%ld %f %s\n", sink, 1.5, "done");
    sink += (long)strlen(text);
    free(strdup(text));
}

int main(void) {
    for (int i = 0; i < 6; i++) once();
    return 0;
}
