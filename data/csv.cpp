// CSV reading; see csv.h.
#include "data/csv.h"

#include <algorithm>
#include <charconv>
#include <unordered_set>

#include "data/text_hash.h"
#include "data/utf8.h"

namespace koine {
namespace {

constexpr int kEnd = -1;

// Text of the file for a message: 40 bytes, and not a part of a code point. Control characters, which a terminal would
// obey, are written out.
std::string shortened(std::string_view text) {
    const bool is_long = text.size() > 40;
    if (is_long) text = text.substr(0, utf8_valid_prefix(text.substr(0, 40)));
    std::string s;
    for (const char c : text) {
        if (uint8_t(c) >= 0x20 && c != 0x7f) {
            s += c;
        } else {
            s.append("\\x").append(1, "01234567"[uint8_t(c) / 16]).append(1, "0123456789abcdef"[uint8_t(c) % 16]);
        }
    }
    return is_long ? s + "..." : s;
}

std::string quoted_list(std::span<const std::string> names) {
    constexpr size_t kShown = 20;
    std::string s;
    for (size_t i = 0; i < std::min(names.size(), kShown); i++) s += (i ? ", '" : "'") + shortened(names[i]) + "'";
    return names.size() > kShown ? s + ", and " + std::to_string(names.size() - kShown) + " more" : s;
}

}  // namespace

CsvReader::CsvReader(GzipReader& in_, const CsvOptions& options_) : in(in_), options(options_) {
    if (options.delimiter == '"' || options.delimiter == '\n' || options.delimiter == '\r' || options.delimiter == 0) {
        throw ValueError("csv: the delimiter cannot be a quote, a line end or NUL");
    }
    const auto head = in.peek();
    if (head.size() >= 3 && head[0] == 0xef && head[1] == 0xbb && head[2] == 0xbf) in.skip(3);  // byte order mark
}

int CsvReader::look() {
    const auto bytes = in.peek();
    return bytes.empty() ? kEnd : bytes[0];
}

bool CsvReader::take_line_end() {
    const int byte = look();
    if (byte != '\n' && byte != '\r') return false;
    in.skip(1);
    if (byte == '\r' && look() == '\n') in.skip(1);
    current_line++;
    return true;
}

bool CsvReader::next(std::vector<std::string>& fields) {
    while (take_line_end()) {
    }  // blank lines
    record_line = current_line;
    if (look() == kEnd) return false;
    size_t n = 0;
    for (;;) {
        if (n == options.max_columns) fail("LIMIT", "more than " + std::to_string(n) + " columns");
        if (n == fields.size()) fields.emplace_back();
        read_field(fields[n++]);
        if (take_line_end() || look() == kEnd) break;
        in.skip(1);  // the delimiter: read_field stops nowhere else
    }
    fields.resize(n);
    return true;
}

void CsvReader::read_field(std::string& field) {
    field.clear();
    if (look() == '"') {
        read_quoted(field);
    } else {
        for (int byte = look(); byte != kEnd && byte != '\n' && byte != '\r' && byte != uint8_t(options.delimiter);
             byte = look()) {
            if (byte == '"')
                fail("SYNTAX", "a quote in the middle of a field; quote the field and write the quote as \"\"");
            append(field, byte);
            in.skip(1);
        }
    }
    if (const size_t valid = utf8_valid_prefix(field); valid < field.size()) {
        fail("UTF8", "not UTF-8 behind '" + shortened(std::string_view(field).substr(0, valid)) +
                         "'; if the file is in Latin-1, set the latin1 option");
    }
}

void CsvReader::read_quoted(std::string& field) {
    const int64_t quote_line = current_line;
    in.skip(1);
    int previous = 0;
    for (;;) {
        const int byte = look();
        if (byte == kEnd) fail_at(quote_line, "SYNTAX", "this quote is never closed");
        in.skip(1);
        if (byte == '"') {
            if (look() != '"') break;
            in.skip(1);
        }
        if (byte == '\r' || (byte == '\n' && previous != '\r')) current_line++;
        previous = byte;
        append(field, byte);
    }
    const int byte = look();
    if (byte != kEnd && byte != '\n' && byte != '\r' && byte != uint8_t(options.delimiter)) {
        fail("SYNTAX", "text behind a closing quote; inside quotes a quote is written \"\"");
    }
}

void CsvReader::append(std::string& field, int byte) {
    if (byte == 0) fail("SYNTAX", "a NUL byte; is the file UTF-16, or not text at all?");
    const bool is_two_bytes = options.is_latin1 && byte >= 0x80;  // U+0080 to U+00FF
    if (field.size() + is_two_bytes >= options.max_field_bytes) {
        fail("LIMIT", "a field longer than " + std::to_string(options.max_field_bytes) + " bytes");
    }
    if (is_two_bytes) {
        field.push_back(char(0xc0 | byte >> 6));
        byte = 0x80 | (byte & 0x3f);
    }
    field.push_back(char(byte));
}

void CsvReader::fail_at(int64_t line, const char* kind, const std::string& problem) const {
    throw DataError(kind, in.file(), "line " + std::to_string(line), problem);
}

int CsvTable::column(std::string_view name) const {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found != names.end()) return int(found - names.begin());
    const bool other_delimiter = names.size() == 1 && names[0].find_first_of(";\t,|") != std::string::npos;
    throw DataError("MISSING", file_name, "",
                    "no column '" + std::string(name) + "'; there are " + quoted_list(names) +
                        (other_delimiter ? " (is the delimiter another one?)" : ""));
}

