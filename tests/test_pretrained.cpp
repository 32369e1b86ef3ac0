// nn/pretrained.h: config.json and names of published encoders, against transformers. Catalogue rows J1 to J6, M1 to
// M4, S13. The small encoders are made by tests/golden/make_pretrained_golden.py; the real ones are in $KOINE_DATA.
#include "nn/pretrained.h"

#include <chrono>
#include <cmath>
#include <fstream>
#include <functional>
#include <limits>

#include "data/locate.h"
#include "data/model_folder.h"
#include "tests/catalogue.h"
#include "tests/golden/golden.h"
#include "tests/nn_samples.h"
#include "tests/weights_samples.h"

using namespace koine;
using namespace koine::testing;
namespace fs = std::filesystem;

namespace {

fs::path golden_folder(const std::string& name) {
    return fs::path(KOINE_SOURCE_DIR) / "tests/golden/pretrained" / name;
}

using Texts = std::vector<std::vector<int32_t>>;

// Largest difference between numbers as JSON has them, [row][feature], and rows of a tensor from `first` on.
double largest_difference(const nlohmann::json& expected, const Tensor& found, int64_t first = 0) {
    const std::vector<real> values = found.to_vector();
    const size_t d = size_t(found.shape[1]);
    double largest = 0;
    for (size_t row = 0; row < expected.size(); row++) {
        REQUIRE(expected[row].size() == d);
        for (size_t i = 0; i < d; i++) {
            const double difference = expected[row][i].get<double>() - double(values[(size_t(first) + row) * d + i]);
            largest = std::max(largest, std::abs(difference));
        }
    }
    return largest;
}

// ---- a small encoder, written here --------------------------------------------------------------------------------

const Json kConfig = {{"model_type", "roberta"},      {"vocab_size", 7},          {"hidden_size", 4},
                      {"num_hidden_layers", 1},       {"num_attention_heads", 2}, {"intermediate_size", 5},
                      {"max_position_embeddings", 6}, {"type_vocab_size", 1},     {"pad_token_id", 1}};

Json config_with(const std::string& field, const Json& value) {
    Json config = kConfig;
    config[field] = value;
    return config;
}

EncoderConfig config_of(const Json& config) { return encoder_config(JsonObject(config, "config.json")); }

// The config is refused, and the message names the field.
void check_config(const std::string& field, const Json& value, const std::string& part) {
    INFO(field << " = " << value.dump());
    check_refused([&] { config_of(config_with(field, value)); }, "VALUE", "config.json: field " + field + ": ");
    check_refused([&] { config_of(config_with(field, value)); }, "VALUE", part);
}

// The tensors of kConfig's encoder; every value is different.
std::vector<SampleTensor> small_weights(int n_layers = 1) {
    std::vector<SampleTensor> all;
    float next = 0;
    const auto add = [&](const std::string& name, const Shape& shape) {
        SampleTensor t{name, shape, {}};
        for (int64_t i = 0; i < shape.numel(); i++) t.values.push_back(next += 0.001f);
        all.push_back(t);
    };
    const auto add_layer = [&](const std::string& name, const Shape& weight) {
        add(name + ".weight", weight);
        add(name + ".bias", {weight[0]});
    };
    add("embeddings.word_embeddings.weight", {7, 4});
    add("embeddings.position_embeddings.weight", {6, 4});
    add("embeddings.token_type_embeddings.weight", {1, 4});
    add_layer("embeddings.LayerNorm", {4});
    for (int i = 0; i < n_layers; i++) {
        const std::string layer = "encoder.layer." + std::to_string(i) + ".";
        for (const char* name : {"self.query", "self.key", "self.value", "output.dense"}) {
            add_layer(layer + "attention." + name, {4, 4});
        }
        add_layer(layer + "attention.output.LayerNorm", {4});
        add_layer(layer + "intermediate.dense", {5, 4});
        add_layer(layer + "output.dense", {4, 5});
        add_layer(layer + "output.LayerNorm", {4});
    }
    return all;
}

SampleTensor& named(std::vector<SampleTensor>& tensors, const std::string& name) {
    const auto found =
        std::find_if(tensors.begin(), tensors.end(), [&](const SampleTensor& t) { return t.name == name; });
    REQUIRE(found != tensors.end());
    return *found;
}

PretrainedEncoder load(const std::vector<SampleTensor>& tensors, const Json& config = kConfig) {
    const ScratchFolder folder;
    folder.write("config.json", bytes_of(config.dump()));
    folder.write("model.safetensors", safetensors_file(tensors));
    return load_encoder(folder.path);
}

std::vector<SampleTensor> renamed(const std::function<std::string(const std::string&)>& rename) {
    std::vector<SampleTensor> tensors = small_weights();
    for (SampleTensor& t : tensors) t.name = rename(t.name);
    return tensors;
}

}  // namespace

