// attention, segment_mean and add_layer_norm (autograd/ops.h) against the compositions of other ops that they stand
// for; the algorithms of attention (autograd/attention_rows.h) against each other.
#include <omp.h>

#include <cmath>

#include "autograd/attention_rows.h"
#include "autograd/gradcheck.h"
#include "autograd/ops.h"
#include "tests/devices.h"
#include "tests/nn_samples.h"
#include "tests/nmse.h"

using namespace koine;
using namespace koine::testing;

namespace {

constexpr AttentionAlgorithm kAlgorithms[] = {AttentionAlgorithm::heads, AttentionAlgorithm::rows};
const char* name_of(AttentionAlgorithm a) { return a == AttentionAlgorithm::heads ? "heads" : "rows"; }

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

struct Texts {
    std::vector<int64_t> starts;
    int64_t n_heads, size;  // of a head

    std::string str() const {
        std::string s = std::to_string(n_heads) + " heads of " + std::to_string(size) + ", starts";
        for (const int64_t n : starts) s += " " + std::to_string(n);
        return s;
    }
    Tensor qkv() const { return Tensor::normal({starts.back(), 3 * n_heads * size}, {5, uint64_t(n_heads)}); }
};
// No text at all; texts of 0 and 1 tokens; one more and one less than a tile has; heads of one feature.
const Texts kTexts[] = {{{0}, 2, 3},        {{0, 0}, 1, 1},
                        {{0, 1}, 1, 2},     {{0, 5, 5, 6, 13}, 2, 3},
                        {{0, 0, 31}, 5, 1}, {{0, 32, 65, 66, 66, 130}, 3, 5}};
// With room for 10000 scores, a block has two texts, two, one; then three have one that is too long, and one has the
// rest.
constexpr int64_t kRoom = 10000;
const Texts kBlocks{{0, 20, 40, 80, 81, 120, 200, 203}, 3, 5};

const Random kRandom{3, 4};
Tensor old_gradient(const Texts& texts, bool adds) {
    return Tensor::full(texts.qkv().shape, adds ? real(1) : std::numeric_limits<real>::quiet_NaN());
}
Tensor upstream(const Shape& shape) { return Tensor::normal(shape, {5, 0}); }

// y and the gradient of qkv, which is written over NaN, or added to ones.
struct Outcome {
    Tensor y, grad;
};
Outcome run(AttentionAlgorithm algorithm, const Texts& texts, real p_dropout, bool adds = false,
            Device device = Device::cpu) {
    const Var qkv = Var::parameter(texts.qkv().to(device), old_gradient(texts, adds).to(device));
    qkv.node->has_grad = adds;
    const Var y = attention(algorithm, qkv, texts.starts, texts.n_heads, p_dropout, true, kRandom);
    backward(y, upstream(y.shape()).to(device));
    return {y.value, qkv.grad()};
}
// The same by rows, with room for so many scores.
Outcome run(int64_t max_scores, const Texts& texts, real p_dropout, bool adds = false, Device device = Device::cpu) {
    const DropoutMask mask{p_dropout, 1 / (1 - p_dropout), kRandom};
    const Tensor qkv = texts.qkv().to(device);
    const AttentionRows rows(qkv, texts.starts, texts.n_heads, p_dropout > 0, mask, max_scores);
    const int64_t n_tokens = texts.starts.back();
    const Tensor y = Tensor::empty({n_tokens, texts.n_heads * texts.size}, device),
                 stats = Tensor::empty({n_tokens, texts.n_heads, 2}, device),
                 grad = old_gradient(texts, adds).to(device);
    rows.forward(y, stats);
    rows.backward(y, stats, upstream(y.shape).to(device), {grad.data(), adds ? real(1) : real(0)});
    return {y, grad};
}

void check_close(const Outcome& a, const Outcome& b) {
    constexpr double kRounding = sizeof(real) == 8 ? 1e-26 : 1e-11;
    CHECK(nmse(a.y, b.y) <= kRounding);
    CHECK(nmse(a.grad, b.grad) <= kRounding);
}

}  // namespace

