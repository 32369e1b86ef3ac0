// Tests that run on the CPU, and once more on a GPU where one can be used. The fake one counts (tests/fake_cuda), so
// every such test runs on a GPU somewhere. Their tag is [cuda].
#pragma once
#include <vector>

#include "tensor/cuda.h"
#include "tests/catch.h"

namespace koine::testing {

/// The CPU, and the GPU if there is one.
inline const std::vector<Device>& devices() {
    static const std::vector<Device> all = [] {
        std::vector<Device> found{Device::cpu};
        if (cuda_report().is_usable) found.push_back(Device::cuda);
        return found;
    }();
    return all;
}

}  // namespace koine::testing

// `const Device device = EACH_DEVICE();` runs the rest of the test case once on every device.
#define EACH_DEVICE() GENERATE(from_range(::koine::testing::devices()))

// Leaves a test case that is about a GPU where there is none.
#define NEED_GPU() \
    if (!::koine::cuda_report().is_usable) SKIP_TEST("no GPU (make fake-cuda runs it): " + ::koine::cuda_report().text)
