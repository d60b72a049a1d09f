/* Burns CPU in burn(), called by caller(), with frame pointers. "burner 0" ends at once. */
#include <stdlib.h>

static volatile unsigned long sink;

__attribute__((noinline)) void burn(unsigned long rounds)
{
	for (unsigned long i = 0; i < rounds; i++)
		sink += i;
}

__attribute__((noinline)) int caller(int forever)
{
	do
		burn(forever ? 10000000 : 1000);
	while (forever);
	return (int)(sink & 1);
}

int main(int argc, char **argv)
{
	return caller(argc < 2 || atoi(argv[1])) & 0;
}
