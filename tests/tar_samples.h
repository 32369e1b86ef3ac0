// Small tar archives made in memory, byte by byte, and the check that one is refused.
#pragma once
#include <algorithm>
#include <cstdio>
#include <string>

#include "tests/data_samples.h"

namespace koine::testing {

/// Writes text into bytes that are there.
inline void put_text(Bytes& bytes, size_t offset, const std::string& text) {
    std::copy(text.begin(), text.end(), bytes.begin() + std::ptrdiff_t(offset));
}

/// A number as tar writes it: octal digits and a NUL.
inline std::string tar_octal(uint64_t value, int n_bytes) {
    char text[32];
    std::snprintf(text, sizeof text, "%0*llo", n_bytes - 1, static_cast<unsigned long long>(value));
    return std::string(text) + '\0';
}

/// Makes the checksum of the header at `offset` right again.
inline void set_tar_checksum(Bytes& tar, size_t offset) {
    uint64_t sum = 8 * ' ';
    for (size_t i = 0; i < 512; i++) sum += i >= 148 && i < 156 ? 0 : tar[offset + i];
    put_text(tar, offset + 148, tar_octal(sum, 7) + ' ');
}

/// A POSIX header: type '0' is a regular file.
inline Bytes tar_header(const std::string& name, uint64_t size, char type = '0') {
    Bytes header(512);
    put_text(header, 0, name);
    put_text(header, 100,
             tar_octal(0644, 8) + tar_octal(0, 8) + tar_octal(0, 8) + tar_octal(size, 12) + tar_octal(0, 12));
    header[156] = uint8_t(type);
    put_text(header, 257,
             std::string("ustar\0"
                         "00",
                         8));
    set_tar_checksum(header, 0);
    return header;
}

/// Header, contents, and zeros up to a whole block.
inline Bytes tar_member(const std::string& name, const Bytes& contents, char type = '0') {
    return tar_header(name, contents.size(), type) + contents + Bytes((512 - contents.size() % 512) % 512);
}

inline Bytes tar_end() { return Bytes(1024); }

}  // namespace koine::testing
