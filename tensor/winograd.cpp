#include "tensor/winograd.h"

#include <bit>

#include "tensor/conv_algorithms.h"
#include "tensor/small_gemm.h"

namespace koine {
namespace {

constexpr int kOut = 4;  // pixels that a tile writes, along one axis

// Tiles of one block: their planes stay in the second-level cache (0.4 MB for 64 channels).
constexpr int64_t kTilesPerBlock = 24;
// Tiles added to the sums of the weight gradient by one product, and bytes of tiles that are transformed before they
// are added: they stay in the third-level cache, and the threads wait for each other only once in a while.
constexpr int64_t kTilesPerSum = 192, kChunkBytes = 8 << 20;
// Output channels that are made at a time, and channels of one product of the weight gradient.
constexpr int64_t kOutputs = 64;
// Numbers of one plane of a panel of the kernel: half of the first-level cache.
constexpr int64_t kPanelSize = 16 * 1024 / sizeof(real);

// ---- the matrices, each as a function: out = matrix in ---------------------------------------------------------------
// Kernels are multiplied by whole numbers, and divided once at the end.

// F(4 x 4, 3 x 3), section 4.3 of the paper.
struct Taps3 {
    static constexpr int kTaps = 3, kIn = kOut + kTaps - 1, kPlanes = kIn * kIn;

    struct Input {  // B^T, for the pixels that are read
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
    struct Kernel {  // 24 G
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
    struct Output {  // A^T, for the pixels that are written
        static constexpr int kRows = 4, kCols = 6, kDivisor = 1;
        HD static void multiply(const real (&in)[6], real (&out)[4]) {
            out[0] = in[0] + in[1] + in[2] + in[3] + in[4];
            out[1] = in[1] - in[2] + 2 * in[3] - 2 * in[4];
            out[2] = in[1] + in[2] + 4 * in[3] + 4 * in[4];
            out[3] = in[1] - in[2] + 8 * in[3] - 8 * in[4] + in[5];
        }
    };
    struct OutputGrad {  // A
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
    struct KernelGrad {  // 24 G^T
        static constexpr int kRows = 3, kCols = 6, kDivisor = 24 * 24;
        HD static void multiply(const real (&in)[6], real (&out)[3]) {
            out[0] = 6 * in[0] - 4 * in[1] - 4 * in[2] + in[3] + in[4];
            out[1] = -4 * in[1] + 4 * in[2] + 2 * in[3] - 2 * in[4];
            out[2] = -4 * in[1] - 4 * in[2] + 4 * in[3] + 4 * in[4] + 24 * in[5];
        }
    };
};

// F(4 x 4, 2 x 2), by the same construction (Toom and Cook) from the points 0, 1, -1, 2 and infinity.
struct Taps2 {
    static constexpr int kTaps = 2, kIn = kOut + kTaps - 1, kPlanes = kIn * kIn;

    struct Input {
        static constexpr int kRows = 5, kCols = 5, kDivisor = 1;
        HD static void multiply(const real (&in)[5], real (&out)[5]) {
            out[0] = 2 * in[0] - in[1] - 2 * in[2] + in[3];
            out[1] = -2 * in[1] - in[2] + in[3];
            out[2] = 2 * in[1] - 3 * in[2] + in[3];
            out[3] = -in[1] + in[3];
            out[4] = 2 * in[1] - in[2] - 2 * in[3] + in[4];
        }
    };
    struct Kernel {  // 6 G
        static constexpr int kRows = 5, kCols = 2, kDivisor = 6 * 6;
        HD static void multiply(const real (&in)[2], real (&out)[5]) {
            out[0] = 3 * in[0];
            out[1] = -3 * in[0] - 3 * in[1];
            out[2] = -in[0] + in[1];
            out[3] = in[0] + 2 * in[1];
            out[4] = 6 * in[1];
        }
    };
    struct Output {
        static constexpr int kRows = 4, kCols = 5, kDivisor = 1;
        HD static void multiply(const real (&in)[5], real (&out)[4]) {
            out[0] = in[0] + in[1] + in[2] + in[3];
            out[1] = in[1] - in[2] + 2 * in[3];
            out[2] = in[1] + in[2] + 4 * in[3];
            out[3] = in[1] - in[2] + 8 * in[3] + in[4];
        }
    };
    struct OutputGrad {
        static constexpr int kRows = 5, kCols = 4, kDivisor = 1;
        HD static void multiply(const real (&in)[4], real (&out)[5]) {
            out[0] = in[0];
            out[1] = in[0] + in[1] + in[2] + in[3];
            out[2] = in[0] - in[1] + in[2] - in[3];
            out[3] = in[0] + 2 * in[1] + 4 * in[2] + 8 * in[3];
            out[4] = in[3];
        }
    };
    struct KernelGrad {  // 6 G^T
        static constexpr int kRows = 2, kCols = 5, kDivisor = 6 * 6;
        HD static void multiply(const real (&in)[5], real (&out)[2]) {
            out[0] = 3 * in[0] - 3 * in[1] - in[2] + in[3];
            out[1] = -3 * in[1] + in[2] + 2 * in[3] + 6 * in[4];
        }
    };
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

struct Corner {
    int64_t image, top, left;  // the first cell of a tile
};

// How cells are cut: row by row, image by image.
struct Tiling {
    Tiling(int64_t h, int64_t w) : n_rows(divide_up(h, kOut)), n_cols(divide_up(w, kOut)) {}
    HD Corner corner(int64_t tile) const {
        return {tile / (n_rows * n_cols), tile / n_cols % n_rows * kOut, tile % n_cols * kOut};
    }

