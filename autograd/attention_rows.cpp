// Attention as row kernels: on a GPU, to launch each product of each head of each text takes longer than the products.
//
// A team has a tile: up to 32 tokens of one text, in one head. In the forward pass these are queries; their scores with
// the keys of the text go to memory, through the softmax, and on to the sum of the values. In the backward pass a team
// of queries finds their weights again, and the gradients of their scores, leaves both in memory and sums up dq. When
// all queries of a block have done that, teams of keys sum over them what is dk and dv. So every destination has one
// owner, and every sum one order.
#include "autograd/attention_rows.h"

#include <algorithm>
#include <limits>

namespace koine {
namespace {

constexpr int64_t kTile = 32;          // tokens
constexpr int64_t kParts = 8;          // lanes that share the softmax of a query
constexpr int64_t kTail = 2 * kParts;  // numbers behind the scores of a query: what these lanes find
// A row of the table of tiles: begin and length of the text, first token of the tile, two halves of Tile::squares.
constexpr int64_t kTileInts = 5;

// A matrix in memory: element (i, j) is p[i row + j col].
struct Elements {
    const real* p;
    int64_t row, col;
    HD Elements transposed() const { return {p, col, row}; }
};

// put(i, j, sum over k < depth of a(i, k) b(k, j)) for i < rows and j < cols. A lane has 4 x kCols of these sums in
// registers, so that a number that is read serves several. Lanes side by side have columns side by side, and read b
// where it lies together; where b is transposed that would be a place far off for each, and they share columns instead.
template <int kCols, class Team, class Put>
HD void products(Team t, int64_t rows, int64_t cols, int64_t depth, Elements a, Elements b, Put put) {
    constexpr int kRows = 4;
    // A lane has rows i, i + row_step, ... In 32 bits, because a GPU is slow at dividing longer ones.
    const int32_t row_step = int32_t((rows + kRows - 1) / kRows), col_step = int32_t((cols + kCols - 1) / kCols);
    const bool rows_first = b.col != 1;
    t.each(int64_t(row_step) * col_step, [=](int64_t place) {
        const int32_t n = int32_t(place);
        const int64_t i = rows_first ? n % row_step : n / col_step, j = rows_first ? n / row_step : n % col_step;
        const real *x[kRows], *y[kCols];  // past the end, the last one once more: read, but not put
        for (int r = 0; r < kRows; r++) {
            const int64_t row = i + int64_t(r) * row_step;
            x[r] = a.p + (row < rows ? row : rows - 1) * a.row;
        }
        for (int c = 0; c < kCols; c++) {
            const int64_t col = j + int64_t(c) * col_step;
            y[c] = b.p + (col < cols ? col : cols - 1) * b.col;
        }
        real sums[kRows][kCols] = {};
        for (int64_t k = 0; k < depth; k++) {
            for (int r = 0; r < kRows; r++) {
                for (int c = 0; c < kCols; c++) sums[r][c] += *x[r] * *y[c];
            }
            for (int r = 0; r < kRows; r++) x[r] += a.col;
            for (int c = 0; c < kCols; c++) y[c] += b.row;
        }
        for (int r = 0; r < kRows; r++) {
            for (int c = 0; c < kCols; c++) {
                const int64_t row = i + int64_t(r) * row_step, col = j + int64_t(c) * col_step;
                if (row < rows && col < cols) put(row, col, sums[r][c]);
            }
        }
    });
}

// What a team has: n tokens of a text, from token `first` of it on, in head h.
struct Tile {
    int64_t row, length;  // of the text: the row of its first token in qkv, L
    int64_t first, n, h;
    int64_t n_queries;  // of the text, in this block
    int64_t squares;    // the sum of L^2 over the texts before
    // From the scores of a query to those of the next.
    HD int64_t width() const { return length + kTail; }
};

// The three kernels run over tiles and heads, and know one block of queries.
struct BlockKernel {
    const real* qkv;
    const int32_t* tiles;               // from the first that this kernel has
    int64_t n_features, n_heads, size;  // D, and D / n_heads
    real scale;
    bool drops;
    DropoutMask mask;
    int64_t first_query, end_query, offset;  // as in AttentionRows::Block
    real *weights, *dscores;                 // p and ds; the forward pass has no ds
    real* stats;                             // for each query: shift, 1 / sum of exponentials

