// The relative projection and four ways to choose anchors; see relative.h.
#include "nn/relative.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

namespace koine {

// ---- the projection -----------------------------------------------------------------------------------------------

Var relative(const Var& x, const Var& anchors, bool anchor_grad) {
    return cosine_rows(x, anchor_grad ? anchors : anchors.detach());
}

// ---- the anchors --------------------------------------------------------------------------------------------------

namespace {

// Streams that no Generator hands out (its streams grow from 0), so that anchors share no numbers with weights of the
// seed.
constexpr uint64_t kPickStream = ~uint64_t{0};
constexpr uint64_t kSeedingStream = ~uint64_t{1};

void check_count(const char* how, int64_t n, int64_t k) {
    if (k < 1 || k > n) {
        throw ValueError(std::string(how) + ": " + std::to_string(k) + " anchors of " + std::to_string(n) +
                         " samples; want 1 to " + std::to_string(n));
    }
    if (n > INT32_MAX) throw ValueError(std::string(how) + ": " + std::to_string(n) + " samples; want fewer than 2^31");
}

// k of the pool, every choice equally likely: the first k steps of Fisher & Yates' shuffle, numbered on from
// `first_draw`.
std::vector<int32_t> pick(std::vector<int32_t> pool, int64_t k, uint64_t seed, uint64_t first_draw = 0) {
    const Random rng{seed, kPickStream};
    for (size_t i = 0; i < size_t(k); i++) {
        std::swap(pool[i], pool[i + rng.below(first_draw + i, uint32_t(pool.size() - i))]);
    }
    pool.resize(size_t(k));
    return pool;
}

// Samples as contiguous rows on the CPU.
Tensor rows_of(const char* how, const Tensor& data, int64_t k) {
    if (data.shape.rank < 2) throw ShapeError(std::string(how) + ": data " + data.shape.str() + "; want [N, ...]");
    check_count(how, data.shape[0], k);
    const Tensor x = data.flatten(1).to(Device::cpu);
    for (int64_t i = 0; i < x.numel(); i++) {
        if (!std::isfinite(x.data()[i])) {
            throw ValueError(std::string(how) + ": sample " + std::to_string(i / x.shape[1]) + " is not finite");
        }
    }
    return x;
}

// nearest[row] = min(nearest[row], |x_row - center|^2)
struct NearestRow {
    real* nearest;
    const real* x;
    const real* center;
    int64_t d;
    template <class Team>
    HD void operator()(Team t, int64_t row) const {
        const real* a = x + row * d;
        const real* b = center;
        const real distance = t.sum(d, [=](int64_t i) { return (a[i] - b[i]) * (a[i] - b[i]); });
        real* y = nearest + row;
        t.once([=] { *y = distance < *y ? distance : *y; });
    }
};

// Squared distances of all rows to the nearest of the points added so far.
struct Nearest {
    explicit Nearest(const Tensor& x_)
        : x(x_), d2(Tensor::full({x_.shape[0]}, std::numeric_limits<real>::infinity())) {}
    void add(const real* point) {
        const int64_t d = x.shape[1];
        for_rows(Device::cpu, x.shape[0], d * 2, NearestRow{d2.data(), x.data(), point, d});
    }
    void add_row(int64_t row) { add(x.data() + row * x.shape[1]); }
    std::span<const real> distances() const { return {d2.data(), size_t(d2.numel())}; }

private:
    Tensor x, d2;
};

[[noreturn]] void too_few_distinct(const char* how, size_t n_distinct, int64_t k) {
    throw ValueError(std::string(how) + ": " + std::to_string(k) + " anchors, but the samples hold only " +
                     std::to_string(n_distinct) + " distinct points");
}

// The row that a number in [0, 1) falls on when each has a share in proportion to its distance.
int64_t draw_by_share(std::span<const real> distances, double total, double number) {
    double left = number * total;
    int64_t last = 0;
    for (size_t i = 0; i < distances.size(); i++) {
        if (distances[i] <= 0) continue;
        last = int64_t(i);
        left -= double(distances[i]);
        if (left < 0) break;
    }
    return last;
}

// Rows of x that are good first centroids: each drawn in proportion to its squared distance from those before.
std::vector<int32_t> k_means_plus_plus(const char* how, const Tensor& x, int64_t k, uint64_t seed) {
    const Random rng{seed, kSeedingStream};
    Nearest nearest(x);
    std::vector<int32_t> chosen{int32_t(rng.below(0, uint32_t(x.shape[0])))};
    while (int64_t(chosen.size()) < k) {
        nearest.add_row(chosen.back());
        const std::span<const real> d2 = nearest.distances();
        const double total = std::accumulate(d2.begin(), d2.end(), 0.0);
        if (!(total > 0)) too_few_distinct(how, chosen.size(), k);
        chosen.push_back(int32_t(draw_by_share(d2, total, double(rng.uniform(chosen.size())))));
    }
    return chosen;
}

// score[N, k] = x . c - |c|^2 / 2: the nearest centroid has the largest, since |x - c|^2 = |x|^2 - 2 score.
Tensor scores(const Tensor& x, const Tensor& centroids) {
    return linear(x, centroids, sum(mul(centroids, centroids), {1}) * real(-0.5)).value;
}

Tensor mean_of_clusters(const Tensor& x, const std::vector<int32_t>& cluster, int64_t k) {
    const int64_t d = x.shape[1];
    std::vector<double> total(size_t(k * d));
    std::vector<int64_t> n(static_cast<size_t>(k));
    for (size_t i = 0; i < cluster.size(); i++) {
        n[size_t(cluster[i])]++;
        for (int64_t j = 0; j < d; j++) total[size_t(cluster[i] * d + j)] += double(x.data()[int64_t(i) * d + j]);
    }
    const Tensor mean = Tensor::empty({k, d});
    for (int64_t c = 0; c < k; c++) {
        for (int64_t j = 0; j < d; j++) mean.data()[c * d + j] = real(total[size_t(c * d + j)] / double(n[size_t(c)]));
    }
    return mean;
}

// Gives each cluster without samples the sample that is farthest from its own centroid, out of a cluster that can spare
// it.
void fill_empty(std::vector<int32_t>& cluster, const Tensor& x, const Tensor& centroids) {
    const int64_t k = centroids.shape[0], d = x.shape[1];
    std::vector<int64_t> n(static_cast<size_t>(k));
    for (int32_t c : cluster) n[size_t(c)]++;
    if (std::find(n.begin(), n.end(), 0) == n.end()) return;
    std::vector<double> distance(cluster.size());
    for (size_t i = 0; i < cluster.size(); i++) {
        for (int64_t j = 0; j < d; j++) {
            const double e = double(x.data()[int64_t(i) * d + j]) - double(centroids.data()[cluster[i] * d + j]);
            distance[i] += e * e;
        }
    }
    for (int64_t c = 0; c < k; c++) {
        if (n[size_t(c)] > 0) continue;
        size_t farthest = cluster.size();
        for (size_t i = 0; i < cluster.size(); i++) {
            const bool is_spare = n[size_t(cluster[i])] > 1;
            if (is_spare && (farthest == cluster.size() || distance[i] > distance[farthest])) farthest = i;
        }
        n[size_t(cluster[farthest])]--;
        n[size_t(c)] = 1;
        cluster[farthest] = int32_t(c);
        distance[farthest] = 0;
    }
}

}  // namespace

std::vector<int32_t> uniform_anchors(int64_t n, int64_t k, uint64_t seed) {
    check_count("uniform_anchors", n, k);
    std::vector<int32_t> all(static_cast<size_t>(n));
    std::iota(all.begin(), all.end(), 0);
    return pick(std::move(all), k, seed);
}

std::vector<int32_t> per_class_anchors(std::span<const int32_t> labels, int64_t n_per_class, uint64_t seed) {
    check_count("per_class_anchors", int64_t(labels.size()), n_per_class);
    std::map<int32_t, std::vector<int32_t>> samples;
    for (size_t i = 0; i < labels.size(); i++) samples[labels[i]].push_back(int32_t(i));
    std::vector<int32_t> anchors;
    for (auto& [label, pool] : samples) {
        if (int64_t(pool.size()) < n_per_class) {
            throw ValueError("per_class_anchors: class " + std::to_string(label) + " has " +
                             std::to_string(pool.size()) + " samples; want at least " + std::to_string(n_per_class));
        }
        const std::vector<int32_t> picked = pick(std::move(pool), n_per_class, seed, anchors.size());
        anchors.insert(anchors.end(), picked.begin(), picked.end());
    }
    return anchors;
}

std::vector<int32_t> farthest_point_anchors(const Tensor& data, int64_t k, uint64_t seed) {
    const Tensor x = rows_of("farthest_point_anchors", data, k);
    Nearest nearest(x);
    std::vector<int32_t> anchors = uniform_anchors(x.shape[0], 1, seed);
    while (int64_t(anchors.size()) < k) {
        nearest.add_row(anchors.back());
        const std::span<const real> d2 = nearest.distances();
        const auto farthest = std::max_element(d2.begin(), d2.end());
        if (*farthest <= 0) too_few_distinct("farthest_point_anchors", anchors.size(), k);
        anchors.push_back(int32_t(farthest - d2.begin()));
    }
    return anchors;
}

std::vector<int32_t> k_means_anchors(const Tensor& data, int64_t k, uint64_t seed, int n_rounds) {
    // Around the mean: far from 0, distances would be small differences of large scores.
    const NoGrad no_grad;
    const Var rows = rows_of("k_means_anchors", data, k);
    const Tensor x = (rows - mean(rows, {0}, true)).value;
    Tensor centroids = index_select(x, Indices(k_means_plus_plus("k_means_anchors", x, k, seed))).value;
    for (int round = 0; round < n_rounds; round++) {
        std::vector<int32_t> cluster = argmax(scores(x, centroids)).to_vector();
        fill_empty(cluster, x, centroids);
        centroids = mean_of_clusters(x, cluster, k);
    }

    std::vector<int32_t> anchors;
    std::vector<bool> is_taken(static_cast<size_t>(x.shape[0]));
    for (int64_t c = 0; c < k; c++) {
        Nearest nearest(x);
        nearest.add(centroids.data() + c * x.shape[1]);
        const std::span<const real> d2 = nearest.distances();
        size_t best = d2.size();
        for (size_t i = 0; i < d2.size(); i++) {
            if (!is_taken[i] && (best == d2.size() || d2[i] < d2[best])) best = i;
        }
        is_taken[best] = true;
        anchors.push_back(int32_t(best));
    }
    return anchors;
}

}  // namespace koine