    int64_t n_rows, n_cols;  // tiles of one image
};

// Images [*, h, w, c] as cells of size x size pixels: cell (i, j) begins at pixel (i size - origin, j size - origin),
// and its channels are the c of its first pixel, then those of the next. What lies outside the image is `outside`.
template <class Real>
struct Cells {
    HD int64_t n_parts() const { return size * size; }
    HD int64_t n_channels() const { return n_parts() * c; }
    /// Cells that cover `extent` pixels.
    int64_t count(int64_t extent) const { return divide_up(extent + origin, size); }

    /// Where channel 0 of part q is in the k x k cells below and to the right of a corner.
    template <int k>
    HD void find(Corner corner, int64_t q, Real* outside, Real* (&pixels)[k * k]) const {
        for (int64_t i = 0; i < k; i++)
            for (int64_t j = 0; j < k; j++) {
                const int64_t row = (corner.top + i) * size + q / size - origin,
                              col = (corner.left + j) * size + q % size - origin;
                const bool is_inside = row >= 0 && row < h && col >= 0 && col < w;
                pixels[i * k + j] = is_inside ? data + ((corner.image * h + row) * w + col) * c : outside;
            }
    }

    Real* data;
    int64_t h, w, c;
    int64_t size, origin;
};

// Matrices [n_rows, n_cols], one for each element of a transformed tile, a little more than their size apart: sizes
// that are powers of two would meet in a few lines of the cache.
template <class F>
struct Planes {
    static constexpr int64_t kGap = 64 / sizeof(real);

    HD int64_t stride() const { return n_rows * n_cols + kGap; }
    HD int64_t size() const { return F::kPlanes * stride(); }
    HD real* plane(int64_t p) const { return data + p * stride(); }
    Planes from_row(int64_t row) const { return {data + row * n_cols, n_rows, n_cols}; }
    template <class Pointer>
    HD void find(int64_t row, int64_t col, Pointer (&planes)[F::kPlanes]) const {
        for (int64_t p = 0; p < F::kPlanes; p++) planes[p] = plane(p) + row * n_cols + col;
    }

    real* data;
    int64_t n_rows, n_cols;
};

// v[p, i, c] = (B^T d B)[p] for tile first + i, where d is what it reads; or (A dy A^T)[p].
template <class F, class M>
struct TransformCells {
    Planes<F> v;
    Cells<const real> x;
    const real* zeros;
    Tiling tiling;
    int64_t first;
    template <class Team>
    HD void operator()(Team t, int64_t i) const {
        for (int64_t q = 0; q < x.n_parts(); q++) {
            const real* pixels[M::kCols * M::kCols];
            x.template find<M::kCols>(tiling.corner(first + i), q, zeros, pixels);
            real* planes[F::kPlanes];
            v.find(i, q * x.c, planes);
            transform<M>(t, x.c, pixels, 1, 0, planes);
        }
    }
};

// y = beta y + A^T m[p, i, :] A for tile first + i, in as many channels as m has, from first_channel on.
template <class F>
struct TransformOutput {
    Cells<real> y;
    Planes<F> m;
    Tiling tiling;
    int64_t first, first_channel;
    real beta;
    template <class Team>
    HD void operator()(Team t, int64_t i) const {
        int64_t n = 0;
        for (int64_t k = 0; k < m.n_cols; k += n) {
            const int64_t q = (first_channel + k) / y.c, c = (first_channel + k) % y.c;
            n = y.c - c < m.n_cols - k ? y.c - c : m.n_cols - k;
            const real* planes[F::kPlanes];
            m.find(i, k, planes);
            // What lies beyond the edge is written to where it came from: nobody reads that again.
            real* nowhere = m.plane(0) + i * m.n_cols + k - c;
            real* pixels[kOut * kOut];
            y.template find<kOut>(tiling.corner(first + i), q, nowhere, pixels);
            for (auto& pixel : pixels) pixel += c;
            transform<typename F::Output>(t, n, planes, 1, beta, pixels);
        }
    }
};

// The kernel w[o, kh, kw, c] on cells: tap (i, j) of part q of a cell.
struct CellKernel {
    HD int64_t offset(int64_t q, int64_t i, int64_t j) const {
        return ((i * s.stride + q / s.stride) * s.kw + j * s.stride + q % s.stride) * s.c;
    }

