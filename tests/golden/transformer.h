// Encoders with weights and texts that come from a formula: transformer.py beside this says the same for PyTorch. Used
// by tests/test_golden_transformer.cpp and by tests/bench.
#pragma once
#include "nn/transformer.h"
#include "tests/golden/relative_ae.h"

namespace koine::testing {

inline constexpr uint32_t kTextStream = 3000;

/// Texts of the lengths given, ids in [low, high): the texts' tokens in turn are numbers of kTextStream.
inline std::vector<std::vector<int32_t>> formula_texts(const std::vector<int64_t>& lengths, int32_t low, int32_t high) {
    std::vector<std::vector<int32_t>> texts;
    uint32_t token = 0;
    for (const int64_t length : lengths) {
        texts.emplace_back();
        for (int64_t i = 0; i < length; i++)
            texts.back().push_back(low + int32_t(formula(kTextStream, token++) * (high - low)));
    }
    return texts;
}

/// Lengths of n texts as those of short messages: 6 to 74 tokens, 26 on average, most of them short.
inline std::vector<int64_t> message_lengths(int64_t n) {
    std::vector<int64_t> lengths;
    for (int64_t i = 0; i < n; i++) {
        const double u = formula(kTextStream + 1, uint32_t(i));
        lengths.push_back(6 + int64_t(69 * u * u * std::sqrt(u)));
    }
    return lengths;
}

/// Sizes that are no multiples of anything, so that a row taken for a column shows.
inline EncoderConfig tiny_config(const std::string& model_type) {
    const bool is_bert = model_type == "bert";
    EncoderConfig config{model_type, 97, 3, is_bert ? 20 : 22, is_bert ? 2 : 1, is_bert ? 0 : 1, {}};
    config.layer = {36, 3, 50, is_bert ? Activation::gelu : Activation::gelu_tanh, is_bert ? real(1e-12) : real(1e-5),
                    0,  0};
    return config;
}

/// A classifier of texts: BERT's with its pooler on the first token, RoBERTa's kind with the mean.
struct FormulaTextClassifier : Module {
    FormulaTextClassifier(const EncoderConfig& config, int64_t n_classes)
        : FormulaTextClassifier(config, n_classes, Generator(0)) {}
    FormulaTextClassifier(const EncoderConfig& config, int64_t n_classes, Generator gen)
        : encoder(gen, config), head(gen, config.layer.n_features, n_classes) {
        const int64_t d = config.layer.n_features;
        if (config.model_type == "bert") encoder.pooler = std::make_unique<Linear>(gen, d, d, Activation::tanh);
        fill_by_formula(*this);
    }
    /// [T, D] -> [N, D].
    Var pooled(const Var& states, const std::vector<int64_t>& starts) {
        if (!encoder.pooler) return pool_texts(states, starts, Pooling::mean);
        return (*encoder.pooler)(pool_texts(states, starts, Pooling::cls));
    }
    Var operator()(const PackedTokens& tokens) { return head(pooled(encoder(tokens), tokens.starts)); }
    void visit(Visitor& v) override {
        v("encoder", encoder);
        v("head", head);
    }
    TransformerEncoder encoder;
    Linear head;
};

}  // namespace koine::testing
