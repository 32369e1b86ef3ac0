// nn/similarity.h and nn/correlation.h: values worked out by hand and by brute force, and what the comments promise:
// what a measure does not see, degenerate spaces, batches, threads. Numbers from NumPy are in
// test_golden_similarity.cpp.
#include "nn/similarity.h"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "nn/correlation.h"
#include "nn/relative.h"
#include "tests/nn_samples.h"

using namespace koine;
using namespace koine::testing;

namespace {

// The definition: all others, sorted by their distance in double.
Neighbours sorted_neighbours(const Tensor& x, const Tensor& y, int64_t k) {
    const int64_t n = x.shape[0], d = x.shape[1];
    Neighbours lists;
    for (int64_t i = 0; i < n; i++) {
        std::vector<double> distance(size_t(n), 0.0);
        for (int64_t j = 0; j < n; j++) {
            for (int64_t c = 0; c < d; c++) {
                distance[size_t(j)] += std::pow(double(x.at({i, c})) - double(y.at({j, c})), 2);
            }
        }
        std::vector<int32_t> order(static_cast<size_t>(n));
        std::iota(order.begin(), order.end(), 0);
        order.erase(order.begin() + i);
        std::stable_sort(order.begin(), order.end(),
                         [&](int32_t p, int32_t q) { return distance[size_t(p)] < distance[size_t(q)]; });
        order.resize(size_t(k));
        lists.push_back(order);
    }
    return lists;
}

// What is left of equality when a space is mapped in this build's precision.
constexpr double kMapped = sizeof(real) == sizeof(double) ? 1e-11 : 2e-6;

Tensor mapped(const Tensor& x, const Tensor& a) { return matmul(Var(x), Var(a)).value; }
Tensor turned(const Tensor& x, uint64_t stream) { return mapped(x, random_orthogonal(x.shape[1], Random{9, stream})); }
Tensor scaled(const Tensor& x, real factor) { return (Var(x) * factor).value; }
Tensor moved(const Tensor& x, real by) { return (Var(x) + Var(Tensor::full({x.shape[1]}, by))).value; }
Tensor joined(const Tensor& x, const Tensor& y) { return concat({Var(x), Var(y)}, 1).value; }

// Two spaces [n, 9] and [n, 6] that have something in common, directions of unequal variance, and means that are not 0.
Tensor some_space(int64_t n) {
    const Tensor x = Tensor::normal({n, 9}, Random{3, 1});
    for (int64_t i = 0; i < x.numel(); i++) x.data()[i] = x.data()[i] * real(1 + i % 9) / 4 + 1;
    return x;
}
Tensor other_space(int64_t n) {
    const Var noise(Tensor::normal({n, 6}, Random{3, 2})), map(Tensor::normal({9, 6}, Random{3, 3}));
    return (matmul(Var(some_space(n)), map) + noise * real(2)).value;
}

struct Measure {
    std::string name;
    double (*of)(const Tensor& x, const Tensor& y);
    double best, none;  // for equal spaces, and where there is nothing to compare
};
const std::vector<Measure>& whole_space_measures() {
    static const std::vector<Measure> measures{
        {"linear_cka", linear_cka, 1, 0},
        {"linear_cka_debiased", linear_cka_debiased, 1, 0},
        {"svcca", [](const Tensor& x, const Tensor& y) { return svcca(x, y, 0.9); }, 1, 0},
        {"svcca, all directions", [](const Tensor& x, const Tensor& y) { return svcca(x, y, 1); }, 1, 0},
        {"procrustes_distance", procrustes_distance, 0, 2}};
    return measures;
}

// Neighbours by the definition: all others sorted by cosine, in double.
Neighbours sorted_by_cosine(const Tensor& x, int64_t k) {
    Neighbours lists;
    for (int64_t i = 0; i < x.shape[0]; i++) {
        std::vector<std::pair<double, int32_t>> others;
        for (int64_t j = 0; j < x.shape[0]; j++) {
            if (j != i) others.emplace_back(-mean_cosine(x.slice(0, i, i + 1), x.slice(0, j, j + 1)), int32_t(j));
        }
        std::sort(others.begin(), others.end());
        lists.emplace_back();
        for (int64_t m = 0; m < k; m++) lists.back().push_back(others[size_t(m)].second);
    }
    return lists;
}

double jaccard_by_definition(const Tensor& x, const Tensor& y, int64_t k) {
    const Neighbours a = sorted_by_cosine(x, k), b = sorted_by_cosine(y, k);
    double sum = 0;
    for (size_t i = 0; i < a.size(); i++) {
        double n_common = 0;
        for (int32_t j : a[i]) n_common += double(std::count(b[i].begin(), b[i].end(), j));
        sum += n_common / (2 * double(k) - n_common);
    }
    return sum / double(a.size());
}

}  // namespace

