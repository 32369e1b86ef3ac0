#include "nn/similarity.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace koine {
namespace {

void check_same(const char* op, const Tensor& x, const Tensor& y) {
    if (x.shape.rank == 2 && x.shape[0] >= 1 && x.shape == y.shape) return;
    throw ShapeError(std::string(op) + ": x " + x.shape.str() + ", y " + y.shape.str() +
                     "; want the same [N, D] with N >= 1");
}

real squared_distance(const real* a, const real* b, int64_t d) {
    return CpuTeam().sum(d, [=](int64_t j) { return (a[j] - b[j]) * (a[j] - b[j]); });
}

}  // namespace

double mean_distance(const Tensor& x, const Tensor& y) {
    check_same("mean_distance", x, y);
    const int64_t n = x.shape[0], d = x.shape[1];
    const std::vector<real> a = x.to_vector(), b = y.to_vector();
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        double squared = 0;
        for (int64_t j = i * d; j < (i + 1) * d; j++) {
            const double difference = double(a[size_t(j)]) - double(b[size_t(j)]);
            squared += difference * difference;
        }
        sum += std::sqrt(squared);
    }
    return sum / double(n);
}

double mean_length(const Tensor& x) { return mean_distance(x, Tensor::zeros(x.shape)); }

double mean_pairwise_distance(const std::vector<Tensor>& spaces) {
    if (spaces.size() < 2) {
        throw ValueError("mean_pairwise_distance: " + std::to_string(spaces.size()) + " spaces; want two or more");
    }
    double sum = 0;
    int n_pairs = 0;
    for (size_t i = 0; i < spaces.size(); i++) {
        for (size_t j = 0; j < i; j++, n_pairs++) sum += mean_distance(spaces[i], spaces[j]);
    }
    return sum / n_pairs;
}

Neighbours nearest_neighbours(const Tensor& x, const Tensor& y, int64_t k) {
    check_same("nearest_neighbours", x, y);
    const int64_t n = x.shape[0], d = x.shape[1];
    if (k < 1 || k >= n) {
        throw ValueError("nearest_neighbours: " + std::to_string(k) + " neighbours among " + std::to_string(n) +
                         " samples; want 1 to " + std::to_string(n - 1));
    }
    const Tensor a = x.to(Device::cpu).contiguous(), b = y.to(Device::cpu).contiguous();
    Neighbours lists(static_cast<size_t>(n));
    for_tasks(Device::cpu, n, [&](int64_t i) {
        std::vector<std::pair<real, int32_t>> others;  // pairs are sorted by distance, then by index
        for (int64_t j = 0; j < n; j++) {
            if (j == i) continue;
            others.emplace_back(squared_distance(a.data() + i * d, b.data() + j * d, d), int32_t(j));
            if (std::isfinite(others.back().first)) continue;
            throw NonFiniteError("nearest_neighbours: the distance from row " + std::to_string(i) + " of x to row " +
                                 std::to_string(j) + " of y is not finite");
        }
        std::partial_sort(others.begin(), others.begin() + k, others.end());
        for (int64_t m = 0; m < k; m++) lists[size_t(i)].push_back(others[size_t(m)].second);
    });
    return lists;
}

double surviving_share(const Neighbours& before, const Neighbours& after) {
    size_t n = 0, n_found = 0;
    for (size_t i = 0; i < std::min(before.size(), after.size()); i++) {
        n += before[i].size();
        for (int32_t j : before[i]) n_found += size_t(std::count(after[i].begin(), after[i].end(), j) > 0);
    }
    if (before.size() != after.size() || n == 0) {
        throw ShapeError("surviving_share: " + std::to_string(before.size()) + " and " + std::to_string(after.size()) +
                         " lists of neighbours; want as many, with an entry at least");
    }
    return double(n_found) / double(n);
}

CodeScores compare_codes(const Tensor& x, const Tensor& y, int64_t k) {
    const Neighbours before = nearest_neighbours(x, x, k), after = nearest_neighbours(x, y, k);
    const std::vector<real> a = x.to_vector(), b = y.to_vector();
    double largest = 0;
    for (size_t i = 0; i < a.size(); i++) largest = std::max(largest, std::abs(double(a[i]) - double(b[i])));
    return {mean_distance(x, y), largest, surviving_share(before, after)};
}

}  // namespace koine
