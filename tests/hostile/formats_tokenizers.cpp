// Tokenizers: every file of every family, in the folder that the program is given.
#include "data/tokenizer.h"
#include "tests/hostile/formats.h"
#include "tests/protobuf_samples.h"

namespace koine::testing {
namespace {

using Files = std::vector<std::pair<std::string, Bytes>>;

void use(const std::string& folder) {
    const Tokenizer tokenizer = Tokenizer::load(folder);
    const Encoding found = tokenizer.encode(" ab <s>b\xff caf\xc3\xa9\xe2\x96\x81 12 <q>");
    tokenizer.decode(found.ids);
    for (const int32_t id : found.ids) tokenizer.token_of(id);
}

// ---- folders ------------------------------------------------------------------------------------------------------

const Files kBpe = {
    {"vocab.json",
     bytes_of("{\"<s>\":0,\"<pad>\":1,\"</s>\":2,\"<unk>\":3,\"a\":4,\"b\":5,\"ab\":6,\"\xc4\xa0\":7,\"\xc4\xa0"
              "a\":8,\"<mask>\":9}")},
    {"merges.txt", bytes_of("#version: 0.2\na b\n\xc4\xa0 a\n")},
    {"tokenizer_config.json",
     bytes_of(R"({"tokenizer_class":"RobertaTokenizer","model_max_length":512,"added_tokens_decoder":{"30":)"
              R"({"content":"<q>","lstrip":true}}})")}};
const Files kWordPiece = {
    {"vocab.txt", bytes_of("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\ncaf\xc3\xa9\n1\n##2\n")},
    {"special_tokens_map.json", bytes_of(R"({"mask_token":{"content":"[MASK]","rstrip":false},"unk_token":"[UNK]"})")},
    {"added_tokens.json", bytes_of(R"({"<q>":10,"<r>":11})")},
    {"config.json", bytes_of(R"({"model_type":"bert"})")}};

Bytes sentencepiece_model() {
    return sp_specials() + sp_piece("ab", -1) + sp_piece("\u2581", -2) +
           sp_piece(
               "\u2581"
               "a",
               -1.5f) +
           sp_piece("<x>", 0, 4) + sp_trainer(proto_whole(3, 1)) +
           sp_normalizer(proto_text(1, "identity") +
                         proto_bytes(2, charsmap_bytes(std::vector<uint32_t>(256), std::string(1, 0))) +
                         proto_whole(3, 0)) +
           proto_bytes(4, proto_text(1, "self-test"));
}
/// Tags, lengths and numbers are bytes: each of them at every value that a byte has at its extremes.
std::vector<LengthField> every_byte(const Bytes& bytes) {
    std::vector<LengthField> fields;
    for (size_t at = 0; at < bytes.size(); at++) fields.push_back({at, 1, false});
    return fields;
}

// ---- tokenizer.json -----------------------------------------------------------------------------------------------

const std::string kAdded =
    R"({"truncation":{"max_length":8,"stride":2},"added_tokens":[{"id":0,"content":"<s>","lstrip":true,"special":true}],)";
const std::string kBpeJson = kAdded +
                             R"("post_processor":{"type":"RobertaProcessing","sep":["<s>",0],"cls":["<s>",0]},)"
                             R"("pre_tokenizer":{"type":"ByteLevel"},"decoder":{"type":"ByteLevel"},)"
                             R"("model":{"type":"BPE","vocab":{"<s>":0,"a":1,"b":2,"ab":3},"merges":["a b"]}})";
const std::string kWordPieceJson =
    kAdded + R"("normalizer":{"type":"BertNormalizer"},"pre_tokenizer":{"type":"BertPreTokenizer"},)"
             R"("decoder":{"type":"WordPiece","prefix":"##"},)"
             R"("model":{"type":"WordPiece","unk_token":"u","vocab":{"<s>":0,"u":1,"a":2,"##b":3}}})";
const std::string kUnigramJson =
    kAdded +
    R"("normalizer":{"type":"Sequence","normalizers":[{"type":"NFKC"},)"
    R"({"type":"Replace","pattern":{"Regex":" {2,}"},"content":" "}]},)"
    R"("pre_tokenizer":{"type":"Metaspace","replacement":"_"},"decoder":{"type":"Metaspace","replacement":"_"},)"
    R"("model":{"type":"Unigram","unk_id":1,"vocab":[["<s>",0],["u",0],["_a",-1],["b",-2.5]]}})";

/// The row of one file of a folder; the others are beside it.
Format file_of(const std::string& name, const Files& files, const std::string& file) {
    Format format{.name = name, .file = file, .good = {}, .load = use};
    for (const auto& [other, bytes] : files) {
        if (other == file) {
            format.good = bytes;
        } else {
            format.beside.push_back({other, bytes});
        }
    }
    // A cut list of tokens is a smaller one; cut JSON never is.
    format.refuses_cuts = file.ends_with(".json");
    format.may_be_missing = file != "vocab.json" && file != "vocab.txt" && file != "merges.txt";
    return format;
}

Format tokenizer_json(const std::string& model, const std::string& text) {
    return {.name = "tokenizer.json, " + model, .file = "tokenizer.json", .good = bytes_of(text), .load = use};
}

}  // namespace

std::vector<Format> tokenizer_formats() {
    const Bytes model = sentencepiece_model();
    const Files xlm = {{"sentencepiece.bpe.model", model},
                       {"tokenizer_config.json", bytes_of(R"({"tokenizer_class":"XLMRobertaTokenizer"})")}};
    Format sentencepiece = file_of("SentencePiece .model", xlm, "sentencepiece.bpe.model");
    sentencepiece.fields = every_byte(model);
    sentencepiece.may_be_missing = false;
    return {
        tokenizer_json("BPE", kBpeJson),
        tokenizer_json("WordPiece", kWordPieceJson),
        tokenizer_json("Unigram", kUnigramJson),
        file_of("vocab.json", kBpe, "vocab.json"),
        file_of("merges.txt", kBpe, "merges.txt"),
        file_of("tokenizer_config.json", kBpe, "tokenizer_config.json"),
        file_of("vocab.txt", kWordPiece, "vocab.txt"),
        file_of("special_tokens_map.json", kWordPiece, "special_tokens_map.json"),
        file_of("added_tokens.json", kWordPiece, "added_tokens.json"),
        file_of("config.json beside a vocabulary", kWordPiece, "config.json"),
        sentencepiece,
        file_of("tokenizer_config.json, SentencePiece", xlm, "tokenizer_config.json"),
    };
}

}  // namespace koine::testing