    HD Tile tile(int64_t i) const {
        const int32_t* t = tiles + i / n_heads * kTileInts;
        const int64_t length = t[1], first = t[2], rest = length - first;
        const int64_t n_queries = (length < end_query ? length : end_query) - first_query;
        const int64_t squares = int64_t(t[4]) * (int64_t(1) << 32) + uint32_t(t[3]);
        return {t[0], length, first, rest < kTile ? rest : kTile, i % n_heads, n_queries, squares};
    }
    // Where in weights and dscores those of a query are, and in stats its softmax.
    HD int64_t scores(const Tile& t, int64_t query) const {
        const int64_t text = (t.squares + kTail * t.row - offset) * n_heads;
        return text + (t.h * t.n_queries + query - first_query) * t.width();
    }
    HD real* softmax(const Tile& t) const { return stats + 2 * (t.row * n_heads + t.h * t.length + t.first); }
    // Its element 0 is that of the tile's first query and key 0.
    HD DropoutMask mask_of(const Tile& t) const {
        DropoutMask m = mask;
        m.first += t.squares * n_heads + (t.h * t.length + t.first) * t.length;
        return m;
    }
    // Where in qkv the q, k or v (part 0, 1, 2) of a token of the text is.
    HD int64_t place(const Tile& t, int64_t part, int64_t token) const {
        return ((t.row + token) * 3 + part) * n_features + t.h * size;
    }
    HD Elements rows_of(const Tile& t, int64_t part, int64_t token) const {
        return {qkv + place(t, part, token), 3 * n_features, 1};
    }
    // The same of a table [T, D].
    HD Elements rows_of(const real* y, const Tile& t, int64_t token) const {
        return {y + (t.row + token) * n_features + t.h * size, n_features, 1};
    }
};

HD real dropped(real p, real factor) { return factor == 0 ? real(0) : p * factor; }

// p = exp(scores - shift), y = p v / the sum of p.
struct ForwardTile : BlockKernel {
    real* y;

    template <class Team>
    HD void operator()(Team t, int64_t i) const {
        const Tile tile = this->tile(i);
        const int64_t length = tile.length, width = tile.width(), y_stride = n_features;
        const real factor = scale;
        real *const p = weights + scores(tile, tile.first), *const largest = p + length, *const sums = largest + kParts;
        real *const stat = softmax(tile), *const out = y + (tile.row + tile.first) * y_stride + tile.h * size;
        products<4>(t, tile.n, length, size, rows_of(tile, 0, tile.first), rows_of(tile, 1, 0).transposed(),
                    [=](int64_t q, int64_t k, real v) { p[q * width + k] = v; });
        // Each query's softmax by kParts lanes, which have every kParts-th key.
        t.each(tile.n * kParts, [=](int64_t place) {
            const int64_t q = place / kParts, part = place % kParts;
            real m = -std::numeric_limits<real>::infinity();
            for (int64_t k = part; k < length; k += kParts) m = m > p[q * width + k] ? m : p[q * width + k];
            largest[q * width + part] = m;
        });
        t.each(tile.n, [=](int64_t q) { stat[2 * q] = softmax_shift(CpuTeam(), largest + q * width, kParts); });
        const bool does_drop = drops;
        const DropoutMask own = mask_of(tile);
        t.each(tile.n * kParts, [=](int64_t place) {
            const int64_t q = place / kParts, part = place % kParts;
            real sum = 0;
            for (int64_t k = part; k < length; k += kParts) {
                const real e = math::exp((p[q * width + k] - stat[2 * q]) * factor);
                sum += e;
                p[q * width + k] = does_drop ? dropped(e, own.factor(q * length + k)) : e;
            }
            sums[q * width + part] = sum;
        });
        t.each(tile.n, [=](int64_t q) {
            real sum = 0;
            for (int64_t part = 0; part < kParts; part++) sum += sums[q * width + part];
            stat[2 * q + 1] = sum == 0 ? real(0) : 1 / sum;
        });
        products<2>(t, tile.n, size, length, {p, width, 1}, rows_of(tile, 2, 0),
                    [=](int64_t q, int64_t c, real v) { out[q * y_stride + c] = v * stat[2 * q + 1]; });
    }
};

// p again; ds = p (dp - dy . y) with dp = dy v^T, where dy . y is p . dp; dq = ds k scale.
struct BackwardQueries : BlockKernel {
    const real *y, *dy;
    GradSlot dx;

