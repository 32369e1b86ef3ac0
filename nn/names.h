// Names that do not match: what a strict load says when it refuses. Used by module.cpp and checkpoint.cpp.
#pragma once
#include <string>
#include <vector>

namespace koine {

/// How many insertions, deletions and replacements of a letter turn a into b. Levenshtein 1966.
int edit_distance(const std::string& a, const std::string& b);

/// The up to three candidates most like `name`, best first: those that contain it or are contained in it, then those at
/// most half of its letters away.
std::vector<std::string> nearest_names(const std::string& name, const std::vector<std::string>& candidates);

/// What is wrong between the names that are wanted and those that are there.
struct NameReport {
    std::vector<std::string> missing, unexpected, repeated;
    std::vector<std::string> mis_shaped;  ///< "fc.weight is [3, 4], want [4, 3]"

    bool is_empty() const { return missing.empty() && unexpected.empty() && repeated.empty() && mis_shaped.empty(); }
    /// One line for each kind of trouble, with all names; each missing name with the unexpected ones most like it.
    std::string str() const;
};

}  // namespace koine
