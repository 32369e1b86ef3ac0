// The section `model` of a tokenizer.json; see tokenizer_json.h.
#pragma once
#include "data/json.h"
#include "data/tokenizer_parts.h"

namespace koine {

struct JsonModel {
    std::unique_ptr<TokenModel> model;
    const char* kind;  ///< "byte-level BPE", "BPE", "WordPiece", "Unigram"
};

/// Takes the section, an object, for good: a vocabulary is most of the file, and its JSON is gone before the model is
/// built. `is_byte_level`: PreTokenizers::is_byte_level. Throws DataError about `file`: VALUE for a type or a setting
/// that is not known here and for ids, merges and scores that are none; what the models themselves refuse.
JsonModel read_model(Json section, const std::string& file, bool is_byte_level);

}  // namespace koine
