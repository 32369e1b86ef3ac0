#include "nn/retrieval_blocks.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "tensor/gemm.h"

namespace koine::detail {
namespace {

// Cosines that are compared at once with the farthest neighbour so far: a few SIMD registers.
constexpr int64_t kGlance = 32;
constexpr double kLargestSquare = 1e100;

}  // namespace

double dot(const real* x, const real* y, int64_t d) {
    constexpr int64_t kLanes = 8;  // sums that do not wait for each other
    double lanes[kLanes] = {}, sum = 0;
    for (int64_t j = 0; j + kLanes <= d; j += kLanes) {
        for (int64_t lane = 0; lane < kLanes; lane++) lanes[lane] += double(x[j + lane]) * double(y[j + lane]);
    }
    for (int64_t j = d / kLanes * kLanes; j < d; j++) sum += double(x[j]) * double(y[j]);
    for (const double lane : lanes) sum += lane;
    return sum;
}

std::vector<double> squared_lengths(const char* op, const char* name, const Tensor& x) {
    const int64_t n = x.shape[0], d = x.shape[1];
    std::vector<double> squares(static_cast<size_t>(n));
    for (int64_t i = 0; i < n; i++) {
        squares[size_t(i)] = dot(x.data() + i * d, x.data() + i * d, d);
        if (squares[size_t(i)] <= kLargestSquare) continue;
        throw NonFiniteError(std::string(op) + ": row " + std::to_string(i) + " of " + name +
                             " is not finite, or too long to be squared");
    }
    return squares;
}

UnitRows unit_rows(const char* op, const char* name, const Tensor& x) {
    const int64_t n = x.shape[0], d = x.shape[1];
    UnitRows unit{Tensor::zeros({(n + kBlock - 1) / kBlock * kBlock, d}), squared_lengths(op, name, x)};
    for_tasks(Device::cpu, unit.n_blocks(), [&](int64_t block) {
        for (int64_t i = block * kBlock; i < std::min(n, (block + 1) * kBlock); i++) {
            const double square = unit.squares[size_t(i)], length = square > 0 ? std::sqrt(square) : 1;
            for (int64_t j = i * d; j < (i + 1) * d; j++) unit.rows.data()[j] = real(double(x.data()[j]) / length);
        }
    });
    return unit;
}

void multiply_blocks(const Tensor& x, int64_t at, const Tensor& y, int64_t block, real* cosines) {
    const int64_t d = x.shape[1];
    gemm(Device::cpu, kBlock, kBlock, d, 1, {x.data() + at * kBlock * d, d},
         {y.data() + block * kBlock * d, d, Op::transposed}, 0, cosines, kBlock);
}

// Few rows are near enough: most are passed over, many at a glance.
void NearestRows::see(const real* cosines, int64_t n, int64_t first) {
    const int64_t d = y.shape[1];
    for (int64_t begin = 0; begin < n; begin += kGlance) {
        const int64_t end = std::min(n, begin + kGlance);
        if (CpuTeam().max(end - begin, [=](int64_t j) { return cosines[begin + j]; }) < reach) continue;
        for (int64_t j = begin; j < end; j++) {
            if (cosines[j] < reach || cosines[j] == -std::numeric_limits<real>::infinity()) continue;
            offer({dot(query, y.data() + (first + j) * d, d), int32_t(first + j)});
        }
    }
}

void NearestRows::offer(const Found& found) {
    if (heap.size() == k) {
        if (!is_nearer(found, heap.front())) return;
        std::pop_heap(heap.begin(), heap.end(), is_nearer);
        heap.pop_back();
    }
    heap.push_back(found);
    std::push_heap(heap.begin(), heap.end(), is_nearer);
    if (heap.size() == k) reach = real(heap.front().cosine - doubt(y.shape[1]));
}

std::vector<int32_t> NearestRows::rows() const {
    std::vector<int32_t> indices;
    for (const Found& found : heap) indices.push_back(found.row);
    std::sort(indices.begin(), indices.end());
    return indices;
}

double jaccard(const std::vector<int32_t>& a, const std::vector<int32_t>& b) {
    std::vector<int32_t> common;
    std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(common));
    return double(common.size()) / double(a.size() + b.size() - common.size());
}

}  // namespace koine::detail
