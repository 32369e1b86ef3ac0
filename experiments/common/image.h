// Images: grids of tiles with a label on each row, and PNG files. What the tiles mean is the experiment's business.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/device.h"

namespace koine {

struct Colour {
    uint8_t r, g, b;
};
/// "#6fa3d4".
std::string hex(Colour colour);
/// The scale of all matrices: from pale to deep blue for t in [0, 1]; what lies outside is clamped, NaN is grey.
Colour shade_of(double t);
/// Dark or white: what is legible on shade_of(t).
Colour ink_on(double t);

/// rgb[height, width, 3], top row first.
struct Image {
    Image(int width, int height, Colour background = {255, 255, 255});

    /// Fills a rectangle; what lies outside the image is left out.
    void fill(int left, int top, int w, int h, Colour colour);
    /// Writes a line of text (ASCII) with its upper left corner at (left, top), `scale` image pixels to a font pixel.
    void write(int left, int top, std::string_view text, int scale, Colour colour);

    int width, height;
    std::vector<uint8_t> rgb;
};

/// The image as a PNG file's bytes. Throws Error when libpng cannot.
std::string encode_png(const Image& image);
/// Throws DataError(IO).
void write_png(const std::filesystem::path& path, const Image& image);

/// One row of a grid: pixels[N, H, W, C] in [0, 1] (what lies outside is clamped, NaN is drawn in red), C 1 or 3.
struct TileRow {
    std::string label;
    std::vector<real> pixels;
};

/// The rows below each other, each pixel `scale` x `scale`, labels on the left. Rows may differ in N.
/// Throws ShapeError unless H, W, C and scale are at least 1, C is 1 or 3 and each row is made of whole tiles.
Image tile_grid(const std::vector<TileRow>& rows, int tile_height, int tile_width, int n_channels, int scale = 3);

}  // namespace koine
