// A tiny BERT and a tiny RoBERTa against those of transformers; the numbers are made by
// tests/golden/make_transformer_golden.py.
#include "nn/encode_texts.h"
#include "nn/optim.h"
#include "tests/devices.h"
#include "tests/golden/check_step.h"
#include "tests/golden/transformer.h"

using namespace koine;
using namespace koine::testing;

namespace {

std::vector<std::vector<int32_t>> golden_texts(const std::string& model_type) {
    auto texts = formula_texts({7, 1, 11, 5}, 0, 97);
    if (model_type == "roberta") texts[2][4] = 1;  // padding that is written out in a text
    return texts;
}

double worst_difference(const std::vector<real>& ours, const std::vector<double>& expected) {
    REQUIRE(ours.size() == expected.size());
    double worst = 0;
    for (size_t i = 0; i < ours.size(); i++) worst = std::max(worst, std::abs(double(ours[i]) - expected[i]));
    return worst;
}

}  // namespace

TEST_CASE("hidden states, loss and gradients are those of transformers", "[golden][nn][transformer][cuda][A18]") {
    const Device device = EACH_DEVICE();
    for (const std::string model_type : {"bert", "roberta"}) {
        INFO(model_type << " on " << name_of(device));
        const auto expected = golden("transformer.json")[model_type];
        FormulaTextClassifier model(tiny_config(model_type), 3);
        model.to(device);
        const auto texts = golden_texts(model_type);
        const PackedTokens tokens = PackedTokens::from(texts, device);

        // In training mode, whose dropouts have probability 0.
        const FlatParameters parameters(model);
        const Var loss = cross_entropy(model(tokens), Indices(std::vector<int32_t>{0, 2, 1, 2}, Shape{4}, device));
        backward(loss);
        CHECK(double(loss.item()) == Approx(double(expected["loss"])).epsilon(kTolerance));
        check_grad_norms(parameters, expected["grad_norms"]);
        const double rounding = (kIsDouble ? 1e-14 : 1e-6) * grad_norm(parameters);
        for (const NamedVar& p : parameters.vars) {
            INFO("gradient of " << p.name);
            const std::vector<double> some = expected["grad_entries"][p.name];
            const std::vector<real> all = p.var.grad().to_vector();
            const size_t step = std::max<size_t>(1, all.size() / 5);
            REQUIRE(some.size() == (all.size() + step - 1) / step);
            const double norm = expected["grad_norms"][p.name];
            for (size_t i = 0; i < some.size(); i++)
                CHECK(std::abs(double(all[i * step]) - some[i]) <= kTolerance * norm + rounding);
        }

        model.eval();
        const NoGrad no_grad;
        const std::vector<Var> states = model.encoder.hidden_states(tokens);
        REQUIRE(states.size() == expected["hidden_states"].size());
        for (size_t l = 0; l < states.size(); l++) {
            INFO("layer " << l);
            CHECK(worst_difference(states[l].value.to_vector(), expected["hidden_states"][l]) <= kTolerance);
        }
        if (model_type == "bert") {
            const Tensor pooled = model.pooled(states.back(), tokens.starts).value;
            CHECK(worst_difference(pooled.to_vector(), expected["pooled"]) <= kTolerance);
        }

        // The first tokens' states, from passes of a few tokens each.
        const Tensor vectors = encode_texts(model.encoder, texts, Pooling::cls, 8);
        const std::vector<double> last = expected["hidden_states"].back();
        std::vector<double> firsts;
        for (size_t n = 0; n < texts.size(); n++) {
            const auto row = last.begin() + tokens.starts[n] * 36;
            firsts.insert(firsts.end(), row, row + 36);
        }
        CHECK(worst_difference(vectors.to_vector(), firsts) <= kTolerance);
    }
}
