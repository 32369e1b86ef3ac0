// softmax and log_softmax over the last axis, and dropout. Row kernels: max, exp, sum, scale.
#include "autograd/kernels.h"
#include "autograd/ops.h"
#include "autograd/softmax.h"

namespace koine {

// ---- softmax -------------------------------------------------------------------------------------------------------------

namespace {

struct LogSoftmaxRow {
    real* y;
    const real* x;
    int64_t cols;
    template <class Team>
    HD void operator()(Team t, int64_t row) const {
        const real* in = x + row * cols;
        real* out = y + row * cols;
        const real shift = softmax_shift(t, in, cols);
        const real s = t.sum(cols, [=](int64_t i) { return math::exp(in[i] - shift); });
        // s = 0 only when all are -infinity: they stay so. The shift is taken away first: shift + log_sum of large
        // numbers would round away the digits of log_sum.
        const real log_sum = math::log(s == 0 ? real(1) : s);
        t.each(cols, [=](int64_t i) { out[i] = (in[i] - shift) - log_sum; });
    }
};
// dx = dy - softmax(x) sum(dy), softmax(x) = e^y.
struct LogSoftmaxRowGrad {
    GradSlot dx;
    const real *dy, *y;
    int64_t cols;
    template <class Team>
    HD void operator()(Team t, int64_t row) const {
        const real *d = dy + row * cols, *ls = y + row * cols;
        const real total = t.sum(cols, [=](int64_t i) { return d[i]; });
        const GradSlot out = dx.at(row * cols);
        t.each(cols, [=](int64_t i) { out.put(i, d[i] - math::exp(ls[i]) * total); });
    }
};

template <class Forward, class Backward>
Var over_last_axis(const char* op, const Var& x) {
    const Profiled scope(op);
    if (x.shape().rank < 1) throw ShapeError(std::string(op) + ": x " + x.shape().str() + "; want [*, C]");
    const Device device = x.device();
    const int64_t cols = x.shape()[-1], rows = cols ? x.value.numel() / cols : 0;
    const Tensor in = x.value.contiguous(), y = Tensor::empty(x.shape(), device);
    for_rows(device, rows, cols * 12, Forward{y.data(), in.data(), cols});
    return record(op, y, {&x}, [=](const Tensor& dy, Grads& dx) {
        for_rows(device, rows, cols * 8, Backward{dx.slot(0), dy.data(), y.data(), cols});
    });
}

}  // namespace

Var softmax(const Var& x) { return over_last_axis<SoftmaxRow, SoftmaxRowGrad>("softmax", x); }
Var log_softmax(const Var& x) { return over_last_axis<LogSoftmaxRow, LogSoftmaxRowGrad>("log_softmax", x); }

// ---- dropout -------------------------------------------------------------------------------------------------------------

Var dropout(const Var& x, real p, bool training, Random rng) {
    const Profiled scope("dropout");
    if (!(p >= 0 && p < 1)) throw ValueError("dropout: p " + std::to_string(p) + "; want 0 <= p < 1");
    if (!training || p == 0) return x;
    const Tensor in = x.value.contiguous(), y = Tensor::empty(x.shape(), x.device());
    const DropoutMask mask{p, 1 / (1 - p), rng};
    for_each(x.device(), in.numel(), DropoutForward{y.data(), in.data(), mask}, 16);
    return record("dropout", y, {&x}, [mask](const Tensor& dy, Grads& dx) {
        for_each(dy.device(), dy.numel(), DropoutBackward{dx.slot(0), dy.data(), mask}, 16);
    });
}

}  // namespace koine
