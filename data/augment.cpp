#include "data/augment.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

namespace koine {
namespace {

// The streams of the generator that belong to augmentation: they share no numbers with the orders of batches.h.
constexpr uint64_t kAugmentStreams = uint64_t{0xa063} << 48;

void check(const Tensor& images, const Augmentation& how) {
    const Shape& s = images.shape;
    if (s.rank != 4) throw ShapeError("augment: images " + s.str() + "; want [N, H, W, C]");
    if (how.padding < 0 || how.padding > std::min(s[1], s[2])) {
        throw ValueError("augment: a padding of " + std::to_string(how.padding) + "; want 0 to " +
                         std::to_string(std::min(s[1], s[2])));
    }
    const auto& [mean, deviation] = how.channels;
    if (int64_t(mean.size()) != s[3] || int64_t(deviation.size()) != s[3] ||
        std::count(deviation.begin(), deviation.end(), real(0)) > 0) {
        throw ValueError("augment: " + std::to_string(mean.size()) + " means and " + std::to_string(deviation.size()) +
                         " deviations for images " + s.str() + "; want " + std::to_string(s[3]) +
                         " of each, no deviation 0");
    }
}

// One image: to(i, j) = from(i + down, j + right), columns mirrored if `flips`, black outside.
struct Placed {
    int64_t down, right;
    bool flips;
};

void place(const real* from, const Shape& s, const Placed& p, const ChannelStatistics& channels, real* to) {
    const int64_t height = s[1], width = s[2], n_channels = s[3];
    for (int64_t i = 0; i < height; i++) {
        const int64_t row = i + p.down;
        for (int64_t j = 0; j < width; j++, to += n_channels) {
            const int64_t column = (p.flips ? width - 1 - j : j) + p.right;
            const bool is_inside = row >= 0 && row < height && column >= 0 && column < width;
            const real* pixel = from + (row * width + column) * n_channels;
            for (int64_t c = 0; c < n_channels; c++) {
                const real value = is_inside ? pixel[c] : real(0);
                to[c] = (value - channels.mean[size_t(c)]) / channels.deviation[size_t(c)];
            }
        }
    }
}

}  // namespace

ChannelStatistics channel_statistics(const Tensor& images) {
    if (images.shape.rank != 4 || images.numel() == 0)
        throw ShapeError("channel_statistics: images " + images.shape.str() + "; want [N, H, W, C], not empty");
    const Tensor x = images.to(Device::cpu).contiguous();
    const int64_t n_channels = x.shape[3], n = x.numel() / n_channels;
    ChannelStatistics out;
    for (int64_t c = 0; c < n_channels; c++) {
        const auto mean_of = [&](auto f) {
            double sum = 0;
            for (int64_t i = 0; i < n; i++) sum += f(double(x.data()[i * n_channels + c]));
            return sum / double(n);
        };
        const double mean = mean_of([](double v) { return v; });
        const double deviation = std::sqrt(mean_of([=](double v) { return (v - mean) * (v - mean); }));
        out.mean.push_back(real(mean));
        out.deviation.push_back(deviation > 0 ? real(deviation) : real(1));
    }
    return out;
}

Tensor augment(const Tensor& images, std::span<const int32_t> rows, const Augmentation& how, uint64_t seed,
               int64_t epoch) {
    check(images, how);
    require_rows("augment", images, rows);
    const Shape& s = images.shape;
    const Tensor y = Tensor::empty({int64_t(rows.size()), s[1], s[2], s[3]});
    const Random rng{seed, kAugmentStreams + uint64_t(epoch)};
    const int64_t size = s.product(1, 4);
    const uint32_t n_shifts = uint32_t(2 * how.padding + 1);
    for (size_t b = 0; b < rows.size(); b++) {
        // Three numbers for each image, in blocks of their own.
        const uint64_t draw = uint64_t(rows[b]) * 3;
        const Placed p{int64_t(rng.below(draw, n_shifts)) - how.padding,
                       int64_t(rng.below(draw + 1, n_shifts)) - how.padding, how.flips && rng.below(draw + 2, 2) == 1};
        place(images.data() + rows[b] * size, s, p, how.channels, y.data() + int64_t(b) * size);
    }
    return y;
}

Tensor normalised(const Tensor& images, const ChannelStatistics& channels) {
    std::vector<int32_t> all(static_cast<size_t>(images.shape[0]));
    std::iota(all.begin(), all.end(), 0);
    return augment(images.contiguous(), all, {0, false, channels}, 0, 0);
}

}  // namespace koine
