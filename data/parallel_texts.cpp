// Reading pairs of lines; see parallel_texts.h.
#include "data/parallel_texts.h"

#include <algorithm>
#include <string_view>

#include "data/fnv.h"
#include "data/gzip.h"
#include "data/locate.h"
#include "data/unicode.h"

namespace koine {
namespace {

constexpr uint64_t kMaxFileBytes = uint64_t{1} << 28, kMaxLineBytes = 1 << 16;
constexpr size_t kMaxLines = 1000000;

std::string count(size_t n) { return std::to_string(n) + (n == 1 ? " line" : " lines"); }

bool is_blank(std::string_view line) {
    for (size_t at = 0; at < line.size();) {
        const auto [c, n_bytes] = code_point_at(line, at);
        if (!is_white_space(c)) return false;
        at += n_bytes;
    }
    return true;
}

std::vector<std::string> read_lines(const std::string& path) {
    const std::vector<uint8_t> bytes = read_maybe_gzip(path, kMaxFileBytes);
    std::string_view left(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (left.starts_with("\xef\xbb\xbf")) left.remove_prefix(3);
    if (left.empty()) throw DataError("MISSING", path, "", "the file is empty, expected lines of text");
    std::vector<std::string> lines;
    while (!left.empty()) {
        const auto fail = [&](const char* kind, const std::string& problem) {
            throw DataError(kind, path, "line " + std::to_string(lines.size() + 1), problem);
        };
        std::string_view line = left.substr(0, left.find('\n'));
        left.remove_prefix(std::min(line.size() + 1, left.size()));
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (lines.size() == kMaxLines) fail("LIMIT", "more than " + std::to_string(kMaxLines) + " lines");
        if (line.size() > kMaxLineBytes) {
            fail("LIMIT", "has " + std::to_string(line.size()) + " bytes; at most " + std::to_string(kMaxLineBytes) +
                              " are accepted");
        }
        if (line.find('\0') != line.npos) fail("SYNTAX", "a NUL byte; is the file UTF-16, or not text at all?");
        if (const size_t valid = utf8_valid_prefix(line); valid < line.size()) {
            fail("UTF8", "not UTF-8 from byte " + std::to_string(valid + 1) + " of the line on");
        }
        if (is_blank(line)) fail("VALUE", "is empty; every line must say what that line of the other file says");
        lines.emplace_back(line);
    }
    return lines;
}

}  // namespace

ParallelTexts read_parallel_texts(const std::string& path_en, const std::string& path_it) {
    ParallelTexts out;
    out.en = read_lines(path_en), out.it = read_lines(path_it);
    if (out.en.size() != out.it.size()) {
        throw DataError("SHAPE", path_it, "",
                        "has " + count(out.it.size()) + ", " + path_en + " has " + std::to_string(out.en.size()) +
                            "; line i of one must say what line i of the other says");
    }
    if (out.size() < 2) throw DataError("SHAPE", path_en, "", "has 1 line, at least 2 are expected");
    if (out.en == out.it) {
        throw DataError("VALUE", path_it, "",
                        "has the same content as " + path_en + "; one must be the translation of the other");
    }
    out.hash = content_hash(out);
    out.source = std::to_string(out.size()) + " pairs of lines, from " + path_en + " and " + path_it;
    return out;
}

std::string content_hash(const ParallelTexts& texts) {
    Fnv1a hash;
    for (const auto* language : {&texts.en, &texts.it}) {
        for (const std::string& text : *language) {
            hash.add(text);
            hash.add(uint8_t('\n'));
        }
    }
    return hash.hex();
}

std::string shipped_anchor(const std::string& language) {
    if (language != "english" && language != "italian") {
        throw ValueError("no anchors are in '" + language + "'; there are english, italian");
    }
    const std::string name = std::string("data/anchors/") + (language == "english" ? "en" : "it") + ".txt";
    const std::string path = project_file(name);
    if (path.empty()) {
        throw DataError("MISSING", name, "", "is neither beside this program nor below the working directory");
    }
    return path;
}

}  // namespace koine
