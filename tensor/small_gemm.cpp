#include "tensor/small_gemm.h"

#include <array>
#include <utility>

namespace koine {
namespace {

// A tile of C is kRows rows of two vectors: its sums fill the registers, but for those of B and one of A.
#if defined(__AVX512F__)
constexpr int kVectorBytes = 64, kRows = 12;
#elif defined(__AVX__)
constexpr int kVectorBytes = 32, kRows = 6;
#else
constexpr int kVectorBytes = 16, kRows = 6;
#endif
constexpr int64_t kLanes = kVectorBytes / sizeof(real), kVectors = 2;
constexpr int64_t kCols = kVectors * kLanes;
// Terms of a sum before C is touched: a strip of B of this depth stays in the first-level cache.
constexpr int64_t kDepth = 256;
// A strip is not copied when all its rows, with what lies between them, take no more than this: it stays in that cache
// where it is.
constexpr int64_t kNear = 24 * 1024 / sizeof(real);

using Vector [[gnu::vector_size(kVectorBytes), gnu::aligned(alignof(real)), gnu::may_alias]] = real;

Vector load(const real* p) { return *reinterpret_cast<const Vector*>(p); }
void store(real* p, Vector v) { *reinterpret_cast<Vector*>(p) = v; }

// Where A[i, p] is: data[i row + p col].
struct Strided {
    const real* data;
    int64_t row, col;
};

// C = alpha A B + beta C for a tile of R rows and kCols columns; the rows of B are b_stride apart.
template <int R>
void tile(int64_t depth, real alpha, Strided a, const real* b, int64_t b_stride, real beta, real* c, int64_t c_stride) {
    UNROLL
    for (int r = 0; r < R; r++) __builtin_prefetch(c + r * c_stride, 1);  // there by the time the sums are
    Vector sum[R][kVectors] = {};
    for (int64_t p = 0; p < depth; p++) {
        const Vector b0 = load(b + p * b_stride), b1 = load(b + p * b_stride + kLanes);
        UNROLL
        for (int r = 0; r < R; r++) {
            const Vector x = a.data[r * a.row + p * a.col] - Vector{};  // the same number in every lane
            sum[r][0] += x * b0;
            sum[r][1] += x * b1;
        }
    }
    UNROLL
    for (int r = 0; r < R; r++) {
        UNROLL
        for (int64_t v = 0; v < kVectors; v++) {
            real* to = c + r * c_stride + v * kLanes;
            const Vector product = alpha * sum[r][v];
            store(to, beta != 0 ? beta * load(to) + product : product);
        }
    }
}

using Tile = decltype(&tile<1>);
template <size_t... R>
constexpr std::array<Tile, sizeof...(R)> tiles(std::index_sequence<R...>) {
    return {tile<int(R) + 1>...};
}
// Tiles of 1 to kRows rows.
constexpr auto kTiles = tiles(std::make_index_sequence<kRows>());

// strip[p, j] = B[p, j] for a strip of n <= kCols columns; the columns beyond are 0.
void copy_strip(int64_t depth, int64_t n, MatrixView b, real* strip) {
    if (b.op == Op::plain && n == kCols) {
        for (int64_t p = 0; p < depth; p++) {
            const real* from = b.data + p * b.stride;
            store(strip + p * kCols, load(from));
            store(strip + p * kCols + kLanes, load(from + kLanes));
        }
        return;
    }
    const int64_t row = b.op == Op::plain ? b.stride : 1, col = b.op == Op::plain ? 1 : b.stride;
    for (int64_t j = 0; j < n; j++)
        for (int64_t p = 0; p < depth; p++) strip[p * kCols + j] = b.data[p * row + j * col];
    for (int64_t j = n; j < kCols; j++)
        for (int64_t p = 0; p < depth; p++) strip[p * kCols + j] = 0;
}

// C = beta C + edge, for what a tile has within C.
void add_edge(int64_t m, int64_t n, const real* edge, real beta, real* c, int64_t c_stride) {
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            real& out = c[i * c_stride + j];
            out = beta != 0 ? beta * out + edge[i * kCols + j] : edge[i * kCols + j];
        }
}

}  // namespace

const int64_t kStripCols = kCols;

