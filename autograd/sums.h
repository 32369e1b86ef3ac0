// Sums of rows and of columns of a table: the two patterns below every reduction, bias gradient and batch statistic.
// Both cut the work by shape and add partial sums in a fixed order, so they give the same bytes for any thread count.
#pragma once
#include "autograd/var.h"

namespace koine {

/// Rows of a table that one lane adds up before partial sums are kept: small enough to spread over threads and to keep
/// float sums accurate, large enough that the second pass is cheap.
inline constexpr int64_t kColumnChunk = 128;

// Partial sums of chunk `chunk`: part[chunk][v][c] = sum of f(r, c, acc) over its rows. Lanes own columns.
template <int V, class F>
struct ColumnPartials {
    real* part;
    int64_t rows, cols;
    F f;
    template <class Team>
    HD void operator()(Team t, int64_t chunk) const {
        const int64_t begin = chunk * kColumnChunk;
        const int64_t end = begin + kColumnChunk < rows ? begin + kColumnChunk : rows;
        real* out = part + chunk * V * cols;
        const int64_t n = cols;
        const F fn = f;
        t.each(n, [=](int64_t c) {
            real acc[V] = {};
            for (int64_t r = begin; r < end; r++) fn(r, c, acc);
            for (int v = 0; v < V; v++) out[v * n + c] = acc[v];
        });
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
    const int64_t n_chunks = (rows + kColumnChunk - 1) / kColumnChunk;
    const Tensor part = Tensor::empty({n_chunks, V, cols}, device);
    for_rows(device, n_chunks, kColumnChunk * cols * cost, ColumnPartials<V, F>{part.data(), rows, cols, f});
    for_each(device, V * cols, ColumnTotals<Put>{part.data(), n_chunks, V * cols, put}, n_chunks);
}

/// out.put(row, sum of x[row, 0..cols)) for a contiguous x[rows, cols].
void row_sums(Device device, const real* x, int64_t rows, int64_t cols, GradSlot out);

/// out.put(c, sum over rows of x[row, c]) for a contiguous x[rows, cols].
void column_sums(Device device, const real* x, int64_t rows, int64_t cols, GradSlot out);

}  // namespace koine