// ---- config.json --------------------------------------------------------------------------------------------------

TEST_CASE("the numbers of a config.json", "[nn][pretrained]") {
    Json config = {{"model_type", "bert"},          {"vocab_size", 30522},       {"hidden_size", 384},
                   {"num_hidden_layers", 6},        {"num_attention_heads", 12}, {"intermediate_size", 1536},
                   {"max_position_embeddings", 512}};
    const EncoderConfig bert = config_of(config);
    CHECK(bert.vocab_size == 30522);
    CHECK(bert.n_layers == 6);
    CHECK(bert.n_positions == 512);
    CHECK(bert.n_types == 2);  // this and what follows: the defaults of transformers
    CHECK(bert.pad_id == 0);
    CHECK(bert.layer.n_features == 384);
    CHECK(bert.layer.n_heads == 12);
    CHECK(bert.layer.n_hidden == 1536);
    CHECK(bert.layer.act == Activation::gelu);
    CHECK(bert.layer.eps == real(1e-12));
    CHECK(bert.layer.p_dropout == real(0.1));
    CHECK(bert.layer.p_attention_dropout == real(0.1));
    CHECK(bert.max_tokens() == 512);

    for (const char* type : {"roberta", "camembert", "xlm-roberta"}) {
        config["model_type"] = type;
        config["pad_token_id"] = nullptr;  // as if it were not there
        CHECK(config_of(config).pad_id == 1);
        CHECK(config_of(config).max_tokens() == 510);
    }
    config.update({{"type_vocab_size", 1},
                   {"pad_token_id", 3},
                   {"hidden_act", "swish"},
                   {"layer_norm_eps", 1e-5},
                   {"hidden_dropout_prob", 0},
                   {"attention_probs_dropout_prob", 0.25},
                   {"id2label", {{"0", "x"}}}});
    const EncoderConfig other = config_of(config);
    CHECK(other.n_types == 1);
    CHECK(other.first_position() == 4);
    CHECK(other.layer.act == Activation::silu);
    CHECK(other.layer.eps == real(1e-5));
    CHECK(other.layer.p_dropout == 0);
    CHECK(other.layer.p_attention_dropout == real(0.25));
}

