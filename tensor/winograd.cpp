#include "tensor/winograd.h"

#include "tensor/conv_algorithms.h"
#include "tensor/gemm.h"

// Before a loop over a small matrix: the compiler writes it out, or it could not vectorise the loop over channels
// around it.
#ifdef __clang__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 36")
#endif
#ifdef __CUDACC__
#pragma nv_diag_suppress 1675  // nvcc does not know it, but hands it on to g++
#endif

namespace koine {
namespace {

constexpr int kTaps = 3, kOut = 4, kIn = 6;  // along one axis: of the kernel; pixels of a tile, written and read
constexpr int kPlanes = kIn * kIn;

// Tiles of one block: their planes stay in the second-level cache (0.4 MB for 64 channels).
constexpr int64_t kTilesPerBlock = 24;
// Tiles added to the sums of the weight gradient by one product, and bytes of tiles that are transformed before they
// are added: they stay in the third-level cache, and the threads wait for each other only once in a while.
constexpr int64_t kTilesPerSum = 192, kChunkBytes = 8 << 20;
// Channels of one product. BLAS has kernels for small products that do not copy their operands (OpenBLAS: below 10^6
// multiplications; 110 of 117 GF/s where larger ones with so few rows reach 60 to 90).
constexpr int64_t kPanel = 64;

// ---- the matrices of section 4.3, each as a function: out = matrix in ----------------------------------------------

// B^T, for the pixels that are read.
struct InputMatrix {
    static constexpr int kRows = 6, kCols = 6, kDivisor = 1;
    HD static void multiply(const real (&in)[6], real (&out)[6]) {
        out[0] = 4 * in[0] - 5 * in[2] + in[4];
        out[1] = -4 * in[1] - 4 * in[2] + in[3] + in[4];
        out[2] = 4 * in[1] - 4 * in[2] - in[3] + in[4];
        out[3] = -2 * in[1] - in[2] + 2 * in[3] + in[4];
        out[4] = 2 * in[1] - in[2] - 2 * in[3] + in[4];
        out[5] = 4 * in[1] - 5 * in[3] + in[5];
    }
};

// 24 G, for the kernel: whole numbers, so that the division by 24^2 at the end is the only one to round.
struct KernelMatrix {
    static constexpr int kRows = 6, kCols = 3, kDivisor = 24 * 24;
    HD static void multiply(const real (&in)[3], real (&out)[6]) {
        out[0] = 6 * in[0];
        out[1] = -4 * in[0] - 4 * in[1] - 4 * in[2];
        out[2] = -4 * in[0] + 4 * in[1] - 4 * in[2];
        out[3] = in[0] + 2 * in[1] + 4 * in[2];
        out[4] = in[0] - 2 * in[1] + 4 * in[2];
        out[5] = 24 * in[2];
    }
};

// A^T, for the pixels that are written.
struct OutputMatrix {
    static constexpr int kRows = 4, kCols = 6, kDivisor = 1;
    HD static void multiply(const real (&in)[6], real (&out)[4]) {
        out[0] = in[0] + in[1] + in[2] + in[3] + in[4];
        out[1] = in[1] - in[2] + 2 * in[3] - 2 * in[4];
        out[2] = in[1] + in[2] + 4 * in[3] + 4 * in[4];
        out[3] = in[1] - in[2] + 8 * in[3] - 8 * in[4] + in[5];
    }
};

// A, for the gradient of the pixels that are written.
struct OutputGradMatrix {
    static constexpr int kRows = 6, kCols = 4, kDivisor = 1;
    HD static void multiply(const real (&in)[4], real (&out)[6]) {
        out[0] = in[0];
        out[1] = in[0] + in[1] + in[2] + in[3];
        out[2] = in[0] - in[1] + in[2] - in[3];
        out[3] = in[0] + 2 * in[1] + 4 * in[2] + 8 * in[3];
        out[4] = in[0] - 2 * in[1] + 4 * in[2] - 8 * in[3];
        out[5] = in[3];
    }
};

// 24 G^T, for the gradient of the kernel.
struct KernelGradMatrix {
    static constexpr int kRows = 3, kCols = 6, kDivisor = 24 * 24;
    HD static void multiply(const real (&in)[6], real (&out)[3]) {
        out[0] = 6 * in[0] - 4 * in[1] - 4 * in[2] + in[3] + in[4];
        out[1] = -4 * in[1] + 4 * in[2] + 2 * in[3] - 2 * in[4];
        out[2] = -4 * in[1] - 4 * in[2] + 4 * in[3] + 4 * in[4] + 24 * in[5];
    }
};

// out = M in M^T: M for each column, then for each row.
template <class M>
HD inline void multiply_both_sides(const real (&in)[M::kCols][M::kCols], real (&out)[M::kRows][M::kRows]) {
    real half[M::kRows][M::kCols];
    UNROLL
    for (int j = 0; j < M::kCols; j++) {
        real column[M::kCols], result[M::kRows];
        UNROLL
        for (int i = 0; i < M::kCols; i++) column[i] = in[i][j];
        M::multiply(column, result);
        UNROLL
        for (int i = 0; i < M::kRows; i++) half[i][j] = result[i];
    }
    UNROLL
    for (int i = 0; i < M::kRows; i++) M::multiply(half[i], out[i]);
}

// to[c] = beta to[c] + M from[c] M^T for n channels. `from` and `to` say where each element of the small matrices is
// for channel 0; the channels of one element are `step` apart in `from` and neighbours in `to`.
template <class M, class Team>
HD inline void transform(Team t, int64_t n, const real* const* from, int64_t step, real beta, real* const* to) {
    t.each(n, [=](int64_t c) {
        real in[M::kCols][M::kCols], out[M::kRows][M::kRows];
        UNROLL
        for (int k = 0; k < M::kCols * M::kCols; k++) in[k / M::kCols][k % M::kCols] = from[k][c * step];
        multiply_both_sides<M>(in, out);
        UNROLL
        for (int k = 0; k < M::kRows * M::kRows; k++) {
            const real value = out[k / M::kRows][k % M::kRows] / M::kDivisor;
            to[k][c] = beta != 0 ? beta * to[k][c] + value : value;
        }
    });
}

// ---- tiles -----------------------------------------------------------------------------------------------------------

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

struct Corner {
    int64_t image, top, left;
};

// How the output is cut: row by row, image by image.
struct Tiling {
    explicit Tiling(const ConvShape& s) : n_rows(divide_up(s.out_h, kOut)), n_cols(divide_up(s.out_w, kOut)) {}

