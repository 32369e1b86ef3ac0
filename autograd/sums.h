// Sums of rows and of columns of a table: the two patterns below every reduction, bias gradient and batch statistic.
// Both cut the work by shape and add partial sums in a fixed order, so they give the same bytes for any thread count.
#pragma once
#include "autograd/var.h"

namespace koine {

/// Rows of a table that are added up before partial sums are kept: few enough to spread over threads, to keep float
/// sums accurate and to be still in the cache for a second look; enough that adding the partial sums is cheap.
inline constexpr int64_t kColumnChunk = 128;
HD inline int64_t chunks_of(int64_t rows) { return (rows + kColumnChunk - 1) / kColumnChunk; }
/// kColumnChunk, but for the last chunk.
HD inline int64_t rows_of_chunk(int64_t chunk, int64_t rows) {
    const int64_t rest = rows - chunk * kColumnChunk;
    return rest < kColumnChunk ? rest : kColumnChunk;
}

/// Rows that are added up in registers before a sum in memory is touched.
inline constexpr int64_t kRowBlock = 8;

/// out[v][c] = sum of f(r, c, acc) over the rows begin <= r < end. Lanes own columns.
template <int V, class Team, class F>
HD void sum_rows(Team t, int64_t begin, int64_t end, int64_t cols, F f, real* out) {
    t.each(V * cols, [=](int64_t i) { out[i] = 0; });
    int64_t row = begin;
    for (; row + kRowBlock <= end; row += kRowBlock) {
        t.each(cols, [=](int64_t c) {
            real acc[V] = {};
            UNROLL
            for (int64_t r = 0; r < kRowBlock; r++) f(row + r, c, acc);
            for (int v = 0; v < V; v++) out[v * cols + c] += acc[v];
        });
    }
    for (; row < end; row++) {
        t.each(cols, [=](int64_t c) {
            real acc[V] = {};
            f(row, c, acc);
            for (int v = 0; v < V; v++) out[v * cols + c] += acc[v];
        });
    }
}

// Partial sums of chunk `chunk`: part[chunk][v][c].
template <int V, class F>
struct ColumnPartials {
    real* part;
    int64_t rows, cols;
    F f;
    template <class Team>
    HD void operator()(Team t, int64_t chunk) const {
        const int64_t begin = chunk * kColumnChunk;
        sum_rows<V>(t, begin, begin + rows_of_chunk(chunk, rows), cols, f, part + chunk * V * cols);
    }
};
template <class Put>
struct ColumnTotals {
    const real* part;
    int64_t n_chunks, n;  // n = V cols
    Put put;
    HD void operator()(int64_t i) const {
        real s = 0;
        for (int64_t chunk = 0; chunk < n_chunks; chunk++) s += part[chunk * n + i];
        put(i, s);
    }
};

/// For each column c of a table [rows, cols]: V sums over its rows, f(r, c, acc) adding the terms of row r to acc[V].
/// The v-th sum of column c is handed to put(v cols + c, sum). `cost` is the work of one f.
template <int V, class F, class Put>
void column_sums(Device device, int64_t rows, int64_t cols, F f, Put put, int64_t cost = 2) {
    const int64_t n_chunks = chunks_of(rows);
    const Tensor part = Tensor::empty({n_chunks, V, cols}, device);
    for_rows(device, n_chunks, kColumnChunk * cols * cost, ColumnPartials<V, F>{part.data(), rows, cols, f});
    for_each(device, V * cols, ColumnTotals<Put>{part.data(), n_chunks, V * cols, put}, n_chunks);
}

/// out.put(row, sum of x[row, 0..cols)) for a contiguous x[rows, cols].
void row_sums(Device device, const real* x, int64_t rows, int64_t cols, GradSlot out);

/// out.put(c, sum over rows of x[row, c]) for a contiguous x[rows, cols].
void column_sums(Device device, const real* x, int64_t rows, int64_t cols, GradSlot out);

}  // namespace koine
