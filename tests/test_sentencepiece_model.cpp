// SentencePiece models that are wrong, and the table of their normaliser.
#include <cmath>
#include <limits>

#include "data/charsmap.h"
#include "data/sentencepiece.h"
#include "data/sentencepiece_parts.h"
#include "data/tokenizer_unigram.h"
#include "tests/protobuf_samples.h"

using namespace koine;
using namespace koine::testing;

namespace {

/// Reads a model that is made of these bytes.
TokenizerParts read(const Bytes& bytes, SentencePieceIds ids = SentencePieceIds::plain) {
    const ScratchFolder scratch;
    return read_sentencepiece(scratch.write("a.model", bytes), ids);
}

void refuses(const Bytes& bytes, const std::string& kind, const std::string& part,
             SentencePieceIds ids = SentencePieceIds::plain) {
    CHECK(kind_of([&] { read(bytes, ids); }) == kind);
    CHECK_ERROR(read(bytes, ids), DataError, part);
}

Bytes byte_pieces(int n) {
    Bytes out;
    for (int byte = 0; byte < n; byte++) out = out + sp_piece(byte_piece(uint8_t(byte)), 0, 6);
    return out;
}

const Bytes kByteFallback = sp_trainer(proto_whole(35, 1));

/// A trie of the normaliser with the rules "a" -> replacements from byte `a_value` on, "ab" -> from `ab_value` on.
std::vector<uint32_t> two_rules(uint32_t a_value, uint32_t ab_value) {
    // Slot: byte that leads here | 256 if a rule ends here | (slot ^ base) << 10. All children of a node have its base.
    std::vector<uint32_t> units(256);
    const auto set = [&](uint32_t slot, uint32_t byte, bool ends, uint32_t base) {
        units[slot] = byte | (ends ? 256 : 0) | (slot ^ base) << 10;
    };
    set(0, 0, false, 1);
    set(1 ^ 'a', 'a', true, 8);
    units[8] = 1u << 31 | a_value;
    set(8 ^ 'b', 'b', true, 16);
    units[16] = 1u << 31 | ab_value;
    return units;
}

const std::string kTwo("x\0\xc3\xa9y\0", 6);

CharsMap map_of(const Bytes& bytes) { return CharsMap(bytes, "a.model", 1000); }

void refuses_map(const Bytes& bytes, const std::string& kind, const std::string& part) {
    CHECK(kind_of([&] { map_of(bytes); }) == kind);
    CHECK_ERROR(map_of(bytes), DataError, part);
}

}  // namespace

TEST_CASE("sentencepiece model: what is no model at all", "[data][sentencepiece][T9]") {
    refuses({}, "MISSING", "a.model: holds no pieces");
    refuses(bytes_of("version https://git-lfs.github.com/spec/v1\noid sha256:00\n"), "MAGIC", "is a Git LFS pointer");
    refuses(bytes_of("<!DOCTYPE html><html>"), "MAGIC", "expected a SentencePiece model");
    refuses(bytes_of("{\"version\": \"1.0\"}"), "MAGIC", "is JSON");
    refuses(bytes_of(std::string(100, '\xff')), "OVERFLOW", "more than 64 bits");
    check_refused([] { read_sentencepiece("/nowhere/a.model", SentencePieceIds::plain); }, "IO", "/nowhere/a.model");
    const ScratchFolder scratch;
    CHECK(kind_of([&] { read_sentencepiece(scratch.path, SentencePieceIds::plain); }) == "IO");
}

TEST_CASE("sentencepiece model: only Unigram and BPE", "[data][sentencepiece][T9]") {
    const Bytes pieces = sp_specials() + sp_piece("a", -1);
    CHECK(read(pieces + sp_trainer(proto_whole(3, 1))).description.find("Unigram") != std::string::npos);
    CHECK_OK(read(pieces + sp_trainer(proto_whole(3, 2))).description.find("BPE") != std::string::npos);
    CHECK(read(pieces).description == "SentencePiece Unigram, 4 tokens (a.model)");
    refuses(pieces + sp_trainer(proto_whole(3, 3)), "DTYPE", "a model of words");
    refuses(pieces + sp_trainer(proto_whole(3, 4)), "DTYPE", "a model of characters");
    refuses(pieces + sp_trainer(proto_whole(3, 99)), "DTYPE", "model_type is 99");
    refuses(pieces + sp_trainer(proto_text(3, "bpe")), "DTYPE", "field 3 (model_type) has wire type 2");
}

