#include "tensor/linalg.h"

#include <cblas.h>

#include <cmath>
#include <type_traits>

// LAPACK's Fortran routines, part of OpenBLAS. Matrices are column-major there: a row-major A is its transpose.
extern "C" {
void ssyevd_(const char*, const char*, const int*, float*, const int*, float*, float*, const int*, int*, const int*,
             int*);
void dsyevd_(const char*, const char*, const int*, double*, const int*, double*, double*, const int*, int*, const int*,
             int*);
void sgesdd_(const char*, const int*, const int*, float*, const int*, float*, float*, const int*, float*, const int*,
             float*, const int*, int*, int*);
void dgesdd_(const char*, const int*, const int*, double*, const int*, double*, double*, const int*, double*,
             const int*, double*, const int*, int*, int*);
void sgeqrf_(const int*, const int*, float*, const int*, float*, float*, const int*, int*);
void dgeqrf_(const int*, const int*, double*, const int*, double*, double*, const int*, int*);
void sorgqr_(const int*, const int*, const int*, float*, const int*, const float*, float*, const int*, int*);
void dorgqr_(const int*, const int*, const int*, double*, const int*, const double*, double*, const int*, int*);
}

namespace koine {
namespace {

// The routine for numbers of type T.
template <class T, class FloatRoutine, class DoubleRoutine>
constexpr auto pick(FloatRoutine f, DoubleRoutine d) {
    if constexpr (std::is_same_v<T, double>) {
        return d;
    } else {
        return f;
    }
}

void check(const char* op, int info) {
    if (info != 0) throw Error(std::string(op) + ": LAPACK gave up with info " + std::to_string(info));
}

// LAPACK inside a parallel region stays on one thread: its results then do not depend on the number of threads.
template <class F>
void on_one_thread(F f) {
    for_tasks(Device::cpu, 2, [&](int64_t task) {
        if (task == 0) f();
    });
}

std::string shape_of(const Matrix64& a) { return "[" + std::to_string(a.rows) + ", " + std::to_string(a.cols) + "]"; }

// A host copy that LAPACK may overwrite.
Tensor matrix_copy(const char* op, const Tensor& a) {
    if (a.shape.rank != 2) throw ShapeError(std::string(op) + ": a " + a.shape.str() + "; want [M, N]");
    const std::vector<real> values = a.to_vector();
    for (real v : values) {
        if (!std::isfinite(v))
            throw NonFiniteError(std::string(op) + ": a " + a.shape.str() + " holds NaN or infinity");
    }
    return Tensor::from(values, a.shape);
}

void require_finite(const char* op, const Matrix64& a) {
    for (double v : a.values) {
        if (!std::isfinite(v)) throw NonFiniteError(std::string(op) + ": a " + shape_of(a) + " holds NaN or infinity");
    }
}

// Eigenvalues and eigenvectors of a[D, D], which is overwritten.
template <class T>
void find_eigen(int d, T* a, T* values, T* vectors) {
    if (d == 0) return;
    int info = 0, ask = -1, n_iwork = 0;
    T n_work = 0;
    std::vector<T> w(static_cast<size_t>(d));
    const auto syevd = pick<T>(ssyevd_, dsyevd_);
    syevd("V", "L", &d, a, &d, w.data(), &n_work, &ask, &n_iwork, &ask, &info);  // how much room it wants
    const int lwork = int(n_work) + 1, liwork = n_iwork;
    std::vector<T> work(static_cast<size_t>(lwork));
    std::vector<int> iwork(static_cast<size_t>(liwork));
    on_one_thread([&] { syevd("V", "L", &d, a, &d, w.data(), work.data(), &lwork, iwork.data(), &liwork, &info); });
    check("eigen_symmetric", info);
    // Its columns are our rows, smallest first: turn them round, and fix the signs.
    for (int i = 0; i < d; i++) {
        const T* from = a + (d - 1 - i) * d;
        T* to = vectors + i * d;
        values[i] = w[size_t(d - 1 - i)];
        int largest = 0;
        for (int k = 1; k < d; k++) {
            if (std::fabs(from[k]) > std::fabs(from[largest])) largest = k;
        }
        for (int k = 0; k < d; k++) to[k] = from[largest] < 0 ? -from[k] : from[k];
    }
}

}  // namespace

Eigen eigen_symmetric(const Tensor& a) {
    const Tensor copy = matrix_copy("eigen_symmetric", a);
    if (a.shape[0] != a.shape[1]) throw ShapeError("eigen_symmetric: a " + a.shape.str() + "; want [D, D]");
    const Eigen out{Tensor::empty({a.shape[0]}), Tensor::empty(a.shape)};
    find_eigen(int(a.shape[0]), copy.data(), out.values.data(), out.vectors.data());
    return out;
}

Svd svd(const Tensor& a) {
    const Tensor copy = matrix_copy("svd", a);
    const int m = int(a.shape[0]), n = int(a.shape[1]), k = std::min(m, n);
    Svd out{Tensor::empty({m, k}), Tensor::empty({k}), Tensor::empty({k, n})};
    if (k == 0) return out;
    // LAPACK sees A^T = V S U^T: its "U" is our V, and column-major [n, k] is our row-major [k, n].
    int info = 0, ask = -1;
    real n_work = 0;
    std::vector<int> iwork(static_cast<size_t>(8 * k));
    const auto gesdd = pick<real>(sgesdd_, dgesdd_);
    gesdd("S", &n, &m, copy.data(), &n, out.values.data(), out.vt.data(), &n, out.u.data(), &k, &n_work, &ask,
          iwork.data(), &info);
    const int lwork = int(n_work) + 1;
    std::vector<real> work(static_cast<size_t>(lwork));
    on_one_thread([&] {
        gesdd("S", &n, &m, copy.data(), &n, out.values.data(), out.vt.data(), &n, out.u.data(), &k, work.data(), &lwork,
              iwork.data(), &info);
    });
    check("svd", info);
    return out;
}

Pca pca(const Tensor& x, int64_t k) {
    if (x.shape.rank != 2 || x.shape[0] < 1 || k < 1 || k > x.shape[1]) {
        throw ShapeError("pca: " + std::to_string(k) + " components of x " + x.shape.str() +
                         "; want [N, D] with N >= 1 and 1 <= k <= D");
    }
    const int64_t n = x.shape[0], d = x.shape[1];
    const Tensor centred = matrix_copy("pca", x), mean = Tensor::zeros({d}), covariance = Tensor::empty({d, d});
    std::vector<double> sums(static_cast<size_t>(d));
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < d; j++) sums[size_t(j)] += double(centred.data()[i * d + j]);
    }
    for (int64_t j = 0; j < d; j++) mean.data()[j] = real(sums[size_t(j)] / double(n));
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < d; j++) centred.data()[i * d + j] -= mean.data()[j];
    }
    gemm(Device::cpu, d, d, n, 1 / real(n), {centred.data(), d, Op::transposed}, {centred.data(), d}, 0,
         covariance.data(), d);
    const Eigen e = eigen_symmetric(covariance);
    return {mean, e.vectors.slice(0, 0, k), e.values.slice(0, 0, k)};
}

