// data/tokenizer_json.h: the ids, offsets and texts of the tokenizers library, and what a tokenizer.json may not hold.
// Catalogue rows J1 to J3, J8 to J10, J13, T7, A21.
#include "data/tokenizer_json.h"

#include <algorithm>
#include <fstream>

#include "data/json.h"
#include "data/tokenizer.h"
#include "data/unicode.h"
#include "tests/catalogue.h"
#include "tests/data_samples.h"
#include "tests/golden/golden.h"

using namespace koine;
using namespace koine::testing;

namespace {

/// What a folder with this tokenizer.json, and with a tokenizer_config.json if there is one, becomes.
Tokenizer tokenizer_of(const std::string& json, const std::string& config = "") {
    const ScratchFolder folder;
    folder.write("tokenizer.json", bytes_of(json));
    if (!config.empty()) folder.write("tokenizer_config.json", bytes_of(config));
    return Tokenizer(read_tokenizer_json(folder.path));
}

void check_refused_json(const std::string& json, const std::string& kind, const std::string& part) {
    INFO(json.substr(0, 400));
    check_refused([&] { tokenizer_of(json); }, kind, part);
}

/// A small WordPiece tokenizer; `sections` are added to the file, and `model` replaces its own.
std::string file_with(const std::string& sections, const std::string& model = "") {
    return R"({"version": "1.0", )" + sections + (sections.empty() ? "" : ", ") + R"("model": )" +
           (model.empty() ? R"({"type": "WordPiece", "vocab": {"[UNK]": 0, "a": 1, "b": 2, "##b": 3, "[S]": 4}})"
                          : model) +
           "}";
}
std::string bpe_with(const std::string& merges, const std::string& more = "") {
    return file_with("", R"({"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": )" + merges + more + "}");
}
std::string normalizer(const std::string& step) { return file_with(R"("normalizer": )" + step); }
std::string pre_tokenizer(const std::string& step) { return file_with(R"("pre_tokenizer": )" + step); }
std::string decoder(const std::string& step) { return file_with(R"("decoder": )" + step); }
std::string post_processor(const std::string& step) { return file_with(R"("post_processor": )" + step); }
std::string added(const std::string& tokens) { return file_with(R"("added_tokens": [)" + tokens + "]"); }

std::string tokens_of(const Tokenizer& tokenizer, const std::string& text) {
    std::string all;
    for (const int32_t id : tokenizer.encode(text).ids) all += (all.empty() ? "" : " ") + tokenizer.token_of(id);
    return all;
}

/// The library's offsets are those of characters; a part of one has the place of all of it.
Span whole_characters(const std::string& text, Span span) {
    if (span.begin == span.end) return span;
    while (utf8_is_continuation(text[span.begin])) span.begin--;
    while (span.end < text.size() && utf8_is_continuation(text[span.end])) span.end++;
    return span;
}

bool is_composed(const std::string& text) {
    SourcedText normal(text);
    normalize(normal, UnicodeForm::nfkc);
    return normal.text() == text;
}

}  // namespace

// ---- as the library has it ---------------------------------------------------------------------------------------------

TEST_CASE("a tokenizer.json of every family gives the library's ids, offsets and texts", "[tokenizer_json][golden]") {
    const Json all = golden("tokenizer_json.json");
    const auto texts = all.at("texts").get<std::vector<std::string>>();
    for (const auto& [name, expected] : all.at("tokenizers").items()) {
        const Tokenizer tokenizer = tokenizer_of(expected.at("file").dump());
        for (size_t i = 0; i < texts.size(); i++) {
            INFO(name << ", text " << i << ": " << texts[i]);
            const Encoding got = tokenizer.encode(texts[i]);
            CHECK(got.ids == expected.at("ids")[i].get<std::vector<int32_t>>());
            CHECK(tokenizer.decode(got.ids) == expected.at("decoded")[i].get<std::string>());
            const auto offsets = expected.at("offsets")[i].get<std::vector<size_t>>();
            REQUIRE(offsets.size() == 2 * got.ids.size());
            // Characters that were composed into one, or changed places: the library has the place of the first, we of
            // all of them.
            bool are_right = true;
            for (size_t t = 0; t < got.ids.size(); t++) {
                const Span ours = whole_characters(texts[i], got.offsets[t]);
                const Span theirs{offsets[2 * t], offsets[2 * t + 1]};
                are_right &=
                    is_composed(texts[i]) ? ours == theirs : ours.begin <= theirs.begin && ours.end >= theirs.end;
            }
            CHECK(are_right);
        }
    }
}

