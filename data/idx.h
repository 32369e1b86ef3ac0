// IDX, the file format of MNIST and its relatives: a magic number, the extents, then the values.
//
//   00 00  type  rank     type 08 = unsigned byte; the others (09 0B 0C 0D 0E) exist but hold no images: refused
//   extent x rank         32-bit, big-endian
//   values                row-major, one byte each
// Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits". Nothing here knows where files
// are or what they mean: see datasets.h.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "data/gzip.h"

namespace koine {

/// The largest IDX file that is accepted: 2 GiB of values, 45 times MNIST's images.
inline constexpr uint64_t kMaxIdxBytes = uint64_t{1} << 31;

/// Extents, one to three of them, and values in row-major order; values.size() is the product of dims.
struct Idx {
    std::vector<int64_t> dims;
    std::vector<uint8_t> values;
};

/// Reads an IDX file of unsigned bytes, gzip or plain. A first extent of 0 is refused unless `empty_ok`.
/// Throws DataError: IO, MAGIC, DTYPE, SHAPE, TRUNC, LIMIT, OVERFLOW, SYNTAX (bytes behind the values), and what
/// GzipReader throws. Memory follows the data that is really there, never what the header claims.
Idx read_idx(const std::string& path, bool empty_ok = false);
Idx read_idx(GzipReader& in, bool empty_ok = false);

/// Images with one label each: [N, H, W], or [N, C, H, W], one colour after the other.
struct LabelledImages {
    Idx images;
    std::vector<uint8_t> labels;
};

/// Reads two IDX files that belong together. Throws as read_idx does, and DataError: SHAPE when the ranks are not 3 and
/// 1 or the counts differ, VALUE (naming the record) when a label is not below n_classes.
LabelledImages read_labelled_images(const std::string& images_path, const std::string& labels_path, int n_classes);

}  // namespace koine
