// Exceptions through several frames, virtual calls, templates, destructors.
#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

struct Shape {
    virtual ~Shape() = default;
    virtual int area(int depth) const = 0;
};

struct Square : Shape {
    int side;
    explicit Square(int s) : side(s) {}
    [[gnu::noinline]] int area(int depth) const override {
        std::string label(40, 'x');
        if (depth == 0) throw std::runtime_error(label);
        return area(depth - 1) + side * static_cast<int>(label.size());
    }
};

template <typename T>
[[gnu::noinline]] T total(const std::vector<std::unique_ptr<Shape>> &shapes, T start) {
    for (const auto &shape : shapes) {
        try {
            start += shape->area(3);
        } catch (const std::runtime_error &error) {
            start += static_cast<T>(std::string(error.what()).size());
        }
    }
    return start;
}

int main() {
    std::vector<std::unique_ptr<Shape>> shapes;
    for (int i = 0; i < 2; i++) shapes.push_back(std::make_unique<Square>(i));
    std::vector<int> numbers{5, 2, 8, 1};
    std::sort(numbers.begin(), numbers.end(), [](int a, int b) { return a < b; });
    return total(shapes, 0L) + numbers[0] > 0 ? 0 : 1;
}