// Measured on one core of a Zen 3 with AVX2, in us by OpenBLAS and by small_gemm, A or B transposed where it says so:
//   24 x 64 x 64           3.2, 2.1       96 x 64 x 288   B   46,  44       40 x 40 x 64     B   3.7, 3.8
//   24 x 32 x 32           1.1, 0.6       512 x 256 x 64  B   231, 189      74 x 74 x 64     B   11.6, 10.7
//   64 x 64 x 192    A     20,  18        3000 x 64 x 27  B   250, 150      128 x 128 x 384  B   153, 158
//   128 x 128 x 256        103, 90        128 x 86 x 784  B   279, 298      48 x 600 x 512       377, 343
//   512 x 512 x 64         452, 370       256 x 256 x 256     380, 360      64 x 256 x 1024      389, 401
//   512 x 512 x 64   A     451, 402       256 x 256 x 256  A  380, 389      1024 x 128 x 128 A   423, 475
//   128 x 784 x 512        1180, 1150     512 x 784 x 128  A  1220, 1320    1024 x 1024 x 1024   24000, 30500
// A transposed strip is copied number by number, which takes many rows to pay. Products of up to 2^27 are cut into
// tiles of up to kWork (gemm.cpp).
bool suits_small_gemm(int64_t m, int64_t n, int64_t k, Op op_b) {
    constexpr int64_t kWork = int64_t(1) << 24, kRowsForTransposed = 64, kDepthForTransposed = 300;
    const bool is_copied_fast = op_b == Op::plain || (m >= kRowsForTransposed && k <= kDepthForTransposed);
    return is_copied_fast && n >= kCols && m * n * k <= kWork;
}

void small_gemm(int64_t m, int64_t n, int64_t k, real alpha, MatrixView a, MatrixView b, real beta, real* c,
                int64_t c_stride) {
    alignas(64) real copied[kDepth * kCols], edge[kRows * kCols];
    const int64_t a_row = a.op == Op::plain ? a.stride : 1, a_col = a.op == Op::plain ? 1 : a.stride;
    const int64_t b_row = b.op == Op::plain ? b.stride : 1, b_col = b.op == Op::plain ? 1 : b.stride;
    for (int64_t first = 0; first == 0 || first < k; first += kDepth) {
        const int64_t depth = std::min(kDepth, k - first);
        const real scale = first == 0 ? beta : real(1);
        // Strips of B that are near stay where they are, but for the rest beyond the last whole one. Others are copied,
        // as many as there is room for. Then C row by row: it is written as it lies in memory.
        const bool is_near = b.op == Op::plain && b.stride * depth <= kNear;
        const int64_t block = is_near ? n : kDepth / std::max<int64_t>(depth, 1) * kCols;
        for (int64_t j0 = 0; j0 < n; j0 += block) {
            const int64_t end = std::min(j0 + block, n);
            const auto is_copied = [&](int64_t j) { return !is_near || n - j < kCols; };
            const auto copy = [&](int64_t j) { return is_near ? copied : copied + (j - j0) * depth; };
            for (int64_t j = j0; j < end; j += kCols) {
                const real* from = b.data + first * b_row + j * b_col;
                if (is_copied(j)) copy_strip(depth, std::min(kCols, n - j), {from, b.stride, b.op}, copy(j));
            }
            for (int64_t i = 0; i < m; i += kRows) {
                const int64_t n_rows = std::min<int64_t>(kRows, m - i);
                const Tile tile_of = kTiles[size_t(n_rows - 1)];
                const Strided left{a.data + i * a_row + first * a_col, a_row, a_col};
                for (int64_t j = j0; j < end; j += kCols) {
                    const real* right = is_copied(j) ? copy(j) : b.data + first * b_row + j;
                    const int64_t right_stride = is_copied(j) ? kCols : b.stride;
                    real* to = c + i * c_stride + j;
                    if (n - j >= kCols) {
                        tile_of(depth, alpha, left, right, right_stride, scale, to, c_stride);
                    } else {
                        tile_of(depth, alpha, left, right, right_stride, 0, edge, kCols);
                        add_edge(n_rows, n - j, edge, scale, to, c_stride);
                    }
                }
            }
        }
    }
}

}  // namespace koine
