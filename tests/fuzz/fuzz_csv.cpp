// Fuzz target: CSV tables. The first byte of the input chooses the options, the rest is the file.
// A DataError is the right answer to a damaged file. Every other exception, and whatever the sanitizers see, is a
// finding. What is accepted must keep the promises of csv.h, and be the same table when it is written and read again.
#include "data/csv.h"

#include "data/utf8.h"
#include "tests/fuzz/fuzz_file.h"

using namespace koine;
using namespace koine::testing;

namespace {

/// The table with every field in quotes.
std::string written(const CsvTable& table, const CsvOptions& options) {
    std::string out;
    const int n_columns = int(table.columns().size());
    const auto put = [&](std::string_view field, int column) {
        if (column > 0) out += options.delimiter;
        out += '"';
        for (char c : field) out.append(c == '"' ? 2 : 1, c);
        out += '"';
        if (column + 1 == n_columns) out += '\n';
    };
    for (int c = 0; options.has_header && c < n_columns; c++) put(table.columns()[size_t(c)], c);
    for (int64_t row = 0; row < table.n_rows(); row++) {
        for (int c = 0; c < n_columns; c++) put(table.cell(row, c), c);
    }
    return out;
}

void check_same(const CsvTable& a, const CsvTable& b) {
    must(a.columns() == b.columns() && a.n_rows() == b.n_rows());
    for (int64_t row = 0; row < a.n_rows(); row++) {
        for (int c = 0; c < int(a.columns().size()); c++) must(a.cell(row, c) == b.cell(row, c));
    }
}

void ask(const CsvTable& table) {
    const int64_t last = table.n_rows() - 1;
    const int column = table.column(table.columns().back());
    must(column + 1 == int(table.columns().size()));
    if (last < 0) return;
    must(table.line(last) >= 1);
    const int64_t number = table.integer(last, column, -5, 1000);
    must(number >= -5 && number <= 1000);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    const ByteSpan rest(data + 1, size - 1);
    CsvOptions options;
    options.delimiter = ",;\t|"[data[0] % 4];
    options.has_header = data[0] & 4;
    options.is_latin1 = data[0] & 8;
    if (data[0] & 16) options.max_field_bytes = 64, options.max_columns = 8;
    try {
        GzipReader in(rest, "memory");
        const CsvTable table = read_csv(in, options);
        for (int64_t row = 0; row < table.n_rows(); row++) {
            for (int c = 0; c < int(table.columns().size()); c++) {
                const std::string_view cell = table.cell(row, c);
                must(cell.size() <= options.max_field_bytes && utf8_valid_prefix(cell) == cell.size());
            }
        }
        const std::string again = written(table, options);
        options.is_latin1 = false;
        GzipReader from({reinterpret_cast<const uint8_t*>(again.data()), again.size()}, "written");
        // A gzip file cannot begin with a quote, so what was written is read as it is. A table without a header and
        // without rows is an empty file, which is refused.
        if (!again.empty()) check_same(table, read_csv(from, options));
        ask(table);
    } catch (const DataError&) {
    }
    return 0;
}
