// The tensors of a torch.save file and the storages that they show: what both layouts have in common. Which layout, and
// where the storages are, is torch_pickle.cpp's.
#pragma once
#include <array>
#include <unordered_map>

#include "data/pickle.h"
#include "data/text_hash.h"
#include "data/weights.h"
#include "data/zip.h"

namespace koine {

class TorchFile : public WeightFile {
public:
    /// Opens the file; it has no tensors yet.
    explicit TorchFile(const std::filesystem::path& file) : input(file.string()) { path = file.string(); }

    void read(size_t i, std::span<real> out) override;

    /// False when a storage is new. Throws DataError, DTYPE or SHAPE, when it was added as something else.
    bool is_known(const PickleStorage& storage) const;
    /// Says where the values of a storage are; `is_checked` when there is no checksum to check. Throws
    /// DataError(SHAPE) unless the region has their size.
    void add_storage(const PickleStorage& storage, const ZipEntry& region, bool is_checked);
    /// Finds the state dict in what was pickled, and adds its tensors, whose storages are known. Throws as
    /// open_torch_file.
    void add_tensors(const Pickle& pickle);

    [[noreturn]] void fail(const char* kind, const std::string& place, const std::string& problem) const;

    const InputFile input;

private:
    struct Storage {
        DType dtype;
        uint64_t numel;
        ZipEntry region;
        bool is_checked;  // its bytes match their checksum, or there is none
    };
    struct View {
        size_t storage = 0;
        uint64_t offset = 0, end = 0;  // the first value, and one behind the last, in the storage
        std::array<uint64_t, Shape::kMaxRank> strides{};
        bool is_contiguous = true;
    };

    void warn(const std::string& text);
    void check_names(const PickleDict& dict) const;
    const PickleDict& wrapped_in(const PickleDict& root);
    void add_tensor(std::string_view name, const PickleTensor& tensor);
    void read_in_order(ZipEntryReader& in, size_t i, std::span<real> out) const;
    void read_strided(ZipEntryReader& in, size_t i, std::span<real> out) const;
    void convert(size_t i, std::span<const uint8_t> bytes, std::span<real> out, size_t first) const;

    std::vector<Storage> storages;
    std::unordered_map<std::string, size_t, TextHash> storage_at;  // by key
    std::vector<View> views;                             // of each entry of `list`
    uint64_t n_shown = 0;                                // bytes, by all tensors together
};

}  // namespace koine
