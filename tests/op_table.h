// ONE table of all ops. Each row is used seven ways, by tests/test_ops.cpp and tests/bench:
//   1. float64 projection gradient check          5. one CPU thread against an emulated GPU block
//   2. gradients poisoned with NaN, and pre-filled  6. error inputs, with the text of the error
//   3. non-contiguous views and empty inputs       7. the benchmark
//   4. the float build against the float64 build
// A new op needs a row here: `make test` fails when a function of autograd/ops.h has none.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "autograd/gradcheck.h"
#include "autograd/ops.h"

namespace koine::testing {

/// How inputs are drawn, so that a central difference meets no kink and no pole.
enum class Domain {
    normal,    ///< standard normal
    positive,  ///< uniform in [0.5, 2)
    off_zero,  ///< |x| in [0.3, 1.5), both signs
    unit,      ///< uniform in [0.1, 0.9)
};

struct ErrorInput {
    std::function<void()> call;
    std::string text;  ///< part of the message
};

struct OpRow {
    std::string op;       ///< name in ops.h
    std::string variant;  ///< what is special about this row
    GradcheckFn fn;
    std::vector<Shape> shapes;
    Domain domain = Domain::normal;
    std::vector<ErrorInput> errors = {};
    /// Shapes with a 0 extent (or none at all): the op must work on them, or throw ShapeError.
    std::vector<Shape> empty_shapes = {};
    bool has_gradient = true;

    std::string name() const { return variant.empty() ? op : op + " " + variant; }
};

/// About normal (the sum of four uniform 12-bit numbers) and exact in float, so that both builds see the same numbers.
inline Tensor exact_normal(const Shape& shape, Random rng) {
    const Tensor x = Tensor::empty(shape);
    for (int64_t k = 0; k < x.numel(); k++) {
        const Words4 b = rng.block(uint64_t(k));
        x.data()[k] = real(int64_t(b.w[0] >> 20) + (b.w[1] >> 20) + (b.w[2] >> 20) + (b.w[3] >> 20) - 8190) / 4096;
    }
    return x;
}

/// Input i of a row.
inline Tensor op_input(const OpRow& row, size_t i, const Shape& shape) {
    const Random rng{2209, 15430 + i};
    const Tensor x = exact_normal(shape, rng);
    if (row.domain == Domain::normal) return x;
    for (int64_t k = 0; k < x.numel(); k++) {
        const real u = real(rng.bits(uint64_t(k)) >> 20) / 4096;
        real& v = x.data()[k];
        if (row.domain == Domain::positive) v = real(0.5) + real(1.5) * u;
        if (row.domain == Domain::unit) v = real(0.1) + real(0.8) * u;
        if (row.domain == Domain::off_zero)
            v = u < real(0.5) ? real(-0.3) - real(2.4) * u : real(0.3) + real(2.4) * (u - real(0.5));
    }
    return x;
}

std::vector<OpRow> op_table();

}  // namespace koine::testing
