#include "tensor/conv.h"

#include <string>

#include "tensor/conv_algorithms.h"
#include "tensor/direct.h"
#include "tensor/gemm.h"
#include "tensor/positions.h"
#include "tensor/winograd.h"

namespace koine {
namespace {

constexpr int kMaxTaps = 256;

// ---- patches and their transpose -----------------------------------------------------------------------------------------

// patches[p, kh, kw, c] = the pixels of x under the kernel at output pixel p, 0 outside the image ("im2col").
struct PatchRow {
    real* patches;
    const real* x;
    ConvShape s;
    template <class Team>
    HD void operator()(Team t, int64_t p) const {
        const int64_t image = p / s.pixels_out(), i = p % s.pixels_out() / s.out_w, j = p % s.out_w;
        const int64_t top = i * s.stride - s.padding, left = j * s.stride - s.padding;
        // Without dilation the taps of one kernel row are neighbours in memory: one run of kw c numbers.
        const int64_t taps = s.dilation == 1 ? s.kw : 1, run = taps * s.c;
        real* out = patches + p * s.patch();
        for (int64_t a = 0; a < s.kh; a++) {
            const int64_t row = top + a * s.dilation;
            const bool is_row_inside = row >= 0 && row < s.h;
            for (int64_t b = 0; b < s.kw; b += taps, out += run) {
                const int64_t col = left + b * s.dilation;
                const int64_t first = col < 0 ? -col * s.c : 0;
                const int64_t inside = (s.w - col) * s.c, last = !is_row_inside ? 0 : inside < run ? inside : run;
                const real* in = x + ((image * s.h + row) * s.w + col) * s.c;
                real* to = out;
                if (first == 0 && last == run) {
                    t.each(run, [=](int64_t k) { to[k] = in[k]; });
                } else {
                    t.each(run, [=](int64_t k) { to[k] = k >= first && k < last ? in[k] : real(0); });
                }
            }
        }
    }
};

// x[q, c] = beta x + the sum of patches[p, a, b, c] over all (p, a, b) that read pixel q ("col2im"), in the order of
// (a, b). The pixel gathers, nothing is scattered: one owner per number.
struct GatherRow {
    real* x;
    const real* patches;
    ConvShape s;
    real beta;
    template <class Team>
    HD void operator()(Team t, int64_t q) const {
        const int64_t image = q / s.pixels_in(), i = q % s.pixels_in() / s.w, j = q % s.w;
        int64_t at[kMaxTaps];
        int n_taps = 0;
        for (int64_t a = 0; a < s.kh; a++) {
            const int64_t row = i + s.padding - a * s.dilation;
            if (row < 0 || row % s.stride != 0 || row / s.stride >= s.out_h) continue;
            for (int64_t b = 0; b < s.kw; b++) {
                const int64_t col = j + s.padding - b * s.dilation;
                if (col < 0 || col % s.stride != 0 || col / s.stride >= s.out_w) continue;
                const int64_t p = (image * s.out_h + row / s.stride) * s.out_w + col / s.stride;
                at[n_taps++] = p * s.patch() + (a * s.kw + b) * s.c;
            }
        }
        real* out = x + q * s.c;
        const real scale = beta;
        if (scale != 1) t.each(s.c, [=](int64_t c) { out[c] = scale != 0 ? scale * out[c] : real(0); });
        for (int k = 0; k < n_taps; k++) {
            const real* in = patches + at[k];
            t.each(s.c, [=](int64_t c) { out[c] += in[c]; });
        }
    }
};

// to[c, kh - 1 - a, kw - 1 - b, o] = beta to + from[o, a, b, c].
struct FlipWeights {
    real* to;
    const real* from;
    int64_t n_o, taps, n_c;
    real beta;
    HD void operator()(int64_t i) const {
        const int64_t o = i / (taps * n_c), tap = i / n_c % taps, c = i % n_c;
        real& out = to[(c * taps + (taps - 1 - tap)) * n_o + o];
        out = beta != 0 ? beta * out + from[i] : from[i];
    }
};

void flip(Device device, const ConvShape& s, const real* from, real beta, real* to) {
    for_each(device, s.o * s.patch(), FlipWeights{to, from, s.o, s.kh * s.kw, s.c, beta});
}

// ---- a few images at a time ----------------------------------------------------------------------------------------

// A run of images, at least one: their patches and the pixels of y stay in a core's second-level cache, or are what a
// GPU can spare.
int64_t images_per_run(Device device, const ConvShape& s) {
    const int64_t run_bytes = device == Device::cpu ? 512 * 1024 : 256 * 1024 * 1024;
    const int64_t image_bytes = std::max<int64_t>(s.pixels_out() * (s.patch() + s.o) * int64_t(sizeof(real)), 1);
    return std::clamp<int64_t>(run_bytes / image_bytes, 1, std::max<int64_t>(s.n, 1));
}

// Room for the patches of one run.
int64_t run_size(Device device, const ConvShape& s) { return images_per_run(device, s) * s.pixels_out() * s.patch(); }

// f(first, count) for runs of images, as tasks.
template <class F>
void for_image_runs(Device device, const ConvShape& s, F f) {
    const int64_t count = images_per_run(device, s);
    for_tasks(device, divide_up(s.n, count), [&](int64_t i) { f(i * count, std::min(count, s.n - i * count)); });
}

void forward_by_patches(Device device, const ConvShape& s, const real* x, const real* w, real beta, real* y,
                        const RowsDone& done) {
    const ThreadScratch scratch(device, run_size(device, s));
    for_image_runs(device, s, [&](int64_t first, int64_t count) {
        const int64_t row = first * s.pixels_out(), n_rows = count * s.pixels_out();
        real* patches = scratch.mine();
        for_rows(device, n_rows, s.patch(), PatchRow{patches, x + first * s.pixels_in() * s.c, s});
        gemm(device, n_rows, s.o, s.patch(), 1, {patches, s.patch()}, {w, s.patch(), Op::transposed}, beta,
             y + row * s.o, s.o);
        if (done) done(row, n_rows);
    });
}

void input_grad_by_gather(Device device, const ConvShape& s, const real* dy, const real* w, real beta, real* dx,
                          const RowsDone& done) {
    const ThreadScratch scratch(device, run_size(device, s));
    for_image_runs(device, s, [&](int64_t first, int64_t count) {
        const int64_t n_rows = count * s.pixels_out(), pixel = first * s.pixels_in(), n_pixels = count * s.pixels_in();
        real* patches = scratch.mine();
        gemm(device, n_rows, s.patch(), s.o, 1, {dy + first * s.pixels_out() * s.o, s.o}, {w, s.patch()}, 0, patches,
             s.patch());
        for_rows(device, n_pixels, s.patch(), GatherRow{dx + pixel * s.c, patches, s, beta});
        if (done) done(pixel, n_pixels);
    });
}

struct AddGroups {
    real* to;
    const real* parts;
    int64_t n, n_groups;
    real beta;
    HD void operator()(int64_t i) const {
        real sum = beta != 0 ? beta * to[i] : real(0);
        for (int64_t g = 0; g < n_groups; g++) sum += parts[g * n + i];
        to[i] = sum;
    }
};

// On a GPU: the patches of many images, then a product for each group of their rows, all in one call. A sum over that
// many rows would otherwise have one block of the GPU for each small part of dw.
void weight_grad_by_groups_of_rows(Device device, const ConvShape& s, const real* x, const real* dy, real beta,
                                   real* dw) {
    const int64_t n_weights = s.o * s.patch(), per_run = images_per_run(device, s);
    const int64_t n_groups = s.n == 0 ? 0 : std::clamp<int64_t>(std::min(s.n, per_run) * s.pixels_out() / 256, 1, 32);
    const Scratch parts(device, n_groups * n_weights), patches(device, run_size(device, s));
    for (int64_t first = 0; first < s.n; first += per_run) {
        const int64_t count = std::min(per_run, s.n - first), n_rows = count * s.pixels_out();
        const int64_t per_group = n_rows / n_groups, rest = n_rows - n_groups * per_group;
        const real* d = dy + first * s.pixels_out() * s.o;
        for_rows(device, n_rows, s.patch(), PatchRow{patches.data(), x + first * s.pixels_in() * s.c, s});
        gemm_batched(device, n_groups, s.o, s.patch(), per_group, 1, {d, s.o, Op::transposed}, per_group * s.o,
                     {patches.data(), s.patch()}, per_group * s.patch(), first > 0 ? 1 : 0, parts.data(), s.patch(),
                     n_weights);
        if (rest > 0) {
            const int64_t done = n_rows - rest;
            gemm(device, s.o, s.patch(), rest, 1, {d + done * s.o, s.o, Op::transposed},
                 {patches.data() + done * s.patch(), s.patch()}, 1, parts.data(), s.patch());
        }
    }
    add_groups(device, n_weights, n_groups, parts.data(), beta, dw);
}

void weight_grad_by_patches(Device device, const ConvShape& s, const real* x, const real* dy, real beta, real* dw) {
    if (device == Device::cuda) return weight_grad_by_groups_of_rows(device, s, x, dy, beta, dw);
    const int64_t n_weights = s.o * s.patch();
    const ImageGroups groups(s);
    const Scratch parts(device, groups.count * n_weights);
    const ThreadScratch scratch(device, run_size(device, s));
    for_tasks(device, groups.count, [&](int64_t g) {
        const int64_t end = std::min((g + 1) * groups.size, s.n);
        real* part = parts.data() + g * n_weights;
        real* patches = scratch.mine();
        real part_beta = 0;
        for (int64_t first = g * groups.size; first < end; first += images_per_run(device, s)) {
            const int64_t count = std::min(images_per_run(device, s), end - first), n_rows = count * s.pixels_out();
            for_rows(device, n_rows, s.patch(), PatchRow{patches, x + first * s.pixels_in() * s.c, s});
            gemm(device, s.o, s.patch(), n_rows, 1, {dy + first * s.pixels_out() * s.o, s.o, Op::transposed},
                 {patches, s.patch()}, part_beta, part, s.patch());
            part_beta = 1;
        }
    });
    add_groups(device, n_weights, groups.count, parts.data(), beta, dw);
}

}  // namespace

void add_groups(Device device, int64_t n, int64_t n_groups, const real* parts, real beta, real* sum) {
    for_each(device, n, AddGroups{sum, parts, n, n_groups, beta}, n_groups);
}

// ---- which algorithm for which shape -----------------------------------------------------------------------------------

ConvShape twin(const ConvShape& s) {
    ConvShape t = s;
    t.h = s.out_h, t.w = s.out_w, t.c = s.o;
    t.o = s.c;
    t.out_h = s.h, t.out_w = s.w;
    t.padding = s.dilation * (s.kh - 1) - s.padding;
    return t;
}

bool can_use(ConvAlgorithm algorithm, ConvProduct product, const ConvShape& s) {
    switch (algorithm) {
        case ConvAlgorithm::patches:
        case ConvAlgorithm::positions: return true;
        case ConvAlgorithm::twin: return s.stride == 1 && s.kh == s.kw && s.padding <= s.dilation * (s.kh - 1);
        case ConvAlgorithm::direct: return direct_fits(s) && product != ConvProduct::input_grad;
        case ConvAlgorithm::winograd: return winograd_fits(s);
    }
    return false;
}

// The table below, measured on a CPU, batch 128: one core of a Zen 3 with AVX2, ms of the three products
//   map, channels, kernel               by patches         by positions       by Winograd
//   1 x 1, 64 to 64,   3 x 3            0.2 0.2 0.2        0.02 0.02 0.03     1.2 1.1 1.0
//   3 x 3                               1.5 1.3 1.2        0.7 0.7 0.7        0.9 0.8 0.7
//   4 x 4                               2.7 2.7 2.7        1.4 1.5 1.8        0.9 0.8 0.9
//   6 x 6                               5.9 5.1 7.5        4.4 4.8 4.5        3.9 4.8 4.9
//   8 x 8, 64 to 64,   4 x 4 stride 2   4.0 4.2 4.3        3.2 3.1 3.1        2.7 10  2.4
//   8 x 8, 64 to 64,   3 x 3 stride 2   3.2 2.9 3.5        2.2 2.5 2.4
//   16 x 16, 32 to 64, 3 x 3 stride 2   6.2 6.8 8.6        5.6 8.2 7.6
//   28 x 28, 32 to 32, 4 x 4 stride 2   31  32  32         16  22  22         13  14  12
//   28 x 28, 32 to 1,  3 x 3            by the twin        13 6.9 7.0           directly           6.0    4.3
// and of a Zen 4 with AVX-512, forward, 3 x 3, by patches and by Winograd:
//   32 x 32, channels in and out        4: 4.2, 3.3        8: 6.1, 3.7        16: 11, 5.5        64: 109, 33
// So: directly to one or two channels; Winograd from 8 channels on (below, little is saved for its larger rounding
// errors), unless too much of what its tiles cover lies outside the map; positions for maps of up to 64 places;
// patches, or those of the twin, for the rest. The batch has no say, so that an image takes the same way in any batch.
// On a GPU, patches: the others were not measured there.
constexpr int64_t kWinogradChannels = 8, kPositionChannels = 16, kPlaces = 64;
constexpr int64_t kDirectOutputs = 2, kDirectInputs = 8;

struct Map {
    int64_t h, w;
};

// What a product writes, or for the weight gradient: reads once for each tap.
Map places(ConvProduct product, const ConvShape& s) {
    return product == ConvProduct::input_grad ? Map{s.h, s.w} : Map{s.out_h, s.out_w};
}

bool suits_direct(ConvProduct product, const ConvShape& s) {
    return can_use(ConvAlgorithm::direct, product, s) && s.o <= kDirectOutputs && s.c >= kDirectInputs;
}

bool suits_positions(ConvProduct product, const ConvShape& s) {
    const Map map = places(product, s);
    return std::min(s.c, s.o) >= kPositionChannels && map.h * map.w <= kPlaces;
}

bool suits_winograd(ConvProduct product, const ConvShape& s) {
    if (!winograd_fits(s) || std::min(s.c, s.o) < kWinogradChannels) return false;
    Map cells = places(product, s);
    if (product == ConvProduct::input_grad && s.stride == 2) cells = {s.out_h + 1, s.out_w + 1};
    const auto covered = [](int64_t n) { return (n + 3) / 4 * 4; };
    const double share = double(cells.h * cells.w) / double(covered(cells.h) * covered(cells.w));
    const bool is_third_enough = s.stride == 1 && !suits_positions(product, s);
    return is_third_enough ? share >= 1. / 3 : share > 9. / 16;
}

// A patch is kh kw times larger than the pixels that it is made of, so they are made of the side with fewer channels.
// But a pixel gathered from patches costs about as much as making four patches (measured: 16 -> 64 channels forward
// costs 15 ms by patches of x, its input gradient 21 ms by gathering and 22 ms by patches of dy, 5 x 5 taps).
constexpr int64_t kGather = 4;

ConvAlgorithm choose_algorithm(ConvProduct product, Device device, const ConvShape& s) {
    if (device == Device::cpu && suits_direct(product, s)) return ConvAlgorithm::direct;
    if (device == Device::cpu && suits_winograd(product, s)) return ConvAlgorithm::winograd;
    if (device == Device::cpu && suits_positions(product, s)) return ConvAlgorithm::positions;
    bool is_twin_cheaper = false;
    switch (product) {
        case ConvProduct::forward: is_twin_cheaper = kGather * s.o < s.c; break;
        case ConvProduct::input_grad: is_twin_cheaper = s.o < kGather * s.c; break;
        case ConvProduct::weight_grad: is_twin_cheaper = s.o < s.c; break;
    }
    return is_twin_cheaper && can_use(ConvAlgorithm::twin, product, s) ? ConvAlgorithm::twin : ConvAlgorithm::patches;
}

// ---- the three products --------------------------------------------------------------------------------------------------

void conv_forward(ConvAlgorithm algorithm, Device device, const ConvShape& s, const real* x, const real* w, real* y,
                  const RowsDone& done) {
    if (algorithm == ConvAlgorithm::winograd) return winograd_forward(device, s, x, w, y, done);
    if (algorithm == ConvAlgorithm::positions) return positions_forward(device, s, x, w, y, done);
    if (algorithm == ConvAlgorithm::direct) return direct_forward(device, s, x, w, y, done);
    if (algorithm == ConvAlgorithm::patches) return forward_by_patches(device, s, x, w, 0, y, done);
    const Scratch flipped(device, s.o * s.patch());
    flip(device, s, w, 0, flipped.data());
    input_grad_by_gather(device, twin(s), x, flipped.data(), 0, y, done);
}

void conv_input_grad(ConvAlgorithm algorithm, Device device, const ConvShape& s, const real* dy, const real* w,
                     real beta, real* dx, const RowsDone& done) {
    if (algorithm == ConvAlgorithm::winograd) return winograd_input_grad(device, s, dy, w, beta, dx, done);
    if (algorithm == ConvAlgorithm::positions) return positions_input_grad(device, s, dy, w, beta, dx, done);
    if (algorithm == ConvAlgorithm::patches) return input_grad_by_gather(device, s, dy, w, beta, dx, done);
    const Scratch flipped(device, s.o * s.patch());
    flip(device, s, w, 0, flipped.data());
    forward_by_patches(device, twin(s), dy, flipped.data(), beta, dx, done);
}

void conv_weight_grad(ConvAlgorithm algorithm, Device device, const ConvShape& s, const real* x, const real* dy,
                      real beta, real* dw) {
    if (algorithm == ConvAlgorithm::winograd) return winograd_weight_grad(device, s, x, dy, beta, dw);
    if (algorithm == ConvAlgorithm::positions) return positions_weight_grad(device, s, x, dy, beta, dw);
    if (algorithm == ConvAlgorithm::direct) return direct_weight_grad(device, s, x, dy, beta, dw);
    if (algorithm == ConvAlgorithm::patches) return weight_grad_by_patches(device, s, x, dy, beta, dw);
    const ConvShape t = twin(s);
    const Scratch flipped(device, t.o * t.patch());
    weight_grad_by_patches(device, t, dy, x, 0, flipped.data());
    flip(device, t, flipped.data(), beta, dw);
}

void conv_forward(Device device, const ConvShape& s, const real* x, const real* w, real* y, const RowsDone& done) {
    conv_forward(choose_algorithm(ConvProduct::forward, device, s), device, s, x, w, y, done);
}

void conv_input_grad(Device device, const ConvShape& s, const real* dy, const real* w, real beta, real* dx,
                     const RowsDone& done) {
    conv_input_grad(choose_algorithm(ConvProduct::input_grad, device, s), device, s, dy, w, beta, dx, done);
}

void conv_weight_grad(Device device, const ConvShape& s, const real* x, const real* dy, real beta, real* dw) {
    conv_weight_grad(choose_algorithm(ConvProduct::weight_grad, device, s), device, s, x, dy, beta, dw);
}

void require_conv_kernel(const char* op, int64_t kh, int64_t kw) {
    if (kh < 1 || kw < 1 || kh * kw > kMaxTaps) {
        throw ShapeError(std::string(op) + ": a kernel of " + std::to_string(kh) + " x " + std::to_string(kw) +
                         "; want 1 to " + std::to_string(kMaxTaps) + " taps");
    }
}

}  // namespace koine