    /// The first pixel that a tile reads under this padding; with 0: that it writes.
    HD Corner corner(int64_t tile, int64_t padding) const {
        return {tile / (n_rows * n_cols), tile / n_cols % n_rows * kOut - padding, tile % n_cols * kOut - padding};
    }

    int64_t n_rows, n_cols;  // tiles of one image
};

// [*, h, w, c].
template <class Real>
struct Images {
    /// Where the k x k pixels below and to the right of a corner are; those beyond the edge are `outside`.
    template <int k>
    HD void find(Corner corner, Real* outside, Real* (&pixels)[k * k]) const {
        for (int64_t i = 0; i < k; i++)
            for (int64_t j = 0; j < k; j++) {
                const int64_t row = corner.top + i, col = corner.left + j;
                const bool is_inside = row >= 0 && row < h && col >= 0 && col < w;
                pixels[i * k + j] = is_inside ? data + ((corner.image * h + row) * w + col) * c : outside;
            }
    }

    Real* data;
    int64_t h, w, c;
};

// 36 matrices [n_rows, n_cols], a little more than their size apart: sizes that are powers of two would meet in a few
// lines of the cache.
struct Planes {
    static constexpr int64_t kGap = 64 / sizeof(real);

    HD int64_t stride() const { return n_rows * n_cols + kGap; }
    HD int64_t size() const { return kPlanes * stride(); }
    HD real* plane(int64_t p) const { return data + p * stride(); }
    Planes from_row(int64_t row) const { return {data + row * n_cols, n_rows, n_cols}; }
    template <class Pointer>
    HD void find(int64_t row, Pointer (&planes)[kPlanes]) const {
        for (int64_t p = 0; p < kPlanes; p++) planes[p] = plane(p) + row * n_cols;
    }

    real* data;
    int64_t n_rows, n_cols;
};

// v[p, i, c] = (B^T d B)[p] for tile first + i, where d is what it reads; or (A dy A^T)[p].
template <class M>
struct TransformPixels {
    Planes v;
    Images<const real> x;
    const real* zeros;
    Tiling tiling;
    int64_t padding, first;
    template <class Team>
    HD void operator()(Team t, int64_t i) const {
        const real* pixels[M::kCols * M::kCols];
        x.template find<M::kCols>(tiling.corner(first + i, padding), zeros, pixels);
        real* planes[kPlanes];
        v.find(i, planes);
        transform<M>(t, x.c, pixels, 1, 0, planes);
    }
};
using TransformInput = TransformPixels<InputMatrix>;
using TransformOutputGrad = TransformPixels<OutputGradMatrix>;

// y = beta y + A^T m[p, i, :] A for tile first + i, in as many channels as m has; y begins at the first of them.
struct TransformOutput {
    Images<real> y;
    Planes m;
    Tiling tiling;
    int64_t first;
    real beta;
    template <class Team>
    HD void operator()(Team t, int64_t i) const {
        const real* planes[kPlanes];
        m.find(i, planes);
        // What lies beyond the edge is written to where it came from: nobody reads that again.
        real* nowhere = m.plane(0) + i * m.n_cols;
        real* pixels[kOut * kOut];
        y.find<kOut>(tiling.corner(first + i, 0), nowhere, pixels);
        transform<OutputMatrix>(t, m.n_cols, planes, 1, beta, pixels);
    }
};

// The transformed kernel of a convolution from n_in to n_out channels: u[p, i, j] = (G g G^T)[p] for input i and output
// j. In panels of kPanel outputs, so that a product reads one run of memory: panel b holds outputs b kPanel and on.
struct KernelPanels {
    KernelPanels(Device device, int64_t in, int64_t out)
        : n_in(in), n_out(out), room(device, n_panels() * Planes{nullptr, in, kPanel}.size()) {}

