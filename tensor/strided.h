// Walking over several tensors of one shape at once, whatever their strides: what copies and broadcasting ops need.
// Everything else in the library works on contiguous rows and never sees a stride.
#pragma once
#include <array>

#include "tensor/shape.h"

namespace koine {

/// The shared shape of K views, axes merged where all strides allow, cut into rows of at most kMaxRow elements.
template <int K>
struct Walk {
    static constexpr int64_t kMaxRow = 4096;

    int n_outer = 0;                          // axes before the innermost one
    int64_t extent[Shape::kMaxRank] = {};     // of the outer axes
    int64_t stride[K][Shape::kMaxRank] = {};  // of the outer axes, by operand
    int64_t inner = 1;                        // extent of the innermost axis
    int64_t step[K] = {};                     // its stride, by operand
    int64_t n_pieces = 1;                     // rows per innermost axis
    int64_t n_rows = 0;

    /// Where row `row` starts in each operand; returns its number of elements.
    HD int64_t locate(int64_t row, int64_t (&at)[K]) const {
        const int64_t piece = row % n_pieces;
        int64_t rest = row / n_pieces;
        for (int k = 0; k < K; k++) at[k] = piece * kMaxRow * step[k];
        for (int axis = n_outer - 1; axis >= 0; axis--) {
            const int64_t index = rest % extent[axis];
            rest /= extent[axis];
            for (int k = 0; k < K; k++) at[k] += index * stride[k][axis];
        }
        const int64_t left = inner - piece * kMaxRow;
        return left < kMaxRow ? left : kMaxRow;
    }
};

template <int K>
Walk<K> walk(const Shape& shape, const std::array<Shape, K>& strides) {
    Walk<K> w;
    int64_t extent[Shape::kMaxRank];
    int64_t stride[K][Shape::kMaxRank];
    int n = 0;  // axes kept so far, outermost first
    for (int axis = 0; axis < shape.rank; axis++) {
        if (shape.d[axis] == 1) continue;
        bool merges = n > 0;
        for (int k = 0; k < K && merges; k++) merges = stride[k][n - 1] == strides[k].d[axis] * shape.d[axis];
        if (merges) {
            extent[n - 1] *= shape.d[axis];
        } else {
            extent[n++] = shape.d[axis];
        }
        for (int k = 0; k < K; k++) stride[k][n - 1] = strides[k].d[axis];
    }
    if (n > 0) {
        w.n_outer = n - 1;
        w.inner = extent[n - 1];
        for (int k = 0; k < K; k++) w.step[k] = stride[k][n - 1];
    }
    w.n_pieces = (w.inner + w.kMaxRow - 1) / w.kMaxRow;
    w.n_rows = w.n_pieces;
    for (int axis = 0; axis < w.n_outer; axis++) {
        w.extent[axis] = extent[axis];
        w.n_rows *= extent[axis];
        for (int k = 0; k < K; k++) w.stride[k][axis] = stride[k][axis];
    }
    return w;
}

}  // namespace koine
