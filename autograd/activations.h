// The activation functions as structs of scalars: used by the ops of the same name, and by the ops that apply an
// activation in the pass that adds the bias (linear, conv2d). Value and slope stand side by side.
#pragma once
#include "autograd/ops.h"
#include "tensor/math.h"

namespace koine {
namespace scalar {

struct Identity {
    HD real f(real x) const { return x; }
    HD real df(real, real) const { return 1; }
};
// relu(x) = max(x, 0); NaN stays NaN.
struct Relu {
    HD real f(real x) const { return x < 0 ? real(0) : x; }
    HD real df(real x, real) const { return x > 0 ? real(1) : real(0); }
};
// gelu(x) = x Phi(x), Phi the normal distribution function; slope Phi(x) + x phi(x).
struct Gelu {
    HD real f(real x) const { return x * math::normal_cdf(x); }
    HD real df(real x, real) const { return math::normal_cdf(x) + x * math::normal_pdf(x); }
};
// gelu_tanh(x) = x (1 + tanh u) / 2 = x s with s = sigmoid(2u), u = sqrt(2 / pi) (x + 0.044715 x^3); slope s + 2 u' x s
// (1 - s).
struct GeluTanh {
    static constexpr real kScale = real(0.79788456080286535588), kCubic = real(0.044715);
    HD real f(real x) const { return x * math::sigmoid(2 * kScale * (x + kCubic * x * x * x)); }
    HD real df(real x, real y) const {
        const real s = math::sigmoid(2 * kScale * (x + kCubic * x * x * x));
        return s + 2 * kScale * (1 + 3 * kCubic * x * x) * y * (1 - s);
    }
};
// silu(x) = x s, s = sigmoid(x); slope s + x s (1 - s) = s + y (1 - s).
struct Silu {
    HD real f(real x) const { return x * math::sigmoid(x); }
    HD real df(real x, real y) const {
        const real s = math::sigmoid(x);
        return s + y * (1 - s);
    }
};
struct Tanh {
    HD real f(real x) const { return math::tanh(x); }
    HD real df(real, real y) const { return 1 - y * y; }
};
struct Sigmoid {
    HD real f(real x) const { return math::sigmoid(x); }
    HD real df(real, real y) const { return y * (1 - y); }
};

}  // namespace scalar

/// Calls f with the struct that belongs to `act`: the bridge from a run-time choice to a compiled loop.
template <class F>
void with_activation(Activation act, F f) {
    switch (act) {
        case Activation::none: return f(scalar::Identity{});
        case Activation::relu: return f(scalar::Relu{});
        case Activation::gelu: return f(scalar::Gelu{});
        case Activation::gelu_tanh: return f(scalar::GeluTanh{});
        case Activation::silu: return f(scalar::Silu{});
        case Activation::tanh: return f(scalar::Tanh{});
        case Activation::sigmoid: return f(scalar::Sigmoid{});
    }
}

}  // namespace koine
