// nn/retrieval.h: the measures against their definitions, worked out one pair of rows at a time in double.
#include "nn/retrieval.h"

#include <omp.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>
#include <set>

#include "tests/nn_samples.h"

using namespace koine;
using namespace koine::testing;

namespace {

double cosine_of(const Tensor& x, int64_t i, const Tensor& y, int64_t j) {
    double xy = 0, xx = 0, yy = 0;
    for (int64_t c = 0; c < x.shape[1]; c++) {
        const double p = double(x.data()[i * x.shape[1] + c]), q = double(y.data()[j * x.shape[1] + c]);
        xy += p * q, xx += p * p, yy += q * q;
    }
    return xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : 0;
}

// The rows of y, nearest to x_i first. Cosines that differ by rounding only count as equal.
std::vector<int64_t> order_of(const Tensor& x, int64_t i, const Tensor& y) {
    std::vector<double> cosines;
    for (int64_t j = 0; j < y.shape[0]; j++) {
        cosines.push_back(std::round(cosine_of(x, i, y, j) * 1e9) / 1e9);
    }
    std::vector<int64_t> order(cosines.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t p, int64_t q) { return cosines[size_t(p)] > cosines[size_t(q)]; });
    return order;
}

RetrievalScores by_definition(const Tensor& x, const Tensor& y, int64_t k) {
    const Tensor a = x.contiguous(), b = y.contiguous();
    const int64_t n = a.shape[0];
    RetrievalScores scores;
    for (int64_t i = 0; i < n; i++) {
        const std::vector<int64_t> near_a = order_of(a, i, b), near_b = order_of(b, i, b);
        const std::set<int64_t> set_a(near_a.begin(), near_a.begin() + k), set_b(near_b.begin(), near_b.begin() + k);
        std::set<int64_t> both = set_a;
        both.insert(set_b.begin(), set_b.end());
        const int64_t rank = std::find(near_a.begin(), near_a.end(), i) - near_a.begin() + 1;
        scores.jaccard += double(2 * k - int64_t(both.size())) / double(both.size()) / double(n);
        scores.mrr += 1 / double(rank) / double(n);
        scores.cosine += cosine_of(a, i, b, i) / double(n);
        scores.top1 += double(rank == 1) / double(n);
        scores.top_k += double(rank <= k) / double(n);
    }
    return scores;
}

void check_scores(const RetrievalScores& found, const RetrievalScores& expected, double tolerance = 1e-9) {
    CHECK(found.jaccard == Approx(expected.jaccard).margin(tolerance));
    CHECK(found.mrr == Approx(expected.mrr).margin(tolerance));
    CHECK(found.cosine == Approx(expected.cosine).margin(tolerance));
    CHECK(found.top1 == Approx(expected.top1).margin(tolerance));
    CHECK(found.top_k == Approx(expected.top_k).margin(tolerance));
}

// Rows in 4 dimensions along an axis, along a diagonal, or 0, of lengths 1, 2 and 3: many are equal, parallel or
// opposite. All cosines are multiples of 1/2 or 1/4, which have no rounding errors, so that ties are ties.
Tensor coarse_rows(int64_t n, uint64_t stream) {
    const Tensor x = Tensor::zeros({n, 4});
    const Random rng{7, stream};
    for (int64_t i = 0; i < n; i++) {
        const uint64_t first = uint64_t(i) * 8;
        const real length = real(rng.below(first, 3) + 1);
        const uint32_t kind = rng.below(first + 1, 9);  // 0 to 3: along that axis; 4 to 7: diagonal; 8: zero
        for (int64_t j = 0; j < 4; j++) {
            const real sign = rng.below(first + 2 + uint64_t(j), 2) == 0 ? real(1) : real(-1);
            if (kind == uint32_t(j) || (kind >= 4 && kind < 8)) x.data()[i * 4 + j] = sign * length;
        }
    }
    return x;
}

