// Comparing names; see names.h.
#include "nn/names.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace koine {
namespace {

// Comparing every missing with every unexpected name of a hostile file would take hours: beyond this many pairs of
// letters (half a second) there are no suggestions, only the lists.
constexpr size_t kMaxPairs = size_t{1} << 28;

size_t n_letters(const std::vector<std::string>& names) {
    return std::accumulate(names.begin(), names.end(), size_t{0},
                           [](size_t n, const std::string& s) { return n + s.size(); });
}

std::string joined(const std::vector<std::string>& names) {
    std::string s;
    for (const std::string& name : names) s += (s.empty() ? "" : ", ") + name;
    return s;
}

void add_line(std::string& text, const char* what, const std::vector<std::string>& names) {
    if (!names.empty()) {
        text += "\n  " + std::string(what) + " (" + std::to_string(names.size()) + "): " + joined(names);
    }
}

}  // namespace

int edit_distance(const std::string& a, const std::string& b) {
    std::vector<int> row(b.size() + 1);  // row[j]: the first i letters of a against the first j of b
    std::iota(row.begin(), row.end(), 0);
    for (size_t i = 0; i < a.size(); i++) {
        int diagonal = std::exchange(row[0], int(i) + 1);
        for (size_t j = 0; j < b.size(); j++) {
            const int replaced = diagonal + (a[i] != b[j]);
            diagonal = row[j + 1];
            row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
        }
    }
    return row[b.size()];
}

std::vector<std::string> nearest_names(const std::string& name, const std::vector<std::string>& candidates) {
    std::vector<std::pair<int, std::string>> ranked;
    for (const std::string& candidate : candidates) {
        // A prefix too many or too few ("module.", "roberta.") is the usual reason, however long it is.
        const bool contains = candidate.find(name) != std::string::npos || name.find(candidate) != std::string::npos;
        const int distance = contains ? 0 : edit_distance(name, candidate);
        if (distance <= int(name.size()) / 2) ranked.emplace_back(distance, candidate);
    }
    std::sort(ranked.begin(), ranked.end());
    std::vector<std::string> nearest;
    for (size_t i = 0; i < std::min<size_t>(3, ranked.size()); i++) nearest.push_back(ranked[i].second);
    return nearest;
}

std::string NameReport::str() const {
    const bool suggests = n_letters(unexpected) <= kMaxPairs / std::max<size_t>(1, n_letters(missing));
    std::vector<std::string> missing_hinted = missing;
    for (std::string& name : missing_hinted) {
        const std::vector<std::string> like = suggests ? nearest_names(name, unexpected) : std::vector<std::string>{};
        if (!like.empty()) name += " (nearest: " + joined(like) + ")";
    }
    std::string text;
    add_line(text, "missing", missing_hinted);
    add_line(text, "unexpected", unexpected);
    add_line(text, "repeated", repeated);
    add_line(text, "mis-shaped", mis_shaped);
    return text;
}

}  // namespace koine
