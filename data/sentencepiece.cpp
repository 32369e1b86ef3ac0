// A tokenizer from a SentencePiece model: its tokens and ids, the way back to text; see sentencepiece.h.
#include "data/sentencepiece.h"

#include "data/json.h"
#include "data/sentencepiece_parts.h"
#include "data/utf8.h"
#include "tensor/error.h"

namespace koine {
namespace {

/// The tokens that an encoder has besides the model's pieces, and how those are numbered.
struct Layout {
    std::vector<std::string> first;  // tokens 0, 1, ...
    int64_t offset = 0;              // piece i > 0 is token i + offset, piece 0 the token "<unk>"
    bool has_mask = false;           // the last token
};

Layout layout_of(SentencePieceIds ids) {
    switch (ids) {
        case SentencePieceIds::plain: return {};
        case SentencePieceIds::xlm_roberta: return {{"<s>", "<pad>", "</s>", "<unk>"}, 1, true};
        case SentencePieceIds::camembert:
            return {{"<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED"}, 4, true};
    }
    throw ValueError("no such layout of ids");
}

/// fairseq numbers the pieces anew, and takes for granted what the model begins with.
void check_fairseq(const SentencePieceModel& model, const std::string& file) {
    const char* begins[] = {"<unk>", "<s>", "</s>"};
    for (size_t i = 0; i < 3; i++) {
        const PieceKind kind = i == 0 ? PieceKind::unknown : PieceKind::control;
        if (i < model.pieces.size() && model.pieces[i].text == begins[i] && model.pieces[i].kind == kind) continue;
        throw DataError("VALUE", file, "piece " + std::to_string(i),
                        (i < model.pieces.size() ? "is " + shown(model.pieces[i].text) : "is missing") +
                            ", but the ids of this encoder are for models that begin with <unk>, <s>, </s>");
    }
}

SentencePieceTokens make_tokens(const SentencePieceModel& model, const Layout& layout, const std::string& file) {
    SentencePieceTokens tokens;
    std::vector<std::pair<std::string, int64_t>> entries;
    std::unordered_map<std::string_view, int64_t> special;
    for (size_t i = 0; i < layout.first.size(); i++) special.emplace(layout.first[i], i);
    if (layout.has_mask) special.emplace("<mask>", int64_t(model.pieces.size()) + layout.offset);
    for (const auto& [token, id] : special) entries.emplace_back(token, id);
    for (size_t i = 0; i < model.pieces.size(); i++) {
        // A piece that has the name of an added token is that token.
        const auto found = special.find(model.pieces[i].text);
        const int64_t id = found != special.end() ? found->second : int64_t(i) + layout.offset;
        if (found == special.end()) entries.emplace_back(model.pieces[i].text, id);
        tokens.id_of_piece.push_back(int32_t(id));
    }
    tokens.vocabulary = Vocabulary(std::move(entries), file);
    return tokens;
}

/// Appends the bytes as UTF-8, U+FFFD for each that is not part of any, and forgets them.
void flush_bytes(std::string& bytes, std::string& text) {
    for (size_t i = 0; i < bytes.size();) {
        const size_t n = utf8_length(std::string_view(bytes).substr(i));
        n > 0 ? text.append(bytes, i, n) : text.append("\ufffd");
        i += std::max<size_t>(n, 1);
    }
    bytes.clear();
}

}  // namespace

SentencePieceDecoder::SentencePieceDecoder(const SentencePieceModel& model, const std::vector<std::string>& hidden)
    : unk_surface(model.unk_surface), adds_space(model.adds_space), removes_spaces(model.removes_spaces) {
    for (const SentencePiece& piece : model.pieces) {
        if (piece.kind == PieceKind::control) kinds.emplace(piece.text, Kind::hidden);
        if (piece.kind == PieceKind::unknown) kinds.emplace(piece.text, Kind::unknown);
        if (piece.kind == PieceKind::byte) kinds.emplace(piece.text, Kind::byte);
    }
    for (const std::string& token : hidden) kinds.emplace(token, Kind::hidden);  // "<unk>" keeps its kind
}

std::string SentencePieceDecoder::decode(const std::vector<std::string>& tokens) const {
    constexpr std::string_view kSpace = "\u2581";
    std::string text, bytes;
    bool may_drop_space = adds_space || removes_spaces, has_dropped = false;
    for (const std::string& token : tokens) {
        const auto found = kinds.find(token);
        if (found != kinds.end() && found->second == Kind::byte) {
            bytes += char(std::stoi(token.substr(3, 2), nullptr, 16));
            continue;
        }
        flush_bytes(bytes, text);
        if (has_dropped || !text.empty()) may_drop_space = false;
        has_dropped = false;
        if (found != kinds.end()) {
            if (found->second == Kind::unknown) text += unk_surface;
            continue;
        }
        std::string_view rest = token;
        if (may_drop_space && rest.starts_with(kSpace)) {
            rest.remove_prefix(kSpace.size());
            has_dropped = !removes_spaces;  // if the normaliser kept no other space at the front, neither does this
        }
        for (size_t at; (at = rest.find(kSpace)) != std::string_view::npos; rest.remove_prefix(at + kSpace.size())) {
            text.append(rest.substr(0, at)).append(" ");
        }
        text += rest;
    }
    flush_bytes(bytes, text);
    return text;
}

TokenizerParts read_sentencepiece(const std::filesystem::path& path, SentencePieceIds ids) {
    const SentencePieceModel model = read_sentencepiece_model(path);
    const std::string file = path.string();
    const Layout layout = layout_of(ids);
    const bool is_plain = ids == SentencePieceIds::plain;
    if (!is_plain) check_fairseq(model, file);

    TokenizerParts parts;
    parts.normalizers.push_back(std::make_unique<SentencePieceNormalizer>(model));
    parts.model = make_sentencepiece_encoder(model, make_tokens(model, layout, file));
    std::vector<std::string> hidden = layout.first;
    if (layout.has_mask) hidden.push_back("<mask>");
    parts.decoder = std::make_unique<SentencePieceDecoder>(model, hidden);
    if (!is_plain) {
        parts.around = {{*parts.model->id_of("<s>")}, {*parts.model->id_of("</s>")}};
        parts.pad_id = parts.model->id_of("<pad>");
    } else {
        for (size_t i = 0; i < model.pieces.size(); i++) {
            const bool is_pad = model.pieces[i].kind == PieceKind::control && model.pieces[i].text == model.pad;
            if (is_pad) parts.pad_id = int32_t(i);
        }
    }
    const bool is_bpe = model.algorithm == SentencePieceModel::Algorithm::bpe;
    parts.description = std::string("SentencePiece ") + (is_bpe ? "BPE" : "Unigram") + ", " +
                        std::to_string(parts.model->n_ids()) + " tokens (" + path.filename().string() + ")";
    return parts;
}

}  // namespace koine