TEST_CASE("mean_distance: the mean of the rows' L2 distances", "[nn][similarity]") {
    const Tensor x = Tensor::from({0, 0, 1, 1, 2, 2}, {3, 2});
    const Tensor y = Tensor::from({3, 4, 1, 1, 2, 14}, {3, 2});
    CHECK(mean_distance(x, y) == Approx((5.0 + 0.0 + 12.0) / 3).epsilon(1e-12));
    CHECK(mean_distance(x, x) == 0);
    // Views are codes, too: the columns (0, 1, 2) of x are the rows of its transpose, and (3, 1, 2), (4, 1, 14) of y.
    CHECK(mean_distance(x.transpose(0, 1), y.transpose(0, 1)) == Approx((3.0 + std::sqrt(160.0)) / 2).epsilon(1e-6));
}

TEST_CASE("mean_length and mean_pairwise_distance", "[nn][similarity]") {
    CHECK(mean_length(Tensor::from({3, 4, 0, -2}, {2, 2})) == Approx(3.5));
    // One sample in three spaces, at 0, 3 and 10: distances 3, 10 and 7.
    const auto at = [](real x) { return Tensor::from({x}, {1, 1}); };
    CHECK(mean_pairwise_distance({at(0), at(3), at(10)}) == Approx(20.0 / 3));
    CHECK(mean_pairwise_distance({at(0), at(3)}) == Approx(3.0));
}

TEST_CASE("nearest_neighbours: on a line, nearest first, never oneself, ties to the smaller index",
          "[nn][similarity]") {
    const Tensor x = Tensor::from({0, 1, 3, 7, 12}, {5, 1});
    CHECK(nearest_neighbours(x, x, 2) == Neighbours{{1, 2}, {0, 2}, {1, 0}, {2, 4}, {3, 2}});
    // x = 1 looks among -1, 4, 3, 1, 0 and leaves out its own, 4: 1 at 0, then 0 at 1, then -1 and 3, both at 2.
    const Tensor y = Tensor::from({-1, 4, 3, 1, 0}, {5, 1});
    CHECK(nearest_neighbours(x, y, 4)[1] == std::vector<int32_t>{3, 4, 0, 2});
    CHECK(nearest_neighbours(x, y, 3)[1] == std::vector<int32_t>{3, 4, 0});
}

TEST_CASE("nearest_neighbours: what sorting all distances gives", "[nn][similarity]") {
    const Tensor x = Tensor::normal({40, 19}, Random{1, 1}), y = Tensor::normal({40, 19}, Random{1, 2});
    for (const int64_t k : {1, 7, 39}) {
        INFO("k = " << k);
        CHECK(nearest_neighbours(x, x, k) == sorted_neighbours(x, x, k));
        CHECK(nearest_neighbours(x, y, k) == sorted_neighbours(x, y, k));
    }
    const Tensor wide = Tensor::normal({19, 40}, Random{1, 3});
    CHECK(nearest_neighbours(wide.transpose(0, 1), x, 7) == sorted_neighbours(wide.transpose(0, 1), x, 7));
}

TEST_CASE("surviving_share: entries found again, in any order", "[nn][similarity]") {
    const Neighbours before{{1, 2}, {0, 2}, {0, 1}};
    CHECK(surviving_share(before, before) == 1);
    CHECK(surviving_share(before, {{2, 1}, {2, 0}, {1, 0}}) == 1);
    CHECK(surviving_share(before, {{3, 4}, {3, 4}, {3, 4}}) == 0);
    CHECK(surviving_share(before, {{2, 4}, {3, 4}, {0, 1}}) == Approx(0.5));  // 1 + 0 + 2 of 6
    CHECK(surviving_share(before, {{1}, {}, {5, 1, 0}}) == Approx(0.5));
}

TEST_CASE("compare_codes: distance, largest difference and neighbours of one look-up", "[nn][similarity]") {
    const Tensor x = Tensor::from({0, 1, 3, 7}, {4, 1}), y = Tensor::from({0, 1, 9, 2}, {4, 1});
    const CodeScores scores = compare_codes(x, y, 1);
    CHECK(scores.distance == Approx((0 + 0 + 6 + 5) / 4.0));
    CHECK(scores.largest == 6);
    // Within x the nearest are samples 1, 0, 1, 2. Looked up in y, 3 finds sample 3, at 2, before sample 1, at 1; the
    // others find the same. (The other way round, y looked up in x, two of four would.)
    CHECK(scores.neighbours == Approx(3.0 / 4));
    const CodeScores same = compare_codes(x, x, 2);
    CHECK((same.distance == 0 && same.largest == 0 && same.neighbours == 1));
}

