// Convolutions of small maps, without patches: one matrix product for each place of the map and kernel row.
//
// The pixels at one place (i, j) of all images are the rows of a matrix that is there already, h w c apart. So the
// output pixel (i, j) of all images is a sum of products of such matrices with parts of the kernel, for those kernel
// rows and columns that fall inside the map. Nothing is copied, and nothing is multiplied with the zeros of the
// padding: for a 4 x 4 kernel of stride 2 that makes a map of 4 x 4 out of 2 x 2, these are 28 of 64 multiplications.
//
// It needs as many images as a matrix product needs rows, and takes as many products as the map has places.
#pragma once
#include "tensor/conv.h"

namespace koine {

/// The three products of conv.h, for any shape.
void positions_forward(Device device, const ConvShape& s, const real* x, const real* w, real* y, const RowsDone& done);
void positions_input_grad(Device device, const ConvShape& s, const real* dy, const real* w, real beta, real* dx,
                          const RowsDone& done);
void positions_weight_grad(Device device, const ConvShape& s, const real* x, const real* dy, real beta, real* dw);

}  // namespace koine
