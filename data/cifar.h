// The official binary files of CIFAR-10 and CIFAR-100: records one after the other, without any header.
//
//   CIFAR-10    class              3072 pixels
//   CIFAR-100   superclass  class  3072 pixels     one byte each
// The pixels are 32 x 32: all red ones, all green ones, all blue ones, each row by row. No byte says which of the two a
// file is, so everything that can be checked is: whole records, labels, one superclass for each class. Source: A.
// Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images", and the page of the data sets.
// Where the files are is not known here: see datasets.h.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "data/idx.h"

namespace koine {

struct CifarFormat {
    const char* name;   ///< what data/fetch.sh calls it
    const char* title;  ///< what people call it
    int n_classes;
    int n_superclasses;  ///< 0: records have no superclass
    size_t record_bytes() const { return (n_superclasses > 0 ? 2 : 1) + 3072; }
};
inline constexpr CifarFormat kCifar10 = {"cifar-10", "CIFAR-10", 10, 0};
inline constexpr CifarFormat kCifar100 = {"cifar-100", "CIFAR-100", 100, 20};

/// The most records that a file may have: all images of the data set.
inline constexpr uint64_t kMaxCifarRecords = 60000;
/// The largest list of names that is accepted.
inline constexpr uint64_t kMaxNamesBytes = 1 << 16;

/// Images [N, 3, 32, 32] with their classes.
struct CifarImages : LabelledImages {
    std::vector<uint8_t> superclasses;  ///< CIFAR-100: N of them
    uint64_t hash = 0;                  ///< Fnv1a over the file
};

/// The records in `bytes`, whose memory is used for the pixels. `file` stands for them in messages. Throws DataError:
/// MISSING (no bytes), MAGIC (a pickle: the data set's Python version), TRUNC (a part of a record is left over), VALUE
/// naming the record (a label out of range, a class with two superclasses), VALUE (these are records of the other set).
CifarImages parse_cifar(std::vector<uint8_t> bytes, const std::string& file, const CifarFormat& format);

/// Reads a file, gzip or plain. Throws as parse_cifar and GzipReader do, and DataError(LIMIT).
CifarImages read_cifar(const std::string& path, const CifarFormat& format);

/// n names of classes, one in each line; blank lines may follow. Throws DataError: SHAPE (another number of them),
/// UTF8, SYNTAX (a control character), DUP.
std::vector<std::string> parse_class_names(std::span<const uint8_t> bytes, const std::string& file, int n);

/// Do these bytes begin as a Python pickle does (protocol 2 or later)? No record begins so.
bool begins_as_pickle(std::span<const uint8_t> bytes);

/// Throws DataError(MAGIC), which says how to get the binary version.
[[noreturn]] void refuse_pickle(const std::string& file, const CifarFormat& format);

}  // namespace koine
