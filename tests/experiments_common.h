// What the tests of experiments/common share: a folder of their own, and what code says on stdout and stderr.
#pragma once
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "experiments/common/flags.h"
#include "tests/scratch.h"

namespace koine::testing {

/// A fresh folder, the working directory while it lives; gone afterwards.
class TemporaryFolder : public ScratchFolder {
public:
    TemporaryFolder() { std::filesystem::current_path(path); }
    ~TemporaryFolder() { std::filesystem::current_path(before); }

private:
    std::filesystem::path before = std::filesystem::current_path();
};

/// What reaches a file descriptor (1 or 2) while it lives.
class Capture {
public:
    explicit Capture(int descriptor_) : descriptor(descriptor_), before(dup(descriptor_)), file(std::tmpfile()) {
        std::fflush(nullptr);
        dup2(fileno(file), descriptor);
    }
    ~Capture() {
        std::fflush(nullptr);
        dup2(before, descriptor);
        close(before);
        std::fclose(file);
    }
    Capture(const Capture&) = delete;
    Capture& operator=(const Capture&) = delete;

    std::string text() const {
        std::fflush(nullptr);
        std::string all(static_cast<size_t>(lseek(fileno(file), 0, SEEK_END)), '\0');
        const ssize_t n = pread(fileno(file), all.data(), all.size(), 0);
        return all.substr(0, static_cast<size_t>(n));
    }

private:
    int descriptor, before;
    std::FILE* file;
};

/// An experiment's Config as the tests use it: `toy`, with one switch of its own.
struct ToyConfig : Flags {
    int64_t n_models = 2;

    ToyConfig() {
        name = "toy";
        about = "a toy";
        data_sets = {"mnist", "synthetic"};
        data_set = "mnist";
        unused = {"seeds"};
    }
    void set_defaults() override { epochs = full ? 30 : protocol == "paper" ? 20 : 10; }
    std::vector<Switch> switches() override {
        std::vector<Switch> list = Flags::switches();
        list.push_back({"n-models", &n_models, "models of each kind", {.min = 2, .max = 9}});
        return list;
    }
};

/// parse() of these words, the program's name before them.
inline bool parse_words(Flags& flags, const std::vector<std::string>& words) {
    std::vector<const char*> argv = {"toy"};
    for (const std::string& word : words) argv.push_back(word.c_str());
    return parse(flags, static_cast<int>(argv.size()), argv.data());
}

inline std::string content_of(const std::filesystem::path& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
}

inline void write_text(const std::filesystem::path& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
}

}  // namespace koine::testing