std::string_view CsvTable::cell(int64_t row, int column) const {
    if (row < 0 || row >= n_rows() || column < 0 || size_t(column) >= names.size()) {
        throw ValueError("csv: cell (" + std::to_string(row) + ", " + std::to_string(column) + ") of a table of " +
                         std::to_string(n_rows()) + " rows and " + std::to_string(names.size()) + " columns");
    }
    const size_t i = size_t(row) * names.size() + size_t(column);
    const size_t begin = i == 0 ? 0 : ends[i - 1];
    return std::string_view(text).substr(begin, ends[i] - begin);
}

int CsvTable::choice(int64_t row, int column, std::span<const std::string> allowed) const {
    const auto found = std::find(allowed.begin(), allowed.end(), cell(row, column));
    if (found == allowed.end()) fail(row, column, "one of " + quoted_list(allowed));
    return int(found - allowed.begin());
}

int64_t CsvTable::integer(int64_t row, int column, int64_t low, int64_t high) const {
    const auto value = parse_integer(cell(row, column), low, high);
    if (!value) fail(row, column, "an integer from " + std::to_string(low) + " to " + std::to_string(high));
    return *value;
}

void CsvTable::fail(int64_t row, int column, const std::string& expected) const {
    throw DataError("VALUE", file_name, "line " + std::to_string(line(row)),
                    "column '" + shortened(names[size_t(column)]) + "' is '" + shortened(cell(row, column)) +
                        "', expected " + expected);
}

void CsvTable::append_row(const CsvReader& reader, const std::vector<std::string>& fields) {
    if (fields.size() != names.size()) {
        reader.fail("SHAPE",
                    "expected " + std::to_string(names.size()) + " fields, found " + std::to_string(fields.size()));
    }
    for (const std::string& field : fields) {
        if (field.size() > UINT32_MAX - text.size()) reader.fail("LIMIT", "more than 4 GB of text");
        text += field;
        ends.push_back(uint32_t(text.size()));
    }
    lines.push_back(reader.line());
}

CsvTable read_csv(GzipReader& in, const CsvOptions& options) {
    CsvTable table;
    table.file_name = in.file();
    CsvReader reader(in, options);
    std::vector<std::string> fields;
    if (!reader.next(fields)) throw DataError("MISSING", in.file(), "", "the file is empty, expected a table");
    if (options.has_header) {
        table.names = fields;
        std::unordered_set<std::string_view, TextHash> seen;
        for (const std::string& name : table.names) {
            if (!seen.insert(name).second) reader.fail("DUP", "two columns are named '" + shortened(name) + "'");
        }
    } else {
        for (size_t i = 0; i < fields.size(); i++) table.names.push_back(std::to_string(i));
        table.append_row(reader, fields);
    }
    while (reader.next(fields)) table.append_row(reader, fields);
    return table;
}

CsvTable read_csv(const std::string& path, const CsvOptions& options) {
    GzipReader in(path);
    return read_csv(in, options);
}

std::optional<int64_t> parse_integer(std::string_view text, int64_t low, int64_t high) {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < low || value > high) return std::nullopt;
    return value;
}

}  // namespace koine
