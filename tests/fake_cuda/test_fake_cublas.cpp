// Does the fake cuBLAS compute what cuBLAS would, and refuse what it would refuse?
#include <cublas_v2.h>
#include <omp.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "tensor/random.h"
#include "tests/fake_cuda/fake_samples.h"

using namespace koine;
using namespace koine::testing;

namespace {

struct Blas {
    Blas() {
        REQUIRE(cublasCreate(&handle) == CUBLAS_STATUS_SUCCESS);
        REQUIRE(cublasSetStream(handle, stream()) == CUBLAS_STATUS_SUCCESS);
    }
    ~Blas() { cublasDestroy(handle); }
    cublasHandle_t handle = nullptr;
};

cublasStatus_t call(cublasHandle_t h, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k, float alpha,
                    const float* a, int lda, int64_t sa, const float* b, int ldb, int64_t sb, float beta, float* c,
                    int ldc, int64_t sc, int batch) {
    if (batch == 1) return cublasSgemm(h, ta, tb, m, n, k, &alpha, a, lda, b, ldb, &beta, c, ldc);
    return cublasSgemmStridedBatched(h, ta, tb, m, n, k, &alpha, a, lda, sa, b, ldb, sb, &beta, c, ldc, sc, batch);
}
cublasStatus_t call(cublasHandle_t h, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k, double alpha,
                    const double* a, int lda, int64_t sa, const double* b, int ldb, int64_t sb, double beta, double* c,
                    int ldc, int64_t sc, int batch) {
    if (batch == 1) return cublasDgemm(h, ta, tb, m, n, k, &alpha, a, lda, b, ldb, &beta, c, ldc);
    return cublasDgemmStridedBatched(h, ta, tb, m, n, k, &alpha, a, lda, sa, b, ldb, sb, &beta, c, ldc, sc, batch);
}

template <class T>
std::vector<T> random_numbers(int64_t n, uint64_t seed) {
    std::vector<T> x(n);
    for (int64_t i = 0; i < n; i++) x[i] = T(Random{seed, 0}.uniform(uint64_t(i))) - T(0.5);
    return x;
}

// The largest difference from sums of our own; infinite where anything but the elements of C was written.
template <class T>
double worst(bool ta, bool tb, int m, int n, int k, T alpha, T beta, int batch) {
    const int rows_a = ta ? k : m, cols_a = ta ? m : k, rows_b = tb ? n : k, cols_b = tb ? k : n;
    const int lda = rows_a + 3, ldb = rows_b + 1, ldc = m + 2;
    const int64_t sa = lda * cols_a + 5, sb = ldb * cols_b, sc = ldc * n + 7;
    const std::vector<T> a = random_numbers<T>(sa * batch, 1), b = random_numbers<T>(sb * batch, 2);
    std::vector<T> c = random_numbers<T>(sc * batch, 3);
    const auto c_at = [&](int i, int row, int col) { return i * sc + col * ldc + row; };
    std::vector<char> is_element(c.size());
    for (int i = 0; i < batch; i++)
        for (int col = 0; col < n; col++)
            for (int row = 0; row < m; row++) is_element[c_at(i, row, col)] = 1;
    if (beta == 0)
        for (T& v : c) v = std::numeric_limits<T>::quiet_NaN();
    const DeviceArray<T> da(a), db(b), dc(c);
    const Blas blas;
    REQUIRE(call(blas.handle, ta ? CUBLAS_OP_T : CUBLAS_OP_N, tb ? CUBLAS_OP_C : CUBLAS_OP_N, m, n, k, alpha, da.p, lda,
                 sa, db.p, ldb, sb, beta, dc.p, ldc, sc, batch) == CUBLAS_STATUS_SUCCESS);
    const std::vector<T> got = dc.read();
    double most = 0;
    for (size_t i = 0; i < c.size(); i++)
        if (!is_element[i] && std::memcmp(&got[i], &c[i], sizeof(T)) != 0) most = INFINITY;
    for (int i = 0; i < batch; i++) {
        for (int col = 0; col < n; col++) {
            for (int row = 0; row < m; row++) {
                double s = 0;
                for (int j = 0; j < k; j++) {
                    s += double(a[i * sa + (ta ? row * lda + j : j * lda + row)]) *
                         double(b[i * sb + (tb ? j * ldb + col : col * ldb + j)]);
                }
                s = alpha * s + (beta == 0 ? 0 : beta * double(c[c_at(i, row, col)]));
                const double difference = std::abs(s - double(got[c_at(i, row, col)]));
                most = std::isnan(difference) ? INFINITY : std::max(most, difference);
            }
        }
    }
    return most;
}

}  // namespace

