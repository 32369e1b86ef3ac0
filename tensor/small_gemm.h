// Products of small matrices on one thread, for gemm.h: as many rows and columns as a few hundred, as convolutions and
// attention have them by the thousand.
//
// A library copies both operands before it multiplies, which pays when each copy is used some hundred times. Here only
// a strip of B is copied, as wide as two vector registers; A is read where it is, each number for all columns of the
// strip.
#pragma once
#include "tensor/gemm.h"

namespace koine {

/// Whether small_gemm is the faster way (measured in small_gemm.cpp).
bool suits_small_gemm(int64_t m, int64_t n, int64_t k, Op op_b);

/// As gemm on the CPU, on the calling thread. Any size; every number of C is a sum over k in order, in blocks of 256.
void small_gemm(int64_t m, int64_t n, int64_t k, real alpha, MatrixView a, MatrixView b, real beta, real* c,
                int64_t c_stride);

}  // namespace koine
