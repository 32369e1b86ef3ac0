// config.json; see pretrained.h.
#include <algorithm>
#include <array>
#include <utility>

#include "nn/pretrained.h"

namespace koine {
namespace {

// Far above every published encoder, and small enough that no product of two of them overflows.
constexpr int64_t kMaxFeatures = 65'536, kMaxHidden = 1'000'000, kMaxRows = 10'000'000, kMaxLayers = 1'000;

[[noreturn]] void fail_choice(const JsonObject& config, const char* field, const std::string& found,
                              const std::string& known) {
    config.fail("VALUE", field, "is " + Json(found).dump() + "; known here: " + known);
}

std::string model_type(const JsonObject& config) {
    constexpr std::array kKnown = {"roberta", "camembert", "xlm-roberta", "bert"};
    const std::string found = config.text("model_type");
    if (std::find(kKnown.begin(), kKnown.end(), found) == kKnown.end()) {
        fail_choice(config, "model_type", found, "roberta, camembert, xlm-roberta, bert");
    }
    return found;
}

// The names of transformers.
Activation activation(const JsonObject& config) {
    constexpr std::pair<const char*, Activation> kKnown[] = {
        {"gelu", Activation::gelu}, {"gelu_new", Activation::gelu_tanh}, {"gelu_pytorch_tanh", Activation::gelu_tanh},
        {"relu", Activation::relu}, {"silu", Activation::silu},          {"swish", Activation::silu},
    };
    const std::string found = config.text("hidden_act", "gelu");
    std::string known;
    for (const auto& [name, act] : kKnown) {
        if (found == name) return act;
        known += (known.empty() ? "" : ", ") + std::string(name);
    }
    fail_choice(config, "hidden_act", found, known);
}

// A number from `low` to below `high`.
real fraction(const JsonObject& config, const char* field, double low, double high, double otherwise) {
    const double found = config.number(field, otherwise);
    if (!(found >= low && found < high)) {
        config.fail("VALUE", field,
                    "is " + Json(found).dump() + ", expected a number from " + Json(low).dump() + " to below " +
                        Json(high).dump());
    }
    return real(found);
}

// Models that share names and shapes with an encoder and compute something else.
void require_encoder(const JsonObject& config) {
    for (const char* field : {"is_decoder", "add_cross_attention"}) {
        if (config.flag(field, false)) config.fail("VALUE", field, "is true: a decoder, expected an encoder");
    }
    const std::string positions = config.text("position_embedding_type", "absolute");
    if (positions != "absolute") fail_choice(config, "position_embedding_type", positions, "absolute");
}

}  // namespace

// Fields that may be absent have the value that transformers gives them then.
EncoderConfig encoder_config(const JsonObject& config) {
    EncoderConfig c;
    c.model_type = model_type(config);
    require_encoder(config);
    const bool is_bert = c.model_type == "bert";
    c.vocab_size = config.whole("vocab_size", 1, kMaxRows);
    c.n_layers = config.whole("num_hidden_layers", 1, kMaxLayers);
    c.n_positions = config.whole("max_position_embeddings", 1, kMaxRows);
    c.n_types = config.whole("type_vocab_size", 1, kMaxRows, 2);
    c.pad_id = int32_t(config.whole("pad_token_id", 0, c.vocab_size - 1, is_bert ? 0 : 1));
    if (c.pad_id >= c.vocab_size) {  // what stands for an absent field is not in the range either
        config.fail("VALUE", "vocab_size",
                    "is " + std::to_string(c.vocab_size) + ", but pad_token_id, which is absent, is " +
                        std::to_string(c.pad_id) + " then");
    }
    if (c.max_tokens() < 1) {
        config.fail("VALUE", "max_position_embeddings",
                    "is " + std::to_string(c.n_positions) + ", but the first position is " +
                        std::to_string(c.first_position()) + " (pad_token_id + 1): no text fits");
    }

    TransformerOptions& layer = c.layer;
    layer.n_features = config.whole("hidden_size", 1, kMaxFeatures);
    layer.n_heads = config.whole("num_attention_heads", 1, layer.n_features);
    if (layer.n_features % layer.n_heads != 0) {
        config.fail("VALUE", "hidden_size",
                    "is " + std::to_string(layer.n_features) + ", not a multiple of num_attention_heads, " +
                        std::to_string(layer.n_heads));
    }
    layer.n_hidden = config.whole("intermediate_size", 1, kMaxHidden);
    layer.act = activation(config);
    layer.eps = fraction(config, "layer_norm_eps", 0, 1, 1e-12);
    layer.p_dropout = fraction(config, "hidden_dropout_prob", 0, 1, 0.1);
    layer.p_attention_dropout = fraction(config, "attention_probs_dropout_prob", 0, 1, 0.1);
    return c;
}

EncoderConfig read_encoder_config(const std::filesystem::path& file) {
    const Json json = read_json(file, 1 << 20);
    return encoder_config(JsonObject(json, file.string()));
}

}  // namespace koine
