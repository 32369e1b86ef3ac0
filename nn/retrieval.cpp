#include "nn/retrieval.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "nn/retrieval_blocks.h"
#include "nn/similarity.h"

namespace koine {
namespace {

using namespace detail;

struct Query {
    const real* a;               // the row a_i
    NearestRows near_a, near_b;  // the rows of b nearest to a_i, and to b_i
    double own;                  // the cosine of a_i and b_i
    int64_t rank = 1;            // of b_i for a_i
};

// How many of the rows first, first + 1, ... of y are nearer to the query than its own, row `own_row`: those with a
// larger cosine, and those with the same that come before it. Most are told apart by their n cosines from a product.
int64_t count_nearer(const real* cosines, int64_t n, int64_t first, const Query& query, int64_t own_row,
                     const Tensor& y) {
    const int64_t d = y.shape[1];
    const real low = real(query.own - doubt(d)), high = real(query.own + doubt(d));
    int32_t n_nearer = 0, n_not_farther = 0;
    for (int64_t j = 0; j < n; j++) n_nearer += cosines[j] > high, n_not_farther += cosines[j] >= low;
    if (n_nearer == n_not_farther) return n_nearer;
    for (int64_t j = 0; j < n; j++) {
        if (cosines[j] > high || cosines[j] < low || first + j == own_row) continue;
        const double cosine = dot(query.a, y.data() + (first + j) * d, d);
        n_nearer += cosine > query.own || (cosine == query.own && first + j < own_row);
    }
    return n_nearer;
}

std::vector<Query> look_up(const Tensor& a, const Tensor& b, int64_t n, int64_t k, int64_t at) {
    const int64_t n_blocks = b.shape[0] / kBlock, n_queries = std::min(kBlock, n - at * kBlock), d = b.shape[1];
    std::vector<Query> queries;
    for (int64_t i = at * kBlock; i < at * kBlock + n_queries; i++) {
        const real *from_a = a.data() + i * d, *from_b = b.data() + i * d;
        queries.push_back({from_a, NearestRows(k, from_a, b), NearestRows(k, from_b, b), dot(from_a, from_b, d)});
    }
    const Tensor block_of_cosines = Tensor::empty({kBlock, kBlock});
    real* cosines = block_of_cosines.data();
    for (int64_t block = 0; block < n_blocks; block++) {
        const int64_t first = block * kBlock, n_rows = std::min(kBlock, n - first);
        multiply_blocks(b, at, b, block, cosines);
        for (int64_t i = 0; i < n_queries; i++) queries[size_t(i)].near_b.see(cosines + i * kBlock, n_rows, first);
        multiply_blocks(a, at, b, block, cosines);
        for (int64_t i = 0; i < n_queries; i++) {
            Query& query = queries[size_t(i)];
            const real* row = cosines + i * kBlock;
            query.rank += count_nearer(row, n_rows, first, query, at * kBlock + i, b);
            query.near_a.see(row, n_rows, first);
        }
    }
    return queries;
}

}  // namespace

RetrievalScores compare_by_retrieval(const Tensor& a, const Tensor& b, int64_t k) {
    if (a.shape.rank != 2 || a.numel() < 1 || a.shape != b.shape) {
        throw ShapeError("compare_by_retrieval: a " + a.shape.str() + ", b " + b.shape.str() +
                         "; want the same [N, D] with N >= 1 and D >= 1");
    }
    const int64_t n = a.shape[0];
    if (k < 1 || k > n) {
        throw ValueError("compare_by_retrieval: k = " + std::to_string(k) + " nearest of " + std::to_string(n) +
                         " rows; want 1 to " + std::to_string(n));
    }
    const Tensor x = a.to(Device::cpu).contiguous(), y = b.to(Device::cpu).contiguous();
    const char* op = "compare_by_retrieval";
    const UnitRows unit_x = unit_rows(op, "a", x), unit_y = unit_rows(op, "b", y);
    std::vector<double> jaccards(static_cast<size_t>(n));
    std::vector<int64_t> ranks(static_cast<size_t>(n));
    for_tasks(Device::cpu, unit_x.n_blocks(), [&](int64_t at) {
        size_t i = size_t(at * kBlock);
        for (const Query& query : look_up(unit_x.rows, unit_y.rows, n, k, at)) {
            jaccards[i] = jaccard(query.near_a.rows(), query.near_b.rows());
            ranks[i++] = query.rank;
        }
    });
    RetrievalScores scores;
    for (size_t i = 0; i < ranks.size(); i++) {
        scores.jaccard += jaccards[i];
        scores.mrr += 1 / double(ranks[i]);
        scores.top1 += double(ranks[i] == 1);
        scores.top_k += double(ranks[i] <= k);
    }
    for (double* sum : {&scores.jaccard, &scores.mrr, &scores.top1, &scores.top_k}) *sum /= double(n);
    scores.cosine = mean_cosine(x, y);
    return scores;
}

std::vector<int32_t> nearest_rows(const Tensor& query, const Tensor& x, int64_t k) {
    if (query.shape.rank != 2 || query.shape[0] != 1 || x.shape.rank != 2 || x.shape[1] != query.shape[1]) {
        throw ShapeError("nearest_rows: query " + query.shape.str() + ", x " + x.shape.str() +
                         "; want [1, D] and [N, D]");
    }
    if (k < 1) throw ValueError("nearest_rows: the " + std::to_string(k) + " nearest; want 1 or more");
    const Tensor q = query.to(Device::cpu).contiguous(), rows = x.to(Device::cpu).contiguous();
    squared_lengths("nearest_rows", "query", q);
    std::vector<double> cosines = squared_lengths("nearest_rows", "x", rows);
    std::vector<int32_t> order(cosines.size());
    for (size_t i = 0; i < order.size(); i++) {
        order[i] = int32_t(i);
        const double product = dot(q.data(), rows.data() + int64_t(i) * x.shape[1], x.shape[1]);
        cosines[i] = cosines[i] > 0 ? product / std::sqrt(cosines[i]) : 0;  // times the query's length
    }
    const auto middle = order.begin() + std::min<int64_t>(k, int64_t(order.size()));
    std::partial_sort(order.begin(), middle, order.end(), [&](int32_t i, int32_t j) {
        return cosines[size_t(i)] != cosines[size_t(j)] ? cosines[size_t(i)] > cosines[size_t(j)] : i < j;
    });
    order.erase(middle, order.end());
    return order;
}

}  // namespace koine
