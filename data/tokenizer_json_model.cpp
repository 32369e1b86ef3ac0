// BPE, WordPiece and Unigram of a tokenizer.json; see tokenizer_json_model.h.
#include "data/tokenizer_json_model.h"

#include "data/tokenizer_bpe.h"
#include "data/tokenizer_json_steps.h"
#include "data/tokenizer_unigram.h"
#include "data/tokenizer_wordpiece.h"

namespace koine {
namespace {

std::string item(const char* array, size_t i) { return array + ("[" + std::to_string(i) + "]"); }

// {"token": id, ...}
Vocabulary read_vocabulary(const JsonObject& o) {
    const JsonObject vocabulary = o.object("vocab");
    std::vector<std::pair<std::string, int64_t>> entries;
    entries.reserve(vocabulary.json().size());
    for (const auto& [token, id] : vocabulary.json().items()) {
        entries.emplace_back(token, vocabulary.whole(token, 0, INT32_MAX));
    }
    return Vocabulary(std::move(entries), o.file());
}

// ["a b", ...], or ["a", "b"] for each of them, which newer files have because a token may hold a space.
std::vector<Bpe::Merge> read_merges(const JsonObject& o) {
    const Json& merges = o.array("merges");
    std::vector<Bpe::Merge> out;
    out.reserve(merges.size());
    for (size_t i = 0; i < merges.size(); i++) {
        const Json& merge = merges[i];
        if (merge.is_string()) {
            const std::string& text = merge.get_ref<const std::string&>();
            const size_t space = text.find(' ');
            if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) {
                o.fail("VALUE", item("merges", i), "is " + shown(text) + ", expected two tokens and one space");
            }
            out.emplace_back(text.substr(0, space), text.substr(space + 1));
        } else {
            if (!merge.is_array() || merge.size() != 2 || !merge[0].is_string() || !merge[1].is_string()) {
                o.fail("VALUE", item("merges", i), "is not two tokens");
            }
            out.emplace_back(merge[0].get<std::string>(), merge[1].get<std::string>());
        }
    }
    return out;
}

// Each reads all that it needs, and then empties the section.

std::unique_ptr<TokenModel> read_bpe(Json& section, const JsonObject& o, bool is_byte_level) {
    if (o.number("dropout", 0) != 0) o.fail("VALUE", "dropout", "is not null or 0: ids would be different every time");
    BpeOptions options;
    options.is_byte_level = is_byte_level;
    if (o.has("unk_token")) options.unk = o.text("unk_token");
    options.fuses_unk = o.flag("fuse_unk", false);
    options.has_byte_fallback = o.flag("byte_fallback", false);
    options.ignores_merges = o.flag("ignore_merges", false);
    options.continuing_prefix = o.text("continuing_subword_prefix", "");
    options.end_suffix = o.text("end_of_word_suffix", "");
    const std::vector<Bpe::Merge> merges = read_merges(o);
    Vocabulary vocabulary = read_vocabulary(o);
    section.clear();
    return std::make_unique<Bpe>(std::move(vocabulary), merges, std::move(options), o.file());
}

std::unique_ptr<TokenModel> read_wordpiece(Json& section, const JsonObject& o) {
    WordPieceOptions options;
    options.unk = o.text("unk_token", options.unk);
    options.prefix = o.text("continuing_subword_prefix", options.prefix);
    options.max_characters = o.whole("max_input_chars_per_word", 0, INT32_MAX, options.max_characters);
    Vocabulary vocabulary = read_vocabulary(o);
    section.clear();
    return std::make_unique<WordPiece>(std::move(vocabulary), std::move(options), o.file());
}

// [["piece", score], ...]
std::unique_ptr<TokenModel> read_unigram(Json& section, const JsonObject& o) {
    const Json& vocabulary = o.array("vocab");
    std::vector<std::string> pieces;
    std::vector<double> scores;
    pieces.reserve(vocabulary.size());
    scores.reserve(vocabulary.size());
    for (size_t i = 0; i < vocabulary.size(); i++) {
        const Json& entry = vocabulary[i];
        if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number()) {
            o.fail("VALUE", item("vocab", i), "is not a piece and its score");
        }
        pieces.push_back(entry[0].get<std::string>());
        scores.push_back(entry[1].get<double>());
    }
    std::optional<int64_t> unk_id;
    if (o.has("unk_id")) unk_id = o.whole("unk_id", 0, INT32_MAX);
    const bool has_byte_fallback = o.flag("byte_fallback", false);
    section.clear();
    return make_unigram(std::move(pieces), scores, unk_id, has_byte_fallback, o.file());
}

// Files of 2020 and before do not say it.
std::string type_of(const JsonObject& o) {
    if (o.has("type")) return o.text("type");
    if (o.has("merges")) return "BPE";
    if (o.has("vocab") && o.value("vocab").is_array()) return "Unigram";
    if (o.has("max_input_chars_per_word")) return "WordPiece";
    return o.text("type");  // which says that it is not there
}

}  // namespace

JsonModel read_model(Json section, const std::string& file, bool is_byte_level) {
    const JsonObject o(section, file, "model.");
    const std::string type = type_of(o);
    if (type == "BPE") return {read_bpe(section, o, is_byte_level), is_byte_level ? "byte-level BPE" : "BPE"};
    if (is_byte_level) {
        o.fail("VALUE", "type", "is " + shown(type) + ", but the pre-tokenizer ByteLevel is read here only with BPE");
    }
    if (type == "WordPiece") return {read_wordpiece(section, o), "WordPiece"};
    if (type == "Unigram") return {read_unigram(section, o), "Unigram"};
    fail_unknown_type(o, "BPE, WordPiece, Unigram");
}

}  // namespace koine