TEST_CASE("neighbours survive a shift of both spaces, and few of them a shift of one", "[nn][similarity]") {
    const Tensor x = Tensor::normal({60, 5}, Random{2, 1});
    const Tensor shifted = (Var(x) + Var(Tensor::full({5}, 8))).value;
    const Neighbours own = nearest_neighbours(x, x, 6);
    CHECK(surviving_share(own, nearest_neighbours(shifted, shifted, 6)) > 0.99);
    CHECK(surviving_share(own, nearest_neighbours(x, shifted, 6)) < 0.5);
}

// ---- sample by sample -----------------------------------------------------------------------------------------------

TEST_CASE("mean_cosine: by hand, rows of zeros, and exactly 1 for the same space", "[nn][similarity]") {
    const Tensor x = Tensor::from({1, 0, 3, 4, 0, 0, 2, 2}, {4, 2}),
                 y = Tensor::from({0, 5, 4, 3, 1, 1, -1, -1}, {4, 2});
    CHECK(mean_cosine(x, y) == Approx((0 + 24. / 25 + 0 - 1) / 4).margin(1e-15));
    CHECK(mean_cosine(Tensor::zeros({2, 3}), Tensor::zeros({2, 3})) == 0);
    const Tensor z = Tensor::normal({100, 7}, Random{4, 1});
    CHECK(mean_cosine(z, z) == 1);
    CHECK(mean_cosine(z, scaled(z, -4)) == -1);  // a power of 2: no rounding
    CHECK(mean_cosine(z.transpose(0, 1), z.transpose(0, 1)) == 1);
}

TEST_CASE("relative_cosine: the cosine of relative codes, spaces of any width", "[nn][similarity]") {
    const Tensor x = some_space(40), y = other_space(40), of_x = x.slice(0, 0, 7), of_y = y.slice(0, 0, 7);
    const double value = relative_cosine(x, of_x, y, of_y);
    CHECK(value == mean_cosine(relative(Var(x), Var(of_x)).value, relative(Var(y), Var(of_y)).value));
    CHECK(value == relative_cosine(y, of_y, x, of_x));
    CHECK((value > -1 && value < 0.99));
    const Tensor t = turned(scaled(x, 3), 1), wide = joined(t, Tensor::zeros({40, 5}));
    CHECK(relative_cosine(x, of_x, t, t.slice(0, 0, 7)) == Approx(1).margin(kMapped));
    CHECK(relative_cosine(x, of_x, wide, wide.slice(0, 0, 7)) == Approx(1).margin(kMapped));
    CHECK(mean_cosine(x, t) < 0.9);
    // A large common mean makes everything alike; without it nothing is.
    const Tensor p = Tensor::normal({300, 20}, Random{4, 2}), q = Tensor::normal({300, 20}, Random{4, 3});
    const auto with_anchors = [](const Tensor& a, const Tensor& b) {
        return relative_cosine(a, a.slice(0, 0, 50), b, b.slice(0, 0, 50));
    };
    CHECK(with_anchors(moved(p, 5), moved(q, 5)) > 0.99);
    CHECK(std::fabs(with_anchors(centred(moved(p, 5)), centred(moved(q, 5)))) < 0.1);
}

TEST_CASE("centred: columns have mean 0, equal numbers become exactly 0", "[nn][similarity]") {
    Tensor x = moved(Tensor::normal({1000, 3}, Random{4, 4}), 100);
    for (int64_t i = 0; i < 1000; i++) x.data()[3 * i + 1] = real(0.1);
    const Tensor c = centred(x);
    for (int64_t j = 0; j < 3; j++) {
        double sum = 0;
        for (int64_t i = 0; i < 1000; i++) {
            sum += double(c.at({i, j}));
            if (j == 1) REQUIRE(c.at({i, j}) == 0);
            REQUIRE(std::fabs(double(c.at({i, j}) - c.at({0, j}) - (x.at({i, j}) - x.at({0, j})))) < 1e-5);
        }
        CHECK(std::fabs(sum / 1000) < 1e-7);
    }
    CHECK(is_same(centred(x.transpose(0, 1).contiguous().transpose(0, 1)), c));
    CHECK(x.at({0, 1}) == real(0.1));  // the argument is left alone
    CHECK(centred(Tensor::full({1, 2}, 3)).to_vector() == std::vector<real>{0, 0});
}

// ---- neighbours -----------------------------------------------------------------------------------------------------

TEST_CASE("neighbourhood_jaccard: four directions, by hand", "[nn][similarity]") {
    const auto at = [](std::initializer_list<double> degrees) {
        std::vector<real> v;
        for (double angle : degrees) {
            v.push_back(real(std::cos(angle / 180 * 3.14159265358979323846)));
            v.push_back(real(std::sin(angle / 180 * 3.14159265358979323846)));
        }
        return Tensor::from(v, {int64_t(degrees.size()), 2});
    };
    // x: two pairs, 0-1 and 2-3. y: 0-3 and 1-2.
    const Tensor x = at({0, 10, 90, 100}), y = at({0, 91, 99, 10});
    CHECK(neighbourhood_jaccard(x, y, 1) == 0);
    // Two nearest in x: {1, 2}, {0, 2}, {3, 1}, {2, 1}; in y: {3, 1}, {2, 3}, {1, 3}, {0, 1}.
    CHECK(neighbourhood_jaccard(x, y, 2) == Approx((1. / 3 + 1. / 3 + 1 + 1. / 3) / 4).epsilon(1e-12));
    CHECK(neighbourhood_jaccard(x, y, 3) == 1);  // all others
}

