// nn/tsne.h: the probabilities and the gradient against their definitions, then what a picture has to show.
#include "nn/tsne.h"

#include <omp.h>

#include <limits>

#include "tests/nn_samples.h"

using namespace koine;
using namespace koine::testing;

namespace {

// n_each points around each of three centres in 10 dimensions, 20 apart: point i belongs to centre i % 3.
Tensor three_clusters(int64_t n_each) {
    const Tensor x = Tensor::normal({3 * n_each, 10}, Random{1, 1});
    for (int64_t i = 0; i < 3 * n_each; i++) x.data()[i * 10 + i % 3] += 20;
    return x;
}

double squared_distance_of(const Tensor& x, int64_t i, int64_t j) {
    double sum = 0;
    for (int64_t c = 0; c < x.shape[1]; c++) sum += std::pow(double(x.at({i, c})) - double(x.at({j, c})), 2);
    return sum;
}

double entropy_of(const Tensor& p, int64_t row) {
    double sum = 0;
    for (int64_t j = 0; j < p.shape[1]; j++) {
        const double v = double(p.at({row, j}));
        if (v > 0) sum -= v * std::log(v);
    }
    return sum;
}

// log of the sum over i != j of 1 / (1 + |y_i - y_j|^2), which makes q sum to 1.
double log_total_of(const Tensor& y) {
    double sum = 0;
    for (int64_t i = 0; i < y.shape[0]; i++) {
        for (int64_t j = 0; j < y.shape[0]; j++) sum += i == j ? 0 : 1 / (1 + squared_distance_of(y, i, j));
    }
    return std::log(sum);
}

double sum_of(const Tensor& p) {
    double sum = 0;
    for (real v : p.to_vector()) sum += double(v);
    return sum;
}

double distance_between(const Tensor& x, const Tensor& y) {
    const std::vector<real> a = x.to_vector(), b = y.to_vector();
    double largest = 0;
    for (size_t i = 0; i < a.size(); i++) largest = std::max(largest, std::abs(double(a[i]) - double(b[i])));
    return largest;
}

Tensor scaled(const Tensor& x, real scale) {
    const Tensor y = x.clone();
    for (int64_t i = 0; i < y.numel(); i++) y.data()[i] *= scale;
    return y;
}

}  // namespace

TEST_CASE("t-SNE: each point spreads its probability over `perplexity` neighbours", "[nn][tsne]") {
    const Tensor x = Tensor::normal({40, 7}, Random{2, 1});
    // In any unit of length: the bisection has to find widths from 1e-9 to 1e9.
    for (const real scale : {real(1e-9), real(1), real(1e9)}) {
        for (const double perplexity : {2.0, 5.0, 13.0}) {
            INFO("scale " << scale << ", perplexity " << perplexity);
            const Tensor p = detail::neighbour_probabilities(scaled(x, scale), perplexity);
            for (int64_t i = 0; i < 40; i++) {
                CHECK(sum_of(p.slice(0, i, i + 1)) == Approx(1).epsilon(1e-5));
                CHECK(entropy_of(p, i) == Approx(std::log(perplexity)).margin(1e-5));
                CHECK(p.at({i, i}) == 0);
            }
            // Gaussian: log p falls by a constant times the squared distance.
            const auto log_ratio = [&](int64_t j, int64_t k) {
                return std::log(double(p.at({0, j})) / double(p.at({0, k})));
            };
            const auto difference = [&](int64_t j, int64_t k) {
                return squared_distance_of(x, 0, k) - squared_distance_of(x, 0, j);
            };
            if (perplexity > 4) {
                CHECK(log_ratio(1, 2) / difference(1, 2) ==
                      Approx(log_ratio(3, 4) / difference(3, 4)).epsilon(sizeof(real) == 8 ? 1e-9 : 1e-3));
            }
        }
    }
}

TEST_CASE("t-SNE: perplexity 1 is the nearest neighbour, copies share alike", "[nn][tsne]") {
    const Tensor line = Tensor::from({0, 1, 3, 7, 12}, {5, 1});
    const Tensor p = detail::neighbour_probabilities(line, 1);
    check_values(p, {0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0});
    // Four copies and one other: the copies are three equal neighbours to each other, more than were asked for.
    const Tensor copies = Tensor::from({1, 1, 1, 1, 5}, {5, 1}), q = detail::neighbour_probabilities(copies, 2);
    for (int64_t i = 0; i < 4; i++) {
        for (int64_t j = 0; j < 5; j++) {
            CHECK(double(q.at({i, j})) == Approx(i == j || j == 4 ? 0 : 1 / 3.).margin(1e-6));
        }
        CHECK(double(q.at({4, i})) == Approx(0.25).epsilon(1e-6));
    }
}

