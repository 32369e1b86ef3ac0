// pytorch_model.bin: what torch.save writes, in two layouts. A pickle says which tensors there are, and which numbers
// of which storage each of them shows; the storages are raw numbers beside it.
//
//   zip      since PyTorch 1.6: ROOT/data.pkl, ROOT/data/KEY for each storage, ROOT/version, ROOT/byteorder; the
//            archive has a checksum of each
//   legacy   before: five pickles (magic number, version of the protocol, properties of the machine that wrote it, the
//            object, the list of storage keys), then for each key the number of values in 64 bits and the values. No
//            checksum. torch.save(..., _use_new_zipfile_serialization=False) still writes it.
//
// Read are dicts from text to tensors, state dicts above all, and dicts with one such dict in them ({"epoch": 3,
// "state_dict": {...}}). Objects that are no tensors are listed as warnings. The pickle is read by pickle.h, which can
// execute nothing. Not here: whole modules, TorchScript, quantised, sparse and complex tensors, big-endian files, the
// .tar layout of 2016. Source: torch/serialization.py and torch/_utils.py of PyTorch.
//
// What a file can make the program do is bounded by its size: all tensors together may show 8 times as many bytes as
// the file has, and 4 MB, so that no small file expands one number to terabytes.
#pragma once
#include "data/weights.h"

namespace koine {

/// Limit of what is accepted: a pickle describes about 4000 tensors per megabyte.
inline constexpr uint64_t kMaxTorchPickleBytes = 8 << 20;

/// Opens a file. Throws DataError: IO, MAGIC for other formats and versions, what ZipDirectory and read_pickle throw,
/// MISSING without a storage or without any tensor, SHAPE for a storage of another length than the pickle says, OFFSET
/// and OVERFLOW for tensors that reach beyond their storage, DTYPE, DUP for names, VALUE when several parts of the file
/// could be meant, SYNTAX for bytes behind the end.
/// read() of the result throws DataError(VALUE), too, when an entry of a zip file does not match its checksum: it is
/// checked when the first tensor of the storage is read.
std::unique_ptr<WeightFile> open_torch_file(const std::filesystem::path& file);

}  // namespace koine