TEST_CASE("the tokenizer of a multilingual encoder gives the library's ids", "[tokenizer_json][golden]") {
    const char* root = std::getenv("KOINE_DATA");
    const std::string data = root ? root : "", folder = data + "/encoders/e5-multilingual";
    std::ifstream lines(data + "/tokenizers/golden/xlmr-e5-pruned.jsonl");
    if (!root || !std::filesystem::exists(folder) || !lines) SKIP_TEST("no encoders/e5-multilingual below KOINE_DATA");
    const Tokenizer tokenizer(read_tokenizer_json(folder));
    CHECK(tokenizer.n_ids() == 50454);
    CHECK(tokenizer.max_tokens() == 512);
    CHECK(tokenizer.pad_id() == 1);
    int n_texts = 0;
    for (std::string line; std::getline(lines, line); n_texts++) {
        const Json expected = parse_json(line, "xlmr-e5-pruned.jsonl");
        INFO(line.substr(0, 200));
        CHECK(tokenizer.encode(expected.at("text").get<std::string>()).ids ==
              expected.at("hf_ids").get<std::vector<int32_t>>());
    }
    CHECK(n_texts == 244);
}

// ---- the sections, one by one ------------------------------------------------------------------------------------------

TEST_CASE("the length and the padding token come from tokenizer_config.json", "[tokenizer_json]") {
    const std::string json = file_with(R"("padding": {"strategy": "BatchLongest", "pad_id": 2, "pad_token": "b"})");
    CHECK(tokenizer_of(json).pad_id() == 2);
    CHECK(tokenizer_of(json).max_tokens() == 0);
    CHECK(tokenizer_of(json, R"({"pad_token": "a", "model_max_length": 512})").pad_id() == 1);
    CHECK(tokenizer_of(json, R"({"pad_token": {"content": "[S]"}, "model_max_length": 512})").pad_id() == 4);
    CHECK(tokenizer_of(json, R"({"model_max_length": 512})").max_tokens() == 512);
    CHECK(tokenizer_of(json, R"({"model_max_length": 1000000000000000019884624838656})").max_tokens() == 0);
    const Tokenizer without = tokenizer_of(json, R"({"pad_token": "<pad>"})");
    CHECK(without.pad_id() == std::nullopt);
    REQUIRE(without.warnings().size() == 1);
    CHECK(mentions(without.warnings()[0], "pad_token is \"<pad>\""));
    CHECK(without.description() == "WordPiece, 5 tokens (tokenizer.json)");
    check_refused([&] { tokenizer_of(json, R"({"model_max_length": -1})"); }, "VALUE", "model_max_length");
    check_refused([&] { tokenizer_of(json, R"({"model_max_length": 1.5})"); }, "VALUE", "model_max_length");
    check_refused([&] { tokenizer_of(json, R"({"pad_token": 7})"); }, "VALUE",
                  "tokenizer_config.json: field pad_token");
    check_refused_json(file_with(R"("padding": {"pad_id": 5})"), "VALUE", "padding.pad_id");
}

TEST_CASE("post-processors one after the other are nested", "[tokenizer_json]") {
    const std::string special = R"("special_tokens": {"x": {"id": "x", "ids": [4, 1], "tokens": ["[S]", "a"]}})";
    const Tokenizer tokenizer = tokenizer_of(post_processor(
        R"({"type": "Sequence", "processors": [{"type": "BertProcessing", "sep": ["b", 2], "cls": ["a", 1]},
            {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "x", "type_id": 0}}], )" +
        special + "}]}"));
    CHECK(tokenizer.encode("").ids == std::vector<int32_t>{4, 1, 1, 2, 4, 1});
}

