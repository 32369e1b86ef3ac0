// data/weights.h and data/safetensors_file.h: which format is it, models in several files. What the formats' readers
// refuse is in test_safetensors.cpp and test_torch_pickle.cpp. Catalogue rows S11, S16, S18.
#include "data/weights.h"

#include <sys/stat.h>

#include "data/safetensors_file.h"
#include "tests/torch_samples.h"
#include "tests/weights_samples.h"

using namespace koine;
using namespace koine::testing;

namespace {

const SampleTensor kA = {"a", {2, 2}, {1, 2, 3, 4}}, kB = {"b", {3}, {5, 6, 7}}, kC = {"c", {1}, {8}};

std::vector<real> values_of(WeightFile& file, const std::string& name) {
    for (size_t i = 0; i < file.entries().size(); i++) {
        if (file.entries()[i].name != name) continue;
        std::vector<real> values(size_t(file.entries()[i].shape.numel()));
        file.read(i, values);
        return values;
    }
    throw Error("there is no " + name);
}

/// A folder with two shards, of a and b, and of c; the index is up to the test.
struct Sharded {
    Sharded() {
        folder.write("one.safetensors", safetensors_file({kA, kB}));
        folder.write("two.safetensors", safetensors_file({kC}));
    }
    std::unique_ptr<WeightFile> open(const std::map<std::string, std::string>& weight_map) const {
        return open(shard_index(weight_map));
    }
    std::unique_ptr<WeightFile> open(const Bytes& index) const {
        folder.write("model.safetensors.index.json", index);
        return open_weights_in(folder.path);
    }
    ScratchFolder folder;
};

const std::map<std::string, std::string> kGood = {
    {"a", "one.safetensors"}, {"b", "one.safetensors"}, {"c", "two.safetensors"}};

std::map<std::string, std::string> with(const std::string& name, const std::string& file) {
    auto changed = kGood;
    changed[name] = file;
    return changed;
}

}  // namespace

TEST_CASE("weights are read one tensor at a time, in any order", "[data][weights]") {
    const ScratchFolder folder;
    const auto file = open_weights(folder.write("anything.at.all", safetensors_file({kA, kB, kC})));
    REQUIRE(file->entries().size() == 3);
    CHECK(file->entries()[1].name == "b");
    CHECK(file->entries()[0].shape == Shape{2, 2});
    CHECK(file->file() == folder / "anything.at.all");
    CHECK(values_of(*file, "c") == std::vector<real>{8});
    CHECK(values_of(*file, "a") == std::vector<real>{1, 2, 3, 4});
    CHECK(values_of(*file, "a") == std::vector<real>{1, 2, 3, 4});
    std::vector<real> room(3);
    CHECK_ERROR(file->read(0, room), ValueError, "a is [2, 2], the room has 3 numbers");
    CHECK_ERROR(file->read(3, room), ValueError, "tensor 3 of 3");
}

TEST_CASE("a checksum follows the bytes that are read", "[data][weights]") {
    const ScratchFolder folder;
    SafetensorsFile file(folder.write("x", safetensors_file({kA, kB})));
    std::vector<real> a(4), b(3);
    file.read(0, a);
    CHECK_FALSE(file.crc);
    file.crc = 0;
    file.read(0, a);
    file.read(1, b);
    // crc32 of the seven floats 1 to 7, by Python's zlib.crc32.
    CHECK(*file.crc == 0xe3706238u);
}

TEST_CASE("S11: what is odd in a file is passed on", "[data][weights][S11]") {
    const ScratchFolder folder;
    const std::string json = R"({"w":{"dtype":"F32","note":1,"shape":[1],"data_offsets":[0,4]}})";
    const Bytes odd = Bytes{uint8_t(json.size()), 0, 0, 0, 0, 0, 0, 0} + bytes_of(json) + Bytes(4);
    folder.write("odd.safetensors", odd);
    const auto warnings = open_weights(folder / "odd.safetensors")->warnings();
    REQUIRE(warnings.size() == 1);
    CHECK(mentions(warnings[0], "unknown field \"note\""));
    folder.write("model.safetensors.index.json", shard_index({{"w", "odd.safetensors"}}));
    const auto same = open_weights_in(folder.path)->warnings();
    REQUIRE(same.size() == 1);
    CHECK(mentions(same[0], "odd.safetensors: tensor \"w\": the unknown field \"note\""));
}