TEST_CASE("t-SNE: joint probabilities are symmetric and sum to 1", "[nn][tsne]") {
    const Tensor p = detail::neighbour_probabilities(Tensor::normal({25, 3}, Random{2, 2}), 4);
    const Tensor joint = detail::symmetrised(p);
    CHECK(sum_of(joint) == Approx(1).epsilon(1e-5));
    for (int64_t i = 0; i < 25; i++) {
        for (int64_t j = 0; j < i; j++) {
            CHECK(joint.at({i, j}) == joint.at({j, i}));
            CHECK(double(joint.at({i, j})) ==
                  Approx((double(p.at({i, j})) + double(p.at({j, i}))) / 50).epsilon(1e-5).margin(1e-30));
        }
    }
}

TEST_CASE("t-SNE: the divergence is the sum of p log(p / q)", "[nn][tsne]") {
    const int64_t n = 6;
    const Tensor p = detail::symmetrised(detail::neighbour_probabilities(Tensor::normal({n, 4}, Random{3, 1}), 1.5));
    const Tensor y = Tensor::normal({n, 2}, Random{3, 2});
    double expected = 0;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++) {
            const double p_ij = double(p.at({i, j}));
            const double q_ij = 1 / (1 + squared_distance_of(y, i, j)) / std::exp(log_total_of(y));
            if (i != j && p_ij > 0) expected += p_ij * std::log(p_ij / q_ij);
        }
    }
    CHECK(expected > 0.1);
    CHECK(detail::kl_divergence(p, y) == Approx(expected).epsilon(1e-10));
}

TEST_CASE("t-SNE: the gradient is the slope of the divergence", "[nn][tsne]") {
    const int64_t n = 9;
    const Tensor p = detail::symmetrised(detail::neighbour_probabilities(Tensor::normal({n, 4}, Random{4, 1}), 2.5));
    const Tensor y = Tensor::normal({n, 2}, Random{4, 2});
    for (const double exaggeration : {1.0, 12.0}) {
        const Tensor dy = detail::kl_gradient(p, y, exaggeration), many = scaled(p, real(exaggeration));
        for (int64_t i = 0; i < 2 * n; i++) {
            const Tensor up = y.clone(), down = y.clone();
            up.data()[i] += real(1e-3);
            down.data()[i] -= real(1e-3);
            const double moved = double(up.data()[i]) - double(down.data()[i]);
            double slope = (detail::kl_divergence(many, up) - detail::kl_divergence(many, down)) / moved;
            // kl_divergence takes the sum of p times log total; the gradient always takes it once.
            slope += (1 - exaggeration) * (log_total_of(up) - log_total_of(down)) / moved;
            INFO("coordinate " << i << ", exaggeration " << exaggeration);
            CHECK(double(dy.data()[i]) == Approx(slope).epsilon(1e-4).margin(1e-5));
        }
    }
}

TEST_CASE("t-SNE: clusters stay apart, and the divergence falls", "[nn][tsne]") {
    const Tensor x = three_clusters(30), y = tsne(x, {.perplexity = 10});
    REQUIRE(y.shape == Shape{90, 2});
    double widest = 0, nearest = 1e9;  // within a cluster, between two
    for (int64_t i = 0; i < 90; i++) {
        for (int64_t j = 0; j < i; j++) {
            const double distance = std::sqrt(squared_distance_of(y, i, j));
            if (i % 3 == j % 3) {
                widest = std::max(widest, distance);
            } else {
                nearest = std::min(nearest, distance);
            }
        }
    }
    CHECK(nearest > widest);
    const Tensor p = detail::symmetrised(detail::neighbour_probabilities(x, 10));
    const double before = detail::kl_divergence(p, tsne(x, {.perplexity = 10, .n_iterations = 1}));
    CHECK(before == Approx(detail::kl_divergence(p, Tensor::zeros({90, 2}))).epsilon(0.01));  // all in one place
    CHECK(detail::kl_divergence(p, y) < before / 3);
    // At rest: the gradient has all but vanished.
    CHECK(distance_between(detail::kl_gradient(p, y), Tensor::zeros({90, 2})) < 1e-4);
    double mean = 0;
    for (int64_t i = 0; i < 90; i++) mean += double(y.at({i, 0})) / 90;
    CHECK(std::abs(mean) < 1e-4);
}

