// JSON from untrusted files: config.json, vocab.json, tokenizer.json, the index of a sharded checkpoint.
//
// The grammar is nlohmann-json's, which passes over a byte order mark and takes no comments, no trailing commas and no
// NaN. Added to it: keys that occur twice are an error (most parsers keep one of the two, and not the same one), depth
// and the number of values are limited. Then helpers that read one field and say file, field, what is there and what
// was expected. The safetensors header has a parser of its own (safetensors.cpp), which never builds a tree.
#pragma once
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace koine {

using Json = nlohmann::json;

/// Limits of what is accepted: 128 levels, 8 million values (the tokenizer.json of XLM-RoBERTa has 0.75 million).
inline constexpr size_t kMaxJsonDepth = 128;
inline constexpr size_t kMaxJsonValues = 8'000'000;

/// The value that `text` holds. Throws DataError: SYNTAX with the byte offset, UTF8, DUP with the key, LIMIT, MAGIC for
/// what is not JSON but known (a Git LFS pointer, HTML, UTF-16).
Json parse_json(std::string_view text, const std::string& file);

/// A whole file; LIMIT when it is longer than max_bytes.
Json read_json(const std::filesystem::path& path, uint64_t max_bytes = 256 << 20);

/// A string for a message: quoted, control characters escaped, shortened.
std::string shown(std::string_view text);

/// An object of a file, whose fields are read with an error that says where they are: JsonObject(json, "config.json").
/// `where` is what stands before the field's name in messages ("model.", "added_tokens[3].").
class JsonObject {
public:
    /// Throws DataError(SYNTAX) unless `json_` is an object. Keeps a reference: `json_` must outlive this.
    JsonObject(const Json& json_, std::string file_, std::string where_ = "");

    bool has(const std::string& name) const;  ///< there, and not null
    /// Throw DataError: MISSING when the field is absent or null, VALUE when it is of another kind or out of range.
    const std::string& text(const std::string& name) const;
    int64_t whole(const std::string& name, int64_t low, int64_t high) const;
    double number(const std::string& name) const;  ///< finite
    bool flag(const std::string& name) const;
    const Json& array(const std::string& name) const;
    JsonObject object(const std::string& name) const;
    std::vector<JsonObject> objects(const std::string& name) const;  ///< the elements of an array, "NAME[0]" and so on
    const Json& value(const std::string& name) const;
    /// The same with a value for a field that is absent or null.
    std::string text(const std::string& name, const std::string& otherwise) const;
    int64_t whole(const std::string& name, int64_t low, int64_t high, int64_t otherwise) const;
    double number(const std::string& name, double otherwise) const;
    bool flag(const std::string& name, bool otherwise) const;

    const Json& json() const { return object_; }
    const std::string& file() const { return file_name; }
    /// Throws DataError(kind, file, "field WHERE.NAME", problem).
    [[noreturn]] void fail(const char* kind, const std::string& name, const std::string& problem) const;

private:
    const Json& object_;
    std::string file_name, where;
};

}  // namespace koine
