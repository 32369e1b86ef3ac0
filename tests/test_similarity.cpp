// nn/similarity.h: distances and neighbours against values worked out by hand and by brute force.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "nn/similarity.h"
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
