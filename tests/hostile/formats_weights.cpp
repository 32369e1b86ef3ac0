// Weights: safetensors, shards, both layouts of torch.save, checkpoints, folders of encoders.
#include <filesystem>

#include "data/json.h"
#include "data/model_folder.h"
#include "data/pickle.h"
#include "data/weights.h"
#include "nn/checkpoint.h"
#include "nn/pretrained.h"
#include "tests/datasets_common.h"
#include "tests/hostile/formats.h"
#include "tests/torch_samples.h"
#include "tests/weights_samples.h"

namespace koine::testing {
namespace {

const SampleTensor kA = {"a", {2, 3}, {1, 2, 3, 4, 5, 6}}, kB = {"b", {2}, {7, 8}}, kC = {"c", {1, 1}, {9}};

/// Opens folder/NAME and reads every tensor.
std::function<void(const std::string&)> reads(const std::string& name) {
    return [=](const std::string& folder) {
        const auto file = open_weights(folder + "/" + name);
        for (size_t i = 0; i < file->entries().size(); i++) {
            std::vector<real> values(size_t(file->entries()[i].shape.numel()));
            file->read(i, values);
        }
    };
}

/// A matrix, transposed, and a second storage.
std::string program() {
    return pk::program(pk::state({{"w", pk::tensor(pk::storage("0", 6), 0, {3, 2}, {1, 3})},
                                  {"t", pk::tensor(pk::storage("1", 2), 0, {1, 2}, {2, 1})}}));
}
Storages storages() { return {{"0", f32_bytes({1, 2, 3, 4, 5, 6})}, {"1", f32_bytes({7, 8})}}; }

/// The numbers in the records of an archive: sizes, offsets, counts.
std::vector<LengthField> zip_fields(const ZipLayout& zip) {
    std::vector<LengthField> fields;
    for (size_t at : zip.local) {
        for (size_t field : {14, 18, 22}) fields.push_back({at + field, 4, false});
        for (size_t field : {6, 8, 26, 28}) fields.push_back({at + field, 2, false});
    }
    for (size_t at : zip.central) {
        for (size_t field : {16, 20, 24, 42}) fields.push_back({at + field, 4, false});
        for (size_t field : {8, 10, 28, 30, 32}) fields.push_back({at + field, 2, false});
    }
    for (size_t field : {8, 10}) fields.push_back({zip.end + field, 2, false});
    for (size_t field : {12, 16}) fields.push_back({zip.end + field, 4, false});
    if (zip.end64 > 0) {
        for (size_t field : {4, 24, 32, 40, 48, 56 + 8}) fields.push_back({zip.end64 + field, 8, false});
    }
    return fields;
}

/// Every place where a length could be.
std::vector<LengthField> everywhere(const Bytes& bytes, size_t step) {
    std::vector<LengthField> fields;
    for (size_t at = 0; at + 8 <= bytes.size(); at += step) fields.push_back({at, at / step % 2 == 0 ? 4 : 8, false});
    return fields;
}

Bytes checkpoint() {
    const ScratchFolder folder;
    Checkpoint c;
    c.tensors = {{"model.weight", Tensor::full({2, 3}, 1)}, {"model.bias", Tensor::full({3}, 2)}};
    c.set("epoch", 3);
    c.set("note", "two words");
    save_checkpoint(folder / "x", c);
    return contents_of(folder / "x");
}

const Json kConfig = {{"model_type", "roberta"},      {"vocab_size", 7},          {"hidden_size", 4},
                      {"num_hidden_layers", 1},       {"num_attention_heads", 2}, {"intermediate_size", 5},
                      {"max_position_embeddings", 6}, {"type_vocab_size", 1},     {"pad_token_id", 1}};

/// The encoder of kConfig.
Bytes encoder_weights() {
    std::vector<SampleTensor> all;
    const auto add = [&](const std::string& name, const Shape& shape) {
        all.push_back({name, shape, std::vector<float>(size_t(shape.numel()), 0.25f)});
    };
    const auto add_layer = [&](const std::string& name, const Shape& weight) {
        add(name + ".weight", weight);
        add(name + ".bias", {weight[0]});
    };
    add("embeddings.word_embeddings.weight", {7, 4});
    add("embeddings.position_embeddings.weight", {6, 4});
    add("embeddings.token_type_embeddings.weight", {1, 4});
    add_layer("embeddings.LayerNorm", {4});
    const std::string layer = "encoder.layer.0.";
    for (const char* name : {"self.query", "self.key", "self.value", "output.dense"}) {
        add_layer(layer + "attention." + name, {4, 4});
    }
    add_layer(layer + "attention.output.LayerNorm", {4});
    add_layer(layer + "intermediate.dense", {5, 4});
    add_layer(layer + "output.dense", {4, 5});
    add_layer(layer + "output.LayerNorm", {4});
    return safetensors_file(all);
}

/// HF_HUB_CACHE is the folder "hub" (watch.h).
void find_cached_model(const std::string& folder) { find_model("ORG/NAME", offline(folder + "/nothing")); }

}  // namespace

std::vector<Format> weight_formats() {
    const ZipLayout zip = zip_archive(torch_entries(program(), storages()), true);
    std::vector<ZipSample> samples = torch_entries(program(), storages());
    for (ZipSample& s : samples) s.is_deflated = true;
    const ZipLayout deflated_zip = zip_archive(samples);
    const Bytes legacy = torch_legacy(program(), storages()), pickle = bytes_of(program());
    const Bytes config = bytes_of(kConfig.dump()), weights = encoder_weights();
    const auto loads_encoder = [](const std::string& folder) { load_encoder(folder); };
    const std::string repository = "hub/models--ORG--NAME/";
    return {
        {.name = "safetensors",
         .file = "model.safetensors",
         .good = safetensors_file({kA, kB}),
         .load = reads("model.safetensors"),
         .fields = {{0, 8, false}}},
        {.name = "index of shards",
         .file = "model.safetensors.index.json",
         .good = shard_index({{"a", "one.safetensors"}, {"b", "one.safetensors"}, {"c", "two.safetensors"}}),
         .load = reads("model.safetensors.index.json"),
         .beside = {{"one.safetensors", safetensors_file({kA, kB})}, {"two.safetensors", safetensors_file({kC})}}},
        {.name = "shard",
         .file = "one.safetensors",
         .good = safetensors_file({kA, kB}),
         .load = reads("model.safetensors.index.json"),
         .fields = {{0, 8, false}},
         .beside = {{"model.safetensors.index.json",
                     shard_index({{"a", "one.safetensors"}, {"b", "one.safetensors"}, {"c", "two.safetensors"}})},
                    {"two.safetensors", safetensors_file({kC})}}},
        {.name = "torch.save, zip",
         .file = "x.bin",
         .good = zip.bytes,
         .load = reads("x.bin"),
         .fields = zip_fields(zip)},
        {.name = "torch.save, deflated",
         .file = "x.bin",
         .good = deflated_zip.bytes,
         .load = reads("x.bin"),
         .fields = zip_fields(deflated_zip)},
        {.name = "torch.save, legacy",
         .file = "x.bin",
         .good = legacy,
         .load = reads("x.bin"),
         .fields = everywhere(legacy, 1)},
        // Alone, where no checksum of an archive comes first.
        {.name = "pickle",
         .file = "data.pkl",
         .good = pickle,
         .load =
             [](const std::string& folder) {
                 const Bytes bytes = read_file(folder + "/data.pkl");
                 ByteReader in(bytes, "data.pkl");
                 read_pickle(in, bytes.size());
                 if (!in.at_end()) in.fail("SYNTAX", "bytes behind the pickle");
             },
         .fields = everywhere(pickle, 1)},
        {.name = "checkpoint",
         .file = "c.safetensors",
         .good = checkpoint(),
         .load =
             [](const std::string& folder) {
                 const Checkpoint c = load_checkpoint(folder + "/c.safetensors");
                 c.number("epoch");
             },
         .fields = {{0, 8, false}}},
        {.name = "encoder, config.json",
         .file = "config.json",
         .good = config,
         .load = loads_encoder,
         .beside = {{"model.safetensors", weights}},
         .other_error = &typeid(CheckpointError)},
        {.name = "encoder, weights",
         .file = "model.safetensors",
         .good = weights,
         .load = loads_encoder,
         .header = 256,
         .fields = {{0, 8, false}},
         .beside = {{"config.json", config}},
         .other_error = &typeid(CheckpointError)},
        {.name = "refs/main of the hub's cache",
         .file = repository + "refs/main",
         .good = bytes_of("0123456789abcdef0123456789abcdef01234567"),
         .load = find_cached_model,
         .beside = {{repository + "snapshots/0123456789abcdef0123456789abcdef01234567/config.json", config},
                    {repository + "snapshots/0123456789abcdef0123456789abcdef01234567/model.safetensors", weights}}},
    };
}

}  // namespace koine::testing
