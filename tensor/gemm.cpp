#include "tensor/gemm.h"

#include <cblas.h>

#include <bit>
#include <cmath>

#include "tensor/small_gemm.h"
#include "tensor/storage.h"

#ifdef KOINE_CUDA
#include <cublas_v2.h>

#include "tensor/cuda.h"
#endif

namespace koine {
namespace {

// One BLAS call, by precision.
[[maybe_unused]] void call_blas(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, blasint m, blasint n, blasint k, float alpha,
                                const float* a, blasint lda, const float* b, blasint ldb, float beta, float* c,
                                blasint ldc) {
    cblas_sgemm(CblasRowMajor, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}
[[maybe_unused]] void call_blas(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, blasint m, blasint n, blasint k, double alpha,
                                const double* a, blasint lda, const double* b, blasint ldb, double beta, double* c,
                                blasint ldc) {
    cblas_dgemm(CblasRowMajor, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

// On the calling thread.
void multiply(int64_t m, int64_t n, int64_t k, real alpha, MatrixView a, MatrixView b, real beta, real* c,
              int64_t c_stride) {
    if (suits_small_gemm(m, n, k, b.op)) return small_gemm(m, n, k, alpha, a, b, beta, c, c_stride);
    const auto trans = [](Op op) { return op == Op::transposed ? CblasTrans : CblasNoTrans; };
    const auto lead = [](int64_t stride) { return blasint(std::max<int64_t>(stride, 1)); };
    call_blas(trans(a.op), trans(b.op), blasint(m), blasint(n), blasint(k), alpha, a.data, lead(a.stride), b.data,
              lead(b.stride), beta, c, lead(c_stride));
}

MatrixView shifted(MatrixView v, int64_t row, int64_t column) {
    v.data += v.op == Op::plain ? row * v.stride + column : column * v.stride + row;
    return v;
}

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// How C is cut. Each tile packs its part of A and B again, so tiles are as large as the wanted number allows.
struct Tiles {
    int64_t rows, cols, depth;  // of one tile
};

// Below this much work one call is made, on the calling thread. OpenBLAS starts threads of its own only above 2^18
// multiplications (its interface/gemm.c), so such a call is single-threaded too.
constexpr int64_t kOneCall = 1 << 17;
// Enough tiles for 16 threads, when each still has about 16 MFLOP to do (of 8, copying their operands took a sixth of
// the time of a product with 128 rows). A power of two: three tiles take two threads as long as four.
constexpr int64_t kTiles = 16, kTileWork = 1 << 23;
constexpr int64_t kMinTile = 48, kMinDepth = 1024;

// Rows and columns of a tile in whole tiles of BLAS's kernels.
int64_t whole(int64_t n) { return divide_up(n, 16) * 16; }

Tiles cut(int64_t m, int64_t n, int64_t k) {
    const auto wanted = int64_t(std::bit_floor(uint64_t(std::clamp<int64_t>(m * n * k / kTileWork, 2, kTiles))));
    Tiles t{m, n, k};
    // A is packed once per column of tiles and B once per row of them: about square tiles pack the least.
    const int64_t square = std::lround(std::sqrt(double(wanted) * double(m) / double(n)));
    const int64_t n_rows = std::clamp<int64_t>(std::min(square, m / kMinTile), 1, wanted);
    t.rows = whole(divide_up(m, n_rows));
    const int64_t n_cols = std::clamp<int64_t>(std::min(n / kMinTile, wanted / n_rows), 1, wanted);
    t.cols = whole(divide_up(n, n_cols));
    // A small C with long sums, such as a weight gradient: cut the sums, add the parts in order.
    const int64_t n_depth = std::clamp<int64_t>(std::min(k / kMinDepth, wanted / (n_rows * n_cols)), 1, wanted);
    t.depth = divide_up(k, n_depth);
    // One tile must not be left alone: outside a parallel region BLAS would start threads of its own.
    if (t.rows >= m && t.cols >= n && t.depth >= k) {
        if (m > 1) {
            t.rows = divide_up(m, 2);
        } else if (n > 1) {
            t.cols = divide_up(n, 2);
        } else {
            t.depth = divide_up(k, 2);
        }
    }
    return t;
}

struct AddParts {
    real* c;
    const real* parts;
    int64_t m, n, c_stride, n_parts;
    real beta;
    HD void operator()(int64_t i) const {
        real* to = c + i / n * c_stride + i % n;
        real s = beta != 0 ? beta * *to : real(0);
        for (int64_t p = 0; p < n_parts; p++) s += parts[p * m * n + i];
        *to = s;
    }
};

void gemm_cpu(int64_t m, int64_t n, int64_t k, real alpha, MatrixView a, MatrixView b, real beta, real* c,
              int64_t c_stride) {
    if (in_task || m * n * k <= kOneCall) return multiply(m, n, k, alpha, a, b, beta, c, c_stride);
    const Tiles t = cut(m, n, k);
    const int64_t n_rows = divide_up(m, t.rows), n_cols = divide_up(n, t.cols), n_depth = divide_up(k, t.depth);
    const bool has_parts = n_depth > 1;
    const Storage parts(Device::cpu, has_parts ? size_t(n_depth * m * n) * sizeof(real) : 0);
    for_tasks(Device::cpu, n_rows * n_cols * n_depth, [&](int64_t tile) {
        const int64_t depth = tile % n_depth, row = tile / n_depth / n_cols * t.rows,
                      col = tile / n_depth % n_cols * t.cols;
        const int64_t tm = std::min(t.rows, m - row), tn = std::min(t.cols, n - col), at = depth * t.depth,
                      tk = std::min(t.depth, k - at);
        real* out =
            has_parts ? static_cast<real*>(parts.ptr) + depth * m * n + row * n + col : c + row * c_stride + col;
        multiply(tm, tn, tk, alpha, shifted(a, row, at), shifted(b, at, col), has_parts ? 0 : beta, out,
                 has_parts ? n : c_stride);
    });
    if (has_parts)
        for_each(Device::cpu, m * n, AddParts{c, static_cast<const real*>(parts.ptr), m, n, c_stride, n_depth, beta},
                 n_depth);
}

#ifdef KOINE_CUDA
void check(cublasStatus_t status, const char* what) {
    if (status != CUBLAS_STATUS_SUCCESS) {
        throw DeviceError(std::string(what) + ": " + cublasGetStatusString(status) + " (status " +
                          std::to_string(int(status)) + ")");
    }
}

// One for each thread of the host, never destroyed: the runtime may be gone when a thread ends.
cublasHandle_t cublas() {
    static thread_local const cublasHandle_t handle = [] {
        cublasHandle_t h;
        const cudaStream_t stream = cuda::stream();  // first: it says what is missing
        check(cublasCreate(&h), "cublasCreate");
        check(cublasSetStream(h, stream), "cublasSetStream");
        return h;
    }();
    static thread_local bool is_tf32 = false;  // as a new handle is
    if (is_tf32 != uses_tf32()) {
        is_tf32 = uses_tf32();
        check(cublasSetMathMode(handle, is_tf32 ? CUBLAS_TF32_TENSOR_OP_MATH : CUBLAS_DEFAULT_MATH),
              "cublasSetMathMode");
    }
    return handle;
}

[[maybe_unused]] cublasStatus_t call_cublas(cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k,
                                            float alpha, const float* a, int lda, int64_t a_step, const float* b,
                                            int ldb, int64_t b_step, float beta, float* c, int ldc, int64_t c_step,
                                            int count) {
    if (count == 1) return cublasSgemm(cublas(), ta, tb, m, n, k, &alpha, a, lda, b, ldb, &beta, c, ldc);
    return cublasSgemmStridedBatched(cublas(), ta, tb, m, n, k, &alpha, a, lda, a_step, b, ldb, b_step, &beta, c, ldc,
                                     c_step, count);
}
[[maybe_unused]] cublasStatus_t call_cublas(cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k,
                                            double alpha, const double* a, int lda, int64_t a_step, const double* b,
                                            int ldb, int64_t b_step, double beta, double* c, int ldc, int64_t c_step,
                                            int count) {
    if (count == 1) return cublasDgemm(cublas(), ta, tb, m, n, k, &alpha, a, lda, b, ldb, &beta, c, ldc);
    return cublasDgemmStridedBatched(cublas(), ta, tb, m, n, k, &alpha, a, lda, a_step, b, ldb, b_step, &beta, c, ldc,
                                     c_step, count);
}

int to_int(int64_t n) {
    if (n > std::numeric_limits<int>::max()) {
        throw ValueError("gemm: an extent of " + std::to_string(n) + " on a GPU; cuBLAS takes less than 2^31");
    }
    return int(n);
}

// c *= beta: what is left of a product over nothing, about which cuBLAS does not commit itself.
struct ScaleMatrices {
    real* c;
    int64_t m, n, c_stride, c_step;
    real beta;
    HD void operator()(int64_t i) const {
        real& to = c[i / (m * n) * c_step + i / n % m * c_stride + i % n];
        to = beta != 0 ? beta * to : real(0);
    }
};

void gemm_cuda(int64_t count, int64_t m, int64_t n, int64_t k, real alpha, MatrixView a, int64_t a_step, MatrixView b,
               int64_t b_step, real beta, real* c, int64_t c_stride, int64_t c_step) {
    if (k == 0) {
        return for_each(Device::cuda, count * m * n, ScaleMatrices{c, m, n, c_stride, c_step, beta});
    }
    const auto trans = [](Op op) { return op == Op::transposed ? CUBLAS_OP_T : CUBLAS_OP_N; };
    const auto lead = [](int64_t stride) { return to_int(std::max<int64_t>(stride, 1)); };
    // The number of products is the third extent of a grid, of which there can be 65535.
    for (int64_t first = 0; first < count; first += 65535) {
        const int64_t some = std::min<int64_t>(count - first, 65535);
        // cuBLAS is column-major: a row-major C = A B is its C^T = B^T A^T on the same memory, operands swapped.
        check(call_cublas(trans(b.op), trans(a.op), to_int(n), to_int(m), to_int(k), alpha, b.data + first * b_step,
                          lead(b.stride), b_step, a.data + first * a_step, lead(a.stride), a_step, beta,
                          c + first * c_step, lead(c_stride), c_step, int(some)),
              "cuBLAS gemm");
    }
}
#endif

}  // namespace

bool& uses_tf32() {
    static bool is_on = false;
    return is_on;
}

void gemm_batched(Device device, int64_t count, int64_t m, int64_t n, int64_t k, real alpha, MatrixView a,
                  int64_t a_step, MatrixView b, int64_t b_step, real beta, real* c, int64_t c_stride, int64_t c_step) {
    if (count == 0 || m == 0 || n == 0) return;
    if (device == Device::cuda) {
#ifdef KOINE_CUDA
        return gemm_cuda(count, m, n, k, alpha, a, a_step, b, b_step, beta, c, c_stride, c_step);
#else
        no_cuda();
#endif
    }
    const auto product = [&](int64_t i) {
        gemm_cpu(m, n, k, alpha, {a.data + i * a_step, a.stride, a.op}, {b.data + i * b_step, b.stride, b.op}, beta,
                 c + i * c_step, c_stride);
    };
    if (count == 1) return product(0);  // a single product is cut into tiles
    for_tasks(device, count, product);
}

void gemm(Device device, int64_t m, int64_t n, int64_t k, real alpha, MatrixView a, MatrixView b, real beta, real* c,
          int64_t c_stride) {
    gemm_batched(device, 1, m, n, k, alpha, a, 0, b, 0, beta, c, c_stride, 0);
}

const char* blas_description() {
    static const std::string text = [] {
        // openblas_get_config() reads "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ... Cooperlake MAX_THREADS=64".
        const std::string config = openblas_get_config();
        const size_t space = config.find(' ', config.find(' ') + 1);
        return config.substr(0, space) + " " + openblas_get_corename();
    }();
    return text.c_str();
}

}  // namespace koine
