// The three products of a convolution on NHWC images: forward, gradient of the input, gradient of the weights.
//
// A convolution is a linear layer on patches: y[p, O] = patch[p, kh kw C] w[O, kh kw C]^T for every output pixel p.
// conv.cpp does exactly that, patches of a few images at a time so that they stay in cache. There are faster ways:
// winograd.h for 3 x 3 kernels of stride 1 and 4 x 4 ones of stride 2, positions.h for small maps. choose_algorithm in
// conv.cpp is the table of which shape goes which way.
// conv_transpose2d uses the same three: its forward pass is conv_input_grad.
#pragma once
#include <functional>

#include "tensor/device.h"

namespace koine {

/// x[n, h, w, c] * w[o, kh, kw, c] -> y[n, out_h, out_w, o], one stride, padding and dilation for both directions.
struct ConvShape {
    int64_t n, h, w, c;
    int64_t o, kh, kw;
    int64_t out_h, out_w;
    int64_t stride, padding, dilation;

    HD int64_t patch() const { return kh * kw * c; }
    HD int64_t pixels_in() const { return h * w; }
    HD int64_t pixels_out() const { return out_h * out_w; }
};

/// Extent of the output along one axis; 0 or less when the kernel does not fit.
inline int64_t conv_extent(int64_t in, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation) {
    const int64_t room = in + 2 * padding - dilation * (kernel - 1) - 1;
    return room < 0 ? 0 : room / stride + 1;
}

/// Called by the thread that finished rows [first, first + n) of the output, while they are still in its cache (by
/// positions.h when all of them are finished).
using RowsDone = std::function<void(int64_t first, int64_t n)>;

/// y[n out_h out_w, o] = patches(x) w^T.
void conv_forward(Device device, const ConvShape& s, const real* x, const real* w, real* y, const RowsDone& done = {});

/// dx[n h w, c] = beta dx + dy w, each tap added to the pixel that it was read from.
void conv_input_grad(Device device, const ConvShape& s, const real* dy, const real* w, real beta, real* dx,
                     const RowsDone& done = {});

/// dw[o, kh kw c] = beta dw + dy^T patches(x).
void conv_weight_grad(Device device, const ConvShape& s, const real* x, const real* dy, real beta, real* dw);

/// Throws ShapeError, naming op, for kernels above 16 x 16 (the gather below keeps one offset per tap).
void require_conv_kernel(const char* op, int64_t kh, int64_t kw);

}  // namespace koine
