// SentencePiece tokenizers against the library: golden texts, ids of encoders, decoding, hard texts, time.
#include <ctime>

#include "data/sentencepiece.h"
#include "data/sentencepiece_model.h"
#include "data/tokenizer.h"
#include "data/tokenizer_unigram.h"
#include "tests/golden/golden.h"
#include "tests/protobuf_samples.h"

using namespace koine;
using namespace koine::testing;
using nlohmann::json;

namespace {

const std::string kGolden = std::string(KOINE_SOURCE_DIR) + "/tests/golden/sentencepiece/";
const EncodeOptions kBare{.add_special = false};

Tokenizer tokenizer_of(const Bytes& model, SentencePieceIds ids = SentencePieceIds::plain) {
    const ScratchFolder scratch;
    return Tokenizer(read_sentencepiece(scratch.write("a.model", model), ids));
}

std::vector<std::string> tokens_of(const Tokenizer& tokenizer, std::string_view text) {
    std::vector<std::string> tokens;
    for (const int32_t id : tokenizer.encode(text, kBare).ids) tokens.push_back(tokenizer.token_of(id));
    return tokens;
}

std::vector<std::string> spans_of(const Tokenizer& tokenizer, const std::string& text) {
    std::vector<std::string> spans;
    for (const Span& span : tokenizer.encode(text, kBare).offsets)
        spans.push_back(text.substr(span.begin, span.end - span.begin));
    return spans;
}

/// Letters and "▁", each a piece, and what more is asked for.
Bytes letters(const Bytes& more) {
    Bytes out = sp_specials();
    for (char c = 'a'; c <= 'z'; c++) out = out + sp_piece(std::string(1, c), -5);
    return out + sp_piece("\u2581", -5) + more;
}

double cpu_seconds(const std::function<void()>& call) {
    const std::clock_t start = std::clock();
    call();
    return double(std::clock() - start) / CLOCKS_PER_SEC;
}

using Tokens = std::vector<std::string>;

}  // namespace

TEST_CASE("sentencepiece: small models give the library's ids and texts", "[data][sentencepiece][golden][T10]") {
    const json golden = koine::testing::golden("sentencepiece.json");
    for (const auto& [name, expected] : golden["models"].items()) {
        const Tokenizer tokenizer(read_sentencepiece(kGolden + name + ".model", SentencePieceIds::plain));
        size_t i = 0;
        for (; i < golden["texts"].size(); i++) {
            const std::string text = golden["texts"][i];
            INFO(name << ", text " << i << ": " << text);
            const Encoding found = tokenizer.encode(text);
            CHECK(json(found.ids) == expected["ids"][i]);
            CHECK_OK(tokenizer.decode(found.ids) == expected["decoded"][i]);
            for (size_t k = 0; k < found.ids.size(); k++) {
                CHECK(found.offsets[k].begin <= found.offsets[k].end);
                CHECK(found.offsets[k].end <= text.size());
                if (k > 0) CHECK(found.offsets[k - 1].begin <= found.offsets[k].begin);
            }
        }
        for (const json& ids : expected["lists"]) {
            INFO(name << ", ids " << ids.dump());
            CHECK(tokenizer.decode(ids.get<std::vector<int32_t>>()) == expected["decoded"][i++]);
        }
    }
}

TEST_CASE("sentencepiece: multilingual-e5's model gives the library's ids", "[data][sentencepiece][golden]") {
    const char* data = std::getenv("KOINE_DATA");
    const std::string folder = data ? data : "";
    const std::string model = folder + "/encoders/e5-multilingual/sentencepiece.bpe.model";
    std::ifstream in(folder + "/tokenizers/golden/xlmr-e5-pruned.jsonl");
    if (!data || !std::filesystem::exists(model) || !in) {
        SKIP_TEST("no encoders/e5-multilingual and tokenizers/golden in KOINE_DATA");
    }
    const Tokenizer plain(read_sentencepiece(model, SentencePieceIds::plain));
    const Tokenizer fairseq(read_sentencepiece(model, SentencePieceIds::xlm_roberta));
    int n = 0;
    for (std::string line; std::getline(in, line); n++) {
        const json row = json::parse(line);
        const std::string text = row["text"];
        INFO("row " << n << ": " << text);
        CHECK(json(plain.encode(text).ids) == row["sp_ids"]);
        CHECK(json(fairseq.encode(text, kBare).ids) == row["sp_ids_fairseq"]);
    }
    CHECK(n == 244);
    CHECK(fairseq.n_ids() == 50454);
    CHECK(fairseq.token_of(50453) == "<mask>");
}

