// Tables of text: RFC 4180, read strictly, with the deviations that real files have.
//
// Fields are quoted with ", and "" inside quotes is one quote; a backslash means nothing. Lines end in LF, CRLF or CR,
// mixed if need be; a byte order mark is dropped; blank lines are skipped (a lone empty field is written ""). What is
// not answered by guessing: a row with another number of fields, a quote that is never closed or stands in the middle
// of a field, NUL, bytes that are not UTF-8. Types and missing values are the caller's: every field is text.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/gzip.h"

namespace koine {

struct CsvOptions {
    char delimiter = ',';
    bool has_header = true;
    bool is_latin1 = false;              ///< the file is ISO 8859-1: converted to UTF-8
    uint64_t max_field_bytes = 1 << 20;  ///< LIMIT beyond
    uint64_t max_columns = 16384;        ///< LIMIT beyond
};

/// One record after the other, in little memory. Throws DataError naming the line where the record began: SYNTAX, UTF8,
/// LIMIT, and what GzipReader throws. It does not know about headers and does not compare the lengths of records.
class CsvReader {
public:
    /// `in` must outlive the reader. Throws ValueError when the delimiter is a quote or a line end.
    CsvReader(GzipReader& in, const CsvOptions& options);

    /// Reads a record into `fields` (whose memory is used again) and returns true, or false at the end of the file.
    bool next(std::vector<std::string>& fields);
    /// Physical line, from 1, where the last record began.
    int64_t line() const { return record_line; }
    /// Throws DataError(kind) for the last record.
    [[noreturn]] void fail(const char* kind, const std::string& problem) const { fail_at(record_line, kind, problem); }

private:
    int look();
    bool take_line_end();
    void read_field(std::string& field);
    void read_quoted(std::string& field);
    void append(std::string& field, int byte);
    [[noreturn]] void fail_at(int64_t line, const char* kind, const std::string& problem) const;

    GzipReader& in;
    CsvOptions options;
    int64_t current_line = 1;
    int64_t record_line = 1;
};

/// A whole table: the text once, and four bytes a field to find it.
class CsvTable {
public:
    /// The header's names; "0", "1", ... when there is no header.
    const std::vector<std::string>& columns() const { return names; }
    int64_t n_rows() const { return int64_t(lines.size()); }
    const std::string& file() const { return file_name; }

    /// Number of the column with this name. Throws DataError(MISSING) that lists the columns there are.
    int column(std::string_view name) const;
    /// The text of a field. Throws ValueError outside the table.
    std::string_view cell(int64_t row, int column) const;
    /// The place of the field's text in `allowed`, compared exactly. Throws DataError(VALUE) with line and choices.
    int choice(int64_t row, int column, std::span<const std::string> allowed) const;
    /// The field as a decimal integer in [low, high], nothing before or after it. Throws DataError(VALUE).
    int64_t integer(int64_t row, int column, int64_t low, int64_t high) const;
    /// Physical line, from 1, where a row begins.
    int64_t line(int64_t row) const { return lines.at(size_t(row)); }

private:
    friend CsvTable read_csv(GzipReader& in, const CsvOptions& options);
    [[noreturn]] void fail(int64_t row, int column, const std::string& expected) const;
    void append_row(const CsvReader& reader, const std::vector<std::string>& fields);

    std::string file_name;
    std::vector<std::string> names;
    std::string text;            // all fields, row after row
    std::vector<uint32_t> ends;  // where each field ends in text
    std::vector<int64_t> lines;  // one per row
};

/// Reads a CSV file, gzip or plain. Throws DataError: MISSING (an empty file), DUP (two columns of one name), SHAPE (a
/// row with more or fewer fields), LIMIT, and what CsvReader throws. A header alone is a table of no rows.
CsvTable read_csv(const std::string& path, const CsvOptions& options = {});
CsvTable read_csv(GzipReader& in, const CsvOptions& options = {});

/// `text` as a decimal integer in [low, high], nothing before or after it; else nothing.
std::optional<int64_t> parse_integer(std::string_view text, int64_t low, int64_t high);

}  // namespace koine
