// Checkpoint files: writing without risk, reading without trust; see checkpoint.h.
#include "nn/checkpoint.h"

#include <zlib.h>

#include <charconv>
#include <cmath>
#include <cstdio>
#include <utility>

#include "data/files.h"
#include "data/safetensors_file.h"

namespace koine {
namespace fs = std::filesystem;
namespace {

// Both are in every file that is written here, so that a damaged key cannot pass for a file without a checksum.
constexpr const char* kChecksumKey = "koine.crc32";
constexpr const char* kVersionKey = "koine.version";
constexpr const char* kCounterPrefix = "counter.";

uint32_t crc_of(uint32_t crc, std::span<const uint8_t> bytes) {
    return uint32_t(crc32_z(crc, bytes.data(), bytes.size()));
}
uint32_t crc_of(uint32_t crc, std::string_view text) {
    return crc_of(crc, {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}
std::span<uint8_t> bytes_in(const Tensor& t) {
    return {reinterpret_cast<uint8_t*>(t.data()), size_t(t.numel()) * sizeof(real)};
}
std::string hex(uint32_t crc) {
    char text[9];
    std::snprintf(text, sizeof text, "%08x", unsigned(crc));
    return text;
}

Tensor on_host(const Tensor& t) { return t.to(Device::cpu).contiguous(); }

// ---- reading ------------------------------------------------------------------------------------------------------

// The checksum so far: of the header, which holds the checksum itself, as if it did not.
uint32_t header_crc(SafetensorsHeader header) {
    header.metadata.erase(kChecksumKey);
    return crc_of(0, format_safetensors_header(header));
}

void check_crc(const SafetensorsHeader& header, uint32_t crc, const std::string& path) {
    const auto stated = header.metadata.find(kChecksumKey);
    const std::string expected = stated == header.metadata.end() ? "missing" : stated->second;
    if (expected != hex(crc)) {
        throw DataError("VALUE", path, "",
                        "the file is damaged: its crc32 is " + hex(crc) + ", the one written in it is " + expected);
    }
}

uint64_t whole_number(const std::string& text, const std::string& name, const std::string& source) {
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) {
        throw DataError("VALUE", source, "entry " + name, "is \"" + text + "\", expected a whole number");
    }
    return number;
}

}  // namespace

// ---- Checkpoint ---------------------------------------------------------------------------------------------------

void Checkpoint::add(const std::string& prefix, Stateful& part) {
    for (const auto& [name, tensor] : part.state()) tensors.push_back({prefix + "." + name, tensor});
    for (const auto& [name, n] : part.counters()) set(kCounterPrefix + prefix + "." + name, n);
}

void Checkpoint::restore(const std::string& prefix, Stateful& part) const {
    Counters counters;
    const std::string start = kCounterPrefix + prefix + ".";
    for (const auto& [key, text] : metadata) {
        if (key.starts_with(start)) counters[key.substr(start.size())] = whole_number(text, key, source);
    }
    part.load(select(tensors, prefix), &counters, source + ": the part \"" + prefix + "\"");
}

const std::string& Checkpoint::text(const std::string& name) const {
    const auto found = metadata.find(name);
    if (found == metadata.end()) throw DataError("MISSING", source, "", "has no entry \"" + name + "\"");
    return found->second;
}

uint64_t Checkpoint::number(const std::string& name) const { return whole_number(text(name), name, source); }

void Checkpoint::require_finite() const {
    const std::string problem = first_non_finite(tensors);
    if (!problem.empty()) throw DataError("VALUE", source, "", problem);
}

void save_checkpoint(const fs::path& path, const Checkpoint& checkpoint, bool allow_non_finite) {
    const std::string problem = allow_non_finite ? "" : first_non_finite(checkpoint.tensors);
    if (!problem.empty()) throw NonFiniteError(path.string() + " is not written: " + problem);

    SafetensorsHeader header;
    header.metadata = checkpoint.metadata;
    header.metadata[kVersionKey] = "1";
    uint64_t end = 0;
    std::vector<Tensor> values;
    for (const auto& [name, tensor] : checkpoint.tensors) {
        values.push_back(on_host(tensor));
        const uint64_t begin = end;
        end += bytes_in(values.back()).size();
        header.tensors.push_back({name, kRealDType, tensor.shape, begin, end});
    }
    uint32_t crc = header_crc(header);
    for (const Tensor& t : values) crc = crc_of(crc, bytes_in(t));
    header.metadata[kChecksumKey] = hex(crc);

    const std::string start = format_safetensors_header(header);
    AtomicFile file(path);
    file.write(start);
    for (const Tensor& t : values) file.write({reinterpret_cast<const char*>(t.data()), bytes_in(t).size()});
    file.commit();
}

Checkpoint load_checkpoint(const fs::path& path) {
    SafetensorsFile file(path);
    const SafetensorsHeader& header = file.header();
    const bool has_checksum = header.metadata.contains(kChecksumKey) || header.metadata.contains(kVersionKey);
    if (has_checksum) file.crc = header_crc(header);

    Checkpoint c;
    c.source = file.file();
    c.warnings = file.warnings();
    for (size_t i = 0; i < file.entries().size(); i++) {
        const Tensor t = Tensor::empty(file.entries()[i].shape);
        file.read(i, {t.data(), size_t(t.numel())});
        c.tensors.push_back({file.entries()[i].name, t});
    }
    if (has_checksum) check_crc(header, *file.crc, c.source);
    c.metadata = header.metadata;
    c.metadata.erase(kChecksumKey);
    c.metadata.erase(kVersionKey);
    const std::string problem = first_non_finite(c.tensors);
    if (!problem.empty()) c.warnings.push_back(problem);
    return c;
}

std::string first_non_finite(const StateDict& state) {
    for (const auto& [name, tensor] : state) {
        const Tensor t = on_host(tensor);
        for (int64_t i = 0; i < t.numel(); i++) {
            const real v = t.data()[i];
            if (!std::isfinite(v)) return name + " holds " + std::to_string(v) + " at position " + std::to_string(i);
        }
    }
    return "";
}

uint32_t checksum(const StateDict& state) {
    uint32_t crc = 0;
    for (const auto& [name, tensor] : state) {
        crc = crc_of(crc, name + " " + tensor.shape.str());
        crc = crc_of(crc, bytes_in(on_host(tensor)));
    }
    return crc;
}

}  // namespace koine
