// Drawing digits; see synthetic.h.
#include "data/synthetic.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <numeric>

#include "data/batches.h"

namespace koine {
namespace {

constexpr int kSide = 28;
constexpr uint64_t kDigitStreams = uint64_t{0xd191} << 48;
constexpr uint64_t kFirstTestIndex = uint64_t{1} << 31;  // the training images come before it

// Everything here is in double, so that a float and a double build draw the same bytes.
struct Point {
    double x, y;
};

/// A line of the pen through points of the unit square, y downwards: straight from point to point, or a smooth curve.
struct Stroke {
    bool is_smooth;
    std::vector<Point> points;
};

// clang-format off
const std::array<std::vector<Stroke>, 10>& digits() {
    static const std::array<std::vector<Stroke>, 10> strokes = {{
        {{true, {{.5, .08}, {.28, .22}, {.22, .5}, {.3, .8}, {.5, .92}, {.7, .8}, {.78, .5}, {.72, .22}, {.5, .08}}}},
        {{false, {{.34, .27}, {.52, .08}, {.52, .92}}}},
        {{true, {{.24, .3}, {.34, .13}, {.55, .09}, {.73, .24}, {.66, .45}, {.45, .66}, {.22, .9}}},
         {false, {{.22, .9}, {.8, .9}}}},
        {{true, {{.25, .18}, {.47, .08}, {.69, .2}, {.64, .4}, {.42, .47}}},
         {true, {{.42, .47}, {.68, .55}, {.73, .76}, {.5, .92}, {.23, .81}}}},
        {{false, {{.56, .08}, {.2, .62}, {.82, .62}}},
         {false, {{.64, .36}, {.62, .93}}}},
        {{false, {{.74, .1}, {.34, .1}, {.29, .46}}},
         {true, {{.29, .46}, {.5, .39}, {.72, .52}, {.72, .76}, {.48, .92}, {.23, .82}}}},
        {{true, {{.66, .1}, {.42, .26}, {.27, .54}, {.29, .79}, {.5, .92}, {.7, .77}, {.66, .56}, {.47, .5},
                 {.29, .64}}}},
        {{false, {{.2, .1}, {.78, .1}, {.42, .92}}}},
        {{true, {{.5, .47}, {.31, .33}, {.34, .14}, {.5, .08}, {.66, .14}, {.69, .33}, {.5, .47}, {.28, .63},
                 {.3, .84}, {.5, .92}, {.7, .84}, {.72, .63}, {.5, .47}}}},
        {{true, {{.71, .3}, {.6, .11}, {.4, .1}, {.27, .29}, {.35, .49}, {.56, .49}, {.71, .3}}},
         {true, {{.71, .3}, {.69, .6}, {.54, .92}}}},
    }};
    return strokes;
}
// clang-format on

/// Points close together on the Catmull-Rom spline through `p` (Catmull & Rom 1974), which passes through its controls.
std::vector<Point> smoothed(const std::vector<Point>& p) {
    constexpr int kSteps = 6;
    const size_t last = p.size() - 1;
    std::vector<Point> out = {p[0]};
    for (size_t i = 0; i < last; i++) {
        const Point a = p[i == 0 ? 0 : i - 1], b = p[i], c = p[i + 1], d = p[std::min(i + 2, last)];
        for (int step = 1; step <= kSteps; step++) {
            const double t = double(step) / kSteps;
            const auto spline = [t](double p0, double p1, double p2, double p3) {
                return p1 + 0.5 * t * (p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * (3 * (p1 - p2) + p3 - p0)));
            };
            out.push_back({spline(a.x, b.x, c.x, d.x), spline(a.y, b.y, c.y, d.y)});
        }
    }
    return out;
}

/// The square of the distance from p to the segment from a to b.
double distance2(Point p, Point a, Point b) {
    const double dx = b.x - a.x, dy = b.y - a.y, length2 = dx * dx + dy * dy;
    const double t = length2 > 0 ? std::clamp(((p.x - a.x) * dx + (p.y - a.y) * dy) / length2, 0.0, 1.0) : 0.0;
    const double to_x = p.x - a.x - t * dx, to_y = p.y - a.y - t * dy;
    return to_x * to_x + to_y * to_y;
}

LabelledImages draw_digits(int64_t n, uint64_t seed, uint64_t first) {
    LabelledImages out;
    out.images.dims = {n, kSide, kSide};
    for (int64_t i = 0; i < n; i++) {
        const auto pixels = draw_digit(seed, first + uint64_t(i));
        out.images.values.insert(out.images.values.end(), pixels.begin(), pixels.end());
        out.labels.push_back(uint8_t((first + uint64_t(i)) % 10));
    }
    return out;
}

std::vector<int32_t> all_of(int64_t n) {
    std::vector<int32_t> ids(static_cast<size_t>(n));
    std::iota(ids.begin(), ids.end(), 0);
    return ids;
}

}  // namespace

