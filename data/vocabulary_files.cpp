// vocab.json, vocab.txt, merges.txt; see vocabulary_files.h.
#include "data/vocabulary_files.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>

#include "data/bytes.h"
#include "data/json.h"
#include "data/strangers.h"
#include "data/text_hash.h"
#include "data/utf8.h"

namespace koine {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxTextBytes = 256 << 20;

// The lines of a text file, without their ends, "\n" or "\r\n".
std::vector<std::string> read_lines(const fs::path& path) {
    const std::string text = read_text(path.string(), kMaxTextBytes);
    std::string_view rest = text;
    refuse_strangers(rest, path.string(), "a token a line");
    if (rest.starts_with("\xef\xbb\xbf")) rest.remove_prefix(3);  // byte order mark
    std::vector<std::string> lines;
    while (!rest.empty()) {
        const size_t end = std::min(rest.find('\n'), rest.size());
        std::string_view line = rest.substr(0, end);
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (utf8_valid_prefix(line) < line.size()) {
            throw DataError("UTF8", path.string(), "line " + std::to_string(lines.size() + 1), "is not UTF-8");
        }
        lines.emplace_back(line);
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return lines;
}

}  // namespace

Vocabulary read_vocab_json(const fs::path& path) {
    const Json json = read_json(path);
    const JsonObject o(json, path.string());
    std::vector<std::pair<std::string, int64_t>> entries;
    for (const auto& [token, id] : json.items()) entries.emplace_back(token, o.whole(token, 0, INT32_MAX));
    return Vocabulary(std::move(entries), path.string());
}

Vocabulary read_vocab_txt(const fs::path& path) {
    const auto lines = read_lines(path);
    std::vector<std::pair<std::string, int64_t>> entries;
    std::unordered_map<std::string_view, size_t, TextHash> line_of;
    for (size_t i = 0; i < lines.size(); i++) {
        if (lines[i].empty()) continue;
        const auto [first, is_new] = line_of.emplace(lines[i], i + 1);
        if (!is_new) {
            throw DataError("DUP", path.string(), "line " + std::to_string(i + 1),
                            "the token " + shown(lines[i]) + " is also in line " + std::to_string(first->second));
        }
        entries.emplace_back(lines[i], int64_t(i));
    }
    return Vocabulary(std::move(entries), path.string());
}

std::vector<std::pair<std::string, std::string>> read_merges(const fs::path& path) {
    const auto lines = read_lines(path);
    std::vector<std::pair<std::string, std::string>> merges;
    for (size_t i = 0; i < lines.size(); i++) {
        const std::string& line = lines[i];
        if (line.empty() || line.starts_with("#version")) continue;
        const size_t space = line.find(' ');
        if (space == 0 || space >= line.size() - 1 || line.find(' ', space + 1) != std::string::npos) {
            throw DataError("VALUE", path.string(), "line " + std::to_string(i + 1),
                            "is " + shown(line) + ", expected two tokens with one space between them");
        }
        merges.emplace_back(line.substr(0, space), line.substr(space + 1));
    }
    return merges;
}

}  // namespace koine