TEST_CASE("attention is softmax(q k^T / sqrt(d)) v for each text and head", "[ops][attention]") {
    const auto keeps_all = [](const Var& weights, size_t, int64_t) { return weights; };
    // The last text has more scores than are in memory at a time.
    const std::vector<int64_t> starts{0, 5, 5, 6, 306};
    const Var qkv = Var::parameter(Tensor::normal({306, 3 * 14}, {1, 1}));
    for (const AttentionAlgorithm algorithm : kAlgorithms) {
        INFO(name_of(algorithm));
        const Var fused = attention(algorithm, qkv, starts, 2), parts = attention_by_parts(qkv, starts, 2, keeps_all);
        check_near(fused.value, parts.value);
        check_near(gradient(fused, qkv), gradient(parts, qkv));
    }
    // What runs where.
    CHECK(choose_algorithm(Device::cpu) == AttentionAlgorithm::heads);
    CHECK(choose_algorithm(Device::cuda) == AttentionAlgorithm::rows);
    CHECK(is_same(attention(qkv, starts, 2).value, attention(AttentionAlgorithm::heads, qkv, starts, 2).value));
}

TEST_CASE("attention does not overflow, and attends to what it must", "[ops][attention]") {
    // Scores of 10^6: each token attends to the one with the largest key, its own where two are opposite.
    Tensor qkv = Tensor::zeros({2, 3});
    qkv.copy_from(Tensor::from({1000, 1000, 1, -1000, -1000, 2}, {2, 3}));
    // The scores of wider heads are rounded, and the backward pass must find the same.
    const Tensor wide = Tensor::zeros({2, 9});
    const Var rounded = Var::parameter(wide);
    for (int64_t i = 0; i < 18; i++) wide.data()[i] = (i < 9 ? 1 : -1) * real(i % 9 < 6 ? 1000.1 : 1);
    // No key at all is seen where every score is -infinity.
    const real infinity = std::numeric_limits<real>::infinity();
    const Tensor unseen = Tensor::from({1, -infinity, 1, 2, -infinity, 2}, {2, 3});
    for (const AttentionAlgorithm algorithm : kAlgorithms) {
        INFO(name_of(algorithm));
        CHECK(attention(algorithm, qkv, {0, 2}, 1).value.to_vector() == std::vector<real>{1, 2});
        // Texts do not see each other.
        CHECK(attention(algorithm, qkv, {0, 1, 2}, 1).value.to_vector() == std::vector<real>{1, 2});
        const Tensor dx = gradient(attention(algorithm, rounded, {0, 2}, 1), rounded);
        CHECK(is_same(dx.slice(1, 6, 9), wave({2, 3}, 0.7)));
        CHECK(attention(algorithm, unseen, {0, 2}, 1).value.to_vector() == std::vector<real>{0, 0});
    }
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
    for (const AttentionAlgorithm algorithm : kAlgorithms) {
        INFO(name_of(algorithm));
        const Var fused = attention(algorithm, qkv, starts, n_heads, p, true, rng),
                  parts = attention_by_parts(qkv, starts, n_heads, keep);
        check_near(fused.value, parts.value);
        check_near(gradient(fused, qkv), gradient(parts, qkv));
        CHECK(is_same(attention(algorithm, qkv, starts, n_heads, p, false, rng).value,
                      attention(algorithm, qkv, starts, n_heads).value));
    }
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

TEST_CASE("attention by rows computes what attention by heads does", "[ops][attention][cuda]") {
    const Device device = EACH_DEVICE();
    for (const real p : {real(0), real(0.3)}) {
        for (const bool adds : {false, true}) {
            INFO(name_of(device) << ", dropout " << p << ", gradient "
                                 << (adds ? "added to ones" : "written over NaN"));
            for (const Texts& texts : kTexts) {
                INFO(texts.str());
                check_close(run(AttentionAlgorithm::heads, texts, p, adds),
                            run(AttentionAlgorithm::rows, texts, p, adds, device));
            }
            const Texts wide{{0, 40, 70}, 12, 64};
            check_close(run(AttentionAlgorithm::heads, wide, p, adds),
                        run(AttentionAlgorithm::rows, wide, p, adds, device));
        }
    }
    // A token that is alone in its text attends to itself, whatever q and k are.
    const Texts alone{{0, 1}, 1, 2};
    const Outcome own = run(AttentionAlgorithm::rows, alone, 0, false, device);
    CHECK(own.y.to_vector() == alone.qkv().slice(1, 4, 6).to_vector());
    check_near(own.grad.slice(1, 0, 4), Tensor::zeros({1, 4}));
}

TEST_CASE("attention by rows goes through blocks of queries", "[ops][attention][cuda]") {
    const Device device = EACH_DEVICE();
    const AttentionRows rows(kBlocks.qkv(), kBlocks.starts, kBlocks.n_heads, false, {}, kRoom);
    std::vector<std::vector<int64_t>> blocks;  // tiles of keys and of queries, first query
    for (const auto& b : rows.blocks) blocks.push_back({b.n_tiles, b.n_query_tiles, b.first_query});
    CHECK(blocks == std::vector<std::vector<int64_t>>{
                        {2, 2, 0}, {3, 3, 0}, {2, 2, 0}, {3, 1, 0}, {3, 1, 32}, {3, 1, 64}, {1, 1, 0}});
    CHECK(rows.n_scores <= kRoom);
    for (const real p : {real(0), real(0.3)}) {
        for (const bool adds : {false, true}) {
            INFO(name_of(device) << ", dropout " << p << ", gradient "
                                 << (adds ? "added to ones" : "written over NaN"));
            const Outcome expected = run(AttentionAlgorithm::heads, kBlocks, p, adds);
            check_close(expected, run(kRoom, kBlocks, p, adds, device));
            check_close(expected, run(1, kBlocks, p, adds, device));  // as many blocks as tiles
        }
    }
}

TEST_CASE("the memory of attention by rows is bounded", "[ops][attention]") {
    // 1500 tokens, 4 heads: all weights would be 9 million numbers, and with their gradients 18 million.
    const Var qkv = Var::parameter(Tensor::normal({1500, 3 * 8}, {1, 1}));
    const int64_t before = pool().bytes_in_use;
    pool().bytes_peak = before;
    gradient(attention(AttentionAlgorithm::rows, qkv, {0, 1500}, 4), qkv);
    const auto numbers = double(pool().bytes_peak - before) / sizeof(real);
    // The pool rounds up by a sixteenth. Tables of tokens are small beside that.
    CHECK(numbers < 2 * double(AttentionRows::kScores) * 17 / 16 + 1500 * 8 * 20);
}

TEST_CASE("gradients of attention by rows agree with central differences", "[ops][attention][gradcheck]") {
    if (sizeof(real) != 8) SKIP_TEST("gradient checks need float64: make gradcheck runs them");
    for (const Texts& texts : kTexts) {
        for (const real p : {real(0), real(0.3)}) {
            const GradcheckReport report = gradcheck(
                [&](const std::vector<Var>& in) {
                    return attention(AttentionAlgorithm::rows, in[0], texts.starts, texts.n_heads, p, true, kRandom);
                },
                {texts.qkv()});
            INFO(texts.str() << ", dropout " << p << "\n" << report.str());
            CHECK(report.passed);
        }
    }
}

TEST_CASE("attention by rows on an emulated GPU block", "[ops][attention][emulated]") {
    if (!kernels_can_be_emulated()) SKIP_TEST("kernels by nvcc know the GPU itself, and no emulated blocks");
    const int n_threads = omp_get_max_threads();
    omp_set_num_threads(1);  // the emulation belongs to this thread
    std::vector<Texts> all(std::begin(kTexts), std::end(kTexts));
    all.push_back(kBlocks);
    for (const Texts& texts : all) {
        for (const real p : {real(0), real(0.3)}) {
            const Outcome expected = run(AttentionAlgorithm::heads, texts, p, true);
            for (const int lanes : {1, 8, 64, 256}) {
                for (const uint64_t seed : {1, 2, 3}) {
                    INFO(texts.str() << ", dropout " << p << ", " << lanes << " lanes, seed " << seed);
                    const EmulateBlocks guard(lanes, seed);
                    check_close(expected, run(kRoom, texts, p, true));
                }
            }
        }
    }
    omp_set_num_threads(n_threads);
}

TEST_CASE("attention by rows does not depend on the number of threads", "[ops][attention][determinism][threads]") {
    const int n_threads = omp_get_max_threads();
    const Texts texts{{0, 40, 140, 270}, 3, 5};  // more scores than one thread gets
    omp_set_num_threads(1);
    const Outcome one = run(AttentionAlgorithm::rows, texts, real(0.3)), small = run(kRoom, texts, real(0.3));
    for (const int n : {2, 3}) {
        omp_set_num_threads(n);
        const Outcome many = run(AttentionAlgorithm::rows, texts, real(0.3)), parts = run(kRoom, texts, real(0.3));
        CHECK(is_same(one.y, many.y));
        CHECK(is_same(one.grad, many.grad));
        CHECK(is_same(small.y, parts.y));
        CHECK(is_same(small.grad, parts.grad));
    }
    omp_set_num_threads(n_threads);
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