std::vector<uint8_t> draw_digit(uint64_t seed, uint64_t index) {
    const Random rng{seed, kDigitStreams + index};
    uint64_t n_drawn = 0;
    const auto between = [&](double low, double high) { return low + (high - low) * double(rng.uniform(n_drawn++)); };

    // The digit's box of 20 x 20 pixels in the middle of the image, turned, slanted, scaled and moved.
    const double angle = between(-0.22, 0.22), slant = between(-0.3, 0.3);
    const double scale_x = 20 * between(0.8, 1.1), scale_y = 20 * between(0.85, 1.1);
    const double shift_x = 14 + between(-1.5, 1.5), shift_y = 14 + between(-1.5, 1.5);
    const double half_width = between(0.7, 1.6), ink = between(0.85, 1.0);
    const auto placed = [&](Point p) {
        const double y = scale_y * (p.y - 0.5), x = scale_x * (p.x - 0.5) - slant * y;
        return Point{shift_x + x * std::cos(angle) - y * std::sin(angle),
                     shift_y + x * std::sin(angle) + y * std::cos(angle)};
    };

    std::vector<std::vector<Point>> lines;
    for (Stroke stroke : digits()[index % 10]) {
        for (Point& p : stroke.points) p = placed({p.x + between(-0.03, 0.03), p.y + between(-0.03, 0.03)});
        lines.push_back(stroke.is_smooth ? smoothed(stroke.points) : stroke.points);
    }

    std::vector<uint8_t> pixels;
    pixels.reserve(size_t(kSide) * kSide);
    for (int row = 0; row < kSide; row++) {
        for (int column = 0; column < kSide; column++) {
            double nearest2 = kSide * kSide;
            for (const auto& line : lines) {
                for (size_t i = 1; i < line.size(); i++) {
                    nearest2 = std::min(nearest2, distance2({column + 0.5, row + 0.5}, line[i - 1], line[i]));
                }
            }
            // The edge of the stroke is one pixel wide: half covered where the distance is the half width.
            const double cover = std::clamp(half_width - std::sqrt(nearest2) + 0.5, 0.0, 1.0);
            const double value = ink * cover + (cover > 0 ? between(-0.06, 0.06) : 0.0);
            pixels.push_back(uint8_t(std::lround(255 * std::clamp(value, 0.0, 1.0))));
        }
    }
    return pixels;
}

ImageSet synthetic_digits(int64_t n_train, int64_t n_test, uint64_t seed) {
    if (std::min(n_train, n_test) < 0 || std::max(n_train, n_test) > INT32_MAX) {
        throw ValueError("synthetic digits: " + std::to_string(n_train) + " and " + std::to_string(n_test) + " images");
    }
    const LabelledImages train = draw_digits(n_train, seed, 0), test = draw_digits(n_test, seed, kFirstTestIndex);
    ImageSet out;
    out.name = "synthetic";
    out.source = "digits drawn by this program, " + std::to_string(n_train) + " for training and " +
                 std::to_string(n_test) + " for testing; not handwriting";
    // Image k of a split is the same in every size: the first ten name the endless set.
    const LabelledImages first_train = draw_digits(10, seed, 0), first_test = draw_digits(10, seed, kFirstTestIndex);
    out.hash = content_hash({&first_train, &first_test});
    out.n_classes = 10;
    out.class_names = numbered_names(10);
    out.train = make_split(train, all_of(n_train));
    out.test = make_split(test, all_of(n_test));
    return out;
}

}  // namespace koine
