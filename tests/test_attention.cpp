// attention, segment_mean and add_layer_norm (autograd/ops.h) against the compositions of other ops that they stand
// for.
#include <cmath>

#include "autograd/ops.h"
#include "tests/nn_samples.h"

using namespace koine;
using namespace koine::testing;

namespace {

constexpr double kTolerance = sizeof(real) == 8 ? 1e-12 : 1e-5;

void check_near(const Tensor& a, const Tensor& b) {
    REQUIRE(a.shape == b.shape);
    const std::vector<real> x = a.to_vector(), y = b.to_vector();
    double worst = 0;
    for (size_t i = 0; i < x.size(); i++) worst = std::max(worst, std::abs(double(x[i]) - double(y[i])));
    CHECK(worst <= kTolerance);
}

// The formula, head by head and text by text; `keep` is what dropout leaves of the weights of a text.
Var attention_by_parts(const Var& qkv, const std::vector<int64_t>& starts, int64_t n_heads,
                       const std::function<Var(const Var& weights, size_t text, int64_t head)>& keep) {
    const int64_t d = qkv.shape()[1] / 3, size = d / n_heads;
    std::vector<Var> texts;
    for (size_t n = 0; n + 1 < starts.size(); n++) {
        if (starts[n] == starts[n + 1]) continue;
        const Var rows = slice(qkv, 0, starts[n], starts[n + 1]);
        std::vector<Var> heads;
        for (int64_t h = 0; h < n_heads; h++) {
            const Var q = slice(rows, 1, h * size, (h + 1) * size);
            const Var k = slice(rows, 1, d + h * size, d + (h + 1) * size);
            const Var v = slice(rows, 1, 2 * d + h * size, 2 * d + (h + 1) * size);
            const Var weights = softmax(matmul(q, transpose(k, 0, 1)) / std::sqrt(real(size)));
            heads.push_back(matmul(keep(weights, n, h), v));
        }
        texts.push_back(concat(heads, 1));
    }
    return concat(texts, 0);
}

Tensor gradient(const Var& y, const Var& x) {
    x.zero_grad();
    backward(y, wave(y.shape(), 0.7));
    return x.grad().clone();
}

}  // namespace

TEST_CASE("attention is softmax(q k^T / sqrt(d)) v for each text and head", "[ops][attention]") {
    const auto keeps_all = [](const Var& weights, size_t, int64_t) { return weights; };
    // The last text has more scores than are in memory at a time.
    const std::vector<int64_t> starts{0, 5, 5, 6, 306};
    const Var qkv = Var::parameter(Tensor::normal({306, 3 * 14}, {1, 1}));
    const Var fused = attention(qkv, starts, 2), parts = attention_by_parts(qkv, starts, 2, keeps_all);
    check_near(fused.value, parts.value);
    check_near(gradient(fused, qkv), gradient(parts, qkv));
}

TEST_CASE("attention does not overflow, and attends to what it must", "[ops][attention]") {
    // Scores of 10^6: each token attends to the one with the largest key, its own where two are opposite.
    Tensor qkv = Tensor::zeros({2, 3});
    qkv.copy_from(Tensor::from({1000, 1000, 1, -1000, -1000, 2}, {2, 3}));
    CHECK(attention(qkv, {0, 2}, 1).value.to_vector() == std::vector<real>{1, 2});
    // Texts do not see each other.
    CHECK(attention(qkv, {0, 1, 2}, 1).value.to_vector() == std::vector<real>{1, 2});
}

TEST_CASE("attention drops the weights that its doc comment names", "[ops][attention]") {
    const std::vector<int64_t> starts{0, 3, 303};
    const int64_t n_heads = 2;
    const Random rng{3, 4};
    const real p = real(0.25);
    const Var qkv = Var::parameter(Tensor::normal({303, 3 * 8}, {1, 1}));
    const auto keep = [&](const Var& weights, size_t text, int64_t head) {
        const int64_t length = weights.shape()[0], before = text == 0 ? 0 : n_heads * 3 * 3;
        const Tensor mask = Tensor::empty({length, length});
        for (int64_t i = 0; i < length * length; i++) {
            const uint64_t number = uint64_t(before + head * length * length + i);
            mask.data()[i] = rng.uniform(number) < p ? real(0) : 1 / (1 - p);
        }
        return weights * Var(mask);
    };
    const Var fused = attention(qkv, starts, n_heads, p, true, rng),
              parts = attention_by_parts(qkv, starts, n_heads, keep);
    check_near(fused.value, parts.value);
    check_near(gradient(fused, qkv), gradient(parts, qkv));
    CHECK(is_same(attention(qkv, starts, n_heads, p, false, rng).value, attention(qkv, starts, n_heads).value));
}

TEST_CASE("the memory of attention grows with the text, not with its square", "[ops][attention]") {
    // 4000 tokens, 4 heads: all weights would be 64 million numbers.
    const Var qkv = Var::parameter(Tensor::normal({4000, 3 * 8}, {1, 1}));
    const int64_t before = pool().bytes_in_use;
    pool().bytes_peak = before;
    gradient(attention(qkv, {0, 4000}, 4), qkv);
    const auto numbers = double(pool().bytes_peak - before) / sizeof(real);
    CHECK(numbers < 4000 * 8 * 20 + 16 * 3 * 66000);  // tables of tokens, and blocks of scores for 16 threads
}

TEST_CASE("add_layer_norm is layer_norm of the sum", "[ops]") {
    const Var x = Var::parameter(wave({5, 13}, 0.3)), r = Var::parameter(wave({5, 13}, 1.1)),
              gamma = Var::parameter(wave({13}, 0.9)), beta = Var::parameter(wave({13}, 1.9));
    const auto fused = [&] { return add_layer_norm(x, r, gamma, beta, real(1e-3)); };
    const auto parts = [&] { return layer_norm(x + r, gamma, beta, real(1e-3)); };
    const Tensor y = fused().value;
    CHECK(is_same(y, parts().value));
    for (const Var& input : {x, r, gamma, beta}) CHECK(is_same(gradient(fused(), input), gradient(parts(), input)));
    // Each by itself, beside constants.
    CHECK(is_same(gradient(add_layer_norm(x, r.detach(), gamma.detach(), beta.detach()), x),
                  gradient(layer_norm(x + r.detach(), gamma.detach(), beta.detach()), x)));
    CHECK(is_same(gradient(add_layer_norm(x.detach(), r, gamma.detach(), beta.detach()), r),
                  gradient(layer_norm(x.detach() + r, gamma.detach(), beta.detach()), r)));
    CHECK(is_same(gradient(add_layer_norm(x.detach(), r.detach(), gamma.detach(), beta), beta),
                  gradient(layer_norm(x.detach() + r.detach(), gamma.detach(), beta), beta)));
    const NoGrad no_grad;
    CHECK(is_same(fused().value, y));  // computed in other memory
}

TEST_CASE("segment_mean is the mean of each text", "[ops]") {
    const Var x = Var::parameter(wave({7, 4}, 0.3));
    const Var fused = segment_mean(x, {0, 3, 3, 4, 7});
    const Var parts = stack({mean(slice(x, 0, 0, 3), {0}), Var(Tensor::zeros({4})), mean(slice(x, 0, 3, 4), {0}),
                             mean(slice(x, 0, 4, 7), {0})},
                            0);
    check_near(fused.value, parts.value);
    check_near(gradient(fused, x), gradient(parts, x));
}
