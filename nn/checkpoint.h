// Checkpoints: a run, or the weights of a model, as one safetensors file.
//
//   Checkpoint c;
//   c.add("model", model);
//   c.add("optimizer", adam);
//   c.set("epoch", epoch);
//   save_checkpoint("run.safetensors", c);
//
//   const Checkpoint c = load_checkpoint("run.safetensors");
//   c.restore("model", model);
//   c.restore("optimizer", adam);
//   epoch = c.number("epoch");
//
// What is restored is bit for bit what was saved. A file is replaced as a whole or not at all, whenever the program or
// the machine stops, and carries a checksum of everything in it. Files of other programs load too. The format itself is
// data/safetensors.h.
#pragma once
#include <filesystem>

#include "nn/module.h"

namespace koine {

struct Checkpoint {
    StateDict tensors;                            ///< "model.0.weight", ...
    std::map<std::string, std::string> metadata;  ///< "epoch": "3", "counter.optimizer.n_steps": "500", ...
    std::vector<std::string> warnings;            ///< what load_checkpoint found odd, but harmless
    std::string source = "the checkpoint";        ///< the file, for messages

    /// Adds the state of a module or an optimiser below "prefix.". The tensors share memory with it: save before it
    /// changes.
    void add(const std::string& prefix, Stateful& part);
    /// Copies what lies below "prefix." into `part`, counters too. Throws CheckpointError, having changed nothing,
    /// unless names and shapes fit exactly. For files of other programs, which have no counters:
    /// part.load(select(c.tensors, prefix)).
    void restore(const std::string& prefix, Stateful& part) const;

    void set(const std::string& name, uint64_t number) { metadata[name] = std::to_string(number); }
    void set(const std::string& name, const std::string& text) { metadata[name] = text; }
    /// Throw DataError: MISSING when there is no such entry, VALUE when it is no whole number.
    uint64_t number(const std::string& name) const;
    const std::string& text(const std::string& name) const;

    /// Throws DataError(VALUE), naming the first, if any value is not finite: before weights from elsewhere are used.
    void require_finite() const;
};

/// Writes a temporary file beside `path`, flushes it to the disk, gives it the old file's mode and name, and flushes
/// the folder. Throws DataError(IO), with the old file as it was and the temporary gone; ValueError for names that the
/// format does not have (repeated, not UTF-8); NonFiniteError for a NaN or an infinity, unless `allow_non_finite`: a
/// run that went wrong must not replace the last good checkpoint.
void save_checkpoint(const std::filesystem::path& path, const Checkpoint& checkpoint, bool allow_non_finite = false);

/// Reads a file. Values that are not finite are loaded and lead to a warning. Throws DataError: IO, TRUNC, what
/// parse_safetensors_header throws, VALUE for a value that `real` cannot hold, and VALUE when a file that this program
/// wrote does not match its checksum.
Checkpoint load_checkpoint(const std::filesystem::path& path);

/// "model.0.weight holds nan at position 3" for the first value that is not finite, "" when there is none.
std::string first_non_finite(const StateDict& state);

/// CRC-32 over names, shapes and values: tells whether anything has changed.
uint32_t checksum(const StateDict& state);

}  // namespace koine
