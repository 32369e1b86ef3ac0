// Convolutions to one channel or a few, such as the last layer of a decoder: sums over the pixels under the kernel,
// taken where they are.
//
// A matrix product with so few columns spends its time on copying its operands. Here the pixels under one row of the
// kernel are one run of kw c numbers, in x as in w, and each sum runs along it.
#pragma once
#include "tensor/conv.h"

namespace koine {

/// Whether the algorithm fits: no dilation.
bool direct_fits(const ConvShape& s);

/// Two of the products of conv.h, for shapes with direct_fits(s). The gradient of the input is left to `twin`: there it
/// is the side with many channels that is written, and a matrix product does that faster.
void direct_forward(Device device, const ConvShape& s, const real* x, const real* w, real* y, const RowsDone& done);
void direct_weight_grad(Device device, const ConvShape& s, const real* x, const real* dy, real beta, real* dw);

}  // namespace koine
