// Reading word vectors: the files that word_vectors_peer.py makes, in the folder that KOINE_BENCH_VECTORS names.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "data/word_vectors.h"
#include "tests/bench/bench.h"

namespace koine::bench {
namespace {

// The most memory that this process has had in MB, as Linux counts it.
double peak_mb() {
    std::ifstream status("/proc/self/status");
    std::string line;
    while (std::getline(status, line)) {
        if (line.starts_with("VmHWM:")) return std::stod(line.substr(6)) / 1024;
    }
    throw std::runtime_error("no VmHWM in /proc/self/status");
}

// Reads a file in a process of its own, so that the peak of its memory is its own, too.
void bench_load(const std::string& name, const std::string& path, const WordVectorOptions& options) {
    std::fflush(stdout);  // or the process would print it once more
    const pid_t child = fork();
    if (child < 0) throw std::runtime_error("cannot start a process");
    if (child == 0) {
        const double before = peak_mb();
        WordVectors vectors;
        print_result(name, "ours", 1e3 * seconds([&] { vectors = load_word_vectors(path, options); }));
        print_result(name, "words", double(vectors.size()));
        print_result(name, "peak_mb", peak_mb() - before);
        print_result(name, "matrix_mb", double(vectors.vectors.numel()) * sizeof(real) / (1 << 20));
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (status != 0) throw std::runtime_error(name + " failed");
}

}  // namespace

void bench_vectors() {
    const char* folder = std::getenv("KOINE_BENCH_VECTORS");
    if (folder == nullptr) {
        throw std::runtime_error("vectors: KOINE_BENCH_VECTORS must name the folder that word_vectors_peer.py filled");
    }
    WordVectorOptions first, some;
    first.limit = 20000;
    // One word in 50, spread over the file.
    some.filter = [](std::string_view word) { return word.ends_with("00") || word.ends_with("50"); };
    for (const std::string kind : {"bin", "vec"}) {
        const std::string path = std::string(folder) + "/big." + kind;
        bench_load("vectors-" + kind, path, {});
        bench_load("vectors-" + kind + "-some", path, some);
        bench_load("vectors-" + kind + "-first", path, first);
    }
}

}  // namespace koine::bench
