// Comparing a training step with a fixture: gradients by name, and pixels.
#pragma once
#include <cmath>

#include "nn/module.h"
#include "nn/optim.h"
#include "tests/catch.h"
#include "tests/golden/golden.h"

namespace koine::testing {

inline constexpr bool kIsDouble = sizeof(real) == sizeof(double);
/// Relative difference between this library and another that is rounding; measured differences: see tests/README.md.
inline constexpr double kTolerance = kIsDouble ? 1e-9 : 1e-4;

inline double norm_of(const Tensor& t) {
    double sum = 0;
    for (real v : t.to_vector()) sum += double(v) * double(v);
    return std::sqrt(sum);
}

/// Checks the norm of every parameter's gradient; `norms` has them by name. A bias in front of BatchNorm has no effect,
/// and so a gradient of 0 up to rounding, which is measured by the norm of all gradients together.
inline void check_grad_norms(const FlatParameters& parameters, const nlohmann::json& norms) {
    REQUIRE(norms.size() == parameters.vars.size());
    const double rounding = (kIsDouble ? 1e-14 : 1e-6) * grad_norm(parameters);
    for (const NamedVar& p : parameters.vars) {
        INFO("gradient of " << p.name);
        const double norm = norms.at(p.name);
        CHECK(std::abs(norm_of(p.var.grad()) - norm) <= kTolerance * norm + rounding);
    }
}

/// Checks some values of y[N, H, W, 1]; `pixels` has them as [image, row, column, value].
inline void check_pixels(const Tensor& y, const nlohmann::json& pixels, double margin) {
    REQUIRE(!pixels.empty());
    for (const auto& pixel : pixels) {
        INFO("pixel " << pixel);
        CHECK(std::abs(double(y.at({pixel[0], pixel[1], pixel[2], 0})) - double(pixel[3])) <= margin);
    }
}

}  // namespace koine::testing
