/*
 * Burns CPU in burn(), called by caller(), with frame pointers.
 * burner [FOREVER [FRAMES]]: 0 ends at once; FRAMES more calls lie between main() and caller().
 */
#include <stdlib.h>

static volatile unsigned long sink;

__attribute__((noipa)) void burn(unsigned long rounds)
{
	for (unsigned long i = 0; i < rounds; i++)
		sink += i;
}

__attribute__((noipa)) int caller(int forever)
{
	do
		burn(forever ? 10000000 : 1000);
	while (forever);
	return (int)(sink & 1);
}

__attribute__((noipa)) int deeper(int forever, int frames)
{
	return frames > 0 ? deeper(forever, frames - 1) + 1 : caller(forever);
}

int main(int argc, char **argv)
{
	int forever = argc < 2 || atoi(argv[1]);
	int frames = argc < 3 ? 0 : atoi(argv[2]);

	return frames ? deeper(forever, frames) & 0 : caller(forever) & 0;
}
