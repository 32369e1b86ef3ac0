// What the tests of nn/ share: tensors with known numbers, comparison, and a small model with one of everything.
#pragma once
#include <cmath>
#include <cstring>
#include <initializer_list>

#include "nn/layers.h"
#include "tests/catch.h"

namespace koine::testing {

/// x[i] = sin((i + 1) k) / 2, as `torch.sin(torch.arange(1, n + 1) * k) / 2` in the comments that say where numbers are
/// from.
inline Tensor wave(const Shape& shape, double k) {
    const Tensor t = Tensor::empty(shape);
    for (int64_t i = 0; i < t.numel(); i++) t.data()[i] = real(std::sin(double(i + 1) * k) / 2);
    return t;
}

/// Sets a parameter, in place.
inline void set(const Var& parameter, const Tensor& value) { parameter.value.copy_from(value); }

/// Checks values, given with nine decimals, up to rounding: `slack` times that of a few operations.
inline void check_values(const Tensor& t, std::initializer_list<double> expected, double slack = 1) {
    const std::vector<real> values = t.to_vector();
    REQUIRE(values.size() == expected.size());
    const double tolerance = slack * (sizeof(real) == 8 ? 2e-9 : 4e-6);
    size_t i = 0;
    for (double e : expected) {
        INFO("element " << i << ": " << values[i] << ", expected " << e);
        CHECK(std::abs(double(values[i]) - e) <= tolerance * std::max(1.0, std::abs(e)));
        i++;
    }
}

/// Bit for bit the same, not a number equal to itself.
inline bool is_same(const Tensor& a, const Tensor& b) {
    if (!(a.shape == b.shape)) return false;
    const Tensor x = a.to(Device::cpu).contiguous(), y = b.to(Device::cpu).contiguous();
    return std::memcmp(x.data(), y.data(), size_t(x.numel()) * sizeof(real)) == 0;
}
inline bool is_same(const StateDict& a, const StateDict& b) {
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); i++) {
        if (a[i].name != b[i].name || !is_same(a[i].tensor, b[i].tensor)) return false;
    }
    return true;
}
inline StateDict copy_of(const StateDict& state) {
    StateDict copy;
    for (const auto& [name, tensor] : state) copy.push_back({name, tensor.clone()});
    return copy;
}

/// Images [N, 4, 4, 2] -> [N, 3], with a parameter, a buffer and a counter.
struct SmallNet : Module {
    explicit SmallNet(Generator& gen)
        : body{Conv2d(gen, 2, 4, 3, {.stride = 2, .padding = 1}), BatchNorm2d(4), Gelu(), Flatten(),
               Dropout(gen, real(0.25))},
          head(gen, 16, 3) {}
    Var forward(const Var& x) override { return head(body(x)); }
    void visit(Visitor& v) override {
        v("body", body);
        v("head", head);
    }
    Sequential body;
    Linear head;
};

}  // namespace koine::testing
