// The relative auto-encoder of experiments/ae_stitch.cpp with weights and images that come from a formula, so that
// another program can be given the same ones without a file: relative_ae.py beside this says the same for PyTorch.
// Used by tests/test_golden*.cpp and by tests/bench.
#pragma once
#include <cmath>

#include "nn/autoencoder.h"

namespace koine::testing {

/// Number `index` of `stream`: a multiple of 2^-24 in [0, 1). The scrambling is MurmurHash3's finaliser (Appleby 2011).
inline double formula(uint32_t stream, uint32_t index) {
    uint32_t h = stream * 0x9E3779B9u + index;
    h = (h ^ (h >> 16)) * 0x85EBCA6Bu;
    h = (h ^ (h >> 13)) * 0xC2B2AE35u;
    return double((h ^ (h >> 16)) >> 8) * 0x1p-24;
}

/// Sets parameter i of a model from stream i: weights in +-1 / sqrt(numbers in a row), gains of BatchNorm and LayerNorm
/// in 1 +- 1/4, biases in +-1/4.
inline void fill_by_formula(Module& model) {
    uint32_t stream = 0;
    for (const NamedVar& p : model.parameters()) {
        const Tensor& w = p.var.value;
        const bool is_gain = w.shape.rank == 1 && p.name.ends_with("weight");
        const double scale = w.shape.rank == 1 ? 0.25 : 1 / std::sqrt(double(w.numel() / w.shape[0]));
        for (int64_t i = 0; i < w.numel(); i++) {
            w.data()[i] = real(is_gain + scale * (2 * formula(stream, uint32_t(i)) - 1));
        }
        stream++;
    }
}

/// n plaids [n, 28, 28, 1] in [0, 1): stripes across, from `stream`, times stripes down, from the next one.
inline Tensor plaids(int64_t n, uint32_t stream) {
    const Tensor images = Tensor::empty({n, 28, 28, 1});
    for (int64_t i = 0; i < images.numel(); i++) {
        const int64_t row = i / 28, column = i / 784 * 28 + i % 28;
        images.data()[i] = real(formula(stream, uint32_t(row)) * formula(stream + 1, uint32_t(column)));
    }
    return images;
}
inline constexpr uint32_t kImageStream = 1000, kAnchorStream = 2000;

/// As in experiments/ae_stitch.cpp, with weights by the formula; `n_anchors` plaids are the anchors.
struct RelativeAutoEncoder : AutoEncoder {
    explicit RelativeAutoEncoder(int64_t n_anchors)
        : AutoEncoder({.n_anchors = n_anchors}, plaids(n_anchors, kAnchorStream), Generator(0)) {
        fill_by_formula(*this);
    }
};

}  // namespace koine::testing
