// The parts of tokenizers one by one: texts that know their sources, splits, BPE against the plain form of its
// definition, WordPiece, the search for added tokens against a search for each.
#include "data/tokenizer_parts.h"

#include <algorithm>
#include <map>

#include "data/added_tokens.h"
#include "data/pretokenize.h"
#include "data/tokenizer_bpe.h"
#include "data/tokenizer_wordpiece.h"
#include "tests/data_samples.h"

using namespace koine;
using namespace koine::testing;

namespace {

using Strings = std::vector<std::string>;

/// A counter-based stream of small numbers: the same on every machine.
struct Draws {
    uint64_t state;
    size_t below(size_t n) { return size_t((state = state * 6364136223846793005u + 1442695040888963407u) >> 33) % n; }
    std::string word(size_t length, const std::string& alphabet) {
        std::string out;
        while (out.size() < length) out += alphabet[below(alphabet.size())];
        return out;
    }
};

template <class Split>
Strings split(const Split& part, const std::string& text) {
    Words words{SourcedText(text), {{0, text.size()}}};
    part.split(words, true);
    Strings out;
    for (const Span& s : words.spans) out.push_back(words.text.text().substr(s.begin, s.end - s.begin));
    return out;
}

Vocabulary vocabulary(const Strings& tokens) {
    std::vector<std::pair<std::string, int64_t>> entries;
    for (const std::string& token : tokens) entries.emplace_back(token, int64_t(entries.size()));
    return Vocabulary(std::move(entries), "vocab");
}

Strings pieces(const TokenModel& model, const std::string& word) {
    std::vector<Piece> found;
    model.encode(word, found);
    Strings out;
    for (const Piece& p : found) {
        out.push_back(model.token_of(p.id) + ":" + std::to_string(p.begin) + "-" + std::to_string(p.end));
    }
    return out;
}

/// BPE by its definition: look at all pairs, merge the first of the lowest rank, begin again.
Strings merged_plainly(Strings word, const std::vector<Bpe::Merge>& merges) {
    for (;;) {
        size_t best = merges.size(), place = 0;
        for (size_t i = 0; i + 1 < word.size(); i++) {
            const auto rank =
                size_t(std::find(merges.begin(), merges.end(), Bpe::Merge(word[i], word[i + 1])) - merges.begin());
            if (rank < best) best = rank, place = i;
        }
        if (best == merges.size()) return word;
        word[place] += word[place + 1];
        word.erase(word.begin() + ptrdiff_t(place) + 1);
    }
}

}  // namespace

TEST_CASE("texts: a limit leaves out what would come behind it", "[tokenizer]") {
    SourcedText text("abc");
    text.set_limit(7);
    SourcedText::Builder part(text);
    part.keep(0, 1);
    part.replace(1, 2, "12345");
    CHECK_FALSE(SourcedText(text).was_cut());
    part.replace(2, 3, "xy");  // one byte too many
    part.keep(2, 3);           // would fit, but not behind what is missing
    const SourcedText cut = std::move(part).finish();
    CHECK(cut.text() == "a12345");
    CHECK(cut.was_cut());
    CHECK(cut.source(0, 6) == Span{0, 2});
    SourcedText::Builder again(cut);
    again.keep(0, 6);
    again.replace(6, 6, "!");
    const SourcedText full = std::move(again).finish();
    CHECK(full.text() == "a12345!");
    CHECK(full.was_cut());  // and stays so
}

