// What the tests of data/fetch.sh serve, and a Python package that holds it.
#pragma once
#include <cstdlib>

#include "data/locate.h"
#include "tests/data_samples.h"

namespace koine::testing {

/// 200000 bytes and 20.
inline Bytes large_file() {
    Bytes out(200000);
    for (size_t i = 0; i < out.size(); i++) out[i] = uint8_t(i * 7 + (i >> 8) * 13 + (i >> 16));
    return out;
}
inline const std::string kSmall = "the quick brown fox\n";

inline bool can_fetch() {
    return !project_file("data/fetch.sh").empty() && std::system("command -v curl > /dev/null 2>&1") == 0;
}
inline bool has_pip() { return std::system("python3 -m pip --version > /dev/null 2>&1") == 0; }

/// How long a fetch waits for a mirror that says nothing: for the tests of such a mirror, and for all others, whose
/// mirrors answer, but perhaps on a machine that is busy.
inline constexpr const char* kImpatient = "KOINE_STALL_S=2";
inline constexpr const char* kPatient = "KOINE_STALL_S=60";

/// Makes a wheel of what lies in wheel/toypackage, and returns the variables with which pip finds it, and nothing else.
inline std::string make_wheel(const ScratchFolder& scratch) {
    scratch.write("wheel/toypackage-1.0.dist-info/METADATA",
                  bytes_of("Metadata-Version: 2.1\nName: toypackage\nVersion: 1.0\n"));
    scratch.write("wheel/toypackage-1.0.dist-info/WHEEL",
                  bytes_of("Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"));
    scratch.write("wheel/toypackage-1.0.dist-info/RECORD", {});
    std::filesystem::create_directory(scratch / "wheels");
    const std::string zip =
        "cd '" + (scratch / "wheel") +
        "' && python3 -m zipfile -c ../wheels/toypackage-1.0-py3-none-any.whl toypackage toypackage-1.0.dist-info";
    REQUIRE(std::system(zip.c_str()) == 0);
    return "PIP_NO_INDEX=1 PIP_FIND_LINKS='" + (scratch / "wheels") + "'";
}

}  // namespace koine::testing
