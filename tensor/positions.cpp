#include "tensor/positions.h"

#include "tensor/conv_algorithms.h"
#include "tensor/gemm.h"

namespace koine {
namespace {

// Images and channels of one product: it copies its operands, which pays only for many rows and columns.
constexpr int64_t kImages = 128, kPanel = 128;

// The taps [begin, end) of an axis of the kernel that fall on a map of `extent` pixels, when its first tap is at
// `first`.
struct Taps {
    Taps(int64_t first, int64_t extent, int64_t kernel, int64_t dilation)
        : begin(first < 0 ? divide_up(-first, dilation) : 0),
          end(std::min(kernel, first < extent ? divide_up(extent - first, dilation) : 0)) {}
    int64_t size() const { return std::max<int64_t>(end - begin, 0); }

    int64_t begin, end;
};

// f(first image, how many, place of the map, first channel, how many) for all parts of images [n, n_places,
// n_channels], as tasks; then done() for their rows.
template <class F>
void for_places(Device device, int64_t n, int64_t n_places, int64_t n_channels, const RowsDone& done, F f) {
    const int64_t n_panels = divide_up(n_channels, kPanel), n_groups = divide_up(n, kImages);
    for_tasks(device, n_groups * n_places * n_panels, [&](int64_t task) {
        const int64_t group = task / n_panels / n_places, panel = task % n_panels;
        f(group * kImages, std::min(kImages, n - group * kImages), task / n_panels % n_places, panel * kPanel,
          std::min(kPanel, n_channels - panel * kPanel));
    });
    if (!done) return;
    constexpr int64_t kImagesOfReport = 16;
    for_tasks(device, divide_up(n, kImagesOfReport), [&](int64_t i) {
        const int64_t first = i * kImagesOfReport, count = std::min(kImagesOfReport, n - first);
        done(first * n_places, count * n_places);
    });
}

}  // namespace

void positions_forward(Device device, const ConvShape& s, const real* x, const real* w, real* y, const RowsDone& done) {
    const int64_t x_step = s.pixels_in() * s.c, y_step = s.pixels_out() * s.o;
    for_places(
        device, s.n, s.pixels_out(), s.o, done,
        [&](int64_t image, int64_t count, int64_t place, int64_t o, int64_t n_o) {
            const int64_t top = place / s.out_w * s.stride - s.padding, left = place % s.out_w * s.stride - s.padding;
            const Taps rows(top, s.h, s.kh, s.dilation), cols(left, s.w, s.kw, s.dilation);
            // Without dilation the taps of a kernel row are one run of numbers, in x as in w.
            const int64_t run = s.dilation == 1 ? std::max<int64_t>(cols.size(), 1) : 1;
            real* to = y + image * y_step + place * s.o + o;
            real beta = 0;
            for (int64_t a = rows.begin; a < rows.end; a++) {
                for (int64_t b = cols.begin; b < cols.end; b += run) {
                    const int64_t pixel = (top + a * s.dilation) * s.w + left + b * s.dilation;
                    gemm(device, count, n_o, run * s.c, 1, {x + image * x_step + pixel * s.c, x_step},
                         {w + o * s.patch() + (a * s.kw + b) * s.c, s.patch(), Op::transposed}, beta, to, y_step);
                    beta = 1;
                }
            }
            // A kernel that lies outside altogether: a sum over nothing.
            if (beta == 0) gemm(device, count, n_o, 0, 1, {x, 1}, {w, n_o}, 0, to, y_step);
        });
}

void positions_input_grad(Device device, const ConvShape& s, const real* dy, const real* w, real beta, real* dx,
                          const RowsDone& done) {
    const int64_t x_step = s.pixels_in() * s.c, y_step = s.pixels_out() * s.o;
    for_places(device, s.n, s.pixels_in(), s.c, done,
               [&](int64_t image, int64_t count, int64_t place, int64_t c, int64_t n_c) {
                   const int64_t i = place / s.w + s.padding, j = place % s.w + s.padding;
                   real* to = dx + image * x_step + place * s.c + c;
                   real sum_beta = beta;
                   for (int64_t a = 0; a < s.kh; a++) {
                       const int64_t row = i - a * s.dilation;
                       if (row < 0 || row % s.stride != 0 || row / s.stride >= s.out_h) continue;
                       for (int64_t b = 0; b < s.kw; b++) {
                           const int64_t col = j - b * s.dilation;
                           if (col < 0 || col % s.stride != 0 || col / s.stride >= s.out_w) continue;
                           const int64_t pixel = row / s.stride * s.out_w + col / s.stride;
                           gemm(device, count, n_c, s.o, 1, {dy + image * y_step + pixel * s.o, y_step},
                                {w + (a * s.kw + b) * s.c + c, s.patch()}, sum_beta, to, x_step);
                           sum_beta = 1;
                       }
                   }
                   if (sum_beta == 0)
                       gemm(device, count, n_c, 0, 1, {dy, 1}, {w, n_c}, 0, to, x_step);  // read by no tap
               });
}

void positions_weight_grad(Device device, const ConvShape& s, const real* x, const real* dy, real beta, real* dw) {
    const int64_t x_step = s.pixels_in() * s.c, y_step = s.pixels_out() * s.o, n_panels = divide_up(s.o, kPanel);
    for_tasks(device, s.kh * s.kw * n_panels, [&](int64_t task) {
        const int64_t tap = task / n_panels, o = task % n_panels * kPanel, n_o = std::min(kPanel, s.o - o);
        const int64_t a = tap / s.kw, b = tap % s.kw;
        real* to = dw + o * s.patch() + tap * s.c;
        real sum_beta = beta;
        for (int64_t image = 0; image < s.n; image += kImages) {
            const int64_t count = std::min(kImages, s.n - image);
            for (int64_t i = 0; i < s.out_h; i++) {
                const int64_t row = i * s.stride - s.padding + a * s.dilation;
                if (row < 0 || row >= s.h) continue;
                for (int64_t j = 0; j < s.out_w; j++) {
                    const int64_t col = j * s.stride - s.padding + b * s.dilation;
                    if (col < 0 || col >= s.w) continue;
                    gemm(device, n_o, s.c, count, 1,
                         {dy + image * y_step + (i * s.out_w + j) * s.o + o, y_step, Op::transposed},
                         {x + image * x_step + (row * s.w + col) * s.c, x_step}, sum_beta, to, s.patch());
                    sum_beta = 1;
                }
            }
        }
        if (sum_beta == 0)
            gemm(device, n_o, s.c, 0, 1, {dy, 1}, {x, s.c}, 0, to, s.patch());  // a tap outside everywhere
    });
}

}  // namespace koine
