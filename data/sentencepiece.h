// SentencePiece: a tokenizer in one file, its `.model`, which holds the pieces, their scores, and a normaliser.
// Kudo & Richardson 2018, arXiv 1808.06226. The pieces are those of XLM-RoBERTa, CamemBERT and UmBERTo (Unigram), or of
// Llama's kind (BPE).
//
// Encoding and decoding follow the sentencepiece library, piece for piece: special tokens written out in the text
// ("</s>") are not found in it, control pieces cannot be typed; user-defined symbols are. The same models, as
// tokenizer.json files, are read by tokenizer_json.cpp and follow the library that wrote those (see
// tokenizer_unigram.h).
//
//   protobuf.h             the container: fields of a message
//   sentencepiece_model.h  what a .model holds
//   charsmap.h             the table of its normaliser
//   double_array.h         pieces by their bytes
//   tokenizer_unigram.h    the most probable pieces
//   sentencepiece_parts.h  normaliser, models, decoder; sentencepiece.cpp puts them together
#pragma once
#include <filesystem>

#include "data/tokenizer_parts.h"

namespace koine {

/// Which ids the pieces 0 .. n - 1 of the model have in the encoder.
enum class SentencePieceIds {
    plain,        ///< their own; nothing is put around the text
    xlm_roberta,  ///< 0 <s>, 1 <pad>, 2 </s>, 3 <unk>, piece i from the third on: i + 1; <mask> is n + 1
    camembert,  ///< 0 <s>NOTUSED, 1 <pad>, 2 </s>NOTUSED, 3 <unk>, 4 <unk>NOTUSED, piece i > 0: i + 4; <mask> is n + 4
};

/// The parts of a tokenizer that reads a .model file. With `plain` ids the template is empty: who knows what the
/// encoder wants around its texts, sets it (`id_of` of the model knows "<s>"). Otherwise it is <s> ... </s>, as in
/// fairseq (xlm_roberta: ids 0 and 2; camembert: 5 and 6). `pad_id` is the model's own with `plain` ids, if it has one,
/// else 1. Throws DataError: IO, LIMIT, TRUNC, OVERFLOW, SYNTAX for the file; MAGIC for what is no such file but known
/// (a Git LFS pointer, HTML, JSON); MISSING without pieces; DTYPE for models of words or characters; VALUE, DUP, UTF8
/// for pieces, scores and types that do not fit together or do not fit the ids; OFFSET for the normaliser's table.
TokenizerParts read_sentencepiece(const std::filesystem::path& model, SentencePieceIds ids);

}  // namespace koine
