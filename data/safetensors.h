// safetensors, the format of the weights here and of most published ones: its header.
//
//   n        64-bit, little-endian: the length of the header
//   header   JSON of n bytes: {"__metadata__": {"epoch": "3"}, "fc.weight": {"dtype": "F32", "shape": [2, 3],
//            "data_offsets": [0, 24]}, ...}
//   payload  the values of all tensors, row-major, little-endian, without holes; offsets count from its first byte
// Source: the format description in the README of the safetensors project. What the values mean is dtype.h; whole files
// are read by safetensors_file.h and written by nn/checkpoint.h.
#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/dtype.h"
#include "tensor/shape.h"

namespace koine {

/// Limits of what is accepted: a header of 100 MB (the format's own limit), 100 000 tensors in a file (with more, their
/// entries could take more memory than twice the file and 16 MB).
inline constexpr uint64_t kMaxHeaderBytes = 100'000'000;
inline constexpr size_t kMaxTensors = 100'000;

struct SafetensorsEntry {
    std::string name;  ///< any text: never used as a path
    DType dtype = kRealDType;
    Shape shape;
    uint64_t begin = 0, end = 0;  ///< of the values, in bytes of the payload
};

struct SafetensorsHeader {
    std::vector<SafetensorsEntry> tensors;  ///< in the order of the payload
    std::map<std::string, std::string> metadata;
    std::vector<std::string> warnings;  ///< odd but harmless: fields that nobody knows
};

/// The length of the header of a file of file_bytes bytes, from its first eight (or fewer). Throws DataError: TRUNC,
/// LIMIT, OVERFLOW, SYNTAX.
uint64_t safetensors_header_length(std::span<const uint8_t> start, uint64_t file_bytes, const std::string& file);

/// Reads a header; payload_bytes is the number of bytes behind it. Strict: throws DataError unless every tensor has its
/// three fields, once each, of the right kind, as many bytes as shape and type need, and all of them together cover the
/// payload exactly: DTYPE, DUP, LIMIT, MISSING, OFFSET, OVERFLOW, SHAPE, SYNTAX, UTF8. Memory follows what is there.
SafetensorsHeader parse_safetensors_header(std::string_view json, uint64_t payload_bytes, const std::string& file);

/// The length and the header, padded with blanks so that the payload begins at a multiple of 8 bytes. Throws ValueError
/// for text that is not UTF-8, for two tensors of one name, and for one that is called "__metadata__".
std::string format_safetensors_header(const SafetensorsHeader& header);

}  // namespace koine