TEST_CASE("a text knows where its bytes came from, whatever was done to it", "[tokenizer]") {
    SourcedText text("hello world");
    CHECK(text.source(0, 11) == Span{0, 11});
    CHECK(text.source(4, 4) == Span{4, 4});
    SourcedText::Builder b(text);
    b.replace(0, 0, ">>");
    b.keep(0, 2);
    b.replace(2, 5, "L");  // llo
    b.keep(6, 11);         // the space is gone
    text = std::move(b).finish();
    CHECK(text.text() == ">>heLworld");
    CHECK(text.source(0, 2) == Span{0, 1});  // what was inserted has its neighbour's place
    CHECK(text.source(2, 3) == Span{0, 1});
    CHECK(text.source(4, 5) == Span{2, 5});
    CHECK(text.source(4, 6) == Span{2, 7});
    CHECK(text.source(10, 10) == Span{11, 11});
    SourcedText::Builder again(text);
    again.keep(3, 6);
    again.replace(10, 10, "!");
    text = std::move(again).finish();
    CHECK(text.text() == "eLw!");
    CHECK(text.source(0, 1) == Span{1, 2});
    CHECK(text.source(1, 3) == Span{2, 7});
    CHECK(text.source(3, 4) == Span{10, 11});
    SourcedText empty("");
    CHECK(empty.source(0, 0) == Span{0, 0});
    SourcedText::Builder from_nothing(empty);
    from_nothing.replace(0, 0, "x");
    CHECK(std::move(from_nothing).finish().source(0, 1) == Span{0, 0});
}

TEST_CASE("a text built at random has the sources of a list with one entry a byte", "[tokenizer]") {
    Draws draw{1};
    for (int trial = 0; trial < 300; trial++) {
        std::string original = draw.word(1 + draw.below(20), "abc");
        SourcedText text(original);
        std::vector<Span> plain;
        for (size_t i = 0; i < original.size(); i++) plain.push_back({i, i + 1});
        for (int round = 0; round < 3 && text.size() > 0; round++) {
            SourcedText::Builder builder(text);
            std::vector<Span> next;
            for (size_t at = 0; at < text.size();) {
                const size_t n = 1 + draw.below(std::min<size_t>(4, text.size() - at));
                if (draw.below(3) > 0) {
                    builder.keep(at, at + n);
                    next.insert(next.end(), plain.begin() + ptrdiff_t(at), plain.begin() + ptrdiff_t(at + n));
                } else {
                    const std::string part = draw.word(draw.below(4), "xyz");
                    builder.replace(at, at + n, part);
                    next.insert(next.end(), part.size(), Span{plain[at].begin, plain[at + n - 1].end});
                }
                at += n;
            }
            text = std::move(builder).finish();
            plain = next;
        }
        for (size_t i = 0; i < text.size(); i++) {
            for (size_t end = i + 1; end <= text.size(); end++) {
                REQUIRE(text.source(i, end) == Span{plain[i].begin, plain[end - 1].end});
            }
        }
    }
}

// ---- splits ------------------------------------------------------------------------------------------------------------

TEST_CASE("GPT-2's pattern", "[tokenizer]") {
    const ByteLevelSplit part;
    CHECK(split(part, "Hello world, it's 2022!") == Strings{"Hello", " world", ",", " it", "'s", " 2022", "!"});
    CHECK(split(part, "we'll they've I'd I'm don't you're") ==
          Strings{"we", "'ll", " they", "'ve", " I", "'d", " I", "'m", " don", "'t", " you", "'re"});
    CHECK(split(part, "IT'S 'tis ''s 'x") == Strings{"IT", "'", "S", " '", "tis", " ''", "s", " '", "x"});
    CHECK(split(part, "a   b") == Strings{"a", "  ", " b"});
    CHECK(split(part, "a\n\nb \n c") == Strings{"a", "\n", "\n", "b", " \n", " c"});
    CHECK(split(part, "a\u3000\u3000b") == Strings{"a", "\u3000", "\u3000", "b"});
    CHECK(split(part, "end   ") == Strings{"end", "   "});
    CHECK(split(part, "  ") == Strings{"  "});
    CHECK(split(part, "") == Strings{});
    CHECK(split(part, "x1y²½z_é中 ٣") == Strings{"x", "1", "y", "²½", "z", "_", "é中", " ٣"});
    CHECK(split(part, "a\xff\xff b") == Strings{"a", "\xff\xff", " b"});
    ByteLevelSplit with_space;
    with_space.adds_prefix_space = true;
    CHECK(split(with_space, "ab c") == Strings{" ab", " c"});
    CHECK(split(with_space, " ab") == Strings{" ab"});
    CHECK(split(with_space, "\tab") == Strings{" ", "\t", "ab"});
    with_space.uses_pattern = false;
    CHECK(split(with_space, "ab c") == Strings{" ab c"});
}