Tensor Pca::project(const Tensor& y) const {
    const int64_t d = mean.numel(), k = components.shape[0];
    if (y.shape.rank != 2 || y.shape[1] != d)
        throw ShapeError("pca: projecting " + y.shape.str() + "; want [M, " + std::to_string(d) + "]");
    const Tensor centred = y.to(Device::cpu).clone(), out = Tensor::empty({y.shape[0], k});
    for (int64_t i = 0; i < centred.numel(); i++) centred.data()[i] -= mean.data()[i % d];
    gemm(Device::cpu, y.shape[0], k, d, 1, {centred.data(), d}, {components.data(), d, Op::transposed}, 0, out.data(),
         k);
    return out;
}

Tensor random_orthogonal(int64_t size, Random rng) {
    const int d = int(size);
    if (d < 1) throw ShapeError("random_orthogonal: " + std::to_string(size) + " dimensions; want 1 or more");
    const Tensor q = Tensor::normal({d, d}, rng);
    std::vector<real> tau(static_cast<size_t>(d)), signs(static_cast<size_t>(d)), work(static_cast<size_t>(64 * d));
    const int lwork = 64 * d;
    int info = 0;
    on_one_thread([&] {
        pick<real>(sgeqrf_, dgeqrf_)(&d, &d, q.data(), &d, tau.data(), work.data(), &lwork, &info);
        for (int i = 0; i < d; i++) signs[size_t(i)] = q.data()[i * d + i] < 0 ? real(-1) : real(1);
        if (info == 0) pick<real>(sorgqr_, dorgqr_)(&d, &d, &d, q.data(), &d, tau.data(), work.data(), &lwork, &info);
    });
    check("random_orthogonal", info);
    for (int i = 0; i < d * d; i++) q.data()[i] *= signs[size_t(i / d)];  // LAPACK's column i is our row i
    return q;
}

