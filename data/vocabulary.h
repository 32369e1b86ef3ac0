// The tokens of a model and their ids.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "data/text_hash.h"

namespace koine {

/// Tokens by id and ids by token. Ids may have holes; no id and no token occurs twice.
class Vocabulary {
public:
    Vocabulary() = default;
    /// Throws DataError for `file`: VALUE for a negative id, or one so large that nearly all ids would be holes; DUP.
    Vocabulary(std::vector<std::pair<std::string, int64_t>> entries, const std::string& file);
    Vocabulary(const Vocabulary&) = delete;  // `ids` views `tokens`
    Vocabulary& operator=(const Vocabulary&) = delete;
    Vocabulary(Vocabulary&&) = default;
    Vocabulary& operator=(Vocabulary&&) = default;

    /// How many tokens there are, and one more than the largest id.
    int64_t n_tokens() const { return int64_t(ids.size()); }
    int64_t n_ids() const { return int64_t(tokens.size()); }
    std::optional<int32_t> find(std::string_view token) const {
        const auto found = ids.find(token);
        return found == ids.end() ? std::nullopt : std::optional(found->second);
    }
    /// "" for a hole, and outside [0, n_ids).
    std::string token(int32_t id) const { return id < 0 || id >= n_ids() ? "" : tokens[size_t(id)]; }
    /// f(token, id) for all tokens, in no order.
    template <class F>
    void for_each(F f) const {
        for (const auto& [token, id] : ids) f(token, id);
    }

private:
    std::vector<std::string> tokens;  // "" for a hole, and for the empty token
    std::unordered_map<std::string_view, int32_t, TextHash> ids;
};

}  // namespace koine