TEST_CASE("a prefix space goes before every word of a text that is in parts", "[tokenizer]") {
    Words words{SourcedText("ab cd<x>ef"), {{0, 2}, {2, 5}, {8, 10}}};
    ByteLevelSplit part;
    part.adds_prefix_space = true;
    part.split(words, true);
    CHECK(words.text.text() == " ab cd<x> ef");
    CHECK(words.spans == std::vector<Span>{{0, 3}, {3, 6}, {9, 12}});
    CHECK(words.text.source(9, 12) == Span{8, 10});
}

TEST_CASE("BERT's words, and the splits by classes", "[tokenizer]") {
    CHECK(split(BertSplit(), " it's $5.00\u3000ok— yes") ==
          Strings{"it", "'", "s", "$", "5", ".", "00", "ok", "—", "yes"});
    CHECK(split(WhitespaceSplit(), " a.b \t c\u00a0d ") == Strings{"a.b", "c", "d"});
    CHECK(split(WordSplit(), "a_b, c!? é\u0301-7") == Strings{"a_b", ",", "c", "!?", "é\u0301", "-", "7"});
    DigitSplit digits;
    CHECK(split(digits, "a12b3 4") == Strings{"a", "12", "b", "3", " ", "4"});
    digits.is_individual = true;
    CHECK(split(digits, "a12b") == Strings{"a", "1", "2", "b"});
    PunctuationSplit marks;
    const std::string text = "-a--b- c";
    const std::map<SplitBehavior, Strings> expected = {
        {SplitBehavior::removed, {"a", "b", " c"}},
        {SplitBehavior::isolated, {"-", "a", "-", "-", "b", "-", " c"}},
        {SplitBehavior::merged_with_previous, {"-", "a-", "-", "b-", " c"}},
        {SplitBehavior::merged_with_next, {"-a", "-", "-b", "- c"}},
        {SplitBehavior::contiguous, {"-", "a", "--", "b", "-", " c"}}};
    for (const auto& [behavior, words] : expected) {
        marks.behavior = behavior;
        CHECK(split(marks, text) == words);
        // The same by a search for matches.
        Words found{SourcedText(text), {{0, text.size()}}};
        split_words(
            found,
            [](std::string_view t, size_t from) {
                const size_t at = std::min(t.find('-', from), t.size());
                return Span{at, std::min(at + 1, t.size())};
            },
            behavior);
        Strings out;
        for (const Span& s : found.spans) out.push_back(text.substr(s.begin, s.end - s.begin));
        CHECK(out == words);
    }
}

// ---- models ------------------------------------------------------------------------------------------------------------

