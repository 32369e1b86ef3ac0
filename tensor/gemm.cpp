#include "tensor/gemm.h"

#include <cblas.h>

#include <cmath>

#include "tensor/storage.h"

#ifdef __CUDACC__
#include <cublas_v2.h>
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

void blas(int64_t m, int64_t n, int64_t k, real alpha, MatrixView a, MatrixView b, real beta, real* c,
          int64_t c_stride) {
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
constexpr int64_t kOneCall = 64 * 64 * 32;
// Enough tiles for 16 threads with some left to balance, when each still has about 8 MFLOP to do.
constexpr int64_t kTiles = 32, kTileWork = 1 << 22;
constexpr int64_t kMinTile = 48, kMinDepth = 1024;

Tiles cut(int64_t m, int64_t n, int64_t k) {
    const int64_t wanted = std::clamp<int64_t>(m * n * k / kTileWork, 2, kTiles);
    Tiles t{m, n, k};
    // A is packed once per column of tiles and B once per row of them: about square tiles pack the least.
    const int64_t square = std::lround(std::sqrt(double(wanted) * double(m) / double(n)));
    const int64_t n_rows = std::clamp<int64_t>(std::min(square, m / kMinTile), 1, wanted);
    t.rows = divide_up(m, n_rows);
    const int64_t n_cols = std::clamp<int64_t>(std::min(n / kMinTile, wanted / n_rows), 1, wanted);
    t.cols = divide_up(n, n_cols);
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
    if (in_task || m * n * k <= kOneCall) return blas(m, n, k, alpha, a, b, beta, c, c_stride);
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
        blas(tm, tn, tk, alpha, shifted(a, row, at), shifted(b, at, col), has_parts ? 0 : beta, out,
             has_parts ? n : c_stride);
    });
    if (has_parts)
        for_each(Device::cpu, m * n, AddParts{c, static_cast<const real*>(parts.ptr), m, n, c_stride, n_depth, beta},
                 n_depth);
}

#ifdef __CUDACC__
void gemm_cuda(int64_t m, int64_t n, int64_t k, real alpha, MatrixView a, MatrixView b, real beta, real* c,
               int64_t c_stride) {
    static thread_local cublasHandle_t handle = [] {
        cublasHandle_t h;
        if (cublasCreate(&h) != CUBLAS_STATUS_SUCCESS) throw DeviceError("cublasCreate failed");
        return h;
    }();
    // cuBLAS is column-major: a row-major C = A B is its C^T = B^T A^T on the same memory, operands swapped.
    const auto trans = [](Op op) { return op == Op::transposed ? CUBLAS_OP_T : CUBLAS_OP_N; };
    cublasStatus_t status;
    if constexpr (sizeof(real) == sizeof(double)) {
        status =
            cublasDgemm(handle, trans(b.op), trans(a.op), int(n), int(m), int(k), reinterpret_cast<double*>(&alpha),
                        reinterpret_cast<const double*>(b.data), int(b.stride), reinterpret_cast<const double*>(a.data),
                        int(a.stride), reinterpret_cast<double*>(&beta), reinterpret_cast<double*>(c), int(c_stride));
    } else {
        status =
            cublasSgemm(handle, trans(b.op), trans(a.op), int(n), int(m), int(k), reinterpret_cast<float*>(&alpha),
                        reinterpret_cast<const float*>(b.data), int(b.stride), reinterpret_cast<const float*>(a.data),
                        int(a.stride), reinterpret_cast<float*>(&beta), reinterpret_cast<float*>(c), int(c_stride));
    }
    if (status != CUBLAS_STATUS_SUCCESS)
        throw DeviceError("cublas gemm failed with status " + std::to_string(int(status)));
}
#endif

}  // namespace

void gemm(Device device, int64_t m, int64_t n, int64_t k, real alpha, MatrixView a, MatrixView b, real beta, real* c,
          int64_t c_stride) {
    if (m == 0 || n == 0) return;
    if (device == Device::cpu) return gemm_cpu(m, n, k, alpha, a, b, beta, c, c_stride);
#ifdef __CUDACC__
    gemm_cuda(m, n, k, alpha, a, b, beta, c, c_stride);
#else
    no_cuda();
#endif
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
