#include "nn/retrieval.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <vector>

#include "tensor/gemm.h"

namespace koine {
namespace {

// Queries and rows in one product. Its cosines, 256 KB, are looked through while they are in a core's L2 cache.
constexpr int64_t kBlock = 256;
// Cosines that are compared at once with the farthest neighbour so far: a few SIMD registers.
constexpr int64_t kGlance = 32;
// The product of two squared lengths up to this one is finite in double; in a float build all of them are.
constexpr double kLargestSquare = 1e150;

// ---- rows of length 1 ----------------------------------------------------------------------------------------------

double dot(const real* x, const real* y, int64_t d) {
    double sum = 0;
    for (int64_t j = 0; j < d; j++) sum += double(x[j]) * double(y[j]);
    return sum;
}

struct UnitRows {
    Tensor rows;                  // [whole blocks, D], of length 1 or 0; rows of zeros behind the last one
    std::vector<double> squares;  // [N], of the lengths before
};

// All products are made of whole blocks, so that equal rows get equal cosines, bit for bit, wherever they are: BLAS
// may have other kernels for what is left over at the edge of a matrix.
UnitRows unit_rows(const char* name, const Tensor& x) {
    const int64_t n = x.shape[0], d = x.shape[1];
    UnitRows unit{Tensor::zeros({(n + kBlock - 1) / kBlock * kBlock, d}), std::vector<double>(size_t(n))};
    for_tasks(Device::cpu, unit.rows.shape[0] / kBlock, [&](int64_t block) {
        for (int64_t i = block * kBlock; i < std::min(n, (block + 1) * kBlock); i++) {
            const real* from = x.data() + i * d;
            const double square = unit.squares[size_t(i)] = dot(from, from, d);
            if (!(square <= kLargestSquare)) {
                throw NonFiniteError("compare_by_retrieval: row " + std::to_string(i) + " of " + name +
                                     " is not finite, or too long to be squared");
            }
            const double length = square > 0 ? std::sqrt(square) : 1;
            for (int64_t j = 0; j < d; j++) unit.rows.data()[i * d + j] = real(double(from[j]) / length);
        }
    });
    return unit;
}

// In double and from the codes themselves: the cosine of a row with itself is 1, not 0.9999999.
double mean_cosine(const Tensor& a, const UnitRows& unit_a, const Tensor& b, const UnitRows& unit_b) {
    const int64_t n = a.shape[0], d = a.shape[1];
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const double squares = unit_a.squares[size_t(i)] * unit_b.squares[size_t(i)];
        if (squares > 0) sum += dot(a.data() + i * d, b.data() + i * d, d) / std::sqrt(squares);
    }
    return sum / double(n);
}

// ---- the k nearest rows ---------------------------------------------------------------------------------------------

struct Found {
    real cosine;
    int32_t row;
};

bool is_nearer(const Found& p, const Found& q) {
    return p.cosine > q.cosine || (p.cosine == q.cosine && p.row < q.row);
}

// The k nearest rows seen so far. Their order of arrival does not matter.
class NearestRows {
public:
    explicit NearestRows(int64_t k_) : k(size_t(k_)) {}

    // Rows first, first + 1, ... with these n cosines. Few are near enough: most are passed over, many at a glance.
    void see(const real* cosines, int64_t n, int64_t first) {
        for (int64_t begin = 0; begin < n; begin += kGlance) {
            const int64_t end = std::min(n, begin + kGlance);
            if (CpuTeam().max(end - begin, [=](int64_t j) { return cosines[begin + j]; }) < reach) continue;
            for (int64_t j = begin; j < end; j++) offer({cosines[j], int32_t(first + j)});
        }
    }

