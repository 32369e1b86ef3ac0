// conv2d and conv_transpose2d: the three products of tensor/conv.h, and which of them is whose gradient.
#include "autograd/epilogue.h"
#include "autograd/kernels.h"
#include "tensor/conv.h"

namespace koine {
namespace {

void require_options(const char* op, const ConvOptions& o) {
    if (o.stride < 1 || o.padding < 0 || o.dilation < 1 || o.output_padding < 0) {
        throw ValueError(std::string(op) + ": stride " + std::to_string(o.stride) + ", padding " +
                         std::to_string(o.padding) + ", dilation " + std::to_string(o.dilation) + ", output_padding " +
                         std::to_string(o.output_padding) +
                         "; want stride and dilation of 1 or more, paddings of 0 or more");
    }
}

std::string shapes(const char* op, const Var& x, const Var& w, const Var& b) {
    return std::string(op) + ": x " + x.shape().str() + ", w " + w.shape().str() +
           (b.value.is_defined() ? ", b " + b.shape().str() : "") + "; want ";
}

}  // namespace

Var conv2d(const Var& x, const Var& w, const Var& b, const ConvOptions& options, Activation act) {
    const Profiled scope("conv2d");
    const bool has_bias = b.value.is_defined();
    require_options("conv2d", options);
    const Shape &sx = x.shape(), &sw = w.shape();
    if (sx.rank != 4 || sw.rank != 4 || sx[3] != sw[3] || (has_bias && !(b.shape() == Shape{sw[0]}))) {
        throw ShapeError(shapes("conv2d", x, w, b) + "[N, H, W, C], [O, kh, kw, C], [O]");
    }
    require_conv_kernel("conv2d", sw[1], sw[2]);
    require_same_device("conv2d", {&x, &w, has_bias ? &b : &w});
    ConvShape s{sx[0], sx[1], sx[2], sx[3],          sw[0],           sw[1],
                sw[2], 0,     0,     options.stride, options.padding, options.dilation};
    s.out_h = conv_extent(s.h, s.kh, s.stride, s.padding, s.dilation);
    s.out_w = conv_extent(s.w, s.kw, s.stride, s.padding, s.dilation);
    if (s.out_h < 1 || s.out_w < 1)
        throw ShapeError(shapes("conv2d", x, w, b) + "a kernel that fits into the padded image");

    const Device device = x.device();
    const bool keeps_z = should_record({&x, &w, &b});
    const Tensor in = x.value.contiguous(), weight = w.value.contiguous();
    const Tensor z = Tensor::empty({s.n, s.out_h, s.out_w, s.o}, device);
    const BiasActivation finish(z, b.value, act, keeps_z);
    conv_forward(device, s, in.data(), weight.data(), z.data(),
                 [&](int64_t first, int64_t n) { finish.rows(first, n); });
    const Tensor y = finish.y;
    const int64_t flop = 2 * s.n * s.pixels_out() * s.o * s.patch();  // of each of the three products
    profile_flop(flop);
    return record("conv2d", y, {&x, &w, &b}, [=](const Tensor& dy, Grads& dx) {
        profile_flop((dx.wants(0) + dx.wants(1)) * flop);
        const Tensor dz = activation_grad(dy, z, y, act);
        if (has_bias && dx.wants(2)) column_sums(device, dz.data(), s.n * s.pixels_out(), s.o, dx.slot(2));
        if (dx.wants(0)) {
            const GradSlot slot = dx.slot(0);
            conv_input_grad(device, s, dz.data(), weight.data(), slot.beta, slot.p);
        }
        if (dx.wants(1)) {
            const GradSlot slot = dx.slot(1);
            conv_weight_grad(device, s, in.data(), dz.data(), slot.beta, slot.p);
        }
    });
}

Var conv_transpose2d(const Var& x, const Var& w, const Var& b, const ConvOptions& options) {
    const Profiled scope("conv_transpose2d");
    const bool has_bias = b.value.is_defined();
    require_options("conv_transpose2d", options);
    const Shape &sx = x.shape(), &sw = w.shape();
    if (sx.rank != 4 || sw.rank != 4 || sx[3] != sw[0] || (has_bias && !(b.shape() == Shape{sw[3]}))) {
        throw ShapeError(shapes("conv_transpose2d", x, w, b) + "[N, H, W, I], [I, kh, kw, O], [O]");
    }
    if (options.output_padding >= options.stride) {
        throw ValueError("conv_transpose2d: output_padding " + std::to_string(options.output_padding) +
                         "; want less than the stride, " + std::to_string(options.stride));
    }
    require_conv_kernel("conv_transpose2d", sw[1], sw[2]);
    require_same_device("conv_transpose2d", {&x, &w, has_bias ? &b : &w});
    // The convolution of which this is the transpose: from y's large image to x's small one.
    ConvShape s{sx[0], 0,     0,     sw[3],          sw[0],           sw[1],
                sw[2], sx[1], sx[2], options.stride, options.padding, options.dilation};
    const auto extent = [&](int64_t in, int64_t kernel) {
        return (in - 1) * s.stride - 2 * s.padding + s.dilation * (kernel - 1) + options.output_padding + 1;
    };
    s.h = extent(s.out_h, s.kh);
    s.w = extent(s.out_w, s.kw);
    if (s.h < 1 || s.w < 1) throw ShapeError(shapes("conv_transpose2d", x, w, b) + "an output of at least 1 x 1");

    const Device device = x.device();
    const Tensor in = x.value.contiguous(), weight = w.value.contiguous();
    const Tensor y = Tensor::empty({s.n, s.h, s.w, s.c}, device);
    const BiasActivation finish(y, b.value, Activation::none, false);
    conv_input_grad(device, s, in.data(), weight.data(), 0, y.data(),
                    [&](int64_t first, int64_t n) { finish.rows(first, n); });
    const int64_t flop = 2 * s.n * s.pixels_out() * s.o * s.patch();
    profile_flop(flop);
    return record("conv_transpose2d", y, {&x, &w, &b}, [=](const Tensor& dy, Grads& dx) {
        profile_flop((dx.wants(0) + dx.wants(1)) * flop);
        if (has_bias && dx.wants(2)) column_sums(device, dy.data(), s.n * s.pixels_in(), s.c, dx.slot(2));
        if (dx.wants(0)) {
            const GradSlot slot = dx.slot(0);
            if (slot.beta == 0) {
                conv_forward(device, s, dy.data(), weight.data(), slot.p);
            } else {
                const Tensor more = Tensor::empty(in.shape, device);
                conv_forward(device, s, dy.data(), weight.data(), more.data());
                dx.add(0, more);
            }
        }
        if (dx.wants(1)) {
            const GradSlot slot = dx.slot(1);
            conv_weight_grad(device, s, dy.data(), in.data(), slot.beta, slot.p);
        }
    });
}

}  // namespace koine
