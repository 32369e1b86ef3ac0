// Reading the fixtures of tests/golden.
#pragma once
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

namespace koine::testing {

/// The fixture tests/golden/NAME.
inline nlohmann::json golden(const std::string& name) {
    return nlohmann::json::parse(std::ifstream(std::string(KOINE_SOURCE_DIR) + "/tests/golden/" + name));
}

}  // namespace koine::testing
