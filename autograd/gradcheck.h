// Are the gradients right? A public tool: call it on your own op.
//
//   GradcheckReport r = gradcheck([](const std::vector<Var>& in) { return gelu(in[0]); }, {x});
//   if (!r.passed) std::puts(r.str().c_str());
//
// For y = fn(x) with Jacobian J, and random u (like x) and v (like y): v . (J u) can be had from two evaluations of fn
// (a central difference along u), and (J^T v) . u from one backward pass. They must agree. Two evaluations whatever the
// size: the projection check of HIPS/autograd. When they disagree, the check goes on coordinate by coordinate and names
// the worst one. Central differences lose half of the digits, so this needs float64: build with REAL=double
// (make gradcheck). In a float build gradcheck() throws and says so.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "autograd/var.h"

namespace koine {

struct GradcheckOptions {
    double step = 1e-6;       ///< of the central difference, relative to inputs of size about 1
    double tolerance = 1e-7;  ///< of |numeric - analytic| / max(1, |numeric|, |analytic|)
    int n_directions = 3;     ///< random (u, v) pairs tried
    uint64_t seed = 0;
};

struct GradcheckReport {
    bool passed = false;
    double worst = 0;  ///< the largest relative error over the directions tried
    // The worst coordinate, filled when the check failed:
    int argument = -1;    ///< which input
    int64_t index = -1;   ///< which element of it, row-major
    double analytic = 0;  ///< d (v . y) / d x[index] by backward()
    double numeric = 0;   ///< the same by a central difference
    double step = 0;
    /// One line when it passed, a small table when it failed.
    std::string str() const;
};

using GradcheckFn = std::function<Var(const std::vector<Var>& inputs)>;

/// Checks d fn / d input for every input. `fn` must be deterministic and smooth within `step` of the inputs.
/// Throws Error in a float build, and whatever fn throws.
GradcheckReport gradcheck(const GradcheckFn& fn, const std::vector<Tensor>& inputs,
                          const GradcheckOptions& options = {});

}  // namespace koine
