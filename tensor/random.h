// Random numbers as a function: number i of stream s of seed k is computed, not remembered.
//
// So the numbers do not depend on how many threads draw them, in which order, or on which device, and a checkpoint
// needs two integers to go on exactly where it stopped. The generator is Philox 4x32-10 (Salmon et al. 2011, "Parallel
// random numbers: as easy as 1, 2, 3", section 5.3); tests/test_math.cpp holds the paper's known answers.
#pragma once
#include <cstdint>

#include "tensor/math.h"

namespace koine {

/// Four 32-bit words.
struct Words4 {
    uint32_t w[4];
};

/// Philox 4x32-10: ten rounds of two 32 x 32 -> 64 bit products that scramble `counter` under `key`.
HD inline Words4 philox(Words4 counter, uint64_t key) {
    uint32_t k0 = uint32_t(key), k1 = uint32_t(key >> 32);
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = uint64_t(0xD2511F53u) * counter.w[0];
        const uint64_t p1 = uint64_t(0xCD9E8D57u) * counter.w[2];
        counter = {{uint32_t(p1 >> 32) ^ counter.w[1] ^ k0, uint32_t(p1), uint32_t(p0 >> 32) ^ counter.w[3] ^ k1,
                    uint32_t(p0)}};
        k0 += 0x9E3779B9u;  // the golden ratio and sqrt(3) - 1, in 32 bits: the paper's key schedule
        k1 += 0xBB67AE85u;
    }
    return counter;
}

/// Stream `stream` of the generator with seed `seed`. Copying it is free; it has no state.
struct Random {
    uint64_t seed = 0;
    uint64_t stream = 0;

    /// Four words from block i.
    HD Words4 block(uint64_t i) const {
        return philox({{uint32_t(i), uint32_t(i >> 32), uint32_t(stream), uint32_t(stream >> 32)}}, seed);
    }
    /// The i-th number, uniform over all 32-bit words.
    HD uint32_t bits(uint64_t i) const { return block(i).w[0]; }

    /// The i-th number, uniform in [0, 1), with 24 random bits (the same value in float and double builds).
    HD real uniform(uint64_t i) const { return real(bits(i) >> 8) * real(0x1p-24); }

    /// The i-th number, normal with mean 0 and variance 1 (Box & Muller 1958).
    HD real normal(uint64_t i) const {
        const Words4 b = block(i);
        const real u = (real(b.w[0]) + 1) * real(0x1p-32);  // in (0, 1]: the logarithm stays finite
        const real turn = real(b.w[1] >> 8) * real(0x1p-24 * 6.28318530717958647692);
        return math::sqrt(-2 * math::log(u)) * std::cos(turn);
    }

    /// A bounded integer in [0, n), free of modulo bias for every n that occurs here (64 bits of randomness).
    HD uint32_t below(uint64_t i, uint32_t n) const {
        const Words4 b = block(i);
        const uint64_t wide = (uint64_t(b.w[0]) << 32) | b.w[1];
        return uint32_t((unsigned __int128)(wide)*n >> 64);
    }
};

}  // namespace koine