TEST_CASE("BPE merges as its definition says, in short words and in long ones", "[tokenizer]") {
    Draws draw{7};
    for (int trial = 0; trial < 40; trial++) {
        // Merges of what is there already, in an order of no training: a new pair may come before an old one.
        Strings tokens = {"a", "b", "c"};
        std::vector<Bpe::Merge> merges;
        for (int i = 0; i < 25; i++) {
            const Bpe::Merge merge(tokens[draw.below(tokens.size())], tokens[draw.below(tokens.size())]);
            if (std::find(merges.begin(), merges.end(), merge) != merges.end()) continue;
            merges.push_back(merge);
            const std::string token = merge.first + merge.second;
            if (std::find(tokens.begin(), tokens.end(), token) == tokens.end()) tokens.push_back(token);
        }
        for (size_t i = merges.size(); i > 1; i--) std::swap(merges[i - 1], merges[draw.below(i)]);
        const Bpe bpe(vocabulary(tokens), merges, {}, "merges");
        for (const size_t length : {1, 2, 5, 20, 47, 48, 49, 50, 120}) {
            const std::string word = draw.word(length, draw.below(2) ? "abc" : "ab");
            Strings letters;
            for (char c : word) letters.emplace_back(1, c);
            std::vector<Piece> found;
            bpe.encode(word, found);
            Strings out;
            size_t end = 0;
            for (const Piece& p : found) {
                CHECK(p.begin == end);
                end = p.end;
                out.push_back(word.substr(p.begin, p.end - p.begin));
                CHECK(bpe.token_of(p.id) == out.back());
            }
            CHECK(end == word.size());
            CHECK(out == merged_plainly(letters, merges));
        }
    }
}

