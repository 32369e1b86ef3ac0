// The chain of a tokenizer's parts; see tokenizer.h. Tokenizer::load: tokenizer_files.cpp.
#include "data/tokenizer.h"

#include <algorithm>
#include <unordered_map>

#include "data/added_tokens.h"
#include "data/text_hash.h"
#include "data/tokenizer_parts.h"
#include "data/unicode.h"
#include "tensor/error.h"

namespace koine {

/// The parts, and what follows from them.
struct Tokenizer::Engine {
    explicit Engine(TokenizerParts parts_);

    std::vector<std::string> spellings(bool is_normalized) const;
    void append(const SourcedText& text, Span span, const AddedToken& token, Encoding& out) const;
    void encode_text(SourcedText text, bool is_first, size_t& n_left, Encoding& out) const;
    void encode_words(SourcedText text, bool is_first, Encoding& out) const;

    TokenizerParts parts;
    int64_t n_ids = 0;
    std::unordered_map<int32_t, const AddedToken*> added_by_id;
    std::unordered_map<std::string_view, const AddedToken*, TextHash> added_by_content;
    AddedTokenFinder in_original, in_normalized;
};

Tokenizer::Engine::Engine(TokenizerParts parts_)
    : parts(std::move(parts_)),
      in_original(parts.added, spellings(false)),
      in_normalized(parts.added, spellings(true)) {
    if (!parts.model) throw ValueError("Tokenizer: the parts have no model");
    n_ids = parts.model->n_ids();
    for (const AddedToken& token : parts.added) {
        if (token.content.empty() || token.id < 0) {
            throw ValueError("Tokenizer: added token '" + token.content + "' with the id " + std::to_string(token.id) +
                             ", expected some text and an id of 0 or more");
        }
        n_ids = std::max(n_ids, int64_t(token.id) + 1);
        added_by_id.emplace(token.id, &token);
        added_by_content.emplace(token.content, &token);
    }
}

// How the added tokens look where they are searched: as they are, or normalised as the text is.
std::vector<std::string> Tokenizer::Engine::spellings(bool is_normalized) const {
    std::vector<std::string> out;
    for (const AddedToken& token : parts.added) {
        SourcedText text(token.is_normalized == is_normalized ? token.content : "");
        for (const auto& normalizer : parts.normalizers) {
            if (is_normalized && text.size() > 0) normalizer->apply(text);
        }
        out.push_back(text.text());
    }
    return out;
}

bool is_space(char32_t c) { return c == ' '; }

// A part of a text without what `is_trimmed` says at its ends. One that is nothing else stands behind it.
Span trimmed(std::string_view text, Span span, bool (*is_trimmed)(char32_t)) {
    while (span.begin < span.end && is_trimmed(code_point_at(text, span.begin).value)) {
        span.begin += code_point_at(text, span.begin).n_bytes;
    }
    while (span.begin < span.end && is_trimmed(code_point_before(text, span.end).value)) {
        span.end -= code_point_before(text, span.end).n_bytes;
    }
    return span;
}

void Tokenizer::Engine::append(const SourcedText& text, Span span, const AddedToken& token, Encoding& out) const {
    if (parts.trims_offsets) span = trimmed(text.text(), span, is_white_space);
    out.ids.push_back(token.id);
    out.offsets.push_back(text.source(span.begin, span.end));
}

// A text without tokens that are written out in the original. `is_first`: it begins where the input begins. `n_left`:
// how many bytes may be left of the normalised input.
void Tokenizer::Engine::encode_text(SourcedText text, bool is_first, size_t& n_left, Encoding& out) const {
    text.set_limit(n_left);
    for (const auto& normalizer : parts.normalizers) normalizer->apply(text);
    n_left -= std::min(n_left, text.size());
    out.n_truncated += text.was_cut();
    text.set_limit(SIZE_MAX);
    const auto cut = in_normalized.cut(text.text());
    if (cut.size() == 1 && !cut[0].token) return encode_words(std::move(text), is_first, out);
    for (const auto& [span, token] : cut) {
        if (token) {
            append(text, span, *token, out);
        } else {
            SourcedText::Builder part(text);
            part.keep(span.begin, span.end);
            encode_words(std::move(part).finish(), is_first && span.begin == 0, out);
        }
    }
}

// A normalised text without any tokens that are written out.
void Tokenizer::Engine::encode_words(SourcedText text, bool is_first, Encoding& out) const {
    const size_t n_bytes = text.size();
    Words words{std::move(text), {{0, n_bytes}}};
    for (const auto& part : parts.pre_tokenizers) part->split(words, is_first);
    std::vector<Piece> pieces;
    for (const Span& word : words.spans) {
        pieces.clear();
        parts.model->encode(std::string_view(words.text.text()).substr(word.begin, word.end - word.begin), pieces);
        for (const Piece& piece : pieces) {
            Span span{word.begin + piece.begin, word.begin + piece.end};
            if (parts.trims_offsets) span = trimmed(words.text.text(), span, is_space);
            out.ids.push_back(piece.id);
            out.offsets.push_back(words.text.source(span.begin, span.end));
        }
    }
}

Tokenizer::Tokenizer(TokenizerParts parts) : engine(std::make_shared<const Engine>(std::move(parts))) {}

Encoding Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
    const TokenizerParts& parts = engine->parts;
    const Template around = options.add_special ? parts.around : Template();
    const int64_t n_special = int64_t(around.before.size() + around.after.size());
    if (options.max_tokens < 0 || (options.max_tokens > 0 && options.max_tokens < n_special)) {
        throw ValueError("Tokenizer::encode: max_tokens is " + std::to_string(options.max_tokens) +
                         ", expected 0 for no limit, or at least the " + std::to_string(n_special) + " special tokens");
    }