TEST_CASE("the format is what a file contains", "[data][weights]") {
    const ScratchFolder folder;
    const auto refuses = [&](const Bytes& contents, const std::string& kind, const std::string& part) {
        check_refused([&] { open_weights(folder.write("model.safetensors", contents)); }, kind, part);
    };
    refuses({}, "TRUNC", "has 0 bytes");
    refuses(bytes_of("1234567"), "TRUNC", "has 7 bytes");
    refuses(bytes_of("version https://git-lfs.github.com/spec/v1\noid sha256:12"), "MAGIC", "git lfs pull");
    refuses(bytes_of("<!DOCTYPE html><html>"), "MAGIC", "is HTML");
    refuses(gzipped(safetensors_file({kA})), "MAGIC", "is gzip");
    refuses(bytes_of("\x89HDF\r\n\x1a\nabcdefgh"), "MAGIC", "HDF5");
    refuses(bytes_of("GGUF\x03") + Bytes(20), "MAGIC", "GGUF");
    refuses(bytes_of("\x93NUMPY\x01") + Bytes(20), "MAGIC", "NumPy");
    refuses(bytes_of("hello, world"), "MAGIC", "begins with \"hello, w\"; expected safetensors");
    // A number that can be the length of a header leads to the reader of safetensors, which knows what is wrong.
    refuses(Bytes(8), "SYNTAX", "the header is empty");
    refuses(Bytes{200, 0, 0, 0, 0, 0, 0, 0, '{'}, "TRUNC", "the header's length is given as 200");
    refuses(Bytes{4, 0, 0, 0, 0, 0, 0, 0, 'n', 'u', 'l', 'l'}, "SYNTAX", "does not begin with {");
    refuses(bytes_of("{\"weights\": 1}"), "MISSING", "weight_map");
    refuses(bytes_of("{\"weight_map\": []}"), "SYNTAX", "expected an object");
    for (const std::string& path : {folder.path, folder / "missing"}) {
        CHECK(kind_of([&] { open_weights(path); }) == "IO");
    }
    REQUIRE(mkfifo((folder / "pipe").c_str(), 0600) == 0);
    CHECK(kind_of([&] { open_weights(folder / "pipe"); }) == "IO");
}

TEST_CASE("a folder without weights says what was looked for", "[data][weights]") {
    const ScratchFolder folder;
    folder.write("tf_model.h5", Bytes(10));
    check_refused([&] { open_weights_in(folder.path); }, "MISSING",
                  "model.safetensors, model.safetensors.index.json, pytorch_model.bin, pytorch_model.bin.index.json");
    check_refused([&] { open_weights_in(folder / "nowhere"); }, "MISSING", "nowhere: holds no weights");
    folder.write("pytorch_model.bin", safetensors_file({kA}));
    CHECK(open_weights_in(folder.path)->entries().size() == 1);
    folder.write("model.safetensors", safetensors_file({kB, kC}));
    CHECK(open_weights_in(folder.path)->entries().size() == 2);
}

TEST_CASE("S16: a model in several files is one", "[data][weights][S16]") {
    const Sharded sharded;
    const auto file = sharded.open(kGood);
    REQUIRE(file->entries().size() == 3);
    CHECK(file->warnings().empty());
    CHECK(values_of(*file, "a") == std::vector<real>{1, 2, 3, 4});
    CHECK(values_of(*file, "b") == std::vector<real>{5, 6, 7});
    CHECK(values_of(*file, "c") == std::vector<real>{8});
    CHECK(mentions(file->file(), "model.safetensors.index.json"));
    std::vector<real> room(2);
    CHECK_ERROR(file->read(2, room), ValueError, "c is [1]");

    auto without = kGood;
    without.erase("b");
    const auto lax = sharded.open(without);
    REQUIRE(lax->warnings().size() == 1);
    CHECK(mentions(lax->warnings()[0], "one.safetensors: 1 tensors are not in the index"));
    CHECK(values_of(*lax, "b") == std::vector<real>{5, 6, 7});
}

TEST_CASE("S16: an index may name files beside it, and nothing else", "[data][weights][S16][A28]") {
    const Sharded sharded;
    std::filesystem::create_directory(sharded.folder / "sub");
    sharded.folder.write("sub/three.safetensors", safetensors_file({kC}));
    for (const char* path : {"../../etc/passwd", "/etc/passwd", "sub/three.safetensors", "./two.safetensors", "..", ".",
                             "", "sub\\\\three.safetensors", "two.safetensors\\u0000.txt"}) {
        INFO(path);
        check_refused([&] { sharded.open(with("c", path)); }, "UNSAFE",
                      "expected one beside the index, without a path");
    }
}