    // Their indices, ascending.
    std::vector<int32_t> rows() const {
        std::vector<int32_t> indices;
        for (const Found& found : heap) indices.push_back(found.row);
        std::sort(indices.begin(), indices.end());
        return indices;
    }

private:
    void offer(const Found& found) {
        if (heap.size() == k) {
            if (!is_nearer(found, heap.front())) return;
            std::pop_heap(heap.begin(), heap.end(), is_nearer);
            heap.pop_back();
        }
        heap.push_back(found);
        std::push_heap(heap.begin(), heap.end(), is_nearer);
        if (heap.size() == k) reach = heap.front().cosine;
    }

    size_t k;
    std::vector<Found> heap;                              // the farthest in front
    real reach = -std::numeric_limits<real>::infinity();  // whoever is below is not among the k
};

double jaccard(const std::vector<int32_t>& a, const std::vector<int32_t>& b) {
    std::vector<int32_t> common;
    std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(common));
    return double(common.size()) / double(a.size() + b.size() - common.size());
}

// ---- a block of queries ---------------------------------------------------------------------------------------------

// How many of n cosines are nearer than `own`; equal ones are when they come before it.
int64_t count_nearer(const real* cosines, int64_t n, real own, bool is_before) {
    int32_t n_nearer = 0;
    if (is_before) {
        for (int64_t j = 0; j < n; j++) n_nearer += cosines[j] >= own;
    } else {
        for (int64_t j = 0; j < n; j++) n_nearer += cosines[j] > own;
    }
    return n_nearer;
}

struct Query {
    explicit Query(int64_t k) : near_a(k), near_b(k) {}
    NearestRows near_a, near_b;  // the rows of b nearest to a_i, and to b_i
    real own = 0;                // the cosine of a_i and b_i
    int64_t rank = 1;            // of b_i for a_i
};

// cosines[kBlock, kBlock] of block `at` of x with block `block` of y.
void multiply(const Tensor& x, int64_t at, const Tensor& y, int64_t block, real* cosines) {
    const int64_t d = x.shape[1];
    gemm(Device::cpu, kBlock, kBlock, d, 1, {x.data() + at * kBlock * d, d},
         {y.data() + block * kBlock * d, d, Op::transposed}, 0, cosines, kBlock);
}

std::vector<Query> look_up(const Tensor& a, const Tensor& b, int64_t n, int64_t k, int64_t at) {
    const int64_t n_blocks = b.shape[0] / kBlock, n_queries = std::min(kBlock, n - at * kBlock);
    std::vector<Query> queries(static_cast<size_t>(n_queries), Query(k));
    const Tensor block_of_cosines = Tensor::empty({kBlock, kBlock});
    real* cosines = block_of_cosines.data();
    for (int64_t step = 0; step < n_blocks; step++) {
        // The block where the queries' own rows are comes first: ranks are counted against the own cosine.
        const int64_t block = (at + step) % n_blocks, first = block * kBlock, n_rows = std::min(kBlock, n - first);
        multiply(b, at, b, block, cosines);
        for (int64_t i = 0; i < n_queries; i++) queries[size_t(i)].near_b.see(cosines + i * kBlock, n_rows, first);
        multiply(a, at, b, block, cosines);
        for (int64_t i = 0; i < n_queries; i++) {
            Query& query = queries[size_t(i)];
            const real* row = cosines + i * kBlock;
            if (step == 0) query.own = row[i];
            const int64_t n_before = std::clamp<int64_t>(at * kBlock + i - first, 0, n_rows);
            query.rank += count_nearer(row, n_before, query.own, true) +
                          count_nearer(row + n_before, n_rows - n_before, query.own, false);
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
    const UnitRows unit_x = unit_rows("a", x), unit_y = unit_rows("b", y);
    std::vector<double> jaccards(static_cast<size_t>(n));
    std::vector<int64_t> ranks(static_cast<size_t>(n));
    for_tasks(Device::cpu, unit_x.rows.shape[0] / kBlock, [&](int64_t at) {
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
    scores.cosine = mean_cosine(x, unit_x, y, unit_y);
    return scores;
}

}  // namespace koine
