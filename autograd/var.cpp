#include "autograd/var.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>

namespace koine {
namespace {

std::atomic<int64_t> next_id{0};
thread_local bool no_grad = false;

struct AddInto {
    real* p;
    const real* v;
    HD void operator()(int64_t i) const { p[i] += v[i]; }
};

}  // namespace

Node::Node(const char* op_, const Shape& shape_, Device device_)
    : id(next_id++), op(op_), shape(shape_), device(device_) {}

Node::~Node() {
    // A long graph that was never walked would otherwise be destroyed by one recursive call per node.
    std::vector<NodePtr> doomed = std::move(inputs);
    while (!doomed.empty()) {
        NodePtr node = std::move(doomed.back());
        doomed.pop_back();
        if (node && node.use_count() == 1) {
            for (NodePtr& input : node->inputs) doomed.push_back(std::move(input));
            node->inputs.clear();
        }
    }
}

// ---- gradients ----

bool Grads::wants(int i) const { return node.inputs[size_t(i)] != nullptr; }

GradSlot Grads::slot(int i) {
    Node& input = *node.inputs[size_t(i)];
    if (!input.grad.is_defined()) input.grad = Tensor::empty(input.shape, input.device);
    const GradSlot s{input.grad.data(), input.has_grad ? real(1) : real(0)};
    input.has_grad = true;
    return s;
}

Tensor Grads::tensor(int i) const { return node.inputs[size_t(i)]->grad; }

void Grads::add(int i, const Tensor& dx) {
    Node& input = *node.inputs[size_t(i)];
    if (!input.has_grad) {
        slot(i);
        input.grad.copy_from(dx);
    } else {
        const Tensor addend = dx.contiguous();
        for_each(input.device, addend.numel(), AddInto{input.grad.data(), addend.data()});
    }
}

void Grads::adopt(int i, Tensor dx) {
    Node& input = *node.inputs[size_t(i)];
    // A leaf's gradient has a home of its own; a view of something else's memory cannot be written to later.
    if (input.grad.is_defined() || !input.backward || !dx.is_contiguous()) return add(i, dx);
    input.grad = std::move(dx);
    input.has_grad = true;
}

// ---- Var ----

Var Var::parameter(Tensor value, Tensor grad) {
    Var v(std::move(value));
    v.node = std::make_shared<Node>("parameter", v.value.shape, v.value.device());
    v.node->grad = std::move(grad);
    return v;
}

Tensor Var::grad() const {
    if (!node) throw Error("grad: this Var is a constant: nothing upstream of it is a parameter");
    return node->has_grad ? node->grad : Tensor::zeros(value.shape, value.device());
}

void Var::zero_grad() const {
    if (node) node->has_grad = false;
}

NoGrad::NoGrad() : was_active(no_grad) { no_grad = true; }
NoGrad::~NoGrad() { no_grad = was_active; }
bool NoGrad::is_active() { return no_grad; }

// ---- recording ----

bool should_record(std::initializer_list<const Var*> inputs) {
    return !no_grad && std::any_of(inputs.begin(), inputs.end(), [](const Var* x) { return x->needs_grad(); });
}
bool should_record(const std::vector<Var>& inputs) {
    return !no_grad && std::any_of(inputs.begin(), inputs.end(), [](const Var& x) { return x.needs_grad(); });
}

bool& anomaly_mode() {
    static bool is_on = [] {
        const char* value = std::getenv("KOINE_ANOMALY");
        return value && std::string(value) == "1";
    }();
    return is_on;
}

namespace {

void check_finite(const std::string& what, const Tensor& t) {
    const std::vector<real> values = t.to_vector();
    for (size_t i = 0; i < values.size(); i++) {
        if (std::isfinite(values[i])) continue;
        throw NonFiniteError(what + " " + t.shape.str() + " holds " + std::to_string(values[i]) + " at position " +
                             std::to_string(i));
    }
}

}  // namespace

namespace {

int64_t bytes_of(const Shape& shape) { return shape.numel() * int64_t(sizeof(real)); }

// A view moves nothing.
int64_t bytes_read(const Tensor& y, const Tensor& x) {
    return x.is_defined() && x.storage != y.storage ? bytes_of(x.shape) : 0;
}

void observe(const char* op, const Tensor& y, int64_t n_bytes_read) {
    if (anomaly_mode()) check_finite(op + std::string(": output"), y);
    if (profile_mode()) profile_default_bytes(n_bytes_read > 0 ? n_bytes_read + bytes_of(y.shape) : 0, y.device());
}

}  // namespace

void observe(const char* op, const Tensor& y, std::initializer_list<const Var*> inputs) {
    int64_t n = 0;
    for (const Var* x : inputs) n += bytes_read(y, x->value);
    observe(op, y, n);
}
void observe(const char* op, const Tensor& y, const std::vector<Var>& inputs) {
    int64_t n = 0;
    for (const Var& x : inputs) n += bytes_read(y, x.value);
    observe(op, y, n);
}

Var record_node(const char* op, Tensor y, std::vector<NodePtr> inputs, Backward f) {
    Var v(std::move(y));
    v.node = std::make_shared<Node>(op, v.value.shape, v.value.device());
    v.node->inputs = std::move(inputs);
    v.node->backward = std::move(f);
    return v;
}

// ---- the engine ----

namespace {

// The gradient of the output, and those of the inputs.
int64_t bytes_moved(const Tensor& dy, const std::vector<NodePtr>& inputs) {
    int64_t n = 0;
    for (const NodePtr& input : inputs) {
        if (input && input->grad.storage != dy.storage) n += bytes_of(input->shape);
    }
    return n > 0 ? n + bytes_of(dy.shape) : 0;
}

}  // namespace

void backward(const Var& loss) {
    if (loss.value.numel() != 1)
        throw ShapeError("backward: the loss has shape " + loss.shape().str() + "; want one element");
    backward(loss, Tensor::full(loss.shape(), 1, loss.device()));
}

void backward(const Var& y, const Tensor& dy) {
    if (!y.node) throw Error("backward: the loss does not depend on any parameter (or was computed under NoGrad)");
    if (!(dy.shape == y.shape())) throw ShapeError("backward: dy " + dy.shape.str() + " for y " + y.shape().str());

    // The newest node first. Ids grow with time, so all users of a value come before the op that made it, and its
    // gradient is complete when its turn comes. A heap and not recursion: graphs may be deep.
    const auto is_older = [](const NodePtr& a, const NodePtr& b) { return a->id < b->id; };
    std::vector<NodePtr> heap{y.node};
    if (y.node->is_released) throw Error("backward: the graph of this loss was freed by an earlier backward()");
    y.node->grad = dy.clone();
    y.node->has_grad = true;
    while (!heap.empty()) {
        std::pop_heap(heap.begin(), heap.end(), is_older);
        const NodePtr node = std::move(heap.back());
        heap.pop_back();
        // A node is pushed once per use; the copies come out of the heap one after the other.
        while (!heap.empty() && heap.front() == node) {
            std::pop_heap(heap.begin(), heap.end(), is_older);
            heap.pop_back();
        }
        if (node->is_released) {
            throw Error(std::string("backward: the graph below ") + node->op + " was freed by an earlier backward()");
        }
        if (!node->backward) continue;  // a leaf keeps its gradient
        const Tensor node_dy = std::move(node->grad);
        const Backward f = std::move(node->backward);
        Grads grads(*node);
        {
            const Profiled scope(node->op, Profiled::Pass::backward);
            f(node_dy, grads);
            if (profile_mode()) profile_default_bytes(bytes_moved(node_dy, node->inputs), node->device);
        }
        if (anomaly_mode()) {
            for (size_t i = 0; i < node->inputs.size(); i++) {
                if (!grads.wants(int(i)) || !node->inputs[i]->has_grad) continue;
                check_finite(node->op + std::string(": gradient of input ") + std::to_string(i), node->inputs[i]->grad);
            }
        }
        node->is_released = true;
        node->has_grad = false;
        node->backward = nullptr;
        for (NodePtr& input : node->inputs) {
            if (!input) continue;
            heap.push_back(std::move(input));
            std::push_heap(heap.begin(), heap.end(), is_older);
        }
        node->inputs.clear();
    }
}

}  // namespace koine
