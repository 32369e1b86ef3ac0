// data/unicode.h: code points, classes, lower case and normal forms, with the source of every byte; against Python's
// unicodedata (golden/tokenizer.json) where an answer cannot come from us. SourcedText itself:
// test_tokenizer_parts.cpp.
#include "data/unicode.h"

#include "data/tokenizer_parts.h"
#include "tests/catch.h"
#include "tests/golden/golden.h"

using namespace koine;
using namespace koine::testing;

namespace {

constexpr UnicodeForm kForms[] = {UnicodeForm::nfc, UnicodeForm::nfd, UnicodeForm::nfkc, UnicodeForm::nfkd};

std::string utf8(std::initializer_list<char32_t> points) {
    std::string out;
    for (char32_t c : points) append_utf8(out, c);
    return out;
}

std::string normalized(const std::string& text, UnicodeForm form) {
    SourcedText t(text);
    normalize(t, form);
    return t.text();
}

std::string lowered(const std::string& text) {
    SourcedText t(text);
    lower_case(t);
    return t.text();
}

// Every byte comes from some bytes of the original, none from before where the last one began.
void check_sources(const SourcedText& text, size_t n_original) {
    size_t before = 0;
    for (size_t i = 0; i < text.size(); i++) {
        const Span source = text.source(i, i + 1);
        REQUIRE((source.begin >= before && source.begin < source.end && source.end <= n_original));
        before = source.begin;
    }
}

}  // namespace

TEST_CASE("code points of valid and of broken UTF-8, forwards and backwards", "[unicode][J12]") {
    for (const char32_t c : {0x0, 0x41, 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xfffd, 0xffff, 0x10000, 0x10ffff}) {
        const std::string text = "a" + utf8({c}) + "b";
        const CodePoint found = code_point_at(text, 1);
        CHECK(found.value == c);
        CHECK(found.n_bytes == text.size() - 2);
        const CodePoint back = code_point_before(text, text.size() - 1);
        CHECK(back.value == c);
        CHECK(back.n_bytes == found.n_bytes);
    }
    CHECK(utf8({0xd800}) == "\ufffd");
    CHECK(utf8({0x110000}) == "\ufffd");
    // A byte that begins no code point is U+FFFD alone, whichever way one reads.
    for (const std::string broken :
         {"\xff", "\x80", "\xc3", "\xe2\x82", "\xf0\x9f\x98", "\xed\xa0\x80", "\xc0\x80", "\xf4\x90\x80\x80"}) {
        INFO(broken);
        const std::string text = "a" + broken;
        for (size_t i = 1; i < text.size(); i++) {
            CHECK(code_point_at(text, i).value == kReplacement);
            CHECK(code_point_at(text, i).n_bytes == 1);
            CHECK(code_point_before(text, i + 1).value == kReplacement);
            CHECK(code_point_before(text, i + 1).n_bytes == 1);
        }
    }
    CHECK(code_point_before("\x80\x80\x80\x80\x80", 5).n_bytes == 1);
}

TEST_CASE("what is not UTF-8 becomes U+FFFD", "[unicode][J12]") {
    // The examples of the Unicode Standard 15, table 3-8, and of Python's errors="replace".
    CHECK(repaired_utf8("") == "");
    CHECK(repaired_utf8("caf\xc3\xa9") == "caf\xc3\xa9");
    CHECK(repaired_utf8("caf\xe9!") == "caf\ufffd!");
    CHECK(repaired_utf8("\x61\xf1\x80\x80\xe1\x80\xc2\x62\x80\x63\x80\xbf\x64") ==
          "a\ufffd\ufffd\ufffd"
          "b\ufffd"
          "c\ufffd\ufffd"
          "d");
    CHECK(repaired_utf8("\xed\xa0\x80") == "\ufffd\ufffd\ufffd");  // a surrogate
    CHECK(repaired_utf8("\xf0\x9f\x98") == "\ufffd");
    SourcedText text("a\xf0\x9f\x98z");
    repair_utf8(text);
    CHECK(text.source(1, 4) == Span{1, 4});
    CHECK(text.source(4, 5) == Span{4, 5});
}

