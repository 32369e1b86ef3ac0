// Names of transformers, matched and read; see pretrained.h.
#include "nn/pretrained.h"

#include <zlib.h>

#include <charconv>
#include <functional>
#include <map>

#include "data/fnv.h"
#include "data/weights.h"
#include "nn/checkpoint.h"
#include "nn/names.h"

namespace koine {
namespace {

namespace fs = std::filesystem;

const std::string kWords = "embeddings.word_embeddings.weight", kLayers = "encoder.layer.", kPooler = "pooler.dense";

// ---- what the config asks for ---------------------------------------------------------------------------------------

/// A tensor as files have it, and where its values go.
struct Part {
    std::string name;  ///< without prefix
    Shape shape;
    std::function<Tensor(TransformerEncoder&)> place;
};

using LayerOf = std::function<WeightedModule&(TransformerEncoder&)>;

// The weight and bias of a layer, from row `first` on: query, key and value are rows of one weight here.
void add_layer(std::vector<Part>& parts, const std::string& name, const Shape& weight, const LayerOf& layer,
               int64_t first = 0) {
    const int64_t end = first + weight[0];
    parts.push_back(
        {name + ".weight", weight, [=](TransformerEncoder& e) { return layer(e).weight.value.slice(0, first, end); }});
    parts.push_back(
        {name + ".bias", {weight[0]}, [=](TransformerEncoder& e) { return layer(e).bias.value.slice(0, first, end); }});
}

std::vector<Part> parts_of(const EncoderConfig& c, bool has_pooler) {
    const int64_t d = c.layer.n_features, hidden = c.layer.n_hidden;
    std::vector<Part> parts = {
        {kWords, {c.vocab_size, d}, [](TransformerEncoder& e) { return e.words.weight.value; }},
        {"embeddings.position_embeddings.weight",
         {c.n_positions, d},
         [](TransformerEncoder& e) { return e.positions.weight.value; }},
        {"embeddings.token_type_embeddings.weight",
         {c.n_types, d},
         [](TransformerEncoder& e) { return e.types.weight.value; }},
    };
    add_layer(parts, "embeddings.LayerNorm", {d}, [](TransformerEncoder& e) -> WeightedModule& { return e.norm; });
    for (int64_t i = 0; i < c.n_layers; i++) {
        const std::string layer = kLayers + std::to_string(i) + ".";
        const auto of = [i](auto member) {
            return [=](TransformerEncoder& e) -> WeightedModule& { return member(*e.layers[size_t(i)]); };
        };
        using Layer = TransformerEncoderLayer;
        const LayerOf qkv = of([](Layer& l) -> WeightedModule& { return l.attention.qkv; });
        add_layer(parts, layer + "attention.self.query", {d, d}, qkv);
        add_layer(parts, layer + "attention.self.key", {d, d}, qkv, d);
        add_layer(parts, layer + "attention.self.value", {d, d}, qkv, 2 * d);
        add_layer(parts, layer + "attention.output.dense", {d, d},
                  of([](Layer& l) -> WeightedModule& { return l.attention.out; }));
        add_layer(parts, layer + "attention.output.LayerNorm", {d},
                  of([](Layer& l) -> WeightedModule& { return l.norm1; }));
        add_layer(parts, layer + "intermediate.dense", {hidden, d},
                  of([](Layer& l) -> WeightedModule& { return l.linear1; }));
        add_layer(parts, layer + "output.dense", {d, hidden},
                  of([](Layer& l) -> WeightedModule& { return l.linear2; }));
        add_layer(parts, layer + "output.LayerNorm", {d}, of([](Layer& l) -> WeightedModule& { return l.norm2; }));
    }
    if (has_pooler) {
        add_layer(parts, kPooler, {d, d}, [](TransformerEncoder& e) -> WeightedModule& { return *e.pooler; });
    }
    return parts;
}

// The numbers of a config, as they are called in the file.
std::string numbers_of(const EncoderConfig& c) {
    std::string text;
    for (const auto& [field, number] : std::initializer_list<std::pair<const char*, int64_t>>{
             {"hidden_size", c.layer.n_features},
             {"num_attention_heads", c.layer.n_heads},
             {"num_hidden_layers", c.n_layers},
             {"intermediate_size", c.layer.n_hidden},
             {"vocab_size", c.vocab_size},
             {"max_position_embeddings", c.n_positions},
             {"type_vocab_size", c.n_types},
             {"pad_token_id", c.pad_id},
         }) {
        text += (text.empty() ? "" : ", ") + std::string(field) + " " + std::to_string(number);
    }
    return text;
}

// ---- what the file has ----------------------------------------------------------------------------------------------

// The name of a tensor without what wrappers and heads put around it: DataParallel ("module."), sentence-transformers
// ("0.auto_model."), models with a head ("roberta.", "bert."). The first BERT files call the parameters of LayerNorm
// gamma and beta.
std::string plain_name(std::string name) {
    for (const char* prefix : {"module.", "model.", "0.auto_model.", "roberta.", "bert."}) {
        if (name.starts_with(prefix)) name.erase(0, std::string_view(prefix).size());
    }
    if (name.starts_with("layer.")) name = "encoder." + name;
    for (const auto& [old, now] : {std::pair("LayerNorm.gamma", "weight"), std::pair("LayerNorm.beta", "bias")}) {
        if (name.ends_with(old)) name.replace(name.rfind('.') + 1, std::string::npos, now);
    }
    return name;
}

bool is_known_extra(const std::string& name) {
    if (name == "embeddings.position_ids" || name == "embeddings.token_type_ids") return true;
    for (const char* head : {"lm_head.", "cls.", "classifier.", "qa_outputs."}) {
        if (name.starts_with(head)) return true;
    }
    return false;
}

// The number of the layer that a name belongs to; -1 for other names.
int64_t layer_of(const std::string& name) {
    int32_t layer = -1;
    if (name.starts_with(kLayers)) std::from_chars(name.data() + kLayers.size(), name.data() + name.size(), layer);
    return layer;
}

/// Which entry of the file each part is.
struct Match {
    std::vector<Part> parts;
    std::vector<size_t> entries;  ///< of each part
    std::vector<size_t> tied;     ///< copies of the word embeddings
    std::vector<std::string> ignored;
};

// Throws CheckpointError unless every part is there, once and in its shape, and nothing unknown beside them.
Match match(const WeightFile& file, const EncoderConfig& config) {
    std::map<std::string, size_t> found;
    NameReport report;
    Match m;
    int64_t n_layers = 0;
    for (size_t i = 0; i < file.entries().size(); i++) {
        const std::string& full = file.entries()[i].name;
        const std::string name = plain_name(full);
        if (is_known_extra(name)) {
            if (name == "lm_head.decoder.weight" || name == "cls.predictions.decoder.weight") m.tied.push_back(i);
            m.ignored.push_back(full);
            continue;
        }
        n_layers = std::max(n_layers, layer_of(name) + 1);
        const auto [twin, is_new] = found.emplace(name, i);
        if (!is_new) report.repeated.push_back(file.entries()[twin->second].name + " and " + full);
    }

    // One layer too many or too few is said in one line, not in sixteen names.
    const int64_t n_shared = std::min(n_layers, config.n_layers);
    const bool has_pooler = found.contains(kPooler + ".weight") || found.contains(kPooler + ".bias");
    m.parts = parts_of(config, has_pooler);
    for (const Part& part : m.parts) {
        const auto entry = found.find(part.name);
        if (entry == found.end()) {
            if (layer_of(part.name) < n_shared) report.missing.push_back(part.name);
            continue;
        }
        const Shape& shape = file.entries()[entry->second].shape;
        if (!(shape == part.shape)) {
            report.mis_shaped.push_back(part.name + " is " + shape.str() + ", want " + part.shape.str());
        }
        m.entries.push_back(entry->second);
        found.erase(entry);
    }
    for (const auto& [name, i] : found) {
        if (layer_of(name) < n_shared) report.unexpected.push_back(file.entries()[i].name);
    }

    std::string problem = report.str();
    if (n_layers != config.n_layers) {
        problem = "\n  layers: the file has " + std::to_string(n_layers) + ", num_hidden_layers is " +
                  std::to_string(config.n_layers) + problem;
    }
    if (!problem.empty()) {
        throw CheckpointError(file.file() + " does not fit its config.json (" + numbers_of(config) + "):" + problem);
    }
    return m;
}

// ---- reading --------------------------------------------------------------------------------------------------------

// Reads one tensor to its place, and returns a CRC-32 of the values.
uint32_t read_into(const Tensor& place, WeightFile& file, size_t i) {
    const WeightEntry& entry = file.entries()[i];
    const bool is_fraction = entry.dtype == DType::f64 || entry.dtype == DType::f32 || entry.dtype == DType::f16 ||
                             entry.dtype == DType::bf16;
    if (!is_fraction) {
        throw DataError("DTYPE", file.file(), "tensor " + entry.name,
                        "is " + std::string(name_of(entry.dtype)) + ", expected F32, F16, BF16 or F64");
    }
    const std::span<real> values(place.data(), size_t(place.numel()));
    file.read(i, values);
    const std::string problem = first_non_finite({{entry.name, place}});
    if (!problem.empty()) throw DataError("VALUE", file.file(), "", problem);
    return uint32_t(crc32_z(0, reinterpret_cast<const Bytef*>(values.data()), values.size_bytes()));
}

// The head of a language model multiplies with the word embeddings, and some files hold them a second time. A copy is
// read to where the original goes next, so that comparing takes no memory.
std::vector<uint32_t> read_tied(const Match& m, const Tensor& words, WeightFile& file) {
    std::vector<uint32_t> sums;
    for (size_t i : m.tied) {
        const WeightEntry& entry = file.entries()[i];
        if (!(entry.shape == words.shape)) {
            throw DataError(
                "VALUE", file.file(), "tensor " + entry.name,
                "is " + entry.shape.str() + ", the word embeddings that it is tied to are " + words.shape.str());
        }
        sums.push_back(read_into(words, file, i));
    }
    return sums;
}

}  // namespace

PretrainedEncoder load_encoder(const fs::path& folder) {
    const fs::path config_file = folder / "config.json";
    const Json json = read_json(config_file, 1 << 20);
    const JsonObject fields(json, config_file.string());
    const EncoderConfig config = encoder_config(fields);
    const bool is_tied = fields.flag("tie_word_embeddings", true);

    const std::unique_ptr<WeightFile> file = open_weights_in(folder);
    Match m = match(*file, config);
    PretrainedEncoder result;
    const SkipInit guard;
    Generator gen(0);
    result.model = std::make_unique<TransformerEncoder>(gen, config);
    TransformerEncoder& encoder = *result.model;
    if (m.parts.back().name.starts_with(kPooler)) {
        encoder.pooler =
            std::make_unique<Linear>(gen, config.layer.n_features, config.layer.n_features, Activation::tanh);
    }

    std::vector<uint32_t> tied_sums;
    if (is_tied) tied_sums = read_tied(m, encoder.words.weight.value, *file);
    Fnv1a hash;
    hash.add(config.model_type + " " + numbers_of(config) + " " + Json(double(config.layer.eps)).dump() + " " +
             std::to_string(int(config.layer.act)));
    for (size_t p = 0; p < m.parts.size(); p++) {
        const uint32_t sum = read_into(m.parts[p].place(encoder), *file, m.entries[p]);
        hash.add(" " + m.parts[p].name + " " + std::to_string(sum));
        for (size_t t = 0; t < tied_sums.size() && m.parts[p].name == kWords; t++) {
            if (tied_sums[t] == sum) continue;
            throw DataError(
                "VALUE", file->file(), "tensor " + file->entries()[m.tied[t]].name,
                "differs from the word embeddings, which it is tied to (tie_word_embeddings in config.json)");
        }
    }
    encoder.eval();
    result.file = file->file();
    result.hash = hash.hex();
    result.ignored = std::move(m.ignored);
    result.warnings = file->warnings();
    return result;
}

}  // namespace koine