TEST_CASE("t-SNE: the start is the principal components", "[nn][tsne]") {
    // Spread 5, 2 and 0.1 along the three axes; a step so small that it does not show.
    const Tensor x = Tensor::normal({60, 3}, Random{5, 1});
    const real spreads[] = {5, 2, real(0.1)};
    for (int64_t i = 0; i < x.numel(); i++) x.data()[i] = x.data()[i] * spreads[i % 3] + 7;
    const Tensor y = tsne(x, {.perplexity = 5, .n_iterations = 1, .learning_rate = 1e-9});
    double squares[2] = {}, along = 0, across = 0;
    for (int64_t i = 0; i < 60; i++) {
        for (int64_t c = 0; c < 2; c++) squares[c] += std::pow(double(y.at({i, c})), 2) / 60;
        along += double(y.at({i, 0})) * (double(x.at({i, 0})) - 7);
        across += double(y.at({i, 0})) * (double(x.at({i, 1})) - 7);
    }
    CHECK(std::sqrt(squares[0]) == Approx(1e-4).epsilon(1e-3));
    CHECK(std::sqrt(squares[1]) == Approx(0.4e-4).epsilon(0.3));
    CHECK(std::abs(along) > 5 * std::abs(across));
}

TEST_CASE("t-SNE: copies, lines and single points", "[nn][tsne]") {
    const Tensor x = three_clusters(8);
    for (int64_t j = 0; j < 10; j++) x.data()[3 * 10 + j] = x.data()[j];  // row 3 = row 0
    const Tensor y = tsne(x, {.perplexity = 5, .n_iterations = 400});
    CHECK(std::sqrt(squared_distance_of(y, 0, 3)) < 1e-2);
    CHECK(std::sqrt(squared_distance_of(y, 0, 1)) > 1);
    const Tensor line = tsne(Tensor::from({0, 1, 3, 7, 12}, {5, 1}), {.perplexity = 1.3, .n_iterations = 300});
    for (int64_t i = 0; i < 5; i++) CHECK(line.at({i, 1}) == 0);
    CHECK(std::abs(double(line.at({0, 0})) - double(line.at({4, 0}))) > 1);
    const Tensor same = tsne(Tensor::full({6, 3}, 2), {.perplexity = 1.5, .n_iterations = 20});
    CHECK(is_same(same, Tensor::zeros({6, 2})));
    // A view is a table of points, too.
    CHECK(is_same(tsne(x.slice(1, 0, 5), {.perplexity = 5, .n_iterations = 9}),
                  tsne(x.slice(1, 0, 5).contiguous(), {.perplexity = 5, .n_iterations = 9})));
}

TEST_CASE("t-SNE: the same bytes for any number of threads", "[nn][tsne][determinism][threads]") {
    const int n_threads = omp_get_max_threads();
    const Tensor x = Tensor::normal({150, 6}, Random{6, 1});
    std::vector<Tensor> pictures;
    for (const int threads : {1, 2, 3, 7}) {
        omp_set_num_threads(threads);
        pictures.push_back(tsne(x, {.perplexity = 20, .n_iterations = 60}));
    }
    omp_set_num_threads(n_threads);
    for (const Tensor& y : pictures) CHECK(is_same(y, pictures[0]));
}

TEST_CASE("t-SNE: what it cannot draw is refused", "[nn][tsne][errors]") {
    const Tensor x = Tensor::normal({10, 2}, Random{7, 1});
    const TsneOptions small{.perplexity = 2, .n_iterations = 5};
    CHECK_ERROR(tsne(Tensor::zeros({3, 2}), small), ShapeError, "tsne: x [3, 2]; want [N, D] with 4 <= N <= 2000");
    CHECK_ERROR(tsne(Tensor::zeros({2001, 2}), small), ShapeError, "x [2001, 2]");
    CHECK_ERROR(tsne(Tensor::zeros({10}), small), ShapeError, "x [10]");
    CHECK_ERROR(tsne(Tensor::zeros({10, 0}), small), ShapeError, "D >= 1");
    CHECK_ERROR(tsne(x), ValueError, "tsne: perplexity 30.000000; want 1 to (N - 1) / 3 = 3.000000");
    CHECK_ERROR(tsne(x, {.perplexity = 0.5}), ValueError, "perplexity 0.500000");
    CHECK_ERROR(tsne(x, {.perplexity = std::nan("")}), ValueError, "perplexity nan");
    CHECK_ERROR(tsne(x, {.perplexity = 2, .n_iterations = 0}), ValueError, "n_iterations 0");
    CHECK_ERROR(tsne(x, {.perplexity = 2, .learning_rate = -1}), ValueError,
                "learning_rate -1.000000; want a positive");
    CHECK_ERROR(tsne(x, {.perplexity = 2, .exaggeration = 0.5}), ValueError, "exaggeration 0.5");
    for (const real bad : {std::numeric_limits<real>::quiet_NaN(), std::numeric_limits<real>::infinity()}) {
        const Tensor broken = x.clone();
        broken.data()[2 * 7 + 1] = bad;
        CHECK_ERROR(tsne(broken, small), NonFiniteError, "tsne: the distance of rows 0 and 7 of x is not finite");
    }
    CHECK_ERROR(tsne(x, {.perplexity = 2, .n_iterations = 50, .learning_rate = 1e300}), NonFiniteError,
                "diverged; want a learning_rate below");
}
