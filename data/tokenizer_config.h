// What stands beside the vocabulary of a tokenizer: tokenizer_config.json, special_tokens_map.json, added_tokens.json,
// and the kind of model in config.json. All of them may be missing; every family has defaults.
#pragma once
#include <filesystem>
#include <map>

#include "data/json.h"
#include "data/tokenizer_parts.h"

namespace koine {

struct TokenizerConfig {
    /// "roberta", "gpt2", "xlmroberta": the class or the kind of model without "Tokenizer", "Fast", "-", in lower case;
    /// "" when no file says it, or only that it is some tokenizer.
    std::string family;
    bool is_class = false;       ///< `family` is a tokenizer's class, not the model's kind
    std::optional<bool> lowers;  ///< do_lower_case
    std::optional<bool> strips_accents;
    bool spaces_chinese = true;  ///< tokenize_chinese_chars
    bool adds_prefix_space = false;
    std::optional<bool> adds_bos, adds_eos;
    int64_t max_tokens = 0;  ///< model_max_length; 0: none
    /// What stands for "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token".
    std::map<std::string, std::string> named;
    /// Tokens about which more is said, and all others. An id of -1: the vocabulary knows it, or a later one of the
    /// list that has the same content.
    std::vector<AddedToken> added;
};

/// The field model_max_length of a tokenizer_config.json; 0 when it is absent or means no limit (1e30). Throws
/// DataError(VALUE) for anything else than a whole number from 0 on.
int64_t model_max_length(const JsonObject& config);

/// Throws DataError: what parse_json throws, VALUE for fields of another kind or out of range.
TokenizerConfig read_tokenizer_config(const std::filesystem::path& folder);

}  // namespace koine