TEST_CASE("neighbourhood_jaccard: what sorting all cosines gives, over several blocks", "[nn][similarity]") {
    for (const int64_t n : {2, 30, 300}) {
        const Tensor x = some_space(n), y = other_space(n);
        for (const int64_t k : {int64_t(1), n / 3, n - 1}) {
            if (k < 1) continue;
            INFO("n = " << n << ", k = " << k);
            // A float32 cosine may see two of them the other way round.
            const double tolerance = sizeof(real) == sizeof(double) ? 1e-12 : 2.5 / double(n * std::max<int64_t>(k, 2));
            CHECK(neighbourhood_jaccard(x, y, k) == Approx(jaccard_by_definition(x, y, k)).margin(tolerance));
            CHECK(neighbourhood_jaccard(x, y, k) == neighbourhood_jaccard(y, x, k));
            CHECK(neighbourhood_jaccard(x, x, k) == 1);
        }
    }
}

TEST_CASE("neighbourhood_jaccard: what it does not see, chance, ties and rows of zeros", "[nn][similarity]") {
    const Tensor x = some_space(600), uneven = x.clone();
    for (int64_t i = 0; i < uneven.numel(); i++) uneven.data()[i] *= real(std::ldexp(1.0, int(i / 9 % 5)));
    CHECK(neighbourhood_jaccard(x, uneven, 10) == 1);
    CHECK(neighbourhood_jaccard(x, turned(x, 2), 10) > 0.999);
    CHECK(neighbourhood_jaccard(x, moved(x, 3), 10) < 0.9);
    const Tensor p = Tensor::normal({2000, 8}, Random{5, 1}), q = Tensor::normal({2000, 5}, Random{5, 2});
    CHECK(neighbourhood_jaccard(p, q, 40) == Approx(40. / (2 * 1999 - 40)).epsilon(0.05));
    // Equal rows: the first k others for everybody.
    const Tensor equal = Tensor::full({300, 3}, 1);
    CHECK(neighbourhood_jaccard(equal, Tensor::full({300, 2}, -1), 4) == 1);
    // Rows of zeros count 0.
    CHECK(neighbourhood_jaccard(Tensor::zeros({5, 2}), Tensor::zeros({5, 2}), 2) == 0);
    const Tensor with_zero = x.clone();
    for (int64_t j = 0; j < 9; j++) with_zero.data()[9 * 300 + j] = 0;
    CHECK(neighbourhood_jaccard(with_zero, with_zero, 10) == Approx(599. / 600).epsilon(1e-12));
}

// ---- whole spaces ---------------------------------------------------------------------------------------------------

TEST_CASE("CKA, SVCCA and Procrustes: equal spaces, symmetry, and what they do not see", "[nn][similarity]") {
    const Tensor x = some_space(120), y = other_space(120);
    for (const Measure& m : whole_space_measures()) {
        INFO(m.name);
        const double value = m.of(x, y);
        CHECK((value > 0.1 && value < 0.95));  // neither end, so that a change could be seen
        CHECK(m.of(y, x) == Approx(value).epsilon(1e-12));
        CHECK(m.of(x, x) == Approx(m.best).margin(1e-12));
        CHECK(m.of(turned(x, 1), y) == Approx(value).margin(kMapped));
        CHECK(m.of(x, turned(y, 2)) == Approx(value).margin(kMapped));
        CHECK(m.of(x, turned(x, 3)) == Approx(m.best).margin(kMapped));
        CHECK(m.of(scaled(x, 3), scaled(y, real(-0.01))) == Approx(value).margin(kMapped));
        CHECK(m.of(moved(x, 7), moved(y, -5)) == Approx(value).margin(kMapped));
        CHECK(m.of(joined(x, Tensor::full({120, 4}, 2)), y) == Approx(value).margin(1e-12));  // constant columns
    }
}

TEST_CASE("CKA sees a linear map that is not orthogonal, all of CCA does not", "[nn][similarity]") {
    const Tensor x = some_space(200), y = other_space(200), z = mapped(x, Tensor::normal({9, 9}, Random{6, 1}));
    CHECK(svcca(x, z, 1) == Approx(1).margin(kMapped));
    CHECK(svcca(z, y, 1) == Approx(svcca(x, y, 1)).margin(kMapped));
    CHECK(linear_cka(x, z) < 0.95);
    CHECK(linear_cka_debiased(x, z) < 0.95);
    CHECK(procrustes_distance(x, z) > 0.05);
    CHECK(svcca(x, z, 0.8) < 0.999);  // other directions are kept
}