    Encoding out;
    out.ids = around.before;
    out.offsets.resize(out.ids.size());
    SourcedText whole(text);
    if (!parts.model->takes_bytes()) repair_utf8(whole);
    // Steps come from files, and some together make a text a thousand times as long. Those of real tokenizers make it
    // no more than 13 times as long: NFKC's longest, 18 characters for one, with their spaces written as "▁".
    size_t n_left = 16 * whole.size() + 65'536;
    const auto cut = engine->in_original.cut(whole.text());
    for (const auto& [span, token] : cut) {
        if (token) {
            engine->append(whole, span, *token, out);  // NOLINT(bugprone-use-after-move): only the last is moved
        } else if (cut.size() == 1) {
            engine->encode_text(std::move(whole), true, n_left, out);
        } else {
            SourcedText::Builder part(whole);
            part.keep(span.begin, span.end);
            engine->encode_text(std::move(part).finish(), span.begin == 0, n_left, out);
        }
    }

    if (options.max_tokens > 0) {
        const int64_t n_more = int64_t(out.ids.size() + around.after.size()) - options.max_tokens;
        out.ids.resize(out.ids.size() - size_t(std::max<int64_t>(0, n_more)));
        out.n_truncated += std::max<int64_t>(0, n_more);
    }
    out.is_special.assign(around.before.size(), 1);
    out.is_special.resize(out.ids.size(), 0);
    out.ids.insert(out.ids.end(), around.after.begin(), around.after.end());
    out.is_special.resize(out.ids.size(), 1);
    out.offsets.resize(out.ids.size() - around.after.size());  // those of the tokens that were cut off go
    out.offsets.resize(out.ids.size());
    return out;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
    std::vector<std::string> tokens;
    for (const int32_t id : ids) {
        const auto added = engine->added_by_id.find(id);
        if (skip_special && added != engine->added_by_id.end() && added->second->is_special) continue;
        tokens.push_back(token_of(id));
        if (tokens.back().empty()) tokens.pop_back();  // an id without a token
    }
    if (engine->parts.decoder) return engine->parts.decoder->decode(tokens);
    std::string text;
    for (size_t i = 0; i < tokens.size(); i++) text += (i > 0 ? " " : "") + tokens[i];
    return text;
}

int64_t Tokenizer::n_ids() const { return engine->n_ids; }

std::optional<int32_t> Tokenizer::id_of(std::string_view token) const {
    const auto added = engine->added_by_content.find(token);
    return added != engine->added_by_content.end() ? added->second->id : engine->parts.model->id_of(token);
}

std::string Tokenizer::token_of(int32_t id) const {
    if (id < 0 || id >= n_ids()) {
        throw ValueError("Tokenizer: the id " + std::to_string(id) + " is outside the vocabulary of " +
                         std::to_string(n_ids()) + " ids");
    }
    const auto added = engine->added_by_id.find(id);
    return added != engine->added_by_id.end() ? added->second->content : engine->parts.model->token_of(id);
}

std::optional<int32_t> Tokenizer::pad_id() const { return engine->parts.pad_id; }
int64_t Tokenizer::max_tokens() const { return engine->parts.max_tokens; }
const std::string& Tokenizer::description() const { return engine->parts.description; }
const std::vector<std::string>& Tokenizer::warnings() const { return engine->parts.warnings; }

}  // namespace koine