    int64_t n_panels() const { return divide_up(n_out, kPanel); }
    int64_t width(int64_t panel) const { return std::min(kPanel, n_out - panel * kPanel); }
    Planes operator[](int64_t panel) const {
        return {room.data() + panel * Planes{nullptr, n_in, kPanel}.size(), n_in, width(panel)};
    }

    int64_t n_in, n_out;
    Scratch room;
};

// Row i of a panel. In w, from `first` on, inputs are `row` apart, outputs `column`, and the nine taps `tap`.
struct TransformKernel {
    Planes u;
    const real* first;
    int64_t row, column, tap;
    template <class Team>
    HD void operator()(Team t, int64_t i) const {
        const real* taps[kTaps * kTaps];
        for (int64_t k = 0; k < kTaps * kTaps; k++) taps[k] = first + i * row + k * tap;
        real* planes[kPlanes];
        u.find(i, planes);
        transform<KernelMatrix>(t, u.n_cols, taps, column, 0, planes);
    }
};

// dw[o, :, c] = beta dw + G^T du[p, o, c] G, row o.
struct TransformKernelGrad {
    real* dw;
    Planes du;
    ConvShape s;
    real beta;
    template <class Team>
    HD void operator()(Team t, int64_t o) const {
        const real* planes[kPlanes];
        du.find(o, planes);
        real* taps[kTaps * kTaps];
        for (int64_t k = 0; k < kTaps * kTaps; k++) taps[k] = dw + o * s.patch() + k * s.c;
        transform<KernelGradMatrix>(t, s.c, planes, 1, beta, taps);
    }
};

struct Fill0 {
    real* p;
    HD void operator()(int64_t i) const { p[i] = 0; }
};

// What is read outside an image.
struct Zeros : Scratch {
    Zeros(Device device, int64_t n) : Scratch(device, n) { for_each(device, n, Fill0{data()}); }
};

// ---- the products ----------------------------------------------------------------------------------------------------

// y = beta y + conv(x, the kernel behind u).
void convolve(Device device, const ConvShape& s, const real* x, const KernelPanels& u, real beta, real* y,
              const RowsDone& done) {
    const Tiling tiling(s);
    // A task is a few rows of tiles: whole rows of pixels, of which `done` can be told.
    const int64_t n_rows = s.n * tiling.n_rows, rows_per_task = std::max<int64_t>(kTilesPerBlock / tiling.n_cols, 1);
    const auto first_pixel = [&](int64_t row) {
        return row / tiling.n_rows * s.pixels_out() + row % tiling.n_rows * kOut * s.out_w;
    };
    const Images<const real> in{x, s.h, s.w, s.c};
    const Zeros zeros(device, s.c);
    const int64_t v_size = Planes{nullptr, kTilesPerBlock, s.c}.size();
    const ThreadScratch scratch(device, v_size + Planes{nullptr, kTilesPerBlock, kPanel}.size());

    for_tasks(device, divide_up(n_rows, rows_per_task), [&](int64_t task) {
        const int64_t row = task * rows_per_task, end_row = std::min(row + rows_per_task, n_rows);
        const int64_t end = end_row * tiling.n_cols;
        for (int64_t first = row * tiling.n_cols; first < end; first += kTilesPerBlock) {
            const int64_t n_tiles = std::min(kTilesPerBlock, end - first);
            const Planes v{scratch.mine(), n_tiles, s.c};
            for_rows(device, n_tiles, kPlanes * s.c, TransformInput{v, in, zeros.data(), tiling, s.padding, first});
            for (int64_t b = 0; b < u.n_panels(); b++) {
                const int64_t n = u.width(b);
                const Planes m{scratch.mine() + v_size, n_tiles, n};
                for (int64_t p = 0; p < kPlanes; p++) {
                    gemm(device, n_tiles, n, s.c, 1, {v.plane(p), s.c}, {u[b].plane(p), n}, 0, m.plane(p), n);
                }
                const Images<real> out{y + b * kPanel, s.out_h, s.out_w, s.o};
                for_rows(device, n_tiles, kPlanes * n, TransformOutput{out, m, tiling, first, beta});
            }
        }
        if (done) done(first_pixel(row), first_pixel(end_row) - first_pixel(row));
    });
}

}  // namespace

bool winograd_fits(const ConvShape& s) {
    return s.kh == kTaps && s.kw == kTaps && s.stride == 1 && s.dilation == 1 && s.padding < kTaps;
}

void winograd_forward(Device device, const ConvShape& s, const real* x, const real* w, real* y, const RowsDone& done) {
    const KernelPanels u(device, s.c, s.o);
    for (int64_t b = 0; b < u.n_panels(); b++) {
        const real* first = w + b * kPanel * s.patch();
        for_rows(device, s.c, kPlanes * u.width(b), TransformKernel{u[b], first, 1, s.patch(), s.c});
    }
    convolve(device, s, x, u, 0, y, done);
}

void winograd_input_grad(Device device, const ConvShape& s, const real* dy, const real* w, real beta, real* dx,
                         const RowsDone& done) {
    const KernelPanels u(device, s.o, s.c);
    for (int64_t b = 0; b < u.n_panels(); b++) {
        const real* last_tap = w + (kTaps * kTaps - 1) * s.c + b * kPanel;  // flipped: read backwards
        for_rows(device, s.o, kPlanes * u.width(b), TransformKernel{u[b], last_tap, s.patch(), 1, -s.c});
    }
    convolve(device, twin(s), dy, u, beta, dx, done);
}

// By the chain rule: du = sum over tiles of (A dy A^T) * (B^T d B), dw = G^T du G. Each plane of du is a sum with one
// owner, to which the tiles are added in order: nothing depends on the threads.
void winograd_weight_grad(Device device, const ConvShape& s, const real* x, const real* dy, real beta, real* dw) {
    const Tiling tiling(s);
    const Images<const real> in{x, s.h, s.w, s.c}, out{dy, s.out_h, s.out_w, s.o};
    const Zeros zeros(device, std::max(s.c, s.o));
    const Scratch sums(device, Planes{nullptr, s.o, s.c}.size());
    const Planes du{sums.data(), s.o, s.c};

    const int64_t n_tiles = s.n * tiling.n_rows * tiling.n_cols;
    const int64_t tile_bytes = kPlanes * (s.c + s.o) * int64_t(sizeof(real));
    const int64_t sums_per_chunk = std::max<int64_t>(kChunkBytes / tile_bytes / kTilesPerSum, 1);
    const int64_t per_chunk = std::min(sums_per_chunk * kTilesPerSum, n_tiles);
    const int64_t v_size = Planes{nullptr, per_chunk, s.c}.size();
    const Scratch room(device, v_size + Planes{nullptr, per_chunk, s.o}.size());

    if (n_tiles == 0) for_each(device, du.size(), Fill0{du.data});
    for (int64_t first = 0; first < n_tiles; first += per_chunk) {
        const int64_t n = std::min(per_chunk, n_tiles - first);
        const Planes v{room.data(), n, s.c}, g{room.data() + v_size, n, s.o};
        for_tasks(device, divide_up(n, kTilesPerBlock), [&](int64_t task) {
            const int64_t i = task * kTilesPerBlock, count = std::min(kTilesPerBlock, n - i);
            for_rows(device, count, kPlanes * s.c,
                     TransformInput{v.from_row(i), in, zeros.data(), tiling, s.padding, first + i});
            for_rows(device, count, kPlanes * s.o,
                     TransformOutputGrad{g.from_row(i), out, zeros.data(), tiling, 0, first + i});
        });
        const int64_t n_panels = divide_up(s.o, kPanel);
        for_tasks(device, kPlanes * n_panels, [&](int64_t task) {
            const int64_t p = task / n_panels, o = task % n_panels * kPanel;
            for (int64_t c = 0; c < s.c; c += kPanel) {
                for (int64_t i = 0; i < n; i += kTilesPerSum) {
                    gemm(device, std::min(kPanel, s.o - o), std::min(kPanel, s.c - c), std::min(kTilesPerSum, n - i), 1,
                         {g.plane(p) + i * s.o + o, s.o, Op::transposed}, {v.plane(p) + i * s.c + c, s.c},
                         first + i > 0 ? 1 : 0, du.plane(p) + o * s.c + c, s.c);
                }
            }
        });
    }
    for_rows(device, s.o, kPlanes * s.c, TransformKernelGrad{dw, du, s, beta});
}

}  // namespace koine
