// The small files beside a vocabulary; see tokenizer_config.h.
#include "data/tokenizer_config.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "data/csv.h"

namespace koine {
namespace {

namespace fs = std::filesystem;

constexpr std::array<const char*, 7> kNames = {"bos_token", "eos_token", "unk_token", "sep_token",
                                               "pad_token", "cls_token", "mask_token"};

AddedToken special_token(std::string content) {
    AddedToken token;
    token.content = std::move(content);
    token.id = -1;
    token.is_special = true;
    return token;
}

// A token is its text, or an object that says how it is found.
AddedToken read_token(const Json& json, const JsonObject& parent, const std::string& name) {
    AddedToken token;
    if (json.is_string()) {
        token = special_token(json.get<std::string>());
    } else {
        const JsonObject o(json, parent.file(), name + ".");
        token = special_token(o.text("content"));
        token.lstrip = o.flag("lstrip", false);
        token.rstrip = o.flag("rstrip", false);
        token.single_word = o.flag("single_word", false);
        token.is_special = o.flag("special", true);
        token.is_normalized = o.flag("normalized", !token.is_special);
    }
    if (token.content.empty()) parent.fail("VALUE", name, "is empty, expected the text of a token");
    return token;
}

void read_named(const JsonObject& o, TokenizerConfig& config) {
    for (const char* name : kNames) {
        if (!o.has(name) || o.value(name) == "") continue;
        const AddedToken token = read_token(o.value(name), o, name);
        config.named[name] = token.content;
        if (o.value(name).is_object()) config.added.push_back(token);
    }
    for (const char* name : {"additional_special_tokens", "extra_special_tokens"}) {
        if (!o.has(name) || !o.value(name).is_array()) continue;
        for (const Json& json : o.array(name)) config.added.push_back(read_token(json, o, name));
    }
}

// "XLMRobertaTokenizerFast", "xlm-roberta" -> "xlmroberta"
std::string family_of(std::string name) {
    for (const std::string suffix : {"Fast", "Tokenizer"}) {
        if (name.ends_with(suffix)) name.resize(name.size() - suffix.size());
    }
    std::string out;
    for (char c : name) {
        if (c >= 'A' && c <= 'Z') c = char(c + 32);
        if (c != '-' && c != '_') out.push_back(c);
    }
    return out == "pretrained" || out == "tokenizersbackend" ? "" : out;
}

std::optional<bool> optional_flag(const JsonObject& o, const std::string& name) {
    return o.has(name) ? std::optional(o.flag(name)) : std::nullopt;
}

void read_main_file(const JsonObject& o, TokenizerConfig& config) {
    config.family = family_of(o.text("tokenizer_class", ""));
    config.is_class = !config.family.empty();
    config.lowers = optional_flag(o, "do_lower_case");
    config.strips_accents = optional_flag(o, "strip_accents");
    config.spaces_chinese = o.flag("tokenize_chinese_chars", true);
    config.adds_prefix_space = o.flag("add_prefix_space", false);
    config.adds_bos = optional_flag(o, "add_bos_token");
    config.adds_eos = optional_flag(o, "add_eos_token");
    config.max_tokens = model_max_length(o);
    read_named(o, config);
    if (!o.has("added_tokens_decoder")) return;
    const JsonObject tokens = o.object("added_tokens_decoder");
    for (const auto& [id, json] : tokens.json().items()) {
        AddedToken token = read_token(json, tokens, id);
        const auto value = parse_integer(id, 0, INT32_MAX);
        if (!value) tokens.fail("VALUE", id, "is no id, expected a whole number from 0 on");
        token.id = int32_t(*value);
        config.added.push_back(std::move(token));
    }
}

}  // namespace

int64_t model_max_length(const JsonObject& config) {
    const double length = config.number("model_max_length", 0);
    if (length < 0 || length != std::floor(length)) {
        config.fail("VALUE", "model_max_length",
                    "is " + config.value("model_max_length").dump() + ", expected a whole number from 0 on");
    }
    return length <= INT32_MAX ? int64_t(length) : 0;
}

TokenizerConfig read_tokenizer_config(const fs::path& folder) {
    TokenizerConfig config;
    const auto with = [&](const char* name, const auto& read) {
        const fs::path path = folder / name;
        std::error_code ignored;  // what cannot be looked at, cannot be read: that error is the clearer one
        if (!fs::exists(path, ignored)) return;
        const Json json = read_json(path);
        read(JsonObject(json, path.string()));
    };
    with("tokenizer_config.json", [&](const JsonObject& o) { read_main_file(o, config); });
    with("special_tokens_map.json", [&](const JsonObject& o) { read_named(o, config); });
    with("added_tokens.json", [&](const JsonObject& o) {
        for (const auto& [content, json] : o.json().items()) {
            AddedToken token = special_token(content);
            if (content.empty()) o.fail("VALUE", content, "is empty, expected the text of a token");
            token.is_special = false;
            token.is_normalized = true;
            token.id = int32_t(o.whole(content, 0, INT32_MAX));
            config.added.push_back(std::move(token));
        }
    });
    if (!config.family.empty()) return config;
    with("config.json", [&](const JsonObject& o) {
        config.family = family_of(o.text("tokenizer_class", ""));
        config.is_class = !config.family.empty();
        if (!config.is_class) config.family = family_of(o.text("model_type", ""));
    });
    return config;
}

}  // namespace koine
