// What the parts of koine_bench share: the clock, and the form of a result.
#pragma once
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "tensor/device.h"

namespace koine::bench {

/// Where the steps run: what DEVICE in the environment says, cpu or cuda. Throws DeviceError when it cannot be used,
/// ValueError for anything else.
Device device();

/// Seconds that f() takes.
template <class F>
double seconds(F&& f) {
    const auto begin = std::chrono::steady_clock::now();
    f();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// The median of the seconds of n calls.
template <class F>
double median_seconds(int n, F&& f) {
    std::vector<double> times;
    for (int i = 0; i < n; i++) times.push_back(seconds(f));
    std::nth_element(times.begin(), times.begin() + n / 2, times.end());
    return times[size_t(n / 2)];
}

/// One result, as run.sh and peer.py know it: workload, quantity, value.
inline void print_result(const std::string& workload, const char* quantity, double value) {
    std::printf("%s %s %.4f\n", workload.c_str(), quantity, value);
    std::fflush(stdout);
}

/// One training step, or one run of a model; returns the loss, or a number that stands for the result.
using Step = std::function<double()>;
/// Prints the median of n_steps after some to warm up, and what `gflop` is of one. Throws Error when a step after the
/// first ones allocates memory, unless it `may_allocate`.
void time_step(const char* name, const Step& step, int n_steps, double gflop, bool may_allocate = false);
Step encoder_pass();                  ///< roberta-base on 128 texts
Step encoder_step(double p_dropout);  ///< a training step of a small encoder on 64 texts

void bench_ops();           ///< every row of the op table, in us
void bench_gemm();          ///< square products
void bench_mlp();           ///< a step of a fully connected auto-encoder
void bench_ae();            ///< a step of the relative auto-encoder of experiments/ae_stitch.cpp
void bench_convnet();       ///< a step of the classifier of experiments/latent_similarity.cpp
void bench_cnn();           ///< a step of a larger one, with twice the channels
void bench_encoder();       ///< vectors of 128 texts from roberta-base
void bench_encoder_step();  ///< a step of a small encoder with its dropout
void bench_vectors();       ///< reading word vectors, beside gensim where word_vectors_peer.py calls it
void print_losses();  ///< the first losses of mlp, ae, convnet and the encoders, whose weights come from a formula: a
                      ///< peer must have the same

}  // namespace koine::bench