TEST_CASE("fake cuBLAS: gemm is the sums that it stands for", "[cuda][fake_cuda]") {
    for (const bool ta : {false, true}) {
        for (const bool tb : {false, true}) {
            CAPTURE(ta, tb);
            CHECK(worst<float>(ta, tb, 5, 7, 11, 1.5f, -0.5f, 1) < 1e-6);
            CHECK(worst<float>(ta, tb, 33, 1, 20, 1, 0, 1) < 1e-5);
            CHECK(worst<float>(ta, tb, 1, 70, 9, 1, 0, 3) < 1e-6);
            CHECK(worst<float>(ta, tb, 40, 150, 60, 1, 0, 3) < 1e-5);
            CHECK(worst<double>(ta, tb, 5, 7, 11, 1.5, -0.5, 3) < 1e-14);
            CHECK(worst<double>(ta, tb, 70, 130, 65, 1, 0, 1) < 1e-13);
        }
    }
    CHECK(worst<float>(false, false, 4, 3, 0, 1, 0, 1) == 0);  // a sum of nothing, over NaN
}

TEST_CASE("fake cuBLAS: the same bytes with any number of threads", "[cuda][fake_cuda]") {
    constexpr int kSize = 200;
    const DeviceArray<float> a(random_numbers<float>(kSize * kSize, 1)), c(kSize * kSize);
    const Blas blas;
    const int n_threads = omp_get_max_threads();
    std::vector<float> first;
    for (const int threads : {1, 3}) {
        omp_set_num_threads(threads);
        REQUIRE(call(blas.handle, CUBLAS_OP_N, CUBLAS_OP_T, kSize, kSize, kSize, 1.0f, a.p, kSize, 0, a.p, kSize, 0,
                     0.0f, c.p, kSize, 0, 1) == CUBLAS_STATUS_SUCCESS);
        const std::vector<float> now = c.read();
        if (first.empty()) first = now;
        CHECK(std::memcmp(first.data(), now.data(), now.size() * sizeof(float)) == 0);
    }
    omp_set_num_threads(n_threads);
}

TEST_CASE("fake cuBLAS: what is wrong is refused, or found later", "[cuda][fake_cuda]") {
    // A is 3 x 4 in 12 numbers, B 4 x 5 in 20, C 3 x 5 in 15.
    const DeviceArray<float> a(12), b(20), c(15);
    const Blas blas;
    const auto gemm = [&](int m, int n, int k, int lda, int ldb, int ldc, const float* from = nullptr) {
        return call(blas.handle, CUBLAS_OP_N, CUBLAS_OP_N, m, n, k, 1.0f, from ? from : a.p, lda, 0, b.p, ldb, 0, 0.0f,
                    c.p, ldc, 0, 1);
    };
    CHECK(gemm(3, 5, 4, 3, 4, 3) == CUBLAS_STATUS_SUCCESS);
    CHECK(gemm(3, 5, 4, 2, 4, 3) == CUBLAS_STATUS_INVALID_VALUE);
    CHECK(gemm(3, 5, 4, 3, 3, 3) == CUBLAS_STATUS_INVALID_VALUE);
    CHECK(gemm(3, 5, 4, 3, 4, 2) == CUBLAS_STATUS_INVALID_VALUE);
    CHECK(gemm(-1, 5, 4, 3, 4, 3) == CUBLAS_STATUS_INVALID_VALUE);
    CHECK(gemm(0, 5, 4, 0, 4, 1) == CUBLAS_STATUS_INVALID_VALUE);
    CHECK(gemm(0, 5, 4, 1, 4, 1) == CUBLAS_STATUS_SUCCESS);
    CHECK(call(nullptr, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, 1.0f, a.p, 1, 0, b.p, 1, 0, 0.0f, c.p, 1, 0, 1) ==
          CUBLAS_STATUS_NOT_INITIALIZED);
    CHECK(call(blas.handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, 1.0f, a.p, 1, 1, b.p, 1, 1, 0.0f, c.p, 1, 1, -1) ==
          CUBLAS_STATUS_INVALID_VALUE);
    // The leading dimension of a row-major A: allowed, but beyond its end.
    CHECK(error_of([&] { CHECK(gemm(3, 5, 4, 4, 4, 3) == CUBLAS_STATUS_SUCCESS); },
                   "A of a gemm is not within one device buffer: NN, m 3, n 5, k 4, ld 4 4 3") ==
          cudaErrorIllegalAddress);
    CHECK(error_of([&] { gemm(3, 5, 4, 3, 5, 3); }, "B of a gemm") == cudaErrorIllegalAddress);
    CHECK(error_of([&] { gemm(3, 5, 4, 3, 4, 4); }, "C of a gemm") == cudaErrorIllegalAddress);
    const std::vector<float> host(12);
    CHECK(error_of([&] { gemm(3, 5, 4, 3, 4, 3, host.data()); }, "A of a gemm") == cudaErrorIllegalAddress);
    CHECK(error_of(
              [&] {
                  call(blas.handle, CUBLAS_OP_N, CUBLAS_OP_N, 3, 4, 2, 1.0f, a.p, 3, 6, b.p, 2, 8, 0.0f, c.p, 3, 4, 3);
              },
              "A of a gemm") == cudaErrorIllegalAddress);
    const int64_t gemms = fake_cuda::counts().gemms;
    CHECK(gemm(3, 5, 4, 3, 4, 3) == CUBLAS_STATUS_SUCCESS);
    CHECK(fake_cuda::counts().gemms == gemms + 1);
    CHECK(synchronise() == cudaSuccess);
}