Tensor noisy(const Tensor& x, real noise, uint64_t stream) {
    const Tensor y = x.clone(), e = Tensor::normal(x.shape, Random{8, stream});
    for (int64_t i = 0; i < y.numel(); i++) y.data()[i] += noise * e.data()[i];
    return y;
}

void copy_row(const Tensor& x, int64_t from, int64_t to, real scale = 1) {
    for (int64_t j = 0; j < x.shape[1]; j++) x.data()[to * x.shape[1] + j] = scale * x.at({from, j});
}

}  // namespace

TEST_CASE("retrieval: three directions in the plane, by hand", "[nn][retrieval]") {
    // b at 0, 40 and 90 degrees; a_0 at 30 (nearest: 1, 0, 2), a_1 at 50 (1, 2, 0), a_2 at 90 (2, 1, 0). Lengths do not
    // matter. Ranks 2, 1, 1. With k = 2: A = {1, 0}, {1, 2}, {2, 1}; B = {0, 1}, {1, 0}, {2, 1}.
    const auto at = [](double degrees, double length) {
        const double angle = degrees / 180 * 3.14159265358979323846;
        return std::pair(real(length * std::cos(angle)), real(length * std::sin(angle)));
    };
    const auto space = [&](double p, double q, double r) {
        const auto x = at(p, 1), y = at(q, 5), z = at(r, 0.01);
        return Tensor::from({x.first, x.second, y.first, y.second, z.first, z.second}, {3, 2});
    };
    const Tensor a = space(30, 50, 90), b = space(0, 40, 90);
    const double cosine = (std::cos(3.14159265358979323846 / 6) + std::cos(3.14159265358979323846 / 18) + 1) / 3;
    check_scores(compare_by_retrieval(a, b, 2), {(1 + 1. / 3 + 1) / 3, (0.5 + 1 + 1) / 3, cosine, 2. / 3, 1}, 1e-6);
    // With k = 1: A = {1}, {1}, {2}; B = {0}, {1}, {2}.
    check_scores(compare_by_retrieval(a, b, 1), {2. / 3, 2.5 / 3, cosine, 2. / 3, 2. / 3}, 1e-6);
    check_scores(compare_by_retrieval(a, b, 3), {1, 2.5 / 3, cosine, 2. / 3, 1}, 1e-6);
}

TEST_CASE("retrieval: ties go to the smaller index, wherever the rows are", "[nn][retrieval][M5]") {
    // All rows of b equal: the rank of b_i is i + 1, the k nearest are the first k, for every query.
    for (const int64_t n : {1, 5, 300, 777}) {
        INFO("n = " << n);
        const Tensor a = Tensor::normal({n, 33}, Random{1, 1}), b = Tensor::normal({n, 33}, Random{1, 2});
        for (int64_t i = 1; i < n; i++) copy_row(b, 0, i);
        const RetrievalScores scores = compare_by_retrieval(a, b, std::min<int64_t>(n, 4));
        double mrr = 0;
        for (int64_t i = 0; i < n; i++) mrr += 1 / double(i + 1) / double(n);
        CHECK(scores.mrr == Approx(mrr).epsilon(1e-12));
        CHECK(scores.jaccard == 1);
        CHECK(scores.top1 == Approx(1 / double(n)));
        CHECK(scores.top_k == Approx(double(std::min<int64_t>(n, 4)) / double(n)));
    }
    // Rows of zeros have cosine 0 with everything: a tie of all with all.
    const RetrievalScores zeros = compare_by_retrieval(Tensor::zeros({4, 3}), Tensor::normal({4, 3}, Random{1, 3}), 2);
    CHECK(zeros.mrr == Approx((1 + 1 / 2. + 1 / 3. + 1 / 4.) / 4));
    CHECK(zeros.cosine == 0);
}

