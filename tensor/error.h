// The exceptions that Koine throws, in words a student can act on.
//
// Every error is a subclass of Error, so `catch (const koine::Error& e)` catches exactly ours. Messages say what was
// found, where, and what was expected. Input is checked with `if`, never with `assert`: checks survive -DNDEBUG.
// Errors are thrown where a function is entered, never inside a kernel or an OpenMP region.
#pragma once
#include <stdexcept>
#include <string>

namespace koine {

struct Error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Shapes that do not fit: `linear: x [4, 7], w [5, 6], b [5]; want [N, I], [O, I], [O]`.
struct ShapeError : Error {
    using Error::Error;
};

/// An argument outside its range: an index, a probability, an unknown name.
struct ValueError : Error {
    using Error::Error;
};

/// A device that was asked for and cannot be used. There is no silent fall-back.
struct DeviceError : Error {
    using Error::Error;
};

/// A loss or an activation that is not finite.
struct NonFiniteError : Error {
    using Error::Error;
};

/// A file that is missing, damaged, or not what its name promises. `kind` is one of the classes that the tests use:
/// IO MAGIC TRUNC LIMIT OVERFLOW DTYPE SHAPE OFFSET DUP UTF8 SYNTAX UNSAFE MISSING VALUE.
/// what() reads `FILE: PLACE: what is wrong, what was expected [KIND]`, PLACE a byte offset or a line.
struct DataError : Error {
    DataError(std::string kind_, const std::string& file, const std::string& place, const std::string& problem)
        : Error(file + ": " + (place.empty() ? "" : place + ": ") + problem + " [" + kind_ + "]"),
          kind(std::move(kind_)) {}
    std::string kind;
};

/// A checkpoint that does not fit the model: all missing, unexpected and mis-shaped names at once.
struct CheckpointError : Error {
    using Error::Error;
};

}  // namespace koine