TEST_CASE("sentencepiece model: pieces that do not fit together", "[data][sentencepiece][T3][A22]") {
    refuses(sp_specials() + sp_piece("", -1), "VALUE", "piece 3 is empty");
    refuses(sp_specials() + sp_piece("a", -1) + sp_piece("a", -2), "DUP", "piece 4 ('a') occurs twice");
    refuses(sp_specials() + sp_piece("<s>", -1), "DUP", "piece 3 ('<s>') occurs twice");
    refuses(sp_piece("a", -1), "VALUE", "no piece is of type unknown");
    refuses(sp_specials() + sp_piece("<unk2>", 0, 2), "VALUE", "piece 3 ('<unk2>') is the second of type unknown");
    refuses(sp_specials() + sp_piece(std::string_view("a\0b", 3), -1), "VALUE", "piece 3 holds a NUL");
    refuses(sp_specials() + sp_piece("a\xff", -1), "UTF8", "piece 3 is not UTF-8");
    refuses(sp_specials() + sp_trainer(proto_text(44, "\xff")), "UTF8", "unk_surface is not UTF-8");
    // Without control pieces a model is one all the same, unless the encoder puts them around its texts.
    const Bytes bare = sp_piece("<unk>", 0, 2) + sp_piece("a", -1);
    CHECK_OK(read(bare).around.before.empty());
    for (const auto ids : {SentencePieceIds::xlm_roberta, SentencePieceIds::camembert}) {
        refuses(bare, "VALUE",
                "piece 1: is \"a\", but the ids of this encoder are for models that begin with <unk>, <s>", ids);
        refuses(sp_piece("<unk>", 0, 2), "VALUE", "piece 1: is missing", ids);
        refuses(sp_piece("<s>", 0, 3) + sp_piece("<unk>", 0, 2), "VALUE", "piece 0: is \"<s>\"", ids);
        refuses(sp_piece("<unk>", 0, 2) + sp_piece("<s>", 0), "VALUE", "piece 1: is \"<s>\"", ids);
    }
}

TEST_CASE("sentencepiece model: scores and types", "[data][sentencepiece][T4]") {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    refuses(sp_specials() + sp_piece("a", std::nanf("")), "VALUE", "piece 3 ('a') has the score");
    refuses(sp_specials() + sp_piece("a", kInfinity), "VALUE", "has the score inf, expected a finite one");
    refuses(sp_specials() + sp_piece("a", -kInfinity), "VALUE", "has the score -inf");
    refuses(sp_specials() + proto_bytes(1, proto_text(1, "a")), "VALUE", "piece 3 ('a') has no score");
    refuses(sp_specials() + sp_piece("a", -1, 99), "VALUE", "piece 3 ('a') has type 99, expected 1 to 6");
    refuses(sp_specials() + sp_piece("a", -1, 0), "VALUE", "has type 0");
    refuses(sp_specials() + sp_piece("a", -1, UINT64_MAX), "VALUE", "has type -1");
    // Scores at the ends of what there is: sums overflow, and nothing else happens.
    constexpr float kLargest = std::numeric_limits<float>::max();
    const auto parts =
        read(sp_specials() + sp_piece("a", -kLargest) + sp_piece("b", kLargest) + sp_piece("aa", -kLargest));
    std::vector<Piece> found;
    parts.model->encode("aabbccaab", found);
    REQUIRE_FALSE(found.empty());
    CHECK_OK(found.back().end == 9);
}

TEST_CASE("sentencepiece model: bytes are all there, or none is", "[data][sentencepiece][T5]") {
    const Bytes pieces = sp_specials() + sp_piece("a", -1);
    refuses(pieces + byte_pieces(1), "VALUE", "piece 4 ('<0x00>') is a byte, but the model states no byte_fallback");
    refuses(pieces + kByteFallback, "VALUE", "states byte_fallback, but has only 0 of the 256");
    refuses(pieces + kByteFallback + byte_pieces(255), "VALUE", "has only 255 of the 256");
    refuses(pieces + kByteFallback + byte_pieces(256) + sp_piece("<0xZZ>", 0, 6), "VALUE",
            "expected a name from <0x00>");
    CHECK_OK(read(pieces + kByteFallback + byte_pieces(256)).model->n_ids() == 260);
}