TEST_CASE("one direction in common: CKA, SVCCA and Procrustes by hand", "[nn][similarity]") {
    // Columns that are orthogonal to each other and to 1, of norms 2, 4 in x and 2, 6 in y; the first ones are the
    // same.
    const Tensor x = Tensor::from({1, 2, 1, -2, -1, 2, -1, -2}, {4, 2}),
                 y = Tensor::from({1, 3, 1, -3, -1, -3, -1, 3}, {4, 2});
    // X^T X = diag(4, 16), Y^T Y = diag(4, 36), X^T Y = diag(4, 0).
    CHECK(linear_cka(x, y) == Approx(16 / std::sqrt((16. + 256) * (16 + 1296))).epsilon(1e-12));
    CHECK(procrustes_distance(x, y) == Approx(2 - 2 * 4 / std::sqrt(20. * 40)).epsilon(1e-12));
    CHECK(svcca(x, y, 1) == Approx(0.5).epsilon(1e-12));
    // Half of the variance is in the second columns alone, which have nothing in common.
    CHECK(svcca(x, y, 0.5) == Approx(0).margin(1e-12));
}

TEST_CASE("SpaceSums: the same however the samples are cut into batches", "[nn][similarity]") {
    const int64_t n = 1500;
    const Tensor x = some_space(n), y = other_space(n);
    for (const std::vector<int64_t>& sizes :
         {std::vector<int64_t>{1500}, {1, 1499}, {700, 700, 100}, {1024, 476}, std::vector<int64_t>(1500, 1)}) {
        INFO(sizes.size() << " batches, the first of " << sizes[0]);
        SpaceSums sums;
        int64_t begin = 0;
        for (const int64_t size : sizes) {
            sums.add(x.slice(0, begin, begin + size), y.slice(0, begin, begin + size));
            begin += size;
        }
        CHECK(sums.n_samples() == n);
        CHECK(sums.linear_cka() == Approx(linear_cka(x, y)).epsilon(1e-12));
        CHECK(sums.linear_cka_debiased() == Approx(linear_cka_debiased(x, y)).epsilon(1e-12));
        CHECK(sums.svcca() == Approx(svcca(x, y)).epsilon(1e-12));
        CHECK(sums.procrustes_distance() == Approx(procrustes_distance(x, y)).epsilon(1e-12));
    }
}

TEST_CASE("CKA, SVCCA and Procrustes: a large common mean costs no digits", "[nn][similarity]") {
    // Multiples of 1/512 up to 8: with 8192 added they are still numbers of float32.
    const auto coarse = [](const Tensor& from) {
        const Tensor x = from.clone();
        for (int64_t i = 0; i < x.numel(); i++) x.data()[i] = std::round(x.data()[i] * 64) / 512;
        return x;
    };
    const Tensor x = coarse(some_space(1000)), y = coarse(other_space(1000));
    for (const Measure& m : whole_space_measures()) {
        INFO(m.name);
        CHECK(m.of(moved(x, 8192), moved(y, -8192)) == Approx(m.of(x, y)).epsilon(1e-12));
    }
    // The first sample, from which all are measured, may be far away from the others.
    const Tensor far = x.clone();
    for (int64_t j = 0; j < 9; j++) far.data()[j] = 512;
    std::vector<int32_t> backwards(1000);
    for (int32_t i = 0; i < 1000; i++) backwards[size_t(i)] = 999 - i;
    const auto reversed = [&](const Tensor& t) { return index_select(Var(t), Indices(backwards)).value; };
    for (const Measure& m : whole_space_measures()) {
        INFO(m.name);
        CHECK(m.of(far, y) == Approx(m.of(reversed(far), reversed(y))).epsilon(1e-6));
    }
}

TEST_CASE("unrelated spaces: CKA is too high for few samples, the unbiased one is about 0", "[nn][similarity]") {
    for (const int64_t n : {40, 200, 2000}) {
        double biased = 0, debiased = 0;
        const int n_draws = n < 1000 ? 40 : 4;
        for (int draw = 0; draw < n_draws; draw++) {
            const Tensor x = Tensor::normal({n, 50}, Random{7, uint64_t(2 * draw)});
            const Tensor y = Tensor::normal({n, 30}, Random{7, uint64_t(2 * draw + 1)});
            biased += linear_cka(x, y) / n_draws, debiased += linear_cka_debiased(x, y) / n_draws;
        }
        INFO("n = " << n << ": " << biased << ", unbiased " << debiased);
        CHECK(biased == Approx(std::sqrt(50. * 30 / double((n + 50) * (n + 30)))).epsilon(0.05));
        CHECK(std::fabs(debiased) < 0.015);
    }
    // Spaces that are related have one value, whatever N: 2 of 3 parts of the variance in common.
    const auto common = [](int64_t n, double (*of)(const Tensor&, const Tensor&)) {
        double sum = 0;
        for (uint64_t draw = 0; draw < 20; draw++) {
            const Tensor z = Tensor::normal({n, 20}, Random{7, 100 + 3 * draw});
            sum += of(joined(z, Tensor::normal({n, 10}, Random{7, 101 + 3 * draw})),
                      joined(z, Tensor::normal({n, 10}, Random{7, 102 + 3 * draw})));
        }
        return sum / 20;
    };
    CHECK(common(1000, linear_cka_debiased) == Approx(2. / 3).margin(0.02));
    CHECK(common(30, linear_cka_debiased) == Approx(2. / 3).margin(0.05));
    CHECK(common(30, linear_cka) > 0.75);
}

