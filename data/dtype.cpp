// Names, sizes and conversion of types; see dtype.h.
#include "data/dtype.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

namespace koine {
namespace {

static_assert(std::endian::native == std::endian::little, "payloads are little-endian and are read as they are");

struct DTypeRow {
    std::string_view name;
    uint64_t bytes;
};
// In the order of DType.
constexpr std::array kDTypes{
    DTypeRow{"F64", 8}, DTypeRow{"F32", 4}, DTypeRow{"F16", 2},  DTypeRow{"BF16", 2}, DTypeRow{"I64", 8},
    DTypeRow{"U64", 8}, DTypeRow{"I32", 4}, DTypeRow{"U32", 4},  DTypeRow{"I16", 2},  DTypeRow{"U16", 2},
    DTypeRow{"I8", 1},  DTypeRow{"U8", 1},  DTypeRow{"BOOL", 1},
};
constexpr std::array<std::string_view, 8> kUnsupported{"F8_E5M2", "F8_E4M3", "F8_E8M0", "F6_E2M3",
                                                       "F6_E3M2", "F4",      "C64",     "C128"};

// IEEE 754 binary16: 1 sign, 5 exponent, 10 fraction bits. Put where a float has them, exponent and fraction stand for
// the value times 2^-112, because a half counts its exponents from -15 and a float from -127. So one product does it,
// for halves without a leading 1, too: they are floats without one before it. No branch, so the loop is vectorised.
float half_value(uint16_t bits) {
    const uint32_t shifted = uint32_t(bits & 0x7fff) << 13;
    const float finite = std::bit_cast<float>(shifted) * 0x1p112f;
    const float special = std::bit_cast<float>(shifted | 0x7f800000);  // infinity, not a number
    const float size = (bits & 0x7c00) == 0x7c00 ? special : finite;
    return bits & 0x8000 ? -size : size;
}
float bfloat_value(uint16_t bits) { return std::bit_cast<float>(uint32_t(bits) << 16); }

// Whether `real` can stand for a value.
bool fits(double v) { return !std::isfinite(v) || std::isfinite(real(v)); }
template <class T>
bool fits_whole(T v) {
    constexpr int64_t kExact = int64_t{1} << std::numeric_limits<real>::digits;
    if constexpr (std::is_signed_v<T>) return v >= -kExact && v <= kExact;
    return uint64_t(v) <= uint64_t(kExact);
}

template <class T, class Fits, class Value>
size_t decode(std::span<const uint8_t> x, real* y, Fits is_good, Value value_of) {
    const size_t n = x.size() / sizeof(T);
    for (size_t i = 0; i < n; i++) {
        T v;
        std::memcpy(&v, x.data() + i * sizeof(T), sizeof(T));  // payloads need not be aligned
        if (!is_good(v)) return i;
        y[i] = real(value_of(v));
    }
    return n;
}

}  // namespace

std::string_view name_of(DType dtype) { return kDTypes[size_t(dtype)].name; }
uint64_t bytes_of(DType dtype) { return kDTypes[size_t(dtype)].bytes; }

std::optional<DType> dtype_of(std::string_view name) {
    const auto row = std::find_if(kDTypes.begin(), kDTypes.end(), [&](const DTypeRow& r) { return r.name == name; });
    if (row == kDTypes.end()) return std::nullopt;
    return DType(row - kDTypes.begin());
}

bool is_unsupported_dtype(std::string_view name) {
    return std::find(kUnsupported.begin(), kUnsupported.end(), name) != kUnsupported.end();
}

size_t decode_values(DType dtype, std::span<const uint8_t> x, real* y) {
    const auto is_any = [](auto) { return true; };
    const auto is_flag = [](uint8_t v) { return v <= 1; };
    const auto itself = [](auto v) { return v; };
    switch (dtype) {
        case DType::f64: return decode<double>(x, y, fits, itself);
        case DType::f32: return decode<float>(x, y, is_any, itself);
        case DType::f16: return decode<uint16_t>(x, y, is_any, half_value);
        case DType::bf16: return decode<uint16_t>(x, y, is_any, bfloat_value);
        case DType::i64: return decode<int64_t>(x, y, fits_whole<int64_t>, itself);
        case DType::u64: return decode<uint64_t>(x, y, fits_whole<uint64_t>, itself);
        case DType::i32: return decode<int32_t>(x, y, fits_whole<int32_t>, itself);
        case DType::u32: return decode<uint32_t>(x, y, fits_whole<uint32_t>, itself);
        case DType::i16: return decode<int16_t>(x, y, is_any, itself);
        case DType::u16: return decode<uint16_t>(x, y, is_any, itself);
        case DType::i8: return decode<int8_t>(x, y, is_any, itself);
        case DType::u8: return decode<uint8_t>(x, y, is_any, itself);
        case DType::boolean: return decode<uint8_t>(x, y, is_flag, itself);
    }
    return 0;
}

}  // namespace koine