TEST_CASE("classes of characters", "[unicode]") {
    for (const char32_t c : {U'a', U'Z', U'é', U'ß', U'Ж', U'א', U'م', U'中', U'あ', U'한', U'ǅ', U'ʰ', U'ª'})
        CHECK(is_letter(c));
    for (const char32_t c : {U'0', U'9', U'²', U'½', U'٣', U'Ⅷ', U'①'}) CHECK((is_number(c) && !is_letter(c)));
    for (const char32_t c : {U'.', U'-', U'_', U'(', U'»', U'¿', U'、', U'—'})
        CHECK((is_punctuation(c) && !is_symbol(c)));
    for (const char32_t c : {U'$', U'+', U'^', U'€', U'©', U'😀'}) CHECK((is_symbol(c) && !is_punctuation(c)));
    for (const char32_t c : {0x301, 0x327, 0x5bf, 0xfe0f}) CHECK((is_nonspacing_mark(c) && is_mark(c)));
    CHECK((is_mark(0x93e) && !is_nonspacing_mark(0x93e)));  // spacing
    for (const char32_t c : {0x0, 0x1f, 0x7f, 0x85, 0xad, 0x200b, 0xfeff, 0xe000, 0xf0000}) CHECK(is_other(c));
    for (const char32_t c : {0x20, 0x61, 0x378, 0xfffe, 0x10ffff}) CHECK_FALSE(is_other(c));
    for (const char32_t c : {U'a', U'7', U'_', char32_t(0x301), U'Ⅷ', char32_t(0x200d), U'Ⓐ'})
        CHECK(is_word_character(c));
    for (const char32_t c : {U' ', U'-', U'²', U'.', U'😀', char32_t(0x200b)}) CHECK_FALSE(is_word_character(c));

    // PropList.txt, White_Space: all of them and no others.
    std::vector<char32_t> spaces;
    for (char32_t c = 0; c <= 0x10ffff; c++) {
        if (is_white_space(c)) spaces.push_back(c);
    }
    CHECK(spaces == std::vector<char32_t>{0x9,    0xa,    0xb,    0xc,    0xd,    0x20,   0x85,   0xa0,   0x1680,
                                          0x2000, 0x2001, 0x2002, 0x2003, 0x2004, 0x2005, 0x2006, 0x2007, 0x2008,
                                          0x2009, 0x200a, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000});
    CHECK(unicode_version().size() >= 6);
}

TEST_CASE("lower case is a matter of single characters", "[unicode]") {
    CHECK(lowered("Hello, WORLD 123") == "hello, world 123");
    CHECK(lowered("ÀÉÎ Ñ ẞ ΣΑΣ Ж ǅ Ⅷ Ａ") == "àéî ñ ß σασ ж ǆ ⅷ ａ");  // no final sigma
    CHECK(lowered("İ") == "i\u0307");
    CHECK(lowered("\xff A") == "\xff a");  // bytes that are no character stay
    SourcedText text("aİB");
    lower_case(text);
    CHECK(text.text() == "ai\u0307b");
    CHECK(text.source(1, 2) == Span{1, 3});
    CHECK(text.source(2, 4) == Span{1, 3});
    CHECK(text.source(4, 5) == Span{3, 4});
}

TEST_CASE("normal forms are those of unicodedata", "[unicode][golden]") {
    const auto g = golden("tokenizer.json");
    REQUIRE(g.at("forms").size() > 150);
    for (const auto& row : g.at("forms")) {
        const std::string text = row[0].get<std::string>();
        for (size_t i = 0; i < 4; i++) CHECK(normalized(text, kForms[i]) == row[i + 1].get<std::string>());
    }
}

