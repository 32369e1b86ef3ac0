// The two lists that the pickle machine goes by: the instructions that it knows, and the names. What is on neither is
// refused. See pickle.h.
#pragma once
#include <algorithm>
#include <array>
#include <string_view>

#include "data/pickle.h"

namespace koine {

/// What torch.save writes, and LONG4 and SHORT_BINSTRING for its oldest files.
enum PickleOpcode : uint8_t {
    kMark = '(',
    kStop = '.',
    kNone = 'N',
    kNewTrue = 0x88,
    kNewFalse = 0x89,
    kBinInt = 'J',
    kBinInt1 = 'K',
    kBinInt2 = 'M',
    kLong1 = 0x8a,
    kLong4 = 0x8b,
    kBinFloat = 'G',
    kBinUnicode = 'X',
    kShortBinString = 'U',
    kEmptyTuple = ')',
    kTuple1 = 0x85,
    kTuple2 = 0x86,
    kTuple3 = 0x87,
    kTuple = 't',
    kEmptyList = ']',
    kAppend = 'a',
    kAppends = 'e',
    kEmptyDict = '}',
    kSetItem = 's',
    kSetItems = 'u',
    kBinPut = 'q',
    kLongBinPut = 'r',
    kBinGet = 'h',
    kLongBinGet = 'j',
    kProto = 0x80,
    kGlobal = 'c',
    kReduce = 'R',
    kBuild = 'b',
    kBinPersId = 'Q',
};

/// Instructions that are refused, by name: those that import or call, and those of other protocols.
struct RefusedOpcode {
    uint8_t opcode;
    const char* name;
};
inline constexpr std::array kRefusedOpcodes{
    RefusedOpcode{0x93, "STACK_GLOBAL"}, RefusedOpcode{'i', "INST"},       RefusedOpcode{'o', "OBJ"},
    RefusedOpcode{0x81, "NEWOBJ"},       RefusedOpcode{0x92, "NEWOBJ_EX"}, RefusedOpcode{0x82, "EXT1"},
    RefusedOpcode{0x83, "EXT2"},         RefusedOpcode{0x84, "EXT4"},      RefusedOpcode{'P', "PERSID"},
    RefusedOpcode{'2', "DUP"},           RefusedOpcode{'0', "POP"},        RefusedOpcode{'1', "POP_MARK"},
    RefusedOpcode{0x95, "FRAME"},        RefusedOpcode{0x94, "MEMOIZE"},   RefusedOpcode{'d', "DICT"},
    RefusedOpcode{'l', "LIST"},          RefusedOpcode{0x8f, "EMPTY_SET"}, RefusedOpcode{0x97, "NEXT_BUFFER"},
};

/// The names that stand for something, and nothing else does.
struct PickleGlobal {
    std::string_view module, name;
    PickleValue value;
};
inline const std::array kPickleGlobals{
    PickleGlobal{"collections", "OrderedDict", PickleFunction::ordered_dict},
    PickleGlobal{"torch", "Size", PickleFunction::size},
    PickleGlobal{"torch._utils", "_rebuild_tensor_v2", PickleFunction::rebuild_tensor},
    PickleGlobal{"torch._utils", "_rebuild_parameter", PickleFunction::rebuild_parameter},
    PickleGlobal{"torch", "DoubleStorage", PickleStorageType{DType::f64}},
    PickleGlobal{"torch", "FloatStorage", PickleStorageType{DType::f32}},
    PickleGlobal{"torch", "HalfStorage", PickleStorageType{DType::f16}},
    PickleGlobal{"torch", "BFloat16Storage", PickleStorageType{DType::bf16}},
    PickleGlobal{"torch", "LongStorage", PickleStorageType{DType::i64}},
    PickleGlobal{"torch", "IntStorage", PickleStorageType{DType::i32}},
    PickleGlobal{"torch", "ShortStorage", PickleStorageType{DType::i16}},
    PickleGlobal{"torch", "CharStorage", PickleStorageType{DType::i8}},
    PickleGlobal{"torch", "ByteStorage", PickleStorageType{DType::u8}},
    PickleGlobal{"torch", "BoolStorage", PickleStorageType{DType::boolean}},
};

/// The kinds that PyTorch has and this program has not: quantised, sparse, complex, without a type.
inline bool is_known_torch_kind(std::string_view module, std::string_view name) {
    const bool is_identifier = std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    });
    return is_identifier && ((module == "torch._utils" && name.starts_with("_rebuild_")) ||
                             ((module == "torch" || module == "torch.storage") && name.ends_with("Storage")));
}

}  // namespace koine