TEST_CASE("a step on its own does what its name says", "[tokenizer_json]") {
    // Every character that is not a or b is unknown: the words show.
    const auto words = [](const std::string& step, const std::string& text) {
        return tokens_of(tokenizer_of(step), text);
    };
    const auto split = [](const std::string& what) { return pre_tokenizer(R"({"type": "Split", )" + what + "}"); };
    CHECK(words(split(R"("pattern": {"String": "-"}, "behavior": "Removed", "invert": false)"), "ab-a") == "a ##b a");
    CHECK(words(split(R"("pattern": {"String": "ab"}, "behavior": "Removed", "invert": true)"), "abab-a") ==
          "a ##b a ##b");
    CHECK(words(split(R"("pattern": {"Regex": "\\s+"}, "behavior": "Isolated", "invert": true)"), "a b") ==
          "a [UNK] b");
    CHECK(words(pre_tokenizer(R"({"type": "Punctuation"})"), "a!?b") == "a [UNK] [UNK] b");
    CHECK(words(pre_tokenizer(R"({"type": "Digits", "individual_digits": false})"), "a12b") == "a [UNK] b");
    CHECK(words(pre_tokenizer(R"({"type": "Whitespace"})"), " a\n_ b") == "a [UNK] b");
    CHECK(words(normalizer(R"({"type": "Strip", "strip_left": true, "strip_right": false})"), " ab") == "a ##b");
    CHECK(words(normalizer(R"({"type": "Strip", "strip_left": false, "strip_right": true})"), " ab") == "[UNK]");
    CHECK(words(normalizer(R"({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": ""})"), "a  b") == "a ##b");
    CHECK(words(normalizer(R"({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": ""})"), "a b") == "[UNK]");
    CHECK(words(normalizer(R"({"type": "Prepend", "prepend": "a"})"), "b") == "a ##b");
    CHECK(words(normalizer(R"({"type": "Prepend", "prepend": "a"})"), "") == "");
    const auto decoded = [](const std::string& step) {
        return tokenizer_of(decoder(step)).decode(std::vector<int32_t>{1, 3, 2, 1});
    };
    CHECK(decoded(R"({"type": "WordPiece", "prefix": "##", "cleanup": true})") == "ab b a");
    CHECK(decoded(R"({"type": "Fuse"})") == "a##bba");
    CHECK(decoded(R"({"type": "Replace", "pattern": {"String": "b"}, "content": " "})") == "a##  a");
    CHECK(decoded(R"({"type": "BPEDecoder", "suffix": "b"})") == "a##  a");
    CHECK(decoded(R"({"type": "Strip", "content": "#", "start": 1, "stop": 0})") == "a#bba");
    CHECK(decoded(R"({"type": "Metaspace", "replacement": "#", "prepend_scheme": "always"})") == "a  bba");
}

TEST_CASE("the metaspace is put where its scheme says", "[tokenizer_json]") {
    const auto ids = [](const std::string& scheme, const std::string& text) {
        const Tokenizer tokenizer = tokenizer_of(file_with(
            R"("added_tokens": [{"id": 3, "content": "x", "special": true}],
               "pre_tokenizer": {"type": "Metaspace", "replacement": "_", )" +
                scheme + "}",
            R"({"type": "BPE", "vocab": {"a": 0, "_": 1, "b": 2}, "merges": []})"));
        return tokens_of(tokenizer, text);
    };
    CHECK(ids(R"("prepend_scheme": "always")", "a bxa") == "_ a _ b x _ a");
    CHECK(ids(R"("prepend_scheme": "first")", "a bxa") == "_ a _ b x a");
    CHECK(ids(R"("prepend_scheme": "first")", "xa") == "x a");
    CHECK(ids(R"("prepend_scheme": "never")", "a bxa") == "a _ b x a");
    CHECK(ids(R"("add_prefix_space": true)", "a b") == "_ a _ b");
    CHECK(ids(R"("add_prefix_space": false)", "a b") == "a _ b");
    CHECK(ids(R"("prepend_scheme": "always")", " a") == "_ a");
    CHECK(ids(R"("prepend_scheme": "always")", "_a") == "_ a");
}

// ---- what is refused ---------------------------------------------------------------------------------------------------

TEST_CASE("what is not JSON, too deep, or double is refused", "[tokenizer_json][J1][J2][J3]") {
    {
        const CatalogueRow row("J2");
        check_refused_json(normalizer(std::string(100'000, '[')), "LIMIT", "128");
    }
    {
        const CatalogueRow row("J3");
        check_refused_json(file_with("", R"({"type": "WordPiece", "vocab": {"[UNK]": 0, "a": 1, "a": 2}})"), "DUP",
                           "\"a\"");
    }
    const CatalogueRow row("J1");
    check_refused_json("", "SYNTAX", "tokenizer.json: is empty");
    check_refused_json(R"({"version": "1.0",})", "SYNTAX", "byte 18");
    check_refused_json("[]", "SYNTAX", "expected an object");
    check_refused_json("<html>", "MAGIC", "HTML");
    check_refused_json("{}", "MISSING", "field model: is not there");
    check_refused_json(R"({"version": "2.0", "model": {}})", "VALUE", "version: is \"2.0\"");
    const ScratchFolder folder;
    check_refused([&] { read_tokenizer_json(folder.path); }, "IO", "tokenizer.json");
    check_refused([&] { read_tokenizer_json(folder / "none"); }, "IO", "none");
}

TEST_CASE("merges that name no tokens are refused", "[tokenizer_json][J8][A21]") {
    CHECK(tokens_of(tokenizer_of(bpe_with(R"(["a b"])")), "aab") == "a ab");
    CHECK(tokens_of(tokenizer_of(bpe_with(R"([["a", "b"]])")), "aab") == "a ab");
    check_refused_json(bpe_with(R"(["a c"])"), "VALUE",
                       "merge 1: \"a\" and \"c\": the token \"c\" is not in the vocabulary");
    check_refused_json(bpe_with(R"([["a", "b"], ["ab", "ab"]])"), "VALUE", "merge 2");  // longer than any token
    check_refused_json(bpe_with(R"(["a b", "ab"])"), "VALUE", "merges[1]: is \"ab\", expected two tokens");
    check_refused_json(bpe_with(R"(["a b c"])"), "VALUE", "merges[0]");
    check_refused_json(bpe_with(R"([["a", "b", "c"]])"), "VALUE", "merges[0]");
    check_refused_json(bpe_with(R"([["a", 1]])"), "VALUE", "merges[0]");
    check_refused_json(bpe_with(R"([7])"), "VALUE", "merges[0]");
    check_refused_json(bpe_with("null"), "MISSING", "model.merges");
    check_refused_json(bpe_with(R"({"a": "b"})"), "VALUE", "model.merges");
    // The right part is shorter than what every continuation begins with.
    check_refused_json(bpe_with(R"([["a", "b"]])", R"(, "continuing_subword_prefix": "####")"), "VALUE", "####");
    check_refused_json(bpe_with("[]", R"(, "dropout": 0.1)"), "VALUE", "dropout");
    CHECK_NOTHROW(tokenizer_of(bpe_with("[]", R"(, "dropout": 0.0)")));
    check_refused_json(bpe_with("[]", R"(, "unk_token": "<unk>")"), "MISSING", "<unk>");
}

TEST_CASE("ids that cannot be are refused", "[tokenizer_json][J9]") {
    const auto vocabulary = [](const std::string& entries) {
        return file_with("", R"({"type": "WordPiece", "vocab": {"[UNK]": 0, )" + entries + "}}");
    };
    CHECK_OK(tokenizer_of(vocabulary(R"("a": 7)")).n_ids() == 8);  // holes do no harm
    CHECK(tokenizer_of(vocabulary(R"("a": 7)")).token_of(3) == "");
    check_refused_json(vocabulary(R"("a": 0)"), "DUP", "has the id 0");
    check_refused_json(vocabulary(R"("a": -1)"), "VALUE", "model.vocab.a: is -1");
    check_refused_json(vocabulary(R"("a": 1.5)"), "VALUE", "model.vocab.a: is 1.5");
    check_refused_json(vocabulary(R"("a": "1")"), "VALUE", "model.vocab.a");
    check_refused_json(vocabulary(R"("a": null)"), "MISSING", "model.vocab.a");
    check_refused_json(vocabulary(R"("a": 2147483648)"), "VALUE", "2147483648");
    check_refused_json(vocabulary(R"("a": 2000000000)"), "VALUE", "2000000000");
    check_refused_json(file_with("", R"({"type": "WordPiece", "vocab": ["a"]})"), "SYNTAX", "model.vocab");
    check_refused_json(file_with("", R"({"type": "WordPiece", "vocab": {"a": 0}})"), "MISSING", "[UNK]");
    const auto unigram = [](const std::string& pieces, const std::string& unk = "0") {
        return file_with("", R"({"type": "Unigram", "unk_id": )" + unk + R"(, "vocab": )" + pieces + "}");
    };
    CHECK(tokens_of(tokenizer_of(unigram(R"([["<unk>", 0], ["a", -1.5], ["b", -2]])")), "abc") == "a b <unk>");
    check_refused_json(unigram(R"([["<unk>", 0], ["a", "x"]])"), "VALUE",
                       "model.vocab[1]: is not a piece and its score");
    check_refused_json(unigram(R"([["<unk>"]])"), "VALUE", "model.vocab[0]");
    check_refused_json(unigram(R"([["<unk>", 0], ["<unk>", -1]])"), "DUP", "<unk>");
    check_refused_json(unigram(R"([["<unk>", 0]])", "1"), "VALUE", "unk_id is 1");
    check_refused_json(unigram(R"([["<unk>", 0]])", "-1"), "VALUE", "unk_id");
    check_refused_json(unigram("[]"), "MISSING", "no pieces");
}

// The eight panics of tokenizers#2094, #2151 and #2198; those of merges are above.
TEST_CASE("settings that made the library panic are refused or do no harm", "[tokenizer_json][J10][A21]") {
    check_refused_json(file_with(R"("truncation": {"max_length": 8, "stride": 8, "strategy": "LongestFirst"})"),
                       "VALUE", "truncation.stride: is 8, expected less than max_length, 8");
    CHECK(kind_of([] { tokenizer_of(file_with(R"("truncation": {"max_length": 8, "stride": 7})")); }) == "");

    const std::string single =
        R"("single": [{"SpecialToken": {"id": "x", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}])";
    const std::string x = R"("x": {"id": "x", "ids": [4], "tokens": ["[S]"]})";
    const auto of_template = [](const std::string& fields) {
        return post_processor(R"({"type": "TemplateProcessing", )" + fields + "}");
    };
    CHECK(tokenizer_of(of_template(single + R"(, "special_tokens": {)" + x + "}")).encode("a").ids ==
          std::vector<int32_t>{4, 1});
    check_refused_json(of_template(single + R"(, "special_tokens": {})"), "VALUE",
                       "post_processor.single[0].SpecialToken.id: is \"x\", which is not among special_tokens");

    // A token shorter than what is to be stripped, and one that is nothing else.
    const Tokenizer strip = tokenizer_of(decoder(R"({"type": "Strip", "content": "a", "start": 3, "stop": 65536})"));
    CHECK(strip.decode(std::vector<int32_t>{1, 2, 1}) == "b");
    check_refused_json(decoder(R"({"type": "Strip", "content": "a", "start": -1, "stop": 0})"), "VALUE",
                       "decoder.start");
    check_refused_json(decoder(R"({"type": "Strip", "content": "a", "start": 0, "stop": 1e18})"), "VALUE",
                       "decoder.stop");
    check_refused_json(decoder(R"({"type": "Strip", "content": "ab", "start": 0, "stop": 0})"), "VALUE",
                       "one character");

    check_refused_json(pre_tokenizer(R"({"type": "FixedLength", "length": 0})"), "VALUE",
                       "\"FixedLength\", which is not read here");
}

TEST_CASE("a normaliser whose table is damaged is refused", "[tokenizer_json][T7][A21]") {
    const auto charsmap = [](const std::string& base64) {
        return normalizer(R"({"type": "Precompiled", "precompiled_charsmap": ")" + base64 + "\"}");
    };
    check_refused_json(charsmap("AAA"), "VALUE", "normalizer.precompiled_charsmap: is not base64");
    check_refused_json(charsmap("AA=A"), "VALUE", "is not base64");
    check_refused_json(charsmap("===="), "VALUE", "is not base64");
    check_refused_json(charsmap("AA?A"), "VALUE", "is not base64 at its byte 2");
    check_refused_json(charsmap("AAA="), "TRUNC", "the size of the normaliser's trie");  // two bytes
    check_refused_json(charsmap("////fwAA"), "SHAPE", "trie");                           // no whole number of blocks
    check_refused_json(charsmap("ABAAAAAAAAA="), "LIMIT", "trie");                       // 4096 bytes, but there are 4
    std::string outside = "AAQAAH9/";  // 1024 bytes, all of them 0x7f: every slot leads far outside
    for (int i = 0; i < 340; i++) outside += "f39/";
    check_refused_json(charsmap(outside + "f38="), "OFFSET", "slot 0");
    check_refused_json(normalizer(R"({"type": "Precompiled"})"), "MISSING", "precompiled_charsmap");
}

TEST_CASE("templates that do not fit the vocabulary are refused", "[tokenizer_json][J10]") {
    const auto of_template = [](const std::string& single, const std::string& special, const std::string& more = "") {
        return post_processor(R"({"type": "TemplateProcessing", "single": [)" + single + R"(], "special_tokens": {)" +
                              special + "}" + more + "}");
    };
    const std::string a = R"({"Sequence": {"id": "A", "type_id": 0}})",
                      b = R"({"Sequence": {"id": "B", "type_id": 1}})";
    CHECK_NOTHROW(tokenizer_of(of_template(a, "", R"(, "pair": [)" + a + ", " + b + "]")));
    check_refused_json(of_template("", ""), "VALUE",
                       "post_processor.single: has the sequences \"\", expected each of \"A\" once");
    check_refused_json(of_template(a + "," + a, ""), "VALUE", "\"AA\"");
    check_refused_json(of_template(b, ""), "VALUE", "single[0].Sequence.id: is \"B\"");
    check_refused_json(of_template("7", ""), "SYNTAX", "single[0]");
    check_refused_json(of_template("{}", ""), "MISSING", "single[0].SpecialToken");
    check_refused_json(of_template(a, "", R"(, "pair": [)" + a + "]"), "VALUE", "post_processor.pair");
    check_refused_json(of_template(a, R"("x": {"ids": [3], "tokens": ["[S]"]})"), "VALUE",
                       "special_tokens.x.ids: has 3 for \"[S]\", but the vocabulary has 4");
    check_refused_json(of_template(a, R"("x": {"ids": [9], "tokens": ["none"]})"), "VALUE", "no such token");
    check_refused_json(of_template(a, R"("x": {"ids": [], "tokens": []})"), "VALUE", "special_tokens.x.ids");
    check_refused_json(of_template(a, R"("x": {"ids": [4], "tokens": []})"), "VALUE", "special_tokens.x.ids");
    const auto bert = [](const std::string& cls) {
        return post_processor(R"({"type": "BertProcessing", "sep": ["[S]", 4], "cls": )" + cls + "}");
    };
    CHECK_NOTHROW(tokenizer_of(bert(R"(["a", 1])")));
    check_refused_json(bert(R"(["a", 2])"), "VALUE",
                       "post_processor.cls: is \"a\" with the id 2, but the vocabulary has the id 1");
    check_refused_json(bert(R"(["none", 2])"), "VALUE", "no such token");
    check_refused_json(bert(R"(["a"])"), "VALUE", "post_processor.cls");
    check_refused_json(bert(R"("a")"), "VALUE", "post_processor.cls");
}

TEST_CASE("added tokens may not be empty nor take what belongs to others", "[tokenizer_json][J13]") {
    const Tokenizer tokenizer = tokenizer_of(added(
        R"({"id": 5, "content": "<a>"}, {"id": 6, "content": "<a><b>"}, {"id": 4, "content": "[S]", "special": true})"));
    CHECK(tokenizer.n_ids() == 7);
    CHECK_OK(tokens_of(tokenizer, "<a><b><a>[S]a") ==
             "<a><b> <a> [S] a");  // of those that begin in one place, the longest
    CHECK(tokenizer.decode(std::vector<int32_t>{4, 1}) == "a");
    check_refused_json(added(R"({"id": 5, "content": ""})"), "VALUE", "added_tokens[0].content: is empty");
    check_refused_json(added(R"({"id": 2, "content": "x"})"), "VALUE",
                       "added_tokens[0].id: is 2, which is the model's \"b\"");
    check_refused_json(added(R"({"id": 5, "content": "b"})"), "VALUE", "the model has \"b\" with the id 2");
    check_refused_json(added(R"({"id": 5, "content": "x"}, {"id": 6, "content": "x"})"), "DUP",
                       "added_tokens[1].content");
    check_refused_json(added(R"({"id": 5, "content": "x"}, {"id": 5, "content": "y"})"), "DUP", "added_tokens[1].id");
    check_refused_json(added(R"({"id": -1, "content": "x"})"), "VALUE", "added_tokens[0].id");
    check_refused_json(added(R"({"id": 2000000000, "content": "x"})"), "VALUE", "added_tokens[0].id");
    check_refused_json(added(R"({"id": 5})"), "MISSING", "added_tokens[0].content");
    check_refused_json(added(R"({"id": 5, "content": "x", "lstrip": 1})"), "VALUE", "added_tokens[0].lstrip");
}

TEST_CASE("only known patterns are taken, and no step may make texts explode", "[tokenizer_json][J13]") {
    const auto replace = [](const std::string& pattern, const std::string& content) {
        return R"({"type": "Replace", "pattern": )" + pattern + R"(, "content": ")" + content + "\"}";
    };
    check_refused_json(normalizer(replace(R"({"Regex": "(a+)+$"})", "")), "VALUE",
                       "normalizer.pattern.Regex: is \"(a+)+$\", which is not read here; known: \" {2,}\"");
    check_refused_json(pre_tokenizer(R"({"type": "Split", "pattern": {"Regex": "(a|aa)*b"}, "behavior": "Isolated"})"),
                       "VALUE", "pre_tokenizer.pattern.Regex");
    check_refused_json(normalizer(replace(R"({"String": ""})", "a")), "VALUE", "pattern.String: is empty");
    check_refused_json(normalizer(replace(R"({"String": "a"})", std::string(257, 'a'))), "LIMIT",
                       "normalizer.content: has 257 bytes");
    const auto sequence = [](const std::string& step, int n) {
        std::string steps = step;
        for (int i = 1; i < n; i++) steps += ", " + step;
        return R"({"type": "Sequence", "normalizers": [)" + steps + R"(], "pretokenizers": [)" + steps +
               R"(], "decoders": [)" + steps + "]}";
    };
    const std::string doubling = replace(R"({"String": "a"})", "aa");
    CHECK(tokenizer_of(normalizer(sequence(doubling, 10))).encode("a").offsets.front() == Span{0, 1});
    check_refused_json(normalizer(sequence(doubling, 11)), "LIMIT", "1024 times as long");
    check_refused_json(decoder(sequence(doubling, 11)), "LIMIT", "1024 times as long");
    check_refused_json(normalizer(sequence(R"({"type": "Prepend", "prepend": "aaa"})", 6)), "LIMIT",
                       "1024 times as long");
    check_refused_json(normalizer(sequence(R"({"type": "NFC"})", 65)), "LIMIT", "more than 64 steps");
    check_refused_json(pre_tokenizer(sequence(R"({"type": "Whitespace"})", 65)), "LIMIT", "more than 64 steps");
}

TEST_CASE("what normalisers make of a text has a limit", "[tokenizer_json][J12][J13]") {
    const std::string growing =
        R"({"type": "Sequence", "normalizers": [{"type": "Replace", "pattern": {"String": "a"}, "content": ")" +
        std::string(256, 'b') + R"("}, {"type": "Replace", "pattern": {"String": "b"}, "content": "cccc"}]})";
    const Tokenizer tokenizer = tokenizer_of(
        file_with(R"("normalizer": )" + growing + R"(, "added_tokens": [{"id": 1, "content": "<s>", "special": true}])",
                  R"({"type": "BPE", "vocab": {"c": 0, "<s>": 1}, "merges": []})"));
    CHECK(tokenizer.encode(std::string(60, 'a')).ids.size() == 60 * 1024);
    CHECK(tokenizer.encode(std::string(60, 'a')).n_truncated == 0);
    const Encoding cut = tokenizer.encode(std::string(20'000, 'a'));
    CHECK(cut.ids.size() <= 16 * 20'000 + 65'536);
    CHECK(cut.ids.size() > 16 * 20'000);
    CHECK(cut.n_truncated == 1);
    CHECK(cut.offsets.back().end <= 20'000);
    // Cut into pieces it may not become longer: each has what the others have left.
    std::string pieces;
    for (int i = 0; i < 20'000; i++) pieces += "a<s>";
    const Encoding many = tokenizer.encode(pieces, {.max_tokens = 100});
    CHECK(many.ids.size() == 100);
    CHECK(int64_t(many.ids.size()) + many.n_truncated <= 16 * 80'000 + 65'536 + 40'000);

    // A pre-tokenizer that makes words, and one that puts something before each of them: doubled each time.
    const auto doubled = [](int n) {
        std::string steps;
        for (int i = 0; i < n; i++) {
            steps += std::string(i > 0 ? ", " : "") + R"({"type": "Digits", "individual_digits": true}, )" +
                     R"({"type": "Metaspace", "replacement": ")" + std::to_string(i) + R"(", "split": false})";
        }
        return pre_tokenizer(R"({"type": "Sequence", "pretokenizers": [)" + steps + "]}");
    };
    CHECK_OK(tokenizer_of(doubled(4)).encode("9").ids.size() == 8);  // words of two digits
    check_refused_json(doubled(5), "LIMIT",
                       "pre_tokenizer.pretokenizers[9].type: could, with the steps before it, make "
                       "a text more than 16 times as long");
}

TEST_CASE("lists that name each other cannot fill the memory", "[tokenizer_json][J13]") {
    std::string special = R"({"SpecialToken": {"id": "x", "type_id": 0}})", ids = "4", names = R"("[S]")";
    for (int i = 1; i < 40; i++) {
        special += R"(, {"SpecialToken": {"id": "x", "type_id": 0}})";
        ids += ", 4";
        names += R"(, "[S]")";
    }
    check_refused_json(
        post_processor(R"({"type": "TemplateProcessing", "single": [)" + special +
                       R"(], "special_tokens": {"x": {"ids": [)" + ids + R"(], "tokens": [)" + names + "]}}}"),
        "LIMIT", "post_processor.single: puts more than 1024 tokens around a text");
    std::string bert = R"({"type": "BertProcessing", "sep": ["a", 1], "cls": ["a", 1]})", all = bert;
    for (int i = 0; i < 512; i++) all += ", " + bert;
    check_refused_json(post_processor(R"({"type": "Sequence", "processors": [)" + all + "]}"), "LIMIT", "1024 tokens");
    const std::string tokens =
        R"("added_tokens": [{"id": 5, "content": ")" + std::string(20000, 'x') + R"(", "normalized": )";
    const std::string longer = R"(}], "normalizer": {"type": "Replace", "pattern": {"String": "x"}, "content": ")" +
                               std::string(256, 'x') + "\"}";
    CHECK_NOTHROW(tokenizer_of(file_with(tokens + "false" + longer)));
    check_refused_json(file_with(tokens + "true" + longer), "LIMIT", "added_tokens[0].content");
}

TEST_CASE("what is not known is refused by its name", "[tokenizer_json]") {
    check_refused_json(normalizer(R"({"type": "ByteLevel"})"), "VALUE",
                       "field normalizer.type: is \"ByteLevel\", which is not read here; known: Sequence, NFC");
    check_refused_json(
        pre_tokenizer(R"({"type": "UnicodeScripts"})"), "VALUE",
        "field pre_tokenizer.type: is \"UnicodeScripts\", which is not read here; known: Sequence, ByteLevel");
    check_refused_json(
        pre_tokenizer(
            R"({"type": "Sequence", "pretokenizers": [{"type": "Whitespace"}, {"type": "CharDelimiterSplit"}]})"),
        "VALUE", "field pre_tokenizer.pretokenizers[1].type");
    check_refused_json(decoder(R"({"type": "CTC"})"), "VALUE", "field decoder.type: is \"CTC\"");
    check_refused_json(post_processor(R"({"type": "Other"})"), "VALUE", "field post_processor.type: is \"Other\"");
    check_refused_json(file_with("", R"({"type": "WordLevel", "vocab": {}})"), "VALUE",
                       "field model.type: is \"WordLevel\", which is not read here; known: BPE, WordPiece, Unigram");
    check_refused_json(file_with("", "{}"), "MISSING", "field model.type");
    check_refused_json(normalizer("{}"), "MISSING", "field normalizer.type");
    check_refused_json(normalizer("7"), "SYNTAX", "field normalizer: is 7, expected an object");
    check_refused_json(pre_tokenizer(R"({"type": "Punctuation", "behavior": "Other"})"), "VALUE",
                       "behavior: is \"Other\"");
    check_refused_json(
        pre_tokenizer(R"({"type": "Split", "pattern": {"String": "a"}, "behavior": "MergedWithNext", "invert": true})"),
        "VALUE", "invert");
    check_refused_json(pre_tokenizer(R"({"type": "Metaspace", "replacement": "__"})"), "VALUE",
                       "replacement: is \"__\", expected one character");
    check_refused_json(pre_tokenizer(R"({"type": "Metaspace", "replacement": "_", "prepend_scheme": "last"})"), "VALUE",
                       "prepend_scheme: is \"last\"");
    check_refused_json(
        pre_tokenizer(
            R"({"type": "Metaspace", "replacement": "_", "prepend_scheme": "first", "add_prefix_space": false})"),
        "VALUE", "add_prefix_space is false");
    check_refused_json(pre_tokenizer(R"({"type": "ByteLevel"})"), "VALUE",
                       "model.type: is \"WordPiece\", but the pre-tokenizer ByteLevel");
    check_refused_json(
        pre_tokenizer(R"({"type": "Sequence", "pretokenizers": [{"type": "ByteLevel"}, {"type": "Digits"}]})"), "VALUE",
        "behind ByteLevel");
}

// ---- damage ------------------------------------------------------------------------------------------------------------

TEST_CASE("cut and flipped files are refused, or encode within their bounds", "[tokenizer_json]") {
    const ScratchFolder folder;
    const std::string text = " ab <s>b\xff caf\xc3\xa9\xe2\x96\x81 12";
    const auto parse = [&](const Bytes& bytes) {
        const Tokenizer tokenizer(read_tokenizer_json(folder.write("tokenizer.json", bytes)));
        const Encoding got = tokenizer.encode(text);
        REQUIRE(got.offsets.size() == got.ids.size());
        for (size_t i = 0; i < got.ids.size(); i++) {
            REQUIRE(got.ids[i] >= 0);
            REQUIRE(got.ids[i] < tokenizer.n_ids());
            REQUIRE(got.offsets[i].begin <= got.offsets[i].end);
            REQUIRE(got.offsets[i].end <= text.size());
        }
        tokenizer.decode(got.ids);
    };
    const std::string added = R"("added_tokens":[{"id":0,"content":"<s>","lstrip":true,"special":true}],)";
    const std::string around = R"("post_processor":{"type":"RobertaProcessing","sep":["<s>",0],"cls":["<s>",0]},)";
    const std::vector<std::string> files = {
        "{" + added + around +
            R"("pre_tokenizer":{"type":"ByteLevel"},"decoder":{"type":"ByteLevel"},)"
            R"("model":{"type":"BPE","vocab":{"<s>":0,"a":1,"b":2,"ab":3},"merges":["a b"]}})",
        "{" + added +
            R"("normalizer":{"type":"BertNormalizer"},"pre_tokenizer":{"type":"BertPreTokenizer"},)"
            R"("decoder":{"type":"WordPiece","prefix":"##"},)"
            R"("model":{"type":"WordPiece","unk_token":"u","vocab":{"<s>":0,"u":1,"a":2,"##b":3}}})",
        "{" + added +
            R"("normalizer":{"type":"Replace","pattern":{"Regex":" {2,}"},"content":" "},)"
            R"("pre_tokenizer":{"type":"Metaspace","replacement":"_"},"decoder":{"type":"Metaspace","replacement":"_"},)"
            R"("model":{"type":"Unigram","unk_id":1,"vocab":[["<s>",0],["u",0],["_a",-1],["b",-2.5]]}})",
        "{" + added +
            R"("normalizer":{"type":"Prepend","prepend":"_"},)"
            R"("decoder":{"type":"Sequence","decoders":[{"type":"ByteFallback"},{"type":"Strip","content":" ","start":1,"stop":0}]},)"
            R"("model":{"type":"BPE","unk_token":"u","byte_fallback":true,"vocab":{"<s>":0,"u":1,"_":2,"a":3},"merges":[]}})",
    };
    for (const std::string& file : files) {
        const int n_refused = sweep(bytes_of(file), file.size(), {}, true, parse);
        CHECK(n_refused > int(file.size()));
    }
}

#ifndef __SANITIZE_ADDRESS__
TEST_CASE("a large vocabulary costs a few times the size of its file", "[tokenizer_json]") {
    std::string json = R"({"model":{"type":"Unigram","unk_id":0,"vocab":[["<unk>",0])";
    for (int i = 0; i < 60'000; i++) {
        json += ",\n      [\n        \"\\u2581piece" + std::to_string(i * 7919 % 60'000) + "\",\n        -" +
                std::to_string(8 + i % 7) + ".5123456789\n      ]";
    }
    json += "]}}";
    const ScratchFolder folder;
    const std::string path = folder.write("tokenizer.json", bytes_of(json));
    CHECK(added_kb([&] { read_tokenizer_json(path); }) < long(8 * json.size() / 1024 + 8192));
}
#endif
