#include "tensor/linalg.h"

#include <cmath>

#include "tensor/gemm.h"

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

// The routine of this build's precision.
template <class FloatRoutine, class DoubleRoutine>
constexpr auto pick(FloatRoutine f, DoubleRoutine d) {
    if constexpr (sizeof(real) == sizeof(double)) {
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

}  // namespace

Eigen eigen_symmetric(const Tensor& a) {
    const Tensor v = matrix_copy("eigen_symmetric", a);
    if (a.shape[0] != a.shape[1]) throw ShapeError("eigen_symmetric: a " + a.shape.str() + "; want [D, D]");
    const int d = int(a.shape[0]);
    const Tensor w = Tensor::empty({d});
    if (d == 0) return {w, v};
    int info = 0, ask = -1, n_iwork = 0;
    real n_work = 0;
    const auto syevd = pick(ssyevd_, dsyevd_);
    syevd("V", "L", &d, v.data(), &d, w.data(), &n_work, &ask, &n_iwork, &ask, &info);  // how much room it wants
    const int lwork = int(n_work) + 1, liwork = n_iwork;
    std::vector<real> work(static_cast<size_t>(lwork));
    std::vector<int> iwork(static_cast<size_t>(liwork));
    on_one_thread(
        [&] { syevd("V", "L", &d, v.data(), &d, w.data(), work.data(), &lwork, iwork.data(), &liwork, &info); });
    check("eigen_symmetric", info);
    // Its columns are our rows, smallest first: turn them round, and fix the signs.
    const Tensor values = Tensor::empty({d}), vectors = Tensor::empty({d, d});
    for (int i = 0; i < d; i++) {
        const real* from = v.data() + (d - 1 - i) * d;
        real* to = vectors.data() + i * d;
        values.data()[i] = w.data()[d - 1 - i];
        int largest = 0;
        for (int k = 1; k < d; k++) {
            if (std::fabs(from[k]) > std::fabs(from[largest])) largest = k;
        }
        for (int k = 0; k < d; k++) to[k] = from[largest] < 0 ? -from[k] : from[k];
    }
    return {values, vectors};
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
    const auto gesdd = pick(sgesdd_, dgesdd_);
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
        pick(sgeqrf_, dgeqrf_)(&d, &d, q.data(), &d, tau.data(), work.data(), &lwork, &info);
        for (int i = 0; i < d; i++) signs[size_t(i)] = q.data()[i * d + i] < 0 ? real(-1) : real(1);
        if (info == 0) pick(sorgqr_, dorgqr_)(&d, &d, &d, q.data(), &d, tau.data(), work.data(), &lwork, &info);
    });
    check("random_orthogonal", info);
    for (int i = 0; i < d * d; i++) q.data()[i] *= signs[size_t(i / d)];  // LAPACK's column i is our row i
    return q;
}

}  // namespace koine
