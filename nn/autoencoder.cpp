#include "nn/autoencoder.h"

namespace koine {

Sequential image_encoder(Generator& gen, int64_t n_channels) {
    const ConvOptions halve{.stride = 2, .padding = 1};
    return {
        Conv2d(gen, n_channels, 32, 3, halve), BatchNorm2d(32),  Gelu(),
        Conv2d(gen, 32, 64, 3, halve),         BatchNorm2d(64),  Gelu(),
        Conv2d(gen, 64, 128, 3, halve),        BatchNorm2d(128), Gelu(),
        Conv2d(gen, 128, 256, 3, halve),       BatchNorm2d(256), Flatten(),
    };
}

Sequential image_decoder(Generator& gen, int64_t n_code, int64_t n_channels) {
    const ConvOptions twice{.stride = 2, .padding = 1};
    // clang-format off
    return {
        Linear(gen, n_code, kImageLatent, Activation::gelu), Unflatten(2, 2, 256),
        ConvTranspose2d(gen, 256, 128, 4, twice), BatchNorm2d(128), Gelu(),
        ConvTranspose2d(gen, 128, 64, 3, twice),  BatchNorm2d(64),  Gelu(),
        ConvTranspose2d(gen, 64, 32, 4, twice),   BatchNorm2d(32),  Gelu(),
        ConvTranspose2d(gen, 32, 32, 4, twice),   BatchNorm2d(32),  Gelu(),
        Conv2d(gen, 32, n_channels, 3, {.padding = 1}, Activation::sigmoid),
    };
    // clang-format on
}

}  // namespace koine
