// Files of a megabyte, where the samples of the table are too small to show what a byte of the file costs: good ones,
// damaged ones, and the attacks of the safetensors audit of 2023 (Trail of Bits; the safetensors project, attacks/).
#include <unistd.h>

#include <algorithm>

#include "data/weights.h"
#include "nn/checkpoint.h"
#include "tests/hostile/watch.h"
#include "tests/protobuf_samples.h"
#include "tests/torch_samples.h"
#include "tests/weights_samples.h"

using namespace koine;
using namespace koine::testing;

namespace {

constexpr size_t kMegabyte = 1 << 20;
constexpr int64_t kSlack = 16 << 20;
constexpr double kMostMs = 1000;

const Format& row(const std::string& name) {
    const auto found =
        std::find_if(formats().begin(), formats().end(), [&](const Format& f) { return f.name == name; });
    if (found == formats().end()) throw Error("no row is named " + name);
    return *found;
}

/// line(0) + line(1) + ..., a megabyte of them, between `begin` and `end`; all but the first behind `comma`.
Bytes repeated(const std::function<std::string(int)>& line, const std::string& begin = "", const std::string& end = "",
               const std::string& comma = "") {
    std::string text = begin;
    for (int i = 0; text.size() < kMegabyte; i++) text += (i > 0 ? comma : "") + line(i);
    return bytes_of(text + end);
}

std::string word(int i) { return "w" + std::to_string(i * 7919 % 1'000'000); }

Bytes word2vec() {
    constexpr int kWords = 40'000;
    std::string text = std::to_string(kWords) + " 4\n";
    for (int i = 0; i < kWords; i++) text += word(i) + " " + std::string(16, '>');
    return bytes_of(text);
}

Bytes cifar() {
    Bytes out;
    for (int i = 0; i < 340; i++) out = std::move(out) + Bytes{uint8_t(i % 10)} + Bytes(3072, uint8_t(i));
    return out;
}

Bytes sentencepiece() {
    Bytes out = sp_specials();
    for (int i = 0; out.size() < kMegabyte; i++) {
        const Bytes piece = sp_piece(word(i), float(-i) / 1000);
        out.insert(out.end(), piece.begin(), piece.end());
    }
    return out + sp_trainer(proto_whole(3, 1));
}

/// 250 000 numbers.
const std::vector<float> kNumbers(kMegabyte / 4, 0.5f);
std::string torch_program() {
    const auto n = int64_t(kNumbers.size());
    return pk::program(pk::state({{"w", pk::tensor(pk::storage("0", n), 0, {n}, {1})}}));
}

Bytes many_tensors(int n) {
    std::vector<SampleTensor> all;
    for (int i = 0; i < n; i++) all.push_back({"t" + std::to_string(i), {2}, {1, 2}});
    return safetensors_file(all);
}

/// A good file of a megabyte for a row of the table.
struct Large {
    std::string row;
    Bytes good;
    int64_t per_byte = 2;  ///< bytes of memory that a byte of the file may cost; short lines of a list cost more
};

std::vector<Large> large_files() {
    const Bytes images = idx_bytes({kMegabyte / 12, 3, 4}, Bytes(kMegabyte / 12 * 12, 7));
    const auto row_of_table = [](int i) { return "\"a \"\"b\"\"\nc\"," + std::to_string(i) + "\n"; };
    const char* labels[] = {"negative", "neutral", "positive"};
    const auto tweet = [&](int i) { return word(i) + " is &amp; so," + labels[i % 3] + "\n"; };
    const auto entry = [](int i) { return "\"" + word(i) + "\":" + std::to_string(i + 100); };
    return {
        {"IDX", images},
        {"IDX, gzip", gzipped(images)},
        {"CIFAR-10 records", cifar()},
        {"CSV", repeated(row_of_table, "text,label\n")},
        {"sentiment, CSV", repeated(tweet, "text,label\n")},
        {"word2vec binary", word2vec()},
        {"GloVe", repeated([](int i) { return word(i) + " 0.5 -1.25 3 0.001\n"; })},
        {"safetensors", safetensors_file({{"a", {int64_t(kNumbers.size())}, kNumbers}})},
        {"safetensors", many_tensors(12'000)},
        {"torch.save, zip", torch_zip(torch_program(), {{"0", f32_bytes(kNumbers)}})},
        {"torch.save, legacy", torch_legacy(torch_program(), {{"0", f32_bytes(kNumbers)}})},
        {"vocab.json",
         repeated(entry, R"({"<s>":0,"<pad>":1,"</s>":2,"<unk>":3,"a":4,"b":5,"ab":6,"Ġ":7,"Ġa":8,)", "}", ",")},
        {"vocab.txt",
         repeated([](int i) { return word(i) + "\n"; },
                  "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\nc\n1\n##2\n<q>\n<r>\n"),
         20},
        {"tokenizer.json, WordPiece",
         repeated(entry, R"({"model":{"type":"WordPiece","unk_token":"u","vocab":{"u":0,)", "}}}", ",")},
        {"tokenizer.json, Unigram",
         repeated([](int i) { return "[\"" + word(i) + "\",-" + std::to_string(i % 100) + ".5]"; },
                  R"({"model":{"type":"Unigram","unk_id":0,"vocab":[["u",0],)", "]}}", ",")},
        {"SentencePiece .model", sentencepiece()},
        {"a run's train.csv",
         repeated([](int i) { return "a," + std::to_string(i) + ",0.5\n"; }, "model,epoch,loss\n")},
        {"anchors.json",
         repeated([](int i) { return std::to_string(i); },
                  R"({"data_set":"mnist","hash":"0","seed":7,"strategy":"uniform","ids":[)", "]}", ",")},
    };
}

void check_costs(const Outcome& o, uint64_t file_bytes, int64_t per_byte = 2) {
    CHECK(o.end != Outcome::End::forbidden);
    CHECK(o.end != Outcome::End::bad_alloc);
    CHECK(o.ms <= kMostMs * std::max(1.0, double(file_bytes) / (16 * kMegabyte)));
    CHECK(o.peak_bytes <= per_byte * int64_t(file_bytes) + kSlack);
    CHECK(o.is_clean());
}

// ---- attacks ------------------------------------------------------------------------------------------------------

/// A safetensors file of this header and so many bytes of values, none of which takes room on the disk.
void write_sparse(const std::string& path, uint64_t n, const std::string& header, uint64_t n_values) {
    put_file(path, bytes_of(le(n, 8) + header));
    REQUIRE(truncate(path.c_str(), off_t(8 + header.size() + n_values)) == 0);
}

std::string empty_tensors(int n, const std::string& offsets) {
    std::string header = "{";
    for (int i = 0; i < n; i++) {
        header += (i > 0 ? ",\"" : "\"") + std::to_string(i) + R"(":{"dtype":"U8","shape":[)" + offsets + "}";
    }
    return header + "}";
}

}  // namespace

TEST_CASE("a megabyte of every format: read in a second, in twice its size and 16 MB, whole or damaged",
          "[hostile][large]") {
    if (std::getenv("KOINE_HOSTILE_FORMAT")) SKIP_TEST("KOINE_HOSTILE_FORMAT leaves out rows");
    for (const Large& large : large_files()) {
        INFO(large.row << ", " << large.good.size() << " bytes");
        const Stage stage(row(large.row));
        Outcome worst;
        const auto attempt = [&](const Bytes& input, bool is_good) {
            stage.put(input);
            const Outcome o = watch_leaks(large.row + ", large", [&] { stage.load(); });
            INFO(o.text);
            if (is_good) CHECK(o.has_returned());
            check_costs(o, input.size() + stage.beside_bytes, large.per_byte);
            worst.ms = std::max(worst.ms, o.ms);
            worst.peak_bytes = std::max(worst.peak_bytes, o.peak_bytes);
        };
        attempt(large.good, true);
        const size_t n = large.good.size();
        for (size_t i = 1; i < 5; i++) {
            attempt(Bytes(large.good.begin(), large.good.begin() + std::ptrdiff_t(n * i / 5)), false);
            Bytes changed = large.good;
            changed[n * i / 5] ^= uint8_t(1 << (2 * i % 8));
            attempt(changed, false);
        }
        if (wants_report()) {
            std::printf("%-36s %8zu bytes  worst %8.2f ms %8.1f KB\n", large.row.c_str(), n, worst.ms,
                        double(worst.peak_bytes) / 1024);
        }
    }
}

TEST_CASE("the attacks of the safetensors audit are refused in a second and in little memory", "[hostile][A3]") {
    const TemporaryFolder folder;
    const std::string path = folder / "model.safetensors";
    using Load = std::function<void()>;
    const Load as_checkpoint = [&] { load_checkpoint(path); }, as_weights = [&] { open_weights(path); };
    const auto refused = [&](const std::string& what, const std::string& kind, const Load& load) {
        INFO(what);
        const Outcome o = watch_leaks(what, load);
        CHECK(o.end == Outcome::End::refused);
        CHECK(o.kind == kind);
        INFO(o.text);
        check_costs(o, std::filesystem::file_size(path));
        if (wants_report()) std::printf("%-36s %8.2f ms %8.1f KB\n", what.c_str(), o.ms, double(o.peak_bytes) / 1024);
    };
    // A header longer than the file, than the format allows, than 64 bits hold.
    write_sparse(path, 90'000'000, "{}", 0);
    refused("a header longer than the file", "TRUNC", as_checkpoint);
    write_sparse(path, 3'000'000'000, "{}", 4'000'000'000);
    refused("a header of 3 GB, in a file of 4 GB", "LIMIT", as_checkpoint);
    write_sparse(path, UINT64_MAX, "{}", 100);
    refused("a header of 2^64 - 1 bytes", "OVERFLOW", as_checkpoint);

    // Many tensors: within the limit of the header, all of them empty.
    const std::string many = empty_tensors(1'100'000, R"(0],"data_offsets":[0,0])");
    write_sparse(path, many.size(), many, 0);
    refused("a million tensors and more", "LIMIT", as_weights);
    // All of them the same bytes.
    const std::string same = empty_tensors(100'000, R"(1000000],"data_offsets":[0,1000000])");
    write_sparse(path, same.size(), same, 1'000'000);
    refused("100 000 tensors that show the same bytes", "OFFSET", as_weights);

    // What DEFLATE makes of zeros, and a size that promises more of them: the values of one tensor.
    const Bytes zeros(kMegabyte);
    const std::string program =
        pk::program(pk::state({{"w", pk::tensor(pk::storage("0", 10'000'000'000), 0, {10'000'000'000}, {1})}}));
    std::vector<ZipSample> entries = torch_entries(program, {{"0", zeros}});
    entries.back().is_deflated = true;
    ZipLayout zip = zip_archive(entries);
    for (const size_t at : {zip.central.back() + 24, zip.data.back() + deflated(zeros).size() + 12}) {
        put_le(zip.bytes, at, 0xfffffff0, 4);  // the size of the contents
    }
    put_file(path, zip.bytes);
    refused("an archive that says it unpacks to 4 GB", "LIMIT", as_weights);
}
