// Encoders of texts: roberta-base run over a batch, and a training step of a small one. The models are those of
// peer.py.
#include <memory>

#include "nn/encode_texts.h"
#include "nn/optim.h"
#include "tests/bench/bench.h"
#include "tests/golden/transformer.h"

namespace koine::bench {
namespace {

constexpr int64_t kTexts = 128, kTextsOfStep = 64;

EncoderConfig base_config() {
    EncoderConfig config;
    config.layer.eps = real(1e-5);
    return config;
}

EncoderConfig small_config(double p_dropout) {
    EncoderConfig config;
    config.vocab_size = 5000, config.n_layers = 4, config.n_positions = 130;
    config.layer = {.n_features = 256,
                    .n_heads = 4,
                    .n_hidden = 1024,
                    .eps = real(1e-5),
                    .p_dropout = real(p_dropout),
                    .p_attention_dropout = real(p_dropout)};
    return config;
}

std::vector<std::vector<int32_t>> messages(int64_t n, const EncoderConfig& config) {
    return testing::formula_texts(testing::message_lengths(n), 5, int32_t(config.vocab_size));
}

// Billions of multiplications and additions of one pass: the products with weights, and those of attention.
double pass_gflop(const std::vector<std::vector<int32_t>>& texts, const EncoderConfig& config) {
    const int64_t d = config.layer.n_features, per_token = 4 * d * d + 2 * d * config.layer.n_hidden;
    int64_t n = 0;
    for (const auto& text : texts) {
        const auto length = int64_t(text.size());
        n += length * per_token + 2 * length * length * d;
    }
    return 2e-9 * double(n * config.n_layers);
}

double n_tokens(const std::vector<std::vector<int32_t>>& texts) {
    double n = 0;
    for (const auto& text : texts) n += double(text.size());
    return n;
}

// The vectors of some texts; the result is their mean square.
Step encoder_pass(const EncoderConfig& config, int64_t n_texts) {
    const auto model = [&] {
        const SkipInit guard;  // the formula has the weights
        return std::make_shared<testing::FormulaTextClassifier>(config, 2);
    }();
    model->eval();
    model->to(device());
    return [model, texts = messages(n_texts, config)] {
        const Tensor vectors = encode_texts(model->encoder, texts, Pooling::mean);
        const NoGrad no_grad;
        return double(mean(Var(vectors) * Var(vectors)).item());
    };
}

Step encoder_step(double p_dropout) {
    const auto model = std::make_shared<testing::FormulaTextClassifier>(small_config(p_dropout), 2);
    model->to(device());
    const auto adam = std::make_shared<Adam>(*model, AdamOptions{});
    std::vector<int32_t> labels;
    for (int32_t n = 0; n < kTextsOfStep; n++) labels.push_back(n % 2);
    return [=, tokens = PackedTokens::from(messages(kTextsOfStep, model->encoder.config), device()),
            labels = Indices(labels, Shape{kTextsOfStep}, device())] {
        adam->zero_grad();
        const Var loss = cross_entropy((*model)(tokens), labels);
        backward(loss);
        adam->step();
        return double(loss.item());
    };
}

// How many buffers of a size are in use at a time depends on which threads work on passes of that size together.
Workload pass_workload(const std::string& name, const EncoderConfig& config, int64_t n_texts) {
    Workload workload{.name = name, .group = name};
    workload.make = [=] { return encoder_pass(config, n_texts); };
    workload.n_steps = 3, workload.n_warm_up = 1;
    workload.facts = [=] {
        const auto texts = messages(n_texts, config);
        return std::vector<Value>{{"gflop", pass_gflop(texts, config)}, {"tokens", n_tokens(texts)}};
    };
    workload.may_allocate = true;
    return workload;
}

}  // namespace

std::vector<Workload> encoder_workloads() {
    Workload pass = pass_workload("encoder", base_config(), kTexts);
    pass.check = [] { return losses(encoder_pass(base_config(), kTexts), 1); };

    Workload step{.name = "encoder-step", .group = "encoder-step"};
    step.make = [] { return encoder_step(0.1); };
    step.facts = [] {
        const EncoderConfig config = small_config(0.1);
        const auto texts = messages(kTextsOfStep, config);
        return std::vector<Value>{{"gflop", 3 * pass_gflop(texts, config)}, {"tokens", n_tokens(texts)}};
    };
    step.check = [] { return losses(encoder_step(0), 5); };
    return {pass, step};
}

std::vector<Workload> token_scaling_workloads() {
    std::vector<Workload> all;
    for (const int64_t n_texts : {8, 16, 32, 64, 128, 256, 512}) {
        all.push_back(pass_workload("scaling-tokens-" + std::to_string(n_texts), small_config(0), n_texts));
        all.back().group = "scaling", all.back().is_default = false;
    }
    return all;
}

}  // namespace koine::bench
