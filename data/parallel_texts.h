// Two files of lines that say the same in two languages: line i of one is the translation of line i of the other.
//
// Reading order: gzip.h, this file.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace koine {

struct ParallelTexts {
    std::vector<std::string> en, it;  ///< as many in both; UTF-8, none of them empty
    std::string hash;                 ///< of all texts of both languages: 16 hexadecimal digits
    std::string source;               ///< in plain words: which files, how many pairs
    int64_t size() const { return int64_t(en.size()); }
};

/// Reads both files, gzip or plain: UTF-8, lines ended by LF or CRLF, the last one perhaps not; a byte order mark is
/// dropped. Throws DataError: MISSING (nothing in a file), SHAPE (fewer than two lines; another number of lines), VALUE
/// (a line of nothing but white space; both files say the same), UTF8, SYNTAX (a NUL), LIMIT (a line of more than 64
/// KB, more than a million lines, more than 256 MB), and what GzipReader throws.
ParallelTexts read_parallel_texts(const std::string& path_en, const std::string& path_it);

/// Fnv1a over the texts of both languages. It names texts; it does not authenticate them.
std::string content_hash(const ParallelTexts& texts);

/// The project's own file of anchors in a language, "english" or "italian": data/anchors/en.txt or it.txt, found as
/// project_file does (locate.h). Throws DataError(MISSING) when it is not there, ValueError for another language.
std::string shipped_anchor(const std::string& language);

}  // namespace koine
