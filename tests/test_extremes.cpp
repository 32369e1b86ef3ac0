// Numbers at the ends of the line, in the ops that take exponentials, logarithms and lengths: what comes out, and that
// the gradient is finite where the limit is. Catalogue row A25. The scalar functions alone are in test_math.cpp.
#include <cmath>
#include <fstream>
#include <functional>
#include <limits>
#include <optional>
#include <sstream>

#include "autograd/ops.h"
#include "tests/catch.h"

using namespace koine;
using namespace koine::testing;

namespace {

using Values = std::vector<double>;
using OneInput = std::function<Var(const Var&)>;

const double kInf = std::numeric_limits<double>::infinity(), kNaN = std::numeric_limits<double>::quiet_NaN();
/// The smallest number that is not 0.
const double kTiny = double(std::numeric_limits<real>::denorm_min());
const double kLog2 = std::log(2.0);

/// y = op(x) for one row x, and the gradient of the sum of upstream * y.
struct Extreme {
    const char* what;
    OneInput op;
    Values x, y;
    std::optional<Values> upstream;  ///< ones by default
    std::optional<Values> dx;        ///< none: where y is infinite its gradient is anybody's
    bool is_rounded = false;
};

Tensor row_of(const Values& values) {
    const Tensor t = Tensor::empty({1, int64_t(values.size())});
    for (size_t i = 0; i < values.size(); i++) t.data()[i] = real(values[i]);
    return t;
}

/// `slack` is what rounding the inputs costs: half a unit of the largest of them.
void check_values(const char* name, const std::vector<real>& got, const Values& expected, double slack) {
    REQUIRE(got.size() == expected.size());
    for (size_t i = 0; i < got.size(); i++) {
        INFO(name << "[" << i << "] is " << got[i] << ", expected " << expected[i]);
        if (std::isnan(expected[i])) {
            CHECK(std::isnan(got[i]));
        } else if (std::isinf(expected[i])) {
            CHECK(got[i] == real(expected[i]));
        } else {
            CHECK(std::abs(double(got[i]) - expected[i]) <= (2e-6 + slack) * std::max(1.0, std::abs(expected[i])));
        }
    }
}

void check(const Extreme& e) {
    std::ostringstream x;
    for (const double v : e.x) x << " " << v;
    INFO(e.what << " of" << x.str());
    const Var in = Var::parameter(row_of(e.x));
    const Var y = e.op(in);
    // e^(x - y), the gradient of log-sum-exp, is of two numbers that are rounded: an error of 5e-4 at 1e4, in float.
    const double slack = e.is_rounded ? double(std::numeric_limits<real>::epsilon()) * 1e4 : 0;
    check_values("y", y.value.to_vector(), e.y, 0);
    if (!e.dx) return;
    const Tensor dy = Tensor::full(y.shape(), 1);
    if (e.upstream) std::copy(e.upstream->begin(), e.upstream->end(), dy.data());
    backward(y, dy);
    check_values("dx", in.grad().to_vector(), *e.dx, slack);
}

Indices label(int32_t target) { return Indices(std::vector<int32_t>{target}); }
OneInput cross_entropy_of(int32_t target, real smoothing = 0) {
    return [=](const Var& x) { return cross_entropy(x, label(target), smoothing); };
}
OneInput bce_of(const Values& targets) {
    return [=](const Var& x) { return bce_with_logits(x, Var(row_of(targets))); };
}
OneInput cosine_with(const Values& anchor) {
    return [=](const Var& x) { return cosine_rows(x, Var(row_of(anchor))); };
}
OneInput layer_norm_of(int64_t n) {
    return [=](const Var& x) { return layer_norm(x, Var(Tensor::full({n}, 1)), Var(Tensor::zeros({n}))); };
}

Var sum_exp(const Var& x) { return logsumexp(x); }

}  // namespace

