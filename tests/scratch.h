// What a test may change outside of itself, and how it is put back: files and environment variables.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "data/fnv.h"
#include "tensor/error.h"

namespace koine::testing {

using Bytes = std::vector<uint8_t>;

/// KOINE_SAMPLES=FOLDER keeps the small files that tests write, damaged or not, by their contents: `make fuzz-corpus`
/// begins with them.
inline void keep_sample(const Bytes& contents) {
    const char* folder = std::getenv("KOINE_SAMPLES");
    if (folder == nullptr || contents.size() > 65536) return;
    Fnv1a hash;
    const std::string_view text(reinterpret_cast<const char*>(contents.data()), contents.size());
    hash.add(text);
    std::ofstream(folder + ("/" + hash.hex()), std::ios::binary) << text;
}

/// A folder of its own, removed with everything in it.
struct ScratchFolder {
    ScratchFolder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "koine-test-XXXXXX").string();
        path = mkdtemp(pattern.data()) ? pattern : throw Error("no scratch folder");
    }
    ~ScratchFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path, ignored);
    }
    ScratchFolder(const ScratchFolder&) = delete;
    ScratchFolder& operator=(const ScratchFolder&) = delete;

    std::string operator/(const std::string& name) const { return path + "/" + name; }
    /// Writes a file, making the folders above it, and returns its path.
    std::string write(const std::string& name, const Bytes& contents) const {
        keep_sample(contents);
        const std::filesystem::path file = path + "/" + name;
        std::filesystem::create_directories(file.parent_path());
        std::ofstream(file, std::ios::binary)
            .write(reinterpret_cast<const char*>(contents.data()), std::streamsize(contents.size()));
        return file.string();
    }

    std::string path;
};

/// An environment variable, set or (with null) unset while it lives.
class EnvironmentVariable {
public:
    EnvironmentVariable(const char* name_, const char* value) : name(name_) {
        const char* old = std::getenv(name);
        was_set = old != nullptr;
        if (was_set) before = old;
        set(value);
    }
    EnvironmentVariable(const char* name_, const std::string& value) : EnvironmentVariable(name_, value.c_str()) {}
    ~EnvironmentVariable() { set(was_set ? before.c_str() : nullptr); }
    EnvironmentVariable(const EnvironmentVariable&) = delete;
    EnvironmentVariable& operator=(const EnvironmentVariable&) = delete;

private:
    void set(const char* value) const { value == nullptr ? unsetenv(name) : setenv(name, value, 1); }

    const char* name;
    bool was_set;
    std::string before;
};

}  // namespace koine::testing
