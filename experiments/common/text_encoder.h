// A published encoder as a function from texts to vectors: a folder's tokenizer and weights, pooling, and a cache on
// disk of what was computed before. The models themselves are nn/transformer.h, their files nn/pretrained.h.
#pragma once
#include <string>
#include <vector>

#include "data/locate.h"
#include "data/tokenizer.h"
#include "nn/pretrained.h"

namespace koine {

struct TextEncoderOptions {
    std::string model;  ///< a folder, or a name (data/model_folder.h)
    Pooling pooling = Pooling::mean;
    std::string prefix;      ///< put in front of every text
    int64_t max_tokens = 0;  ///< longest text in tokens, special ones included; 0: what the model takes
    bool cuts_long = true;   ///< false: a longer text is an error
    bool uses_cache = true;
    Device device = Device::cpu;  ///< where texts are encoded; vectors come back to the host
};

/// What encode() has done since the encoder was made.
struct EncoderCounts {
    int64_t n_texts = 0, n_cached = 0;
    int64_t n_tokens = 0;  ///< computed, special ones included
    int64_t n_cut = 0;     ///< texts whose end was cut off, those of the cache included
};

class TextEncoder {
public:
    /// Finds the model and reads its tokenizer, config.json and weights. Throws DataError and CheckpointError as
    /// find_model, Tokenizer::load and load_encoder; UsageError for a max_tokens that the model does not take;
    /// DeviceError.
    TextEncoder(TextEncoderOptions options_, const DataOptions& data);

    int64_t n_features() const { return encoder.model->config.layer.n_features; }
    /// "bert, 6 layers of 384 features, weights 0123456789abcdef; WordPiece, 30522 tokens (vocab.txt)".
    std::string description() const;
    const std::string& folder() const { return where; }
    /// A fingerprint of the weights.
    const std::string& hash() const { return encoder.hash; }
    const EncoderCounts& counts() const { return n; }

    /// One vector a text, [N, D], on the host: from the cache when the tokens of these texts, in this order, went
    /// through these very weights before. Throws DataError(LIMIT) for a text that is too long and must not be cut:
    /// `source` and its number there are in the message, the first text being number `first`.
    Tensor encode(const std::vector<std::string>& texts, const std::string& source = "texts", int64_t first = 1);

private:
    TextEncoderOptions options;
    std::string where, cache_folder;
    Tokenizer tokenizer;
    PretrainedEncoder encoder;
    EncoderCounts n;
};

}  // namespace koine
