// Orders and batches; see batches.h.
#include "data/batches.h"

#include <algorithm>
#include <numeric>
#include <string>

namespace koine {
namespace {

// The streams of the generator that belong to epochs, so that an order shares no numbers with a weight of the same
// seed.
constexpr uint64_t kEpochStreams = uint64_t{0xe90c} << 48;

void check_rows(const char* op, std::span<const int32_t> rows, int64_t n) {
    for (int32_t row : rows) {
        if (row < 0 || row >= n)
            throw ValueError(std::string(op) + ": row " + std::to_string(row) + " of " + std::to_string(n));
    }
}

}  // namespace

std::vector<int32_t> epoch_order(int64_t n, uint64_t seed, int64_t epoch) {
    if (n < 0 || n > INT32_MAX) throw ValueError("epoch_order: " + std::to_string(n) + " samples");
    std::vector<int32_t> order(static_cast<size_t>(n));
    std::iota(order.begin(), order.end(), 0);
    const Random rng{seed, kEpochStreams + uint64_t(epoch)};
    for (size_t i = order.size(); i > 1; i--) std::swap(order[i - 1], order[rng.below(i, uint32_t(i))]);
    return order;
}

Batches::Batches(std::vector<int32_t> order_, int64_t batch_size_, bool drops_last)
    : order(std::move(order_)), batch_size(batch_size_) {
    if (batch_size < 1) throw ValueError("batches of " + std::to_string(batch_size) + " samples; at least 1 is needed");
    const int64_t n = int64_t(order.size());
    n_batches = n / batch_size + (!drops_last && n % batch_size != 0 ? 1 : 0);
}

std::span<const int32_t> Batches::operator[](int64_t i) const {
    if (i < 0 || i >= n_batches) throw ValueError("batch " + std::to_string(i) + " of " + std::to_string(n_batches));
    const int64_t begin = i * batch_size;
    return std::span(order).subspan(size_t(begin), size_t(std::min(batch_size, int64_t(order.size()) - begin)));
}

void require_rows(const char* op, const Tensor& x, std::span<const int32_t> rows) {
    if (x.shape.rank < 1) throw ShapeError(std::string(op) + ": x " + x.shape.str() + "; want [N, ...]");
    if (x.device() != Device::cpu || !x.is_contiguous())
        throw ValueError(std::string(op) + ": x must be contiguous and on the CPU");
    check_rows(op, rows, x.shape[0]);
}

Tensor gather_rows(const Tensor& x, std::span<const int32_t> rows) {
    require_rows("gather_rows", x, rows);
    Shape shape = x.shape;
    shape[0] = int64_t(rows.size());
    Tensor y = Tensor::empty(shape);
    const int64_t row_size = x.shape.product(1, x.shape.rank);
    real* to = y.data();
    for (int32_t row : rows) to = std::copy_n(x.data() + row * row_size, row_size, to);
    return y;
}

Indices gather_rows(std::span<const int32_t> labels, std::span<const int32_t> rows) {
    check_rows("gather_rows", rows, int64_t(labels.size()));
    std::vector<int32_t> y(rows.size());
    std::transform(rows.begin(), rows.end(), y.begin(), [&](int32_t row) { return labels[size_t(row)]; });
    return Indices(y);
}

}  // namespace koine
