// Reading word vectors: big.bin and big.vec in the folder that KOINE_BENCH names, which word_vectors_peer.py makes.
#include <zlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>

#include "data/word_vectors.h"
#include "tests/bench/bench.h"

namespace koine::bench {
namespace {

// Memory of this process in MB as Linux counts it: "VmRSS" now, "VmHWM" the most so far. 0 where there is no /proc.
double memory_mb(const std::string& what) {
    std::ifstream status("/proc/self/status");
    std::string line;
    while (std::getline(status, line)) {
        if (line.starts_with(what + ":")) return std::stod(line.substr(what.size() + 1)) / 1024;
    }
    return 0;
}

// A program reads its vectors once, into memory that it has not had before: nothing is left from the load before, and
// the most memory is counted anew.
void forget_loads() {
    pool().trim();
    std::ofstream("/proc/self/clear_refs") << 5;
}

struct Load {
    std::string path;
    WordVectorOptions options;
    struct Seen {
        double words = 0, matrix_mb = 0, added_mb = 0;
    };
    std::shared_ptr<Seen> seen = std::make_shared<Seen>();

    double run() const {
        const double before = memory_mb("VmRSS");
        const WordVectors v = load_word_vectors(path, options);
        *seen = {double(v.size()), double(v.vectors.numel()) * sizeof(real) / (1 << 20), memory_mb("VmHWM") - before};
        return double(v.size());
    }
    std::vector<Value> facts() const {
        return {{"words", seen->words}, {"matrix_mb", seen->matrix_mb}, {"peak_mb", seen->added_mb}};
    }
    std::vector<Value> check() const {
        const WordVectors v = load_word_vectors(path, options);
        uLong words = crc32(0, nullptr, 0), numbers = words;
        for (const std::string_view word : v.words) {
            words = crc32(words, reinterpret_cast<const Bytef*>(word.data()), uInt(word.size()));
            words = crc32(words, reinterpret_cast<const Bytef*>("\n"), 1);
        }
        const int64_t d = v.size() ? v.vectors.shape[1] : 0;
        for (int64_t i = 0; i < v.size(); i++) {
            const std::vector<float> row(v.vectors.data() + i * d, v.vectors.data() + (i + 1) * d);
            numbers = crc32(numbers, reinterpret_cast<const Bytef*>(row.data()), uInt(row.size() * sizeof(float)));
        }
        return {{"words", double(v.size())}, {"crc32_of_words", double(words)}, {"crc32_of_numbers", double(numbers)}};
    }
};

Workload load_workload(const std::string& name, const std::string& path, const WordVectorOptions& options) {
    Workload workload{.name = name, .group = "vectors"};
    const Load load{path, options};
    workload.make = [=]() -> Step { return [=] { return load.run(); }; };
    workload.n_steps = 3, workload.n_warm_up = 1;
    workload.facts = [=] { return load.facts(); };
    workload.check = [=] { return load.check(); };
    workload.before = forget_loads;
    workload.may_allocate = true, workload.is_cpu_only = true;
    return workload;
}

}  // namespace

std::vector<Workload> word_vector_workloads() {
    WordVectorOptions first, some;
    first.limit = 20000;
    // One word in 50, spread over the file.
    some.filter = [](std::string_view word) { return word.ends_with("00") || word.ends_with("50"); };
    std::vector<Workload> all;
    for (const std::string kind : {"bin", "vec"}) {
        const std::string path = bench_folder() + "/big." + kind;
        if (bench_folder().empty() || !std::filesystem::exists(path)) continue;
        all.push_back(load_workload("vectors-" + kind, path, {}));
        all.push_back(load_workload("vectors-" + kind + "-some", path, some));
        all.push_back(load_workload("vectors-" + kind + "-first", path, first));
    }
    return all;
}

std::vector<Workload> word_scaling_workloads() {
    const std::string path = bench_folder() + "/big.vec";
    if (bench_folder().empty() || !std::filesystem::exists(path)) return {};
    std::vector<Workload> all;
    for (const int64_t n : {3125, 6250, 12500, 25000, 50000}) {
        WordVectorOptions options;
        options.limit = n;
        all.push_back(load_workload("scaling-words-" + std::to_string(n), path, options));
        all.back().group = "scaling", all.back().is_default = false;
    }
    return all;
}

}  // namespace koine::bench
