// A hash of texts that come from files, for every table that has them as keys.
//
// std::hash is the same function in every process, and whoever knows it writes a file whose words all collide: 40,000
// tokens in 1 MB keep a table busy for seconds, four times as many for sixteen times as long. This one has a key that
// each process draws anew. So nothing may depend on the order in which such a table lists its keys.
#pragma once
#include <bit>
#include <cstdint>
#include <cstring>
#include <random>
#include <string_view>

namespace koine {

/// SipHash with one round for each 8 bytes and three at the end. J.-P. Aumasson, D. J. Bernstein 2012, "SipHash: a fast
/// short-input PRF".
inline uint64_t siphash13(uint64_t key0, uint64_t key1, std::string_view text) {
    uint64_t v0 = key0 ^ 0x736f6d6570736575, v1 = key1 ^ 0x646f72616e646f6d;
    uint64_t v2 = key0 ^ 0x6c7967656e657261, v3 = key1 ^ 0x7465646279746573;
    const auto round = [&] {
        v0 += v1, v1 = std::rotl(v1, 13) ^ v0, v0 = std::rotl(v0, 32);
        v2 += v3, v3 = std::rotl(v3, 16) ^ v2;
        v0 += v3, v3 = std::rotl(v3, 21) ^ v0;
        v2 += v1, v1 = std::rotl(v1, 17) ^ v2, v2 = std::rotl(v2, 32);
    };
    const auto add = [&](uint64_t word) {
        v3 ^= word;
        round();
        v0 ^= word;
    };
    const size_t n_whole = text.size() / 8 * 8;
    for (size_t at = 0; at < n_whole; at += 8) {
        uint64_t word = 0;
        std::memcpy(&word, text.data() + at, 8);
        add(word);
    }
    uint64_t last = uint64_t(text.size()) << 56;
    for (size_t at = n_whole; at < text.size(); at++) last |= uint64_t(uint8_t(text[at])) << 8 * (at - n_whole);
    add(last);
    v2 ^= 0xff;
    for (int i = 0; i < 3; i++) round();
    return v0 ^ v1 ^ v2 ^ v3;
}

/// The third parameter of a std::unordered_map or std::unordered_set with texts as keys.
struct TextHash {
    size_t operator()(std::string_view text) const {
        struct Key {
            uint64_t a = draw(), b = draw();
            static uint64_t draw() {
                std::random_device device;
                return uint64_t(device()) << 32 | device();
            }
        };
        static const Key key;
        return size_t(siphash13(key.a, key.b, text));
    }
};

}  // namespace koine