TEST_CASE("retrieval: what sorting all cosines gives, up to 40 rows and every k", "[nn][retrieval]") {
    for (int64_t n = 1; n <= 40; n += n < 8 ? 1 : 8) {
        const Tensor a = Tensor::normal({n, 6}, Random{2, uint64_t(n)}), b = noisy(a, real(0.5), uint64_t(n));
        const Tensor p = coarse_rows(n, uint64_t(n)), q = coarse_rows(n, uint64_t(n + 100));
        for (int64_t k = 1; k <= n; k += n < 8 ? 1 : 5) {
            INFO("n = " << n << ", k = " << k);
            check_scores(compare_by_retrieval(a, b, k), by_definition(a, b, k), 1e-6);
            check_scores(compare_by_retrieval(b, a, k), by_definition(b, a, k), 1e-6);
            check_scores(compare_by_retrieval(p, q, k), by_definition(p, q, k), 1e-6);
        }
    }
}

TEST_CASE("retrieval: more rows than a block, with copies of rows in other blocks", "[nn][retrieval]") {
    const Tensor a = Tensor::normal({531, 12}, Random{3, 1}), b = noisy(a, real(0.7), 9);
    for (int64_t i = 0; i < 20; i++) copy_row(b, 25 * i, 530 - 26 * i);
    for (const int64_t k : {1, 10, 531}) {
        INFO("k = " << k);
        check_scores(compare_by_retrieval(a, b, k), by_definition(a, b, k), 1e-6);
    }
    const RetrievalScores scores = compare_by_retrieval(a, b, 10);
    CHECK((scores.mrr > 0.05 && scores.mrr < 0.95));  // neither trivial nor hopeless
    // Ties across blocks: the queries of the second block see the rows of the first one last.
    const Tensor p = coarse_rows(600, 3), q = coarse_rows(600, 4);
    check_scores(compare_by_retrieval(p, q, 30), by_definition(p, q, 30), 1e-6);
    // Views are spaces, too.
    const Tensor turned = Tensor::normal({12, 40}, Random{3, 2}).transpose(0, 1), c = b.slice(0, 100, 140);
    check_scores(compare_by_retrieval(turned, c, 3), by_definition(turned, c, 3), 1e-6);
}

TEST_CASE("retrieval: a space finds itself, exactly", "[nn][retrieval]") {
    for (const int64_t n : {1, 2, 40, 600}) {
        INFO("n = " << n);
        const Tensor a = Tensor::normal({n, 300}, Random{4, uint64_t(n)});
        const RetrievalScores scores = compare_by_retrieval(a, a, std::min<int64_t>(n, 10));
        CHECK(scores.jaccard == 1);
        CHECK(scores.mrr == 1);
        CHECK(scores.cosine == 1);
        CHECK(scores.top1 == 1);
        CHECK(scores.top_k == 1);
    }
}

TEST_CASE("retrieval: lengths do not matter, the direction of the look-up does", "[nn][retrieval]") {
    const Tensor a = Tensor::normal({50, 8}, Random{5, 1}), b = noisy(a, real(0.8), 5), scaled = b.clone();
    for (int64_t i = 0; i < 50; i++) copy_row(scaled, i, i, real(std::ldexp(1.0, int(i) - 25)));
    check_scores(compare_by_retrieval(a, scaled, 5), compare_by_retrieval(a, b, 5), 1e-12);
    const RetrievalScores there = compare_by_retrieval(a, b, 5), back = compare_by_retrieval(b, a, 5);
    CHECK(there.cosine == back.cosine);
    CHECK(there.mrr != back.mrr);
    CHECK(there.jaccard != back.jaccard);
}

TEST_CASE("retrieval: the same bytes for any number of threads", "[nn][retrieval][determinism][A26][threads]") {
    const int n_threads = omp_get_max_threads();
    const Tensor a = Tensor::normal({900, 20}, Random{6, 1}), b = noisy(a, real(0.6), 6);
    std::vector<RetrievalScores> scores;
    for (const int threads : {1, 2, 3, 7}) {
        omp_set_num_threads(threads);
        scores.push_back(compare_by_retrieval(a, b, 10));
    }
    omp_set_num_threads(n_threads);
    for (const RetrievalScores& s : scores) CHECK(std::memcmp(&s, &scores[0], sizeof s) == 0);
}