TEST_CASE("log-sum-exp at the ends of the number line", "[autograd][numerics][A25]") {
    const Extreme cases[] = {
        {"logsumexp", sum_exp, {1e4, -1e4}, {1e4}, {}, Values{1, 0}},
        {"logsumexp", sum_exp, {1e4, 1e4}, {1e4 + kLog2}, {}, Values{0.5, 0.5}, true},
        {"logsumexp", sum_exp, {-1e4, -1e4}, {-1e4 + kLog2}, {}, Values{0.5, 0.5}, true},
        {"logsumexp", sum_exp, {-kInf, 3}, {3}, {}, Values{0, 1}},
        {"logsumexp", sum_exp, {kTiny, -kTiny}, {kLog2}, {}, Values{0.5, 0.5}},
        {"logsumexp", sum_exp, {-kInf, -kInf}, {-kInf}, {}, {}},
        {"logsumexp", sum_exp, {kInf, 1}, {kInf}, {}, {}},
        {"logsumexp", sum_exp, {kInf, -kInf}, {kInf}, {}, {}},
        {"logsumexp", sum_exp, {kNaN, 1}, {kNaN}, {}, {}},
    };
    for (const Extreme& e : cases) check(e);
}

TEST_CASE("softplus, sigmoid, tanh and exp at the ends of the number line", "[autograd][numerics][A25]") {
    const Values x = {1e4, -1e4, kInf, -kInf, kTiny, -kTiny, kNaN};
    const Extreme cases[] = {
        {"softplus",
         [](const Var& v) { return softplus(v); },
         x,
         {1e4, 0, kInf, 0, kLog2, kLog2, kNaN},
         {},
         Values{1, 0, 1, 0, 0.5, 0.5, kNaN}},
        {"sigmoid",
         [](const Var& v) { return sigmoid(v); },
         x,
         {1, 0, 1, 0, 0.5, 0.5, kNaN},
         {},
         Values{0, 0, 0, 0, 0.25, 0.25, kNaN}},
        {"tanh",
         [](const Var& v) { return tanh(v); },
         x,
         {1, -1, 1, -1, 0, 0, kNaN},
         {},
         Values{0, 0, 0, 0, 1, 1, kNaN}},
        {"exp",
         [](const Var& v) { return exp(v); },
         {-1e4, -kInf, kTiny, -kTiny},
         {0, 0, 1, 1},
         {},
         Values{0, 0, 1, 1}},
        {"exp", [](const Var& v) { return exp(v); }, {1e4, kInf, kNaN}, {kInf, kInf, kNaN}, {}, {}},
        {"log", [](const Var& v) { return log(v); }, {0, kInf, kTiny}, {-kInf, kInf, std::log(kTiny)}, {}, {}},
        {"gelu", [](const Var& v) { return gelu(v); }, {1e4, -1e4, kTiny}, {1e4, 0, 0}, {}, Values{1, 0, 0.5}},
        {"gelu_tanh",
         [](const Var& v) { return gelu_tanh(v); },
         {1e4, -1e4, kTiny},
         {1e4, 0, 0},
         {},
         Values{1, 0, 0.5}},
        {"silu", [](const Var& v) { return silu(v); }, {1e4, -1e4, kTiny}, {1e4, 0, 0}, {}, Values{1, 0, 0.5}},
    };
    for (const Extreme& e : cases) check(e);
}

TEST_CASE("the divergence from a normal distribution at the ends of the number line", "[autograd][numerics][A25]") {
    // Of mu alone, with log_var = 0, then of log_var alone, with mu = 0; D = 1.
    const auto of_mu = [](const Var& mu) { return kl_normal(mu, Var(Tensor::zeros({1, 1}))); };
    const auto of_log_var = [](const Var& b) { return kl_normal(Var(Tensor::zeros({1, 1})), b); };
    const Extreme cases[] = {
        {"KL of mu", of_mu, {1e4}, {5e7}, {}, Values{1e4}},
        {"KL of mu", of_mu, {-1e4}, {5e7}, {}, Values{-1e4}},
        {"KL of mu", of_mu, {kTiny}, {0}, {}, Values{0}},
        {"KL of mu", of_mu, {kInf}, {kInf}, {}, {}},
        {"KL of mu", of_mu, {kNaN}, {kNaN}, {}, {}},
        {"KL of log_var", of_log_var, {-1e4}, {4999.5}, {}, Values{-0.5}},
        {"KL of log_var", of_log_var, {1e4}, {kInf}, {}, {}},
        {"KL of log_var", of_log_var, {kTiny}, {0}, {}, Values{0}},
        {"KL of log_var", of_log_var, {-kInf}, {kInf}, {}, Values{-0.5}},
        {"KL of log_var", of_log_var, {kNaN}, {kNaN}, {}, {}},
    };
    for (const Extreme& e : cases) check(e);
    // e^b - b of an infinite b is not a number here; what matters is that it is not finite.
    CHECK_FALSE(std::isfinite(of_log_var(Var(Tensor::full({1, 1}, real(kInf)))).item()));
}

