// tokenizer.json, the one file in which Hugging Face's tokenizers library keeps a whole tokenizer
// (github.com/huggingface/tokenizers). Each of its sections becomes a few of our parts:
//
//   truncation, padding   checked; how long an input may be, the caller decides
//   added_tokens          tokens that are found in the text first
//   normalizer            a step or a Sequence of them
//   pre_tokenizer         the same
//   model                 BPE, WordPiece or Unigram, with its vocabulary
//   post_processor        which ids stand around a text
//   decoder               the way back
//
// A type of step that is not read here is refused by its name: without it, the ids would be wrong and nobody would
// know.
#pragma once
#include <filesystem>

#include "data/tokenizer_parts.h"

namespace koine {

/// The tokenizer of a tokenizer.json, or of the folder that holds one. tokenizer_config.json, when it is beside it,
/// adds the longest input (model_max_length) and the padding token. Throws DataError: what parse_json throws, MISSING
/// for a section or field that must be there, VALUE for what cannot be right or is not known here, DUP for tokens and
/// ids that come twice, LIMIT for steps that would make texts explode, and what the parts themselves refuse.
TokenizerParts read_tokenizer_json(const std::filesystem::path& folder_or_file);

}  // namespace koine
