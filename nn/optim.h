// Optimisers: from gradients to the next parameters. One pass over the flat buffers of FlatParameters.
//
//   Adam adam(model, {.lr = 1e-3});
//   for (...) {
//       adam.zero_grad();
//       backward(mse_loss(model(x), x));
//       clip_grad_norm(adam.parameters, 10);
//       adam.step();
//   }
//
// A parameter that backward() did not reach counts as one with gradient 0. Optimisers alone change parameters in place.
// Hyperparameters are double and may be changed between steps; formulas and defaults are PyTorch's.
// An optimiser's state (moments, number of steps) is listed by visit() and saved like a module's: see checkpoint.h.
//
// Reading order: module.h, this file.
#pragma once
#include "nn/module.h"

namespace koine {

struct Optimizer : Stateful {
    explicit Optimizer(FlatParameters parameters_) : parameters(std::move(parameters_)) {}
    /// Changes the parameters by the gradients that backward() left.
    virtual void step() = 0;
    void zero_grad() const { parameters.zero_grad(); }

    FlatParameters parameters;
};

struct SgdOptions {
    double lr = 1e-3;
    double momentum = 0;
    double weight_decay = 0;  ///< adds weight_decay w to the gradient
    bool is_nesterov = false;
};
/// u = momentum u + g; w -= lr u, or with Nesterov's look-ahead w -= lr (g + momentum u). Sutskever et al. 2013.
struct Sgd : Optimizer {
    /// Throws ValueError for negative options, and for Nesterov without momentum.
    Sgd(FlatParameters parameters_, const SgdOptions& options_ = {});
    void step() override;
    void visit(Visitor& v) override { v("momentum", velocity); }

    SgdOptions options;
    Tensor velocity;  ///< u[n]; undefined without momentum
};

struct AdamOptions {
    double lr = 1e-3;
    double beta1 = 0.9;    ///< decay of the mean of the gradient
    double beta2 = 0.999;  ///< decay of the mean of its square
    double eps = 1e-8;
    double weight_decay = 0;  ///< adds weight_decay w to the gradient
};
/// m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2; after step t
/// w -= lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps). Kingma & Ba 2015, arXiv 1412.6980.
struct Adam : Optimizer {
    /// Throws ValueError for negative options, unless both betas are below 1, and unless eps is above 0.
    Adam(FlatParameters parameters_, const AdamOptions& options_ = {});
    void step() override { step_with(options.weight_decay, 0); }
    void visit(Visitor& v) override;

    AdamOptions options;
    Tensor m, v;  ///< [n]
    uint64_t n_steps = 0;

protected:
    /// `l2` w is added to the gradient; w shrinks by lr `decay` w first.
    void step_with(double l2, double decay);
};

struct AdamWOptions {
    double lr = 1e-3;
    double beta1 = 0.9;
    double beta2 = 0.999;
    double eps = 1e-8;
    double weight_decay = 0.01;  ///< w shrinks by lr weight_decay w
};
/// Adam whose weight decay passes by the moments: w -= lr weight_decay w. Loshchilov & Hutter 2019, arXiv 1711.05101.
struct AdamW : Adam {
    AdamW(FlatParameters parameters_, const AdamWOptions& o = {})
        : Adam(std::move(parameters_), {o.lr, o.beta1, o.beta2, o.eps, o.weight_decay}) {}
    void step() override { step_with(0, options.weight_decay); }
};

/// The Euclidean norm of all gradients together. The same bytes for any number of threads. Waits for a GPU.
double grad_norm(const FlatParameters& parameters);

/// Scales all gradients by max_norm / (norm + 1e-6) when their norm is larger than max_norm; returns the norm before.
/// For the norm the host waits for a GPU, once each call: a step that clips does not run ahead.
/// Throws NonFiniteError, naming the first parameter whose gradient is not finite, ValueError unless max_norm > 0.
double clip_grad_norm(const FlatParameters& parameters, double max_norm);

// ---- schedules: what to multiply the learning rate by at step 0, 1, 2, ... ----------------------------------------
// `adam.options.lr = 1e-3 * warm_up(step, 100) * cosine_decay(step, n_steps);` A constant schedule is the number 1.
// They throw ValueError for a negative step, and for lengths below 1.

/// factor^floor(step / every): a stair.
double step_decay(int64_t step, int64_t every, double factor);

/// From 1 at step 0 to `last` at step n_steps and beyond, along half a cosine. Loshchilov & Hutter 2017, arXiv
/// 1608.03983.
double cosine_decay(int64_t step, int64_t n_steps, double last = 0);

/// Linear from 1 / n_steps at step 0 to 1 at step n_steps - 1 and beyond.
double warm_up(int64_t step, int64_t n_steps);

}  // namespace koine
