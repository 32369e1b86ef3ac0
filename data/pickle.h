// What torch.save pickles, read by a machine that can do nothing else.
//
// A pickle is a program for a small stack machine. Python's own machine imports what the program names and calls it:
// whoever writes the file runs code on the reader's computer. This one knows the 33 instructions that torch.save needs,
// and 14 names that stand for records below; there is nothing in it that could be called. Every other
// instruction or name is refused (UNSAFE). It uses no recursion, and its memory follows the length of the pickle.
// Source: the opcode table of Python's pickletools; protocol 2. What the records mean is torch_pickle.h.
#pragma once
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "data/bytes.h"
#include "data/dtype.h"

namespace koine {

/// Limits of what is accepted, as in Trail of Bits' fickling where it has them.
inline constexpr uint64_t kMaxPickleOpcodes = 1'000'000;
inline constexpr size_t kMaxPickleStack = 10'000;
inline constexpr size_t kMaxPickleMemo = 100'000;
inline constexpr uint32_t kMaxPickleDepth = 100;
/// Values in a container, those in containers within it counted as often as they occur: an exponential nest is small
/// here, but a program that walks through it would not come to an end.
inline constexpr uint64_t kMaxPickleValues = 10'000'000;

struct PickleNone {};
struct PickleTuple;
struct PickleList;
struct PickleDict;
struct PickleStorage;
struct PickleTensor;
/// The names that stand for something.
enum class PickleFunction { ordered_dict, size, rebuild_tensor, rebuild_parameter };
/// torch.FloatStorage and its kind.
struct PickleStorageType {
    DType dtype;
};

/// Text views the pickle's bytes; pointers point into the Pickle.
using PickleValue = std::variant<PickleNone, bool, int64_t, double, std::string_view, PickleFunction, PickleStorageType,
                                 PickleTuple*, PickleList*, PickleDict*, PickleStorage*, PickleTensor*>;

/// "a tuple", for messages.
const char* kind_of(const PickleValue& value);

struct PickleItems {
    std::vector<PickleValue> values;
    uint32_t depth = 1;     // containers on the longest way down
    uint64_t n_inside = 0;  // see kMaxPickleValues
};
struct PickleTuple : PickleItems {};
struct PickleList : PickleItems {};
struct PickleDict : PickleItems {                      ///< values: key, value, key, value, ... as they came
    bool is_ordered = false;                           ///< a collections.OrderedDict
    std::vector<std::string_view> ignored_attributes;  ///< names of attributes that the file would set
};
/// A list of numbers that lies elsewhere in the file.
struct PickleStorage {
    DType dtype;
    std::string_view key;
    int64_t numel;
};
/// Numbers of a storage, seen as a tensor. Nothing is checked but that sizes and strides are tuples of whole numbers.
struct PickleTensor {
    const PickleStorage* storage;
    int64_t offset;
    std::vector<int64_t> size, stride;
};

/// What a pickle holds. Containers may contain themselves.
struct Pickle {
    PickleValue root;
    std::deque<PickleTuple> tuples;
    std::deque<PickleList> lists;
    std::deque<PickleDict> dicts;
    std::deque<PickleStorage> storages;  ///< one for each mention
    std::deque<PickleTensor> tensors;

    Pickle() = default;
    Pickle(Pickle&&) = default;  // elements stay where they are; a copy would point into the original
    Pickle& operator=(Pickle&&) = default;
};

/// Reads one pickle; `in` stands behind it then. What it may take in memory is 6 MB and half of file_bytes, the size of
/// the file that it is part of. Throws DataError: UNSAFE, SYNTAX for a program that makes no sense,
/// VALUE for wrong arguments, DTYPE for tensors and storages of kinds that are not read here, LIMIT, OVERFLOW, TRUNC,
/// UTF8.
Pickle read_pickle(ByteReader& in, uint64_t file_bytes);

}  // namespace koine
