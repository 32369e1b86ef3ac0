// The convolutional encoder and decoder of the image experiments, as the paper's code has them (lucmos/relreps): 28 x
// 28 images to 1024 numbers, and from a code of any size back. What an experiment puts between the two is its own.
#pragma once
#include "nn/layers.h"

namespace koine {

/// Numbers in the encoder's latent: 2 x 2 x 256.
inline constexpr int64_t kImageLatent = 1024;

/// x[N, 28, 28, C] -> [N, 1024]. Four convolutions 3 x 3, stride 2, padding 1: 28-14-7-4-2 with 32, 64, 128, 256
/// channels, each with BatchNorm and GELU; no activation after the last.
Sequential image_encoder(Generator& gen, int64_t n_channels = 1);

/// code[N, K] -> [N, 28, 28, C] in (0, 1). Linear and GELU to 2 x 2 x 256, four transposed convolutions, stride 2,
/// padding 1: 2-4-7-14-28 with 128, 64, 32, 32 channels and kernels 4, 3, 4, 4, each with BatchNorm and GELU, then a
/// convolution 3 x 3 and a sigmoid.
Sequential image_decoder(Generator& gen, int64_t n_code, int64_t n_channels = 1);

}  // namespace koine
