#include "nn/tsne.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "tensor/linalg.h"

namespace koine {
namespace {

constexpr int kExaggerated = 250;  // steps, as in scikit-learn; also those with the small momentum
constexpr double kStart = 1e-4;
constexpr double kMinGain = 0.01;
constexpr int kHalvings = 100;  // of the interval for a width, at most; 1e-6 of the entropy takes about 25
constexpr double kEntropyError = 1e-6;

// ---- p --------------------------------------------------------------------------------------------------------------

std::vector<double> squared_distances(const real* x, int64_t n, int64_t d, int64_t i) {
    std::vector<double> distances(static_cast<size_t>(n));
    for (int64_t j = 0; j < n; j++) {
        const real *a = x + i * d, *b = x + j * d;
        distances[size_t(j)] = double(CpuTeam().sum(d, [=](int64_t c) { return (a[c] - b[c]) * (a[c] - b[c]); }));
    }
    return distances;
}

// p_j = e^(-precision (distance_j - nearest)) / sum, and its entropy -sum p log p. Measured from the nearest point,
// the largest exponent is 0: the sum is never 0, whatever the scale of x.
double spread(const std::vector<double>& distances, size_t self, double nearest, double precision,
              std::vector<double>& p) {
    double sum = 0, weighted = 0;
    for (size_t j = 0; j < p.size(); j++) {
        const double e = precision * (distances[j] - nearest);
        p[j] = j == self ? 0 : std::exp(-e);
        sum += p[j];
        weighted += p[j] > 0 ? p[j] * e : 0;
    }
    for (double& v : p) v /= sum;
    return std::log(sum) + weighted / sum;
}

// The distribution of point `self` with the wanted entropy, by bisection: the entropy falls as the precision grows.
std::vector<double> with_entropy(const std::vector<double>& distances, size_t self, double wanted) {
    double nearest = std::numeric_limits<double>::infinity(), sum = 0;
    for (size_t j = 0; j < distances.size(); j++) {
        if (j != self) nearest = std::min(nearest, distances[j]);
        sum += distances[j];
    }
    std::vector<double> p(distances.size());
    double low = 0, high = std::numeric_limits<double>::infinity();
    double precision = sum > 0 ? double(distances.size()) / sum : 1;
    for (int step = 0; step < kHalvings; step++) {
        const double excess = spread(distances, self, nearest, precision, p) - wanted;
        if (std::fabs(excess) < kEntropyError) break;
        (excess > 0 ? low : high) = precision;
        precision = std::isinf(high) ? 2 * precision : (low + high) / 2;
    }
    return p;
}

// ---- the descent ----------------------------------------------------------------------------------------------------

// What pulls and pushes point i, with w_j = 1 / (1 + |y_i - y_j|^2):
// pull = sum p_ij w_j (y_i - y_j), push = sum w_j^2 (y_i - y_j), total = sum w_j without j = i.
struct ForcesRow {
    real *pull, *push, *total;
    const real *p, *y;
    int64_t n;
    template <class Team>
    HD void operator()(Team t, int64_t i) const {
        const real* points = y;
        const real* row = p + i * n;
        const real y0 = y[2 * i], y1 = y[2 * i + 1];
        const auto weight = [=](int64_t j) {
            const real d0 = y0 - points[2 * j], d1 = y1 - points[2 * j + 1];
            return 1 / (1 + d0 * d0 + d1 * d1);
        };
        const real sum = t.sum(n, [=](int64_t j) { return j == i ? 0 : weight(j); });
        const real pull0 = t.sum(n, [=](int64_t j) { return row[j] * weight(j) * (y0 - points[2 * j]); });
        const real pull1 = t.sum(n, [=](int64_t j) { return row[j] * weight(j) * (y1 - points[2 * j + 1]); });
        const real push0 = t.sum(n, [=](int64_t j) { return weight(j) * weight(j) * (y0 - points[2 * j]); });
        const real push1 = t.sum(n, [=](int64_t j) { return weight(j) * weight(j) * (y1 - points[2 * j + 1]); });
        real *to_pull = pull + 2 * i, *to_push = push + 2 * i, *to_total = total + i;
        t.once([=] {
            to_pull[0] = pull0, to_pull[1] = pull1;
            to_push[0] = push0, to_push[1] = push1;
            *to_total = sum;
        });
    }
};

// The first two principal components, scaled.
Tensor start_of(const Tensor& x) {
    const int64_t n = x.shape[0], k = std::min<int64_t>(2, x.shape[1]);
    const Pca principal = pca(x, k);
    const Tensor projected = principal.project(x), y = Tensor::zeros({n, 2});
    const double deviation = std::sqrt(double(principal.variance.at({0})));
    const double scale = deviation > 0 ? kStart / deviation : 0;
    for (int64_t i = 0; i < n * k; i++) y.data()[i / k * 2 + i % k] = real(double(projected.data()[i]) * scale);
    return y;
}

// Moves the points so that their mean is 0.
void centre(const Tensor& y) {
    const int64_t n = y.shape[0];
    double sums[2] = {};
    for (int64_t i = 0; i < 2 * n; i++) sums[i % 2] += double(y.data()[i]);
    for (int64_t i = 0; i < 2 * n; i++) y.data()[i] -= real(sums[i % 2] / double(n));
}

void check(const Tensor& x, const TsneOptions& options) {
    if (x.shape.rank != 2 || x.shape[0] < 4 || x.shape[0] > 2000 || x.shape[1] < 1) {
        throw ShapeError("tsne: x " + x.shape.str() + "; want [N, D] with 4 <= N <= 2000 and D >= 1");
    }
    const auto require = [](bool is_good, const char* name, double value, const std::string& wanted) {
        if (!is_good) throw ValueError("tsne: " + std::string(name) + " " + std::to_string(value) + "; want " + wanted);
    };
    const double largest = double(x.shape[0] - 1) / 3;
    require(options.perplexity >= 1 && options.perplexity <= largest, "perplexity", options.perplexity,
            "1 to (N - 1) / 3 = " + std::to_string(largest));
    require(options.n_iterations >= 1, "n_iterations", options.n_iterations, "1 or more");
    require(options.learning_rate >= 0 && std::isfinite(options.learning_rate), "learning_rate", options.learning_rate,
            "a positive number, or 0 for the default");
    require(options.exaggeration >= 1 && std::isfinite(options.exaggeration), "exaggeration", options.exaggeration,
            "1 or more");
}

}  // namespace

namespace detail {

Tensor neighbour_probabilities(const Tensor& x, double perplexity) {
    const int64_t n = x.shape[0], d = x.shape[1];
    const Tensor points = x.to(Device::cpu).contiguous(), p = Tensor::empty({n, n});
    for_tasks(Device::cpu, n, [&](int64_t i) {
        const std::vector<double> distances = squared_distances(points.data(), n, d, i);
        for (int64_t j = 0; j < n; j++) {
            if (std::isfinite(distances[size_t(j)])) continue;
            throw NonFiniteError("tsne: the distance of rows " + std::to_string(i) + " and " + std::to_string(j) +
                                 " of x is not finite");
        }
        const std::vector<double> row = with_entropy(distances, size_t(i), std::log(perplexity));
        std::copy(row.begin(), row.end(), p.data() + i * n);
    });
    return p;
}

Tensor symmetrised(const Tensor& p) {
    const int64_t n = p.shape[0];
    const Tensor joint = Tensor::empty({n, n});
    const real scale = 1 / real(2 * n);
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++) joint.data()[i * n + j] = (p.data()[i * n + j] + p.data()[j * n + i]) * scale;
    }
    return joint;
}

