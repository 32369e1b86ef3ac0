// Digits that we draw ourselves: no file, no network. For tests, for continuous integration, and for a first look.
//
// A digit is a few strokes of a pen. Each image bends them a little, maps them by a random affine map, and draws them
// with a random width, anti-aliased, with a little noise. Much easier than MNIST: results on it are no results on
// MNIST.
#pragma once
#include "data/datasets.h"

namespace koine {

/// Image `index` of the endless set with this seed, 28 x 28 bytes, label index mod 10: a function of (seed, index).
std::vector<uint8_t> draw_digit(uint64_t seed, uint64_t index);

/// Two splits of [N, 28, 28, 1] that share no image; a split does not depend on the size of the other one.
/// Throws ValueError unless 0 <= n < 2^31.
ImageSet synthetic_digits(int64_t n_train, int64_t n_test, uint64_t seed);

}  // namespace koine
