// Reading a SentencePiece model; see sentencepiece_model.h.
#include "data/sentencepiece_model.h"

#include <algorithm>
#include <bitset>
#include <cmath>
#include <unordered_set>

#include "data/protobuf.h"
#include "data/tokenizer_unigram.h"
#include "data/strangers.h"
#include "data/text_hash.h"
#include "data/utf8.h"

namespace koine {
namespace {

/// The largest real model, of 250000 pieces, has 5 MB.
constexpr uint64_t kMaxModelBytes = 256 << 20;

SentencePiece read_piece(ProtoReader message, const ProtoReader& parent, size_t index) {
    SentencePiece piece;
    bool has_score = false;
    int64_t kind = int64_t(piece.kind);
    while (message.next()) {
        switch (message.number()) {
            case 1: piece.text = message.text("piece"); break;
            case 2: piece.score = message.number32("score"), has_score = true; break;
            case 3: kind = message.whole("type"); break;
            default: break;
        }
    }
    const auto fail = [&](const char* error, const std::string& problem) {
        parent.fail(error, "piece " + std::to_string(index) + " " + problem);
    };
    if (piece.text.empty()) fail("VALUE", "is empty");
    if (piece.text.size() > kMaxPieceBytes) {
        fail("LIMIT", "has " + std::to_string(piece.text.size()) + " bytes, at most " + std::to_string(kMaxPieceBytes) +
                          " are expected");
    }
    if (utf8_valid_prefix(piece.text) != piece.text.size()) fail("UTF8", "is not UTF-8");
    if (piece.text.find('\0') != std::string::npos) fail("VALUE", "holds a NUL");
    if (kind < int64_t(PieceKind::normal) || kind > int64_t(PieceKind::byte)) {
        fail("VALUE", "('" + piece.text + "') has type " + std::to_string(kind) + ", expected 1 to 6");
    }
    piece.kind = PieceKind(kind);
    if (!has_score && piece.kind == PieceKind::normal) fail("VALUE", "('" + piece.text + "') has no score");
    if (!std::isfinite(piece.score)) {
        fail("VALUE",
             "('" + piece.text + "') has the score " + std::to_string(piece.score) + ", expected a finite one");
    }
    return piece;
}

void read_trainer(ProtoReader message, SentencePieceModel& model) {
    while (message.next()) {
        switch (message.number()) {
            case 3: {
                const int64_t type = message.whole("model_type");
                if (type == 3 || type == 4) {
                    message.fail("DTYPE", std::string("is a model of ") + (type == 3 ? "words" : "characters") +
                                              ", expected Unigram (1) or BPE (2)");
                }
                if (type != 1 && type != 2) {
                    message.fail("DTYPE",
                                 "model_type is " + std::to_string(type) + ", expected 1 (Unigram) or 2 (BPE)");
                }
                model.algorithm = SentencePieceModel::Algorithm(type);
                break;
            }
            case 24: model.space_is_last = message.flag("treat_whitespace_as_suffix"); break;
            case 35: model.byte_fallback = message.flag("byte_fallback"); break;
            case 44:
                model.unk_surface = message.text("unk_surface");
                if (utf8_valid_prefix(model.unk_surface) != model.unk_surface.size()) {
                    message.fail("UTF8", "unk_surface is not UTF-8");
                }
                break;
            case 48:
                if (!message.text("pad_piece").empty()) model.pad = message.text("pad_piece");
                break;
            default: break;
        }
    }
}

void read_normalizer(ProtoReader message, const std::string& file, SentencePieceModel& model) {
    while (message.next()) {
        switch (message.number()) {
            case 2: {
                const auto table = message.bytes("precompiled_charsmap");
                if (!table.empty()) model.rules = CharsMap(table, file, message.bytes_offset());
                break;
            }
            case 3: model.adds_space = message.flag("add_dummy_prefix"); break;
            case 4: model.removes_spaces = message.flag("remove_extra_whitespaces"); break;
            case 5: model.escapes_spaces = message.flag("escape_whitespaces"); break;
            default: break;
        }
    }
}

/// What one piece alone cannot show: exactly one is unknown, none comes twice, bytes are all there or none is.
void check_pieces(SentencePieceModel& model, const std::string& file) {
    const auto fail = [&](const char* kind, const std::string& problem) { throw DataError(kind, file, "", problem); };
    if (model.pieces.empty()) fail("MISSING", "holds no pieces; is it a SentencePiece model?");
    size_t n_unknown = 0;
    std::unordered_set<std::string_view, TextHash> seen(2 * model.pieces.size());
    std::bitset<256> bytes;
    for (size_t i = 0; i < model.pieces.size(); i++) {
        const SentencePiece& piece = model.pieces[i];
        const auto refuse = [&](const char* kind, const std::string& problem) {
            fail(kind, "piece " + std::to_string(i) + " ('" + piece.text + "') " + problem);
        };
        if (!seen.insert(piece.text).second) refuse("DUP", "occurs twice");
        if (piece.kind == PieceKind::unknown) {
            if (n_unknown++ > 0) refuse("VALUE", "is the second of type unknown, expected one");
            model.unk = i;
        }
        if (piece.kind != PieceKind::byte) continue;
        if (!model.byte_fallback) refuse("VALUE", "is a byte, but the model states no byte_fallback");
        size_t byte = 0;
        while (byte < 256 && byte_piece(uint8_t(byte)) != piece.text) byte++;
        if (byte == 256) refuse("VALUE", "is of type byte, expected a name from <0x00> to <0xFF>");
        bytes.set(byte);
    }
    if (n_unknown == 0) fail("VALUE", "no piece is of type unknown, expected one");
    if (model.byte_fallback && !bytes.all()) {
        fail("VALUE", "the model states byte_fallback, but has only " + std::to_string(bytes.count()) +
                          " of the 256 pieces of type byte");
    }
}

}  // namespace

std::vector<std::pair<std::string_view, int32_t>> pieces_of_kinds(const SentencePieceModel& model,
                                                                  std::initializer_list<PieceKind> kinds) {
    std::vector<std::pair<std::string_view, int32_t>> pieces;
    for (size_t i = 0; i < model.pieces.size(); i++) {
        const SentencePiece& piece = model.pieces[i];
        const bool is_wanted = std::find(kinds.begin(), kinds.end(), piece.kind) != kinds.end();
        if (is_wanted) pieces.emplace_back(piece.text, int32_t(i));
    }
    return pieces;
}

std::string byte_piece(uint8_t byte) {
    constexpr char kDigits[] = "0123456789ABCDEF";
    return {'<', '0', 'x', kDigits[byte >> 4], kDigits[byte & 15], '>'};
}

SentencePieceModel read_sentencepiece_model(const std::filesystem::path& path) {
    return parse_sentencepiece_model(read_file(path.string(), kMaxModelBytes), path.string());
}

SentencePieceModel parse_sentencepiece_model(std::span<const uint8_t> bytes, const std::string& file) {
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    refuse_strangers(text, file, "a SentencePiece model");
    if (text.starts_with("{")) throw DataError("MAGIC", file, "byte 0", "is JSON, expected a SentencePiece model");
    SentencePieceModel model;
    ProtoReader message(bytes, file);
    while (message.next()) {
        switch (message.number()) {
            case 1: model.pieces.push_back(read_piece(message.message("pieces"), message, model.pieces.size())); break;
            case 2: read_trainer(message.message("trainer_spec"), model); break;
            case 3: read_normalizer(message.message("normalizer_spec"), file, model); break;
            default: break;  // 4 is a self-test, 5 a normaliser for decoded texts, which no published encoder has
        }
    }
    check_pieces(model, file);
    return model;
}

}  // namespace koine