    ConvShape s;
};

// The transformed kernel of a convolution from n_in to n_out channels: u[p, i, j] = (G g G^T)[p] for input i and output
// j. In panels of `cols` outputs that a product finds in the first-level cache: panel b holds outputs b cols and on.
template <class F>
struct KernelPanels {
    KernelPanels(Device device, int64_t in, int64_t out)
        : n_in(in),
          n_out(out),
          cols(std::clamp(int64_t(std::bit_floor(uint64_t(kPanelSize / std::max<int64_t>(in, 1)))), kStripCols,
                          kOutputs)),
          room(device, n_panels() * Planes<F>{nullptr, in, cols}.size()) {}

    int64_t n_panels() const { return divide_up(n_out, cols); }
    Planes<F> operator[](int64_t panel) const {
        return {room.data() + panel * Planes<F>{nullptr, n_in, cols}.size(), n_in,
                std::min(cols, n_out - panel * cols)};
    }

    int64_t n_in, n_out, cols;
    Scratch room;
};

// Row i of a panel that begins with output channel `first`: from channel i of a cell to the channels o of w.
template <class F>
struct TransformKernel {
    Planes<F> u;
    const real* w;
    CellKernel kernel;
    int64_t first;
    template <class Team>
    HD void operator()(Team t, int64_t i) const {
        const ConvShape& s = kernel.s;
        const real* taps[F::kTaps * F::kTaps];
        for (int k = 0; k < F::kTaps * F::kTaps; k++)
            taps[k] = w + first * s.patch() + i % s.c + kernel.offset(i / s.c, k / F::kTaps, k % F::kTaps);
        real* planes[F::kPlanes];
        u.find(i, 0, planes);
        transform<typename F::Kernel>(t, u.n_cols, taps, s.patch(), 0, planes);
    }
};

// Row o of a panel that begins with channel `first` of a cell: from channel o of w to the channels of a cell, flipped.
template <class F>
struct TransformFlippedKernel {
    Planes<F> u;
    const real* w;
    CellKernel kernel;
    int64_t first;
    template <class Team>
    HD void operator()(Team t, int64_t o) const {
        const ConvShape& s = kernel.s;
        int64_t n = 0;
        for (int64_t k = 0; k < u.n_cols; k += n) {
            const int64_t q = (first + k) / s.c, c = (first + k) % s.c;
            n = s.c - c < u.n_cols - k ? s.c - c : u.n_cols - k;
            const real* taps[F::kTaps * F::kTaps];
            for (int i = 0; i < F::kTaps * F::kTaps; i++)
                taps[i] =
                    w + o * s.patch() + c + kernel.offset(q, F::kTaps - 1 - i / F::kTaps, F::kTaps - 1 - i % F::kTaps);
            real* planes[F::kPlanes];
            u.find(o, k, planes);
            transform<typename F::Kernel>(t, n, taps, 1, 0, planes);
        }
    }
};

// dw[o, :, c] = beta dw + G^T du[p, o, c] G, row o.
template <class F>
struct TransformKernelGrad {
    real* dw;
    Planes<F> du;
    CellKernel kernel;
    real beta;
    template <class Team>
    HD void operator()(Team t, int64_t o) const {
        const ConvShape& s = kernel.s;
        for (int64_t q = 0; q < s.stride * s.stride; q++) {
            const real* planes[F::kPlanes];
            du.find(o, q * s.c, planes);
            real* taps[F::kTaps * F::kTaps];
            for (int k = 0; k < F::kTaps * F::kTaps; k++)
                taps[k] = dw + o * s.patch() + kernel.offset(q, k / F::kTaps, k % F::kTaps);
            transform<typename F::KernelGrad>(t, s.c, planes, 1, beta, taps);
        }
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

// y = beta y + conv(x, the kernel behind u), for n images.
template <class F>
void convolve(Device device, int64_t n, const Cells<const real>& x, const KernelPanels<F>& u, real beta,
              const Cells<real>& y, const RowsDone& done) {
    const Tiling tiling(y.count(y.h), y.count(y.w));
    // A task is a few rows of tiles: whole rows of pixels, of which `done` can be told.
    const int64_t n_rows = n * tiling.n_rows, rows_per_task = std::max<int64_t>(kTilesPerBlock / tiling.n_cols, 1);
    const auto first_pixel = [&](int64_t row) {
        const int64_t top = row % tiling.n_rows * kOut * y.size - y.origin;
        return (row / tiling.n_rows * y.h + std::max<int64_t>(top, 0)) * y.w;
    };
    const Zeros zeros(device, x.c);
    const int64_t v_size = Planes<F>{nullptr, kTilesPerBlock, u.n_in}.size();
    const ThreadScratch scratch(device, v_size + Planes<F>{nullptr, kTilesPerBlock, kOutputs}.size());

    for_tasks(device, divide_up(n_rows, rows_per_task), [&](int64_t task) {
        const int64_t row = task * rows_per_task, end_row = std::min(row + rows_per_task, n_rows);
        const int64_t end = end_row * tiling.n_cols;
        for (int64_t first = row * tiling.n_cols; first < end; first += kTilesPerBlock) {
            const int64_t n_tiles = std::min(kTilesPerBlock, end - first);
            const Planes<F> v{scratch.mine(), n_tiles, u.n_in};
            for_rows(device, n_tiles, F::kPlanes * u.n_in,
                     TransformCells<F, typename F::Input>{v, x, zeros.data(), tiling, first});
            for (int64_t o = 0; o < u.n_out; o += kOutputs) {
                const Planes<F> m{scratch.mine() + v_size, n_tiles, std::min(kOutputs, u.n_out - o)};
                for (int64_t p = 0; p < F::kPlanes; p++) {
                    for (int64_t j = 0; j < m.n_cols; j += u.cols) {
                        const Planes<F> panel = u[(o + j) / u.cols];
                        gemm(device, n_tiles, panel.n_cols, u.n_in, 1, {v.plane(p), u.n_in},
                             {panel.plane(p), panel.n_cols}, 0, m.plane(p) + j, m.n_cols);
                    }
                }
                for_rows(device, n_tiles, F::kPlanes * m.n_cols, TransformOutput<F>{y, m, tiling, first, o, beta});
            }
        }
        if (done) done(first_pixel(row), first_pixel(end_row) - first_pixel(row));
    });
}

// x and y of a convolution, as the cells that its kernel takes steps of.
Cells<const real> input_cells(const ConvShape& s, const real* x) { return {x, s.h, s.w, s.c, s.stride, s.padding}; }

template <class F>
void forward(Device device, const ConvShape& s, const real* x, const real* w, real* y, const RowsDone& done) {
    const Cells<const real> in = input_cells(s, x);
    const KernelPanels<F> u(device, in.n_channels(), s.o);
    for (int64_t b = 0; b < u.n_panels(); b++)
        for_rows(device, u.n_in, F::kPlanes * u.cols, TransformKernel<F>{u[b], w, {s}, b * u.cols});
    convolve(device, s.n, in, u, 0, Cells<real>{y, s.out_h, s.out_w, s.o, 1, 0}, done);
}

template <class F>
void input_grad(Device device, const ConvShape& s, const real* dy, const real* w, real beta, real* dx,
                const RowsDone& done) {
    // Cells that lie in the padding altogether are not asked for: the first one is that of pixel 0.
    const Cells<real> out{dx, s.h, s.w, s.c, s.stride, s.padding % s.stride};
    const KernelPanels<F> u(device, s.o, out.n_channels());
    for (int64_t b = 0; b < u.n_panels(); b++)
        for_rows(device, s.o, F::kPlanes * u.cols, TransformFlippedKernel<F>{u[b], w, {s}, b * u.cols});
    convolve(device, s.n, Cells<const real>{dy, s.out_h, s.out_w, s.o, 1, F::kTaps - 1 - s.padding / s.stride}, u, beta,
             out, done);
}

// By the chain rule: du = sum over tiles of (A dy A^T) * (B^T d B), dw = G^T du G. Each plane of du is a sum with one
// owner, to which the tiles are added in order: nothing depends on the threads.
template <class F>
void weight_grad(Device device, const ConvShape& s, const real* x, const real* dy, real beta, real* dw) {
    const Tiling tiling(s.out_h, s.out_w);
    const Cells<const real> in = input_cells(s, x), out{dy, s.out_h, s.out_w, s.o, 1, 0};
    const int64_t n_in = in.n_channels();
    const Zeros zeros(device, std::max(s.c, s.o));
    const Scratch sums(device, Planes<F>{nullptr, s.o, n_in}.size());
    const Planes<F> du{sums.data(), s.o, n_in};

    const int64_t n_tiles = s.n * tiling.n_rows * tiling.n_cols;
    const int64_t tile_bytes = F::kPlanes * (n_in + s.o) * int64_t(sizeof(real));
    const int64_t sums_per_chunk = std::max<int64_t>(kChunkBytes / tile_bytes / kTilesPerSum, 1);
    const int64_t per_chunk = std::min(sums_per_chunk * kTilesPerSum, n_tiles);
    const int64_t v_size = Planes<F>{nullptr, per_chunk, n_in}.size();
    const Scratch room(device, v_size + Planes<F>{nullptr, per_chunk, s.o}.size());

    if (n_tiles == 0) for_each(device, du.size(), Fill0{du.data});
    for (int64_t first = 0; first < n_tiles; first += per_chunk) {
        const int64_t n = std::min(per_chunk, n_tiles - first);
        const Planes<F> v{room.data(), n, n_in}, g{room.data() + v_size, n, s.o};
        for_tasks(device, divide_up(n, kTilesPerBlock), [&](int64_t task) {
            const int64_t i = task * kTilesPerBlock, count = std::min(kTilesPerBlock, n - i);
            for_rows(device, count, F::kPlanes * n_in,
                     TransformCells<F, typename F::Input>{v.from_row(i), in, zeros.data(), tiling, first + i});
            for_rows(device, count, F::kPlanes * s.o,
                     TransformCells<F, typename F::OutputGrad>{g.from_row(i), out, zeros.data(), tiling, first + i});
        });
        const int64_t n_panels = divide_up(s.o, kOutputs);
        for_tasks(device, F::kPlanes * n_panels, [&](int64_t task) {
            const int64_t p = task / n_panels, o = task % n_panels * kOutputs;
            for (int64_t c = 0; c < n_in; c += kOutputs) {
                for (int64_t i = 0; i < n; i += kTilesPerSum) {
                    gemm(device, std::min(kOutputs, s.o - o), std::min(kOutputs, n_in - c),
                         std::min(kTilesPerSum, n - i), 1, {g.plane(p) + i * s.o + o, s.o, Op::transposed},
                         {v.plane(p) + i * n_in + c, n_in}, first + i > 0 ? 1 : 0, du.plane(p) + o * n_in + c, n_in);
                }
            }
        });
    }
    for_rows(device, s.o, F::kPlanes * n_in, TransformKernelGrad<F>{dw, du, {s}, beta});
}

// f with the matrices for s.
template <class Function>
void with_taps(const ConvShape& s, Function f) {
    if (s.kh == s.stride * Taps3::kTaps) return f(Taps3{});
    f(Taps2{});
}

}  // namespace

bool winograd_fits(const ConvShape& s) {
    const bool is_known = (s.kh == 3 && s.stride == 1) || (s.kh == 4 && s.stride == 2);
    return is_known && s.kw == s.kh && s.dilation == 1 && s.padding < s.kh;
}

void winograd_forward(Device device, const ConvShape& s, const real* x, const real* w, real* y, const RowsDone& done) {
    with_taps(s, [&](auto taps) { forward<decltype(taps)>(device, s, x, w, y, done); });
}

void winograd_input_grad(Device device, const ConvShape& s, const real* dy, const real* w, real beta, real* dx,
                         const RowsDone& done) {
    with_taps(s, [&](auto taps) { input_grad<decltype(taps)>(device, s, dy, w, beta, dx, done); });
}

void winograd_weight_grad(Device device, const ConvShape& s, const real* x, const real* dy, real beta, real* dw) {
    with_taps(s, [&](auto taps) { weight_grad<decltype(taps)>(device, s, x, dy, beta, dw); });
}

}  // namespace koine
