// What linear and conv2d do with the product before it leaves the cache: add the bias, apply the activation.
#pragma once
#include "autograd/ops.h"
#include "autograd/sums.h"

namespace koine {

/// z[*, O] += b[O] (when b is defined) and y = act(z), run rows by rows. z keeps the value before the activation when
/// `keeps_z`, for activation_grad; else, and for Activation::none, y is z itself.
struct BiasActivation {
    BiasActivation(const Tensor& z, const Tensor& b, Activation act, bool keeps_z);
    /// Rows [first, first + n) of z and y, their axes but the last taken as one.
    void rows(int64_t first, int64_t n) const;

    Tensor z, y, b;
    Activation act;
};

/// dz = dy act'(z), from z before the activation and y after it; dy itself for Activation::none.
Tensor activation_grad(const Tensor& dy, const Tensor& z, const Tensor& y, Activation act);

}  // namespace koine
