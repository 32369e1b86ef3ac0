// The encoder of BERT and RoBERTa; see transformer.h.
#include "nn/transformer.h"

#include "autograd/kernels.h"

namespace koine {
namespace {

// The standard deviation of first values: Devlin et al. 2019; initializer_range in a config.json.
constexpr double kDeviation = 0.02;

Linear bert_linear(Generator& gen, int64_t n_in, int64_t n_out, Activation act = Activation::none) {
    const auto undefined = [&] {
        const SkipInit guard;
        return Linear(gen, n_in, n_out, act);
    };
    Linear layer = undefined();
    layer.weight = Var::parameter(normal_values({n_out, n_in}, kDeviation, gen.next()));
    layer.bias = Var::parameter(Tensor::zeros({n_out}));
    return layer;
}

std::string text_name(size_t n) { return "TransformerEncoder: text " + std::to_string(n); }

// The row of the table of positions for each token.
std::vector<int32_t> position_ids(const EncoderConfig& config, const PackedTokens& tokens) {
    const std::vector<int32_t> ids = tokens.ids.to_vector();
    std::vector<int32_t> positions(ids.size());
    for (size_t n = 0; n + 1 < tokens.starts.size(); n++) {
        auto next = int32_t(config.first_position());
        for (auto i = size_t(tokens.starts[n]); i < size_t(tokens.starts[n + 1]); i++) {
            // RoBERTa counts tokens, and a padding token that is written out in a text is none.
            const bool is_counted = config.model_type == "bert" || ids[i] != config.pad_id;
            positions[i] = is_counted ? next++ : config.pad_id;
        }
    }
    return positions;
}

const EncoderConfig& checked(const EncoderConfig& config) {
    const auto require = [](bool is_good, const std::string& what, int64_t n, const std::string& want) {
        if (!is_good) throw ValueError("TransformerEncoder: " + what + " is " + std::to_string(n) + "; want " + want);
    };
    require(config.n_layers >= 0, "the number of layers", config.n_layers, "0 or more");
    require(config.pad_id >= 0 && config.pad_id < config.vocab_size, "the id of padding", config.pad_id,
            "it in the vocabulary of " + std::to_string(config.vocab_size));
    require(config.max_tokens() >= 1, "the number of positions", config.n_positions,
            "more than " + std::to_string(config.first_position()));
    return config;
}

}  // namespace

PackedTokens PackedTokens::from(const std::vector<std::vector<int32_t>>& texts, Device device) {
    std::vector<int32_t> ids;
    std::vector<int64_t> starts{0};
    for (const std::vector<int32_t>& text : texts) {
        ids.insert(ids.end(), text.begin(), text.end());
        starts.push_back(int64_t(ids.size()));
    }
    return {Indices(ids, Shape{int64_t(ids.size())}, device), std::move(starts)};
}

// ---- layers ------------------------------------------------------------------------------------------------------------

MultiheadAttention::MultiheadAttention(Generator& gen, int64_t n_features, int64_t n_heads_, real p_dropout)
    : qkv(bert_linear(gen, n_features, 3 * n_features)),
      out(bert_linear(gen, n_features, n_features)),
      n_heads(n_heads_),
      dropout(gen, p_dropout) {
    if (n_heads < 1 || n_features % n_heads != 0) {
        throw ValueError("MultiheadAttention: " + std::to_string(n_features) + " features in " +
                         std::to_string(n_heads) + " heads; want a multiple of one head or more");
    }
}

Var MultiheadAttention::operator()(const Var& x, const std::vector<int64_t>& starts) {
    const Random rng = training ? dropout.next() : dropout.rng;
    return out(attention(qkv(x), starts, n_heads, dropout.p, training, rng));
}

void MultiheadAttention::visit(Visitor& v) {
    v("qkv", qkv);
    v("out", out);
    v("dropout", dropout);
}

TransformerEncoderLayer::TransformerEncoderLayer(Generator& gen, const TransformerOptions& options)
    : attention(gen, options.n_features, options.n_heads, options.p_attention_dropout),
      norm1(options.n_features, options.eps),
      linear1(bert_linear(gen, options.n_features, options.n_hidden, options.act)),
      linear2(bert_linear(gen, options.n_hidden, options.n_features)),
      norm2(options.n_features, options.eps),
      dropout1(gen, options.p_dropout),
      dropout2(gen, options.p_dropout) {}

Var TransformerEncoderLayer::operator()(const Var& x, const std::vector<int64_t>& starts) {
    const Var y = add_layer_norm(dropout1(attention(x, starts)), x, norm1.weight, norm1.bias, norm1.eps);
    return add_layer_norm(dropout2(linear2(linear1(y))), y, norm2.weight, norm2.bias, norm2.eps);
}

void TransformerEncoderLayer::visit(Visitor& v) {
    v("attention", attention);
    v("norm1", norm1);
    v("linear1", linear1);
    v("linear2", linear2);
    v("norm2", norm2);
    v("dropout1", dropout1);
    v("dropout2", dropout2);
}

// ---- the encoder -------------------------------------------------------------------------------------------------------

TransformerEncoder::TransformerEncoder(Generator& gen, const EncoderConfig& config_)
    : config(checked(config_)),
      words(gen, config.vocab_size, config.layer.n_features, kDeviation),
      positions(gen, config.n_positions, config.layer.n_features, kDeviation),
      types(gen, config.n_types, config.layer.n_features, kDeviation),
      norm(config.layer.n_features, config.layer.eps),
      dropout(gen, config.layer.p_dropout) {
    for (int64_t l = 0; l < config.n_layers; l++)
        layers.push_back(std::make_unique<TransformerEncoderLayer>(gen, config.layer));
}

void TransformerEncoder::check(const PackedTokens& tokens) const {
    require_starts("TransformerEncoder", tokens.starts, tokens.ids.numel());
    const std::vector<int32_t> ids = tokens.ids.to_vector();
    for (size_t n = 0; n + 1 < tokens.starts.size(); n++) {
        const int64_t begin = tokens.starts[n], length = tokens.starts[n + 1] - begin;
        if (length > config.max_tokens()) {
            throw ValueError(text_name(n) + " has " + std::to_string(length) + " tokens; want at most " +
                             std::to_string(config.max_tokens()) + ", special tokens included");
        }
        for (int64_t i = 0; i < length; i++) {
            const int32_t id = ids[size_t(begin + i)];
            if (id < 0 || id >= config.vocab_size) {
                throw ValueError(text_name(n) + ", token " + std::to_string(i) + ": id " + std::to_string(id) +
                                 " is outside [0, " + std::to_string(config.vocab_size) + ")");
            }
        }
    }
}

Var TransformerEncoder::embed(const PackedTokens& tokens) {
    check(tokens);
    const Indices places(position_ids(config, tokens), tokens.ids.shape, tokens.ids.device());
    const Var typed = words(tokens.ids) + slice(types.weight, 0, 0, 1);
    return dropout(add_layer_norm(typed, positions(places), norm.weight, norm.bias, norm.eps));
}

Var TransformerEncoder::operator()(const PackedTokens& tokens) {
    Var x = embed(tokens);
    for (const auto& layer : layers) x = (*layer)(x, tokens.starts);
    return x;
}

std::vector<Var> TransformerEncoder::hidden_states(const PackedTokens& tokens) {
    std::vector<Var> states{embed(tokens)};
    for (const auto& layer : layers) states.push_back((*layer)(states.back(), tokens.starts));
    return states;
}

void TransformerEncoder::visit(Visitor& v) {
    v("words", words);
    v("positions", positions);
    v("types", types);
    v("norm", norm);
    v("dropout", dropout);
    for (size_t l = 0; l < layers.size(); l++) v("layers." + std::to_string(l), *layers[l]);
    if (pooler) v("pooler", *pooler);
}

Var pool_texts(const Var& x, const std::vector<int64_t>& starts, Pooling pooling) {
    if (x.shape().rank != 2) throw ShapeError("pool_texts: x " + x.shape().str() + "; want [T, D]");
    require_starts("pool_texts", starts, x.shape()[0]);
    for (size_t n = 0; n + 1 < starts.size(); n++) {
        if (starts[n + 1] == starts[n]) throw ValueError("pool_texts: text " + std::to_string(n) + " is empty");
    }
    if (pooling == Pooling::mean) return segment_mean(x, starts);
    return index_select(x, Indices(std::vector<int32_t>(starts.begin(), starts.end() - 1),
                                   Shape{int64_t(starts.size()) - 1}, x.device()));
}

}  // namespace koine