TEST_CASE("every character: forms are stable, agree with each other, and know their sources", "[unicode]") {
    // Of ideographs and Korean syllables, which are all alike, and of what is not assigned, a sample.
    const auto step = [](char32_t c) {
        return (c >= 0x3400 && c < 0x9f00) || (c >= 0xac00 && c < 0xd700) || c >= 0x30000 ? 101 : 1;
    };
    for (char32_t c = 0; c <= 0x10ffff; c += step(c)) {
        if ((c >= 0xd800 && c < 0xe000) || (c >= 0x20000 && c < 0x2f700 && c % 101)) continue;
        const std::string text = utf8({U'e', c, 0x301});
        std::string forms[4];
        for (size_t i = 0; i < 4; i++) {
            SourcedText t(text);
            normalize(t, kForms[i]);
            forms[i] = t.text();
            check_sources(t, text.size());
        }
        const auto& [nfc, nfd, nfkc, nfkd] = forms;
        // UAX 15, section 1.2, and design goals: composing the decomposed gives the composed, and so on.
        const bool is_consistent =
            normalized(nfd, UnicodeForm::nfc) == nfc && normalized(nfc, UnicodeForm::nfd) == nfd &&
            normalized(nfkd, UnicodeForm::nfkc) == nfkc && normalized(nfc, UnicodeForm::nfc) == nfc &&
            normalized(nfkd, UnicodeForm::nfkd) == nfkd;
        if (!is_consistent) FAIL_CHECK("U+" << std::hex << uint32_t(c));
    }
}

TEST_CASE("what normal forms do to sources", "[unicode]") {
    SourcedText composed("xe\u0301y");
    normalize(composed, UnicodeForm::nfc);
    CHECK(composed.text() == "x\u00e9y");
    CHECK(composed.source(1, 3) == Span{1, 4});
    CHECK(composed.source(3, 4) == Span{4, 5});
    SourcedText decomposed("x\u00e9y");
    normalize(decomposed, UnicodeForm::nfd);
    CHECK(decomposed.source(1, 2) == Span{1, 3});
    CHECK(decomposed.source(2, 4) == Span{1, 3});
    SourcedText ligature("a\ufb01b");
    normalize(ligature, UnicodeForm::nfkc);
    CHECK(ligature.text() == "afib");
    CHECK(ligature.source(1, 2) == Span{1, 4});
    CHECK(ligature.source(3, 4) == Span{4, 5});
    // One after the other: sources go back to the very first text.
    SourcedText both("\u00c9\ufb01");
    normalize(both, UnicodeForm::nfkd);
    lower_case(both);
    CHECK(both.text() == "e\u0301fi");
    CHECK(both.source(0, 1) == Span{0, 2});
    CHECK(both.source(3, 5) == Span{2, 5});
    SourcedText broken("a\xff");
    normalize(broken, UnicodeForm::nfc);
    CHECK(broken.text() == "a\ufffd");
}

TEST_CASE("a letter with a million accents is put in order", "[unicode][J12]") {
    std::string text = "e";
    for (int i = 0; i < 500'000; i++) text += i % 2 ? "\u0323" : "\u0301";  // below, above, below, above
    std::string below, above;
    for (int i = 0; i < 250'000; i++) below += "\u0323", above += "\u0301";
    CHECK(normalized(text, UnicodeForm::nfd) == "e" + below + above);
    CHECK(normalized(text, UnicodeForm::nfc).substr(0, 3) == "\u1eb9");
}

TEST_CASE("user-perceived characters", "[unicode]") {
    const auto cut = [](const std::string& text) {
        std::vector<std::string> out;
        for (size_t at = 0; at < text.size();) {
            const size_t end = grapheme_end(text, at);
            out.push_back(text.substr(at, end - at));
            at = end;
        }
        return out;
    };
    using Strings = std::vector<std::string>;
    CHECK(cut("ae\u0301\u0323b") == Strings{"a", "e\u0301\u0323", "b"});
    CHECK(cut("\r\n\n") == Strings{"\r\n", "\n"});
    CHECK(cut("👨‍👩‍👧👍🏽🇮🇹🇩🇪") == Strings{"👨‍👩‍👧", "👍🏽", "🇮🇹", "🇩🇪"});
    CHECK(cut("\u1112\u1161\u11ab한") == Strings{"\u1112\u1161\u11ab", "한"});
    CHECK(cut("\xff\xfe") == Strings{"\xff", "\xfe"});
}
