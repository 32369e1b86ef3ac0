// Tokenizer::load: which family a folder holds, and how its files and defaults become parts. See tokenizer.h.
//
// Published folders differ in what they leave out. A file wins over a default; the defaults are those of the models'
// own publications: RoBERTa puts <s> ... </s> around a text and lets <mask> take the space before it, GPT-2 puts
// nothing, BERT lower-cases and puts [CLS] ... [SEP].
#include <algorithm>
#include <unordered_map>

#include "data/json.h"
#include "data/pretokenize.h"
#include "data/sentencepiece.h"
#include "data/text_hash.h"
#include "data/tokenizer_bpe.h"
#include "data/tokenizer_config.h"
#include "data/tokenizer_json.h"
#include "data/tokenizer_wordpiece.h"
#include "data/vocabulary_files.h"
#include "tensor/error.h"

namespace koine {
namespace {

namespace fs = std::filesystem;
using Names = std::map<std::string, std::string>;

// Which classes read a family's files as it is done here. Others have the same files and do something else with them.
const std::vector<std::string> kByteLevel = {"roberta", "gpt2",    "longformer", "led",
                                             "bart",    "deberta", "mvp",        "blenderbot"};
const std::vector<std::string> kWordPiece = {"bert",     "distilbert",  "electra", "mpnet",   "mobilebert",
                                             "convbert", "squeezebert", "lxmert",  "layoutlm"};
const std::vector<std::string> kSentencePiece = {"xlmroberta", "camembert", "albert", "t5", "llama"};

const Names kRobertaNames = {{"bos_token", "<s>"},    {"eos_token", "</s>"},  {"cls_token", "<s>"},
                             {"sep_token", "</s>"},   {"unk_token", "<unk>"}, {"pad_token", "<pad>"},
                             {"mask_token", "<mask>"}};
const Names kBertNames = {{"cls_token", "[CLS]"},
                          {"sep_token", "[SEP]"},
                          {"unk_token", "[UNK]"},
                          {"pad_token", "[PAD]"},
                          {"mask_token", "[MASK]"}};
const Names kGpt2Names = {
    {"bos_token", "<|endoftext|>"}, {"eos_token", "<|endoftext|>"}, {"unk_token", "<|endoftext|>"}};

bool is_among(const std::string& name, const std::vector<std::string>& names) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

// A model's kind is a hint; a tokenizer's class is a statement.
void check_family(const TokenizerConfig& config, const std::vector<std::string>& known, const fs::path& file) {
    if (!config.is_class || is_among(config.family, known)) return;
    std::string list;
    for (const std::string& name : known) list += (list.empty() ? "" : ", ") + name;
    throw DataError("DTYPE", file.string(), "",
                    "the tokenizer's class is " + shown(config.family) + ", expected, for this file, one of " + list +
                        "; a tokenizer.json would say all that is needed");
}

// ---- special tokens ----------------------------------------------------------------------------------------------------

/// Tokens that are found in texts, collected from config and defaults, with their ids.
class AddedTokens {
public:
    AddedTokens(const TokenModel& model_, const TokenizerConfig& config, Names defaults, const fs::path& folder_)
        : model(model_), folder(folder_.string()), names(std::move(defaults)) {
        for (const auto& [name, content] : config.named) names[name] = content;
        for (const AddedToken& token : config.added) {
            if (token.id >= 0) stated_ids.emplace(token.content, token.id);
        }
        for (const AddedToken& token : config.added) add(token);
        for (const auto& [name, content] : names) {
            AddedToken token;
            token.content = content;
            token.lstrip = name == "mask_token" && content == "<mask>";
            token.is_special = true;
            add(token, config.named.count(name) > 0);
        }
    }

    /// The id of "cls_token"; nothing if it has no name or no id.
    std::optional<int32_t> id(const std::string& name) const {
        const auto found = names.find(name);
        return found == names.end() ? std::nullopt : id_of(found->second);
    }
    std::string content(const std::string& name) const { return names.count(name) ? names.at(name) : "none"; }

    std::vector<AddedToken> tokens;
    std::vector<std::string> warnings;

private:
    std::optional<int32_t> id_of(const std::string& content) const {
        const auto stated = stated_ids.find(content);
        if (stated != stated_ids.end()) return stated->second;
        return model.id_of(content);
    }

    void add(AddedToken token, bool is_expected = true) {
        if (const auto known = by_content.find(token.content); known != by_content.end()) {
            tokens[known->second].is_special |= token.is_special;
            return;
        }
        const auto known_id = id_of(token.content);
        if (!known_id) {
            if (is_expected)
                warnings.push_back("the token " + shown(token.content) + " has no id: it is not found in texts");
            return;
        }
        token.id = *known_id;
        check_id(token);
        by_id.emplace(token.id, tokens.size());
        by_content.emplace(token.content, tokens.size());
        tokens.push_back(std::move(token));
    }

