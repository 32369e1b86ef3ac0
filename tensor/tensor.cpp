#include "tensor/tensor.h"

#include <cmath>
#include <cstdio>
#include <numeric>

#include "tensor/strided.h"

namespace koine {
namespace {

struct Fill {
    real* y;
    real value;
    HD void operator()(int64_t i) const { y[i] = value; }
};
struct NormalNumbers {
    real* y;
    Random rng;
    HD void operator()(int64_t i) const { y[i] = rng.normal(uint64_t(i)); }
};
struct UniformNumbers {
    real* y;
    real low, width;
    Random rng;
    HD void operator()(int64_t i) const { y[i] = low + width * rng.uniform(uint64_t(i)); }
};

// y = x, elementwise, for any strides of both.
struct CopyRow {
    real* y;
    const real* x;
    Walk<2> walk;
    template <class Team>
    HD void operator()(Team t, int64_t row) const {
        int64_t at[2];
        const int64_t n = walk.locate(row, at);
        real* to = y + at[0];
        const real* from = x + at[1];
        const int64_t to_step = walk.step[0], from_step = walk.step[1];
        if (to_step == 1 && from_step == 1) {
            t.each(n, [=](int64_t i) { to[i] = from[i]; });
        } else {
            t.each(n, [=](int64_t i) { to[i * to_step] = from[i * from_step]; });
        }
    }
};

Tensor view(const Tensor& t, const Shape& shape, const Shape& strides, int64_t offset) {
    Tensor v;
    v.shape = shape;
    v.strides = strides;
    v.offset = offset;
    v.storage = t.storage;
    return v;
}

}  // namespace

Shape contiguous_strides(const Shape& shape) {
    Shape strides = shape;
    int64_t step = 1;
    for (int i = shape.rank - 1; i >= 0; i--) {
        strides.d[i] = step;
        step *= shape.d[i];
    }
    return strides;
}

// ---- factories ----

Tensor Tensor::empty(const Shape& shape, Device device) {
    Tensor t;
    t.shape = shape;
    t.strides = contiguous_strides(shape);
    t.storage = std::make_shared<Storage>(device, size_t(shape.numel()) * sizeof(real));
    return t;
}

Tensor Tensor::zeros(const Shape& shape, Device device) { return full(shape, 0, device); }

Tensor Tensor::full(const Shape& shape, real value, Device device) {
    Tensor t = empty(shape, device);
    t.fill(value);
    return t;
}

Tensor Tensor::scalar(real value, Device device) { return full(Shape{}, value, device); }

Tensor Tensor::from(std::span<const real> values, const Shape& shape, Device device) {
    if (int64_t(values.size()) != shape.numel()) {
        throw ShapeError("Tensor::from: " + std::to_string(values.size()) + " values for shape " + shape.str());
    }
    Tensor t = empty(shape, device);
    copy_bytes(t.data(), device, values.data(), Device::cpu, values.size_bytes());
    return t;
}

Tensor Tensor::from(std::initializer_list<real> values, const Shape& shape, Device device) {
    return from(std::span<const real>(values.begin(), values.size()), shape, device);
}

Tensor Tensor::normal(const Shape& shape, Random rng, Device device) {
    Tensor t = empty(shape, device);
    for_each(device, t.numel(), NormalNumbers{t.data(), rng}, 50);
    return t;
}

Tensor Tensor::uniform(const Shape& shape, real low, real high, Random rng, Device device) {
    Tensor t = empty(shape, device);
    for_each(device, t.numel(), UniformNumbers{t.data(), low, high - low, rng}, 20);
    return t;
}

// ---- views ----

bool Tensor::is_contiguous() const {
    int64_t step = 1;
    for (int i = shape.rank - 1; i >= 0; i--) {
        if (shape.d[i] != 1 && strides.d[i] != step) return shape.numel() == 0;
        step *= shape.d[i];
    }
    return true;
}

Tensor Tensor::reshape(const Shape& to) const {
    if (to.numel() != numel())
        throw ShapeError("reshape: " + shape.str() + " to " + to.str() + ": the number of elements differs");
    const Tensor x = contiguous();
    return view(x, to, contiguous_strides(to), x.offset);
}

Tensor Tensor::flatten(int first) const {
    Shape to;
    const int kept = first == shape.rank ? first : shape.axis(first);
    for (int i = 0; i < kept; i++) to.append(shape.d[i]);
    to.append(shape.product(kept, shape.rank));
    return reshape(to);
}

Tensor Tensor::transpose(int a, int b) const {
    Tensor t = *this;
    std::swap(t.shape[a], t.shape[b]);
    std::swap(t.strides[a], t.strides[b]);
    return t;
}

Tensor Tensor::permute(std::span<const int> axes) const {
    Tensor t = *this;
    bool is_seen[Shape::kMaxRank] = {};
    bool is_permutation = int(axes.size()) == shape.rank;
    for (size_t i = 0; i < axes.size() && is_permutation; i++) {
        const int axis = shape.axis(axes[i]);
        is_permutation = !is_seen[axis];
        is_seen[axis] = true;
        t.shape.d[i] = shape.d[axis];
        t.strides.d[i] = strides.d[axis];
    }
    if (!is_permutation) throw ShapeError("permute: the axes given are not a permutation of those of " + shape.str());
    return t;
}

Tensor Tensor::slice(int axis, int64_t begin, int64_t end) const {
    const int a = shape.axis(axis);
    if (begin < 0 || end < begin || end > shape.d[a]) {
        throw ShapeError("slice: [" + std::to_string(begin) + ", " + std::to_string(end) + ") of axis " +
                         std::to_string(axis) + " of " + shape.str());
    }
    Tensor t = *this;
    t.shape.d[a] = end - begin;
    t.offset += begin * strides.d[a];
    return t;
}

Tensor Tensor::expand(const Shape& to) const {
    if (shape == to) return *this;
    if (!(broadcast("expand", shape, to) == to))
        throw ShapeError("expand: " + shape.str() + " does not expand to " + to.str());
    Shape steps = to;
    for (int i = 1; i <= to.rank; i++) {
        const bool repeats = i > shape.rank || (shape[-i] == 1 && to[-i] != 1);
        steps[-i] = repeats ? 0 : strides[-i];
    }
    return view(*this, to, steps, offset);
}

// ---- copies and values ----

Tensor Tensor::contiguous() const { return is_contiguous() ? *this : clone(); }

Tensor Tensor::clone() const {
    Tensor t = empty(shape, device());
    t.copy_from(*this);
    return t;
}

Tensor Tensor::to(Device to_device) const {
    if (to_device == device()) return *this;
    Tensor t = empty(shape, to_device);
    t.copy_from(*this);
    return t;
}

void Tensor::copy_from(const Tensor& from) const {
    if (!(from.shape == shape)) throw ShapeError("copy: from " + from.shape.str() + " to " + shape.str());
    if (from.device() != device()) {
        const Tensor source = from.contiguous();
        if (is_contiguous()) {
            copy_bytes(data(), device(), source.data(), source.device(), size_t(numel()) * sizeof(real));
        } else {
            copy_from(source.to(device()));
        }
        return;
    }
    const Walk<2> w = walk<2>(shape, {strides, from.strides});
    for_rows(device(), numel() ? w.n_rows : 0, w.inner, CopyRow{data(), from.data(), w});
}

void Tensor::fill(real value) const {
    if (!is_contiguous()) return copy_from(scalar(value, device()).expand(shape));
    for_each(device(), numel(), Fill{data(), value});
}

std::vector<real> Tensor::to_vector() const {
    std::vector<real> values(static_cast<size_t>(numel()));
    copy_bytes(values.data(), Device::cpu, contiguous().data(), device(), values.size() * sizeof(real));
    return values;
}

real Tensor::item() const {
    if (numel() != 1) throw ShapeError("item: " + shape.str() + " has more than one element, or none");
    real value;
    copy_bytes(&value, Device::cpu, data(), device(), sizeof value);
    return value;
}

real Tensor::at(std::initializer_list<int64_t> index) const {
    if (int(index.size()) != shape.rank)
        throw ShapeError("at: " + std::to_string(index.size()) + " indices for " + shape.str());
    Tensor t = *this;
    int axis = 0;
    for (int64_t i : index) t = t.slice(axis++, i, i + 1);
    return t.item();
}

// ---- printing ----

namespace {

constexpr int64_t kShown = 3;  // elements at either end of a long axis

void print(const Tensor& t, const std::vector<real>& values, int axis, int64_t at, std::string& out) {
    if (axis == t.shape.rank) {
        char text[32];
        std::snprintf(text, sizeof text, "%.4g", double(values[size_t(at)]));
        out += text;
        return;
    }
    const int64_t n = t.shape.d[axis], step = t.shape.product(axis + 1, t.shape.rank);
    const bool is_last = axis == t.shape.rank - 1;
    out += "[";
    for (int64_t i = 0; i < n; i++) {
        if (i) out += is_last ? ", " : ",\n" + std::string(size_t(axis) + 1, ' ');
        if (n > 2 * kShown && i == kShown) {
            out += is_last ? "..., " : "...,\n" + std::string(size_t(axis) + 1, ' ');
            i = n - kShown;
        }
        print(t, values, axis + 1, at + i * step, out);
    }
    out += "]";
}

}  // namespace

std::string Tensor::str() const {
    if (!is_defined()) return "(undefined)";
    std::string out = "Tensor " + shape.str() + (device() == Device::cpu ? "" : " on cuda") + "\n";
    print(*this, to_vector(), 0, 0, out);
    return out;
}

// ---- indices ----

Indices Indices::empty(const Shape& shape, Device device) {
    Indices t;
    t.shape = shape;
    t.storage = std::make_shared<Storage>(device, size_t(shape.numel()) * sizeof(int32_t));
    return t;
}

Indices::Indices(std::span<const int32_t> values, const Shape& wanted, Device device) {
    if (int64_t(values.size()) != wanted.numel()) {
        throw ShapeError("Indices: " + std::to_string(values.size()) + " values for shape " + wanted.str());
    }
    *this = empty(wanted, device);
    copy_bytes(data(), device, values.data(), Device::cpu, values.size_bytes());
    if (device != Device::cpu) on_host = std::make_shared<const std::vector<int32_t>>(values.begin(), values.end());
}

std::vector<int32_t> Indices::to_vector() const {
    if (on_host) return *on_host;
    std::vector<int32_t> values(static_cast<size_t>(numel()));
    copy_bytes(values.data(), Device::cpu, data(), device(), values.size() * sizeof(int32_t));
    return values;
}

void Indices::require_below(const char* op, int64_t bound) const {
    const std::vector<int32_t> values = to_vector();
    for (size_t i = 0; i < values.size(); i++) {
        if (values[i] < 0 || values[i] >= bound) {
            throw ValueError(std::string(op) + ": index " + std::to_string(values[i]) + " at position " +
                             std::to_string(i) + " is outside [0, " + std::to_string(bound) + ")");
        }
    }
}

}  // namespace koine
