// Winograd's convolution: 3 x 3 kernels with a quarter of the multiplications, 4 x 4 kernels of stride 2 with 40 %.
//
// Source: A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural Networks", 2015, arXiv 1509.09308.
// The output is cut into tiles of 4 x 4. F(4 x 4, 3 x 3), for 3 x 3 kernels, reads 6 x 6 pixels d for a tile. With g
// the kernel of one pair of channels,
//   Y = A^T [ (G g G^T) * (B^T d B) ] A,  where * multiplies element by element and is summed over input channels:
// the sum makes each of the 36 elements a matrix product of its own, [tiles, c] times [c, o]. 36 multiplications for 16
// outputs, instead of 144.
//
// A 4 x 4 kernel of stride 2 is a 2 x 2 kernel of stride 1 on cells of 2 x 2 pixels, each with the channels of all
// four. That takes F(4 x 4, 2 x 2): 25 multiplications instead of 64.
//
// The gradient of the input is such a convolution too, with the kernel flipped; the gradient of the kernel is the chain
// rule applied to the formula.
//
// The price is rounding, for large numbers are subtracted from each other. Measured with 128 channels in float, rms of
// the error relative to the rms of the result: 2.4e-6 for 3 x 3 kernels, 1.4e-6 for 4 x 4 ones, by patches 0.3e-6
// (tests/test_conv.cpp holds both below 4e-6).
#pragma once
#include "tensor/conv.h"

namespace koine {

/// Whether the algorithm fits: 3 x 3 taps of stride 1 or 4 x 4 taps of stride 2, no dilation, a padding below their
/// size.
bool winograd_fits(const ConvShape& s);

/// The three products of conv.h, for shapes with winograd_fits(s).
void winograd_forward(Device device, const ConvShape& s, const real* x, const real* w, real* y, const RowsDone& done);
void winograd_input_grad(Device device, const ConvShape& s, const real* dy, const real* w, real beta, real* dx,
                         const RowsDone& done);
void winograd_weight_grad(Device device, const ConvShape& s, const real* x, const real* dy, real beta, real* dw);

}  // namespace koine