double kl_divergence(const Tensor& p, const Tensor& y) {
    const int64_t n = y.shape[0];
    const real* points = y.data();
    double total = 0, sum_p = 0, sum = 0;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++) {
            if (j == i) continue;
            const double d0 = double(points[2 * i]) - double(points[2 * j]);
            const double d1 = double(points[2 * i + 1]) - double(points[2 * j + 1]);
            const double distance = 1 + d0 * d0 + d1 * d1, p_ij = double(p.data()[i * n + j]);
            total += 1 / distance;
            sum_p += p_ij;
            if (p_ij > 0) sum += p_ij * std::log(p_ij * distance);
        }
    }
    return sum + sum_p * std::log(total);  // q_ij = 1 / (distance total)
}

Tensor kl_gradient(const Tensor& p, const Tensor& y, double exaggeration) {
    const int64_t n = y.shape[0];
    const Tensor dy = Tensor::empty({n, 2}), push = Tensor::empty({n, 2}), totals = Tensor::empty({n});
    for_rows(Device::cpu, n, n * 50, ForcesRow{dy.data(), push.data(), totals.data(), p.data(), y.data(), n});
    double total = 0;
    for (int64_t i = 0; i < n; i++) total += double(totals.data()[i]);
    for (int64_t i = 0; i < 2 * n; i++) {
        dy.data()[i] = real(4 * (exaggeration * double(dy.data()[i]) - double(push.data()[i]) / total));
    }
    return dy;
}

}  // namespace detail

Tensor tsne(const Tensor& x, const TsneOptions& options) {
    check(x, options);
    const int64_t n = x.shape[0];
    const Tensor p = detail::symmetrised(detail::neighbour_probabilities(x, options.perplexity)), y = start_of(x);
    const double learning_rate =
        options.learning_rate > 0 ? options.learning_rate : std::max(double(n) / options.exaggeration / 4, 50.0);
    std::vector<double> steps(size_t(2 * n), 0.0), gains(size_t(2 * n), 1.0);
    for (int iteration = 0; iteration < options.n_iterations; iteration++) {
        const bool is_early = iteration < kExaggerated;
        const double momentum = is_early ? 0.5 : 0.8;
        const Tensor dy = detail::kl_gradient(p, y, is_early ? options.exaggeration : 1);
        for (size_t i = 0; i < steps.size(); i++) {
            // A coordinate that keeps its direction goes faster, one that overshoots slower.
            const double slope = double(dy.data()[i]);
            gains[i] = steps[i] * slope < 0 ? gains[i] + 0.2 : std::max(gains[i] * 0.8, kMinGain);
            steps[i] = momentum * steps[i] - learning_rate * gains[i] * slope;
            y.data()[i] += real(steps[i]);
        }
        centre(y);
    }
    for (real v : y.to_vector()) {
        if (!std::isfinite(v)) {
            throw NonFiniteError("tsne: diverged; want a learning_rate below " + std::to_string(learning_rate));
        }
    }
    return y;
}

}  // namespace koine
