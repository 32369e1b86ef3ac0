// Products of small matrices on one thread, for gemm.h: as many rows and columns as a few hundred, as convolutions and
// attention have them by the thousand.
//
// A library copies both operands before it multiplies, which pays when each copy is used some hundred times. Here only
// strips of B are copied, as wide as two vector registers and as many as stay in the first-level cache, or none when
// all of B does; A is read where it is, each number for all columns of a strip.
#pragma once
#include "tensor/gemm.h"

namespace koine {

/// Columns of a strip: two vectors. A plain B that is one already, or small as a whole, is not copied.
extern const int64_t kStripCols;

/// Whether small_gemm is the faster way (measured in small_gemm.cpp).
bool suits_small_gemm(int64_t m, int64_t n, int64_t k, Op op_b);

/// As gemm on the CPU, on the calling thread. Any size; every number of C is a sum over k in order, in blocks of 256.
void small_gemm(int64_t m, int64_t n, int64_t k, real alpha, MatrixView a, MatrixView b, real beta, real* c,
                int64_t c_stride);

}  // namespace koine
