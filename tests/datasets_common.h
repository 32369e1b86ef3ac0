// What the tests of image sets share.
#pragma once
#include "data/datasets.h"
#include "tests/data_samples.h"

namespace koine::testing {

/// No data set of this machine is seen while one of these lives.
struct NoOtherData {
    NoOtherData() : data("KOINE_DATA", ""), cache("XDG_CACHE_HOME", scratch / "cache") {}
    ScratchFolder scratch;
    EnvironmentVariable data, cache;
};

inline DataOptions offline(const std::string& dir) {
    DataOptions options;
    options.dir = dir;
    options.is_offline = true;
    return options;
}

}  // namespace koine::testing
