// One kernel per optimiser; see optim.h.
#include "nn/optim.h"

#include <algorithm>
#include <cmath>

namespace koine {
namespace {

struct SgdStep {
    real* w;
    const real* g;
    real* u;  // null without momentum
    real lr, momentum, l2;
    bool is_nesterov;
    HD void operator()(int64_t i) const {
        const real slope = g[i] + l2 * w[i];
        real direction = slope;
        if (u) {
            u[i] = momentum * u[i] + slope;
            direction = is_nesterov ? slope + momentum * u[i] : u[i];
        }
        w[i] -= lr * direction;
    }
};

struct AdamStep {
    real* w;
    const real* g;
    real* m;
    real* v;
    real beta1, beta2, eps;
    real one_minus_beta1, one_minus_beta2;  // rounded once: 1 - real(0.999) has lost four digits
    real rate;                              // lr / (1 - beta1^t)
    real scale;                             // 1 / sqrt(1 - beta2^t)
    real l2, keep;
    HD void operator()(int64_t i) const {
        const real slope = g[i] + l2 * w[i];
        m[i] = beta1 * m[i] + one_minus_beta1 * slope;
        v[i] = beta2 * v[i] + one_minus_beta2 * slope * slope;
        w[i] = keep * w[i] - rate * m[i] / (math::sqrt(v[i]) * scale + eps);
    }
};

// Sums of squares over pieces of a fixed size, so that the order of additions does not depend on the threads.
struct SquaresRow {
    static constexpr int64_t kPiece = 4096;
    real* sums;
    const real* g;
    int64_t n;
    template <class Team>
    HD void operator()(Team t, int64_t row) const {
        const real* x = g + row * kPiece;
        const int64_t left = n - row * kPiece;
        const real s = t.sum(left < kPiece ? left : kPiece, [=](int64_t i) { return x[i] * x[i]; });
        real* y = sums + row;
        t.once([=] { *y = s; });
    }
};

struct ScaleAll {
    real* g;
    real factor;
    HD void operator()(int64_t i) const { g[i] *= factor; }
};

void check_schedule(const char* schedule, int64_t step, int64_t length) {
    if (step < 0 || length < 1) {
        throw ValueError(std::string(schedule) + ": step " + std::to_string(step) + " of " + std::to_string(length) +
                         "; want a step of 0 or more and a length of 1 or more");
    }
}

void require(bool is_met, const char* optimizer, const char* what, double value) {
    if (!is_met) throw ValueError(std::string(optimizer) + ": " + what + "; got " + std::to_string(value));
}

}  // namespace

Sgd::Sgd(FlatParameters parameters_, const SgdOptions& options_)
    : Optimizer(std::move(parameters_)), options(options_) {
    require(options.lr >= 0, "Sgd", "lr must be 0 or more", options.lr);
    require(options.momentum >= 0, "Sgd", "momentum must be 0 or more", options.momentum);
    require(options.weight_decay >= 0, "Sgd", "weight_decay must be 0 or more", options.weight_decay);
    require(!options.is_nesterov || options.momentum > 0, "Sgd", "Nesterov needs a momentum above 0", options.momentum);
    if (options.momentum > 0) velocity = Tensor::zeros(parameters.values.shape, parameters.values.device());
}

void Sgd::step() {
    const Profiled scope("Sgd::step");
    parameters.settle_grads();
    const Tensor& w = parameters.values;
    for_each(w.device(), w.numel(),
             SgdStep{w.data(), parameters.grads.data(), velocity.is_defined() ? velocity.data() : nullptr,
                     real(options.lr), real(options.momentum), real(options.weight_decay), options.is_nesterov},
             4);
}

Adam::Adam(FlatParameters parameters_, const AdamOptions& options_)
    : Optimizer(std::move(parameters_)), options(options_) {
    require(options.lr >= 0, "Adam", "lr must be 0 or more", options.lr);
    require(options.beta1 >= 0 && options.beta1 < 1, "Adam", "beta1 must be in [0, 1)", options.beta1);
    require(options.beta2 >= 0 && options.beta2 < 1, "Adam", "beta2 must be in [0, 1)", options.beta2);
    require(options.eps > 0, "Adam", "eps must be above 0", options.eps);
    require(options.weight_decay >= 0, "Adam", "weight_decay must be 0 or more", options.weight_decay);
    m = Tensor::zeros(parameters.values.shape, parameters.values.device());
    v = Tensor::zeros(parameters.values.shape, parameters.values.device());
}

void Adam::step_with(double l2, double decay) {
    const Profiled scope("Adam::step");
    parameters.settle_grads();
    n_steps++;
    const double t = double(n_steps), lr = options.lr;
    const Tensor& w = parameters.values;
    for_each(w.device(), w.numel(),
             AdamStep{.w = w.data(),
                      .g = parameters.grads.data(),
                      .m = m.data(),
                      .v = v.data(),
                      .beta1 = real(options.beta1),
                      .beta2 = real(options.beta2),
                      .eps = real(options.eps),
                      .one_minus_beta1 = real(1 - options.beta1),
                      .one_minus_beta2 = real(1 - options.beta2),
                      .rate = real(lr / (1 - std::pow(options.beta1, t))),
                      .scale = real(1 / std::sqrt(1 - std::pow(options.beta2, t))),
                      .l2 = real(l2),
                      .keep = real(1 - lr * decay)},
             8);
}

void Adam::visit(Visitor& visitor) {
    visitor("m", m);
    visitor("v", v);
    visitor("n_steps", n_steps);
}

double grad_norm(const FlatParameters& parameters) {
    parameters.settle_grads();
    const Tensor& g = parameters.grads;
    const int64_t n_pieces = (g.numel() + SquaresRow::kPiece - 1) / SquaresRow::kPiece;
    const Tensor sums = Tensor::empty({n_pieces}, g.device());
    for_rows(g.device(), n_pieces, SquaresRow::kPiece, SquaresRow{sums.data(), g.data(), g.numel()});
    double total = 0;
    for (real s : sums.to_vector()) total += double(s);
    return std::sqrt(total);
}

double clip_grad_norm(const FlatParameters& parameters, double max_norm) {
    const Profiled scope("clip_grad_norm");
    if (!(max_norm > 0)) {
        throw ValueError("clip_grad_norm: max_norm is " + std::to_string(max_norm) + "; want more than 0");
    }
    const double norm = grad_norm(parameters);
    if (!std::isfinite(norm)) {
        for (const auto& [name, var] : parameters.vars) {
            for (real g : var.grad().to_vector()) {
                if (!std::isfinite(g)) {
                    throw NonFiniteError("clip_grad_norm: the gradient of " + name + " holds " + std::to_string(g));
                }
            }
        }
        throw NonFiniteError("clip_grad_norm: the gradients are finite, but the sum of their squares is not");
    }
    if (norm > max_norm) {
        // As PyTorch: the 1e-6 also keeps rounding from leaving a norm above max_norm.
        for_each(parameters.grads.device(), parameters.grads.numel(),
                 ScaleAll{parameters.grads.data(), real(max_norm / (norm + 1e-6))});
    }
    return norm;
}

double step_decay(int64_t step, int64_t every, double factor) {
    check_schedule("step_decay", step, every);
    const int64_t n_steps_down = step / every;
    return std::pow(factor, double(n_steps_down));
}

double cosine_decay(int64_t step, int64_t n_steps, double last) {
    check_schedule("cosine_decay", step, n_steps);
    constexpr double kPi = 3.14159265358979323846;
    const double done = double(std::min(step, n_steps)) / double(n_steps);
    return last + (1 - last) * (1 + std::cos(kPi * done)) / 2;
}

double warm_up(int64_t step, int64_t n_steps) {
    check_schedule("warm_up", step, n_steps);
    return double(std::min(step + 1, n_steps)) / double(n_steps);
}

}  // namespace koine