    void check_id(const AddedToken& token) const {
        const auto fail = [&](const char* kind, const std::string& problem) {
            throw DataError(kind, folder, "added token " + shown(token.content),
                            "has the id " + std::to_string(token.id) + problem);
        };
        const auto in_model = model.id_of(token.content);
        if (in_model && *in_model != token.id) fail("DUP", ", and " + std::to_string(*in_model) + " in the vocabulary");
        if (!in_model && !model.token_of(token.id).empty()) {
            fail("DUP", ", as " + shown(model.token_of(token.id)) + " in the vocabulary has");
        }
        if (const auto other = by_id.find(token.id); other != by_id.end()) {
            fail("DUP", ", as " + shown(tokens[other->second].content) + " has");
        }
        const int64_t limit = 4 * model.n_ids() + 100'000;  // as in the vocabulary
        if (token.id >= limit) fail("VALUE", ", expected less than " + std::to_string(limit));
    }

    const TokenModel& model;
    std::string folder;
    Names names;
    std::unordered_map<std::string, int32_t, TextHash> stated_ids;
    std::unordered_map<std::string, size_t, TextHash> by_content;  // places in `tokens`
    std::unordered_map<int32_t, size_t> by_id;
};

// What all families with a vocabulary of their own have in common. `has_template`: a text stands between two tokens.
void finish(TokenizerParts& parts, const TokenizerConfig& config, const Names& defaults, bool has_template,
            const fs::path& folder) {
    AddedTokens added(*parts.model, config, defaults, folder);
    parts.pad_id = added.id("pad_token");
    if (has_template) {
        const auto cls = added.id("cls_token"), sep = added.id("sep_token");
        if (!cls || !sep) {
            throw DataError("MISSING", folder.string(), "",
                            "the vocabulary lacks " + shown(added.content(cls ? "sep_token" : "cls_token")) +
                                ", which this kind of tokenizer puts around a text; tokenizer_config.json may give it "
                                "another name (cls_token, sep_token)");
        }
        parts.around = {{*cls}, {*sep}};
    } else if (const auto bos = added.id("bos_token"); bos && config.adds_bos.value_or(false)) {
        parts.around.before = {*bos};
    }
    parts.added = std::move(added.tokens);
    parts.warnings.insert(parts.warnings.end(), added.warnings.begin(), added.warnings.end());
    parts.max_tokens = config.max_tokens;
}

// ---- families ----------------------------------------------------------------------------------------------------------

TokenizerParts load_byte_level(const fs::path& folder) {
    const TokenizerConfig config = read_tokenizer_config(folder);
    check_family(config, kByteLevel, folder / "vocab.json");
    Vocabulary vocabulary = read_vocab_json(folder / "vocab.json");
    const auto has = [&](const char* token) { return vocabulary.find(token).has_value(); };
    const bool names_template = config.named.count("cls_token") && config.named.count("sep_token");
    const bool is_gpt2 =
        config.family == "gpt2" || (!config.is_class && !names_template && !has("<s>") && has("<|endoftext|>"));
    if (config.family.empty() && !names_template && !is_gpt2 && !(has("<s>") && has("</s>"))) {
        throw DataError(
            "MISSING", (folder / "vocab.json").string(), "",
            "has neither RoBERTa's '<s>' and '</s>' nor GPT-2's '<|endoftext|>', and no "
            "tokenizer_config.json says what stands around a text (tokenizer_class; cls_token and sep_token)");
    }
    int n_without = 0;
    for (int byte = 0; byte < 256; byte++)
        n_without += !vocabulary.find(byte_level_spelling(std::string(1, char(byte))));

    TokenizerParts parts;
    parts.description = "byte-level BPE, " + std::to_string(vocabulary.n_tokens()) + " tokens (vocab.json, merges.txt)";
    const auto merges = read_merges(folder / "merges.txt");
    BpeOptions options;
    options.is_byte_level = true;
    parts.model = std::make_unique<Bpe>(std::move(vocabulary), merges, options, (folder / "merges.txt").string());
    auto split = std::make_unique<ByteLevelSplit>();
    split->adds_prefix_space = config.adds_prefix_space;
    parts.pre_tokenizers.push_back(std::move(split));
    parts.decoder = std::make_unique<ByteLevelDecoder>();
    if (n_without > 0) {
        parts.warnings.push_back(std::to_string(n_without) + " of 256 bytes have no token: they are left out of texts");
    }
    finish(parts, config, is_gpt2 ? kGpt2Names : kRobertaNames, !is_gpt2, folder);
    return parts;
}

TokenizerParts load_wordpiece(const fs::path& folder) {
    const TokenizerConfig config = read_tokenizer_config(folder);
    const fs::path file = folder / "vocab.txt";
    check_family(config, kWordPiece, file);
    Vocabulary vocabulary = read_vocab_txt(file);
    // MPNet has BERT's vocabulary and RoBERTa's special tokens.
    const bool is_mpnet = config.family == "mpnet" || (!vocabulary.find("[CLS]") && vocabulary.find("<s>"));
    Names names = is_mpnet ? kRobertaNames : kBertNames;
    if (is_mpnet) names["unk_token"] = "[UNK]";

    TokenizerParts parts;
    auto normalizer = std::make_unique<BertNormalizer>();
    normalizer->lowers = config.lowers.value_or(true);
    normalizer->strips_accents = config.strips_accents;
    normalizer->spaces_chinese = config.spaces_chinese;
    if (!config.lowers && vocabulary.find("The")) {
        parts.warnings.push_back(
            "texts are lower-cased, as no tokenizer_config.json says otherwise (do_lower_case), but the vocabulary has "
            "upper-case tokens");
    }
    parts.description = "WordPiece, " + std::to_string(vocabulary.n_tokens()) + " tokens" +
                        (normalizer->lowers ? ", lower case" : ", cased") + " (vocab.txt)";
    parts.normalizers.push_back(std::move(normalizer));
    parts.pre_tokenizers.push_back(std::make_unique<BertSplit>());
    WordPieceOptions options;
    options.unk = config.named.count("unk_token") ? config.named.at("unk_token") : names["unk_token"];
    parts.model = std::make_unique<WordPiece>(std::move(vocabulary), options, file.string());
    parts.decoder = std::make_unique<WordPieceDecoder>();
    finish(parts, config, names, true, folder);
    return parts;
}

TokenizerParts load_sentencepiece(const fs::path& folder, const fs::path& file) {
    const TokenizerConfig config = read_tokenizer_config(folder);
    check_family(config, kSentencePiece, file);
    const bool is_fairseq = file.filename() == "sentencepiece.bpe.model";
    const bool is_plain = config.family == "albert" || config.family == "t5" || config.family == "llama" || !is_fairseq;
    const auto kind = config.family == "camembert" ? SentencePieceIds::camembert
                      : is_plain                   ? SentencePieceIds::plain
                                                   : SentencePieceIds::xlm_roberta;
    TokenizerParts parts = read_sentencepiece(file, kind);
    parts.max_tokens = config.max_tokens;
    if (kind != SentencePieceIds::plain) {
        if (config.family.empty()) {
            parts.warnings.push_back("no file says which model this tokenizer belongs to: ids are XLM-RoBERTa's");
        }
        return parts;
    }
    const auto add = [&](std::vector<int32_t>& ids, const char* token) {
        if (const auto id = parts.model->id_of(token))
            ids.push_back(*id);
        else
            parts.warnings.push_back(std::string("the vocabulary lacks '") + token + "', which belongs around texts");
    };
    if (config.family == "albert") {
        add(parts.around.before, "[CLS]");
        add(parts.around.after, "[SEP]");
    } else if (config.family == "t5" || config.family == "llama") {
        const bool is_t5 = config.family == "t5";
        if (config.adds_bos.value_or(!is_t5)) add(parts.around.before, "<s>");
        if (config.adds_eos.value_or(is_t5)) add(parts.around.after, "</s>");
    } else {
        parts.warnings.push_back("no file says which tokens stand around a text: none do");
    }
    return parts;
}

std::string files_in(const fs::path& folder) {
    constexpr size_t kShown = 20;
    std::vector<std::string> names;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(folder, ignored)) names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    std::string list;
    for (size_t i = 0; i < std::min(names.size(), kShown); i++) list += (i > 0 ? ", " : "") + names[i];
    if (names.size() > kShown) list += " and " + std::to_string(names.size() - kShown) + " more";
    return names.empty() ? "nothing" : list;
}

}  // namespace

Tokenizer Tokenizer::load(const fs::path& folder) {
    std::error_code ignored;
    if (!fs::is_directory(folder, ignored)) {
        throw DataError("MISSING", folder.string(), "", "is no folder, expected one that holds a tokenizer");
    }
    const auto has = [&](const char* name) { return fs::exists(folder / name, ignored); };
    if (has("tokenizer.json")) return Tokenizer(read_tokenizer_json(folder / "tokenizer.json"));
    if (has("vocab.json") && has("merges.txt")) return Tokenizer(load_byte_level(folder));
    if (has("vocab.txt")) return Tokenizer(load_wordpiece(folder));
    for (const char* name : {"sentencepiece.bpe.model", "spiece.model", "tokenizer.model"}) {
        if (has(name)) return Tokenizer(load_sentencepiece(folder, folder / name));
    }
    throw DataError("MISSING", folder.string(), "",
                    "no tokenizer: looked for tokenizer.json; vocab.json and merges.txt; vocab.txt; "
                    "sentencepiece.bpe.model, spiece.model or tokenizer.model; found " +
                        files_in(folder));
}

}  // namespace koine
