/* A program with known costs that is built in several versions: what `stoker bench-diff` must find is
   what a version changes, and nothing else. Costs are in percent of the unchanged program. */

#ifndef HASH
#define HASH 30
#endif
#ifndef HELPER
#define HELPER 20
#endif
#ifdef RENAMED
#define hash digest
#endif
#ifdef INLINED
#define KEPT static inline __attribute__((always_inline))
#else
#define KEPT __attribute__((noinline))
#endif
#define NOINLINE __attribute__((noinline))
#define PERCENT 5000000UL

static volatile unsigned sink;

#define WORK(percent)                                         \
    for (unsigned long i = 0; i < (unsigned long)((percent) * PERCENT); i++) \
        sink = sink * 1664525u + 1013904223u;

KEPT void scan(void) { WORK(12) }
NOINLINE void parse(void) { scan(); WORK(13) }
NOINLINE void hash(void) { WORK(HASH) }
NOINLINE void render(void) { WORK(16) }
NOINLINE void helper(void) { WORK(HELPER / 9.0) }

#define CALLER(n) NOINLINE void caller_##n(void) { helper(); WORK(1) }
CALLER(1) CALLER(2) CALLER(3) CALLER(4) CALLER(5) CALLER(6) CALLER(7) CALLER(8) CALLER(9)

int main(void) {
    parse();
    hash();
    render();
    caller_1(); caller_2(); caller_3(); caller_4(); caller_5();
    caller_6(); caller_7(); caller_8(); caller_9();
    return 0;
}
