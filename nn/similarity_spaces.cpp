// CKA, SVCCA and Procrustes: measures of whole spaces, from one matrix of sums; see similarity.h.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "nn/retrieval_blocks.h"
#include "nn/similarity.h"

namespace koine {
namespace {

// Samples that are widened to float64 and multiplied at once: some MB.
constexpr int64_t kChunk = 1024;
// Below this share of the terms it is the sum of, an unbiased estimate is rounding: thousands of roundings of 1e-16.
constexpr double kRounding = 1e-12;
// Principal components that hold less than this share of the variance together are rounding: that of float32 data is
// D roundings of 6e-8, squared.
constexpr double kNoVariance = 1e-10;

double squared_norm(const Matrix64& a) {
    return std::inner_product(a.values.begin(), a.values.end(), a.values.begin(), 0.0);
}

double trace(const Matrix64& a) {
    double sum = 0;
    for (int64_t i = 0; i < a.rows; i++) sum += a.at(i, i);
    return sum;
}

void add_row(Matrix64& a, int64_t to, int64_t from, double factor) {
    for (int64_t j = 0; j < a.cols; j++) a.row(to)[j] += factor * a.row(from)[j];
}

// W[M, D] with W C W^T = 1 for the covariance C[D, D]: the fewest principal components that hold `kept` of the
// variance, each over its deviation. M = 0 when there is no variance.
Matrix64 whitening(const Matrix64& covariance, double kept) {
    const Eigen64 eigen = eigen_symmetric(covariance);
    const double wanted = std::min(kept, 1 - kNoVariance) * trace(covariance);
    int64_t m = 0;
    for (double held = 0; held < wanted; m++) held += eigen.values[size_t(m)];
    Matrix64 w = eigen.vectors.block(0, m, 0, eigen.vectors.cols);
    for (int64_t i = 0; i < m; i++) {
        const double deviation = std::sqrt(eigen.values[size_t(i)]);
        for (int64_t j = 0; j < w.cols; j++) w.row(i)[j] /= deviation;
    }
    return w;
}

Matrix64 product(const Matrix64& a, const Matrix64& b, Op op_b) {
    Matrix64 c(a.rows, op_b == Op::transposed ? b.rows : b.cols);
    add_product(a, Op::plain, b, op_b, c);
    return c;
}

SpaceSums sums_of(const char* name, const Tensor& x, const Tensor& y) {
    SpaceSums sums(name);
    sums.add(x, y);
    return sums;
}

}  // namespace

// The sums about the means.
struct SpaceSums::Centred {
    double n;
    Matrix64 xx, yy, xy;  // X^T X [D, D], Y^T Y [E, E], X^T Y [D, E]
    double x4, y4, x2y2;  // sums of |x_i|^4, |y_i|^4, |x_i|^2 |y_i|^2
    bool has_variance;    // both spaces have
};

void SpaceSums::add(const Tensor& x_, const Tensor& y_) {
    if (x_.shape.rank != 2 || y_.shape.rank != 2 || x_.shape[0] != y_.shape[0] || x_.numel() < 1 || y_.numel() < 1) {
        throw ShapeError(name + ": x " + x_.shape.str() + ", y " + y_.shape.str() +
                         "; want [N, D] and [N, E] with N, D and E >= 1");
    }
    const Tensor x = x_.to(Device::cpu).contiguous(), y = y_.to(Device::cpu).contiguous();
    if (n_samples() > 0 && (x.shape[1] != d || y.shape[1] != e)) {
        throw ShapeError(name + ": x " + x.shape.str() + ", y " + y.shape.str() +
                         "; the batches before had D = " + std::to_string(d) + " and E = " + std::to_string(e));
    }
    detail::squared_lengths(name.c_str(), "x", x), detail::squared_lengths(name.c_str(), "y", y);  // for their errors
    if (n_samples() == 0) {
        d = x.shape[1], e = y.shape[1];
        first.assign(x.data(), x.data() + d);
        first.insert(first.end(), y.data(), y.data() + e);
        sums = Matrix64(d + e + 3, d + e + 3);
    }
    const int64_t n = x.shape[0];
    for (int64_t begin = 0; begin < n; begin += kChunk) {
        Matrix64 w(std::min(kChunk, n - begin), d + e + 3);
        for (int64_t i = 0; i < w.rows; i++) {
            const real *x_i = x.data() + (begin + i) * d, *y_i = y.data() + (begin + i) * e;
            double* w_i = w.row(i);
            for (int64_t j = 0; j < d; j++) w_i[j] = double(x_i[j]) - first[size_t(j)];
            for (int64_t j = 0; j < e; j++) w_i[d + j] = double(y_i[j]) - first[size_t(d + j)];
            w_i[one()] = 1;
            w_i[one() + 1] = std::inner_product(w_i, w_i + d, w_i, 0.0);
            w_i[one() + 2] = std::inner_product(w_i + d, w_i + d + e, w_i + d, 0.0);
        }
        add_product(w, Op::transposed, w, Op::plain, sums);
    }
}

int64_t SpaceSums::n_samples() const { return sums.rows == 0 ? 0 : int64_t(sums.at(one(), one())); }

SpaceSums::Centred SpaceSums::about_means() const {
    if (n_samples() == 0) throw ValueError(name + ": no samples were added");
    const double n = double(n_samples());
    // With m_j, the mean of w_j, and |x - m|^2 = sum of x_j^2 - 2 m_j x_j + m_j^2, each w becomes T w with the same
    // matrix T. So the sums become T S T^T: T is applied to the rows, and once turned, to what were the columns.
    Matrix64 s = sums;
    for (int side = 0; side < 2; side++) {
        for (int64_t j = 0; j < d + e; j++) {
            const double mean = sums.at(j, one()) / n;
            const int64_t square = one() + (j < d ? 1 : 2);
            add_row(s, square, j, -2 * mean);
            add_row(s, square, one(), mean * mean);
            add_row(s, j, one(), -mean);
        }
        s = s.transposed();
    }
    Centred c{n,
              s.block(0, d, 0, d),
              s.block(d, e, d, e),
              s.block(0, d, d, e),
              s.at(one() + 1, one() + 1),
              s.at(one() + 2, one() + 2),
              s.at(one() + 1, one() + 2),
              false};
    c.has_variance = trace(c.xx) > 0 && trace(c.yy) > 0;
    return c;
}

double SpaceSums::linear_cka() const {
    const Centred c = about_means();
    if (!c.has_variance) return 0;
    return std::min(1.0, squared_norm(c.xy) / std::sqrt(squared_norm(c.xx)) / std::sqrt(squared_norm(c.yy)));
}

double SpaceSums::linear_cka_debiased() const {
    if (n_samples() > 0 && n_samples() < 4) {
        throw ValueError(name + ": " + std::to_string(n_samples()) + " samples; want 4 or more for an unbiased value");
    }
    const Centred c = about_means();
    const double n = c.n;
    // H does not change when a space is moved. About the means the rows of X X^T sum to 0; without its diagonal, to
    // -|x_i|^2. So 1'K1 = -sum |x_i|^2 = -tr X^T X, 1'KL1 = sum |x_i|^2 |y_i|^2, tr(K L) = |X^T Y|^2 - 1'KL1.
    const auto hsic = [n](double cross, double fourth, double trace_x, double trace_y) {
        const double terms[] = {cross, -fourth, trace_x * trace_y / ((n - 1) * (n - 2)), -2 / (n - 2) * fourth};
        double sum = 0, size = 0;
        for (double term : terms) sum += term, size += std::fabs(term);
        return std::fabs(sum) > kRounding * size ? sum / (n * (n - 3)) : 0;
    };
    const double tx = trace(c.xx), ty = trace(c.yy);
    const double xx = hsic(squared_norm(c.xx), c.x4, tx, tx), yy = hsic(squared_norm(c.yy), c.y4, ty, ty);
    if (xx <= 0 || yy <= 0) return 0;
    return std::clamp(hsic(squared_norm(c.xy), c.x2y2, tx, ty) / std::sqrt(xx) / std::sqrt(yy), -1.0, 1.0);
}

double SpaceSums::svcca(double kept) const {
    if (!(kept > 0 && kept <= 1)) throw ValueError(name + ": kept " + std::to_string(kept) + "; want in (0, 1]");
    const Centred c = about_means();
    if (!c.has_variance) return 0;
    const Matrix64 white_x = whitening(c.xx, kept), white_y = whitening(c.yy, kept);
    const std::vector<double> correlations =
        singular_values(product(product(white_x, c.xy, Op::plain), white_y, Op::transposed));
    double sum = 0;
    for (double correlation : correlations) sum += std::min(1.0, correlation);
    return sum / double(correlations.size());
}

double SpaceSums::procrustes_distance() const {
    const Centred c = about_means();
    if (!c.has_variance) return 2;
    const std::vector<double> values = singular_values(c.xy);
    const double sum = std::accumulate(values.begin(), values.end(), 0.0);
    return 2 - 2 * std::min(1.0, sum / std::sqrt(trace(c.xx)) / std::sqrt(trace(c.yy)));
}

double linear_cka(const Tensor& x, const Tensor& y) { return sums_of("linear_cka", x, y).linear_cka(); }

double linear_cka_debiased(const Tensor& x, const Tensor& y) {
    return sums_of("linear_cka_debiased", x, y).linear_cka_debiased();
}

double svcca(const Tensor& x, const Tensor& y, double kept) { return sums_of("svcca", x, y).svcca(kept); }

double procrustes_distance(const Tensor& x, const Tensor& y) {
    return sums_of("procrustes_distance", x, y).procrustes_distance();
}

}  // namespace koine
