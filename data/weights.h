// Files of weights that other programs wrote, as a list of named tensors whose values are read one at a time, straight
// to where they belong: a checkpoint of 500 MB never lies in memory twice.
//
//   model.safetensors                       safetensors (safetensors.h)
//   model.safetensors.index.json            the same in several files, "shards"
//   pytorch_model.bin                       torch.save: a zip file, or the older layout before PyTorch 1.6
//   (torch_pickle.h) pytorch_model.bin.index.json            the same in several files
#pragma once
#include <array>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/dtype.h"
#include "tensor/shape.h"

namespace koine {

struct WeightEntry {
    std::string name;  ///< any text: never used as a path
    DType dtype = kRealDType;
    Shape shape;
};

class WeightFile {
public:
    virtual ~WeightFile() = default;

    const std::vector<WeightEntry>& entries() const { return list; }
    /// Reads the values of entry i in row-major order. Throws DataError (TRUNC, IO, VALUE for what `real` cannot hold
    /// or a wrong checksum), ValueError unless out.size() is their number.
    virtual void read(size_t i, std::span<real> out) = 0;

    /// The path, for messages.
    const std::string& file() const { return path; }
    /// What was odd but harmless: fields that nobody knows, objects that are no tensors.
    const std::vector<std::string>& warnings() const { return odd; }

protected:
    /// Throws ValueError unless there is an entry i, and `out` has room for exactly its values.
    void require_length(size_t i, std::span<real> out) const;

    std::vector<WeightEntry> list;
    std::vector<std::string> odd;
    std::string path;
};

/// Opens a file by what it contains, whatever its name. Nothing in it is ever executed. Throws DataError: MAGIC for an
/// unknown format, naming it if it is known but not read here, and what the formats' readers throw. An index of shards
/// names files, which must lie beside it (UNSAFE) and hold what it says (MISSING, DUP).
std::unique_ptr<WeightFile> open_weights(const std::filesystem::path& file);

/// What the weights in a folder are called, best first.
inline constexpr std::array kWeightFiles = {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
                                            "pytorch_model.bin.index.json"};

/// Opens the weights in a folder: the first of kWeightFiles that is there. Throws DataError(MISSING) naming all that
/// was looked for.
std::unique_ptr<WeightFile> open_weights_in(const std::filesystem::path& folder);

/// torch_pickle.h: a file that torch.save wrote, either layout.
std::unique_ptr<WeightFile> open_torch_file(const std::filesystem::path& file);

}  // namespace koine
