// What the fuzz targets share: the loaders read files, and libFuzzer hands out bytes.
#pragma once
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>

namespace koine::testing {

/// Puts the bytes into a file that exists in memory only, and returns its path. Each call replaces the contents.
inline std::string fuzz_file(std::span<const uint8_t> bytes) {
    static const int file = memfd_create("input", MFD_CLOEXEC);
    const bool is_written =
        ftruncate(file, 0) == 0 && pwrite(file, bytes.data(), bytes.size(), 0) == ssize_t(bytes.size());
    if (!is_written) std::abort();
    return "/proc/self/fd/" + std::to_string(file);
}

/// A promise of the interface. libFuzzer keeps the input of a process that aborts.
inline void must(bool is_kept) {
    if (!is_kept) std::abort();
}

}  // namespace koine::testing
