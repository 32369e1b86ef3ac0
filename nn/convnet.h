// A convolutional classifier of small images, cut in two at its penultimate layer: the model of section 5 of the
// report.
//
//   x[N, H, W, C]  ->  blocks  ->  hidden, ReLU  =  penultimate(x)[N, D]  ->  output  =  logits[N, K]
//
// A block is twice [convolution 3 x 3, BatchNorm, ReLU], then a max-pool that halves height and width. penultimate(x)
// is what the network makes of an image before it decides: the embedding that experiments/latent_similarity.cpp
// compares between networks.
//
// Reading order: layers.h, this file, similarity.h, then the experiment.
#pragma once
#include <map>
#include <vector>

#include "nn/checkpoint.h"
#include "nn/layers.h"

namespace koine {

/// What tells one ConvNet from another.
struct ConvNetForm {
    int64_t height = 32, width = 32, n_channels = 3;  ///< of an image
    int64_t n_classes = 100;
    std::vector<int64_t> widths = {32, 64, 128};  ///< channels of each block
    int64_t n_hidden = 256;                       ///< D

    /// Numbers of an image behind the last block.
    int64_t n_features() const;
    /// As entries of a checkpoint's metadata, from which a model can be made again.
    std::map<std::string, std::string> metadata() const;
};

struct ConvNet : Module {
    /// Throws ValueError unless every size is 1 or more, and the images are large enough to be halved by each block.
    ConvNet(const ConvNetForm& form_, Generator gen);

    /// The embedding of x[N, H, W, C]: [N, D], 0 or more, as it comes from a ReLU.
    Var penultimate(const Var& x) { return hidden(flatten(blocks(x))); }
    /// The logits of x, [N, K].
    Var forward(const Var& x) override { return output(penultimate(x)); }
    void visit(Visitor& v) override;

    ConvNetForm form;
    Sequential blocks;
    Linear hidden, output;
};

}  // namespace koine
