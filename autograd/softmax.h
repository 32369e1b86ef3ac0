// The kernels of softmax and dropout, shared by the ops of these names and by attention, which runs them on the weights
// of one head after the other.
#pragma once
#include <limits>

#include "autograd/var.h"
#include "tensor/math.h"

namespace koine {

/// What is subtracted before exp: the largest of a row, so that nothing overflows. A fully masked row is all -infinity,
/// and subtracting that would give NaN: its shift is 0, and its softmax 0.
template <class Team>
HD real softmax_shift(Team t, const real* x, int64_t cols) {
    const real m = t.max(cols, [=](int64_t i) { return x[i]; });
    return m > -std::numeric_limits<real>::infinity() ? m : real(0);
}

struct SoftmaxRow {
    real* y;
    const real* x;
    int64_t cols;
    template <class Team>
    HD void operator()(Team t, int64_t row) const {
        const real* in = x + row * cols;
        real* out = y + row * cols;
        const real shift = softmax_shift(t, in, cols);
        t.each(cols, [=](int64_t i) { out[i] = math::exp(in[i] - shift); });
        const real s = t.sum(cols, [=](int64_t i) { return out[i]; });
        const real scale = s == 0 ? real(0) : 1 / s;
        t.each(cols, [=](int64_t i) { out[i] *= scale; });
    }
};
// dx = y (dy - y . dy).
struct SoftmaxRowGrad {
    GradSlot dx;
    const real *dy, *y;
    int64_t cols;
    template <class Team>
    HD void operator()(Team t, int64_t row) const {
        const real *d = dy + row * cols, *p = y + row * cols;
        const real mean = t.sum(cols, [=](int64_t i) { return d[i] * p[i]; });
        const GradSlot out = dx.at(row * cols);
        t.each(cols, [=](int64_t i) { out.put(i, p[i] * (d[i] - mean)); });
    }
};

/// Zeroes element i or scales it by 1 / (1 - p). The mask is not stored: the backward pass asks the generator again.
struct DropoutMask {
    real p, scale;
    Random rng;
    int64_t first = 0;  ///< the number of element 0, in a table that is worked on in parts
    HD real factor(int64_t i) const { return rng.uniform(uint64_t(first + i)) < p ? real(0) : scale; }
};
struct DropoutForward {
    real* y;
    const real* x;
    DropoutMask mask;
    HD void operator()(int64_t i) const {
        const real k = mask.factor(i);
        y[i] = k == 0 ? real(0) : x[i] * k;
    }
};
struct DropoutBackward {
    GradSlot dx;
    const real* dy;
    DropoutMask mask;
    HD void operator()(int64_t i) const { dx.put(i, dy[i] * mask.factor(i)); }
};

}  // namespace koine