TEST_CASE("sentencepiece model: pieces of any length up to 4 KiB", "[data][sentencepiece][T6][A22]") {
    refuses(sp_specials() + sp_piece(std::string(100'000, 'a'), -1), "LIMIT", "piece 3 has 100000 bytes, at most 4096");
    refuses(sp_specials() + sp_piece(std::string(4097, 'a'), -1), "LIMIT", "piece 3 has 4097 bytes");
    for (const uint64_t algorithm : {1, 2}) {
        const auto parts = read(sp_specials() + sp_piece(std::string(4096, 'a'), -1) + sp_piece("a", -2) +
                                sp_trainer(proto_whole(3, algorithm)));
        std::vector<Piece> found;
        parts.model->encode(std::string(4097, 'a'), found);
        CHECK_OK(found.size() == (algorithm == 1 ? 2 : 4097));  // BPE has no way to get there
    }
}

TEST_CASE("sentencepiece model: a hundred pieces that begin alike", "[data][sentencepiece][T8][A22]") {
    Bytes bytes = sp_specials();
    for (size_t n = 1; n <= 100; n++) bytes = bytes + sp_piece(std::string(n, 'a'), -1, n % 2 == 0 ? 4 : 1);
    for (const uint64_t algorithm : {1, 2}) {
        const auto parts = read(bytes + sp_trainer(proto_whole(3, algorithm)));
        std::vector<Piece> found;
        parts.model->encode(std::string(100, 'a'), found);
        REQUIRE(found.size() == 1);
        CHECK_OK(found[0].id == 102);
        SourcedText text(std::string(101, 'a'));
        parts.normalizers[0]->apply(text);
        CHECK(text.text() == "\u2581" + std::string(101, 'a'));
    }
}

TEST_CASE("sentencepiece model: every cut, many bits", "[data][sentencepiece][A11]") {
    const Bytes bytes = sp_specials() + sp_piece("ab", -1) + sp_piece("\u2581", -2) + sp_piece("<x>", 0, 4) +
                        sp_trainer(proto_whole(3, 2)) + sp_normalizer(proto_text(1, "identity") + proto_whole(3, 0)) +
                        proto_bytes(4, proto_text(1, "self-test"));
    const int n_refused = sweep(bytes, bytes.size(), {}, false, [](const Bytes& damaged) {
        const SentencePieceModel model = parse_sentencepiece_model(damaged, "a.model");
        SourcedText text("ab <x> \xc3\xa9");
        SentencePieceNormalizer(model).apply(text);
        REQUIRE(text.size() >= 8);
    });
    CHECK(n_refused > 300);
}

#ifndef __SANITIZE_ADDRESS__
TEST_CASE("sentencepiece model: a file does not take much more memory than it has bytes",
          "[data][sentencepiece][J12]") {
    // Nodes with sixteen children each, two of which fit into a block of 256 slots only where they do not meet.
    const ScratchFolder scratch;
    Bytes bytes = sp_specials();
    for (uint32_t i = 0; i < 60'000; i++) {
        std::string text = "xxx";
        for (int k = 0; k < 3; k++) text[size_t(k)] = char('0' + (i >> (4 * k)) % 16);
        text += char('a' + (i >> 12));
        const Bytes piece = sp_piece(text, -1);
        bytes.insert(bytes.end(), piece.begin(), piece.end());
    }
    const std::string path = scratch.write("a.model", bytes);
    const long kb = added_kb([&] { read_sentencepiece(path, SentencePieceIds::plain); });
    CHECK(kb < long(20 * bytes.size() / 1024 + 16 * 1024));
}
#endif

TEST_CASE("charsmap: rules are found", "[data][charsmap]") {
    const CharsMap map = map_of(charsmap_bytes(two_rules(0, 2), kTwo));
    CHECK(map.longest("abc").length == 2);
    CHECK(map.longest("abc").replacement == "\u00e9y");
    CHECK(map.longest("aab").replacement == "x");
    CHECK(map.longest("ba").length == 0);
    CHECK(map.longest("").length == 0);
    CHECK(map.shortest("abc").length == 1);
    CHECK(map.shortest("abc").replacement == "x");
    CHECK(map.plain_prefix("bcd efa", ' ') == 3);
    CHECK(map.plain_prefix("bcdaef", ' ') == 3);
    CHECK(map.plain_prefix("bc\u00e9", ' ') == 1);  // the accent may belong to the c
    CHECK(CharsMap().longest("abc").length == 0);
    // A value may lead into a replacement, and to its end.
    CHECK(map_of(charsmap_bytes(two_rules(4, 5), kTwo)).longest("aa").replacement == "y");
    CHECK(map_of(charsmap_bytes(two_rules(4, 5), kTwo)).longest("ab").replacement.empty());
}

TEST_CASE("charsmap: damaged tables", "[data][charsmap][T7][A22]") {
    const std::vector<uint32_t> good = two_rules(0, 2);
    refuses_map({}, "TRUNC", "byte 1000: the file ends inside the size of the normaliser's trie");
    refuses_map(Bytes(3), "TRUNC", "wanted 4 bytes, 3 are left");
    refuses_map(Bytes(4), "SHAPE", "the normaliser's trie has 0 bytes, expected a multiple of 1024");
    refuses_map(charsmap_bytes(std::vector<uint32_t>(255), ""), "SHAPE", "has 1020 bytes");
    refuses_map(Bytes{0, 0xfc, 0xff, 0xff} + Bytes(100), "LIMIT", "is 4294966272, but only 100 bytes are left");
    // Jumps out of the trie: from the root, from a slot, from one that no text leads to.
    for (const uint32_t slot : {0u, uint32_t(1 ^ 'a'), 200u}) {
        auto units = good;
        units[slot] |= 1u << 20;
        refuses_map(charsmap_bytes(units, kTwo), "OFFSET",
                    "slot " + std::to_string(slot) + " of the normaliser's trie leads");
        units[slot] |= 1u << 9;  // shifted by eight bits more
        refuses_map(charsmap_bytes(units, kTwo), "OFFSET", "leads to slot");
    }
    auto value_as_root = good;
    value_as_root[0] = 1u << 31 | 1u << 20;
    refuses_map(charsmap_bytes(value_as_root, kTwo), "OFFSET", "slot 0 of the normaliser's trie leads to slot 1024");
    refuses_map(charsmap_bytes(two_rules(0, 6), kTwo), "OFFSET", "leads to byte 6 of 6 bytes of replacements");
    refuses_map(charsmap_bytes(two_rules(0, 0x7fffffff), kTwo), "OFFSET", "leads to byte 2147483647 of 6");
    refuses_map(charsmap_bytes(two_rules(3, 2), kTwo), "OFFSET", "leads to byte 3 of 6");  // inside a character
    refuses_map(charsmap_bytes(good, ""), "OFFSET", "leads to byte 0 of 0");
    refuses_map(charsmap_bytes(good, "x"), "TRUNC", "the last replacement does not end in a NUL");
    refuses_map(charsmap_bytes(good, std::string("x\0\xff\0", 4)), "UTF8", "byte 2030: a replacement is not UTF-8");
    refuses_map(charsmap_bytes(good, std::string(257, 'x') + '\0'), "LIMIT", "a replacement is longer than 256 bytes");
    map_of(charsmap_bytes(two_rules(0, 0), std::string(256, 'x') + '\0'));

    // A trie that leads back to itself: the walk ends, and nothing is replaced that is longer than a rule can be.
    auto loop = good;
    loop[8 ^ 'b'] = 'b' | 256 | uint32_t((8 ^ 'b') ^ 8) << 10;
    const CharsMap map = map_of(charsmap_bytes(loop, kTwo));
    CHECK(map.longest("a" + std::string(100'000, 'b')).length == CharsMap::kMaxRule);
}

TEST_CASE("charsmap: every cut, every bit of the trie", "[data][charsmap][T7]") {
    const Bytes bytes = charsmap_bytes(two_rules(0, 2), kTwo);
    CHECK(sweep(bytes, bytes.size(), {{0, 4, false}}, true, [](const Bytes& damaged) {
              const CharsMap map = map_of(damaged);
              for (const char* text : {"abab", "b", "\xff\x01", ""}) {
                  REQUIRE(map.longest(text).replacement.size() <= CharsMap::kMaxRule);
                  REQUIRE(map.shortest(text).length <= map.longest(text).length);
              }
          }) > 1000);
}

TEST_CASE("unigram: what it refuses", "[data][unigram][J9]") {
    const auto refused = [](std::vector<std::string> pieces, std::vector<double> scores, std::optional<int64_t> unk,
                            const std::string& kind, const std::string& part) {
        CHECK(kind_of([&] { make_unigram(pieces, scores, unk, false, "tokenizer.json"); }) == kind);
        CHECK_ERROR(make_unigram(pieces, scores, unk, false, "tokenizer.json"), DataError, part);
    };
    refused({"<unk>", "a"}, {0}, 0, "SHAPE", "tokenizer.json: 2 pieces, but 1 scores");
    refused({}, {}, 0, "MISSING", "has no pieces");
    refused({"<unk>"}, {0}, std::nullopt, "MISSING", "has no unk_id");
    refused({"<unk>"}, {0}, 1, "VALUE", "unk_id is 1, but there are 1 pieces");
    refused({"<unk>"}, {0}, -1, "VALUE", "unk_id is -1");
    refused({"<unk>", "a"}, {0, HUGE_VAL}, 0, "VALUE", "the score of piece 1 is not finite");
    refused({"<unk>", "a", "a"}, {0, -1, -2}, 0, "DUP", "occurs twice");
    refused({"<unk>", std::string(4097, 'a')}, {0, -1}, 0, "LIMIT", "piece 1 has 4097 bytes");
}
