// What every file of weights promises (weights.h), whatever its format.
#pragma once
#include <cstring>

#include "data/weights.h"
#include "data/zip.h"
#include "tensor/error.h"
#include "tests/fuzz/fuzz_file.h"

namespace koine::testing {

/// Reads every tensor twice. `n_bytes`: of the file, of which the tensors may show only so many times as much.
inline void read_all_weights(WeightFile& file, uint64_t n_bytes) {
    std::vector<std::string> names;
    std::vector<real> values, again;
    uint64_t n_shown = 0;
    for (size_t i = 0; i < file.entries().size(); i++) {
        const WeightEntry& entry = file.entries()[i];
        names.push_back(entry.name);
        must(entry.shape.numel() >= 0);
        n_shown += uint64_t(entry.shape.numel()) * bytes_of(entry.dtype);
        must(!exceeds_expansion(n_shown, n_bytes));
        values.assign(size_t(entry.shape.numel()), 0);
        again.assign(values.size(), 1);
        try {
            file.read(i, values);
        } catch (const DataError&) {  // a number that `real` cannot hold; the others can be read
            continue;
        }
        file.read(i, again);  // what was read once is read again, and is the same
        must(values.empty() || std::memcmp(values.data(), again.data(), values.size() * sizeof(real)) == 0);
    }
    std::sort(names.begin(), names.end());
    must(std::adjacent_find(names.begin(), names.end()) == names.end());
}

}  // namespace koine::testing
