// Which samples an epoch visits in which order, and how a batch of them is put together.
//
// The order is a function of (seed, epoch): a run that resumes in epoch 7 sees what the uninterrupted run saw. Nothing
// is loaded or augmented here.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "tensor/tensor.h"

namespace koine {

/// The numbers 0 to n - 1 in an order that depends on seed and epoch alone; every order is equally likely.
/// Fisher & Yates 1938, in place as by Durstenfeld 1964. Throws ValueError unless 0 <= n < 2^31.
std::vector<int32_t> epoch_order(int64_t n, uint64_t seed, int64_t epoch);

/// An order cut into batches: `for (auto rows : Batches(epoch_order(n, seed, epoch), 128)) { ... }`.
class Batches {
public:
    /// The last batch holds what is left over, or is left out with `drops_last`. Throws ValueError unless batch_size
    /// >= 1.
    Batches(std::vector<int32_t> order_, int64_t batch_size_, bool drops_last = false);

    int64_t size() const { return n_batches; }
    /// The samples of batch i. Throws ValueError unless 0 <= i < size().
    std::span<const int32_t> operator[](int64_t i) const;

    struct Iterator {
        const Batches* batches;
        int64_t i;
        std::span<const int32_t> operator*() const { return (*batches)[i]; }
        Iterator& operator++() { return ++i, *this; }
        bool operator!=(const Iterator& other) const { return i != other.i; }
    };
    Iterator begin() const { return {this, 0}; }
    Iterator end() const { return {this, n_batches}; }

private:
    std::vector<int32_t> order;
    int64_t batch_size;
    int64_t n_batches;
};

/// Throws ShapeError for a scalar, ValueError unless x[N, ...] is contiguous and on the CPU, and for the first row
/// outside [0, N); each names `op`.
void require_rows(const char* op, const Tensor& x, std::span<const int32_t> rows);

/// y[B, ...] = rows of x[N, ...], a contiguous tensor on the CPU: the images of a batch.
/// Throws as require_rows.
Tensor gather_rows(const Tensor& x, std::span<const int32_t> rows);

/// The labels of a batch, [B]. Throws ValueError as above.
Indices gather_rows(std::span<const int32_t> labels, std::span<const int32_t> rows);

}  // namespace koine
