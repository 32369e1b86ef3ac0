// The sections of a tokenizer.json that are made of steps; see tokenizer_json.h.
#pragma once
#include <memory>
#include <vector>

#include "data/json.h"
#include "data/tokenizer_parts.h"

namespace koine {

/// Throws DataError(VALUE) for a type that is not among the known ones, which are named.
[[noreturn]] void fail_unknown_type(const JsonObject& step, const char* known);

/// Each takes the object of its section. Throw DataError: VALUE for a type or a value that is not known here, LIMIT for
/// more than 64 steps, and for steps that would make a text thousands of times as long.
struct Normalizers {
    std::vector<std::unique_ptr<Normalizer>> steps;
    uint64_t growth = 1;  ///< they make no text longer than so many times
};
Normalizers read_normalizers(const JsonObject& section);

struct PreTokenizers {
    std::vector<std::unique_ptr<PreTokenizer>> steps;
    bool is_byte_level = false;  ///< the last one turns bytes into printable characters: the model's tokens are bytes
};
PreTokenizers read_pre_tokenizers(const JsonObject& section);

std::unique_ptr<TokenDecoder> read_decoder(const JsonObject& section);

}  // namespace koine
