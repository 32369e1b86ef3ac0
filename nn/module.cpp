// The visitors behind module.h.
#include "nn/module.h"

#include <algorithm>
#include <set>

#include "nn/names.h"

namespace koine {

// ---- Visitor ------------------------------------------------------------------------------------------------------

void Visitor::operator()(const std::string& name, Var& w) {
    if (w.value.is_defined()) parameter(prefix + name, w);
}

void Visitor::operator()(const std::string& name, Tensor& t) {
    if (t.is_defined()) buffer(prefix + name, t);
}

void Visitor::operator()(const std::string& name, uint64_t& n) { counter(prefix + name, n); }

void Visitor::operator()(const std::string& name, Module& child) {
    enter(child);
    const size_t length = prefix.size();
    prefix += name + ".";
    child.visit(*this);
    prefix.resize(length);
}

namespace {

// ---- state --------------------------------------------------------------------------------------------------------

struct StateVisitor : Visitor {
    StateDict state;
    Counters counters;
    void parameter(const std::string& name, Var& w) override { state.push_back({name, w.value}); }
    void buffer(const std::string& name, Tensor& t) override { state.push_back({name, t}); }
    void counter(const std::string& name, uint64_t& n) override { counters[name] = n; }
};

struct CounterSetter : Visitor {
    const Counters& from;
    explicit CounterSetter(const Counters& from_) : from(from_) {}
    void counter(const std::string& name, uint64_t& n) override { n = from.at(name); }
};

// ---- modules ------------------------------------------------------------------------------------------------------

// Where a parameter's numbers are: two Vars at one place are one parameter under two names.
using Place = const real*;

struct ParameterVisitor : Visitor {
    std::vector<NamedVar> vars;
    std::set<Place> seen;
    void parameter(const std::string& name, Var& w) override {
        if (seen.insert(w.value.data()).second) vars.push_back({name, w});
    }
};

struct ModeSetter : Visitor {
    bool is_training;
    explicit ModeSetter(bool is_training_) : is_training(is_training_) {}
    void enter(Module& child) override { child.training = is_training; }
};

// Puts other Vars in the place of parameters. Parameters that were shared stay shared.
struct Replacer : Visitor {
    std::map<Place, Var> replacement;
    void parameter(const std::string&, Var& w) override {
        const auto found = replacement.find(w.value.data());
        if (found != replacement.end()) w = found->second;
    }
};

struct Mover : Replacer {
    Device device;
    explicit Mover(Device device_) : device(device_) {}
    void buffer(const std::string&, Tensor& t) override { t = t.to(device); }
    void constant(Tensor& t) override {
        if (t.is_defined()) t = t.to(device);
    }
};

// The room of a parameter of n numbers; an empty one has a place of its own, too.
int64_t room(int64_t n) {
    constexpr int64_t kAlign = FlatParameters::kAlign;
    return (std::max<int64_t>(n, 1) + kAlign - 1) / kAlign * kAlign;
}

}  // namespace

StateDict Stateful::state() {
    StateVisitor v;
    visit(v);
    return std::move(v.state);
}

Counters Stateful::counters() {
    StateVisitor v;
    visit(v);
    return std::move(v.counters);
}

void Stateful::load(const StateDict& from, const Counters* from_counters, const std::string& source) {
    StateVisitor mine;
    visit(mine);
    std::map<std::string, const Tensor*> wanted, found;
    for (const auto& [name, tensor] : mine.state) wanted[name] = &tensor;
    NameReport report;
    for (const auto& [name, tensor] : from) {
        if (!found.emplace(name, &tensor).second) report.repeated.push_back(name);
        const auto part = wanted.find(name);
        if (part == wanted.end()) {
            report.unexpected.push_back(name);
        } else if (!(part->second->shape == tensor.shape)) {
            report.mis_shaped.push_back(name + " is " + tensor.shape.str() + ", want " + part->second->shape.str());
        }
    }
    for (const auto& [name, tensor] : mine.state) {
        if (!found.contains(name)) report.missing.push_back(name);
    }
    if (from_counters) {
        for (const auto& [name, n] : *from_counters) {
            if (!mine.counters.contains(name)) report.unexpected.push_back(name);
        }
        for (const auto& [name, n] : mine.counters) {
            if (!from_counters->contains(name)) report.missing.push_back(name);
        }
    }
    if (!report.is_empty()) throw CheckpointError(source + " does not fit:" + report.str());

    for (const auto& [name, tensor] : mine.state) tensor.copy_from(*found[name]);
    if (from_counters) {
        CounterSetter setter(*from_counters);
        visit(setter);
    }
}

Var Module::forward(const Var&) { throw Error("this module has no forward(x): it is called with other arguments"); }

void Module::train(bool is_training) {
    training = is_training;
    ModeSetter v(is_training);
    visit(v);
}

std::vector<NamedVar> Module::parameters() {
    ParameterVisitor v;
    visit(v);
    return std::move(v.vars);
}

int64_t Module::n_parameters() {
    int64_t n = 0;
    for (const NamedVar& p : parameters()) n += p.var.value.numel();
    return n;
}

void Module::to(Device device) {
    Mover mover(device);
    const std::vector<NamedVar> current =
        parameters();  // keeps their memory, and so their places, until all have moved
    for (const auto& [name, var] : current) {
        if (var.device() == device) continue;
        const Tensor moved = var.value.to(device);
        mover.replacement[var.value.data()] = var.needs_grad() ? Var::parameter(moved) : Var(moved);
    }
    visit(mover);
}

void Module::freeze() {
    Replacer v;
    for (const auto& [name, var] : parameters()) v.replacement[var.value.data()] = var.detach();
    visit(v);
}

// ---- FlatParameters -----------------------------------------------------------------------------------------------

FlatParameters::FlatParameters(std::initializer_list<std::reference_wrapper<Module>> modules) {
    ParameterVisitor found;
    for (Module& m : modules) m.visit(found);
    std::erase_if(found.vars, [](const NamedVar& p) { return !p.var.needs_grad(); });
    if (found.vars.empty()) {
        throw ValueError("FlatParameters: there is nothing to train: no parameters, or all are frozen");
    }

    int64_t n = 0;
    const Device device = found.vars[0].var.device();
    for (const auto& [name, var] : found.vars) {
        if (var.device() != device) {
            throw DeviceError("FlatParameters: " + name + " is on " + name_of(var.device()) +
                              ", the first parameter on " + name_of(device));
        }
        n += room(var.value.numel());
    }
    values = Tensor::zeros({n}, device);
    grads = Tensor::zeros({n}, device);

    Replacer replacer;
    int64_t begin = 0;
    for (const auto& [name, var] : found.vars) {
        const int64_t end = begin + var.value.numel();
        const Var flat = Var::parameter(values.slice(0, begin, end).reshape(var.shape()),
                                        grads.slice(0, begin, end).reshape(var.shape()));
        flat.value.copy_from(var.value);
        replacer.replacement[var.value.data()] = flat;
        vars.push_back({name, flat});
        begin += room(var.value.numel());
    }
    for (Module& m : modules) m.visit(replacer);
}

void FlatParameters::zero_grad() const {
    for (const NamedVar& p : vars) p.var.zero_grad();
}

void FlatParameters::settle_grads() const {
    for (const NamedVar& p : vars) {
        if (p.var.node->has_grad) continue;
        p.var.node->grad.fill(0);
        p.var.node->has_grad = true;
    }
}

StateDict select(const StateDict& state, const std::string& prefix) {
    StateDict selected;
    for (const auto& [name, tensor] : state) {
        if (name.starts_with(prefix + ".")) selected.push_back({name.substr(prefix.size() + 1), tensor});
    }
    return selected;
}

// ---- Sequential ---------------------------------------------------------------------------------------------------

Module& Sequential::operator[](int i) {
    if (i < 0 || i >= size()) {
        throw ValueError("Sequential: child " + std::to_string(i) + " of " + std::to_string(size()));
    }
    return *children[size_t(i)].module;
}

Var Sequential::forward(const Var& x) {
    Var y = x;
    for (size_t i = 0; i < children.size(); i++) {
        const Activation next = i + 1 < children.size() ? children[i + 1].module->as_activation() : Activation::none;
        const Var both = next == Activation::none ? Var() : children[i].module->forward_with(y, next);
        const bool is_both = both.value.is_defined();
        y = is_both ? both : children[i].module->forward(y);
        if (is_both) i++;
    }
    return y;
}

void Sequential::visit(Visitor& v) {
    for (int i = 0; i < size(); i++) v(std::to_string(i), (*this)[i]);
}

}  // namespace koine
