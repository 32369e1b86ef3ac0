// The files in which vocabularies are published.
#pragma once
#include <filesystem>
#include <utility>
#include <vector>

#include "data/vocabulary.h"

namespace koine {

/// vocab.json, {"token": id, ...}. Throws DataError: what parse_json and Vocabulary throw, VALUE for an id that is
/// none.
Vocabulary read_vocab_json(const std::filesystem::path& path);

/// vocab.txt, a token a line; its id is the number of its line, from 0. An empty line is no token. Throws DataError:
/// IO, LIMIT above 256 MB, MAGIC for what is no such file but known, UTF8, DUP with both lines.
Vocabulary read_vocab_txt(const std::filesystem::path& path);

/// merges.txt, two tokens a line, the first goes first; a line may begin with "#version". Throws DataError as
/// read_vocab_txt, VALUE for a line that is not two tokens.
std::vector<std::pair<std::string, std::string>> read_merges(const std::filesystem::path& path);

}  // namespace koine
