#include "autograd/epilogue.h"

#include "autograd/activations.h"
#include "autograd/kernels.h"

namespace koine {
namespace {

template <class F>
struct BiasActivationRow {
    real* y;
    real* z;
    const real* b;  // null for no bias
    int64_t cols;
    F f;
    template <class Team>
    HD void operator()(Team t, int64_t row) const {
        real* out = y + row * cols;
        real* in = z + row * cols;
        const real* bias = b;
        const F fn = f;
        if (!bias) {
            t.each(cols, [=](int64_t i) { out[i] = fn.f(in[i]); });
        } else if (in == out) {
            t.each(cols, [=](int64_t i) { in[i] = fn.f(in[i] + bias[i]); });
        } else {
            t.each(cols, [=](int64_t i) {
                const real v = in[i] + bias[i];
                in[i] = v;
                out[i] = fn.f(v);
            });
        }
    }
};

}  // namespace

BiasActivation::BiasActivation(const Tensor& z_, const Tensor& b_, Activation act_, bool keeps_z)
    : z(z_),
      y(act_ != Activation::none && keeps_z ? Tensor::empty(z_.shape, z_.device()) : z_),
      b(b_.is_defined() ? b_.contiguous() : b_),
      act(act_) {}

void BiasActivation::rows(int64_t first, int64_t n) const {
    if (act == Activation::none && !b.is_defined()) return;
    const int64_t cols = z.shape[-1];
    with_activation(act, [&](auto f) {
        for_rows(z.device(), n, cols * 8,
                 BiasActivationRow<decltype(f)>{y.data() + first * cols, z.data() + first * cols,
                                                b.is_defined() ? b.data() : nullptr, cols, f});
    });
}

Tensor activation_grad(const Tensor& dy, const Tensor& z, const Tensor& y, Activation act) {
    if (act == Activation::none) return dy;
    Tensor dz = Tensor::empty(dy.shape, dy.device());
    with_activation(act, [&](auto f) {
        for_each(dy.device(), dy.numel(), MapBackward<decltype(f)>{{dz.data(), 0}, dy.data(), z.data(), y.data(), f},
                 8);
    });
    return dz;
}

}  // namespace koine