TEST_CASE("spaces without anything to compare have a stated result", "[nn][similarity][M5]") {
    const Tensor x = some_space(50);
    const Tensor zero = Tensor::zeros({50, 4}), constant = Tensor::full({50, 3}, real(0.1));
    for (const Measure& m : whole_space_measures()) {
        INFO(m.name);
        for (const Tensor& dead : {zero, constant}) {
            CHECK(m.of(x, dead) == m.none);
            CHECK(m.of(dead, x) == m.none);
            CHECK(m.of(dead, dead) == m.none);
        }
        if (m.name != "linear_cka_debiased") CHECK(m.of(x.slice(0, 0, 1), x.slice(0, 0, 1)) == m.none);
    }
    // Two samples differ in one direction, in every space.
    const Tensor p = x.slice(0, 0, 2), q = other_space(50).slice(0, 0, 2);
    CHECK(linear_cka(p, q) == Approx(1).epsilon(1e-12));
    CHECK(svcca(p, q) == Approx(1).epsilon(1e-12));
    CHECK(procrustes_distance(p, q) == Approx(0).margin(1e-12));
    CHECK_ERROR(linear_cka_debiased(p, q), ValueError, "linear_cka_debiased: 2 samples; want 4 or more");
    CHECK_ERROR(linear_cka_debiased(x.slice(0, 0, 3), x.slice(0, 0, 3)), ValueError, "3 samples");
    CHECK(linear_cka_debiased(x.slice(0, 0, 4), x.slice(0, 0, 4)) == Approx(1).epsilon(1e-9));
    // Samples that are all equally far apart: only the diagonal of X X^T says anything.
    const Tensor corners = Tensor::zeros({8, 8});
    for (int64_t i = 0; i < 8; i++) corners.data()[9 * i] = real(0.3);
    CHECK(linear_cka_debiased(corners, corners) == 0);
    CHECK(linear_cka_debiased(corners, x.slice(0, 0, 8)) == 0);
    CHECK(linear_cka(corners, corners) == Approx(1).epsilon(1e-12));
}

TEST_CASE("fewer directions than columns, fewer samples than columns, and extreme scales", "[nn][similarity]") {
    const Tensor x = some_space(60), y = other_space(60), twice = joined(x, x);
    for (const Measure& m : whole_space_measures()) {
        INFO(m.name);
        CHECK(m.of(x, twice) == Approx(m.best).margin(1e-7));  // of rank 9, with 18 columns
        CHECK(m.of(twice, y) == Approx(m.of(x, y)).margin(1e-7));
        const double few = m.of(x.slice(0, 0, 6), y.slice(0, 0, 6));
        CHECK((few >= -1 && few <= 2));
        CHECK(m.of(scaled(x, real(1e30)), scaled(y, real(1e-30))) == Approx(m.of(x, y)).margin(kMapped));
    }
    // With as many directions as samples there is always a linear map.
    const Tensor p = Tensor::normal({10, 30}, Random{8, 1}), q = Tensor::normal({10, 20}, Random{8, 2});
    CHECK(svcca(p, q, 1) == Approx(1).margin(1e-9));
    CHECK(linear_cka(p, q) < 0.9);
}

TEST_CASE("measures of similarity: the same bytes for any number of threads",
          "[nn][similarity][determinism][A26][threads]") {
    const int n_threads = omp_get_max_threads();
    const Tensor x = Tensor::normal({1300, 150}, Random{10, 1});
    const Tensor y = mapped(x, Tensor::normal({150, 140}, Random{10, 2}));
    std::vector<std::vector<double>> values;
    for (const int threads : {1, 2, 3, 7}) {
        omp_set_num_threads(threads);
        values.push_back({relative_cosine(x, x.slice(0, 0, 40), y, y.slice(0, 0, 40)), neighbourhood_jaccard(x, y, 10),
                          mean_cosine(x, turned(x, 4))});
        for (const Measure& m : whole_space_measures()) values.back().push_back(m.of(x, y));
    }
    omp_set_num_threads(n_threads);
    for (const std::vector<double>& v : values) CHECK(v == values[0]);
}

