// The two layouts of torch.save; see torch_pickle.h.
#include "data/torch_pickle.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <unordered_map>

#include "data/json.h"
#include "data/strangers.h"
#include "data/text_hash.h"
#include "data/torch_file.h"

namespace koine {
namespace {

// The pickle of the number 0x1950A86A20F9469CFC6C, and the number of the protocol.
constexpr std::string_view kLegacyStart("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);
constexpr int64_t kLegacyProtocol = 1001;
constexpr int64_t kOldestVersion = 1, kNewestVersion = 10;

std::string str(uint64_t n) { return std::to_string(n); }

// ---- formats ------------------------------------------------------------------------------------------------------

[[noreturn]] void refuse_format(std::string_view start, const std::string& path) {
    refuse_strangers(start, path, "what torch.save writes");
    const char* what = "neither a zip archive nor the legacy layout of torch.save";
    if (start.empty()) what = "an empty file";
    if (start.starts_with("\x80")) what = "a pickle, but none that torch.save wrote";
    if (start.starts_with("PK\x05\x06")) what = "an empty zip archive";
    if (start.size() > 262 && start.substr(257).starts_with("ustar")) {
        what = "a tar archive, as torch.save wrote before PyTorch 0.1.10; the .tar layout is not read here";
    }
    throw DataError("MAGIC", path, "byte 0", std::string("is ") + what + "; expected what torch.save writes");
}

// ---- the zip layout ------------------------------------------------------------------------------------------------

const ZipEntry& need_entry(const ZipDirectory& zip, const std::string& name, const TorchFile& out) {
    const ZipEntry* entry = zip.find(name);
    if (!entry) {
        out.fail("MISSING", "",
                 "has no entry " + shown(name) + "; is this zip archive from torch.save? It begins with " +
                     shown(zip.entries().front().name));
    }
    return *entry;
}

void read_zip_layout(TorchFile& out) {
    const ZipDirectory zip(out.input, out.file());
    const std::string& first = zip.entries().front().name;
    const std::string root = first.substr(0, first.find('/') + 1);
    for (const ZipEntry& entry : zip.entries()) {
        if (!root.empty() && entry.name.starts_with(root)) continue;
        out.fail("UNSAFE", "entry " + shown(entry.name),
                 "is not in the one folder that torch.save puts everything into");
    }
    if (zip.find(root + "constants.pkl")) {
        out.fail("MAGIC", "", "is TorchScript, a program with its weights (torch.jit.save), which is not read here");
    }
    const auto text_of = [&](const char* name) {
        const ZipEntry& entry = need_entry(zip, root + name, out);
        const auto bytes = read_entry(out.input, out.file(), entry, 64);
        const std::string text(bytes.begin(), bytes.end());
        return text.substr(0, text.find_last_not_of('\n') + 1);
    };
    const ZipEntry& pickle_entry = need_entry(zip, root + "data.pkl", out);
    int64_t version = 0;
    const std::string version_text = text_of("version");
    const auto [end, error] = std::from_chars(version_text.data(), version_text.data() + version_text.size(), version);
    if (error != std::errc() || end != version_text.data() + version_text.size() || version < kOldestVersion ||
        version > kNewestVersion) {
        out.fail("MAGIC", "entry version", "is " + shown(version_text) + "; versions 1 to 10 are read");
    }
    if (zip.find(root + "byteorder") && text_of("byteorder") != "little") {
        out.fail("DTYPE", "entry byteorder", "is " + shown(text_of("byteorder")) + "; only \"little\" is read");
    }

    const std::vector<uint8_t> bytes = read_entry(out.input, out.file(), pickle_entry, kMaxTorchPickleBytes);
    ByteReader in(bytes, out.file() + ", " + pickle_entry.name);
    const Pickle pickle = read_pickle(in, out.input.size());
    if (!in.at_end()) in.fail("SYNTAX", str(in.remaining()) + " bytes follow the end of the pickle");
    for (const PickleStorage& mention : pickle.storages) {
        if (out.is_known(mention)) continue;
        const std::string key(mention.key);
        if (key.empty() || key == "." || key == ".." || key.find_first_of(std::string_view("/\\\0", 3)) != key.npos) {
            out.fail("UNSAFE", "storage " + shown(key), "has a key that is no plain name");
        }
        const ZipEntry* entry = zip.find(root + "data/" + key);
        if (!entry) out.fail("MISSING", "storage " + shown(key), "is not in the archive");
        out.add_storage(mention, *entry, false);
    }
    out.add_tensors(pickle);
}

// ---- the legacy layout ---------------------------------------------------------------------------------------------

// Null when there is none.
const PickleValue* value_of(const PickleDict& dict, std::string_view name) {
    for (size_t i = 0; i < dict.values.size(); i += 2) {
        const auto* key = std::get_if<std::string_view>(&dict.values[i]);
        if (key && *key == name) return &dict.values[i + 1];
    }
    return nullptr;
}

Pickle next_pickle(ByteReader& in, const TorchFile& out) {
    try {
        return read_pickle(in, out.input.size());
    } catch (const DataError& error) {
        if (error.kind != "TRUNC" || out.input.size() <= kMaxTorchPickleBytes) throw;
    }
    in.fail("LIMIT", "the pickles are longer than the " + str(kMaxTorchPickleBytes) + " bytes that are accepted");
}

// The storages follow one another; how long each is depends on its type, which the pickle of the object knows.
void place_storages(const Pickle& object, const Pickle& keys, const ByteReader& in, TorchFile& out) {
    std::unordered_map<std::string, const PickleStorage*, TextHash> mentions;
    for (const PickleStorage& mention : object.storages) mentions.try_emplace(std::string(mention.key), &mention);
    const auto* list_of_keys = std::get_if<PickleList*>(&keys.root);
    if (!list_of_keys) in.fail("SYNTAX", std::string("expected the list of storage keys, found ") + kind_of(keys.root));
    uint64_t offset = in.offset();
    for (const PickleValue& value : (*list_of_keys)->values) {
        const auto* text = std::get_if<std::string_view>(&value);
        if (!text) in.fail("SYNTAX", std::string("the key of a storage is ") + kind_of(value) + ", expected a text");
        const std::string key(*text);
        const auto found = mentions.find(key);
        if (found == mentions.end()) {
            out.fail("MISSING", "storage " + shown(key), "has a key, but nothing says its type");
        }
        if (out.is_known(*found->second)) {
            out.fail("DUP", "storage " + shown(key), "occurs twice in the list of keys");
        }
        std::array<uint8_t, 8> count;
        out.input.read_at(offset, count, "the length of a storage");
        const uint64_t numel = ByteReader(count, out.file(), offset).le64("the length of a storage");
        offset += count.size();
        const auto n_bytes = mul_checked(numel, bytes_of(found->second->dtype));
        if (!n_bytes || *n_bytes > out.input.size() - offset) {
            out.fail("TRUNC", "byte " + str(offset),
                     "storage " + shown(key) + " is said to have " + str(numel) + " values, more than the file");
        }
        out.add_storage(*found->second, {"of storage " + key, *n_bytes, *n_bytes, offset, 0, false}, true);
        offset += *n_bytes;
    }
    for (const PickleStorage& mention : object.storages) {
        if (!out.is_known(mention)) {
            out.fail("MISSING", "storage " + shown(mention.key), "is not in the file's list of keys");
        }
    }
    if (offset != out.input.size()) {
        out.fail("SYNTAX", "byte " + str(offset), str(out.input.size() - offset) + " bytes follow the last storage");
    }
}

// The second and the third pickle.
void check_legacy_head(ByteReader& in, const TorchFile& out) {
    const Pickle protocol = next_pickle(in, out);
    const auto* number = std::get_if<int64_t>(&protocol.root);
    if (!number || *number != kLegacyProtocol) {
        in.fail("MAGIC", "the protocol of torch.save is not " + str(kLegacyProtocol));
    }
    const Pickle machine = next_pickle(in, out);
    const auto* properties = std::get_if<PickleDict*>(&machine.root);
    const PickleValue* is_little = properties ? value_of(**properties, "little_endian") : nullptr;
    const bool* flag = is_little ? std::get_if<bool>(is_little) : nullptr;
    if (!flag) in.fail("SYNTAX", "the properties of the machine that wrote the file do not say little_endian");
    if (!*flag) in.fail("DTYPE", "the file is big-endian, which is not read here");
}

void read_legacy_layout(TorchFile& out) {
    std::vector<uint8_t> bytes(std::min(out.input.size(), kMaxTorchPickleBytes));
    out.input.read_at(0, bytes, "the pickles");
    ByteReader in(bytes, out.file());
    in.take(kLegacyStart.size(), "the magic number");
    check_legacy_head(in, out);
    const Pickle object = next_pickle(in, out);
    const Pickle keys = next_pickle(in, out);
    place_storages(object, keys, in, out);
    out.add_tensors(object);
}

}  // namespace

std::unique_ptr<WeightFile> open_torch_file(const std::filesystem::path& file) {
    auto out = std::make_unique<TorchFile>(file);
    std::vector<uint8_t> bytes(std::min<uint64_t>(512, out->input.size()));
    out->input.read_at(0, bytes, "the magic number");
    const std::string_view start(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (start.starts_with("PK\x03\x04")) {
        read_zip_layout(*out);
    } else if (start.starts_with(kLegacyStart)) {
        read_legacy_layout(*out);
    } else {
        refuse_format(start, out->file());
    }
    return out;
}

}  // namespace koine
