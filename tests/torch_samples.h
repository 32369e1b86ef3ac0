// Small files as torch.save writes them, made in memory: a pickle writer, a zip writer that says where everything is,
// so that tests can change single fields, and the legacy layout.
#pragma once
#include <zlib.h>

#include <bit>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "tests/data_samples.h"

namespace koine::testing {

// ---- numbers ------------------------------------------------------------------------------------------------------

/// A number, little-endian.
inline std::string le(uint64_t value, int n_bytes) {
    std::string out;
    for (int i = 0; i < n_bytes; i++, value >>= 8) out += char(value);
    return out;
}
inline void put_le(Bytes& bytes, size_t offset, uint64_t value, int n_bytes) {
    for (int i = 0; i < n_bytes; i++, value >>= 8) bytes[offset + size_t(i)] = uint8_t(value);
}
/// float32, as in a storage.
inline Bytes f32_bytes(const std::vector<float>& values) {
    Bytes out(4 * values.size());
    if (!values.empty()) std::memcpy(out.data(), values.data(), out.size());
    return out;
}

// ---- pickles ------------------------------------------------------------------------------------------------------

namespace pk {
inline const std::string none = "N", yes = "\x88", no = "\x89", empty_tuple = ")", empty_dict = "}", reduce = "R";

inline std::string global(const std::string& module, const std::string& name) {
    return "c" + module + "\n" + name + "\n";
}
inline std::string text(const std::string& t) { return "X" + le(t.size(), 4) + t; }
inline std::string whole(int64_t n) { return "\x8a\x08" + le(uint64_t(n), 8); }
inline std::string tuple(const std::vector<std::string>& values) {
    std::string out = "(";
    for (const std::string& v : values) out += v;
    return out + "t";
}
inline std::string numbers(const std::vector<int64_t>& values) {
    std::vector<std::string> all;
    for (int64_t v : values) all.push_back(whole(v));
    return tuple(all);
}
inline std::string list(const std::vector<std::string>& values) {
    std::string out = "](";
    for (const std::string& v : values) out += v;
    return out + "e";
}
using Items = std::vector<std::pair<std::string, std::string>>;
/// Keys and values are instructions; `start` makes the empty dict.
inline std::string dict(const Items& items, const std::string& start = empty_dict) {
    std::string out = start + "(";
    for (const auto& [key, value] : items) out += key + value;
    return out + "u";
}
inline std::string ordered_dict() { return global("collections", "OrderedDict") + empty_tuple + reduce; }
inline std::string call(const std::string& function, const std::vector<std::string>& arguments) {
    return function + tuple(arguments) + reduce;
}

/// ("storage", torch.FloatStorage, "0", "cpu", 6), and the instruction that makes a storage of it.
inline std::string storage(const std::string& key, int64_t numel, const std::string& type = "FloatStorage") {
    return tuple({text("storage"), global("torch", type), text(key), text("cpu"), whole(numel)}) + "Q";
}
inline std::string tensor(const std::string& storage, int64_t offset, const std::vector<int64_t>& size,
                          const std::vector<int64_t>& stride) {
    return call(global("torch._utils", "_rebuild_tensor_v2"),
                {storage, whole(offset), numbers(size), numbers(stride), no, ordered_dict()});
}
/// {name: value, ...}
inline std::string state(const Items& named) {
    Items items;
    for (const auto& [name, value] : named) items.push_back({text(name), value});
    return dict(items, ordered_dict());
}
/// The whole program that leaves this one value.
inline std::string program(const std::string& value) { return "\x80\x02" + value + "."; }
}  // namespace pk

// ---- zip ----------------------------------------------------------------------------------------------------------

struct ZipSample {
    std::string name;
    Bytes contents;
    bool is_deflated = false;
    bool has_descriptor = true;  ///< as torch.save writes it: sizes behind the contents, zeros before
};

/// An archive, and where its parts are.
struct ZipLayout {
    Bytes bytes;
    std::vector<size_t> local, data, central;  ///< of each entry: the local header, the contents, the central header
    size_t directory = 0, end64 = 0, end = 0;  ///< end64 is 0 without zip64 records
};

inline Bytes deflated(const Bytes& contents) { return deflated(contents, 9, -MAX_WBITS); }

inline ZipLayout zip_archive(const std::vector<ZipSample>& samples, bool has_zip64 = false) {
    ZipLayout out;
    std::string file, directory;
    for (const ZipSample& s : samples) {
        const Bytes packed = s.is_deflated ? deflated(s.contents) : s.contents;
        const std::string numbers =
            le(crc32_z(0, s.contents.data(), s.contents.size()), 4) + le(packed.size(), 4) + le(s.contents.size(), 4);
        const std::string head = le(0, 2) + le(s.has_descriptor ? 8 : 0, 2) + le(s.is_deflated ? 8 : 0, 2) + le(0, 4);
        const std::string lengths = le(s.name.size(), 2) + le(0, 2);
        out.local.push_back(file.size());
        out.central.push_back(directory.size());
        directory +=
            "PK\x01\x02" + le(0, 2) + head + numbers + lengths + le(0, 2 + 2 + 2 + 4) + le(file.size(), 4) + s.name;
        file += "PK\x03\x04" + head + (s.has_descriptor ? std::string(12, '\0') : numbers) + lengths + s.name;
        out.data.push_back(file.size());
        file.append(packed.begin(), packed.end());
        if (s.has_descriptor) file += "PK\x07\x08" + numbers;
    }
    out.directory = file.size();
    for (size_t& at : out.central) at += out.directory;
    file += directory;
    if (has_zip64) {
        out.end64 = file.size();
        file += "PK\x06\x06" + le(44, 8) + le(0, 4) + le(0, 8) + le(samples.size(), 8) + le(samples.size(), 8) +
                le(directory.size(), 8) + le(out.directory, 8);
        file += "PK\x06\x07" + le(0, 4) + le(out.end64, 8) + le(1, 4);
    }
    out.end = file.size();
    file += "PK\x05\x06" + le(0, 4) + le(samples.size(), 2) + le(samples.size(), 2) + le(directory.size(), 4) +
            le(out.directory, 4) + le(0, 2);
    out.bytes = bytes_of(file);
    return out;
}

// ---- whole files --------------------------------------------------------------------------------------------------

using Storages = std::vector<std::pair<std::string, Bytes>>;  ///< key, values

/// The entries of a torch.save file; data.pkl is the first.
inline std::vector<ZipSample> torch_entries(const std::string& program, const Storages& storages) {
    std::vector<ZipSample> entries{
        {"m/data.pkl", bytes_of(program)}, {"m/version", bytes_of("3\n")}, {"m/byteorder", bytes_of("little")}};
    for (const auto& [key, values] : storages) entries.push_back({"m/data/" + key, values});
    return entries;
}
inline Bytes torch_zip(const std::string& program, const Storages& storages) {
    return zip_archive(torch_entries(program, storages), true).bytes;
}

inline const std::string kLegacyMagic("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);
inline std::string legacy_head(const std::string& is_little = pk::yes, int64_t protocol = 1001) {
    return kLegacyMagic + pk::program(pk::whole(protocol)) +
           pk::program(
               pk::dict({{pk::text("protocol_version"), pk::whole(1001)}, {pk::text("little_endian"), is_little}}));
}
/// `item` is the size of a value.
inline Bytes torch_legacy(const std::string& program, const Storages& storages, size_t item = 4) {
    std::vector<std::string> keys;
    std::string values;
    for (const auto& [key, bytes] : storages) {
        keys.push_back(pk::text(key));
        values += le(bytes.size() / item, 8) + std::string(bytes.begin(), bytes.end());
    }
    return bytes_of(legacy_head() + program + pk::program(pk::list(keys)) + values);
}

}  // namespace koine::testing
