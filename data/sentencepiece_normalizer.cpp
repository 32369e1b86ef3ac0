// SentencePiece's normaliser; see sentencepiece_parts.h.
#include "data/sentencepiece_parts.h"
#include "data/unicode.h"

namespace koine {
namespace {

constexpr std::string_view kSpace = "\u2581";
constexpr std::string_view kBroken = "\ufffd";

}  // namespace

/// What stands for bytes [begin, end) of the text, with spaces as they are.
struct SentencePieceNormalizer::Part {
    size_t begin, end;
    std::string_view out;
    bool is_copy;  // `out` views the text
};

SentencePieceNormalizer::SentencePieceNormalizer(const SentencePieceModel& model)
    : rules(model.rules),
      user_defined(pieces_of_kinds(model, {PieceKind::user_defined})),
      adds_space(model.adds_space),
      space_is_last(model.space_is_last),
      removes_spaces(model.removes_spaces),
      escapes_spaces(model.escapes_spaces) {}

SentencePieceNormalizer::Part SentencePieceNormalizer::next_part(std::string_view text, size_t begin) const {
    const std::string_view rest = text.substr(begin);
    const auto copy = [&](size_t n) { return Part{begin, begin + n, rest.substr(0, n), true}; };
    if (user_defined.empty()) {
        if (const size_t n = rules.plain_prefix(rest, ' ')) return copy(n);
    } else if (const size_t n = user_defined.longest_prefix(rest)) {
        return copy(n);
    }
    if (const CharsMap::Match match = rules.longest(rest); match.length > 0) {
        return {begin, begin + match.length, match.replacement, false};
    }
    const size_t n = utf8_length(rest);
    return n > 0 ? copy(n) : Part{begin, begin + 1, kBroken, false};
}

/// The parts of the new text in order, none of them empty.
std::vector<SentencePieceNormalizer::Part> SentencePieceNormalizer::normal_parts(std::string_view text) const {
    size_t at = 0;
    while (removes_spaces && at < text.size()) {
        const Part part = next_part(text, at);
        if (part.out != " ") break;
        at = part.end;
    }
    if (at == text.size()) return {};  // not even the space that is added

    std::vector<Part> parts;
    if (adds_space && !space_is_last) parts.push_back({at, at, " ", false});
    for (bool is_after_space = removes_spaces; at < text.size();) {
        Part part = next_part(text, at);
        at = part.end;
        if (is_after_space) part.out.remove_prefix(std::min(part.out.find_first_not_of(' '), part.out.size()));
        if (part.out.empty()) continue;
        is_after_space = removes_spaces && part.out.ends_with(' ');
        parts.push_back(part);
    }
    // At the end, a "▁" that somebody typed counts as a space, since spaces have become "▁" by then; and if nothing
    // else is left, the added space goes, too.
    for (size_t n = 1; removes_spaces && !parts.empty() && n > 0;) {
        Part& last = parts.back();
        n = last.out.ends_with(' ') ? 1 : escapes_spaces && last.out.ends_with(kSpace) ? kSpace.size() : 0;
        last.out.remove_suffix(n);
        at = n > 0 ? last.begin : at;
        if (last.out.empty()) parts.pop_back();
    }
    if (adds_space && space_is_last) parts.push_back({at, at, " ", false});
    return parts;
}

void SentencePieceNormalizer::apply(SourcedText& text) const {
    const std::string_view from = text.text();
    SourcedText::Builder out(text);
    size_t kept_begin = 0, kept_end = 0;  // bytes that are kept as they are, together
    const auto keep = [&] {
        if (kept_begin < kept_end) out.keep(kept_begin, kept_end);
        kept_begin = kept_end = 0;
    };
    std::string escaped;
    for (const Part& part : normal_parts(from)) {
        const bool has_spaces = escapes_spaces && part.out.find(' ') != std::string_view::npos;
        if (part.is_copy && !has_spaces) {
            const size_t begin = size_t(part.out.data() - from.data());
            if (begin != kept_end) {
                keep();
                kept_begin = begin;
            }
            kept_end = begin + part.out.size();
            continue;
        }
        keep();
        if (!has_spaces) {
            out.replace(part.begin, part.end, part.out);
            continue;
        }
        escaped.clear();
        for (const char c : part.out) c == ' ' ? escaped += kSpace : escaped += c;
        out.replace(part.begin, part.end, escaped);
    }
    keep();
    text = std::move(out).finish();
}

}  // namespace koine
