// The steps of a tokenizer.json; see tokenizer_steps.h.
#include "data/tokenizer_steps.h"

#include <climits>

namespace koine {

// ---- what Replace and Split look for -----------------------------------------------------------------------------------

namespace {

// Runs of characters of one class: of all the patterns that these files have, no other kind is needed.
struct RunPattern {
    const char* name;
    bool (*holds)(char32_t);
    int at_least, at_most;  // how many characters a match has
};

constexpr int kAnyNumber = INT_MAX;
const RunPattern kRunPatterns[] = {
    // XLM-RoBERTa, CamemBERT, ALBERT, T5: what SentencePiece calls remove_extra_whitespaces
    {" {2,}", [](char32_t c) { return c == ' '; }, 2, kAnyNumber},
    {" +", [](char32_t c) { return c == ' '; }, 1, kAnyNumber},
    {"\\s+", is_white_space, 1, kAnyNumber},
    {"\\s", is_white_space, 1, 1},
    {"[0-9]", [](char32_t c) { return c >= '0' && c <= '9'; }, 1, 1},
    {"\\p{N}", is_number, 1, 1},
};

Span find_run(const RunPattern& pattern, std::string_view text, size_t from) {
    for (size_t at = from, n = 0, begin = from; at < text.size();) {
        const CodePoint c = code_point_at(text, at);
        at += c.n_bytes;
        const bool is_in = pattern.holds(c.value);
        n += is_in;
        const bool is_over = !is_in || n == size_t(pattern.at_most) || at == text.size();
        if (is_over && n >= size_t(pattern.at_least)) return {begin, is_in ? at : at - c.n_bytes};
        if (!is_in) {
            n = 0;
            begin = at;
        }
    }
    return {text.size(), text.size()};
}

// Calls found(match) for each of the matches, from left to right.
template <class F>
void each_match(const FindMatch& find, std::string_view text, F found) {
    for (Span m = find(text, 0); m.begin < m.end; m = find(text, m.end)) found(m);
}

}  // namespace

FindMatch find_text(std::string wanted) {
    return [wanted = std::move(wanted)](std::string_view text, size_t from) -> Span {
        const size_t at = text.find(wanted, from);
        return at == std::string_view::npos ? Span{text.size(), text.size()} : Span{at, at + wanted.size()};
    };
}

std::optional<FindMatch> find_pattern(std::string_view pattern) {
    for (const RunPattern& known : kRunPatterns) {
        if (known.name != pattern) continue;
        return [&known](std::string_view text, size_t from) { return find_run(known, text, from); };
    }
    return std::nullopt;
}

std::string known_patterns() {
    std::string names;
    for (const RunPattern& known : kRunPatterns) {
        names += (names.empty() ? "\"" : ", \"") + std::string(known.name) + "\"";
    }
    return names;
}

// ---- normalizers -------------------------------------------------------------------------------------------------------

void StripAccentsNormalizer::apply(SourcedText& text) const {
    SourcedText::Builder out(text);
    const std::string& all = text.text();
    for (size_t at = 0; at < all.size();) {
        const CodePoint c = code_point_at(all, at);
        if (!is_mark(c.value)) out.keep(at, at + c.n_bytes);
        at += c.n_bytes;
    }
    text = std::move(out).finish();
}

void StripNormalizer::apply(SourcedText& text) const {
    const std::string& all = text.text();
    size_t begin = 0, end = all.size();
    for (; left && begin < end; begin += code_point_at(all, begin).n_bytes) {
        if (!is_white_space(code_point_at(all, begin).value)) break;
    }
    for (; right && begin < end; end -= code_point_before(all, end).n_bytes) {
        if (!is_white_space(code_point_before(all, end).value)) break;
    }
    if (end - begin == all.size()) return;
    SourcedText::Builder out(text);
    out.keep(begin, end);
    text = std::move(out).finish();
}

void NmtNormalizer::apply(SourcedText& text) const {
    const auto is_dropped = [](char32_t c) {
        return (c >= 0x01 && c <= 0x08) || c == 0x0b || (c >= 0x0e && c <= 0x1f) || c == 0x7f || c == 0x8f || c == 0x9f;
    };
    const auto is_space = [](char32_t c) {
        return c == 0x09 || c == 0x0a || c == 0x0c || c == 0x0d || c == 0x1680 || (c >= 0x200b && c <= 0x200f) ||
               c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xfeff || c == 0xfffd;
    };
    SourcedText::Builder out(text);
    const std::string& all = text.text();
    for (size_t at = 0; at < all.size();) {
        const CodePoint c = code_point_at(all, at);
        if (is_space(c.value)) {
            out.replace(at, at + c.n_bytes, " ");
        } else if (!is_dropped(c.value)) {
            out.keep(at, at + c.n_bytes);
        }
        at += c.n_bytes;
    }
    text = std::move(out).finish();
}

void ReplaceNormalizer::apply(SourcedText& text) const {
    SourcedText::Builder out(text);
    const std::string& all = text.text();
    size_t done = 0;
    each_match(find, all, [&](Span match) {
        out.keep(done, match.begin);
        out.replace(match.end - code_point_before(all, match.end).n_bytes, match.end, content);
        done = match.end;
    });
    if (done == 0) return;
    out.keep(done, all.size());
    text = std::move(out).finish();
}

void PrependNormalizer::apply(SourcedText& text) const {
    if (text.size() == 0) return;
    SourcedText::Builder out(text);
    out.replace(0, code_point_at(text.text(), 0).n_bytes, prefix);
    out.keep(0, text.size());
    text = std::move(out).finish();
}

// ---- pre-tokenizers ----------------------------------------------------------------------------------------------------

void FindSplit::split(Words& words, bool) const {
    if (!keeps_matches) return split_words(words, find, behavior);
    std::vector<Span> matches;
    for (const Span word : words.spans) {
        const std::string_view text = std::string_view(words.text.text()).substr(word.begin, word.end - word.begin);
        each_match(find, text, [&](Span m) { matches.push_back({word.begin + m.begin, word.begin + m.end}); });
    }
    words.spans = std::move(matches);
}

void MetaspaceSplit::split(Words& words, bool is_first) const {
    SourcedText::Builder out(words.text);
    const std::string& all = words.text.text();
    std::vector<Span> spans;
    size_t size = 0;
    for (const Span word : words.spans) {
        const std::string_view text = std::string_view(all).substr(word.begin, word.end - word.begin);
        const size_t begin = size;
        const bool is_wanted = prepend == Prepend::always || (prepend == Prepend::first && is_first && word.begin == 0);
        if (is_wanted && !text.starts_with(' ') && !text.starts_with(replacement)) {
            out.replace(word.begin, word.begin + code_point_at(all, word.begin).n_bytes, replacement);
            size += replacement.size();
        }
        size_t done = word.begin;
        for (size_t at = word.begin; at < word.end; at++) {
            if (all[at] != ' ') continue;
            out.keep(done, at);
            out.replace(at, at + 1, replacement);
            size += at - done + replacement.size();
            done = at + 1;
        }
        out.keep(done, word.end);
        size += word.end - done;
        spans.push_back({begin, size});
    }
    words = {std::move(out).finish(), std::move(spans)};
    if (cuts) split_words(words, find_text(replacement), SplitBehavior::merged_with_next);
}

// ---- decoders ----------------------------------------------------------------------------------------------------------

std::string DecoderChain::decode(const std::vector<std::string>& tokens) const {
    std::vector<std::string> parts = tokens;
    for (const auto& step : steps) step->apply(parts);
    std::string text;
    for (size_t i = 0; i < parts.size(); i++) text += (i > 0 ? separator : "") + parts[i];
    return text;
}

void WholeStep::apply(std::vector<std::string>& tokens) const { tokens = {decoder->decode(tokens)}; }

void FuseStep::apply(std::vector<std::string>& tokens) const {
    std::string all;
    for (const std::string& token : tokens) all += token;
    tokens = {all};
}

namespace {

std::string replaced(const std::string& text, const FindMatch& find, const std::string& content) {
    std::string out;
    size_t done = 0;
    each_match(find, text, [&](Span match) {
        out.append(text, done, match.begin - done) += content;
        done = match.end;
    });
    return out.append(text, done);
}

// The byte that "<0xE2>" names.
std::optional<char> byte_of(std::string_view token) {
    if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
    int value = 0;
    for (const char c : token.substr(3, 2)) {
        const size_t digit = std::string_view("0123456789abcdef0123456789ABCDEF").find(c);
        if (digit == std::string_view::npos) return std::nullopt;
        value = 16 * value + int(digit % 16);
    }
    return char(value);
}

}  // namespace

void ReplaceStep::apply(std::vector<std::string>& tokens) const {
    for (std::string& token : tokens) token = replaced(token, find, content);
}

void ByteFallbackStep::apply(std::vector<std::string>& tokens) const {
    std::vector<std::string> out;
    std::string bytes;
    const auto flush = [&] {
        if (utf8_valid_prefix(bytes) == bytes.size()) {
            if (!bytes.empty()) out.push_back(bytes);
        } else {
            out.insert(out.end(), bytes.size(), "\ufffd");
        }
        bytes.clear();
    };
    for (const std::string& token : tokens) {
        if (const auto byte = byte_of(token)) {
            bytes += *byte;
        } else {
            flush();
            out.push_back(token);
        }
    }
    flush();
    tokens = std::move(out);
}

void StripStep::apply(std::vector<std::string>& tokens) const {
    for (std::string& token : tokens) {
        std::string_view rest = token;
        for (int64_t i = 0; i < start && rest.starts_with(content); i++) rest.remove_prefix(content.size());
        for (int64_t i = 0; i < stop && rest.ends_with(content); i++) rest.remove_suffix(content.size());
        token = std::string(rest);
    }
}

void MetaspaceStep::apply(std::vector<std::string>& tokens) const {
    const FindMatch find = find_text(replacement);
    for (size_t i = 0; i < tokens.size(); i++) {
        const bool is_added = i == 0 && prepend != MetaspaceSplit::Prepend::never;
        tokens[i] = replaced(tokens[i], find, is_added ? "" : " ");
    }
}

void WordEndStep::apply(std::vector<std::string>& tokens) const {
    const FindMatch find = find_text(suffix);
    for (size_t i = 0; i < tokens.size(); i++) tokens[i] = replaced(tokens[i], find, i + 1 < tokens.size() ? " " : "");
}

}  // namespace koine
