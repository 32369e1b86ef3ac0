#include "tensor/direct.h"

#include "tensor/conv_algorithms.h"

namespace koine {
namespace {

// What of the kernel at output pixel p lies on the image: its rows [a, end_a), its columns [b, end_b).
struct Window {
    HD Window(const ConvShape& s, int64_t p)
        : image(p / s.pixels_out()),
          top(p % s.pixels_out() / s.out_w * s.stride - s.padding),
          left(p % s.out_w * s.stride - s.padding),
          a(top < 0 ? -top : 0),
          end_a(s.h - top < s.kh ? s.h - top : s.kh),
          b(left < 0 ? -left : 0),
          end_b(s.w - left < s.kw ? s.w - left : s.kw) {}
    /// The number of neighbouring numbers in one row, of w as of x.
    HD int64_t run(const ConvShape& s) const { return end_b > b ? (end_b - b) * s.c : 0; }
    HD int64_t in_x(const ConvShape& s, int64_t row) const {
        return ((image * s.h + top + row) * s.w + left + b) * s.c;
    }
    HD int64_t in_w(const ConvShape& s, int64_t o, int64_t row) const { return ((o * s.kh + row) * s.kw + b) * s.c; }

    int64_t image, top, left, a, end_a, b, end_b;
};

// y[p, o] = the sum of x w under the kernel.
struct ForwardPixel {
    real* y;
    const real *x, *w;
    ConvShape s;
    int64_t first;
    template <class Team>
    HD void operator()(Team t, int64_t i) const {
        const int64_t p = first + i;
        const Window window(s, p);
        const int64_t run = window.run(s);
        for (int64_t o = 0; o < s.o; o++) {
            real sum = 0;
            for (int64_t a = window.a; a < window.end_a; a++) {
                const real *in = x + window.in_x(s, a), *kernel = w + window.in_w(s, o, a);
                sum += t.sum(run, [=](int64_t k) { return in[k] * kernel[k]; });
            }
            real* to = y + p * s.o + o;
            t.once([=] { *to = sum; });
        }
    }
};

// parts[g] = the sum of dy x over the images of group g.
struct WeightGradGroup {
    real* parts;
    const real *x, *dy;
    ConvShape s;
    int64_t per_group;
    template <class Team>
    HD void operator()(Team t, int64_t g) const {
        real* part = parts + g * s.o * s.patch();
        t.each(s.o * s.patch(), [=](int64_t i) { part[i] = 0; });
        const int64_t end = (g + 1) * per_group < s.n ? (g + 1) * per_group : s.n;
        for (int64_t p = g * per_group * s.pixels_out(); p < end * s.pixels_out(); p++) {
            const Window window(s, p);
            const int64_t run = window.run(s);
            for (int64_t o = 0; o < s.o; o++) {
                const real d = dy[p * s.o + o];
                for (int64_t a = window.a; a < window.end_a; a++) {
                    const real* in = x + window.in_x(s, a);
                    real* to = part + window.in_w(s, o, a);
                    t.each(run, [=](int64_t k) { to[k] += d * in[k]; });
                }
            }
        }
    }
};

}  // namespace

bool direct_fits(const ConvShape& s) { return s.dilation == 1; }

void direct_forward(Device device, const ConvShape& s, const real* x, const real* w, real* y, const RowsDone& done) {
    constexpr int64_t kTaskWork = 1 << 19;  // multiplications
    const int64_t n_pixels = s.n * s.pixels_out(), cost = std::max<int64_t>(s.o * s.patch(), 1);
    const int64_t per_task = std::max<int64_t>(kTaskWork / cost, 1);
    for_tasks(device, divide_up(n_pixels, per_task), [&](int64_t task) {
        const int64_t first = task * per_task, n = std::min(per_task, n_pixels - first);
        for_rows(device, n, cost, ForwardPixel{y, x, w, s, first});
        if (done) done(first, n);
    });
}

void direct_weight_grad(Device device, const ConvShape& s, const real* x, const real* dy, real beta, real* dw) {
    const ImageGroups groups(s);
    const Scratch parts(device, groups.count * s.o * s.patch());
    for_rows(device, groups.count, groups.size * s.pixels_out() * s.o * s.patch(),
             WeightGradGroup{parts.data(), x, dy, s, groups.size});
    add_groups(device, s.o * s.patch(), groups.count, parts.data(), beta, dw);
}

}  // namespace koine
