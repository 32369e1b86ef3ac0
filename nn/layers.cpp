// Layers: how their parameters begin; see layers.h.
#include "nn/layers.h"

namespace koine {
namespace {

void require_positive(const char* layer, const char* what, int64_t n) {
    if (n < 1) throw ValueError(std::string(layer) + ": " + what + " is " + std::to_string(n) + "; want at least 1");
}

Var ones(int64_t n) { return Var::parameter(Tensor::full({n}, 1)); }
Var zeros(int64_t n) { return Var::parameter(Tensor::zeros({n})); }

// A weight and, unless it is left out, a bias, in this order of streams.
void initialise(Generator& gen, Var& weight, Var& bias, const Shape& shape, int64_t fan_in, int64_t n_out,
                bool has_bias) {
    weight = Var::parameter(default_uniform(shape, fan_in, gen.next()));
    if (has_bias) bias = Var::parameter(default_uniform({n_out}, fan_in, gen.next()));
}

void check_convolution(const char* layer, int64_t n_in, int64_t n_out, int64_t kernel, const ConvOptions& options) {
    require_positive(layer, "the number of input channels", n_in);
    require_positive(layer, "the number of output channels", n_out);
    require_positive(layer, "the size of the kernel", kernel);
    require_positive(layer, "stride", options.stride);
    require_positive(layer, "dilation", options.dilation);
    if (options.padding < 0) throw ValueError(std::string(layer) + ": padding is " + std::to_string(options.padding));
}

}  // namespace

Linear::Linear(Generator& gen, int64_t n_in, int64_t n_out, Activation act_, bool has_bias) : act(act_) {
    require_positive("Linear", "the number of inputs", n_in);
    require_positive("Linear", "the number of outputs", n_out);
    initialise(gen, weight, bias, {n_out, n_in}, n_in, n_out, has_bias);
}

Conv2d::Conv2d(Generator& gen, int64_t n_in, int64_t n_out, int64_t kernel, const ConvOptions& options_,
               Activation act_, bool has_bias)
    : options(options_), act(act_) {
    check_convolution("Conv2d", n_in, n_out, kernel, options);
    initialise(gen, weight, bias, {n_out, kernel, kernel, n_in}, kernel * kernel * n_in, n_out, has_bias);
}

ConvTranspose2d::ConvTranspose2d(Generator& gen, int64_t n_in, int64_t n_out, int64_t kernel,
                                 const ConvOptions& options_, bool has_bias)
    : options(options_) {
    check_convolution("ConvTranspose2d", n_in, n_out, kernel, options);
    // kernel^2 n_out and not n_in: PyTorch reads the fan off the second axis of [I, O, kh, kw].
    initialise(gen, weight, bias, {n_in, kernel, kernel, n_out}, kernel * kernel * n_out, n_out, has_bias);
}

BatchNorm::BatchNorm(int64_t n_channels, const BatchNormOptions& options_) : options(options_) {
    require_positive("BatchNorm", "the number of channels", n_channels);
    weight = ones(n_channels);
    bias = zeros(n_channels);
    running_mean = Tensor::zeros({n_channels});
    running_var = Tensor::full({n_channels}, 1);
}

Var BatchNorm::forward_with(const Var& x, Activation act) {
    return batch_norm(x, weight, bias, running_mean, running_var, training, options.momentum, options.eps, act);
}

void BatchNorm::visit(Visitor& v) {
    WeightedModule::visit(v);
    v("running_mean", running_mean);
    v("running_var", running_var);
}

LayerNorm::LayerNorm(int64_t n_features, real eps_) : eps(eps_) {
    require_positive("LayerNorm", "the number of features", n_features);
    weight = ones(n_features);
    bias = zeros(n_features);
}

Embedding::Embedding(Generator& gen, int64_t n_rows, int64_t n_features, double deviation) {
    require_positive("Embedding", "the number of rows", n_rows);
    require_positive("Embedding", "the number of features", n_features);
    weight = Var::parameter(normal_values({n_rows, n_features}, deviation, gen.next()));
}

Var Embedding::operator()(const Indices& ids) const {
    Indices flat = ids;
    flat.shape = {ids.numel()};
    Shape shape = ids.shape;
    shape.append(weight.shape()[1]);
    return reshape(index_select(weight, flat), shape);
}

Dropout::Dropout(Generator& gen, real p_) : p(p_), rng(gen.next()) {
    if (!(p >= 0 && p < 1)) throw ValueError("Dropout: p is " + std::to_string(p) + "; want 0 <= p < 1");
}

Var Dropout::forward(const Var& x) {
    if (!training) return x;
    return dropout(x, p, training, next());
}

MaxPool2d::MaxPool2d(int size_, int stride_, int padding_)
    : size(size_), stride(stride_ ? stride_ : size_), padding(padding_) {
    require_positive("MaxPool2d", "size", size);
    require_positive("MaxPool2d", "stride", stride);
    if (padding < 0 || 2 * padding > size) {
        throw ValueError("MaxPool2d: padding is " + std::to_string(padding) + "; want 0 to half of the size, " +
                         std::to_string(size));
    }
}

AvgPool2d::AvgPool2d(int size_, int stride_) : size(size_), stride(stride_ ? stride_ : size_) {
    require_positive("AvgPool2d", "size", size);
    require_positive("AvgPool2d", "stride", stride);
}

AdaptiveAvgPool2d::AdaptiveAvgPool2d(int out_h_, int out_w_) : out_h(out_h_), out_w(out_w_) {
    require_positive("AdaptiveAvgPool2d", "out_h", out_h);
    require_positive("AdaptiveAvgPool2d", "out_w", out_w);
}

Unflatten::Unflatten(int64_t h_, int64_t w_, int64_t c_) : h(h_), w(w_), c(c_) {
    require_positive("Unflatten", "h", h);
    require_positive("Unflatten", "w", w);
    require_positive("Unflatten", "c", c);
}

Var Unflatten::forward(const Var& x) {
    if (x.shape().rank != 2 || x.shape()[1] != h * w * c) {
        throw ShapeError("Unflatten: x " + x.shape().str() + "; want [N, " + std::to_string(h * w * c) +
                         "] for images " + Shape{h, w, c}.str());
    }
    return reshape(x, {x.shape()[0], h, w, c});
}

}  // namespace koine
