// The layers: parameters and first values around the ops of autograd/ops.h. No formula is here: an op has it.
//
// Features are always the last axis: images are [N, H, W, C], tables [N, D]. For users of PyTorch, whose images are
// [N, C, H, W]:
//   layer              weight here         weight in PyTorch   from PyTorch
//   Linear             [O, I]              [O, I]              as it is
//   Conv2d             [O, kh, kw, I]      [O, I, kh, kw]      permute(0, 2, 3, 1)
//   ConvTranspose2d    [I, kh, kw, O]      [I, O, kh, kw]      permute(0, 2, 3, 1)
//   Linear behind Flatten of images: its I inputs come in the order H, W, C here and C, H, W there.
// First values are PyTorch's defaults. Arguments out of range throw ValueError when a layer is made.
//
// Reading order: module.h, init.h, this file, then relative.h.
#pragma once
#include "nn/init.h"
#include "nn/module.h"

namespace koine {

// ---- with weights -------------------------------------------------------------------------------------------------

/// What the layers with a weight and, unless it was left out, a bias have in common.
struct WeightedModule : Module {
    void visit(Visitor& v) override {
        v("weight", weight);
        v("bias", bias);
    }
    Var weight, bias;
};

/// y[*, O] = act(x[*, I] weight[O, I]^T + bias[O]).
struct Linear : WeightedModule {
    Linear(Generator& gen, int64_t n_in, int64_t n_out, Activation act_ = Activation::none, bool has_bias = true);
    Var forward(const Var& x) override { return linear(x, weight, bias, act); }

    Activation act;
};

/// y[N, H', W', O] = act(convolution of x[N, H, W, I] with weight[O, kh, kw, I] + bias[O]); sizes: see conv2d.
struct Conv2d : WeightedModule {
    Conv2d(Generator& gen, int64_t n_in, int64_t n_out, int64_t kernel, const ConvOptions& options_ = {},
           Activation act_ = Activation::none, bool has_bias = true);
    Var forward(const Var& x) override { return conv2d(x, weight, bias, options, act); }

    ConvOptions options;
    Activation act;
};

/// y[N, H', W', O] = the transpose of the convolution of x[N, H, W, I] with weight[I, kh, kw, O], + bias[O]; sizes: see
/// conv_transpose2d.
struct ConvTranspose2d : WeightedModule {
    ConvTranspose2d(Generator& gen, int64_t n_in, int64_t n_out, int64_t kernel, const ConvOptions& options_ = {},
                    bool has_bias = true);
    Var forward(const Var& x) override { return conv_transpose2d(x, weight, bias, options); }

    ConvOptions options;
};

struct BatchNormOptions {
    real momentum = real(0.1);  ///< share of the new batch in the running statistics
    real eps = real(1e-5);
};
/// Normalises each channel of x[*, C] over all other axes; running statistics in eval mode. PyTorch's
/// num_batches_tracked is not kept: no value depends on it.
struct BatchNorm : WeightedModule {
    explicit BatchNorm(int64_t n_channels, const BatchNormOptions& options_ = {});
    Var forward(const Var& x) override { return forward_with(x, Activation::none); }
    Var forward_with(const Var& x, Activation act) override;
    void visit(Visitor& v) override;

    Tensor running_mean, running_var;
    BatchNormOptions options;
};
/// One class: with the channels last, a table [N, C] and images [N, H, W, C] are the same rows.
using BatchNorm1d = BatchNorm;
using BatchNorm2d = BatchNorm;

/// Normalises each row of x[*, D].
struct LayerNorm : WeightedModule {
    explicit LayerNorm(int64_t n_features, real eps_ = real(1e-5));
    Var forward(const Var& x) override { return layer_norm(x, weight, bias, eps); }

    real eps;
};

/// y[*, D] = weight[ids[*], D]: a learnt vector for each of n_rows ids. First values N(0, deviation^2).
struct Embedding : Module {
    Embedding(Generator& gen, int64_t n_rows, int64_t n_features, double deviation = 1);
    /// Throws ValueError for an id outside [0, n_rows).
    Var operator()(const Indices& ids) const;
    void visit(Visitor& v) override { v("weight", weight); }

    Var weight;
};

/// Zeroes each element with probability p while training; the identity in eval mode. The mask is a function of the
/// seed, of the layer and of the number of calls before, which is part of the state: a resumed run drops what the
/// uninterrupted one would have dropped.
struct Dropout : Module {
    Dropout(Generator& gen, real p_);
    Var forward(const Var& x) override;
    void visit(Visitor& v) override { v("n_calls", n_calls); }
    /// Where the numbers of one more call while training come from; counts it.
    Random next() { return {rng.seed, rng.stream + n_calls++}; }

    real p;
    Random rng;
    uint64_t n_calls = 0;  ///< while training
};

// ---- without state ------------------------------------------------------------------------------------------------

struct StatelessModule : Module {
    void visit(Visitor&) override {}
};

/// Windows of size x size; `stride` 0 means size.
struct MaxPool2d : StatelessModule {
    explicit MaxPool2d(int size_, int stride_ = 0, int padding_ = 0);
    Var forward(const Var& x) override { return max_pool2d(x, size, stride, padding); }
    int size, stride, padding;
};
struct AvgPool2d : StatelessModule {
    explicit AvgPool2d(int size_, int stride_ = 0);
    Var forward(const Var& x) override { return avg_pool2d(x, size, stride); }
    int size, stride;
};
/// Images of any size to out_h x out_w.
struct AdaptiveAvgPool2d : StatelessModule {
    AdaptiveAvgPool2d(int out_h_, int out_w_);
    Var forward(const Var& x) override { return adaptive_avg_pool2d(x, out_h, out_w); }
    int out_h, out_w;
};

/// [N, ...] -> [N, D]: from images to a table.
struct Flatten : StatelessModule {
    Var forward(const Var& x) override { return flatten(x); }
};
/// [N, H W C] -> [N, H, W, C]: from a table to images.
struct Unflatten : StatelessModule {
    Unflatten(int64_t h_, int64_t w_, int64_t c_);
    Var forward(const Var& x) override;
    int64_t h, w, c;
};

/// An elementwise op as a layer.
template <Var (*F)(Var)>
struct Elementwise : StatelessModule {
    Var forward(const Var& x) override { return F(x); }
    Activation as_activation() const override {
        if (F == relu) return Activation::relu;
        if (F == gelu) return Activation::gelu;
        if (F == silu) return Activation::silu;
        if (F == tanh) return Activation::tanh;
        if (F == sigmoid) return Activation::sigmoid;
        return Activation::none;
    }
};
using Relu = Elementwise<relu>;
using Gelu = Elementwise<gelu>;
using Silu = Elementwise<silu>;
using Tanh = Elementwise<tanh>;
using Sigmoid = Elementwise<sigmoid>;
using Softplus = Elementwise<softplus>;

struct LeakyRelu : StatelessModule {
    explicit LeakyRelu(real slope_ = real(0.01)) : slope(slope_) {}
    Var forward(const Var& x) override { return leaky_relu(x, slope); }
    real slope;
};

}  // namespace koine