TEST_CASE("sentencepiece: the ids of XLM-RoBERTa and CamemBERT", "[data][sentencepiece]") {
    const Bytes model = letters(sp_piece("\u2581ab", -1));  // 31 pieces; "a" is the fourth
    const Tokenizer plain = tokenizer_of(model);
    CHECK(plain.encode("ab c").ids == std::vector<int32_t>{30, 29, 5});
    CHECK_FALSE(plain.pad_id().has_value());

    const Tokenizer xlm = tokenizer_of(model, SentencePieceIds::xlm_roberta);
    CHECK(xlm.encode("ab c?").ids == std::vector<int32_t>{0, 31, 30, 6, 3, 2});
    CHECK(xlm.encode("ab").is_special == std::vector<uint8_t>{1, 0, 1});
    CHECK(xlm.n_ids() == 33);
    CHECK(Tokens{xlm.token_of(0), xlm.token_of(1), xlm.token_of(2), xlm.token_of(3), xlm.token_of(4),
                 xlm.token_of(32)} == Tokens{"<s>", "<pad>", "</s>", "<unk>", "a", "<mask>"});
    CHECK(xlm.pad_id() == 1);
    CHECK(xlm.decode(xlm.encode("ab c?").ids) == "ab c \u2047 ");
    CHECK(xlm.decode(std::vector<int32_t>{0, 31, 1, 32, 2}) == "ab");

    const Tokenizer camembert = tokenizer_of(model, SentencePieceIds::camembert);
    CHECK(camembert.encode("ab c?").ids == std::vector<int32_t>{5, 34, 33, 9, 3, 6});
    CHECK(camembert.n_ids() == 36);
    Tokens first;
    for (int32_t id = 0; id < 8; id++) first.push_back(camembert.token_of(id));
    CHECK(first == Tokens{"<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED", "<s>", "</s>", "a"});
    CHECK(camembert.token_of(35) == "<mask>");
    CHECK(camembert.pad_id() == 1);
    CHECK(camembert.decode(std::vector<int32_t>{5, 34, 0, 1, 2, 4, 35, 6}) == "ab");

    // A piece that has the name of an added token is that token.
    const Tokenizer masked = tokenizer_of(letters(sp_piece("<mask>", 0, 4)), SentencePieceIds::xlm_roberta);
    CHECK(masked.encode("a<mask>", kBare).ids == std::vector<int32_t>{30, 4, 32});
    CHECK(tokenizer_of(letters(sp_piece("<pad>", 0, 3))).pad_id() == 30);
}

TEST_CASE("sentencepiece: special tokens that are written out are text", "[data][sentencepiece]") {
    const Bytes signs = sp_piece("<", -5) + sp_piece(">", -5) + sp_piece("/", -5) + sp_piece("<sep>", 0, 4);
    for (const uint64_t algorithm : {1, 2}) {
        const Tokenizer tokenizer = tokenizer_of(letters(signs) + sp_trainer(proto_whole(3, algorithm)));
        CHECK(tokens_of(tokenizer, "a<s>") == Tokens{"\u2581", "a", "<", "s", ">"});
        CHECK(tokens_of(tokenizer, "</s>") == Tokens{"\u2581", "<", "/", "s", ">"});
        CHECK(tokens_of(tokenizer, "a<sep>b") == Tokens{"\u2581", "a", "<sep>", "b"});  // user-defined
        CHECK(tokenizer.id_of("</s>") == 2);
    }
}

TEST_CASE("sentencepiece: where tokens come from", "[data][sentencepiece]") {
    const auto table = charsmap_bytes(
        [] {
            std::vector<uint32_t> units(256);
            units[0] = 1 << 10;  // the root's children are at 1 ^ byte
            units[1 ^ 'Q'] = 'Q' | 256 | uint32_t(1 ^ 'Q' ^ 8) << 10;
            units[8] = 1u << 31;
            return units;
        }(),
        std::string("quu\0", 4));
    const Tokenizer tokenizer =
        tokenizer_of(letters(sp_piece("\u2581qu", -1) + sp_piece("ab", -1)) + sp_normalizer(proto_bytes(2, table)));
    CHECK(tokens_of(tokenizer, "  Q  abc!? ") == Tokens{"\u2581qu", "u", "\u2581", "ab", "c", "<unk>"});
    CHECK(spans_of(tokenizer, "  Q  abc!? ") == Tokens{"Q", "Q", " ", "ab", "c", "!?"});
    const Encoding unicode = tokenizer.encode("a\u00e9\u65e5b");
    CHECK(unicode.offsets == std::vector<Span>{{0, 1}, {0, 1}, {1, 6}, {6, 7}});  // "▁" stands with its neighbour

    Bytes bytes = letters({}) + sp_trainer(proto_whole(35, 1));
    for (int byte = 0; byte < 256; byte++) bytes = bytes + sp_piece(byte_piece(uint8_t(byte)), 0, 6);
    const Tokenizer fallback = tokenizer_of(bytes);
    CHECK(tokens_of(fallback, "a\u00e9") == Tokens{"\u2581", "a", "<0xC3>", "<0xA9>"});
    CHECK(spans_of(fallback, "a\u00e9") == Tokens{"a", "a", "\u00e9", "\u00e9"});
}

