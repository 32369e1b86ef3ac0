// exp, log, tanh and the normal distribution against the C library in double; random numbers against published answers.
#include "tensor/math.h"

#include <cmath>

#include "tensor/random.h"
#include "tests/catch.h"

using namespace koine;

namespace {

// The largest |f(x) - reference(x)| / |reference(x)| over n points of [low, high].
template <class F, class G>
double worst_relative(F f, G reference, double low, double high, int n = 200001) {
    double worst = 0;
    for (int i = 0; i < n; i++) {
        const float x = float(low + (high - low) * i / (n - 1));
        const double y = reference(double(x));
        if (std::fabs(y) < 1e-37) continue;  // denormal results carry fewer digits
        worst = std::max(worst, std::fabs(double(f(x)) - y) / std::fabs(y));
    }
    return worst;
}

const float kInf = std::numeric_limits<float>::infinity();

}  // namespace

TEST_CASE("float functions are accurate to a few units in the last place", "[math]") {
    // One unit in the last place is 1.2e-7 at most.
    CHECK(worst_relative([](float x) { return math::exp(x); }, [](double x) { return std::exp(x); }, -87, 88.7) < 2e-7);
    CHECK(worst_relative([](float x) { return math::log(x); }, [](double x) { return std::log(x); }, 1e-6, 0.99) <
          2e-7);
    CHECK(worst_relative([](float x) { return math::log(x); }, [](double x) { return std::log(x); }, 1.01, 1e6) < 2e-7);
    CHECK(worst_relative([](float x) { return math::tanh(x); }, [](double x) { return std::tanh(x); }, -10, 10) < 4e-7);
    CHECK(worst_relative([](float x) { return math::normal_cdf(x); },
                         [](double x) { return 0.5 * std::erfc(-x / std::sqrt(2.)); }, -5, 9) < 2e-6);
    // In the far left tail the rounding of x^2 / 2 shows: |x|^2 / 2 units.
    CHECK(worst_relative([](float x) { return math::normal_cdf(x); },
                         [](double x) { return 0.5 * std::erfc(-x / std::sqrt(2.)); }, -12, -5) < 6e-6);
}

TEST_CASE("float functions know the ends of the number line", "[math]") {
    CHECK(math::exp(kInf) == kInf);
    CHECK(math::exp(89.f) == kInf);
    CHECK(math::exp(-kInf) == 0.f);
    CHECK(math::exp(0.f) == 1.f);
    CHECK(math::exp(-100.f) == Approx(3.7835e-44).epsilon(0.02));  // denormal
    CHECK(std::isnan(math::exp(NAN)));
    CHECK(math::log(0.f) == -kInf);
    CHECK(math::log(kInf) == kInf);
    CHECK(math::log(1.f) == 0.f);
    CHECK(math::log(1e-42f) == Approx(std::log(1e-42)).epsilon(1e-3));
    CHECK(std::isnan(math::log(-1.f)));
    CHECK(std::isnan(math::log(NAN)));
    CHECK(math::tanh(kInf) == 1.f);
    CHECK(math::tanh(-kInf) == -1.f);
    CHECK(std::isnan(math::tanh(NAN)));
    CHECK(math::normal_cdf(kInf) == 1.f);
    CHECK(math::normal_cdf(-kInf) == 0.f);
    CHECK(math::normal_cdf(0.f) == Approx(0.5));
    CHECK(std::isnan(math::normal_cdf(NAN)));
    for (real x :
         {real(-1e4), real(1e4), -std::numeric_limits<real>::infinity(), std::numeric_limits<real>::infinity()}) {
        CHECK(math::sigmoid(x) == (x > 0 ? 1 : 0));
        CHECK(math::softplus(x) == (x > 0 ? x : 0));
    }
}

TEST_CASE("Philox gives the published answers", "[random]") {
    // Known-answer vectors of the Random123 library (philox4x32, 10 rounds).
    const auto words = [](Words4 counter, uint64_t key) {
        const Words4 b = philox(counter, key);
        return std::vector<uint32_t>(b.w, b.w + 4);
    };
    CHECK(words({{0, 0, 0, 0}}, 0) == std::vector<uint32_t>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    const uint32_t ones = 0xffffffff;
    CHECK(words({{ones, ones, ones, ones}}, ~uint64_t(0)) ==
          std::vector<uint32_t>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    CHECK(words({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0x299f31d0a4093822) ==
          std::vector<uint32_t>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("random numbers have the moments they should", "[random]") {
    const int n = 200000;
    const Random rng{1, 2};
    double mean = 0, square = 0, fourth = 0, uniform = 0;
    std::vector<int> counts(7);
    for (int i = 0; i < n; i++) {
        const double z = double(rng.normal(uint64_t(i)));
        mean += z / n, square += z * z / n, fourth += z * z * z * z / n;
        const double u = double(rng.uniform(uint64_t(i)));
        REQUIRE((u >= 0 && u < 1));
        uniform += u / n;
        counts[rng.below(uint64_t(i), 7)]++;
    }
    CHECK(std::fabs(mean) < 4 / std::sqrt(n));
    CHECK(std::fabs(square - 1) < 4 * std::sqrt(2. / n));
    CHECK(std::fabs(fourth - 3) < 4 * std::sqrt(96. / n));
    CHECK(std::fabs(uniform - 0.5) < 4 * std::sqrt(1. / 12 / n));
    for (int c : counts) CHECK(std::abs(c - n / 7.) < 4 * std::sqrt(n / 7.));
    CHECK(Random{1, 3}.bits(0) != rng.bits(0));
    CHECK(Random{2, 2}.bits(0) != rng.bits(0));
}
