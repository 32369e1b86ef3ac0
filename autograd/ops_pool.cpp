// Pooling on NHWC: each output pixel looks at a window of input pixels, channel by channel.
#include "autograd/kernels.h"
#include "autograd/ops.h"

namespace koine {
namespace {

// Windows of an image [N, H, W, C] -> [N, out_h, out_w, C]. Window i spans rows [begin(i), end(i)), alike for columns;
// the two kinds are windows of fixed size and stride, and the near-equal ones of adaptive pooling.
struct Windows {
    int64_t n, h, w, c, out_h, out_w;
    int64_t size, stride, padding;  // size 0: adaptive

    HD int64_t begin(int64_t i, int64_t extent, int64_t out) const {
        const int64_t b = size == 0 ? i * extent / out : i * stride - padding;
        return b > 0 ? b : 0;
    }
    HD int64_t end(int64_t i, int64_t extent, int64_t out) const {
        const int64_t e = size == 0 ? ((i + 1) * extent + out - 1) / out : i * stride - padding + size;
        return e < extent ? e : extent;
    }
    // The first and one past the last window that contain row (or column) r.
    HD int64_t first_with(int64_t r, int64_t extent, int64_t out) const {
        int64_t i = size == 0 ? r * out / extent : r + padding < size ? 0 : (r + padding - size) / stride + 1;
        while (i > 0 && end(i - 1, extent, out) > r) i--;
        return i;
    }
    HD int64_t past_with(int64_t r, int64_t extent, int64_t out) const {
        int64_t i = size == 0 ? r * out / extent : (r + padding) / stride;
        if (i >= out) i = out - 1;
        while (i + 1 < out && begin(i + 1, extent, out) <= r) i++;
        return i + 1;
    }
    int64_t pixels() const { return n * out_h * out_w; }
    Shape shape() const { return {n, out_h, out_w, c}; }
};

struct MaxPoolRow {
    real* y;
    int32_t* from;  // position of the winner inside its image, for the gradient
    const real* x;
    Windows win;
    template <class Team>
    HD void operator()(Team t, int64_t p) const {
        const int64_t image = p / (win.out_h * win.out_w), i = p / win.out_w % win.out_h, j = p % win.out_w;
        const int64_t r0 = win.begin(i, win.h, win.out_h), r1 = win.end(i, win.h, win.out_h);
        const int64_t c0 = win.begin(j, win.w, win.out_w), c1 = win.end(j, win.w, win.out_w);
        const real* in = x + image * win.h * win.w * win.c;
        real* out = y + p * win.c;
        int32_t* winner = from + p * win.c;
        const int64_t n = win.c;
        const int32_t first = int32_t(r0 * win.w + c0);
        const real* corner = in + first * n;
        t.each(n, [=](int64_t c) { out[c] = corner[c], winner[c] = first; });
        // Pixels outside, channels inside: the inner loop becomes vector code, the best so far waits in the cache.
        for (int64_t r = r0; r < r1; r++) {
            for (int64_t q = c0; q < c1; q++) {
                const int32_t here = int32_t(r * win.w + q);
                const real* pixel = in + here * n;
                t.each(n, [=](int64_t c) {
                    const real v = pixel[c], best = out[c];
                    const bool wins = (v > best) | ((v != v) & (best == best));  // a NaN wins and stays
                    out[c] = wins ? v : best;
                    winner[c] = wins ? here : winner[c];
                });
            }
        }
    }
};

// dx of a pixel: dy of those windows around it that it won. One row of pixels at a time: finding the windows of a row
// takes divisions, which pixel by pixel cost as much as the rest (measured with 32 channels: 3.2 against 1.9 ms).
struct MaxPoolRowGrad {
    GradSlot dx;
    const real* dy;
    const int32_t* from;
    Windows win;
    template <class Team>
    HD void operator()(Team t, int64_t row) const {
        const int64_t image = row / win.h, r = row % win.h, n = win.c;
        const int64_t i0 = win.first_with(r, win.h, win.out_h), i1 = win.past_with(r, win.h, win.out_h);
        for (int64_t col = 0; col < win.w; col++) {
            const int64_t j0 = win.first_with(col, win.w, win.out_w), j1 = win.past_with(col, win.w, win.out_w);
            const int32_t here = int32_t(r * win.w + col);
            GradSlot out = dx.at((row * win.w + col) * n);
            if (i0 >= i1 || j0 >= j1) t.each(n, [=](int64_t c) { out.put(c, 0); });  // in no window
            for (int64_t i = i0; i < i1; i++) {
                for (int64_t j = j0; j < j1; j++) {
                    const int64_t at = ((image * win.out_h + i) * win.out_w + j) * n;
                    const real* in = dy + at;
                    const int32_t* winner = from + at;
                    t.each(n, [=](int64_t c) { out.put(c, winner[c] == here ? in[c] : real(0)); });
                    out.beta = 1;  // the next window adds
                }
            }
        }
    }
};

struct AvgPoolRow {
    real* y;
    const real* x;
    Windows win;
    template <class Team>
    HD void operator()(Team t, int64_t p) const {
        const int64_t image = p / (win.out_h * win.out_w), i = p / win.out_w % win.out_h, j = p % win.out_w;
        const int64_t r0 = win.begin(i, win.h, win.out_h), r1 = win.end(i, win.h, win.out_h);
        const int64_t c0 = win.begin(j, win.w, win.out_w), c1 = win.end(j, win.w, win.out_w);
        const real* in = x + image * win.h * win.w * win.c;
        real* out = y + p * win.c;
        const int64_t width = win.w, n = win.c;
        const real scale = real(1) / real((r1 - r0) * (c1 - c0));
        t.each(n, [=](int64_t c) {
            real s = 0;
            for (int64_t r = r0; r < r1; r++) {
                for (int64_t q = c0; q < c1; q++) s += in[(r * width + q) * n + c];
            }
            out[c] = s * scale;
        });
    }
};

struct AvgPoolRowGrad {
    GradSlot dx;
    const real* dy;
    Windows win;
    template <class Team>
    HD void operator()(Team t, int64_t q) const {
        const int64_t image = q / (win.h * win.w), r = q / win.w % win.h, col = q % win.w;
        const int64_t i0 = win.first_with(r, win.h, win.out_h), i1 = win.past_with(r, win.h, win.out_h);
        const int64_t j0 = win.first_with(col, win.w, win.out_w), j1 = win.past_with(col, win.w, win.out_w);
        const int64_t first = image * win.out_h * win.out_w;
        const Windows wd = win;
        const real* in = dy;
        const GradSlot out = dx.at(q * wd.c);
        t.each(wd.c, [=](int64_t c) {
            real s = 0;
            for (int64_t i = i0; i < i1; i++) {
                const int64_t n_rows = wd.end(i, wd.h, wd.out_h) - wd.begin(i, wd.h, wd.out_h);
                // Windows with gaps between them (stride > size) may not hold this pixel at all.
                if (wd.begin(i, wd.h, wd.out_h) > r || wd.end(i, wd.h, wd.out_h) <= r) continue;
                for (int64_t j = j0; j < j1; j++) {
                    if (wd.begin(j, wd.w, wd.out_w) > col || wd.end(j, wd.w, wd.out_w) <= col) continue;
                    const int64_t n_cols = wd.end(j, wd.w, wd.out_w) - wd.begin(j, wd.w, wd.out_w);
                    s += in[(first + i * wd.out_w + j) * wd.c + c] / real(n_rows * n_cols);
                }
            }
            out.put(c, s);
        });
    }
};

Windows windows(const char* op, const Shape& s, int64_t size, int64_t stride, int64_t padding) {
    if (s.rank != 4) throw ShapeError(std::string(op) + ": x " + s.str() + "; want [N, H, W, C]");
    if (size < 1 || stride < 1 || padding < 0 || padding * 2 > size) {
        throw ValueError(std::string(op) + ": size " + std::to_string(size) + ", stride " + std::to_string(stride) +
                         ", padding " + std::to_string(padding) +
                         "; want size and stride of 1 or more, 0 <= padding <= size / 2");
    }
    const int64_t room_h = s[1] + 2 * padding - size, room_w = s[2] + 2 * padding - size;
    if (room_h < 0 || room_w < 0) {
        throw ShapeError(std::string(op) + ": x " + s.str() + " is smaller than a window of " + std::to_string(size) +
                         " x " + std::to_string(size));
    }
    return {s[0], s[1], s[2], s[3], room_h / stride + 1, room_w / stride + 1, size, stride, padding};
}

Var mean_over(const char* op, const Var& x, const Windows& win) {
    const Profiled scope(op);
    const Tensor in = x.value.contiguous(), y = Tensor::empty(win.shape(), x.device());
    const int64_t work = win.c * std::max<int64_t>(win.h * win.w / (win.out_h * win.out_w), 1);
    for_rows(x.device(), win.pixels(), work, AvgPoolRow{y.data(), in.data(), win});
    return record(op, y, {&x}, [win](const Tensor& dy, Grads& dx) {
        for_rows(dy.device(), win.n * win.h * win.w, win.c, AvgPoolRowGrad{dx.slot(0), dy.data(), win});
    });
}

}  // namespace

Var max_pool2d(const Var& x, int size, int stride, int padding) {
    const Profiled scope("max_pool2d");
    const Windows win = windows("max_pool2d", x.shape(), size, stride, padding);
    const Tensor in = x.value.contiguous(), y = Tensor::empty(win.shape(), x.device());
    const Indices from = Indices::empty(win.shape(), x.device());
    for_rows(x.device(), win.pixels(), win.c * size * size, MaxPoolRow{y.data(), from.data(), in.data(), win});
    return record("max_pool2d", y, {&x}, [win, from](const Tensor& dy, Grads& dx) {
        for_rows(dy.device(), win.n * win.h, win.w * win.c * 2,
                 MaxPoolRowGrad{dx.slot(0), dy.data(), from.data(), win});
    });
}

Var avg_pool2d(const Var& x, int size, int stride) {
    return mean_over("avg_pool2d", x, windows("avg_pool2d", x.shape(), size, stride, 0));
}

Var adaptive_avg_pool2d(const Var& x, int out_h, int out_w) {
    const Shape& s = x.shape();
    if (s.rank != 4 || s[1] < 1 || s[2] < 1)
        throw ShapeError("adaptive_avg_pool2d: x " + s.str() + "; want [N, H, W, C]");
    if (out_h < 1 || out_w < 1) {
        throw ValueError("adaptive_avg_pool2d: output " + std::to_string(out_h) + " x " + std::to_string(out_w) +
                         "; want 1 or more");
    }
    return mean_over("adaptive_avg_pool2d", x, {s[0], s[1], s[2], s[3], out_h, out_w, 0, 1, 0});
}

}  // namespace koine
