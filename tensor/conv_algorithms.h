// The algorithms behind conv.h, by name: for conv.cpp, which chooses one by shape, and for the tests, which try each.
#pragma once
#include <omp.h>

#include "tensor/conv.h"
#include "tensor/storage.h"

namespace koine {

enum class ConvAlgorithm {
    patches,    ///< a matrix product with the patches of the input; its gradient gathers from patches. Any shape
    twin,       ///< the same for the twin convolution (below), forward and input gradient exchanged: stride 1
    positions,  ///< positions.h: products for each place of a small map, without patches. Any shape
    direct,     ///< direct.h: sums in place, for one output channel or a few; forward and weight gradient, no dilation
    winograd,   ///< winograd.h: 3 x 3 taps of stride 1, 3 x 3 and 4 x 4 taps of stride 2
};
enum class ConvProduct { forward, input_grad, weight_grad };

/// Whether the algorithm can compute this product of a convolution at all.
bool can_use(ConvAlgorithm algorithm, ConvProduct product, const ConvShape& s);

/// The algorithm that the functions of conv.h take.
ConvAlgorithm choose_algorithm(ConvProduct product, Device device, const ConvShape& s);

/// As in conv.h, with the algorithm given; can_use must hold.
void conv_forward(ConvAlgorithm algorithm, Device device, const ConvShape& s, const real* x, const real* w, real* y,
                  const RowsDone& done = {});
void conv_input_grad(ConvAlgorithm algorithm, Device device, const ConvShape& s, const real* dy, const real* w,
                     real beta, real* dx, const RowsDone& done = {});
void conv_weight_grad(ConvAlgorithm algorithm, Device device, const ConvShape& s, const real* x, const real* dy,
                      real beta, real* dw);

/// The convolution that reads what s writes, and writes what s reads, for s of stride 1: its kernel is that of s,
/// flipped, with o and c exchanged. The forward pass of one is the input gradient of the other.
ConvShape twin(const ConvShape& s);

inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// The images of a weight gradient in groups, each with sums of its own that are added in order: up to 32 groups, by
/// the number of output pixels.
struct ImageGroups {
    explicit ImageGroups(const ConvShape& s)
        : size(std::max<int64_t>(divide_up(s.n, n_wanted(s)), 1)), count(divide_up(s.n, size)) {}
    static int64_t n_wanted(const ConvShape& s) { return std::clamp<int64_t>(s.n * s.pixels_out() / 256, 1, 32); }

    int64_t size, count;
};

/// sum[n] = beta sum + the parts[n_groups, n], added in order.
void add_groups(Device device, int64_t n, int64_t n_groups, const real* parts, real beta, real* sum);

/// n numbers from the pool.
struct Scratch {
    Scratch(Device device, int64_t n) : storage(device, size_t(n) * sizeof(real)) {}
    real* data() const { return static_cast<real*>(storage.ptr); }

    Storage storage;
};

/// n numbers for each thread that may ask for them. Taken before the tasks begin, so that what the pool must hold does
/// not depend on how many of them happen to run at once.
struct ThreadScratch {
    ThreadScratch(Device device, int64_t n)
        : n_slices(device == Device::cpu && !in_task ? omp_get_max_threads() : 1),
          slice((n + 63) / 64 * 64),
          all(device, n_slices * slice) {}
    /// The calling thread's.
    real* mine() const { return all.data() + (n_slices == 1 ? 0 : omp_get_thread_num()) * slice; }

    int64_t n_slices, slice;
    Scratch all;
};

}  // namespace koine