    template <class Team>
    HD void operator()(Team t, int64_t i) const {
        const Tile tile = this->tile(i);
        const int64_t length = tile.length, width = tile.width(), stride = 3 * n_features, n_columns = size;
        const real factor = scale;
        const int64_t at = scores(tile, tile.first);
        real *const p = weights + at, *const ds = dscores + at, *const means = ds + length;
        const real* const stat = softmax(tile);
        const Elements out = rows_of(y, tile, tile.first), dout = rows_of(dy, tile, tile.first);
        t.each(tile.n, [=](int64_t q) {
            real mean = 0;
            for (int64_t c = 0; c < n_columns; c++) mean += dout.p[q * dout.row + c] * out.p[q * out.row + c];
            means[q * width] = mean;
        });
        products<4>(t, tile.n, length, size, rows_of(tile, 0, tile.first), rows_of(tile, 1, 0).transposed(),
                    [=](int64_t q, int64_t k, real v) {
                        p[q * width + k] = math::exp((v - stat[2 * q]) * factor) * stat[2 * q + 1];
                    });
        const bool does_drop = drops;
        const DropoutMask own = mask_of(tile);
        products<4>(t, tile.n, length, size, dout, rows_of(tile, 2, 0).transposed(),
                    [=](int64_t q, int64_t k, real dp) {
                        const real kept = does_drop ? own.factor(q * length + k) : real(1), w = p[q * width + k];
                        ds[q * width + k] = w * (dp * kept - means[q * width]);
                        p[q * width + k] = dropped(w, kept);
                    });
        const GradSlot dq = dx.at(place(tile, 0, tile.first));
        products<2>(t, tile.n, size, length, {ds, width, 1}, rows_of(tile, 1, 0),
                    [=](int64_t q, int64_t c, real v) { dq.put(q * stride + c, v * factor); });
    }
};

// dv = p^T dy, dk = ds^T q scale, over the block's queries of the text.
struct BackwardKeys : BlockKernel {
    const real* dy;
    GradSlot dx;

