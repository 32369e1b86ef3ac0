// What the parts of koine_bench share: what a workload is, and the form of a result.
#pragma once
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "tensor/device.h"

namespace koine::bench {

/// Where the steps run: what DEVICE in the environment says, cpu or cuda. Throws DeviceError when it cannot be used,
/// ValueError for anything else.
Device device();
/// The end of all that was queued on a GPU.
void finish();
/// The folder for files that take long to make, which the environment names; "" when KOINE_BENCH is not set.
std::string bench_folder();

/// Seconds that f() takes.
template <class F>
double seconds(F&& f) {
    const auto begin = std::chrono::steady_clock::now();
    f();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// The median of some numbers, at least one: the mean of the middle two when they are even.
double median(std::vector<double> values);

/// A number with its name: a fact about a step, or what a peer must find, too.
struct Value {
    std::string quantity;
    double value;
};

/// One training step, one run of a model, one file read; returns the loss, or a number that stands for the result.
using Step = std::function<double()>;

/// What is timed. Nothing is set up before make() is called, and all of it goes with the Step.
struct Workload {
    std::string name;                 ///< "gemm-256"
    std::string group;                ///< what a command line calls it, with others: "gemm"
    std::function<Step()> make = {};  ///< sets it up
    int n_steps = 9;                  ///< of a run by hand
    int n_warm_up = 3;                ///< steps before the first that counts
    /// What is said of a step beside its time, after the steps: "gflop" (billions of multiplications and additions,
    /// counted as direct products), "tokens", ...
    std::function<std::vector<Value>()> facts = {};
    /// What a peer must have, too, before times are compared. Empty when there is nothing to compare.
    std::function<std::vector<Value>()> check = {};
    std::function<void()> before = {};  ///< runs before each step, and is not timed
    bool may_allocate = false;          ///< false: a step after the first ones that allocates memory is an error
    bool is_cpu_only = false;           ///< left out on a GPU
    bool is_default = true;             ///< false: runs by hand only when it is named
};

/// {{"gflop", gflop}}, as Workload::facts.
std::function<std::vector<Value>()> gflop_of(double gflop);
/// The results of the first n steps as loss-1, loss-2, ...
std::vector<Value> losses(const Step& step, int n_steps);

// All workloads of a part.
std::vector<Workload> product_workloads();        ///< ops.cpp: square products
std::vector<Workload> training_workloads();       ///< training.cpp: steps of networks of images
std::vector<Workload> encoder_workloads();        ///< encoder.cpp: vectors of texts, a step of an encoder
std::vector<Workload> space_workloads();          ///< spaces.cpp: relative codes, retrieval
std::vector<Workload> tokenizer_workloads();      ///< texts.cpp: texts to ids
std::vector<Workload> word_vector_workloads();    ///< vectors.cpp: files of word vectors
std::vector<Workload> image_scaling_workloads();  ///< training.cpp: a step against batch and image size
std::vector<Workload> token_scaling_workloads();  ///< encoder.cpp: a pass against tokens
std::vector<Workload> word_scaling_workloads();   ///< vectors.cpp: a file against words

void bench_ops();  ///< ops.cpp: every row of the op table, in us

}  // namespace koine::bench
