// A whole tokenizer from one file; see tokenizer_json.h. The sections that are long have files of their own:
// tokenizer_json_model.cpp, tokenizer_json_steps.cpp. Here: the tokens that were added, what stands around a text, the
// numbers.
#include "data/tokenizer_json.h"

#include <algorithm>
#include <map>
#include <set>

#include "data/json.h"
#include "data/tokenizer_config.h"
#include "data/tokenizer_json_model.h"
#include "data/tokenizer_json_steps.h"

namespace koine {
namespace {

// ---- added tokens ------------------------------------------------------------------------------------------------------

// Tokens by their content and ids, those of the model and those that were added.
class Tokens {
public:
    explicit Tokens(const TokenModel& model_) : model(model_), n_ids(model_.n_ids()) {}

    /// Checks that neither the content nor the id means something else already.
    void add(const JsonObject& o, const AddedToken& token) {
        const auto in_model = model.id_of(token.content);
        if (in_model && *in_model != token.id) {
            o.fail("VALUE", "id",
                   "is " + std::to_string(token.id) + ", but the model has " + shown(token.content) + " with the id " +
                       std::to_string(*in_model));
        }
        const std::string known = model.token_of(token.id);
        if (!in_model && !known.empty()) {
            o.fail("VALUE", "id", "is " + std::to_string(token.id) + ", which is the model's " + shown(known));
        }
        if (!ids.emplace(token.content, token.id).second) {
            o.fail("DUP", "content", "is " + shown(token.content) + " once more");
        }
        if (!taken.insert(token.id).second) o.fail("DUP", "id", "is " + std::to_string(token.id) + " once more");
        n_ids = std::max<int64_t>(n_ids, int64_t(token.id) + 1);
    }
    std::optional<int32_t> find(const std::string& token) const {
        const auto found = ids.find(token);
        return found != ids.end() ? std::optional(found->second) : model.id_of(token);
    }
    /// One more than the largest id.
    int64_t size() const { return n_ids; }

private:
    const TokenModel& model;
    std::map<std::string, int32_t> ids;  // ordered: no file can choose keys that collide
    std::set<int32_t> taken;
    int64_t n_ids;
};

// `growth`: how many times as long the normalizers may make a text.
std::vector<AddedToken> read_added(const JsonObject& root, uint64_t growth, Tokens& tokens) {
    // The library numbers them from the model's last id on; a few holes do no harm, a billion would.
    constexpr int64_t kMostBehind = 1 << 16;
    constexpr uint64_t kMostNormalized = 4 << 20;  // bytes that are looked for in normalised texts
    uint64_t n_normalized = 0;
    std::vector<AddedToken> out;
    const int64_t limit = tokens.size() + kMostBehind;
    for (const JsonObject& o : root.objects("added_tokens")) {
        AddedToken token;
        token.content = o.text("content");
        if (token.content.empty()) o.fail("VALUE", "content", "is empty: it would be found everywhere");
        token.id = int32_t(o.whole("id", 0, std::min<int64_t>(limit, INT32_MAX - 1)));
        token.lstrip = o.flag("lstrip", false);
        token.rstrip = o.flag("rstrip", false);
        token.single_word = o.flag("single_word", false);
        token.is_special = o.flag("special", false);
        token.is_normalized = o.flag("normalized", !token.is_special);
        n_normalized += token.is_normalized ? token.content.size() * growth : 0;
        if (n_normalized > kMostNormalized) {
            o.fail("LIMIT", "content", "and those before it could have more than 4 MiB when they are normalised");
        }
        tokens.add(o, token);
        out.push_back(std::move(token));
    }
    return out;
}

// ---- what stands around a text -----------------------------------------------------------------------------------------

// ["</s>", 2]
int32_t read_token_and_id(const JsonObject& o, const std::string& name, const Tokens& tokens) {
    const Json& pair = o.array(name);
    if (pair.size() != 2 || !pair[0].is_string() || !pair[1].is_number_integer()) {
        o.fail("VALUE", name, "is not a token and its id");
    }
    const std::string& token = pair[0].get_ref<const std::string&>();
    const auto id = tokens.find(token);
    if (!id || pair[1] != *id) {
        o.fail("VALUE", name,
               "is " + shown(token) + " with the id " + pair[1].dump() + ", but the vocabulary has " +
                   (id ? "the id " + std::to_string(*id) : "no such token"));
    }
    return *id;
}

// {"</s>": {"id": "</s>", "ids": [2], "tokens": ["</s>"]}, ...}
using SpecialTokens = std::map<std::string, std::vector<int32_t>>;

SpecialTokens read_special_tokens(const JsonObject& o, const Tokens& tokens) {
    SpecialTokens out;
    const JsonObject all = o.object("special_tokens");
    for (const auto& [name, ignored] : all.json().items()) {
        const JsonObject special = all.object(name);
        const Json &ids = special.array("ids"), &names = special.array("tokens");
        if (ids.size() != names.size() || ids.empty()) {
            special.fail("VALUE", "ids",
                         "has " + std::to_string(ids.size()) + " entries, tokens " + std::to_string(names.size()) +
                             ", expected one or more of each");
        }
        for (size_t i = 0; i < ids.size(); i++) {
            const auto known = names[i].is_string() ? tokens.find(names[i].get<std::string>()) : std::nullopt;
            if (!known || ids[i] != *known) {
                special.fail("VALUE", "ids",
                             "has " + ids[i].dump() + " for " + names[i].dump() + ", but the vocabulary has " +
                                 (known ? std::to_string(*known) : "no such token"));
            }
            out[name].push_back(*known);
        }
    }
    return out;
}

// A list may name another list a million times.
void check_length(const JsonObject& o, const std::string& name, const Template& around) {
    constexpr size_t kMost = 1024;
    if (around.before.size() + around.after.size() > kMost) {
        o.fail("LIMIT", name, "puts more than " + std::to_string(kMost) + " tokens around a text");
    }
}

// [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, ...]; `sequences` is "A" for
// one text, "AB" for two. Each sequence occurs once. Returns what stands before the first one and behind it.
Template read_template(const JsonObject& o, const std::string& name, const std::string& sequences,
                       const SpecialTokens& special) {
    Template around;
    std::string found;
    for (const JsonObject& piece : o.objects(name)) {
        const bool is_sequence = piece.has("Sequence");
        const JsonObject inner = piece.object(is_sequence ? "Sequence" : "SpecialToken");
        inner.whole("type_id", 0, INT32_MAX, 0);
        const std::string& id = inner.text("id");
        if (is_sequence) {
            if (id.size() != 1 || sequences.find(id) == std::string::npos) {
                inner.fail("VALUE", "id", "is " + shown(id) + ", expected one of " + shown(sequences));
            }
            found += id;
            continue;
        }
        const auto ids = special.find(id);
        if (ids == special.end()) inner.fail("VALUE", "id", "is " + shown(id) + ", which is not among special_tokens");
        auto& side = found.empty() ? around.before : around.after;
        side.insert(side.end(), ids->second.begin(), ids->second.end());
        check_length(o, name, around);
    }
    std::sort(found.begin(), found.end());
    if (found != sequences) {
        o.fail("VALUE", name, "has the sequences " + shown(found) + ", expected each of " + shown(sequences) + " once");
    }
    return around;
}

void wrap(Template& around, Template outer) {
    outer.before.insert(outer.before.end(), around.before.begin(), around.before.end());
    around.after.insert(around.after.end(), outer.after.begin(), outer.after.end());
    around.before = std::move(outer.before);
}

// Which ids stand around a text, and whether offsets leave out spaces.
void read_post_processor(const JsonObject& o, const Tokens& tokens, TokenizerParts& parts) {
    const std::string& type = o.text("type");
    if (type == "Sequence") {
        for (const JsonObject& step : o.objects("processors")) {
            read_post_processor(step, tokens, parts);
            check_length(o, "processors", parts.around);
        }
    } else if (type == "TemplateProcessing") {
        const SpecialTokens special = read_special_tokens(o, tokens);
        if (o.has("pair")) read_template(o, "pair", "AB", special);
        wrap(parts.around, read_template(o, "single", "A", special));
    } else if (type == "RobertaProcessing" || type == "BertProcessing") {
        wrap(parts.around, {{read_token_and_id(o, "cls", tokens)}, {read_token_and_id(o, "sep", tokens)}});
        if (type == "RobertaProcessing") parts.trims_offsets |= o.flag("trim_offsets", true);
    } else if (type == "ByteLevel") {
        parts.trims_offsets |= o.flag("trim_offsets", true);
    } else {
        fail_unknown_type(o, "Sequence, TemplateProcessing, RobertaProcessing, BertProcessing, ByteLevel");
    }
}

// ---- numbers -----------------------------------------------------------------------------------------------------------

void check_truncation(const JsonObject& o) {
    const int64_t max_length = o.whole("max_length", 0, INT64_MAX);
    const int64_t stride = o.whole("stride", 0, INT64_MAX, 0);
    if (stride > 0 && stride >= max_length) {
        o.fail("VALUE", "stride",
               "is " + std::to_string(stride) + ", expected less than max_length, " + std::to_string(max_length));
    }
}

// tokenizer_config.json has a token as its text, or as an object with a field for it.
std::optional<std::string> token_text(const JsonObject& o, const std::string& name) {
    if (!o.has(name)) return std::nullopt;
    return o.value(name).is_object() ? o.object(name).text("content") : o.text(name);
}

void read_config(const std::filesystem::path& path, const Tokens& tokens, TokenizerParts& parts) {
    const Json json = read_json(path);
    const JsonObject o(json, path.string());
    parts.max_tokens = model_max_length(o);
    if (const auto pad = token_text(o, "pad_token")) {
        parts.pad_id = tokens.find(*pad);
        if (!parts.pad_id) {
            parts.warnings.push_back(path.string() + ": pad_token is " + shown(*pad) + ", which is no token: not used");
        }
    }
}

}  // namespace

TokenizerParts read_tokenizer_json(const std::filesystem::path& folder_or_file) {
    namespace fs = std::filesystem;
    std::error_code ignored;  // what cannot be looked at, cannot be read: that error is the clearer one
    const fs::path path =
        fs::is_directory(folder_or_file, ignored) ? folder_or_file / "tokenizer.json" : folder_or_file;
    Json json = read_json(path);
    const JsonObject root(json, path.string());
    if (root.text("version", "1.0") != "1.0") {
        root.fail("VALUE", "version", "is " + shown(root.text("version")) + ", expected \"1.0\"");
    }

    TokenizerParts parts;
    if (root.has("truncation")) check_truncation(root.object("truncation"));
    Normalizers normalizers;
    if (root.has("normalizer")) normalizers = read_normalizers(root.object("normalizer"));
    parts.normalizers = std::move(normalizers.steps);
    PreTokenizers pre_tokenizers;
    if (root.has("pre_tokenizer")) pre_tokenizers = read_pre_tokenizers(root.object("pre_tokenizer"));
    parts.pre_tokenizers = std::move(pre_tokenizers.steps);
    root.object("model");  // or says that there is none
    JsonModel model = read_model(std::move(json["model"]), path.string(), pre_tokenizers.is_byte_level);
    parts.model = std::move(model.model);

    Tokens tokens(*parts.model);
    if (root.has("added_tokens")) parts.added = read_added(root, normalizers.growth, tokens);
    if (root.has("post_processor")) read_post_processor(root.object("post_processor"), tokens, parts);
    if (root.has("decoder")) parts.decoder = read_decoder(root.object("decoder"));
    if (root.has("padding")) {
        parts.pad_id = int32_t(root.object("padding").whole("pad_id", 0, tokens.size() - 1));
    }
    const fs::path config = path.parent_path() / "tokenizer_config.json";
    if (fs::exists(config, ignored)) read_config(config, tokens, parts);
    parts.description =
        std::string(model.kind) + ", " + std::to_string(tokens.size()) + " tokens (" + path.filename().string() + ")";
    return parts;
}

}  // namespace koine
