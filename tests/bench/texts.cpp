// Texts to ids: the lines of texts.txt in KOINE_BENCH, through the tokenizers below KOINE_DATA. run.py makes the file
// from tweets; tokenizers_peer.py reads the same.
#include <zlib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>

#include "data/tokenizer.h"
#include "tests/bench/bench.h"

namespace koine::bench {
namespace {

namespace fs = std::filesystem;

using Ids = std::vector<std::vector<int32_t>>;

std::vector<std::string> lines_of(const fs::path& path) {
    std::ifstream in(path);
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

// Texts are dealt out to the threads as experiments/common/text_encoder.cpp does.
Ids ids_of(const Tokenizer& tokenizer, const std::vector<std::string>& texts) {
    Ids ids(texts.size());
    for_tasks(Device::cpu, int64_t(texts.size()),
              [&](int64_t i) { ids[size_t(i)] = tokenizer.encode(texts[size_t(i)]).ids; });
    return ids;
}

std::vector<Value> summary(const Ids& ids) {
    double n = 0;
    uLong crc = crc32(0, nullptr, 0);
    for (const auto& text : ids) {
        const int32_t length = int32_t(text.size());
        crc = crc32(crc, reinterpret_cast<const Bytef*>(&length), sizeof length);
        crc = crc32(crc, reinterpret_cast<const Bytef*>(text.data()), uInt(text.size() * sizeof(int32_t)));
        n += length;
    }
    return {{"ids", n}, {"crc32", double(crc)}};
}

}  // namespace

std::vector<Workload> tokenizer_workloads() {
    const char* root = std::getenv("KOINE_DATA");
    const fs::path file = fs::path(bench_folder()) / "texts.txt";
    if (root == nullptr || bench_folder().empty() || !fs::exists(file)) return {};
    std::vector<Workload> all;
    for (const auto& [name, where] :
         {std::pair("roberta", "tokenizers/roberta-base"), std::pair("bert", "tokenizers/bert-base-uncased"),
          std::pair("e5", "encoders/e5-multilingual")}) {
        const fs::path folder = fs::path(root) / where;
        if (!fs::exists(folder)) continue;
        Workload workload{.name = std::string("tokenize-") + name, .group = "tokenize"};
        workload.make = [=]() -> Step {
            return [texts = lines_of(file), tokenizer = Tokenizer::load(folder)] {
                return double(ids_of(tokenizer, texts).size());
            };
        };
        workload.n_steps = 3, workload.n_warm_up = 1;
        workload.facts = [=] { return std::vector<Value>{{"texts", double(lines_of(file).size())}}; };
        workload.check = [=] { return summary(ids_of(Tokenizer::load(folder), lines_of(file))); };
        workload.is_cpu_only = true;
        all.push_back(std::move(workload));
    }
    return all;
}

}  // namespace koine::bench
