// Tokens and ids; see vocabulary.h.
#include "data/vocabulary.h"

#include <algorithm>

#include "data/json.h"
#include "tensor/error.h"

namespace koine {
namespace {

// Published vocabularies have few holes or none; a small file must not claim gigabytes.
int64_t id_limit(size_t n_tokens) { return 4 * int64_t(n_tokens) + 100'000; }

}  // namespace

// NOLINTNEXTLINE(performance-unnecessary-value-param): the tokens are moved out of it
Vocabulary::Vocabulary(std::vector<std::pair<std::string, int64_t>> entries, const std::string& file) {
    int64_t largest = -1;
    for (const auto& [token, id] : entries) {
        if (id < 0 || id >= id_limit(entries.size())) {
            throw DataError("VALUE", file, "token " + shown(token),
                            "has the id " + std::to_string(id) + ", expected 0 or more and, for " +
                                std::to_string(entries.size()) + " tokens, less than " +
                                std::to_string(id_limit(entries.size())));
        }
        largest = std::max(largest, id);
    }
    tokens.resize(size_t(largest + 1));
    ids.reserve(entries.size());
    std::vector<bool> is_taken(tokens.size());
    for (auto& [token, id] : entries) {
        if (is_taken[size_t(id)]) {
            throw DataError("DUP", file, "token " + shown(token),
                            "has the id " + std::to_string(id) + ", as " + shown(tokens[size_t(id)]) + " has");
        }
        is_taken[size_t(id)] = true;
        tokens[size_t(id)] = std::move(token);
        const auto [found, is_new] = ids.emplace(tokens[size_t(id)], int32_t(id));
        if (!is_new) {
            throw DataError(
                "DUP", file, "token " + shown(tokens[size_t(id)]),
                "occurs twice, with the ids " + std::to_string(found->second) + " and " + std::to_string(id));
        }
    }
}

}  // namespace koine
