// Shapes: how many elements along each axis, and the rules of broadcasting. No memory here: see tensor.h.
//
// Reading order: device.h, math.h, then this file, then tensor.h.
#pragma once
#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "tensor/error.h"

namespace koine {

/// Up to six extents, kept inline: making a shape never allocates. Rank 0 is a scalar. Extents may be 0.
struct Shape {
    static constexpr int kMaxRank = 6;

    Shape() = default;
    Shape(std::initializer_list<int64_t> extents) {
        for (int64_t extent : extents) append(extent);
    }

    int rank = 0;
    int64_t d[kMaxRank] = {};

    /// Extent of axis i; negative i counts from the back (-1 is the last axis). Throws ShapeError outside the rank.
    int64_t operator[](int i) const { return d[axis(i)]; }
    int64_t& operator[](int i) { return d[axis(i)]; }

    /// i, or rank + i when i is negative. Throws ShapeError outside the rank.
    int axis(int i) const {
        const int positive = i < 0 ? i + rank : i;
        if (positive < 0 || positive >= rank) throw ShapeError("axis " + std::to_string(i) + " of shape " + str());
        return positive;
    }

    /// Adds an axis at the back. Throws ShapeError for a negative extent or a seventh axis.
    void append(int64_t extent) {
        if (rank == kMaxRank) throw ShapeError("a shape has at most 6 axes: " + str() + " and one more");
        if (extent < 0) throw ShapeError("negative extent " + std::to_string(extent) + " after " + str());
        d[rank++] = extent;
    }

    /// Number of elements; 1 for rank 0.
    int64_t numel() const { return product(0, rank); }

    /// Product of the extents of axes [first, last).
    int64_t product(int first, int last) const {
        int64_t n = 1;
        for (int i = first; i < last; i++) n *= d[i];
        return n;
    }

    bool operator==(const Shape& o) const { return rank == o.rank && std::equal(d, d + rank, o.d); }

    /// "[2, 3]".
    std::string str() const {
        std::string s = "[";
        for (int i = 0; i < rank; i++) s += (i ? ", " : "") + std::to_string(d[i]);
        return s + "]";
    }
};

/// The shape that a and b broadcast to: aligned at the last axis, extents equal or one of them 1 (NumPy's rule).
/// Throws ShapeError naming `op` otherwise.
inline Shape broadcast(const char* op, const Shape& a, const Shape& b) {
    if (a == b) return a;
    Shape out = a.rank >= b.rank ? a : b;
    const Shape& other = a.rank >= b.rank ? b : a;
    for (int i = 1; i <= other.rank; i++) {
        int64_t& extent = out[-i];
        if (extent == 1) extent = other[-i];
        if (other[-i] != 1 && other[-i] != extent) {
            throw ShapeError(std::string(op) + ": " + a.str() + " and " + b.str() + " do not broadcast: axis -" +
                             std::to_string(i) + " has extents " + std::to_string(a[-i]) + " and " +
                             std::to_string(b[-i]));
        }
    }
    return out;
}

}  // namespace koine