TEST_CASE("J1, J2, J3: what is no JSON", "[nn][pretrained][J1][J2][J3]") {
    const ScratchFolder folder;
    const auto read = [&](const std::string& text) {
        return read_encoder_config(folder.write("config.json", bytes_of(text)));
    };
    const std::string good = kConfig.dump();
    const std::string start = good.substr(0, good.size() - 1);
    for (const std::string& wrong : {start + ",}", start + ",\"layer_norm_eps\":NaN}", start + "/* c */}",
                                     std::string("{'model_type': 'bert'}"), std::string(), start, good + "x"}) {
        INFO(wrong);
        const CatalogueRow row("J1");
        check_refused([&] { read(wrong); }, "SYNTAX", "config.json");
    }
    {
        const CatalogueRow row("J1");
        CHECK_OK(read(good).vocab_size == 7);
        CHECK_OK(read("\xef\xbb\xbf" + good).vocab_size == 7);
        check_refused([&] { read("[1]"); }, "SYNTAX", "config.json: is an array, expected an object");
        check_refused([&] { read(std::string("\xff\xfe{\0", 4)); }, "MAGIC", "UTF-16");
        check_refused([&] { read_encoder_config(folder / "missing"); }, "IO", "missing");
    }
    {
        const CatalogueRow row("J2");
        check_refused([&] { read(start + ",\"x\":" + std::string(100'000, '[')); }, "LIMIT", "128");
        check_refused([&] { read(start + ",\"x\":\"" + std::string(2 << 20, 'x') + "\"}"); }, "LIMIT", "config.json");
    }
    const CatalogueRow row("J3");
    check_refused([&] { read(start + ",\"vocab_size\":8}"); }, "DUP", "\"vocab_size\"");
}

TEST_CASE("J4: numbers out of range", "[nn][pretrained][J4]") {
    for (const char* field : {"vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
                              "intermediate_size", "max_position_embeddings"}) {
        Json config = kConfig;
        config.erase(field);
        check_refused([&] { config_of(config); }, "MISSING", std::string("config.json: field ") + field);
        for (const Json& wrong : {Json(0), Json(-1), Json(4.0), Json(1e308), Json("4"), Json(true),
                                  Json((int64_t{1} << 53) + 1), Json(UINT64_MAX), Json(1'000'000'000)}) {
            check_config(field, wrong, "is " + wrong.dump());
        }
    }
    check_config("num_attention_heads", 5, "is 5, expected a whole number from 1 to 4");
    check_refused([&] { config_of(config_with("num_attention_heads", 3)); }, "VALUE",
                  "field hidden_size: is 4, not a multiple of num_attention_heads, 3");
    check_config("type_vocab_size", 0, "is 0");
    for (const char* field : {"layer_norm_eps", "hidden_dropout_prob", "attention_probs_dropout_prob"}) {
        for (const Json& wrong : {Json(-0.1), Json(1), Json(1e308), Json("0.1")}) {
            check_config(field, wrong, "is " + wrong.dump());
        }
    }
    check_config("max_position_embeddings", 2, "is 2, but the first position is 2 (pad_token_id + 1): no text fits");
    CHECK_OK(config_of(config_with("max_position_embeddings", 3)).max_tokens() == 1);
}

TEST_CASE("J5: choices that are not known here", "[nn][pretrained][J5]") {
    check_config("model_type", "gpt2", "is \"gpt2\"; known here: roberta, camembert, xlm-roberta, bert");
    check_config("hidden_act", "mish", "is \"mish\"; known here: gelu, gelu_new, gelu_pytorch_tanh, relu, silu, swish");
    check_config("position_embedding_type", "relative_key", "is \"relative_key\"; known here: absolute");
    check_config("is_decoder", true, "is true: a decoder, expected an encoder");
    check_config("add_cross_attention", true, "is true");
    Json config = kConfig;
    config.erase("model_type");
    check_refused([&] { config_of(config); }, "MISSING", "field model_type");
    for (const auto& [name, act] :
         {std::pair("gelu", Activation::gelu), std::pair("gelu_new", Activation::gelu_tanh),
          std::pair("gelu_pytorch_tanh", Activation::gelu_tanh), std::pair("relu", Activation::relu),
          std::pair("silu", Activation::silu), std::pair("swish", Activation::silu)}) {
        CHECK(config_of(config_with("hidden_act", name)).layer.act == act);
    }
}

TEST_CASE("J6: a config that does not fit its weights", "[nn][pretrained][J6]") {
    check_config("pad_token_id", 7, "is 7, expected a whole number from 0 to 6");
    check_config("pad_token_id", -1, "is -1");
    Json one_word = config_with("vocab_size", 1);
    one_word.erase("pad_token_id");  // then it is 1
    check_refused([&] { config_of(one_word); }, "VALUE",
                  "field vocab_size: is 1, but pad_token_id, which is absent, is 1");
    CHECK_ERROR(load(small_weights(), config_with("vocab_size", 8)), CheckpointError, "vocab_size 8, ");
    CHECK_ERROR(load(small_weights(), config_with("vocab_size", 8)), CheckpointError,
                "mis-shaped (1): embeddings.word_embeddings.weight is [7, 4], want [8, 4]");
    CHECK_ERROR(load(small_weights(), config_with("type_vocab_size", 2)), CheckpointError,
                "embeddings.token_type_embeddings.weight is [1, 4], want [2, 4]");
    CHECK_ERROR(load(small_weights(), config_with("max_position_embeddings", 9)), CheckpointError,
                "embeddings.position_embeddings.weight is [6, 4], want [9, 4]");
#ifndef __SANITIZE_ADDRESS__
    // What a config merely claims is never allocated: this would be 2.6 TB of word embeddings.
    Json huge = kConfig;
    huge.update({{"vocab_size", 10'000'000}, {"hidden_size", 65'536}});
    CHECK(added_kb([&] {
              try {
                  load(small_weights(), huge);
              } catch (const CheckpointError&) {
              }
          }) < 16000);
    CHECK_ERROR(load(small_weights(), huge), CheckpointError, "vocab_size 10000000");
#endif
}

// ---- names --------------------------------------------------------------------------------------------------------

TEST_CASE("M1: names that wrappers and heads put around an encoder", "[nn][pretrained][M1]") {
    const PretrainedEncoder plain = load(small_weights());
    CHECK(plain.hash.size() == 16);
    CHECK(plain.ignored.empty());
    CHECK_FALSE(plain.model->training);
    CHECK(plain.model->pooler == nullptr);
    for (const char* prefix :
         {"module.", "model.", "roberta.", "bert.", "module.roberta.", "model.bert.", "0.auto_model."}) {
        INFO(prefix);
        const PretrainedEncoder same = load(renamed([&](const std::string& name) { return prefix + name; }));
        CHECK_OK(is_same(same.model->state(), plain.model->state()));
        CHECK(same.hash == plain.hash);
    }
    const PretrainedEncoder old = load(renamed([](std::string name) {
        if (name.ends_with("LayerNorm.weight")) return name.substr(0, name.size() - 6) + "gamma";
        if (name.ends_with("LayerNorm.bias")) return name.substr(0, name.size() - 4) + "beta";
        return name;
    }));
    CHECK(old.hash == plain.hash);
    const PretrainedEncoder bare =
        load(renamed([](const std::string& name) { return name.starts_with("encoder.") ? name.substr(8) : name; }));
    CHECK(bare.hash == plain.hash);

    // Rows of the one weight here are query, key and value.
    std::vector<SampleTensor> tensors = small_weights();
    const Tensor qkv = plain.model->layers[0]->attention.qkv.weight.value;
    for (const auto& [name, row] : {std::pair("query", 0), std::pair("key", 4), std::pair("value", 8)}) {
        const auto& values = named(tensors, std::string("encoder.layer.0.attention.self.") + name + ".weight").values;
        CHECK(qkv.at({row, 0}) == real(values[0]));
        CHECK(qkv.at({row + 3, 3}) == real(values[15]));
    }
}

TEST_CASE("M1: what an encoder has no use for, and what it misses", "[nn][pretrained][M1]") {
    std::vector<SampleTensor> tensors = small_weights();
    for (const char* name : {"embeddings.position_ids", "roberta.embeddings.token_type_ids", "lm_head.dense.weight",
                             "cls.predictions.bias", "classifier.out_proj.weight", "qa_outputs.bias"}) {
        tensors.push_back({name, {2}, {1, 2}});
    }
    const PretrainedEncoder with_heads = load(tensors);
    CHECK(with_heads.ignored == std::vector<std::string>{"embeddings.position_ids", "roberta.embeddings.token_type_ids",
                                                         "lm_head.dense.weight", "cls.predictions.bias",
                                                         "classifier.out_proj.weight", "qa_outputs.bias"});
    CHECK(with_heads.hash == load(small_weights()).hash);

    tensors = small_weights();
    tensors.push_back({"pooler.dense.weight", {4, 4}, std::vector<float>(16, 0.5f)});
    CHECK_ERROR(load(tensors), CheckpointError, "missing (1): pooler.dense.bias");
    tensors.push_back({"pooler.dense.bias", {4}, std::vector<float>(4, 0.25f)});
    const PretrainedEncoder with_pooler = load(tensors);
    REQUIRE(with_pooler.model->pooler != nullptr);
    CHECK(with_pooler.model->pooler->weight.value.at({3, 3}) == real(0.5));
    CHECK(with_pooler.model->pooler->act == Activation::tanh);
    CHECK(with_pooler.hash != load(small_weights()).hash);

    // Everything that is wrong is said at once.
    tensors = small_weights();
    named(tensors, "encoder.layer.0.attention.self.query.weight").name = "encoder.layer.0.attention.self.queri.weight";
    named(tensors, "encoder.layer.0.output.dense.bias") = {"encoder.layer.0.output.dense.bias", {2}, {1, 2}};
    tensors.push_back({"adapter.weight", {1}, {1}});
    tensors.push_back({"bert.embeddings.LayerNorm.gamma", {4}, {1, 2, 3, 4}});
    for (const char* part :
         {"model.safetensors does not fit its config.json (hidden_size 4, num_attention_heads 2, num_hidden_layers 1",
          "missing (1): encoder.layer.0.attention.self.query.weight (nearest: encoder.layer.0.attention.self.queri.",
          "unexpected (2): adapter.weight, encoder.layer.0.attention.self.queri.weight",
          "repeated (1): embeddings.LayerNorm.weight and bert.embeddings.LayerNorm.gamma",
          "mis-shaped (1): encoder.layer.0.output.dense.bias is [2], want [4]"}) {
        CHECK_ERROR(load(tensors), CheckpointError, part);
    }
}

TEST_CASE("M2: shapes that do not fit", "[nn][pretrained][M2]") {
    std::vector<SampleTensor> tensors = small_weights();
    named(tensors, "encoder.layer.0.intermediate.dense.weight").shape = {4, 5};  // transposed
    CHECK_ERROR(load(tensors), CheckpointError,
                "mis-shaped (1): encoder.layer.0.intermediate.dense.weight is [4, 5], want [5, 4]");
    named(tensors, "encoder.layer.0.intermediate.dense.weight").shape = {20};
    CHECK_ERROR(load(tensors), CheckpointError, "is [20], want [5, 4]");
}

TEST_CASE("M3: a head that is to share the word embeddings, and does not", "[nn][pretrained][M3]") {
    for (const char* name : {"lm_head.decoder.weight", "cls.predictions.decoder.weight"}) {
        std::vector<SampleTensor> tensors = small_weights();
        tensors.push_back({name, {7, 4}, named(tensors, "embeddings.word_embeddings.weight").values});
        CHECK_OK(load(tensors).hash == load(small_weights()).hash);
        tensors.back().values[27] += 1;
        check_refused([&] { load(tensors); }, "VALUE",
                      std::string("tensor ") + name + ": differs from the word embeddings");
        CHECK(load(tensors, config_with("tie_word_embeddings", false)).hash == load(small_weights()).hash);
        tensors.back() = {name, {2, 4}, std::vector<float>(8)};
        check_refused([&] { load(tensors); }, "VALUE", "is [2, 4], the word embeddings that it is tied to are [7, 4]");
    }
}

TEST_CASE("M4: weights of another size are refused with one clear message", "[nn][pretrained][M4]") {
    const std::string text = [] {
        try {
            load(small_weights(3));
        } catch (const CheckpointError& error) {
            return std::string(error.what());
        }
        return std::string();
    }();
    CHECK(mentions(text, "layers: the file has 3, num_hidden_layers is 1"));
    CHECK(text.find("encoder.layer") == text.npos);
    CHECK_ERROR(load(small_weights(1), config_with("num_hidden_layers", 24)), CheckpointError,
                "layers: the file has 1, num_hidden_layers is 24");
    CHECK_ERROR(load(small_weights(0)), CheckpointError, "layers: the file has 0, num_hidden_layers is 1");
    std::vector<SampleTensor> odd = small_weights();
    odd.push_back({"encoder.layer.99999999999999999999.output.dense.bias", {4}, {1, 2, 3, 4}});
    odd.push_back({"encoder.layer.-7.output.dense.bias", {4}, {1, 2, 3, 4}});
    CHECK_ERROR(load(odd), CheckpointError, "unexpected (2): encoder.layer.-7.output.dense.bias, encoder.layer.9999");
}

TEST_CASE("S13: weights that are not finite, or no fractions, make no encoder", "[nn][pretrained][S13]") {
    for (const float wrong : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
        std::vector<SampleTensor> tensors = small_weights();
        named(tensors, "encoder.layer.0.attention.self.value.bias").values[2] = wrong;
        check_refused([&] { load(tensors); }, "VALUE", "encoder.layer.0.attention.self.value.bias holds ");
        check_refused([&] { load(tensors); }, "VALUE", " at position 2");
    }
    const ScratchFolder folder;
    folder.write("config.json", bytes_of(kConfig.dump()));
    Bytes file = safetensors_file(small_weights());
    const Bytes name = bytes_of("embeddings.LayerNorm.bias\":{\"dtype\":\"F32");
    const auto at = std::search(file.begin(), file.end(), name.begin(), name.end());
    REQUIRE(at != file.end());
    *(at + std::ptrdiff_t(name.size()) - 3) = 'I';
    folder.write("model.safetensors", file);
    check_refused([&] { load_encoder(folder.path); }, "DTYPE",
                  "tensor embeddings.LayerNorm.bias: is I32, expected F32");
}

TEST_CASE("generic sweep: a config with every cut and every flipped bit", "[nn][pretrained][sweep][A11]") {
    const ScratchFolder folder;
    folder.write("model.safetensors", safetensors_file(small_weights()));
    const Bytes good = bytes_of(kConfig.dump());
    const int n_refused = sweep(good, good.size(), {}, true, [&](const Bytes& input) {
        fs::remove(folder / "config.json");
        folder.write("config.json", input);
        try {
            load_encoder(folder.path);
        } catch (const CheckpointError& error) {
            throw DataError("SHAPE", "model.safetensors", "", error.what());
        }
    });
    CHECK(n_refused > 1000);
}

TEST_CASE("a folder that is no model", "[nn][pretrained]") {
    const ScratchFolder folder;
    check_refused([&] { load_encoder(folder.path); }, "IO", "config.json");
    folder.write("config.json", bytes_of(kConfig.dump()));
    check_refused([&] { load_encoder(folder.path); }, "MISSING", "holds no weights; looked for model.safetensors");
}

// ---- against transformers -------------------------------------------------------------------------------------------

TEST_CASE("hidden states are those of transformers, whatever the layout of the file", "[golden][nn][pretrained][A18]") {
    const auto expected = golden("pretrained/expected.json");
    const Texts texts = expected["texts"];
    const PackedTokens tokens = PackedTokens::from(texts);
    // float64 there, and ten digits.
    const double tolerance = sizeof(real) == 8 ? 1e-8 : 1e-5;
    std::map<std::string, std::string> hashes;
    for (const char* name : {"roberta", "roberta-sharded", "roberta-zip", "roberta-legacy", "roberta-half", "bert",
                             "camembert", "xlm-roberta"}) {
        INFO(name);
        const std::string model = std::string(name).starts_with("roberta") ? "roberta" : name;
        const PretrainedEncoder encoder = load_encoder(golden_folder(name));
        const auto [known, is_first] = hashes.emplace(model, encoder.hash);
        CHECK(encoder.hash == known->second);
        CHECK(encoder.warnings.empty());
        const NoGrad no_grad;
        const std::vector<Var> states = encoder.model->hidden_states(tokens);
        REQUIRE(states.size() == 3);
        for (size_t n = 0; n < texts.size(); n++) {
            for (size_t layer = 0; layer < states.size(); layer++) {
                INFO("text " << n << ", layer " << layer);
                const auto& of_text = expected[model]["hidden_states"][n][layer];
                REQUIRE(of_text.size() == texts[n].size());
                CHECK(largest_difference(of_text, states[layer].value, tokens.starts[n]) <= tolerance);
            }
        }
        const auto& pooled = expected[model]["pooled"];
        REQUIRE((encoder.model->pooler != nullptr) == !pooled[0].is_null());
        if (encoder.model->pooler) {
            const Var first = pool_texts(states.back(), tokens.starts, Pooling::cls);
            CHECK(largest_difference(pooled, (*encoder.model->pooler)(first).value) <= tolerance);
        }
    }
    CHECK(load_encoder(golden_folder("bert")).ignored.size() >= 8);
}

namespace {

// A real encoder, and what transformers made of texts with it, ids given: the mean of the last states, of length 1, and
// for some texts the first eight features of the first and of the last token after every layer. Skips when one of the
// two files is in none of the data folders.
void check_real_encoder(const std::string& model, const std::string& vectors, double tolerance) {
    std::string folder, lines;
    for (const std::string& root : data_roots({})) {
        if (folder.empty() && is_model_folder(root + "/encoders/" + model)) folder = root + "/encoders/" + model;
        if (lines.empty() && fs::exists(root + "/" + vectors)) lines = root + "/" + vectors;
    }
    if (folder.empty()) SKIP_TEST("no encoders/" + model + " below $KOINE_DATA");
    if (lines.empty()) SKIP_TEST("no " + vectors + " below $KOINE_DATA");

    const PretrainedEncoder encoder = load_encoder(folder);
    const NoGrad no_grad;
    double largest = 0;
    int n_texts = 0, n_with_states = 0;
    std::ifstream in(lines);
    for (std::string line; std::getline(in, line); n_texts++) {
        const auto row = nlohmann::json::parse(line);
        const PackedTokens tokens = PackedTokens::from(Texts{row["ids"]});
        const std::vector<Var> states = encoder.model->hidden_states(tokens);
        const Var mean = l2_normalize(pool_texts(states.back(), tokens.starts, Pooling::mean));
        largest = std::max(largest, largest_difference(nlohmann::json::array({row["embedding"]}), mean.value));
        if (!row.contains("hidden_first8")) continue;
        n_with_states++;
        const auto& layers = row["hidden_first8"];
        REQUIRE(layers.size() == states.size());
        for (size_t layer = 0; layer < layers.size(); layer++) {
            const Tensor first8 = states[layer].value.slice(1, 0, 8);
            const Tensor last = first8.slice(0, first8.shape[0] - 1, first8.shape[0]);
            largest = std::max(largest, largest_difference(nlohmann::json::array({layers[layer][0]}), first8));
            largest = std::max(largest, largest_difference(nlohmann::json::array({layers[layer][1]}), last));
        }
    }
    REQUIRE(n_texts >= 20);
    REQUIRE(n_with_states >= 1);
    INFO("largest difference " << largest);
    CHECK(largest <= tolerance);
}

}  // namespace

TEST_CASE("MiniLM's vectors are those of transformers", "[golden][nn][pretrained]") {
    check_real_encoder("minilm", "golden/minilm.embeddings.jsonl", 1e-4);
}

TEST_CASE("multilingual E5's vectors are those of transformers", "[golden][nn][pretrained]") {
    check_real_encoder("e5-multilingual", "encoders/e5-multilingual/golden_embeddings.jsonl", 2e-3);
}