// ---- two lists ------------------------------------------------------------------------------------------------------

TEST_CASE("pearson and spearman: by hand, ties, lines", "[nn][similarity]") {
    using List = std::vector<double>;
    const List a{1, 2, 3, 4, 5}, b{2, 1, 4, 3, 7};
    // Deviations -2 -1 0 1 2 and -1.4 -2.4 0.6 -0.4 3.6: 12 / sqrt(10 x 21.2); in ranks 2 1 4 3 5: 8 / 10.
    CHECK(pearson(a, b) == Approx(12 / std::sqrt(212.)).epsilon(1e-14));
    CHECK(spearman(a, b) == Approx(0.8).epsilon(1e-14));
    // Ranks 1 2.5 2.5 4 and 2 2 2 4 have deviations -1.5 0 0 1.5 and -0.5 -0.5 -0.5 1.5.
    CHECK(spearman(List{5, 7, 7, 9}, List{0, 0, 0, 1}) == Approx(3 / std::sqrt(4.5 * 3)).epsilon(1e-14));
    CHECK(spearman(a, List{1, 8, 27, 64, 125}) == 1);
    CHECK(pearson(a, List{1, 8, 27, 64, 125}) < 0.99);
    CHECK(pearson(a, List{-3, -5, -7, -9, -11}) == Approx(-1).epsilon(1e-14));
    CHECK(pearson(List{3, 9}, List{1, -1}) == Approx(-1).epsilon(1e-14));
    // Offsets and scales that would swallow the digits, or overflow.
    CHECK(pearson(List{1e15 + 1, 1e15 + 2, 1e15 + 3, 1e15 + 4, 1e15 + 5}, b) == Approx(pearson(a, b)).epsilon(1e-14));
    CHECK(pearson(List{-1.7e308, 1.7e308, 0}, List{1e-300, 3e-300, 2e-300}) == Approx(1).epsilon(1e-14));
}

TEST_CASE("pearson and spearman: NaN where a list is constant, errors", "[nn][similarity][errors]") {
    using List = std::vector<double>;
    CHECK(std::isnan(pearson(List{0.1, 0.1, 0.1}, List{1, 2, 3})));
    CHECK(std::isnan(pearson(List{1, 2, 3}, List{0, 0, 0})));
    CHECK(std::isnan(spearman(List{0.1, 0.1, 0.1}, List{1, 2, 3})));
    CHECK_ERROR(pearson(List{1, 2}, List{1, 2, 3}), ShapeError, "pearson: a has 2 values, b 3; want as many");
    CHECK_ERROR(spearman(List{1}, List{1}), ValueError, "spearman: 1 values; want 2 or more");
    CHECK_ERROR(pearson(List{}, List{}), ValueError, "0 values");
    const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
    CHECK_ERROR(pearson(List{1, nan}, List{1, 2}), NonFiniteError, "pearson: value 1 of a is not finite");
    CHECK_ERROR(spearman(List{1, 2}, List{-inf, 2}), NonFiniteError, "spearman: value 0 of b is not finite");
}

TEST_CASE("spaces that cannot be compared are refused", "[nn][similarity][errors]") {
    const Tensor x = Tensor::zeros({3, 2});
    CHECK_ERROR(mean_distance(x, Tensor::zeros({3, 1})), ShapeError,
                "mean_distance: x [3, 2], y [3, 1]; want the same [N, D]");
    CHECK_ERROR(mean_distance(x, Tensor::zeros({1, 2})), ShapeError, "y [1, 2]");
    CHECK_ERROR(mean_distance(Tensor::zeros({3}), Tensor::zeros({3})), ShapeError, "x [3]");
    CHECK_ERROR(mean_distance(Tensor::zeros({0, 2}), Tensor::zeros({0, 2})), ShapeError, "N >= 1");
    CHECK_ERROR(mean_length(Tensor::zeros({0, 2})), ShapeError, "N >= 1");
    CHECK_ERROR(mean_pairwise_distance({x}), ValueError, "1 spaces; want two or more");
    CHECK_ERROR(mean_pairwise_distance({x, x, Tensor::zeros({3, 1})}), ShapeError, "[3, 1]");
    CHECK_ERROR(nearest_neighbours(x, Tensor::zeros({4, 2}), 1), ShapeError, "nearest_neighbours: x [3, 2], y [4, 2]");
    CHECK_ERROR(nearest_neighbours(x, x, 3), ValueError, "3 neighbours among 3 samples; want 1 to 2");
    CHECK_ERROR(nearest_neighbours(x, x, 0), ValueError, "0 neighbours");
    const Tensor broken = Tensor::from({0, 0, 0, std::numeric_limits<real>::quiet_NaN(), 0, 0}, {3, 2});
    CHECK_ERROR(nearest_neighbours(x, broken, 1), NonFiniteError, "from row 0 of x to row 1 of y is not finite");
    CHECK_ERROR(surviving_share({{1}, {0}}, {{1}}), ShapeError, "2 and 1 lists");
    CHECK_ERROR(surviving_share({{}, {}}, {{1}, {0}}), ShapeError, "an entry at least");
}

