// Measures that go sample by sample, and neighbours; those of whole spaces are in similarity_spaces.cpp.
#include "nn/similarity.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "nn/relative.h"
#include "nn/retrieval_blocks.h"

namespace koine {
namespace {

void check_same(const char* op, const Tensor& x, const Tensor& y) {
    if (x.shape.rank == 2 && x.shape[0] >= 1 && x.shape == y.shape) return;
    throw ShapeError(std::string(op) + ": x " + x.shape.str() + ", y " + y.shape.str() +
                     "; want the same [N, D] with N >= 1");
}

void check_k(const char* op, int64_t k, int64_t n) {
    if (k >= 1 && k < n) return;
    throw ValueError(std::string(op) + ": " + std::to_string(k) + " neighbours among " + std::to_string(n) +
                     " samples; want 1 to " + std::to_string(n - 1));
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

double mean_cosine(const Tensor& x, const Tensor& y) {
    check_same("mean_cosine", x, y);
    const int64_t n = x.shape[0], d = x.shape[1];
    const Tensor a = x.to(Device::cpu).contiguous(), b = y.to(Device::cpu).contiguous();
    const std::vector<double> squares_a = detail::squared_lengths("mean_cosine", "x", a);
    const std::vector<double> squares_b = detail::squared_lengths("mean_cosine", "y", b);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        // With b = a the root is exactly their square, and the cosine exactly 1.
        const double squares = squares_a[size_t(i)] * squares_b[size_t(i)];
        if (squares > 0) sum += detail::dot(a.data() + i * d, b.data() + i * d, d) / std::sqrt(squares);
    }
    return sum / double(n);
}

double relative_cosine(const Tensor& x, const Tensor& x_anchors, const Tensor& y, const Tensor& y_anchors) {
    const auto fit = [](const Tensor& codes, const Tensor& anchors) {
        return codes.shape.rank == 2 && anchors.shape.rank == 2 && codes.shape[1] == anchors.shape[1] &&
               codes.numel() > 0 && anchors.numel() > 0;
    };
    if (!fit(x, x_anchors) || !fit(y, y_anchors) || x.shape[0] != y.shape[0] ||
        x_anchors.shape[0] != y_anchors.shape[0]) {
        throw ShapeError("relative_cosine: x " + x.shape.str() + ", x_anchors " + x_anchors.shape.str() + ", y " +
                         y.shape.str() + ", y_anchors " + y_anchors.shape.str() +
                         "; want [N, D], [A, D], [N, E], [A, E], each letter 1 or more");
    }
    const auto check = [](const char* name, const Tensor& codes) {
        detail::squared_lengths("relative_cosine", name, codes.to(Device::cpu).contiguous());
    };
    check("x", x), check("x_anchors", x_anchors), check("y", y), check("y_anchors", y_anchors);
    const NoGrad no_grad;
    return mean_cosine(relative(Var(x), Var(x_anchors)).value, relative(Var(y), Var(y_anchors)).value);
}

Tensor centred(const Tensor& x) {
    if (x.shape.rank != 2 || x.shape[0] < 1) throw ShapeError("centred: x " + x.shape.str() + "; want [N, D], N >= 1");
    const int64_t n = x.shape[0], d = x.shape[1];
    const Tensor out = x.to(Device::cpu).clone();
    detail::squared_lengths("centred", "x", out);
    // Measured from the first row: equal numbers are then exactly 0 from their mean.
    const std::vector<double> first(out.data(), out.data() + d);
    std::vector<double> means(static_cast<size_t>(d));
    for (int64_t i = 0; i < n * d; i++) means[size_t(i % d)] += (double(out.data()[i]) - first[size_t(i % d)]);
    for (double& mean : means) mean /= double(n);
    for (int64_t i = 0; i < n * d; i++) {
        out.data()[i] = real(double(out.data()[i]) - first[size_t(i % d)] - means[size_t(i % d)]);
    }
    return out.to(x.device());
}

Neighbours nearest_neighbours(const Tensor& x, const Tensor& y, int64_t k) {
    check_same("nearest_neighbours", x, y);
    const int64_t n = x.shape[0], d = x.shape[1];
    check_k("nearest_neighbours", k, n);
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

namespace {

// For the queries of block `at` of x[N, D], the k other rows of largest cosine, ascending by index.
Neighbours nearest_by_cosine(const Tensor& x, int64_t n, int64_t k, int64_t at) {
    using detail::kBlock;
    const int64_t n_queries = std::min(kBlock, n - at * kBlock);
    std::vector<detail::NearestRows> nearest;
    for (int64_t i = at * kBlock; i < at * kBlock + n_queries; i++)
        nearest.emplace_back(k, x.data() + i * x.shape[1], x);
    const Tensor block_of_cosines = Tensor::empty({kBlock, kBlock});
    real* cosines = block_of_cosines.data();
    for (int64_t block = 0; block < x.shape[0] / kBlock; block++) {
        detail::multiply_blocks(x, at, x, block, cosines);
        for (int64_t i = 0; i < n_queries; i++) {
            // Nobody is his own neighbour: there are k others, and all of them are nearer than this.
            if (block == at) cosines[i * kBlock + i] = -std::numeric_limits<real>::infinity();
            nearest[size_t(i)].see(cosines + i * kBlock, std::min(kBlock, n - block * kBlock), block * kBlock);
        }
    }
    Neighbours lists;
    for (const detail::NearestRows& rows : nearest) lists.push_back(rows.rows());
    return lists;
}

}  // namespace

double neighbourhood_jaccard(const Tensor& x, const Tensor& y, int64_t k) {
    if (x.shape.rank != 2 || y.shape.rank != 2 || x.shape[0] != y.shape[0] || x.numel() < 1 || y.numel() < 1) {
        throw ShapeError("neighbourhood_jaccard: x " + x.shape.str() + ", y " + y.shape.str() +
                         "; want [N, D] and [N, E] with N, D and E >= 1");
    }
    const int64_t n = x.shape[0];
    check_k("neighbourhood_jaccard", k, n);
    const char* op = "neighbourhood_jaccard";
    const detail::UnitRows unit_x = detail::unit_rows(op, "x", x.to(Device::cpu).contiguous());
    const detail::UnitRows unit_y = detail::unit_rows(op, "y", y.to(Device::cpu).contiguous());
    std::vector<double> shares(static_cast<size_t>(n));
    for_tasks(Device::cpu, unit_x.n_blocks(), [&](int64_t at) {
        const Neighbours near_x = nearest_by_cosine(unit_x.rows, n, k, at);
        const Neighbours near_y = nearest_by_cosine(unit_y.rows, n, k, at);
        for (size_t q = 0; q < near_x.size(); q++) {
            const size_t i = size_t(at * detail::kBlock) + q;
            const bool has_direction = unit_x.squares[i] > 0 && unit_y.squares[i] > 0;
            shares[i] = has_direction ? detail::jaccard(near_x[q], near_y[q]) : 0;
        }
    });
    double sum = 0;
    for (double share : shares) sum += share;
    return sum / double(n);
}

}  // namespace koine