TEST_CASE("sentencepiece: bytes that are no text become U+FFFD and back", "[data][sentencepiece][J12]") {
    const Tokenizer tokenizer(read_sentencepiece(kGolden + "unigram_bytes.model", SentencePieceIds::plain));
    CHECK_OK(tokenizer.encode("a\xff\xc3").ids == tokenizer.encode("a\ufffd\ufffd").ids);
    CHECK(tokenizer.encode("\xed\xa0\x80").ids == tokenizer.encode("\ufffd\ufffd\ufffd").ids);  // a lone surrogate
    const auto byte = [&](int b) { return *tokenizer.id_of(byte_piece(uint8_t(b))); };
    CHECK(tokenizer.decode(std::vector<int32_t>{byte(0xe2), byte(0x96), byte(0x81), byte(0xe2), byte('a')}) ==
          "\u2581\ufffda");
    CHECK_ERROR(tokenizer.decode(std::vector<int32_t>{int32_t(tokenizer.n_ids())}), ValueError,
                "outside the vocabulary");
}

TEST_CASE("sentencepiece: long texts take their time once", "[data][sentencepiece][J12]") {
    const size_t kBytes = 1'000'000;
    std::string emoji, spaces(kBytes, ' ');
    while (emoji.size() < kBytes) emoji += "\U0001f600";
    for (const char* name : {"unigram_nfkc", "unigram_spaces", "bpe_bytes"}) {
        const Tokenizer tokenizer(read_sentencepiece(kGolden + name + ".model", SentencePieceIds::plain));
        for (const std::string& text : {std::string(kBytes, 'a'), std::string(kBytes, '0'), emoji, spaces}) {
            Encoding found;
            const double seconds = cpu_seconds([&] { found = tokenizer.encode(text); });
            INFO(name << ", " << text.substr(0, 4) << "...: " << seconds << " s");
            CHECK(found.ids.size() <= 4 * kBytes);
            CHECK((found.offsets.empty() || found.offsets.back().end <= text.size()));
#ifndef __SANITIZE_ADDRESS__
            CHECK(seconds < 2);  // measured: 0.1 to 0.6
#endif
        }
    }
}

TEST_CASE("sentencepiece: BPE takes the pair with the largest score, the leftmost first", "[data][sentencepiece]") {
    const auto bpe = [](const Bytes& pieces) {
        return tokenizer_of(pieces + sp_trainer(proto_whole(3, 2)) + sp_normalizer(proto_whole(3, 0)));
    };
    const Bytes more = sp_piece("ab", -2) + sp_piece("bc", -1) + sp_piece("abc", -3) + sp_piece("aa", -1);
    CHECK(tokens_of(bpe(letters(more)), "abcd") == Tokens{"abc", "d"});
    CHECK(tokens_of(bpe(letters(sp_piece("ab", -2) + sp_piece("bc", -1))), "abcd") == Tokens{"a", "bc", "d"});
    CHECK(tokens_of(bpe(letters(more)), "aaa") == Tokens{"aa", "a"});
    // An unused piece is a step on the way; left over, it falls apart.
    const Bytes unused = sp_piece("ab", -1, 5) + sp_piece("abc", -2);
    CHECK(tokens_of(bpe(letters(unused)), "abc") == Tokens{"abc"});
    CHECK(tokens_of(bpe(letters(unused)), "abd") == Tokens{"a", "b", "d"});
    CHECK(tokens_of(bpe(letters(sp_piece("!", -1, 5))), "a!") == Tokens{"a", "<unk>"});
}

TEST_CASE("unigram: ties and unknown characters, as tokenizer.json's own library has them", "[data][unigram]") {
    const std::vector<std::string> pieces = {"<unk>", "a", "b", "ab", "ba", "<0xC3>", "<0xA9>"};
    const std::vector<double> scores = {0, -1, -1, -2, -2, 0, 0};
    const auto found = [&](std::string_view text, bool byte_fallback) {
        std::vector<Piece> list;
        make_unigram(pieces, scores, 0, byte_fallback, "tokenizer.json")->encode(text, list);
        json out = json::array();
        for (const Piece& piece : list) out.push_back({piece.id, piece.begin, piece.end});
        return out;
    };
    CHECK(found("", false) == json::array());
    CHECK(found("ab", false) == json({{3, 0, 2}}));              // as good as "a" "b", and found first
    CHECK(found("aba", false) == json({{1, 0, 1}, {4, 1, 3}}));  // as good as "ab" "a", whose last piece begins later
    CHECK(found("a!?b", false) == json({{1, 0, 1}, {0, 1, 3}, {2, 3, 4}}));
    CHECK(found("<unk>", false) == json({{0, 0, 5}}));
    CHECK(found("a\u00e9", true) == json({{1, 0, 1}, {5, 1, 3}, {6, 1, 3}}));
    CHECK(found("a\u00e8", true) == json({{1, 0, 1}, {0, 1, 3}}));  // one of its bytes has no piece
}
