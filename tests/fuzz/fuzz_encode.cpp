// Fuzz target: Tokenizer::encode and decode of both kinds with a vocabulary of their own. The first byte of the input
// chooses kind and options, the rest is the text. No text is wrong: every exception and whatever the sanitizers see is
// a finding, and what comes out must keep the promises of tokenizer.h.
#include "data/added_tokens.h"
#include "data/pretokenize.h"
#include "data/tokenizer.h"
#include "data/tokenizer_bpe.h"
#include "data/tokenizer_wordpiece.h"
#include "data/unicode.h"
#include "tests/fuzz/fuzz_file.h"

using namespace koine;
using namespace koine::testing;

namespace {

Vocabulary vocabulary(const std::vector<std::string>& tokens) {
    std::vector<std::pair<std::string, int64_t>> entries;
    for (const std::string& token : tokens) entries.emplace_back(token, int64_t(entries.size()));
    return Vocabulary(std::move(entries), "vocab");
}

AddedToken added(const TokenModel& model, const std::string& content) {
    AddedToken token;
    token.content = content;
    token.id = model.id_of(content).value_or(int32_t(model.n_ids()));
    return token;
}

Tokenizer byte_level(bool adds_prefix_space) {
    std::vector<std::string> tokens = {"<s>", "</s>"};
    for (int byte = 0; byte < 256; byte++) tokens.push_back(byte_level_spelling(std::string(1, char(byte))));
    const std::vector<Bpe::Merge> merges = {{"a", "b"},       {"\u0120", "a"},      {"ab", "ab"},
                                            {"\u0120a", "b"}, {"a", "a"},           {"aa", "aa"},
                                            {"b", "a"},       {"\u00f0", "\u0141"}, {"\u0120", "\u0120"}};
    for (const auto& [left, right] : merges) tokens.push_back(left + right);
    TokenizerParts parts;
    BpeOptions options;
    options.is_byte_level = true;
    parts.model = std::make_unique<Bpe>(vocabulary(tokens), merges, options, "merges");
    auto split = std::make_unique<ByteLevelSplit>();
    split->adds_prefix_space = adds_prefix_space;
    parts.pre_tokenizers.push_back(std::move(split));
    parts.decoder = std::make_unique<ByteLevelDecoder>();
    parts.around = {{0}, {1}};
    if (adds_prefix_space) {
        AddedToken mask = added(*parts.model, "<mask>");
        mask.lstrip = mask.rstrip = true;
        parts.added = {mask, added(*parts.model, "<s>")};
    }
    return Tokenizer(std::move(parts));
}

Tokenizer wordpiece(bool lowers) {
    TokenizerParts parts;
    WordPieceOptions options;
    options.max_characters = 20;
    parts.model = std::make_unique<WordPiece>(
        vocabulary({"[UNK]", "[CLS]", "[SEP]", "a", "##a", "ab", "##b", "b", ".", "'", "e", "##e", "\u4e2d"}), options,
        "vocab");
    auto normalizer = std::make_unique<BertNormalizer>();
    normalizer->lowers = lowers;
    normalizer->cleans = lowers;
    parts.normalizers.push_back(std::move(normalizer));
    parts.pre_tokenizers.push_back(std::make_unique<BertSplit>());
    parts.decoder = std::make_unique<WordPieceDecoder>();
    parts.around = {{1}, {2}};
    AddedToken word = added(*parts.model, "ab a");
    word.is_normalized = word.single_word = true;
    parts.added = {word, added(*parts.model, "[SEP]")};
    return Tokenizer(std::move(parts));
}

void check_sources(const SourcedText& text, size_t n_original) {
    size_t before = 0;
    for (size_t i = 0; i < text.size(); i++) {
        const Span source = text.source(i, i + 1);
        must(source.begin >= before && source.begin < source.end && source.end <= n_original);
        before = source.begin;
    }
}

void check_encoding(const Tokenizer& t, std::string_view text, const Encoding& e) {
    must(e.ids.size() == e.offsets.size() && e.ids.size() == e.is_special.size() && e.n_truncated >= 0);
    size_t before = 0;
    for (size_t i = 0; i < e.ids.size(); i++) {
        must(e.ids[i] >= 0 && e.ids[i] < t.n_ids());
        if (e.is_special[i]) {
            must(e.offsets[i] == Span{});
            continue;
        }
        must(e.offsets[i].begin >= before && e.offsets[i].begin < e.offsets[i].end && e.offsets[i].end <= text.size());
        before = e.offsets[i].begin;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    static const Tokenizer plain = byte_level(false), spaced = byte_level(true), lower = wordpiece(true),
                           cased = wordpiece(false);
    const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
    const Tokenizer& t = data[0] & 1 ? (data[0] & 2 ? plain : spaced) : (data[0] & 2 ? lower : cased);

    const Encoding e = t.encode(text);
    check_encoding(t, text, e);
    must(utf8_valid_prefix(t.decode(e.ids)) == t.decode(e.ids).size());
    if (&t == &plain) {  // nothing is lost, and every byte is in one token
        must(t.decode(t.encode(text, {.add_special = false}).ids) == repaired_utf8(text));
        size_t end = 0;
        for (size_t i = 1; i + 1 < e.ids.size(); i++) {
            must(e.offsets[i].begin == end);
            end = e.offsets[i].end;
        }
        must(end == text.size());
    }
    const Encoding cut = t.encode(text, {.max_tokens = 2 + data[0] / 4});
    check_encoding(t, text, cut);
    must(int64_t(cut.ids.size()) <= 2 + data[0] / 4 && cut.ids.size() + size_t(cut.n_truncated) == e.ids.size());

    SourcedText changed(text);
    normalize(changed, UnicodeForm(data[0] / 4 % 4));
    check_sources(changed, text.size());
    lower_case(changed);
    check_sources(changed, text.size());
    for (size_t at = 0; at < text.size();) {
        const size_t end = grapheme_end(text, at);
        must(end > at && end <= text.size());
        at = end;
    }
    return 0;
}
