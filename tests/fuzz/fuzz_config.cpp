// Fuzz target: the config.json of a published encoder. The input is the file.
// A DataError is the right answer to a damaged one. Every other exception, and whatever the sanitizers see, is a
// finding. What is accepted must be an encoder that can be: its numbers in range, and no product of two too large.
#include "nn/pretrained.h"
#include "tests/fuzz/fuzz_file.h"

using namespace koine;
using namespace koine::testing;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    try {
        const Json json = parse_json(text_of({data, size}), "config.json");
        const EncoderConfig c = encoder_config(JsonObject(json, "config.json"));
        must(c.vocab_size >= 1 && c.n_layers >= 1 && c.n_layers <= 1000 && c.n_positions >= 1 && c.n_types >= 1);
        must(c.pad_id >= 0 && c.pad_id < c.vocab_size && c.max_tokens() >= 1 && c.max_tokens() <= c.n_positions);
        must(c.layer.n_heads >= 1 && c.layer.n_features % c.layer.n_heads == 0 && c.layer.n_hidden >= 1);
        int64_t product = 0;
        must(!__builtin_mul_overflow(std::max({c.vocab_size, c.n_positions, c.n_types, c.layer.n_hidden}),
                                     4 * c.layer.n_features, &product));
        must(c.layer.eps >= 0 && c.layer.eps < 1 && c.layer.p_dropout >= 0 && c.layer.p_attention_dropout >= 0);
    } catch (const DataError&) {
    }
    return 0;
}
