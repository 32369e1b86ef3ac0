// What people have on their disks instead of the file that they meant, told by its first bytes.
#pragma once
#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "tensor/error.h"

namespace koine {

struct Stranger {
    std::string_view start;
    const char* what;
};
inline constexpr std::array kStrangers{
    Stranger{"version https://git-lfs", "a Git LFS pointer, not the file itself; fetch it with `git lfs pull`"},
    Stranger{"<!DOCTYPE", "HTML or XML, perhaps the page of the file instead of the file"},
    Stranger{"<!doctype", "HTML or XML, perhaps the page of the file instead of the file"},
    Stranger{"<html", "HTML or XML, perhaps the page of the file instead of the file"},
    Stranger{"<?xml", "HTML or XML, perhaps the page of the file instead of the file"},
    Stranger{"\xff\xfe", "UTF-16 text"},
    Stranger{"\xfe\xff", "UTF-16 text"},
    Stranger{"\x1f\x8b", "gzip; unpack it first"},
    Stranger{"\x89HDF\r\n", "HDF5, the format of TensorFlow and Keras models (tf_model.h5), which is not read here"},
    Stranger{"GGUF", "GGUF, the format of llama.cpp, which is not read here"},
    Stranger{"\x93NUMPY", "a NumPy array, which is not read here"},
    Stranger{"\x81\xa6", "MessagePack, the format of Flax models (flax_model.msgpack), which is not read here"},
};

/// Throws DataError(MAGIC) when `text`, the beginning of a file, is one of these: "is a Git LFS pointer ...; expected
/// EXPECTED". Blanks in front do not hide it.
inline void refuse_strangers(std::string_view text, const std::string& file, const std::string& expected) {
    text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
    for (const auto& [start, what] : kStrangers) {
        if (!text.starts_with(start)) continue;
        throw DataError("MAGIC", file, "byte 0", std::string("is ") + what + "; expected " + expected);
    }
}

}  // namespace koine
