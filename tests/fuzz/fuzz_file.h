// What the fuzz targets share: the loaders read files, and libFuzzer hands out bytes.
#pragma once
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace koine::testing {

using ByteSpan = std::span<const uint8_t>;

inline std::string_view text_of(ByteSpan bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// A promise of the interface. libFuzzer keeps the input of a process that aborts.
inline void must(bool is_kept) {
    if (!is_kept) std::abort();
}

/// Puts the bytes into a file that exists in memory only, and returns its path. Each call replaces the contents.
inline std::string fuzz_file(ByteSpan bytes) {
    static const int file = memfd_create("input", MFD_CLOEXEC);
    must(ftruncate(file, 0) == 0 && pwrite(file, bytes.data(), bytes.size(), 0) == ssize_t(bytes.size()));
    return "/proc/self/fd/" + std::to_string(file);
}

/// A folder for what is read from several files, in memory where the system has /dev/shm; removed at the end. It is in
/// KOINE_FUZZ_FOLDER if that is set: who sets it can remove what a process that aborts leaves.
class FuzzFolder {
public:
    FuzzFolder() {
        const char* given = std::getenv("KOINE_FUZZ_FOLDER");
        const std::string shm = std::filesystem::is_directory("/dev/shm") ? "/dev/shm" : "/tmp";
        path = (given ? std::string(given) : shm) + "/koine-fuzz-XXXXXX";
        must(mkdtemp(path.data()) != nullptr);
    }
    ~FuzzFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path, ignored);
    }
    FuzzFolder(const FuzzFolder&) = delete;
    FuzzFolder& operator=(const FuzzFolder&) = delete;

    std::string operator/(const std::string& name) const { return path + "/" + name; }
    /// Writes a file, and the folders above it.
    std::string put(const std::string& name, ByteSpan bytes) {
        const std::string file = path + "/" + name;
        if (names.insert(name).second) std::filesystem::create_directories(std::filesystem::path(file).parent_path());
        const int descriptor = open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        must(descriptor >= 0 && write(descriptor, bytes.data(), bytes.size()) == ssize_t(bytes.size()));
        close(descriptor);
        return file;
    }
    /// Removes every file that put() wrote.
    void clear() {
        for (const std::string& name : names) unlink((path + "/" + name).c_str());
    }

    std::string path;

private:
    std::set<std::string> names;
};

/// An input that stands for several files: n of them, between marks; those for which nothing is left are empty. The
/// same mark is in make_seeds.py and in dict/parts.dict.
inline std::vector<ByteSpan> parts_of(ByteSpan input, size_t n) {
    constexpr std::string_view kMark = "<<>>";
    std::vector<ByteSpan> parts(n);
    for (size_t i = 0; i < n; i++) {
        const size_t end = i + 1 < n ? std::min(text_of(input).find(kMark), input.size()) : input.size();
        parts[i] = input.first(end);
        input = input.subspan(std::min(end + kMark.size(), input.size()));
    }
    return parts;
}

/// One gzip member with these contents, hardly compressed: what is inside stays within reach of a changed byte.
inline std::vector<uint8_t> gzipped(ByteSpan contents, int level = 1) {
    z_stream stream{};
    must(deflateInit2(&stream, level, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    std::vector<uint8_t> out(deflateBound(&stream, uLong(contents.size())));
    stream.next_in = const_cast<Bytef*>(contents.data());
    stream.avail_in = uInt(contents.size());
    stream.next_out = out.data();
    stream.avail_out = uInt(out.size());
    must(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
}

}  // namespace koine::testing
