// As truth.c: a known call graph with virtual calls, exceptions, templates and the library's sort.
#include <algorithm>
#include <memory>
#include <stdexcept>
#include <vector>

#define KEPT __attribute__((noipa))

static volatile unsigned long sink;

extern "C" KEPT void burn(unsigned long rounds)
{
	for (unsigned long i = 0; i < rounds; i++)
		sink = sink + i;
}

extern "C" KEPT bool compare(int a, int b)
{
	burn(50);
	return a < b;
}

extern "C" KEPT long sorting()
{
	std::vector<int> values(500);
	for (auto &value : values)
		value = rand();
	std::stable_sort(values.begin(), values.end(), compare);
	return values[0];
}

struct Shape {
	virtual ~Shape() = default;
	virtual long area(long depth) = 0;
};

struct Nested : Shape {
	KEPT long area(long depth) override;
};

extern "C" KEPT long visit(Shape &shape, long depth)
{
	return shape.area(depth) + 1;
}

long Nested::area(long depth)
{
	if (depth == 0) {
		burn(20000);
		return 1;
	}
	return visit(*this, depth - 1) + 1;
}

extern "C" KEPT long throwing(long depth)
{
	std::vector<char> space(100);
	if (depth == 0) {
		burn(20000);
		throw std::runtime_error("now");
	}
	return throwing(depth - 1) + space[5];
}

extern "C" KEPT long catching()
{
	try {
		return throwing(10);
	} catch (const std::exception &error) {
		burn(20000);
		return error.what()[0];
	}
}

int main()
{
	auto shape = std::make_unique<Nested>();
	for (;;)
		sink = sink + sorting() + visit(*shape, 15) + catching();
}
