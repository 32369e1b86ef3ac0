// C = alpha op(A) op(B) + beta C: the one door to BLAS (OpenBLAS on the CPU, cuBLAS on a GPU). Row-major throughout.
//
// On the CPU the work is cut into tiles by its shape and each tile is one single-threaded BLAS call, or small_gemm.h
// for small ones, spread over our own threads. So results do not depend on the number of threads, and BLAS never
// competes with our loops for cores.
#pragma once
#include "tensor/device.h"

namespace koine {

enum class Op { plain, transposed };

/// A matrix as gemm sees it: row-major, `stride` elements from one row to the next, read transposed or not.
struct MatrixView {
    const real* data;
    int64_t stride;
    Op op = Op::plain;
};

/// C[m, n] = alpha A[m, k] B[k, n] + beta C, where A and B are taken through their op: a transposed A is stored [k, m].
/// beta = 0 overwrites C, NaN included. C's rows are c_stride apart. Inside a for_tasks task it runs on that thread.
void gemm(Device device, int64_t m, int64_t n, int64_t k, real alpha, MatrixView a, MatrixView b, real beta, real* c,
          int64_t c_stride);

/// `count` such products at equal distances: product i takes a.data + i a_step, b.data + i b_step and writes to
/// c + i c_step. A step of 0 uses one operand for all. One call on a GPU, tasks on the CPU.
void gemm_batched(Device device, int64_t count, int64_t m, int64_t n, int64_t k, real alpha, MatrixView a,
                  int64_t a_step, MatrixView b, int64_t b_step, real beta, real* c, int64_t c_stride, int64_t c_step);

/// Whether a GPU's float products may round their inputs to TF32 (10 bits of mantissa instead of 23): several times
/// faster from sm_80 on. Off unless set. The CPU takes no notice.
bool& uses_tf32();

/// "OpenBLAS 0.3.21 Cooperlake": library, version and the kernels it chose for this processor.
const char* blas_description();

}  // namespace koine
