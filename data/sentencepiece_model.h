// What a SentencePiece `.model` holds: a message of Protocol Buffers, whose fields are those of google/sentencepiece,
// src/sentencepiece_model.proto. Only what encoding and decoding need is kept.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/charsmap.h"

namespace koine {

/// The numbers are those of the file.
enum class PieceKind { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

struct SentencePiece {
    std::string text;
    float score = 0;  ///< the logarithm of its probability; for BPE minus the number of its merge
    PieceKind kind = PieceKind::normal;
};

struct SentencePieceModel {
    enum class Algorithm { unigram = 1, bpe = 2 };

    Algorithm algorithm = Algorithm::unigram;
    std::vector<SentencePiece> pieces;
    size_t unk = 0;                        ///< which piece stands for unknown characters
    bool byte_fallback = false;            ///< they become bytes, "<0x00>" to "<0xFF>", instead; all are there
    std::string unk_surface = " \u2047 ";  ///< how the unknown piece is decoded
    std::string pad = "<pad>";             ///< the name of the padding piece, if there is one

    // The normaliser. "▁" (U+2581) is what spaces become.
    CharsMap rules;
    bool adds_space = true;      ///< before the text ("add_dummy_prefix")
    bool space_is_last = false;  ///< behind it ("treat_whitespace_as_suffix")
    bool removes_spaces = true;  ///< at the ends, and all but one within ("remove_extra_whitespaces")
    bool escapes_spaces = true;  ///< "escape_whitespaces"
};

/// Reads and checks a file, or its bytes; the errors are those of read_sentencepiece (sentencepiece.h).
SentencePieceModel read_sentencepiece_model(const std::filesystem::path& path);
SentencePieceModel parse_sentencepiece_model(std::span<const uint8_t> bytes, const std::string& file);

/// The pieces of these kinds, with their numbers. The model must outlive the views.
std::vector<std::pair<std::string_view, int32_t>> pieces_of_kinds(const SentencePieceModel& model,
                                                                  std::initializer_list<PieceKind> kinds);

/// "<0x0A>"
std::string byte_piece(uint8_t byte);

}  // namespace koine
