// The encoder of BERT and RoBERTa, and the layers that it is made of: attention, feed-forward, embeddings.
//
// A batch is ragged: the tokens of all texts lie behind one another in one table [T, D], and `starts` says where each
// text begins. There is no padding anywhere, so no token is computed in vain and nothing needs a mask. Every layer but
// attention sees rows only; attention is one op (autograd/ops.h) over the rows of each text.
//
// First values are BERT's: weights and embeddings N(0, 0.02^2), biases 0. For weights from a file, see SkipInit.
//
// Reading order: layers.h, this file top to bottom, then transformer.cpp; many texts: encode_texts.h; from files:
// pretrained.h.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "nn/layers.h"

namespace koine {

/// Tokens of N texts, packed: text i is ids[starts[i] .. starts[i + 1]).
struct PackedTokens {
    Indices ids;                  ///< [T]
    std::vector<int64_t> starts;  ///< [N + 1], from 0 to T, rising; a text may be empty

    int64_t n_texts() const { return int64_t(starts.size()) - 1; }
    /// Packs texts.
    static PackedTokens from(const std::vector<std::vector<int32_t>>& texts, Device device = Device::cpu);
};

/// y = softmax(q k^T / sqrt(D / n_heads)) v per text and head, then a linear layer. Vaswani et al. 2017, arXiv
/// 1706.03762, sec. 3.2. q, k and v come from one product: the rows of qkv.weight [3D, D] are query, key, value.
struct MultiheadAttention : Module {
    /// Throws ValueError unless n_features is a multiple of n_heads >= 1.
    MultiheadAttention(Generator& gen, int64_t n_features, int64_t n_heads_, real p_dropout = 0);
    /// x[T, D] -> [T, D].
    Var operator()(const Var& x, const std::vector<int64_t>& starts);
    void visit(Visitor& v) override;

    Linear qkv, out;
    int64_t n_heads;
    Dropout dropout;  ///< of attention weights
};

struct TransformerOptions {
    int64_t n_features = 768, n_heads = 12, n_hidden = 3072;
    Activation act = Activation::gelu;
    real eps = real(1e-12);
    real p_dropout = real(0.1);            ///< of each block's output
    real p_attention_dropout = real(0.1);  ///< of attention weights
};

/// x = norm1(x + attention(x)); x = norm2(x + linear2(act(linear1(x)))): normalisation after the sum, as in BERT.
/// = nn.TransformerEncoderLayer(norm_first=False), but for a dropout between act and linear2, which BERT has not.
struct TransformerEncoderLayer : Module {
    TransformerEncoderLayer(Generator& gen, const TransformerOptions& options);
    /// x[T, D] -> [T, D].
    Var operator()(const Var& x, const std::vector<int64_t>& starts);
    void visit(Visitor& v) override;

    MultiheadAttention attention;
    LayerNorm norm1;
    Linear linear1, linear2;
    LayerNorm norm2;
    Dropout dropout1, dropout2;
};

/// The numbers in a config.json that the forward pass depends on.
struct EncoderConfig {
    std::string model_type = "roberta";  ///< roberta, camembert, xlm-roberta or bert
    int64_t vocab_size = 50265;
    int64_t n_layers = 12;
    int64_t n_positions = 514;  ///< max_position_embeddings
    int64_t n_types = 1;        ///< type_vocab_size
    int32_t pad_id = 1;
    TransformerOptions layer;

    /// Where a text's first position lies: pad_id + 1 for RoBERTa's kind (fairseq's convention), 0 for BERT.
    int64_t first_position() const { return model_type == "bert" ? 0 : int64_t(pad_id) + 1; }
    /// The longest text, special tokens included: 512 for both kinds' base models.
    int64_t max_tokens() const { return n_positions - first_position(); }
};

/// word + position + type embeddings, LayerNorm, dropout; then the layers. All tokens are of type 0: single texts, no
/// pairs. Devlin et al. 2019, arXiv 1810.04805; Liu et al. 2019, arXiv 1907.11692.
struct TransformerEncoder : Module {
    /// Throws ValueError for sizes that make no encoder.
    TransformerEncoder(Generator& gen, const EncoderConfig& config_);
    /// The last hidden states [T, D].
    Var operator()(const PackedTokens& tokens);
    /// The hidden states [T, D] after the embeddings and after each layer: n_layers + 1 of them.
    std::vector<Var> hidden_states(const PackedTokens& tokens);
    /// Throws ValueError, naming text and token, for an id outside the vocabulary or a text longer than
    /// config.max_tokens(). The two above do so, too.
    void check(const PackedTokens& tokens) const;
    void visit(Visitor& v) override;

    EncoderConfig config;
    Embedding words, positions, types;
    LayerNorm norm;
    Dropout dropout;
    std::vector<std::unique_ptr<TransformerEncoderLayer>> layers;
    std::unique_ptr<Linear> pooler;  ///< BERT's tanh layer on the first token; null unless the file has one

private:
    Var embed(const PackedTokens& tokens);
};

enum class Pooling { mean, cls };
/// One vector a text: the mean of its tokens' states, or the first token's. x[T, D] -> [N, D]. ValueError for an empty
/// text. BERT's pooler is (*encoder.pooler)(pool_texts(x, starts, Pooling::cls)).
Var pool_texts(const Var& x, const std::vector<int64_t>& starts, Pooling pooling);

}  // namespace koine
