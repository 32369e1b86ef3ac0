// Var: a Tensor that remembers how it was computed, and backward(), which walks that memory to find gradients.
//
// Each op computes its result and hands record() a closure that turns the gradient of the result (dy) into gradients
// of the inputs (dx). record() stores the closure in a Node; nodes point to the nodes of their inputs and never the
// other way, and closures hold Tensors only, so the graph has no cycles and frees itself when the last Var dies.
//
// Reading order: tensor.h, this file, then kernels.h and ops_elementwise.cpp. The whole engine is var.cpp.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "autograd/profile.h"
#include "tensor/tensor.h"

namespace koine {

/// Where a kernel puts gradients: p[i] = beta p[i] + v with beta 0 or 1, the convention of BLAS. beta = 0 overwrites
/// whatever was there (NaN too), so that gradients are never cleared first.
struct GradSlot {
    real* p;
    real beta;
    HD void put(int64_t i, real v) const { p[i] = beta != 0 ? p[i] + v : v; }
    /// The same slot, `n` elements further.
    HD GradSlot at(int64_t n) const { return {p + n, beta}; }
};

struct Node;
using NodePtr = std::shared_ptr<Node>;

/// What a backward closure writes to: one gradient per input of its op.
class Grads {
public:
    explicit Grads(Node& node_) : node(node_) {}
    /// False when nothing upstream of input i needs a gradient: leave it alone.
    bool wants(int i) const;
    /// The contiguous gradient of input i, to be written or added to exactly once per closure by the rule of GradSlot.
    GradSlot slot(int i);
    /// The same memory as a Tensor, for ops that write by views. After slot(i).
    Tensor tensor(int i) const;
    /// Adds a whole gradient of any strides to that of input i.
    void add(int i, const Tensor& dx);
    /// Like add, but may keep dx itself, memory and all, when it is the first: for reshape, whose gradient is dy.
    void adopt(int i, Tensor dx);

private:
    Node& node;
};

/// dy is always contiguous.
using Backward = std::function<void(const Tensor& dy, Grads& dx)>;

/// One recorded op, or a leaf (a parameter: no inputs, no closure).
struct Node {
    Node(const char* op_, const Shape& shape_, Device device_);
    ~Node();

    int64_t id;  ///< grows with time: inputs always have smaller ids than what is computed from them
    const char* op;
    Shape shape;
    Device device;
    Tensor grad;                  ///< contiguous; undefined until the first write
    bool has_grad = false;        ///< false: grad holds nothing yet, the next write overwrites
    bool is_released = false;     ///< backward() has been here
    std::vector<NodePtr> inputs;  ///< null for inputs that need no gradient
    Backward backward;
};

class Var {
public:
    Var() = default;
    /// A constant: no gradient flows into it.
    Var(Tensor value_) : value(std::move(value_)) {}  // NOLINT: implicit on purpose, tensors are constants
    /// A leaf whose gradient backward() accumulates. `grad`, when given, is the memory to accumulate in.
    static Var parameter(Tensor value, Tensor grad = {});

    Tensor value;
    NodePtr node;  ///< null when nothing upstream needs a gradient

    const Shape& shape() const { return value.shape; }
    Device device() const { return value.device(); }
    bool needs_grad() const { return node != nullptr; }
    /// The accumulated gradient of a leaf; zeros when there is none yet. Throws Error for a constant.
    Tensor grad() const;
    /// Forgets the gradient of a leaf. Costs nothing: the next write overwrites.
    void zero_grad() const;
    /// The same value, cut off from the graph.
    Var detach() const { return Var(value); }
    /// The value of a one-element Var.
    real item() const { return value.item(); }
};

/// Scope guard: ops record nothing while it lives (on this thread). Independent of a module's train or eval mode.
class NoGrad {
public:
    NoGrad();
    ~NoGrad();
    NoGrad(const NoGrad&) = delete;
    NoGrad& operator=(const NoGrad&) = delete;
    static bool is_active();

private:
    bool was_active;
};

/// True when one of the inputs needs a gradient and NoGrad is off.
bool should_record(std::initializer_list<const Var*> inputs);
bool should_record(const std::vector<Var>& inputs);

/// KOINE_ANOMALY=1 in the environment, or set here: record() scans every output and throws NonFiniteError with op and
/// shape at the first NaN or infinity.
bool& anomaly_mode();

Var record_node(const char* op, Tensor y, std::vector<NodePtr> inputs, Backward backward);
/// What record() does for those who watch: the scan of anomaly_mode(), the bytes of profile_mode().
void observe(const char* op, const Tensor& y, std::initializer_list<const Var*> inputs);
void observe(const char* op, const Tensor& y, const std::vector<Var>& inputs);

/// The only way to make a node. `backward(dy, dx)` writes the gradient of input i to dx.slot(i) if dx.wants(i); it may
/// capture Tensors and numbers, never a Var. When no gradient is needed the closure is never built.
template <class F>
Var record(const char* op, Tensor y, std::initializer_list<const Var*> inputs, F backward) {
    if (anomaly_mode() || profile_mode()) observe(op, y, inputs);
    if (!should_record(inputs)) return Var(std::move(y));
    std::vector<NodePtr> nodes;
    nodes.reserve(inputs.size());
    for (const Var* x : inputs) nodes.push_back(x->node);
    return record_node(op, std::move(y), std::move(nodes), std::move(backward));
}
/// The same for any number of inputs.
template <class F>
Var record(const char* op, Tensor y, const std::vector<Var>& inputs, F backward) {
    if (anomaly_mode() || profile_mode()) observe(op, y, inputs);
    if (!should_record(inputs)) return Var(std::move(y));
    std::vector<NodePtr> nodes;
    nodes.reserve(inputs.size());
    for (const Var& x : inputs) nodes.push_back(x.node);
    return record_node(op, std::move(y), std::move(nodes), std::move(backward));
}

/// Adds d loss / d leaf to the gradient of every leaf below `loss`, and frees the graph on the way.
/// Throws ShapeError unless loss has one element, Error when it depends on no parameter or when its graph was freed by
/// an earlier backward().
void backward(const Var& loss);
/// The same for y of any shape, with the gradient dy of what follows.
void backward(const Var& y, const Tensor& dy);

}  // namespace koine