TEST_CASE("softmax and its logarithm at the ends of the number line", "[autograd][numerics][A25]") {
    const Values first = {1, 0, 0};
    const Extreme cases[] = {
        {"softmax", softmax, {1e4, -1e4, 0}, {1, 0, 0}, first, Values{0, 0, 0}},
        {"softmax", softmax, {-1e4, -1e4, -1e4}, {1. / 3, 1. / 3, 1. / 3}, first, Values{2. / 9, -1. / 9, -1. / 9}},
        {"softmax", softmax, {0, -kInf, 0}, {0.5, 0, 0.5}, first, Values{0.25, 0, -0.25}},
        {"softmax", softmax, {-kInf, -kInf, -kInf}, {0, 0, 0}, first, Values{0, 0, 0}},  // fully masked
        {"softmax", softmax, {kTiny, 0, -kTiny}, {1. / 3, 1. / 3, 1. / 3}, first, Values{2. / 9, -1. / 9, -1. / 9}},
        {"softmax", softmax, {kNaN, 0, 1}, {kNaN, kNaN, kNaN}, {}, {}},
        {"log_softmax", log_softmax, {1e6, 1e6, 0}, {-kLog2, -kLog2, -1e6}, first, Values{0.5, -0.5, 0}},
        {"log_softmax", log_softmax, {1e4, 0, 0}, {0, -1e4, -1e4}, first, Values{0, 0, 0}},
        {"log_softmax", log_softmax, {-1e4, -1e4, 0}, {-1e4, -1e4, 0}, first, Values{1, 0, -1}},
        {"log_softmax", log_softmax, {0, 0, -kInf}, {-kLog2, -kLog2, -kInf}, first, Values{0.5, -0.5, 0}},
        {"log_softmax", log_softmax, {-kInf, -kInf, -kInf}, {-kInf, -kInf, -kInf}, first, Values{1, 0, 0}},
        {"log_softmax", log_softmax, {kNaN, 0, 1}, {kNaN, kNaN, kNaN}, {}, {}},
    };
    for (const Extreme& e : cases) check(e);
}

TEST_CASE("losses of classes at the ends of the number line", "[autograd][numerics][A25]") {
    const Extreme cases[] = {
        {"cross_entropy", cross_entropy_of(0), {1e4, -1e4}, {0}, {}, Values{0, 0}},
        {"cross_entropy", cross_entropy_of(1), {1e4, -1e4}, {2e4}, {}, Values{1, -1}},
        {"cross_entropy", cross_entropy_of(0), {-1e4, -1e4}, {kLog2}, {}, Values{-0.5, 0.5}},
        {"cross_entropy", cross_entropy_of(0), {1e6, 1e6}, {kLog2}, {}, Values{-0.5, 0.5}},
        {"cross_entropy", cross_entropy_of(1), {-kInf, 0}, {0}, {}, Values{0, 0}},  // a class that is masked
        {"cross_entropy", cross_entropy_of(0), {-kInf, 0}, {kInf}, {}, {}},
        {"cross_entropy", cross_entropy_of(0), {kTiny, -kTiny}, {kLog2}, {}, Values{-0.5, 0.5}},
        {"cross_entropy", cross_entropy_of(0, real(0.5)), {1e4, -1e4}, {5e3}, {}, Values{0.25, -0.25}},
        {"cross_entropy", cross_entropy_of(0), {kNaN, 0}, {kNaN}, {}, {}},
        {"bce_with_logits", bce_of({1, 0}), {1e4, -1e4}, {0}, {}, Values{0, 0}},
        {"bce_with_logits", bce_of({0, 1}), {1e4, -1e4}, {1e4}, {}, Values{0.5, -0.5}},
        {"bce_with_logits", bce_of({0, 1}), {kTiny, -kTiny}, {kLog2}, {}, Values{0.25, -0.25}},
        {"bce_with_logits", bce_of({0.5}), {-1e4}, {5e3}, {}, Values{-0.5}},
        {"bce_with_logits", bce_of({0}), {kNaN}, {kNaN}, {}, {}},
    };
    for (const Extreme& e : cases) check(e);
    // Infinite logits are no number, right or wrong, as in PyTorch: training stops there.
    for (const double x : {kInf, -kInf}) {
        for (const double t : {0., 1.}) CHECK_FALSE(std::isfinite(bce_of({t})(Var(row_of({x}))).item()));
    }
    CHECK_FALSE(std::isfinite(cross_entropy_of(0)(Var(row_of({kInf, 0}))).item()));
}