TEST_CASE("S16: an index whose files are none", "[data][weights][S16]") {
    const Sharded sharded;
    std::filesystem::create_directory(sharded.folder / "sub");
    check_refused([&] { sharded.open(bytes_of(R"({"weight_map": {"a": 1}})")); }, "VALUE",
                  "field weight_map.a: is 1, expected a string");
    check_refused([&] { sharded.open(with("c", "sub")); }, "IO", "is a directory");
}

TEST_CASE("S16: shards that do not hold what the index says", "[data][weights][S16]") {
    const Sharded sharded;
    check_refused([&] { sharded.open(with("c", "three.safetensors")); }, "MISSING",
                  "not beside the index: \"three.safetensors\"");
    auto two_missing = with("c", "three.safetensors");
    two_missing["b"] = "four.safetensors";
    check_refused([&] { sharded.open(two_missing); }, "MISSING", "\"four.safetensors\", \"three.safetensors\"");
    check_refused([&] { sharded.open(with("d", "two.safetensors")); }, "MISSING",
                  "weight_map.d: is not in its file, \"two.safetensors\"");
    check_refused([&] { sharded.open(with("b", "two.safetensors")); }, "DUP",
                  "tensor \"b\": is in the file \"one.safetensors\" and belongs into \"two.safetensors\"");
    sharded.folder.write("two.safetensors", safetensors_file({kB, kC}));
    check_refused([&] { sharded.open(kGood); }, "DUP", "tensor \"b\"");
    auto without = kGood;
    without.erase("b");
    check_refused([&] { sharded.open(without); }, "DUP", "tensor \"b\"");
    check_refused(
        [&] { sharded.open(bytes_of(R"({"weight_map": {"a": "one.safetensors", "a": "two.safetensors"}})")); }, "DUP",
        "the key \"a\" occurs twice");
    sharded.folder.write("three.safetensors", shard_index(kGood));
    check_refused([&] { sharded.open(with("c", "three.safetensors")); }, "MAGIC", "is an index itself");
    std::map<std::string, std::string> many;
    for (int i = 0; i < 600; i++) many[std::to_string(i)] = "shard" + std::to_string(i);
    check_refused([&] { sharded.open(many); }, "LIMIT", "names 600 files; at most 512");
}

TEST_CASE("S18: a file that shrinks after it was opened", "[data][weights][S18][A29]") {
    const ScratchFolder folder;
    const std::string path = folder.write("x", safetensors_file({kA, kB}));
    const auto file = open_weights(path);
    std::filesystem::resize_file(path, std::filesystem::file_size(path) - 4);
    CHECK(values_of(*file, "a") == std::vector<real>{1, 2, 3, 4});
    check_refused([&] { values_of(*file, "b"); }, "TRUNC", "the file ends inside the values");
}

TEST_CASE("generic sweep: an index with every cut and every flipped bit", "[data][weights][sweep][A11]") {
    const Sharded sharded;
    const Bytes good = shard_index(kGood);
    const int n_refused = sweep(good, good.size(), {}, true, [&](const Bytes& input) {
        std::filesystem::remove(sharded.folder / "model.safetensors.index.json");
        const auto file = sharded.open(input);
        for (size_t i = 0; i < file->entries().size(); i++) {
            std::vector<real> values(size_t(file->entries()[i].shape.numel()));
            file->read(i, values);
        }
    });
    CHECK(n_refused > 500);
}

TEST_CASE("an index that names an index is refused", "[data][weights]") {
    const Sharded sharded;
    sharded.folder.write("nested.safetensors", shard_index(kGood));
    check_refused([&] { sharded.open(with("c", "nested.safetensors")); }, "MAGIC",
                  "is an index itself, expected weights");
}

TEST_CASE("shards may be files of torch.save", "[data][weights]") {
    const Sharded sharded;
    sharded.folder.write("three.bin",
                         torch_zip(pk::program(pk::state({{"c", pk::tensor(pk::storage("0", 2), 0, {2}, {1})}})),
                                   {{"0", f32_bytes({9, 10})}}));
    const auto file = sharded.open(with("c", "three.bin"));
    CHECK(values_of(*file, "c") == std::vector<real>{9, 10});
    CHECK(values_of(*file, "b") == std::vector<real>{5, 6, 7});
}
