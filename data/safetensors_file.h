// A safetensors file: its header in memory, its values read one tensor at a time. The one reader of the format: model
// files come through weights.h, our own checkpoints through nn/checkpoint.h, which adds a checksum.
#pragma once
#include <optional>

#include "data/bytes.h"
#include "data/safetensors.h"
#include "data/weights.h"

namespace koine {

class SafetensorsFile : public WeightFile {
public:
    /// Reads the header. Throws DataError: IO, and what safetensors_header_length and parse_safetensors_header throw.
    explicit SafetensorsFile(const std::filesystem::path& file);
    void read(size_t i, std::span<real> out) override;

    const SafetensorsHeader& header() const { return head; }
    /// When set, read() continues this CRC-32 with the bytes of the values, as they are in the file.
    std::optional<uint32_t> crc;

private:
    void take(uint64_t offset, std::span<uint8_t> bytes);

    InputFile input;
    SafetensorsHeader head;
    uint64_t payload = 0;  // where it begins in the file
};

}  // namespace koine
