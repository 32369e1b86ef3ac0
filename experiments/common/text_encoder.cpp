#include "experiments/common/text_encoder.h"

#include <cstdio>
#include <filesystem>

#include "data/fnv.h"
#include "data/model_folder.h"
#include "experiments/common/flags.h"
#include "nn/checkpoint.h"
#include "nn/encode_texts.h"

namespace koine {
namespace {

namespace fs = std::filesystem;

using Ids = std::vector<std::vector<int32_t>>;

// The vectors are a function of the weights, of the pooling and of the tokens: nothing else is in the name of a file.
std::string cache_key(const Ids& ids, Pooling pooling) {
    Fnv1a hash;
    hash.add(pooling == Pooling::mean ? "mean" : "cls");
    for (const auto& text : ids) {
        hash.add(" " + std::to_string(text.size()));
        hash.add({reinterpret_cast<const char*>(text.data()), text.size() * sizeof(int32_t)});
    }
    return hash.hex();
}

// A cache that cannot be read or written costs time, not the result: it is said, and the vectors are computed.
bool read_cached(const fs::path& file, const Shape& shape, Tensor& vectors) {
    if (!fs::exists(file)) return false;
    try {
        const Checkpoint found = load_checkpoint(file);
        if (found.tensors.size() == 1 && found.tensors[0].tensor.shape == shape) {
            vectors = found.tensors[0].tensor;
            return true;
        }
        std::fprintf(stderr, "note: %s holds something else; computed again\n", file.c_str());
    } catch (const Error& error) {
        std::fprintf(stderr, "note: %s; computed again\n", error.what());
    }
    return false;
}

void write_cached(const fs::path& file, const Tensor& vectors) {
    try {
        fs::create_directories(file.parent_path());
        Checkpoint checkpoint;
        checkpoint.tensors.push_back({"vectors", vectors});
        save_checkpoint(file, checkpoint);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "note: not kept in the cache: %s\n", error.what());
    }
}

}  // namespace

TextEncoder::TextEncoder(TextEncoderOptions options_, const DataOptions& data)
    : options(std::move(options_)),
      where(find_model(options.model, data)),
      cache_folder(cache_home().empty() ? "" : cache_home() + "/koine/vectors"),
      tokenizer(Tokenizer::load(where)),
      encoder(load_encoder(where)) {
    const int64_t takes = encoder.model->config.max_tokens(), states = tokenizer.max_tokens();
    const int64_t most = states > 0 ? std::min(takes, states) : takes;
    if (options.max_tokens > most) {
        throw UsageError("--max-tokens: " + where + " takes at most " + std::to_string(most) + " tokens, found " +
                         std::to_string(options.max_tokens));
    }
    if (options.max_tokens == 0) options.max_tokens = most;
    if (tokenizer.n_ids() > encoder.model->config.vocab_size) {
        throw DataError("SHAPE", where, "",
                        "the tokenizer has ids up to " + std::to_string(tokenizer.n_ids() - 1) + ", the model has " +
                            std::to_string(encoder.model->config.vocab_size) +
                            " embeddings: they do not belong together");
    }
    encoder.model->to(options.device);
}

std::string TextEncoder::description() const {
    const EncoderConfig& c = encoder.model->config;
    return c.model_type + ", " + std::to_string(c.n_layers) + " layers of " + std::to_string(c.layer.n_features) +
           " features, weights " + encoder.hash + "; " + tokenizer.description();
}

Tensor TextEncoder::encode(const std::vector<std::string>& texts, const std::string& source, int64_t first) {
    const auto max_tokens = options.max_tokens;
    std::vector<Encoding> encodings(texts.size());
    for_tasks(Device::cpu, int64_t(texts.size()), [&](int64_t i) {
        encodings[size_t(i)] = tokenizer.encode(options.prefix + texts[size_t(i)], {.max_tokens = max_tokens});
    });
    Ids ids;
    ids.reserve(texts.size());
    for (size_t i = 0; i < texts.size(); i++) {
        Encoding& e = encodings[i];
        if (e.n_truncated > 0 && !options.cuts_long) {
            throw DataError("LIMIT", source, "text " + std::to_string(first + int64_t(i)),
                            "has " + std::to_string(int64_t(e.ids.size()) + e.n_truncated) +
                                " tokens, expected at most " + std::to_string(max_tokens));
        }
        n.n_cut += e.n_truncated > 0;
        ids.push_back(std::move(e.ids));
    }
    n.n_texts += int64_t(texts.size());

    const bool uses_cache = options.uses_cache && !cache_folder.empty() && !texts.empty();
    const fs::path file = fs::path(cache_folder) / encoder.hash / (cache_key(ids, options.pooling) + ".safetensors");
    Tensor vectors;
    if (uses_cache && read_cached(file, {int64_t(texts.size()), n_features()}, vectors)) {
        n.n_cached += int64_t(texts.size());
        return vectors;
    }
    for (const auto& text : ids) n.n_tokens += int64_t(text.size());
    const int64_t tokens_per_pass = good_tokens_per_pass(options.device);
    vectors = encode_texts(*encoder.model, ids, options.pooling, tokens_per_pass).to(Device::cpu);
    if (uses_cache) write_cached(file, vectors);
    return vectors;
}

}  // namespace koine