TEST_CASE("retrieval: spaces that cannot be compared are refused", "[nn][retrieval][errors][M5]") {
    const Tensor x = Tensor::full({3, 2}, 1);
    CHECK_ERROR(compare_by_retrieval(x, Tensor::zeros({3, 1}), 1), ShapeError,
                "compare_by_retrieval: a [3, 2], b [3, 1]; want the same [N, D] with N >= 1 and D >= 1");
    CHECK_ERROR(compare_by_retrieval(x, Tensor::zeros({2, 2}), 1), ShapeError, "b [2, 2]");
    CHECK_ERROR(compare_by_retrieval(Tensor::zeros({3}), Tensor::zeros({3}), 1), ShapeError, "a [3]");
    CHECK_ERROR(compare_by_retrieval(Tensor::zeros({0, 2}), Tensor::zeros({0, 2}), 1), ShapeError, "N >= 1");
    CHECK_ERROR(compare_by_retrieval(Tensor::zeros({2, 0}), Tensor::zeros({2, 0}), 1), ShapeError, "D >= 1");
    CHECK_ERROR(compare_by_retrieval(x, x, 0), ValueError, "k = 0 nearest of 3 rows; want 1 to 3");
    CHECK_ERROR(compare_by_retrieval(x, x, 4), ValueError, "k = 4 nearest of 3 rows");
    for (const real bad : {std::numeric_limits<real>::quiet_NaN(), std::numeric_limits<real>::infinity()}) {
        const Tensor broken = Tensor::from({0, 0, 0, bad, 0, 0}, {3, 2});
        CHECK_ERROR(compare_by_retrieval(x, broken, 1), NonFiniteError, "row 1 of b is not finite");
        CHECK_ERROR(compare_by_retrieval(broken, x, 1), NonFiniteError, "row 1 of a is not finite");
    }
}

TEST_CASE("nearest rows: best first, equal ones by index", "[nn][retrieval]") {
    const Tensor x = Tensor::from({1, 0, 2, 0, 1, 1, -1, 0}, {4, 2});
    CHECK(nearest_rows(x.slice(0, 0, 1), x, 4) == std::vector<int32_t>{0, 1, 2, 3});
    CHECK(nearest_rows(x.slice(0, 3, 4), x, 2) == std::vector<int32_t>{3, 2});
    CHECK(nearest_rows(x.slice(0, 3, 4), x, 99).size() == 4);
    // Copies of a row are equal wherever they are; a row of zeros has cosine 0.
    const Tensor copies = Tensor::zeros({301, 33});
    const Tensor row = Tensor::normal({1, 33}, Random{2, 1});
    for (int64_t i = 1; i < 301; i++) copy_row(copies, 0, i);
    std::copy_n(row.data(), 33, copies.data() + 150 * 33);
    for (int64_t i = 151; i < 301; i++) copy_row(copies, 150, i);
    CHECK(nearest_rows(row, copies, 3) == std::vector<int32_t>{150, 151, 152});
    CHECK(nearest_rows(Tensor::zeros({1, 33}), copies, 2) == std::vector<int32_t>{0, 1});

    CHECK_ERROR(nearest_rows(x, x, 1), ShapeError, "query [4, 2], x [4, 2]; want [1, D] and [N, D]");
    CHECK_ERROR(nearest_rows(row, x, 1), ShapeError, "query [1, 33], x [4, 2]");
    CHECK_ERROR(nearest_rows(x.slice(0, 0, 1), x, 0), ValueError, "the 0 nearest; want 1 or more");
    const Tensor broken = Tensor::full({2, 2}, std::numeric_limits<real>::quiet_NaN());
    CHECK_ERROR(nearest_rows(x.slice(0, 0, 1), broken, 1), NonFiniteError, "row 0 of x");
}
