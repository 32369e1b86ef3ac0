// Which format is it, and models in several files; see weights.h. Readers: safetensors_file.h, torch_pickle.h.
#include "data/weights.h"

#include <algorithm>
#include <map>

#include "data/bytes.h"
#include "data/json.h"
#include "data/safetensors_file.h"
#include "data/strangers.h"

namespace koine {
namespace fs = std::filesystem;
namespace {

// ---- recognising formats ------------------------------------------------------------------------------------------

enum class Format { safetensors, torch, index };

bool is_blank_or_brace(char c) { return c == '{' || c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

// The format, from the first bytes of a file.
Format format_of(std::string_view start, const std::string& file) {
    uint64_t length = 0;  // of the header, if it is safetensors
    for (size_t i = 0; i < 8 && i < start.size(); i++) length |= uint64_t(uint8_t(start[i])) << (8 * i);
    const bool has_length = start.size() >= 8 && length <= kMaxHeaderBytes;
    // A zip archive may begin with a number that is small enough, too: what follows decides.
    if (has_length && start.size() > 8 && is_blank_or_brace(start[8])) return Format::safetensors;
    if (start.starts_with("PK\x03\x04") || start.starts_with("\x80")) return Format::torch;
    if (start.size() > 262 && start.substr(257, 5) == "ustar") return Format::torch;  // a tar archive, which it refuses
    refuse_strangers(start, file, "weights: safetensors, or what torch.save writes");
    if (has_length) return Format::safetensors;  // a damaged one: its reader says how
    const std::string_view bom = "\xef\xbb\xbf";
    const size_t first = start.find_first_not_of(" \t\r\n", start.starts_with(bom) ? bom.size() : 0);
    if (first != start.npos && start[first] == '{') return Format::index;
    if (start.size() < 8) {
        throw DataError("TRUNC", file, "", "has " + std::to_string(start.size()) + " bytes; no model is so short");
    }
    throw DataError("MAGIC", file, "byte 0",
                    "begins with " + shown(start.substr(0, 8)) +
                        "; expected safetensors, what torch.save writes, or the JSON index of such files");
}

Format format_of(const std::string& file) {
    const InputFile input(file);
    std::vector<uint8_t> start(std::min<uint64_t>(512, input.size()));
    input.read_at(0, start, "the first bytes");
    return format_of(std::string_view(reinterpret_cast<const char*>(start.data()), start.size()), file);
}

// ---- shards -------------------------------------------------------------------------------------------------------

// Each is an open file. Models of hundreds of gigabytes have some two hundred.
constexpr size_t kMaxShards = 512;

// {"metadata": {...}, "weight_map": {"embeddings.weight": "model-00001-of-00002.safetensors", ...}}
class ShardedFile : public WeightFile {
public:
    explicit ShardedFile(const fs::path& index) {
        path = index.string();
        const Json json = read_json(index);
        const JsonObject weight_map = JsonObject(json, path).object("weight_map");
        read_map(weight_map);
        open_shards(index.parent_path());
        for (const auto& [shard, at] : shard_at) add_entries(shard, at);
        for (const auto& [name, shard] : shard_of) {
            if (!found_in.contains(name)) weight_map.fail("MISSING", name, "is not in its file, " + shown(shard));
        }
    }

    void read(size_t i, std::span<real> out) override {
        require_length(i, out);
        shards[places[i].shard]->read(places[i].entry, out);
    }

private:
    struct Place {
        size_t shard, entry;
    };
    std::vector<std::unique_ptr<WeightFile>> shards;
    std::vector<Place> places;                    // of each entry of `list`
    std::map<std::string, std::string> shard_of;  // tensor -> file, as the index has it
    std::map<std::string, std::string> found_in;  // tensor -> file, as it is
    std::map<std::string, size_t> shard_at;       // file -> index into `shards`

    // An index comes from elsewhere: it may only name files that lie beside it.
    void read_map(const JsonObject& weight_map) {
        for (const auto& [name, value] : weight_map.json().items()) {
            const std::string& shard = weight_map.text(name);
            const bool has_path = shard.find_first_of(std::string_view("/\\\0", 3)) != shard.npos;
            if (shard.empty() || shard == "." || shard == ".." || has_path) {
                weight_map.fail("UNSAFE", name,
                                "names the file " + shown(shard) + "; expected one beside the index, without a path");
            }
            shard_of[name] = shard;
            shard_at[shard] = 0;
        }
        if (shard_at.size() > kMaxShards) {
            throw DataError("LIMIT", path, "field weight_map",
                            "names " + std::to_string(shard_at.size()) + " files; at most " +
                                std::to_string(kMaxShards) + " are accepted");
        }
    }

    void open_shards(const fs::path& folder) {
        std::string missing;
        for (const auto& [shard, at] : shard_at) {
            std::error_code ignored;
            if (!fs::exists(folder / shard, ignored)) missing += (missing.empty() ? "" : ", ") + shown(shard);
        }
        if (!missing.empty()) {
            throw DataError("MISSING", path, "field weight_map", "these files are not beside the index: " + missing);
        }
        for (auto& [shard, at] : shard_at) {
            const std::string file = (folder / shard).string();
            at = shards.size();
            switch (format_of(file)) {
                case Format::safetensors: shards.push_back(std::make_unique<SafetensorsFile>(file)); break;
                case Format::torch: shards.push_back(open_torch_file(file)); break;
                case Format::index: throw DataError("MAGIC", file, "byte 0", "is an index itself, expected weights");
            }
            for (const std::string& warning : shards.back()->warnings()) odd.push_back(shard + ": " + warning);
        }
    }

    void add_entries(const std::string& shard, size_t at) {
        const std::vector<WeightEntry>& entries = shards[at]->entries();
        size_t n_unlisted = 0;
        for (size_t i = 0; i < entries.size(); i++) {
            const WeightEntry& entry = entries[i];
            const auto listed = shard_of.find(entry.name);
            const auto twin = found_in.find(entry.name);
            const std::string other = twin != found_in.end()                                ? twin->second
                                      : listed != shard_of.end() && listed->second != shard ? listed->second
                                                                                            : "";
            if (!other.empty()) {
                throw DataError("DUP", path, "tensor " + shown(entry.name),
                                "is in the file " + shown(shard) + " and belongs into " + shown(other));
            }
            n_unlisted += listed == shard_of.end();
            found_in[entry.name] = shard;
            list.push_back(entry);
            places.push_back({at, i});
        }
        if (n_unlisted > 0) odd.push_back(shard + ": " + std::to_string(n_unlisted) + " tensors are not in the index");
    }
};

}  // namespace

void WeightFile::require_length(size_t i, std::span<real> out) const {
    if (i >= list.size()) {
        throw ValueError(path + ": tensor " + std::to_string(i) + " of " + std::to_string(list.size()));
    }
    if (int64_t(out.size()) != list[i].shape.numel()) {
        throw ValueError(path + ": " + list[i].name + " is " + list[i].shape.str() + ", the room has " +
                         std::to_string(out.size()) + " numbers");
    }
}

std::unique_ptr<WeightFile> open_weights(const fs::path& file) {
    switch (format_of(file.string())) {
        case Format::safetensors: return std::make_unique<SafetensorsFile>(file);
        case Format::torch: return open_torch_file(file);
        case Format::index: break;
    }
    return std::make_unique<ShardedFile>(file);
}

std::unique_ptr<WeightFile> open_weights_in(const fs::path& folder) {
    std::string looked_for;
    for (const char* name : kWeightFiles) {
        std::error_code ignored;
        if (fs::exists(folder / name, ignored)) return open_weights(folder / name);
        looked_for += (looked_for.empty() ? "" : ", ") + std::string(name);
    }
    throw DataError("MISSING", folder.string(), "", "holds no weights; looked for " + looked_for);
}

}  // namespace koine
