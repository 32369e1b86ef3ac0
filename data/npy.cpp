// The header of a .npy file; see npy.h.
#include "data/npy.h"

#include "tensor/device.h"

namespace koine {

std::string npy_header(int64_t rows, int64_t cols) {
    if (rows < 0 || cols < 0) {
        throw ValueError("npy_header: " + std::to_string(rows) + " x " + std::to_string(cols) + "; want no negatives");
    }
    // Magic, version 1.0, length of what follows (16 bits, little-endian), a Python dictionary, blanks, a newline.
    constexpr size_t kBytes = 128, kFront = 10;
    std::string header("\x93NUMPY\x01\x00", 8);
    header += char(kBytes - kFront);
    header += '\0';
    header += "{'descr': '<f" + std::to_string(sizeof(real)) + "', 'fortran_order': False, 'shape': (" +
              std::to_string(rows) + ", " + std::to_string(cols) + "), }";
    header.resize(kBytes - 1, ' ');  // the longest shape has 44 characters: it always fits
    return header + '\n';
}

}  // namespace koine
