// FNV-1a, 64 bits: a fingerprint that tells contents apart. It names; it does not authenticate.
#pragma once
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace koine {

/// Fowler, Noll & Vo 1991: offset and prime of the 64-bit function.
struct Fnv1a {
    void add(uint8_t byte) { value = (value ^ byte) * 0x100000001b3; }
    void add(std::string_view text) {
        for (char c : text) add(static_cast<uint8_t>(c));
    }
    /// 16 hexadecimal digits.
    std::string hex() const {
        char text[20];
        std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
        return text;
    }

    uint64_t value = 0xcbf29ce484222325;
};

}  // namespace koine
