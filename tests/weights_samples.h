// Small files of weights, made in memory.
#pragma once
#include <bit>
#include <map>

#include "data/safetensors.h"
#include "tests/data_samples.h"

namespace koine::testing {

struct SampleTensor {
    std::string name;
    Shape shape;
    std::vector<float> values;
};

/// A safetensors file of F32 tensors.
inline Bytes safetensors_file(const std::vector<SampleTensor>& tensors) {
    SafetensorsHeader header;
    Bytes payload;
    for (const auto& [name, shape, values] : tensors) {
        const uint64_t begin = payload.size();
        for (float v : values) {
            const auto bits = std::bit_cast<uint32_t>(v);
            for (int shift : {0, 8, 16, 24}) payload.push_back(uint8_t(bits >> shift));
        }
        header.tensors.push_back({name, DType::f32, shape, begin, payload.size()});
    }
    return bytes_of(format_safetensors_header(header)) + payload;
}

/// {"weight_map": {...}}.
inline Bytes shard_index(const std::map<std::string, std::string>& weight_map) {
    std::string text = "{\"metadata\": {\"total_size\": 1}, \"weight_map\": {";
    const char* comma = "";
    for (const auto& [name, file] : weight_map) {
        text += comma + ("\"" + name + "\": \"" + file) + "\"";
        comma = ", ";
    }
    return bytes_of(text + "}}");
}

}  // namespace koine::testing
