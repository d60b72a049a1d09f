// A library that is loaded on the way, and its constructor.
#include <dlfcn.h>
#include <stdio.h>

int main(void) {
    void *library = dlopen("libm.so.6", RTLD_NOW);
    double (*cosine)(double) = library ? (double (*)(double))dlsym(library, "cos") : 0;
    double sum = 0;
    for (int i = 0; cosine && i < 50; i++) sum += cosine(i * 0.1);
    printf("%f\n", sum);
    return 0;
}