TEST_CASE("codes that cannot be compared are refused, and rows that are not finite are named",
          "[nn][similarity][errors]") {
    const Tensor x = Tensor::full({5, 2}, 1), wide = Tensor::full({5, 3}, 1), flat = Tensor::zeros({5});
    CHECK_ERROR(mean_cosine(x, wide), ShapeError, "mean_cosine: x [5, 2], y [5, 3]; want the same [N, D]");
    CHECK_ERROR(centred(flat), ShapeError, "centred: x [5]; want [N, D]");
    CHECK_ERROR(centred(Tensor::zeros({0, 2})), ShapeError, "N >= 1");
    CHECK_ERROR(relative_cosine(x, wide, x, x), ShapeError, "relative_cosine: x [5, 2], x_anchors [5, 3], y [5, 2]");
    CHECK_ERROR(relative_cosine(x, x, x, x.slice(0, 0, 4)), ShapeError, "y_anchors [4, 2]");
    CHECK_ERROR(relative_cosine(x, x, x.slice(0, 0, 4), x), ShapeError, "y [4, 2]");
    CHECK_ERROR(neighbourhood_jaccard(x, x.slice(0, 0, 4), 1), ShapeError,
                "neighbourhood_jaccard: x [5, 2], y [4, 2]; want [N, D] and [N, E]");
    CHECK_ERROR(neighbourhood_jaccard(x, Tensor::zeros({5, 0}), 1), ShapeError, "y [5, 0]");
    CHECK_ERROR(neighbourhood_jaccard(x, wide, 5), ValueError, "5 neighbours among 5 samples; want 1 to 4");
    CHECK_ERROR(neighbourhood_jaccard(x, wide, 0), ValueError, "0 neighbours");
    CHECK_ERROR(svcca(x, x, 0), ValueError, "svcca: kept 0.000000; want in (0, 1]");
    CHECK_ERROR(svcca(x, x, 1.5), ValueError, "kept 1.5");
    CHECK_ERROR(svcca(x, x, std::numeric_limits<double>::quiet_NaN()), ValueError, "kept");
    for (const Measure& m : whole_space_measures()) {
        const std::string name = m.name.substr(0, m.name.find(','));
        CHECK_ERROR(m.of(x, wide.slice(0, 0, 4)), ShapeError, name + ": x [5, 2], y [4, 3]; want [N, D] and [N, E]");
        CHECK_ERROR(m.of(flat, x), ShapeError, "x [5]");
        CHECK_ERROR(m.of(Tensor::zeros({0, 2}), Tensor::zeros({0, 2})), ShapeError, "x [0, 2]");
        CHECK_ERROR(m.of(x, Tensor::zeros({5, 0})), ShapeError, "y [5, 0]");
    }

    SpaceSums sums("the test set");
    CHECK_ERROR(sums.linear_cka(), ValueError, "the test set: no samples were added");
    CHECK_ERROR(sums.linear_cka_debiased(), ValueError, "no samples");
    CHECK_ERROR(sums.svcca(), ValueError, "no samples");
    CHECK_ERROR(sums.procrustes_distance(), ValueError, "no samples");
    sums.add(x, wide);
    CHECK_ERROR(sums.add(x, x), ShapeError, "x [5, 2], y [5, 2]; the batches before had D = 2 and E = 3");

    for (const real bad : {std::numeric_limits<real>::quiet_NaN(), -std::numeric_limits<real>::infinity()}) {
        const Tensor broken = x.clone();
        broken.data()[7] = bad;
        for (const Measure& m : whole_space_measures()) {
            CHECK_ERROR(m.of(broken, wide), NonFiniteError, "row 3 of x is not finite");
            CHECK_ERROR(m.of(wide, broken), NonFiniteError, "row 3 of y is not finite");
        }
        CHECK_ERROR(sums.add(broken, wide), NonFiniteError, "the test set: row 3 of x is not finite");
        CHECK(sums.n_samples() == 5);  // nothing of it was added
        CHECK_ERROR(mean_cosine(x, broken), NonFiniteError, "mean_cosine: row 3 of y is not finite");
        CHECK_ERROR(centred(broken), NonFiniteError, "centred: row 3 of x is not finite");
        CHECK_ERROR(neighbourhood_jaccard(broken, x, 1), NonFiniteError, "neighbourhood_jaccard: row 3 of x");
        CHECK_ERROR(relative_cosine(x, broken, x, x), NonFiniteError, "relative_cosine: row 3 of x_anchors");
        CHECK_ERROR(relative_cosine(x, x, x, broken), NonFiniteError, "row 3 of y_anchors");
    }
}