TEST_CASE("BPE of characters: unknown ones, bytes, prefixes, suffixes", "[tokenizer]") {
    const Strings tokens = {"<unk>", "a", "b", "ab", "é", "<0xC3>", "<0xA9>", "<0xE4>"};
    const std::vector<Bpe::Merge> merges = {{"a", "b"}};
    const auto encoded = [&](const BpeOptions& options, const std::string& word) {
        return pieces(Bpe(vocabulary(tokens), merges, options, "merges"), word);
    };
    BpeOptions options;
    CHECK(encoded(options, "abé") == Strings{"ab:0-2", "é:2-4"});
    CHECK(encoded(options, "axxb") == Strings{"ab:0-4"});  // left out: the neighbours meet
    options.unk = "<unk>";
    CHECK(encoded(options, "axxb") == Strings{"a:0-1", "<unk>:1-2", "<unk>:2-3", "b:3-4"});
    options.fuses_unk = true;
    CHECK(encoded(options, "axxb中") == Strings{"a:0-1", "<unk>:1-3", "b:3-4", "<unk>:4-7"});
    options.has_byte_fallback = true;
    CHECK(encoded(options, "ab\u00e4") == Strings{"ab:0-2", "<unk>:2-4"});  // C3 A4: the second byte has no token
    CHECK(encoded(options, "\u4104") == Strings{"<unk>:0-3"});
    BpeOptions missing;
    missing.unk = "?";
    CHECK_ERROR(encoded(missing, "a"), DataError, R"(the unknown token "?" is not in the vocabulary [MISSING])");

    const std::vector<Bpe::Merge> suffixed = {{"l", "o"}, {"lo", "w</w>"}};
    BpeOptions suffix;
    suffix.end_suffix = "</w>";
    const Bpe gpt(vocabulary({"l", "o", "w", "w</w>", "lo", "low</w>", "o</w>"}), suffixed, suffix, "merges");
    CHECK(pieces(gpt, "low") == Strings{"low</w>:0-3"});
    CHECK(pieces(gpt, "lowlo") == Strings{"lo:0-2", "w:2-3", "l:3-4", "o</w>:4-5"});
    BpeOptions prefix;
    prefix.continuing_prefix = "##";
    const Bpe hashes(vocabulary({"l", "##o", "##w", "lo"}), std::vector<Bpe::Merge>{{"l", "##o"}}, prefix, "merges");
    CHECK(pieces(hashes, "low") == Strings{"lo:0-2", "##w:2-3"});
    CHECK_ERROR(Bpe(vocabulary({"l", "o", "lo"}), std::vector<Bpe::Merge>{{"l", "o"}}, prefix, "merges"), DataError,
                R"(merge 1: "o" does not begin with "##")");
}

TEST_CASE("a word that is a token stays whole where merges are ignored; of a pair twice, the last counts",
          "[tokenizer]") {
    BpeOptions options;
    options.is_byte_level = true;
    const Strings tokens = {"a", "b", "\u0120", "\u0120ab", "ab", "ba"};
    const std::vector<Bpe::Merge> none;
    CHECK(pieces(Bpe(vocabulary(tokens), none, options, "merges"), " ab") == Strings{"\u0120:0-1", "a:1-2", "b:2-3"});
    options.ignores_merges = true;
    CHECK(pieces(Bpe(vocabulary(tokens), none, options, "merges"), " ab") == Strings{"\u0120ab:0-3"});
    options.ignores_merges = false;
    const std::vector<Bpe::Merge> merges = {{"a", "b"}, {"b", "a"}, {"a", "b"}};
    CHECK(pieces(Bpe(vocabulary(tokens), merges, options, "merges"), "aba") == Strings{"a:0-1", "ba:1-3"});
    // A byte without a token is left out, or unknown.
    CHECK(pieces(Bpe(vocabulary(tokens), none, options, "merges"),
                 "a\xff"
                 "b") == Strings{"a:0-1", "b:2-3"});
}

TEST_CASE("the printable characters of bytes", "[tokenizer]") {
    CHECK(byte_level_spelling(" a\n\xff") == "\u0120a\u010aÿ");
    std::string all;
    for (int byte = 0; byte < 256; byte++) all.push_back(char(byte));
    CHECK(byte_level_bytes(byte_level_spelling(all)) == all);
    CHECK(byte_level_bytes("日") == "日");  // another character: as it is
    CHECK(ByteLevelDecoder().decode({"\u0120caf", "Ã", "©"}) == " café");
    CHECK(ByteLevelDecoder().decode({"a", "Ã", "b"}) == "a\ufffdb");
}

TEST_CASE("WordPiece takes the longest token again and again", "[tokenizer]") {
    const Strings tokens = {"[UNK]", "un", "##aff", "##able", "##a", "u", "##n", "##", "é", "##é", "#"};
    const WordPiece model(vocabulary(tokens), {}, "vocab");
    CHECK(pieces(model, "unaffable") == Strings{"un:0-2", "##aff:2-5", "##able:5-9"});
    CHECK(pieces(model, "unn") == Strings{"un:0-2", "##n:2-3"});
    CHECK(pieces(model, "unaffx") == Strings{"[UNK]:0-6"});  // one part is unknown: the word is
    CHECK(pieces(model, "éé") == Strings{"é:0-2", "##é:2-4"});
    CHECK(pieces(model, "##") == Strings{"##:0-2"});
    CHECK(pieces(model, "") == Strings{});
    std::string longest = "u";
    while (longest.size() < 100) longest += "n";
    CHECK(pieces(model, longest).size() == 99);
    CHECK(pieces(model, longest + "n") == Strings{"[UNK]:0-101"});
    WordPieceOptions endless;
    endless.max_characters = 1'000'000'000;
    CHECK_ERROR(WordPiece(vocabulary(tokens), endless, "vocab"), DataError, "expected 1 to 10000 [VALUE]");
    WordPieceDecoder decoder;
    CHECK(decoder.decode({"un", "##aff", "##able", ",", "he", "'s", "!"}) == "unaffable, he's!");
    decoder.cleans_up = false;
    CHECK(decoder.decode({"un", "##aff", "!"}) == "unaff !");
}

TEST_CASE("BERT's normalizer", "[tokenizer]") {
    const auto normalized = [](const BertNormalizer& part, const std::string& text) {
        SourcedText t(text);
        part.apply(t);
        return t.text();
    };
    BertNormalizer part;
    CHECK(normalized(part, "Héllo\tWÖRLD\x01\u200b\ufffd\u2028x") == "hello world x");
    CHECK(normalized(part, "a中b国") == "a 中 b 国 ");
    CHECK(normalized(part, "ひらがな 한") ==
          "ひらかな \u1112\u1161\u11ab");  // voiced kana lose their mark, Hangul comes apart
    CHECK(normalized(part, "İi") == "ii");
    part.strips_accents = false;
    CHECK(normalized(part, "HÉ") == "hé");
    part.lowers = false;
    CHECK(normalized(part, "HÉ") == "HÉ");
    part.strips_accents = true;
    CHECK(normalized(part, "HÉ") == "HE");
    part.strips_accents = std::nullopt;
    CHECK(normalized(part, "HÉ") == "HÉ");
    part.cleans = part.spaces_chinese = false;
    CHECK(normalized(part, "a\t\x01中") == "a\t\x01中");
}

// ---- added tokens --------------------------------------------------------------------------------------------------------

namespace {

AddedToken added(std::string content) {
    AddedToken token;
    token.content = std::move(content);
    return token;
}

Strings cut(const std::vector<AddedToken>& tokens, const std::string& text) {
    Strings spellings;
    for (const AddedToken& token : tokens) spellings.push_back(token.content);
    const AddedTokenFinder finder(tokens, spellings);
    Strings out;
    size_t end = 0;
    for (const auto& part : finder.cut(text)) {
        CHECK(part.span.begin == end);
        end = part.span.end;
        const std::string inside = text.substr(part.span.begin, part.span.end - part.span.begin);
        out.push_back(part.token ? "{" + inside + "}" : inside);
    }
    CHECK(end == text.size());
    return out;
}

}  // namespace

TEST_CASE("added tokens take spaces with them, or want to be words", "[tokenizer][J13]") {
    AddedToken left = added("<l>"), right = added("<r>"), both = added("<b>"), word = added("foo");
    left.lstrip = right.rstrip = both.lstrip = both.rstrip = word.single_word = true;
    const std::vector<AddedToken> tokens = {left, right, both, word};
    CHECK(cut(tokens, "a <l> b") == Strings{"a", "{ <l>}", " b"});
    CHECK(cut(tokens, "a <r> \u3000b") == Strings{"a ", "{<r> \u3000}", "b"});
    CHECK(cut(tokens, "a\n <b>\t b") == Strings{"a", "{\n <b>\t }", "b"});
    CHECK(cut(tokens, "<r>  <l>") == Strings{"{<r>  }", "{<l>}"});  // the spaces go once
    CHECK(cut(tokens, "foo xfoo foox foo_ (foo) éfoo foo\u0301 foo") ==
          Strings{"{foo}", " xfoo foox foo_ (", "{foo}", ") éfoo foo\u0301 ", "{foo}"});
    CHECK(cut(tokens, "") == Strings{});
    CHECK(cut({}, "a") == Strings{"a"});
    CHECK(cut({added("")}, "a") == Strings{"a"});
}

TEST_CASE("many added tokens are found as each alone would be: the leftmost, then the longest", "[tokenizer][J13]") {
    Draws draw{3};
    for (int trial = 0; trial < 500; trial++) {
        std::vector<AddedToken> tokens;
        for (size_t i = draw.below(8); i-- > 0;) {
            const std::string content = draw.word(1 + draw.below(5), "ab");
            const auto is_same = [&](const AddedToken& t) { return t.content == content; };
            if (std::none_of(tokens.begin(), tokens.end(), is_same)) tokens.push_back(added(content));
        }
        const std::string text = draw.word(draw.below(40), "abc");
        Strings expected;
        std::string between;
        for (size_t at = 0; at < text.size();) {
            size_t longest = 0;
            for (const AddedToken& t : tokens) {
                if (text.compare(at, t.content.size(), t.content) == 0) longest = std::max(longest, t.content.size());
            }
            if (longest == 0) {
                between += text[at++];
                continue;
            }
            if (!between.empty()) expected.push_back(between);
            between.clear();
            expected.push_back("{" + text.substr(at, longest) + "}");
            at += longest;
        }
        if (!between.empty()) expected.push_back(between);
        REQUIRE(cut(tokens, text) == expected);
    }
}
