// Module: something with parameters that maps x to y; and Visitor, through which everything else is written once.
//
// A module says what it consists of in one place, visit():
//
//   struct TwoLayers : Module {
//       Linear hidden, out;
//       explicit TwoLayers(Generator& gen) : hidden(gen, 784, 256), out(gen, 256, 10) {}
//       Var forward(const Var& x) override { return out(gelu(hidden(x))); }
//       void visit(Visitor& v) override { v("hidden", hidden); v("out", out); }
//   };
//
// Names, counts, saving, strict loading, moving to a device, freezing and the flat parameter buffer are visitors over
// that list. Names are PyTorch's ("hidden.weight"). No layers here: see layers.h. No files: see checkpoint.h.
//
// Reading order: var.h, ops.h, this file, then layers.h and optim.h.
#pragma once
#include <concepts>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "autograd/ops.h"

namespace koine {

class Visitor;
struct Module;

struct NamedTensor {
    std::string name;
    Tensor tensor;
};
/// Parameters and buffers by name, in the order of visit().
using StateDict = std::vector<NamedTensor>;
/// Whole numbers that belong to a state: the steps of an optimiser, the calls of a dropout.
using Counters = std::map<std::string, uint64_t>;

/// Whatever can list its state: modules and optimisers.
struct Stateful {
    Stateful() = default;
    // Moved, never copied: a copy would share parameters with the original until one of the two is flattened.
    Stateful(Stateful&&) = default;
    Stateful& operator=(Stateful&&) = default;
    virtual ~Stateful() = default;

    /// Names every part: v("weight", parameter), v("running_mean", buffer), v("n_steps", counter), v("encoder", child).
    virtual void visit(Visitor& v) = 0;

    /// Parameters and buffers. The tensors share memory with the parts: clone() what must not change.
    StateDict state();
    Counters counters();
    /// Copies a state into the parts, where they are. Strict: throws CheckpointError, having changed nothing, unless
    /// names and shapes are exactly those of state(), and lists all that is missing, unexpected and mis-shaped.
    /// Counters are left alone when none are given. `source` is what the message calls the state.
    void load(const StateDict& from, const Counters* from_counters = nullptr, const std::string& source = "the state");
};

/// Sees every part of a Stateful with its full name. Override what is of interest.
class Visitor {
public:
    virtual ~Visitor() = default;
    /// A parameter; one that is not there (no bias) is passed over.
    void operator()(const std::string& name, Var& w);
    /// A buffer: state that no gradient reaches.
    void operator()(const std::string& name, Tensor& t);
    void operator()(const std::string& name, uint64_t& n);
    /// A child: its parts follow, their names behind "name.".
    void operator()(const std::string& name, Module& child);
    /// A tensor that is no state (neither learnt nor saved), but has to be where the parameters are; may be undefined.
    virtual void constant(Tensor& /*t*/) {}

protected:
    virtual void parameter(const std::string& /*name*/, Var& /*w*/) {}
    virtual void buffer(const std::string& /*name*/, Tensor& /*t*/) {}
    virtual void counter(const std::string& /*name*/, uint64_t& /*n*/) {}
    virtual void enter(Module& /*child*/) {}

private:
    std::string prefix;
};

/// A parameter and its full name.
struct NamedVar {
    std::string name;
    Var var;
};

struct Module : Stateful {
    /// y of x. Modules that take something else (Embedding) have an operator() of their own; this one then throws
    /// Error.
    virtual Var forward(const Var& x);
    Var operator()(const Var& x) { return forward(x); }
    /// The activation that this module is and nothing else, or none: a module in front of it may take its work over.
    virtual Activation as_activation() const { return Activation::none; }
    /// act(forward(x)) in one pass over memory, where a module can do that; undefined where it cannot.
    virtual Var forward_with(const Var& /*x*/, Activation /*act*/) { return Var(); }

    bool training = true;  ///< batch statistics and dropout; independent of NoGrad
    /// Sets `training` here and in all children.
    void train(bool is_training = true);
    void eval() { train(false); }

    /// All parameters, frozen ones too; those that two names share come once. The Vars are handles to the module's own.
    std::vector<NamedVar> parameters();
    /// How many numbers the parameters hold.
    int64_t n_parameters();
    /// Moves parameters, buffers and constants. Before FlatParameters, whose buffer stays where it was made, and so
    /// before an optimiser. Throws DeviceError.
    void to(Device device);
    /// Makes every parameter a constant: no gradients, and no optimiser made later will see them.
    void freeze();
};

/// All trainable parameters of one or more modules in one flat buffer, their gradients in another. The modules' Vars
/// and their gradients become views of the two, so that an optimiser step is one loop over n numbers. Each parameter
/// starts on a multiple of kAlign numbers; the gaps hold zeros. Made after to() and freeze(); the last one made over a
/// module is the one that its parameters live in.
struct FlatParameters {
    static constexpr int64_t kAlign = 16;

    /// Throws ValueError when nothing is trainable, DeviceError when the parameters live on different devices.
    FlatParameters(Module& module) : FlatParameters({std::ref(module)}) {}  // NOLINT: implicit, as Adam's argument
    FlatParameters(std::initializer_list<std::reference_wrapper<Module>> modules);

    Tensor values, grads;  ///< [n]
    std::vector<NamedVar> vars;

    /// Forgets all gradients. Writes nothing: the next write to each overwrites.
    void zero_grad() const;
    /// Writes zeros where backward() has not been since zero_grad(), so that `grads` is whole.
    void settle_grads() const;
};

/// The parts of `state` below "prefix.", without it: select(state, "roberta"). What a file of another program has
/// beyond the model (position_ids) is taken out with std::erase_if, by name and in sight.
StateDict select(const StateDict& state, const std::string& prefix);

/// A module that owns others and runs them one after the other; their names are "0", "1", ... A BatchNorm and the
/// activation behind it run as one op.
///
///   Sequential encoder{Conv2d(gen, 1, 32, 3, {.stride = 2, .padding = 1}), BatchNorm2d(32), Gelu(), Flatten()};
///
/// Braces only: C++ evaluates what stands in them from left to right, so a seed gives the same weights everywhere.
class Sequential : public Module {
public:
    /// Any module, moved in.
    struct Child {
        template <std::derived_from<Module> M>
        Child(M module_) : module(std::make_shared<M>(std::move(module_))) {}  // NOLINT: implicit on purpose
        std::shared_ptr<Module> module;
    };

    Sequential(std::initializer_list<Child> children_) : children(children_) {}
    void append(Child child) { children.push_back(std::move(child)); }

    int size() const { return int(children.size()); }
    /// Throws ValueError outside [0, size()).
    Module& operator[](int i);

    Var forward(const Var& x) override;
    void visit(Visitor& v) override;

private:
    std::vector<Child> children;
};

}  // namespace koine
