// The types of values that files of weights hold, by the names that safetensors gives them, and what becomes of them:
// `real`.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "tensor/device.h"

namespace koine {

/// The types that can be read. There are others (eight-bit floats, complex numbers): they are refused by name.
enum class DType { f64, f32, f16, bf16, i64, u64, i32, u32, i16, u16, i8, u8, boolean };

/// "F32", as in the files.
std::string_view name_of(DType dtype);
/// Nothing when there is no such type here.
std::optional<DType> dtype_of(std::string_view name);
/// True for the names of types that safetensors has and this program has not.
bool is_unsupported_dtype(std::string_view name);

uint64_t bytes_of(DType dtype);
/// The type that `real` is written as.
inline constexpr DType kRealDType = sizeof(real) == 8 ? DType::f64 : DType::f32;

/// Converts values; y holds x.size() / bytes_of(dtype) of them. Stops before the first value that `real` cannot stand
/// for (a finite number beyond its range, an integer that it would round, a boolean other than 0 and 1) and returns how
/// many were converted.
size_t decode_values(DType dtype, std::span<const uint8_t> x, real* y);

}  // namespace koine
