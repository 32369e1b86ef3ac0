// Losses: each ends in one number. The pairwise ones are a zip and a mean; their formulas stand here as scalars.
#include "autograd/kernels.h"
#include "autograd/ops.h"

namespace koine {
namespace {

// Each is f(e) of the difference e = y - target.
struct SquaredError {
    HD real f(real y, real t) const { return (y - t) * (y - t); }
    HD real da(real y, real t) const { return 2 * (y - t); }
    HD real db(real y, real t) const { return 2 * (t - y); }
};
struct AbsoluteError {
    HD real f(real y, real t) const { return y > t ? y - t : t - y; }
    HD real da(real y, real t) const { return y > t ? real(1) : y < t ? real(-1) : real(0); }
    HD real db(real y, real t) const { return da(t, y); }
};
struct HuberError {
    real delta;
    HD real f(real y, real t) const {
        const real e = y > t ? y - t : t - y;
        return e <= delta ? real(0.5) * e * e : delta * (e - real(0.5) * delta);
    }
    HD real da(real y, real t) const {
        const real e = y - t;
        return e > delta ? delta : e < -delta ? -delta : e;
    }
    HD real db(real y, real t) const { return da(t, y); }
};
// softplus(x) - x t: the logarithms of sigmoid never see 0.
struct BceWithLogits {
    HD real f(real x, real t) const { return math::softplus(x) - x * t; }
    HD real da(real x, real t) const { return math::sigmoid(x) - t; }
    HD real db(real x, real) const { return -x; }
};
// KL of one dimension, a = mu, b = log_var: (mu^2 + e^b - 1 - b) / 2.
struct KlNormal {
    HD real f(real mu, real b) const { return real(0.5) * (mu * mu + math::exp(b) - 1 - b); }
    HD real da(real mu, real) const { return mu; }
    HD real db(real, real b) const { return real(0.5) * (math::exp(b) - 1); }
};

void require_same_shape(const char* op, const Var& a, const Var& b) {
    // Broadcasting a loss hides mistakes ([N, 1] against [N] gives N x N numbers), so it is refused.
    if (!(a.shape() == b.shape()))
        throw ShapeError(std::string(op) + ": " + a.shape().str() + " and " + b.shape().str() + "; want equal shapes");
    if (a.value.numel() == 0) throw ShapeError(std::string(op) + ": nothing to average over in " + a.shape().str());
}

template <class F>
Var mean_of(const char* op, const Var& a, const Var& b, F f = {}) {
    require_same_shape(op, a, b);
    return mean(zip<F>(op, a, b, f));
}

}  // namespace

Var mse_loss(const Var& y, const Var& target) { return mean_of<SquaredError>("mse_loss", y, target); }
Var l1_loss(const Var& y, const Var& target) { return mean_of<AbsoluteError>("l1_loss", y, target); }
Var huber_loss(const Var& y, const Var& target, real delta) {
    if (!(delta > 0)) throw ValueError("huber_loss: delta " + std::to_string(delta) + "; want more than 0");
    return mean_of<HuberError>("huber_loss", y, target, {delta});
}
Var bce_with_logits(const Var& x, const Var& target) { return mean_of<BceWithLogits>("bce_with_logits", x, target); }

Var kl_normal(const Var& mu, const Var& log_var) {
    require_same_shape("kl_normal", mu, log_var);
    if (mu.shape().rank != 2) throw ShapeError("kl_normal: mu " + mu.shape().str() + "; want [N, D]");
    return mean(sum(zip<KlNormal>("kl_normal", mu, log_var), {1}));
}

Var calibrated_nll(const Var& mse, int64_t n) {
    if (!mse.value.is_defined() || mse.value.numel() != 1) {
        throw ShapeError("calibrated_nll: mse " + mse.shape().str() + "; want one number");
    }
    if (n < 1) throw ValueError("calibrated_nll: n is " + std::to_string(n) + "; want at least 1");
    return (log(mse) + real(1)) * (real(n) / 2);
}

// ---- cross entropy -------------------------------------------------------------------------------------------------------

namespace {

// Per row: -sum_c q_c log p_c with q = 1 - s at the target plus s / C everywhere; p is kept for the gradient.
struct CrossEntropyRow {
    real* loss;
    real* p;
    const real* x;
    const int32_t* target;
    int64_t cols;
    real smoothing;
    template <class Team>
    HD void operator()(Team t, int64_t row) const {
        const real* in = x + row * cols;
        real* prob = p + row * cols;
        const real m = t.max(cols, [=](int64_t i) { return in[i]; });
        t.each(cols, [=](int64_t i) { prob[i] = math::exp(in[i] - m); });
        const real s = t.sum(cols, [=](int64_t i) { return prob[i]; });
        const real log_sum = math::log(s);  // the maximum is taken away first: m + log_sum would round its digits away
        t.each(cols, [=](int64_t i) { prob[i] /= s; });
        const real mean_log =
            smoothing == 0 ? real(0) : t.sum(cols, [=](int64_t i) { return (in[i] - m) - log_sum; }) / real(cols);
        const real value = -(1 - smoothing) * ((in[target[row]] - m) - log_sum) - smoothing * mean_log;
        real* out = loss + row;
        t.once([=] { *out = value; });
    }
};
struct CrossEntropyRowGrad {
    GradSlot dx;
    const real* dy;  // one number per row
    const real* p;
    const int32_t* target;
    int64_t cols;
    real smoothing;
    template <class Team>
    HD void operator()(Team t, int64_t row) const {
        const real* prob = p + row * cols;
        const real d = dy[row], hit = 1 - smoothing, spread = smoothing / real(cols);
        const int64_t label = target[row];
        const GradSlot out = dx.at(row * cols);
        t.each(cols, [=](int64_t i) { out.put(i, d * (prob[i] - spread - (i == label ? hit : real(0)))); });
    }
};

}  // namespace

Var cross_entropy(const Var& logits, const Indices& target, real label_smoothing) {
    const Profiled scope("cross_entropy");
    const Shape& s = logits.shape();
    if (s.rank != 2 || target.shape.rank != 1 || target.shape[0] != s[0] || s[0] == 0 || s[1] == 0) {
        throw ShapeError("cross_entropy: logits " + s.str() + ", target " + target.shape.str() +
                         "; want [N, C], [N], N and C of 1 or more");
    }
    if (!(label_smoothing >= 0 && label_smoothing < 1)) {
        throw ValueError("cross_entropy: label smoothing " + std::to_string(label_smoothing) + "; want 0 <= s < 1");
    }
    const Device device = logits.device();
    if (target.device() != device) throw DeviceError("cross_entropy: logits and target live on different devices");
    target.require_below("cross_entropy", s[1]);
    const int64_t rows = s[0], cols = s[1];
    const Tensor in = logits.value.contiguous(), p = Tensor::empty(s, device), loss = Tensor::empty({rows}, device);
    for_rows(device, rows, cols * 12,
             CrossEntropyRow{loss.data(), p.data(), in.data(), target.data(), cols, label_smoothing});
    return mean(record("cross_entropy", loss, {&logits}, [=](const Tensor& dy, Grads& dx) {
        for_rows(device, rows, cols * 4,
                 CrossEntropyRowGrad{dx.slot(0), dy.data(), p.data(), target.data(), cols, label_smoothing});
    }));
}

}  // namespace koine
