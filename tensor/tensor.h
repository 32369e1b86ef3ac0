// Tensor: memory with a shape and strides. It knows no gradient: that is autograd/var.h.
//
// A Tensor is a handle; copying it shares the memory. Views (reshape, permute, slice, expand) share it too and cost
// nothing; clone() and contiguous() copy. Arithmetic lives on Var alone, so that there is one API and not two.
// Features are always the last axis: images are [N, H, W, C], tables [N, D].
//
// Reading order: device.h, math.h, shape.h, this file, then autograd/var.h.
#pragma once
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "tensor/random.h"
#include "tensor/shape.h"
#include "tensor/storage.h"

namespace koine {

class Tensor {
public:
    /// No memory: is_defined() is false. Everything else is made by the factories below.
    Tensor() = default;

    // ---- factories ----
    /// Memory whose contents are undefined.
    static Tensor empty(const Shape& shape, Device device = Device::cpu);
    static Tensor zeros(const Shape& shape, Device device = Device::cpu);
    static Tensor full(const Shape& shape, real value, Device device = Device::cpu);
    /// A scalar, shape [].
    static Tensor scalar(real value, Device device = Device::cpu);
    /// A copy of the values in row-major order. Throws ShapeError unless their number is shape.numel().
    static Tensor from(std::span<const real> values, const Shape& shape, Device device = Device::cpu);
    static Tensor from(std::initializer_list<real> values, const Shape& shape, Device device = Device::cpu);
    /// Normal numbers with mean 0 and variance 1: element i is rng.normal(i), on every device.
    static Tensor normal(const Shape& shape, Random rng, Device device = Device::cpu);
    /// Numbers uniform in [low, high): element i comes from rng.uniform(i).
    static Tensor uniform(const Shape& shape, real low, real high, Random rng, Device device = Device::cpu);

    // ---- what it is ----
    Shape shape;
    Shape strides;       ///< in elements; 0 along expanded axes
    int64_t offset = 0;  ///< of the first element, in elements
    StoragePtr storage;

    bool is_defined() const { return storage != nullptr; }
    int64_t numel() const { return shape.numel(); }
    Device device() const { return storage ? storage->device : Device::cpu; }
    real* data() const { return static_cast<real*>(storage->ptr) + offset; }
    /// Row-major without gaps.
    bool is_contiguous() const;

    // ---- views: the same memory ----
    /// The same elements in row-major order under another shape. A copy when this is not contiguous.
    /// Throws ShapeError unless the number of elements agrees.
    Tensor reshape(const Shape& to) const;
    /// Axes [first, rank) merged into one: [2, 3, 4].flatten(1) is [2, 12].
    Tensor flatten(int first = 0) const;
    Tensor transpose(int a, int b) const;
    /// Axis i of the result is axis axes[i] of this. Throws ShapeError unless axes is a permutation.
    Tensor permute(std::span<const int> axes) const;
    /// Elements [begin, end) along an axis. Throws ShapeError outside the extent.
    Tensor slice(int axis, int64_t begin, int64_t end) const;
    /// Broadcast to a shape by stride 0 (read only by convention). Throws ShapeError unless it broadcasts to exactly
    /// that.
    Tensor expand(const Shape& to) const;

    // ---- copies ----
    Tensor contiguous() const;
    Tensor clone() const;
    Tensor to(Device device) const;
    /// The elements in row-major order, on the host.
    std::vector<real> to_vector() const;

    // ---- values ----
    /// The value of a tensor of one element. Throws ShapeError otherwise.
    real item() const;
    /// One element, for tests and printing. Throws ShapeError for an index out of range.
    real at(std::initializer_list<int64_t> index) const;
    void fill(real value) const;
    /// Copies elementwise from a tensor of the same shape, any strides, any device.
    void copy_from(const Tensor& from) const;

    /// Numbers in nested brackets, long axes shortened: what a debugger or a student wants to see.
    std::string str() const;
};

/// Row-major strides of a shape.
Shape contiguous_strides(const Shape& shape);

/// Integers, contiguous: class labels, token ids, indices of rows. They take no part in gradients. Those that came from
/// the host stay known there: to look at them, nobody waits for a GPU.
class Indices {
public:
    Indices() = default;
    Indices(std::span<const int32_t> values, const Shape& shape, Device device = Device::cpu);
    /// One axis.
    explicit Indices(const std::vector<int32_t>& values) : Indices(values, Shape{int64_t(values.size())}) {}
    static Indices empty(const Shape& shape, Device device = Device::cpu);

    Shape shape;
    StoragePtr storage;

    int64_t numel() const { return shape.numel(); }
    Device device() const { return storage ? storage->device : Device::cpu; }
    int32_t* data() const { return static_cast<int32_t*>(storage->ptr); }
    /// Waits for the GPU when they were computed there.
    std::vector<int32_t> to_vector() const;
    /// Throws ValueError, naming `op` and the first offender, unless every value is in [0, bound).
    void require_below(const char* op, int64_t bound) const;

private:
    std::shared_ptr<const std::vector<int32_t>> on_host;  // the values, when they came from the host to a GPU
};

}  // namespace koine