// ---- float64 in every build -----------------------------------------------------------------------------------------

Matrix64 Matrix64::block(int64_t first_row, int64_t n_rows, int64_t first_col, int64_t n_cols) const {
    Matrix64 part(n_rows, n_cols);
    for (int64_t i = 0; i < n_rows; i++) std::copy_n(row(first_row + i) + first_col, n_cols, part.row(i));
    return part;
}

Matrix64 Matrix64::transposed() const {
    Matrix64 t(cols, rows);
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < cols; j++) t.row(j)[i] = row(i)[j];
    }
    return t;
}

void add_product(const Matrix64& a, Op op_a, const Matrix64& b, Op op_b, Matrix64& c) {
    const bool turn_a = op_a == Op::transposed, turn_b = op_b == Op::transposed;
    const int64_t m = turn_a ? a.cols : a.rows, k = turn_a ? a.rows : a.cols, n = turn_b ? b.rows : b.cols;
    if ((turn_b ? b.cols : b.rows) != k || c.rows != m || c.cols != n) {
        throw ShapeError("add_product: a " + shape_of(a) + (turn_a ? " transposed" : "") + ", b " + shape_of(b) +
                         (turn_b ? " transposed" : "") + ", c " + shape_of(c) + "; want [M, K], [K, N], [M, N]");
    }
    if (m == 0 || n == 0 || k == 0) return;
    // Tiles of c about this wide: each is one BLAS call on one thread, and they do not depend on how many there are.
    constexpr int64_t kTile = 128;
    // Below this much work BLAS starts no threads, and waking ours would cost more than it saves; see gemm.cpp.
    constexpr int64_t kOneCall = 1 << 17;
    const int64_t n_down = (m + kTile - 1) / kTile, n_across = (n + kTile - 1) / kTile;
    const auto multiply_tile = [&](int64_t tile) {
        const int64_t row = tile / n_across * m / n_down, end_row = (tile / n_across + 1) * m / n_down;
        const int64_t col = tile % n_across * n / n_across, end_col = (tile % n_across + 1) * n / n_across;
        cblas_dgemm(CblasRowMajor, turn_a ? CblasTrans : CblasNoTrans, turn_b ? CblasTrans : CblasNoTrans,
                    blasint(end_row - row), blasint(end_col - col), blasint(k), 1,
                    a.values.data() + (turn_a ? row : row * a.cols), blasint(a.cols),
                    b.values.data() + (turn_b ? col * b.cols : col), blasint(b.cols), 1, c.row(row) + col,
                    blasint(c.cols));
    };
    if (m * n * k <= kOneCall) {
        for (int64_t tile = 0; tile < n_down * n_across; tile++) multiply_tile(tile);
    } else {
        for_tasks(Device::cpu, n_down * n_across, multiply_tile);
    }
}

Eigen64 eigen_symmetric(const Matrix64& a) {
    if (a.rows != a.cols) throw ShapeError("eigen_symmetric: a " + shape_of(a) + "; want [D, D]");
    require_finite("eigen_symmetric", a);
    Matrix64 copy = a;
    Eigen64 out{std::vector<double>(size_t(a.rows)), Matrix64(a.rows, a.rows)};
    find_eigen(int(a.rows), copy.values.data(), out.values.data(), out.vectors.values.data());
    return out;
}

std::vector<double> singular_values(const Matrix64& a) {
    require_finite("singular_values", a);
    // LAPACK sees the transpose, which has the same singular values.
    const int m = int(a.rows), n = int(a.cols), k = std::min(m, n), one = 1;
    std::vector<double> values(static_cast<size_t>(k));
    if (k == 0) return values;
    Matrix64 copy = a;
    int info = 0, ask = -1;
    double n_work = 0, none = 0;
    std::vector<int> iwork(static_cast<size_t>(8 * k));
    dgesdd_("N", &n, &m, copy.values.data(), &n, values.data(), &none, &one, &none, &one, &n_work, &ask, iwork.data(),
            &info);
    const int lwork = int(n_work) + 1;
    std::vector<double> work(static_cast<size_t>(lwork));
    on_one_thread([&] {
        dgesdd_("N", &n, &m, copy.values.data(), &n, values.data(), &none, &one, &none, &one, work.data(), &lwork,
                iwork.data(), &info);
    });
    check("singular_values", info);
    return values;
}

}  // namespace koine
