// nn/transformer.h and nn/encode_texts.h: layers, texts by themselves and together, threads, dropout, errors, learning.
#include <omp.h>

#include <chrono>
#include <cmath>

#include "nn/encode_texts.h"
#include "nn/optim.h"
#include "tests/devices.h"
#include "tests/golden/transformer.h"
#include "tests/nn_samples.h"

using namespace koine;
using namespace koine::testing;

namespace {

constexpr double kTolerance = sizeof(real) == 8 ? 1e-12 : 1e-5;

// Four text lengths, the longest and the shortest possible among them.
const std::vector<std::vector<int32_t>>& some_texts() {
    static const auto texts = formula_texts({7, 1, 20, 12, 3}, 2, 97);
    return texts;
}

struct TinyEncoder : TransformerEncoder {
    TinyEncoder() : TinyEncoder(tiny_config("roberta")) {}
    explicit TinyEncoder(const EncoderConfig& c) : TinyEncoder(c, Generator(5)) {}
    TinyEncoder(const EncoderConfig& c, Generator gen) : TransformerEncoder(gen, c) { eval(); }
};

Tensor states(TransformerEncoder& encoder, const std::vector<std::vector<int32_t>>& texts) {
    const NoGrad no_grad;
    return encoder(PackedTokens::from(texts)).value;
}

double worst_difference(const Tensor& a, const Tensor& b) {
    REQUIRE(a.shape == b.shape);
    const std::vector<real> x = a.to_vector(), y = b.to_vector();
    double worst = 0;
    for (size_t i = 0; i < x.size(); i++) worst = std::max(worst, std::abs(double(x[i]) - double(y[i])));
    return worst;
}

}  // namespace

TEST_CASE("texts are packed one behind the other", "[nn][transformer]") {
    const PackedTokens tokens = PackedTokens::from({{5, 6}, {}, {7}});
    CHECK(tokens.ids.to_vector() == std::vector<int32_t>{5, 6, 7});
    CHECK(tokens.starts == std::vector<int64_t>{0, 2, 2, 3});
    CHECK(tokens.n_texts() == 3);
    CHECK(PackedTokens::from({}).n_texts() == 0);
}

TEST_CASE("an encoder has the parts and the first values of BERT", "[nn][transformer]") {
    EncoderConfig config = tiny_config("roberta");
    config.layer.n_features = 96;
    Generator gen(1);
    TransformerEncoder encoder(gen, config);
    const int64_t d = 96, f = 50, layer = 3 * d * d + 3 * d + d * d + d + 2 * d * f + f + d + 4 * d;
    CHECK(encoder.n_parameters() == (97 + 22 + 1) * d + 2 * d + 3 * layer);
    std::vector<std::string> names;
    for (const NamedVar& p : encoder.parameters()) names.push_back(p.name);
    CHECK(names[0] == "words.weight");
    CHECK(names[5] == "layers.0.attention.qkv.weight");
    CHECK(names.back() == "layers.2.norm2.bias");

    for (const NamedVar& p : encoder.parameters()) {
        INFO(p.name);
        double sum = 0, squares = 0;
        for (const real v : p.var.value.to_vector()) sum += double(v), squares += double(v) * double(v);
        const auto n = double(p.var.value.numel());
        if (p.var.shape().rank == 1) {
            CHECK(sum == (p.name.ends_with("weight") ? n : 0));
            CHECK(squares == sum);
        } else {
            CHECK(std::sqrt(squares / n) == Approx(0.02).epsilon(n > 1000 ? 0.1 : 0.3));
        }
    }
    Generator same(1), other(2);
    TransformerEncoder twin(same, config), stranger(other, config);
    CHECK(is_same(twin.state(), encoder.state()));
    CHECK_FALSE(is_same(stranger.state(), encoder.state()));
    // All layers differ from one another.
    CHECK_FALSE(is_same(encoder.layers[0]->linear1.weight.value, encoder.layers[1]->linear1.weight.value));
}

