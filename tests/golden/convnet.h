// The classifier of experiments/latent_similarity.cpp with weights, images and labels that come from a formula:
// convnet.py beside this says the same for PyTorch. Used by tests/test_golden.cpp and by tests/bench.
#pragma once
#include "nn/convnet.h"
#include "tests/golden/relative_ae.h"

namespace koine::testing {

/// n plaids in three colours, [n, 32, 32, 3] in [0, 1): stripes across, from `stream`, which all colours share, times
/// stripes down, from the next one.
inline Tensor colour_plaids(int64_t n, uint32_t stream) {
    const Tensor images = Tensor::empty({n, 32, 32, 3});
    for (int64_t i = 0; i < images.numel(); i++) {
        const int64_t row = i / 96, column = i / 3072 * 96 + i % 96;  // of a colour
        images.data()[i] = real(formula(stream, uint32_t(row)) * formula(stream + 1, uint32_t(column)));
    }
    return images;
}

/// 0, 1, ..., 99, 0, ...
inline Indices labels_in_turn(int64_t n) {
    std::vector<int32_t> labels(static_cast<size_t>(n));
    for (size_t i = 0; i < labels.size(); i++) labels[i] = int32_t(i % 100);
    return Indices(labels);
}

struct FormulaConvNet : ConvNet {
    FormulaConvNet() : ConvNet(ConvNetForm{}, Generator(0)) { fill_by_formula(*this); }
};

}  // namespace koine::testing