TEST_CASE("fake cuBLAS: TF32 keeps ten bits", "[cuda][fake_cuda]") {
    // 1 + 2^-10 is exact in TF32, 1 + 2^-11 - 2^-20 is rounded down, and 1 + 2^-11 + 2^-20 up.
    const float x[] = {1 + 0x1p-10f, 1 + 0x1p-11f - 0x1p-20f, 1 + 0x1p-11f + 0x1p-20f, INFINITY};
    const float tf32[] = {1 + 0x1p-10f, 1, 1 + 0x1p-10f, INFINITY};
    const DeviceArray<float> unset(4);
    const DeviceArray<float> a(std::vector<float>(x, x + 4)), one(std::vector<float>{1}), c(4);
    const Blas blas;
    const auto product = [&](const float* from) {
        REQUIRE(call(blas.handle, CUBLAS_OP_N, CUBLAS_OP_N, 4, 1, 1, 1.0f, from, 4, 0, one.p, 1, 0, 0.0f, c.p, 4, 0,
                     1) == CUBLAS_STATUS_SUCCESS);
    };
    cublasMath_t mode = CUBLAS_PEDANTIC_MATH;
    CHECK(cublasGetMathMode(blas.handle, &mode) == CUBLAS_STATUS_SUCCESS);
    CHECK(mode == CUBLAS_DEFAULT_MATH);
    product(a.p);
    CHECK(c.read() == std::vector<float>(x, x + 4));
    CHECK(cublasSetMathMode(blas.handle, cublasMath_t(99)) == CUBLAS_STATUS_INVALID_VALUE);
    CHECK(cublasSetMathMode(blas.handle, CUBLAS_TF32_TENSOR_OP_MATH) == CUBLAS_STATUS_SUCCESS);
    product(a.p);
    CHECK(cublasSetMathMode(blas.handle, CUBLAS_DEFAULT_MATH) == CUBLAS_STATUS_SUCCESS);  // of later products
    CHECK(c.read() == std::vector<float>(tf32, tf32 + 4));
    CHECK(cublasSetMathMode(blas.handle, CUBLAS_TF32_TENSOR_OP_MATH) == CUBLAS_STATUS_SUCCESS);
    product(unset.p);
    CHECK(std::isnan(c.read()[3]));  // all bits set: rounded up, they would be those of 0
    int version = 0;
    CHECK(cublasGetVersion(blas.handle, &version) == CUBLAS_STATUS_SUCCESS);
    CHECK(version == 130000);
    CHECK(std::string(cublasGetStatusString(CUBLAS_STATUS_INVALID_VALUE)) == "CUBLAS_STATUS_INVALID_VALUE");
}
