// nn/relative.h: the projection against PyTorch, its invariances, and the choice of anchors.
#include <algorithm>
#include <numeric>
#include <set>

#include "nn/relative.h"
#include "tests/nn_samples.h"

using namespace koine;
using namespace koine::testing;

namespace {

using Ids = std::vector<int32_t>;

bool are_distinct(const Ids& ids) { return std::set<int32_t>(ids.begin(), ids.end()).size() == ids.size(); }

// Points around the corners of a square of side 10, `n_each` a corner, corner by corner.
Tensor four_clusters(int64_t n_each) {
    const Tensor x = Tensor::normal({4 * n_each, 2}, Random{1, 2});
    for (int64_t i = 0; i < x.shape[0]; i++) {
        real* point = x.data() + 2 * i;
        point[0] = point[0] / 4 + real(10 * (i / n_each % 2));
        point[1] = point[1] / 4 + real(10 * (i / n_each / 2));
    }
    return x;
}

}  // namespace

// torch.nn.functional.cosine_similarity(x[:, None], a[None], dim=-1), float64.
TEST_CASE("relative(): cosines with the anchors", "[relative]") {
    const Tensor x = wave({3, 3}, 0.7), a = wave({2, 3}, 0.5);
    check_values(relative(x, a).value,
                 {0.984954083, 0.809595206, -0.723968428, -0.025872042, -0.606896286, -0.989688047});
    CHECK_ERROR(relative(x, wave({2, 4}, 1)), ShapeError, "cosine_rows");
}

TEST_CASE("relative codes do not change under rotation and scaling of the latents", "[relative]") {
    const Tensor x = wave({5, 2}, 0.7), a = wave({3, 2}, 0.5);
    const Tensor turned = Tensor::from({real(1.8), real(-2.4), real(2.4), real(1.8)}, {2, 2});  // 3 x a rotation
    const Tensor before = relative(x, a).value, after = relative(matmul(x, turned), matmul(a, turned)).value;
    for (int64_t i = 0; i < before.numel(); i++) CHECK(std::abs(before.data()[i] - after.data()[i]) < 1e-6);
}

TEST_CASE("no gradient flows through the anchors unless it is asked for", "[relative]") {
    const Var x = Var::parameter(wave({3, 3}, 0.7)), a = Var::parameter(wave({2, 3}, 0.5));
    backward(sum(relative(x, a)));
    CHECK(x.node->has_grad);
    CHECK_FALSE(a.node->has_grad);
    backward(sum(relative(x, a, true)));
    CHECK(a.node->has_grad);
    // The same through both arguments: x . x / |x|^2 is 1 whatever x is, so the gradients cancel.
    x.zero_grad();
    backward(sum(relative(slice(x, 0, 0, 1), slice(x, 0, 0, 1), true)));
    for (real g : x.grad().to_vector()) CHECK(std::abs(g) < 1e-6);
}

TEST_CASE("uniform_anchors: distinct, in range, a function of the seed, no index favoured", "[relative]") {
    const Ids ids = uniform_anchors(1000, 300, 7);
    CHECK(ids.size() == 300);
    CHECK(are_distinct(ids));
    CHECK(*std::max_element(ids.begin(), ids.end()) < 1000);
    CHECK(ids == uniform_anchors(1000, 300, 7));
    CHECK(ids != uniform_anchors(1000, 300, 8));
    Ids all = uniform_anchors(50, 50, 1);
    std::sort(all.begin(), all.end());
    Ids expected(50);
    std::iota(expected.begin(), expected.end(), 0);
    CHECK(all == expected);
    std::vector<int> n_drawn(5);
    for (uint64_t seed = 0; seed < 5000; seed++) {
        for (int32_t i : uniform_anchors(5, 2, seed)) n_drawn[size_t(i)]++;
    }
    for (int n : n_drawn) CHECK(std::abs(n - 2000) < 175);  // binomial, standard deviation 35
    CHECK_ERROR(uniform_anchors(3, 4, 0), ValueError, "uniform_anchors: 4 anchors of 3 samples");
    CHECK_ERROR(uniform_anchors(3, 0, 0), ValueError, "want 1 to 3");
}

TEST_CASE("per_class_anchors: as many of each label, labels ascending", "[relative]") {
    const Ids labels{2, 0, 2, 5, 0, 5, 2, 0, 5, 5};
    const Ids ids = per_class_anchors(labels, 2, 3);
    REQUIRE(ids.size() == 6);
    CHECK(are_distinct(ids));
    for (size_t i = 0; i < 6; i++) CHECK(labels[size_t(ids[i])] == (i < 2 ? 0 : i < 4 ? 2 : 5));
    CHECK(ids == per_class_anchors(labels, 2, 3));
    std::set<Ids> choices;
    for (uint64_t seed = 0; seed < 20; seed++) choices.insert(per_class_anchors(labels, 2, seed));
    CHECK(choices.size() > 10);
    CHECK_ERROR(per_class_anchors(labels, 4, 0), ValueError, "class 0 has 3 samples; want at least 4");
    CHECK_ERROR(per_class_anchors(Ids{}, 1, 0), ValueError, "of 0 samples");
}

