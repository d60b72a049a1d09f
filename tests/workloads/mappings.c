/* A process with very many executable mappings of one file, as some compilers and obfuscators make
 * them: argv[1] is how many. Burns CPU in the last of them and maps one more every 10 ms. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096

/* mov ecx, 10000000; dec ecx; jne -4; ret */
static const unsigned char loop[] = {0xb9, 0x80, 0x96, 0x98, 0x00, 0xff, 0xc9, 0x75, 0xfc, 0xc3};

int main(int argc, char **argv) {
    long count = argc > 1 ? atol(argv[1]) : 5000;
    char name[] = "/tmp/stoker-mappings-XXXXXX";
    int file = mkstemp(name);
    if (file < 0 || ftruncate(file, PAGE) || pwrite(file, loop, sizeof loop, 0) < 0) return 2;
    unlink(name);
    char *space = mmap(0, (size_t)(count + 100000) * 2 * PAGE, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (space == MAP_FAILED) return 2;
    void (*code)(void) = 0;
    for (long at = 0; at < count + 100000; at++) {
        /* A page in between, so that the kernel does not merge them. */
        void *page = mmap(space + at * 2 * PAGE, PAGE, PROT_READ | PROT_EXEC,
                          MAP_PRIVATE | MAP_FIXED, file, 0);
        if (page != MAP_FAILED) code = (void (*)(void))page;
        if (at == count) { puts("mapped"); fflush(stdout); }
        if (at >= count) {
            struct timespec begin, now;
            clock_gettime(CLOCK_MONOTONIC, &begin);
            do {
                code();
                clock_gettime(CLOCK_MONOTONIC, &now);
            } while ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 < 10);
        }
    }
    return 0;
}