TEST_CASE("SkipInit leaves out the first values, and nothing else", "[nn][init]") {
    const EncoderConfig config;  // roberta-base: 125 million numbers
    Generator gen(1);
    const auto begin = std::chrono::steady_clock::now();
    {
        const SkipInit guard;
        TransformerEncoder encoder(gen, config);
        CHECK(encoder.n_parameters() == 124055040);
        CHECK(encoder.norm.weight.value.at({0}) == 1);
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (!pool().poisons) CHECK(seconds < 0.2);  // measured: 1 ms; drawing them takes 5 s
    pool().trim();

    // Guards nest; the last one that ends brings the numbers back.
    const auto first_value = [] {
        Generator fresh(1);
        return Linear(fresh, 3, 2).weight.value.at({0, 0});
    };
    const real drawn = first_value();
    {
        const SkipInit outer;
        { const SkipInit inner; }
        pool().poisons = true;  // memory of undefined contents can be told by its NaN
        CHECK(std::isnan(first_value()));
        Generator fresh(1);
        CHECK(std::isnan(Embedding(fresh, 3, 2).weight.value.at({0, 0})));
        CHECK(std::isnan(kaiming_normal({2, 2}, 2, {}).at({0, 0})));
    }
    CHECK(first_value() == drawn);
#if !defined(__SANITIZE_ADDRESS__)
    pool().poisons = false;
#endif
}

TEST_CASE("a text's states do not depend on the texts beside it", "[nn][transformer]") {
    TinyEncoder encoder;
    const Tensor together = states(encoder, some_texts());
    int64_t row = 0;
    for (const auto& text : some_texts()) {
        const auto end = row + int64_t(text.size());
        CHECK(worst_difference(states(encoder, {text}), together.slice(0, row, end)) <= kTolerance);
        row = end;
    }
    // Empty texts, and no texts at all, have no rows.
    CHECK(is_same(states(encoder, {{}, some_texts()[0], {}}), states(encoder, {some_texts()[0]})));
    CHECK(states(encoder, {}).shape == Shape{0, 36});
    CHECK(states(encoder, {{}, {}}).shape == Shape{0, 36});
    const NoGrad no_grad;
    CHECK(encoder.hidden_states(PackedTokens::from({})).size() == 4);
}

TEST_CASE("an encoder without layers is its embeddings", "[nn][transformer]") {
    EncoderConfig config = tiny_config("bert");
    config.n_layers = 0;
    TinyEncoder encoder(config);
    const Tensor x = states(encoder, {{4, 4}});
    const Var sum = slice(encoder.words.weight, 0, 4, 5) + slice(encoder.types.weight, 0, 0, 1) +
                    slice(encoder.positions.weight, 0, 0, 2);
    CHECK(worst_difference(x, layer_norm(sum, encoder.norm.weight, encoder.norm.bias, encoder.norm.eps).value) <=
          kTolerance);
}

TEST_CASE("vectors of many texts are those of each text alone, for any threads and passes",
          "[nn][transformer][determinism][threads]") {
    TinyEncoder encoder;
    std::vector<std::vector<int32_t>> texts;
    for (int i = 0; i < 60; i++) texts.push_back(some_texts()[size_t(i * i % 5)]);
    const int n_threads = omp_get_max_threads();
    for (const Pooling pooling : {Pooling::mean, Pooling::cls}) {
        std::vector<Tensor> alone;
        for (const auto& text : some_texts()) alone.push_back(encode_texts(encoder, {text}, pooling));
        for (const int64_t budget : {int64_t(1), int64_t(30), int64_t(128), int64_t(100000)}) {
            INFO(budget << " tokens a pass");
            omp_set_num_threads(1);
            const Tensor vectors = encode_texts(encoder, texts, pooling, budget);
            REQUIRE(vectors.shape == Shape{60, 36});
            for (int64_t i = 0; i < 60; i++)
                CHECK(worst_difference(vectors.slice(0, i, i + 1), alone[size_t(i * i % 5)]) <= kTolerance);
            for (const int n : {2, 3, 7}) {
                omp_set_num_threads(n);
                CHECK(is_same(encode_texts(encoder, texts, pooling, budget), vectors));
            }
        }
    }
    omp_set_num_threads(n_threads);
    CHECK(encode_texts(encoder, {}, Pooling::mean).shape == Shape{0, 36});
    // Nobody's gradients are recorded, and nobody else's are switched off.
    CHECK_FALSE(NoGrad::is_active());
}

TEST_CASE("a GPU encodes texts as the CPU does, and answers when it is asked", "[nn][transformer][cuda]") {
    NEED_GPU();
    TinyEncoder here, there;
    there.to(Device::cuda);
    const Tensor expected = encode_texts(here, some_texts(), Pooling::mean, 16);
    const int64_t waits = cuda_waits();
    const Tensor vectors = encode_texts(there, some_texts(), Pooling::mean, 16);
    CHECK(cuda_waits() == waits);
    CHECK(vectors.device() == Device::cuda);
    CHECK(worst_difference(vectors, expected) <= kTolerance);
    there.to(Device::cpu);
    CHECK(is_same(there.state(), here.state()));
}

TEST_CASE("dropout drops the same on a GPU", "[nn][transformer][cuda]") {
    NEED_GPU();
    EncoderConfig config = tiny_config("bert");
    config.layer.p_dropout = config.layer.p_attention_dropout = real(0.3);
    TinyEncoder here(config), there(config);
    here.train();
    there.train();
    there.to(Device::cuda);
    for (int step = 0; step < 2; step++) {
        const NoGrad no_grad;
        const Tensor x = here(PackedTokens::from(some_texts())).value,
                     y = there(PackedTokens::from(some_texts(), Device::cuda)).value;
        CHECK(worst_difference(x, y) <= 10 * kTolerance);
    }
}

TEST_CASE("a batch of texts after the first allocates nothing", "[nn][transformer][training]") {
    EncoderConfig config = tiny_config("roberta");
    config.n_layers = 12;
    TinyEncoder encoder(config);
    std::vector<std::vector<int32_t>> texts;
    for (int i = 0; i < 200; i++) texts.push_back(some_texts()[size_t(i % 5)]);
    const int n_threads = omp_get_max_threads();
    omp_set_num_threads(1);  // with more, how many buffers are in use at a time depends on who is faster
    encode_texts(encoder, texts, Pooling::mean, 128);
    const int64_t misses = pool().misses, before = pool().bytes_in_use;
    pool().bytes_peak = before;
    encode_texts(encoder, texts, Pooling::mean, 128);
    CHECK(pool().misses == misses);
    // Nothing of a layer outlives it, and of 1700 tokens some 128 are at work: 300 numbers each, and a block of scores.
    CHECK(double(pool().bytes_peak - before) / sizeof(real) < 2 * 128 * 300 + 70000);
    omp_set_num_threads(n_threads);
}

TEST_CASE("texts are pooled by their mean or by their first token", "[nn][transformer]") {
    const Var x(wave({5, 3}, 0.4));
    const std::vector<int64_t> starts{0, 2, 5};
    const Tensor cls = pool_texts(x, starts, Pooling::cls).value, average = pool_texts(x, starts, Pooling::mean).value;
    CHECK(is_same(cls, concat({slice(x, 0, 0, 1), slice(x, 0, 2, 3)}, 0).value));
    CHECK(worst_difference(average.slice(0, 0, 1), mean(slice(x, 0, 0, 2), {0}, true).value) <= kTolerance);
    CHECK(worst_difference(average.slice(0, 1, 2), mean(slice(x, 0, 2, 5), {0}, true).value) <= kTolerance);
    for (const Pooling pooling : {Pooling::mean, Pooling::cls}) {
        CHECK(pool_texts(Var(Tensor::zeros({0, 3})), {0}, pooling).shape() == Shape{0, 3});
        CHECK_ERROR(pool_texts(x, {0, 2, 2, 5}, pooling), ValueError, "pool_texts: text 1 is empty");
        CHECK_ERROR(pool_texts(x, {0, 4}, pooling), ValueError, "pool_texts: starts ends with 4; want");
        CHECK_ERROR(pool_texts(Var(Tensor::zeros({5})), {0, 5}, pooling), ShapeError, "pool_texts: x [5]; want [T, D]");
    }
}

TEST_CASE("dropout drops the same for a seed, and other things each time", "[nn][transformer][determinism]") {
    EncoderConfig config = tiny_config("roberta");
    config.layer.p_dropout = config.layer.p_attention_dropout = real(0.3);
    const PackedTokens tokens = PackedTokens::from(some_texts());
    const auto run = [&](int n) {
        TinyEncoder encoder(config);
        encoder.train();
        std::vector<Tensor> results;
        for (int i = 0; i < n; i++) results.push_back(encoder(tokens).value);
        return results;
    };
    const auto once = run(2), again = run(2);
    CHECK(is_same(once[0], again[0]));
    CHECK(is_same(once[1], again[1]));
    CHECK(worst_difference(once[0], once[1]) > 0.01);

    // Each of the four kinds of dropout changes something by itself.
    TinyEncoder encoder(config);
    const Tensor without = encoder(tokens).value;
    for (Module* part :
         {static_cast<Module*>(&encoder.dropout), static_cast<Module*>(&encoder.layers[1]->dropout1),
          static_cast<Module*>(&encoder.layers[1]->dropout2), static_cast<Module*>(&encoder.layers[1]->attention)}) {
        part->train();
        CHECK(worst_difference(encoder(tokens).value, without) > 1e-3);
        part->eval();
    }
    CHECK(is_same(encoder(tokens).value, without));
    // What must survive a restart: a counter for each.
    CHECK(encoder.counters().size() == 1 + 3 * 3);
    CHECK(encoder.counters().at("layers.1.attention.dropout.n_calls") == 1);
}

TEST_CASE("texts that are longer than the encoder's positions are named", "[nn][transformer][J7]") {
    TinyEncoder encoder, bert(tiny_config("bert"));
    const std::vector<int32_t> longest(20, 5), longer(21, 5);
    CHECK_OK(states(encoder, {longest}).shape == Shape{20, 36});
    CHECK_ERROR(states(encoder, {{5}, longer}), ValueError,
                "text 1 has 21 tokens; want at most 20, special tokens included");
    CHECK_ERROR(states(bert, {longer}), ValueError, "text 0 has 21 tokens; want at most 20");
    CHECK(EncoderConfig{}.max_tokens() == 512);
    // The number is that of the text among all texts, whatever pass it is in.
    std::vector<std::vector<int32_t>> texts(100, longest);
    texts[70] = longer;
    CHECK_ERROR(encode_texts(encoder, texts, Pooling::mean, 128), ValueError, "text 70 has 21 tokens");
}

TEST_CASE("ids out of range are named", "[nn][transformer][M6]") {
    TinyEncoder encoder;
    const auto run = [&](const std::vector<std::vector<int32_t>>& texts) { states(encoder, texts); };
    CHECK_ERROR(run({{5}, {6, 97}}), ValueError, "text 1, token 1: id 97 is outside [0, 97)");
    CHECK_ERROR(run({{-1}}), ValueError, "text 0, token 0: id -1 is outside [0, 97)");
    PackedTokens tokens = PackedTokens::from(some_texts());
    tokens.starts[1] = 9;
    CHECK_ERROR(encoder(tokens), ValueError, "TransformerEncoder: starts[2] is 8 behind 9");

    // The number is that of the text among all texts, whatever pass it is in.
    std::vector<std::vector<int32_t>> texts(100, std::vector<int32_t>(20, 5));
    texts[70][3] = 97;
    CHECK_ERROR(encode_texts(encoder, texts, Pooling::mean, 128), ValueError, "text 70, token 3: id 97 is outside");
    texts[70] = {};
    CHECK_ERROR(encode_texts(encoder, texts, Pooling::mean, 128), ValueError, "text 70 is empty");
    CHECK_ERROR(encode_texts(encoder, {}, Pooling::mean, 0), ValueError, "0 tokens a pass; want 1 or more");
    encoder.train();
    CHECK_ERROR(encode_texts(encoder, {}, Pooling::mean), ValueError, "the encoder is in training mode");
}

TEST_CASE("sizes that make no encoder are named", "[nn][transformer]") {
    const auto make = [](auto change) {
        EncoderConfig config = tiny_config("roberta");
        change(config);
        TinyEncoder encoder(config);
    };
    CHECK_ERROR(make([](EncoderConfig& c) { c.layer.n_heads = 5; }), ValueError,
                "MultiheadAttention: 36 features in 5 heads; want a multiple");
    CHECK_ERROR(make([](EncoderConfig& c) { c.layer.n_heads = 0; }), ValueError, "36 features in 0 heads");
    CHECK_ERROR(make([](EncoderConfig& c) { c.n_positions = 2; }), ValueError, "the number of positions is 2; want");
    CHECK_ERROR(make([](EncoderConfig& c) { c.pad_id = 97; }), ValueError, "the id of padding is 97; want");
    CHECK_ERROR(make([](EncoderConfig& c) { c.pad_id = -1; }), ValueError, "the id of padding is -1; want");
    CHECK_ERROR(make([](EncoderConfig& c) { c.n_layers = -1; }), ValueError, "the number of layers is -1; want");
    CHECK_ERROR(make([](EncoderConfig& c) { c.vocab_size = 0; }), ValueError, "want");
    CHECK_ERROR(make([](EncoderConfig& c) { c.layer.n_features = 0; }), ValueError, "number of features");
    CHECK_ERROR(make([](EncoderConfig& c) { c.layer.n_hidden = 0; }), ValueError, "Linear: the number of outputs is 0");
    CHECK_ERROR(make([](EncoderConfig& c) { c.n_types = 0; }), ValueError, "Embedding: the number of rows is 0");
    CHECK_ERROR(make([](EncoderConfig& c) { c.layer.p_dropout = 1; }), ValueError, "Dropout: p is 1");
}

TEST_CASE("an encoder learns whether one token stands before another", "[nn][transformer]") {
    // A bag of words cannot tell: every text has both tokens, and the answer is where they stand.
    EncoderConfig config{"bert", 12, 2, 16, 1, 0, {.n_features = 24, .n_heads = 3, .n_hidden = 48}};
    config.layer.p_dropout = config.layer.p_attention_dropout = 0;
    Generator gen(3);
    TransformerEncoder encoder(gen, config);
    Linear head(gen, 24, 2);
    Adam adam({encoder, head}, {.lr = 3e-3});
    const Random rng{8, 0};
    uint64_t at = 0;
    const auto batch = [&](int n, std::vector<std::vector<int32_t>>& texts, std::vector<int32_t>& labels) {
        texts.clear(), labels.clear();
        for (int i = 0; i < n; i++) {
            std::vector<int32_t> text;
            const uint32_t length = 4 + rng.below(at++, 9);
            for (uint32_t k = 0; k < length; k++) text.push_back(int32_t(3 + rng.below(at++, 9)));
            const uint32_t a = rng.below(at++, length), b = (a + 1 + rng.below(at++, length - 1)) % length;
            text[a] = 1, text[b] = 2;
            texts.push_back(text);
            labels.push_back(a < b);
        }
    };
    std::vector<std::vector<int32_t>> texts;
    std::vector<int32_t> labels;
    const auto logits = [&] {
        const PackedTokens tokens = PackedTokens::from(texts);
        return head(pool_texts(encoder(tokens), tokens.starts, Pooling::mean));
    };
    double first = 0;
    for (int step = 0; step < 400; step++) {
        batch(32, texts, labels);
        adam.zero_grad();
        const Var loss = cross_entropy(logits(), Indices(labels));
        if (step == 0) first = double(loss.item());
        backward(loss);
        adam.step();
    }
    CHECK(first == Approx(std::log(2.0)).epsilon(0.1));
    batch(300, texts, labels);
    const std::vector<int32_t> answers = argmax(logits().value).to_vector();
    int n_right = 0;
    for (size_t i = 0; i < answers.size(); i++) n_right += answers[i] == labels[i];
    CHECK(n_right >= 285);
}
