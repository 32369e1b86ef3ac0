// How far numbers are from those that they should be.
#pragma once
#include <limits>
#include <vector>

#include "tensor/tensor.h"

namespace koine::testing {

/// Normalised mean squared error: sum of (got - expected)^2 over sum of expected^2; 0 for equal numbers, infinite where
/// their counts differ.
template <class T>
double nmse(const std::vector<T>& expected, const std::vector<T>& got) {
    if (expected.size() != got.size()) return std::numeric_limits<double>::infinity();
    double error = 0, size = 0;
    for (size_t i = 0; i < expected.size(); i++) {
        error += (double(got[i]) - double(expected[i])) * (double(got[i]) - double(expected[i]));
        size += double(expected[i]) * double(expected[i]);
    }
    return error == 0 ? 0 : error / size;
}
inline double nmse(const Tensor& expected, const Tensor& got) { return nmse(expected.to_vector(), got.to_vector()); }

}  // namespace koine::testing
