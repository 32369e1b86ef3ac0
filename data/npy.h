// .npy, NumPy's format for one array: what numpy.load and many other tools read.
// Source: NEP 1 of the NumPy project, "A Simple File Format for NumPy Arrays"; version 1.0 is written.
#pragma once
#include <cstdint>
#include <string>

namespace koine {

/// The bytes in front of a row-major table [rows, cols] of `real`. Their number, 128, does not depend on the table, so
/// that a header can be written once more when the number of rows is known. Throws ValueError for negative numbers.
std::string npy_header(int64_t rows, int64_t cols);

}  // namespace koine
