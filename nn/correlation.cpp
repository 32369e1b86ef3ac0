#include "nn/correlation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "tensor/error.h"

namespace koine {
namespace {

void check(const std::string& op, std::span<const double> a, std::span<const double> b) {
    if (a.size() != b.size()) {
        throw ShapeError(op + ": a has " + std::to_string(a.size()) + " values, b " + std::to_string(b.size()) +
                         "; want as many");
    }
    if (a.size() < 2) throw ValueError(op + ": " + std::to_string(a.size()) + " values; want 2 or more");
    for (size_t i = 0; i < a.size(); i++) {
        if (std::isfinite(a[i]) && std::isfinite(b[i])) continue;
        throw NonFiniteError(op + ": value " + std::to_string(i) + " of " + (std::isfinite(a[i]) ? "b" : "a") +
                             " is not finite");
    }
}

// The values minus their mean, over some number that makes their squares harmless; all 0 for equal values. Measured
// from the first value, equal ones are exactly 0 apart; halved, none are too far apart for a double.
std::vector<double> deviations(std::span<const double> values) {
    std::vector<double> from_first;
    double largest = 0;
    for (double v : values) {
        from_first.push_back(v / 2 - values[0] / 2);
        largest = std::max(largest, std::fabs(from_first.back()));
    }
    if (largest == 0) return from_first;
    double sum = 0;
    for (double& v : from_first) sum += v /= largest;
    for (double& v : from_first) v -= sum / double(values.size());
    return from_first;
}

std::vector<double> ranks(std::span<const double> values) {
    std::vector<size_t> order(values.size());
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](size_t i, size_t j) { return values[i] < values[j]; });
    std::vector<double> rank(values.size());
    for (size_t first = 0, end = 0; first < order.size(); first = end) {
        while (end < order.size() && values[order[end]] == values[order[first]]) end++;
        // The places first + 1 to end, counted from 1, are shared.
        for (size_t place = first; place < end; place++) rank[order[place]] = double(first + 1 + end) / 2;
    }
    return rank;
}

double correlation(std::span<const double> a, std::span<const double> b) {
    const std::vector<double> x = deviations(a), y = deviations(b);
    double xx = 0, yy = 0, xy = 0;
    for (size_t i = 0; i < x.size(); i++) xx += x[i] * x[i], yy += y[i] * y[i], xy += x[i] * y[i];
    if (xx == 0 || yy == 0) return std::numeric_limits<double>::quiet_NaN();
    return std::clamp(xy / std::sqrt(xx * yy), -1.0, 1.0);
}

}  // namespace

double pearson(std::span<const double> a, std::span<const double> b) {
    check("pearson", a, b);
    return correlation(a, b);
}

double spearman(std::span<const double> a, std::span<const double> b) {
    check("spearman", a, b);
    return correlation(ranks(a), ranks(b));
}

}  // namespace koine