TEST_CASE("directions at the ends of the number line", "[autograd][numerics][A25]") {
    const OneInput unit = [](const Var& x) { return l2_normalize(x); };
    const Values first = {1, 0};
    // Squares of 1e25 are beyond a float, those of 1e-30 below it.
    const Extreme cases[] = {
        {"l2_normalize", unit, {3e4, -4e4}, {0.6, -0.8}, first, Values{1.28e-5, 0.96e-5}},
        {"l2_normalize", unit, {0, 0}, {0, 0}, first, Values{1e12, 0}},  // below eps the divisor is eps
        {"cosine_rows", cosine_with({1, 0}), {3e4, 4e4}, {0.6}, {}, Values{1.28e-5, -0.96e-5}},
        {"cosine_rows", cosine_with({1e4, 0}), {1e4, 0}, {1}, {}, Values{0, 0}},
        {"cosine_rows", cosine_with({0, 0}), {1e4, 0}, {0}, {}, Values{0, 0}},
        {"cosine_rows", cosine_with({kTiny, 0}), {1, 0}, {0}, {}, Values{0, 0}},
        {"cosine_rows", cosine_with({1, 0}), {kNaN, 1}, {kNaN}, {}, {}},
        {"layer_norm",
         layer_norm_of(2),
         {1e4, 1e4},
         {0, 0},
         first,
         Values{0.5 / std::sqrt(1e-5), -0.5 / std::sqrt(1e-5)}},
        {"layer_norm", layer_norm_of(2), {1e4, -1e4}, {1, -1}, first, Values{0, 0}},
        {"layer_norm",
         layer_norm_of(2),
         {kTiny, -kTiny},
         {0, 0},
         first,
         Values{0.5 / std::sqrt(1e-5), -0.5 / std::sqrt(1e-5)}},
        {"layer_norm", layer_norm_of(2), {kNaN, 1}, {kNaN, kNaN}, {}, {}},
    };
    for (const Extreme& e : cases) check(e);
    for (const double scale : {1e18, 1e25, 1e35, 1e-10}) {
        INFO("scale " << scale);
        check({"l2_normalize", unit, {3 * scale, -4 * scale}, {0.6, -0.8}, {}, {}});
        check({"cosine_rows", cosine_with({5 * scale, 0}), {3 * scale, 4 * scale}, {0.6}, {}, {}});
    }
}

TEST_CASE("no build lets the compiler assume that numbers are finite", "[numerics][A25]") {
#ifdef __FAST_MATH__
    FAIL("compiled with -ffast-math");
#endif
    STATIC_REQUIRE(__FINITE_MATH_ONLY__ == 0);
    std::ifstream in(std::string(KOINE_SOURCE_DIR) + "/Makefile");
    std::ostringstream makefile;
    makefile << in.rdbuf();
    REQUIRE(makefile.str().find("-fno-math-errno") != std::string::npos);
    for (const char* flag : {"-ffast-math", "-Ofast", "-ffinite-math-only", "-funsafe-math-optimizations",
                             "-fassociative-math", "use_fast_math"}) {
        INFO(flag);
        CHECK(makefile.str().find(flag) == std::string::npos);
    }
}
