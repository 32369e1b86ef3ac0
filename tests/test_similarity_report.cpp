// experiments/common/similarity_report.h: measures of spaces whose likeness is known, their nulls, and the correlation.
#include <cmath>

#include "experiments/common/similarity_report.h"
#include "tensor/linalg.h"
#include "tests/catch.h"

using namespace koine;

namespace {

constexpr int64_t kCodes = 60, kAnchors = 20, kDimensions = 8;

// Codes with a common mean, as a ReLU's have.
Tensor codes(uint64_t stream, int64_t n) {
    Tensor t = Tensor::uniform({n, kDimensions}, 0, 1, {3, stream});
    return t;
}
Tensor turned(const Tensor& x) {
    const NoGrad no_grad;
    return matmul(Var(x), Var(random_orthogonal(kDimensions, {4, 0}))).value;
}
LatentSpace space(const std::string& name, uint64_t stream) {
    return {name, codes(stream, kCodes), codes(stream + 100, kAnchors)};
}
LatentSpace turned_space(const LatentSpace& s) { return {"turned", turned(s.codes), turned(s.anchors)}; }

const Similarities& of(const std::vector<Similarities>& all, const std::string& key) {
    for (const Similarities& s : all) {
        if (s.measure->key == key) return s;
    }
    throw Error("no measure " + key);
}

}  // namespace

TEST_CASE("a turned space is another one absolutely, and the same one seen from its anchors", "[similarity][report]") {
    const LatentSpace a = space("a", 0);
    const std::vector<Similarities> all = compare_spaces({a, turned_space(a)}, space("untrained", 1), 0);
    REQUIRE(all.size() == measures().size());
    for (const Similarities& s : all) {
        INFO(s.measure->key);
        CHECK(s.values[0][1] == s.values[1][0]);
        CHECK(s.values[0][0] == Approx(s.measure->is_distance ? 0 : 1).margin(1e-5));
        const auto n = s.pairs_above_nulls();
        CHECK(n.pairs == 1);
        if (s.measure->key == "absolute") {
            CHECK(std::abs(s.values[0][1]) < 0.6);
            CHECK(n.above_permuted + n.above_untrained < 2);
            continue;
        }
        CHECK(s.values[0][1] == Approx(s.measure->is_distance ? 0 : 1).margin(1e-4));
        CHECK(n.above_permuted == 1);
        CHECK(n.above_untrained == 1);
    }
    // Cosines of codes with a common mean are large whatever they are codes of; without it they are not.
    CHECK(of(all, "relative").permuted[0][1] > 0.9);
    CHECK(std::abs(of(all, "relative_centered").permuted[0][1]) < 0.3);
    CHECK(of(all, "relative_centered").untrained[0] < 0.5);
}

TEST_CASE("spaces of unlike samples are beyond no null", "[similarity][report]") {
    const std::vector<Similarities> all =
        compare_spaces({space("a", 0), space("b", 2), space("c", 5)}, space("untrained", 1), 0);
    for (const char* key : {"absolute", "relative_centered", "neighbours"}) {
        const auto n = of(all, key).pairs_above_nulls();
        INFO(key);
        CHECK(n.pairs == 3);
        CHECK(n.above_permuted + n.above_untrained < 6);
    }
    const Similarities& s = of(all, "cka");
    CHECK(s.mean() == Approx((s.values[0][1] + s.values[0][2] + s.values[1][2]) / 3));
    CHECK(s.mean_permuted() == Approx((s.permuted[0][1] + s.permuted[0][2] + s.permuted[1][2]) / 3));
    CHECK(s.mean_untrained() == Approx((s.untrained[0] + s.untrained[1] + s.untrained[2]) / 3));
    CHECK_THROWS_AS(compare_spaces({space("a", 0)}, space("untrained", 1), 0), ValueError);
}

TEST_CASE("the best network is left out of the correlation with itself", "[similarity][report]") {
    Similarities s{&measures()[1], {{1, .5, .7, .6}, {.5, 1, .8, .9}, {.7, .8, 1, .2}, {.6, .9, .2, 1}}, {}, {}};
    const Correlation c = correlate(s, {.1, .4, .2, .3});
    CHECK(c.best == 1);
    CHECK(c.to_best == std::vector<double>{.5, 1, .8, .9});
    // (0.5, 0.1), (0.8, 0.2), (0.9, 0.3): by hand.
    CHECK(c.pearson == Approx(0.04 / std::sqrt(0.0866666667 * 0.02)));
    CHECK(c.spearman == 1);
    const Correlation tied = correlate(s, {.1, .4, .1, .1});
    CHECK(std::isnan(tied.pearson));
    CHECK(std::isnan(tied.spearman));
}