TEST_CASE("farthest_point_anchors", "[relative]") {
    SECTION("on a line the ends come first, then the largest gap; ties go to the smaller index") {
        const Tensor line = Tensor::from({0, 1, 2, 3, 4, 5, 6, 7, 8}, {9, 1});
        const Ids ids = farthest_point_anchors(line, 4, 0);
        const int32_t first = ids[0], second = first <= 4 ? 8 : 0;
        CHECK(ids[1] == (first == 4 ? 0 : second));
        // The rest by the definition.
        for (size_t n = 1; n < ids.size(); n++) {
            int best = -1, best_distance = -1;
            for (int i = 0; i < 9; i++) {
                int distance = 100;
                for (size_t m = 0; m < n; m++) distance = std::min(distance, std::abs(i - ids[m]));
                if (distance > best_distance) best = i, best_distance = distance;
            }
            CHECK(ids[n] == best);
        }
    }
    SECTION("one of each cluster before a second of any; images are rows") {
        const Tensor x = four_clusters(20);
        const Ids ids = farthest_point_anchors(x.reshape({80, 1, 2, 1}), 4, 5);
        std::set<int32_t> clusters;
        for (int32_t i : ids) clusters.insert(i / 20);
        CHECK(clusters.size() == 4);
    }
    SECTION("errors") {
        const Tensor twins = Tensor::from({1, 1, 2, 1, 2}, {5, 1});
        CHECK(farthest_point_anchors(twins, 2, 0).size() == 2);
        CHECK_ERROR(farthest_point_anchors(twins, 3, 0), ValueError,
                    "3 anchors, but the samples hold only 2 distinct points");
        CHECK_ERROR(farthest_point_anchors(twins, 6, 0), ValueError, "6 anchors of 5 samples");
        CHECK_ERROR(farthest_point_anchors(Tensor::zeros({5}), 1, 0), ShapeError, "want [N, ...]");
        twins.data()[3] = std::nanf("");
        CHECK_ERROR(farthest_point_anchors(twins, 2, 0), ValueError, "sample 3 is not finite");
    }
}

TEST_CASE("k_means_anchors", "[relative]") {
    SECTION("finds four clusters, and the sample nearest to the middle of each") {
        const int64_t n_each = 25;
        const Tensor x = four_clusters(n_each);
        const Ids ids = k_means_anchors(x, 4, 11);
        std::set<int64_t> clusters;
        for (int32_t id : ids) {
            const int64_t c = id / n_each;
            clusters.insert(c);
            double middle[2] = {};
            for (int64_t i = 0; i < n_each; i++) {
                for (int j : {0, 1}) middle[j] += double(x.data()[2 * (c * n_each + i) + j]) / double(n_each);
            }
            const auto distance = [&](int64_t i) {
                return std::hypot(double(x.data()[2 * i]) - middle[0], double(x.data()[2 * i + 1]) - middle[1]);
            };
            for (int64_t i = c * n_each; i < (c + 1) * n_each; i++) CHECK(distance(id) <= distance(i) + 1e-6);
        }
        CHECK(clusters.size() == 4);
        CHECK(ids == k_means_anchors(x, 4, 11));
    }
    SECTION("far from the origin as near it") {
        const Tensor x = four_clusters(25), far = x.clone();
        for (int64_t i = 0; i < far.numel(); i++) far.data()[i] += 1000;
        std::set<int32_t> clusters;
        for (int32_t id : k_means_anchors(far, 4, 11)) clusters.insert(id / 25);
        CHECK(clusters.size() == 4);
    }
    SECTION("distinct anchors for any number of clusters, with duplicates among the samples") {
        const Tensor x = Tensor::from({0, 0, 0, 0, 0, 1, 5, 5, 5, 9}, {10, 1});
        for (uint64_t seed = 0; seed < 20; seed++) {
            for (int64_t k = 1; k <= 4; k++) CHECK(are_distinct(k_means_anchors(x, k, seed)));
            const Ids ids = k_means_anchors(x, 4, seed);
            std::set<real> values;
            for (int32_t i : ids) values.insert(x.data()[i]);
            CHECK(values == std::set<real>{0, 1, 5, 9});
        }
        CHECK_ERROR(k_means_anchors(x, 5, 0), ValueError,
                    "k_means_anchors: 5 anchors, but the samples hold only 4 distinct points");
    }
    SECTION("a cluster that loses all its samples gets another") {
        // Found by search: with this seed a cluster is empty in the first round. The clusters are {3}, {6, 7}, {0} and
        // {1, 2, 4, 5}, whose mean is (5, 1.5, 5.5); 6 and 7, and 2 and 5, are equally near to theirs.
        const Tensor x = Tensor::from({1, 4, 5, 4, 2, 6, 5, 1, 5, 0, 7, 6, 6, 1, 5, 5, 2, 6, 2, 0, 1, 2, 2, 0}, {8, 3});
        Ids ids = k_means_anchors(x, 4, 5556);
        std::sort(ids.begin(), ids.end());
        CHECK(ids == Ids{0, 2, 3, 6});
    }
    SECTION("as many clusters as samples") {
        const Tensor x = wave({12, 3}, 0.9);
        Ids ids = k_means_anchors(x, 12, 4);
        CHECK(are_distinct(ids));
        CHECK_ERROR(k_means_anchors(x, 13, 4), ValueError, "13 anchors of 12 samples");
    }
}
