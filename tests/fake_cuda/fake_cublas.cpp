// cuBLAS by way of the host's BLAS, column-major as it is, and as strict as its documentation about what it is given.
#include "tests/fake_cuda/cublas_v2.h"

#include <cblas.h>

#include <bit>
#include <cmath>
#include <vector>

#include "tests/fake_cuda/fake_state.h"

struct cublasContext {
    cudaStream_t stream = nullptr;
    cublasMath_t math = CUBLAS_DEFAULT_MATH;
};

using namespace fake_cuda;

namespace {

template <class T>
struct Operand {
    T* data;
    int64_t rows, cols, lead, stride, batch;  // of the matrix as it is stored

    int64_t extent() const { return rows * cols == 0 ? 0 : stride * (batch - 1) + lead * (cols - 1) + rows; }
    bool is_valid() const { return lead >= std::max<int64_t>(rows, 1) && stride >= 0; }
    bool is_on_device() const {
        return extent() == 0 || memory_of(data, size_t(extent()) * sizeof(T)) == Memory::device;
    }
};

void blas(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k, float alpha, const float* a, int lda,
          const float* b, int ldb, float beta, float* c, int ldc) {
    cblas_sgemm(CblasColMajor, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}
void blas(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k, double alpha, const double* a, int lda,
          const double* b, int ldb, double beta, double* c, int ldc) {
    cblas_dgemm(CblasColMajor, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

// To the 10 bits of mantissa that TF32 keeps, to the nearest, as PTX's cvt.rna.tf32.f32.
std::vector<float> rounded(const float* x, int64_t n) {
    std::vector<float> y(x, x + n);
    for (float& v : y)
        if (std::isfinite(v)) v = std::bit_cast<float>((std::bit_cast<uint32_t>(v) + 0x1000) & ~0x1FFFu);
    return y;
}

template <class T>
cublasStatus_t gemm(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, int m, int n, int k,
                    const T* alpha_at, const T* a_at, int lda, long long stride_a, const T* b_at, int ldb,
                    long long stride_b, const T* beta_at, T* c_at, int ldc, long long stride_c, int batch) {
    const Lock lock;
    if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (usable() != cudaSuccess) return CUBLAS_STATUS_EXECUTION_FAILED;
    const auto is_op = [](cublasOperation_t op) { return op >= CUBLAS_OP_N && op <= CUBLAS_OP_C; };
    if (m < 0 || n < 0 || k < 0 || batch < 0 || !is_op(transa) || !is_op(transb) || !alpha_at || !beta_at)
        return CUBLAS_STATUS_INVALID_VALUE;
    const bool ta = transa != CUBLAS_OP_N, tb = transb != CUBLAS_OP_N;
    const Operand<const T> a = {a_at, ta ? k : m, ta ? m : k, lda, stride_a, batch};
    const Operand<const T> b = {b_at, tb ? n : k, tb ? k : n, ldb, stride_b, batch};
    const Operand<T> c = {c_at, m, n, ldc, stride_c, batch};
    if (!a.is_valid() || !b.is_valid() || !c.is_valid()) return CUBLAS_STATUS_INVALID_VALUE;
    if (m == 0 || n == 0 || batch == 0) return CUBLAS_STATUS_SUCCESS;
    state().counts.gemms++;
    const char* wrong = !a.is_on_device() ? "A" : !b.is_on_device() ? "B" : !c.is_on_device() ? "C" : nullptr;
    if (wrong) {
        complain("%s of a gemm is not within one device buffer: %c%c, m %d, n %d, k %d, ld %d %d %d, %d of them", wrong,
                 "NTC"[transa], "NTC"[transb], m, n, k, lda, ldb, ldc, batch);
        enqueue(handle->stream, [] { return cudaErrorIllegalAddress; });
        return CUBLAS_STATUS_SUCCESS;
    }
    const bool rounds = sizeof(T) == sizeof(float) && handle->math == CUBLAS_TF32_TENSOR_OP_MATH;
    enqueue(handle->stream, [=, alpha = *alpha_at, beta = *beta_at] {
        const T *from_a = a.data, *from_b = b.data;
        std::vector<float> rounded_a, rounded_b;
        if constexpr (sizeof(T) == sizeof(float)) {
            if (rounds) {
                rounded_a = rounded(from_a, a.extent()), rounded_b = rounded(from_b, b.extent());
                from_a = rounded_a.data(), from_b = rounded_b.data();
            }
        }
        // Cut into columns by shape, and each piece computed by one thread: the bytes do not depend on their number.
        // Below 2^18 multiplications BLAS takes one thread on its own (OpenBLAS, interface/gemm.c).
        constexpr int64_t kColumns = 64, kSerial = 1 << 17;
        const int64_t pieces = (n + kColumns - 1) / kColumns;
#pragma omp parallel for schedule(dynamic, 1) if (int64_t(m) * n * k * batch > kSerial)
        for (int64_t i = 0; i < pieces * batch; i++) {
            const int64_t which = i / pieces, column = i % pieces * kColumns;
            blas(ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, m,
                 int(std::min<int64_t>(kColumns, n - column)), k, alpha, from_a + which * stride_a, lda,
                 from_b + which * stride_b + (tb ? column : column * ldb), ldb, beta,
                 c.data + which * stride_c + column * ldc, ldc);
        }
        return cudaSuccess;
    });
    return state().error == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

}  // namespace

cublasStatus_t cublasCreate(cublasHandle_t* handle) {
    const Lock lock;
    if (usable() != cudaSuccess) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (!handle) return CUBLAS_STATUS_INVALID_VALUE;
    *handle = new cublasContext;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy(cublasHandle_t handle) {
    const Lock lock;
    if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
    delete handle;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream) {
    const Lock lock;
    if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (!is_stream(stream)) return CUBLAS_STATUS_INVALID_VALUE;
    handle->stream = stream;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
    const Lock lock;
    if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (mode != CUBLAS_DEFAULT_MATH && mode != CUBLAS_PEDANTIC_MATH && mode != CUBLAS_TF32_TENSOR_OP_MATH)
        return CUBLAS_STATUS_INVALID_VALUE;
    handle->math = mode;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetMathMode(cublasHandle_t handle, cublasMath_t* mode) {
    const Lock lock;
    if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (!mode) return CUBLAS_STATUS_INVALID_VALUE;
    *mode = handle->math;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetVersion(cublasHandle_t handle, int* version) {
    if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (!version) return CUBLAS_STATUS_INVALID_VALUE;
    *version = CUBLAS_VERSION;
    return CUBLAS_STATUS_SUCCESS;
}

const char* cublasGetStatusString(cublasStatus_t status) {
    switch (status) {
        case CUBLAS_STATUS_SUCCESS: return "CUBLAS_STATUS_SUCCESS";
        case CUBLAS_STATUS_NOT_INITIALIZED: return "CUBLAS_STATUS_NOT_INITIALIZED";
        case CUBLAS_STATUS_ALLOC_FAILED: return "CUBLAS_STATUS_ALLOC_FAILED";
        case CUBLAS_STATUS_INVALID_VALUE: return "CUBLAS_STATUS_INVALID_VALUE";
        case CUBLAS_STATUS_ARCH_MISMATCH: return "CUBLAS_STATUS_ARCH_MISMATCH";
        case CUBLAS_STATUS_MAPPING_ERROR: return "CUBLAS_STATUS_MAPPING_ERROR";
        case CUBLAS_STATUS_EXECUTION_FAILED: return "CUBLAS_STATUS_EXECUTION_FAILED";
        case CUBLAS_STATUS_INTERNAL_ERROR: return "CUBLAS_STATUS_INTERNAL_ERROR";
        case CUBLAS_STATUS_NOT_SUPPORTED: return "CUBLAS_STATUS_NOT_SUPPORTED";
    }
    return "unknown status";
}

cublasStatus_t cublasSgemm(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, int m, int n,
                           int k, const float* alpha, const float* a, int lda, const float* b, int ldb,
                           const float* beta, float* c, int ldc) {
    return gemm(handle, transa, transb, m, n, k, alpha, a, lda, 0, b, ldb, 0, beta, c, ldc, 0, 1);
}
cublasStatus_t cublasDgemm(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, int m, int n,
                           int k, const double* alpha, const double* a, int lda, const double* b, int ldb,
                           const double* beta, double* c, int ldc) {
    return gemm(handle, transa, transb, m, n, k, alpha, a, lda, 0, b, ldb, 0, beta, c, ldc, 0, 1);
}
cublasStatus_t cublasSgemmStridedBatched(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb,
                                         int m, int n, int k, const float* alpha, const float* a, int lda,
                                         long long stride_a, const float* b, int ldb, long long stride_b,
                                         const float* beta, float* c, int ldc, long long stride_c, int batch) {
    return gemm(handle, transa, transb, m, n, k, alpha, a, lda, stride_a, b, ldb, stride_b, beta, c, ldc, stride_c,
                batch);
}
cublasStatus_t cublasDgemmStridedBatched(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb,
                                         int m, int n, int k, const double* alpha, const double* a, int lda,
                                         long long stride_a, const double* b, int ldb, long long stride_b,
                                         const double* beta, double* c, int ldc, long long stride_c, int batch) {
    return gemm(handle, transa, transb, m, n, k, alpha, a, lda, stride_a, b, ldb, stride_b, beta, c, ldc, stride_c,
                batch);
}
