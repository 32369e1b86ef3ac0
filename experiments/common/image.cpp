#include "experiments/common/image.h"

#include <png.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "data/files.h"
#include "experiments/common/font.h"

namespace koine {
namespace {

constexpr Colour kInk = {40, 44, 52}, kNaN = {214, 40, 40};
constexpr int kGap = 6, kMargin = 16, kFontScale = 2, kCapHeight = 7;

uint8_t level(real x) { return static_cast<uint8_t>(std::lround(std::clamp(x, real(0), real(1)) * 255)); }

Colour colour_of(const real* pixel, int n_channels) {
    for (int c = 0; c < n_channels; ++c) {
        if (std::isnan(pixel[c])) return kNaN;
    }
    return {level(pixel[0]), level(pixel[n_channels == 3 ? 1 : 0]), level(pixel[n_channels == 3 ? 2 : 0])};
}

}  // namespace

std::string hex(Colour colour) {
    char text[8];
    std::snprintf(text, sizeof text, "#%02x%02x%02x", colour.r, colour.g, colour.b);
    return text;
}

Colour shade_of(double t) {
    constexpr double kStops[3][3] = {{0xf2, 0xf6, 0xfb}, {0x6f, 0xa3, 0xd4}, {0x12, 0x3a, 0x6b}};
    if (std::isnan(t)) return {0xdd, 0xdd, 0xdd};
    t = std::clamp(t, 0.0, 1.0);
    const int below = t < 0.5 ? 0 : 1;
    const double share = 2 * t - below;
    uint8_t level[3];
    for (int c = 0; c < 3; ++c) {
        level[c] = static_cast<uint8_t>(std::lround(kStops[below][c] * (1 - share) + kStops[below + 1][c] * share));
    }
    return {level[0], level[1], level[2]};
}

Colour ink_on(double t) { return t > 0.55 ? Colour{0xff, 0xff, 0xff} : Colour{0x22, 0x22, 0x22}; }

Image::Image(int width_, int height_, Colour background) : width(width_), height(height_) {
    rgb.resize(size_t{3} * width * height);
    fill(0, 0, width, height, background);
}

void Image::fill(int left, int top, int w, int h, Colour colour) {
    for (int y = std::max(top, 0); y < std::min(top + h, height); ++y) {
        for (int x = std::max(left, 0); x < std::min(left + w, width); ++x) {
            uint8_t* pixel = &rgb[(size_t{1} * y * width + x) * 3];
            pixel[0] = colour.r, pixel[1] = colour.g, pixel[2] = colour.b;
        }
    }
}

void Image::write(int left, int top, std::string_view text, int scale, Colour colour) {
    for (const char letter : text) {
        for (int y = 0; y < kLetterHeight; ++y) {
            for (int x = 0; x < kLetterWidth; ++x) {
                if (has_ink(letter, x, y)) fill(left + x * scale, top + y * scale, scale, scale, colour);
            }
        }
        left += kLetterWidth * scale;
    }
}

std::string encode_png(const Image& image) {
    png_image png = {};
    png.version = PNG_IMAGE_VERSION;
    png.width = static_cast<png_uint_32>(image.width);
    png.height = static_cast<png_uint_32>(image.height);
    png.format = PNG_FORMAT_RGB;
    png_alloc_size_t n_bytes = 0;
    std::string bytes;
    bool is_done = png_image_write_to_memory(&png, nullptr, &n_bytes, 0, image.rgb.data(), 0, nullptr) != 0;
    if (is_done) {
        bytes.resize(n_bytes);
        is_done = png_image_write_to_memory(&png, bytes.data(), &n_bytes, 0, image.rgb.data(), 0, nullptr) != 0;
    }
    const std::string problem = png.message;
    png_image_free(&png);
    if (!is_done) throw Error("png: " + problem);
    return bytes;
}

void write_png(const std::filesystem::path& path, const Image& image) { write_file(path, encode_png(image)); }

Image tile_grid(const std::vector<TileRow>& rows, int tile_height, int tile_width, int n_channels, int scale) {
    const std::string shape = "[N, " + std::to_string(tile_height) + ", " + std::to_string(tile_width) + ", " +
                              std::to_string(n_channels) + "]";
    if (tile_height < 1 || tile_width < 1 || scale < 1 || (n_channels != 1 && n_channels != 3)) {
        throw ShapeError("tile_grid: tiles " + shape + " at scale " + std::to_string(scale) + "; want 1 or 3 channels");
    }
    const size_t tile_size = size_t{1} * tile_height * tile_width * n_channels;
    size_t n_tiles = 1;
    int label_width = 0;
    for (const TileRow& row : rows) {
        if (row.pixels.size() % tile_size != 0) {
            throw ShapeError("tile_grid: row '" + row.label + "' has " + std::to_string(row.pixels.size()) +
                             " numbers; want " + shape);
        }
        n_tiles = std::max(n_tiles, row.pixels.size() / tile_size);
        label_width = std::max(label_width, text_width(row.label) * kFontScale);
    }
    const int w = tile_width * scale + kGap, h = tile_height * scale + kGap;  // from tile to tile
    const int left = kMargin + label_width + kMargin / 2;
    Image image(left + static_cast<int>(n_tiles) * w - kGap + kMargin,
                kMargin + static_cast<int>(rows.size()) * h - kGap + kMargin);
    int top = kMargin;
    for (const TileRow& row : rows) {
        image.write(kMargin, top + (h - kGap - kCapHeight * kFontScale) / 2, row.label, kFontScale, kInk);
        for (size_t n = 0; n < row.pixels.size() / tile_size; ++n) {
            const real* pixel = &row.pixels[n * tile_size];
            const int tile_left = left + static_cast<int>(n) * w;
            for (int i = 0; i < tile_height * tile_width; ++i, pixel += n_channels) {
                const int x = i % tile_width, y = i / tile_width;
                image.fill(tile_left + x * scale, top + y * scale, scale, scale, colour_of(pixel, n_channels));
            }
        }
        top += h;
    }
    return image;
}

}  // namespace koine