    template <class Team>
    HD void operator()(Team t, int64_t i) const {
        const Tile tile = this->tile(i);
        const int64_t width = tile.width(), stride = 3 * n_features, at = scores(tile, first_query) + tile.first;
        const real factor = scale;
        const GradSlot all{dx.p, first_query > 0 ? real(1) : dx.beta};  // later blocks of queries add
        const GradSlot dk = all.at(place(tile, 1, tile.first)), dv = all.at(place(tile, 2, tile.first));
        products<2>(t, tile.n, size, tile.n_queries, {weights + at, 1, width}, rows_of(dy, tile, first_query),
                    [=](int64_t k, int64_t c, real v) { dv.put(k * stride + c, v); });
        products<2>(t, tile.n, size, tile.n_queries, {dscores + at, 1, width}, rows_of(tile, 0, first_query),
                    [=](int64_t k, int64_t c, real v) { dk.put(k * stride + c, v * factor); });
    }
};

// f over the heads of n tiles. The work of a team is counted in scores, not in products: it is to have as many lanes as
// it can keep busy, and a lane computes several scores at once.
template <class Kernel>
void run(const AttentionRows& a, const AttentionRows::Block& block, int64_t tile, int64_t n_tiles, Kernel f) {
    f.tiles += tile * kTileInts;
    const int64_t rows = n_tiles * a.n_heads;
    for_rows(a.qkv.device(), rows, block.n_scores / rows, f);
}

BlockKernel kernel(const AttentionRows& a, const AttentionRows::Block& block, real* weights, real* dscores,
                   const Tensor& stats) {
    const int64_t n_features = a.qkv.shape[1] / 3, size = n_features / a.n_heads;
    return {.qkv = a.qkv.data(),
            .tiles = a.tiles.data(),
            .n_features = n_features,
            .n_heads = a.n_heads,
            .size = size,
            .scale = 1 / math::sqrt(real(size)),
            .drops = a.drops,
            .mask = a.mask,
            .first_query = block.first_query,
            .end_query = block.end_query,
            .offset = block.offset,
            .weights = weights,
            .dscores = dscores,
            .stats = stats.data()};
}

}  // namespace

AttentionRows::AttentionRows(const Tensor& qkv_, const std::vector<int64_t>& starts, int64_t n_heads_, bool drops_,
                             DropoutMask mask_, int64_t max_scores)
    : qkv(qkv_), n_heads(n_heads_), drops(drops_), mask(mask_) {
    constexpr int64_t kAll = std::numeric_limits<int64_t>::max();
    std::vector<int32_t> table;
    int64_t squares = 0;
    for (size_t n = 0; n + 1 < starts.size(); n++) {
        const int64_t row = starts[n], length = starts[n + 1] - row, offset = squares + kTail * row;
        if (length == 0) continue;
        const int64_t tile = int64_t(table.size()) / kTileInts, n_tiles = (length + kTile - 1) / kTile;
        for (int64_t first = 0; first < length; first += kTile) {
            for (const int64_t v : {row, length, first, squares, squares >> 32}) table.push_back(int32_t(v));
        }
        squares += length * length;
        const int64_t query_scores = n_heads * (length + kTail), text_scores = length * query_scores;
        if (text_scores > max_scores) {
            const int64_t step = std::max<int64_t>(max_scores / (query_scores * kTile), 1);
            for (int64_t first = 0; first < n_tiles; first += step) {
                const int64_t query = first * kTile, end = std::min(query + step * kTile, length);
                blocks.push_back({tile, n_tiles, tile + first, std::min(step, n_tiles - first), query, end, offset,
                                  (end - query) * query_scores});
            }
            continue;
        }
        if (blocks.empty() || blocks.back().end_query != kAll || blocks.back().n_scores + text_scores > max_scores)
            blocks.push_back({tile, 0, tile, 0, 0, kAll, offset, 0});
        blocks.back().n_tiles += n_tiles;
        blocks.back().n_query_tiles += n_tiles;
        blocks.back().n_scores += text_scores;
    }
    for (const Block& block : blocks) n_scores = std::max(n_scores, block.n_scores);
    tiles = Indices(table, Shape{int64_t(table.size()) / kTileInts, kTileInts}, qkv.device());
}

void AttentionRows::forward(const Tensor& y, const Tensor& stats) const {
    const Tensor scores = Tensor::empty({n_scores}, qkv.device());
    for (const Block& block : blocks) {
        const BlockKernel common = kernel(*this, block, scores.data(), nullptr, stats);
        run(*this, block, block.query_tile, block.n_query_tiles, ForwardTile{common, y.data()});
    }
}

void AttentionRows::backward(const Tensor& y, const Tensor& stats, const Tensor& dy, GradSlot dx) const {
    const Tensor scores = Tensor::empty({2, n_scores}, qkv.device());
    for (const Block& block : blocks) {
        const BlockKernel common = kernel(*this, block, scores.data(), scores.data() + n_scores, stats);
        run(*this, block, block.query_tile, block.n_query_tiles, BackwardQueries{common, y.data(), dy.data(), dx});
        run(*this, block, block.tile, block.n_tiles, BackwardKeys{common, dy.data(), dx});
    }
}

}  // namespace koine
