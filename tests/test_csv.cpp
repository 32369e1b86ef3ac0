// CSV reading: rows D1 to D10 of the catalogue of bad inputs, and the generic sweep.
#include "data/csv.h"
#include "tests/data_samples.h"

using namespace koine;
using namespace koine::testing;

namespace {

CsvTable parse(const Bytes& file, const CsvOptions& options = {}) {
    GzipReader in(file, "sample");
    return read_csv(in, options);
}

CsvTable parse(const std::string& text, const CsvOptions& options = {}) { return parse(bytes_of(text), options); }

ErrorKind kind_of_parsing(const std::string& text, const CsvOptions& options = {}) {
    return kind_of([&] { parse(text, options); });
}

/// The table as "a|b/c|d": cells, rows.
std::string flat(const CsvTable& table) {
    std::string s;
    for (int64_t row = 0; row < table.n_rows(); row++) {
        for (int column = 0; column < int(table.columns().size()); column++) {
            s += std::string(column ? "|" : row ? "/" : "") + std::string(table.cell(row, column));
        }
    }
    return s;
}

CsvOptions with_delimiter(char delimiter) {
    CsvOptions options;
    options.delimiter = delimiter;
    return options;
}

}  // namespace

TEST_CASE("CSV: a table, plain or gzip", "[data]") {
    const ScratchFolder scratch;
    const Bytes text = bytes_of("text,label\nhello,1\nworld,2\n");
    for (const auto& path : {scratch.write("a.csv", text), scratch.write("b.csv", gzipped(text))}) {
        const CsvTable table = read_csv(path);
        CHECK(table.columns() == std::vector<std::string>{"text", "label"});
        CHECK(flat(table) == "hello|1/world|2");
        CHECK(table.column("label") == 1);
        CHECK(table.line(1) == 3);
        CHECK_THROWS_AS(table.cell(2, 0), ValueError);
        CHECK_THROWS_AS(table.cell(0, 2), ValueError);
    }
    CsvOptions options;
    options.has_header = false;
    CHECK(flat(parse("1,2\n3,4", options)) == "1|2/3|4");
    CHECK(parse("1,2\n3,4", options).columns() == std::vector<std::string>{"0", "1"});
    CHECK(kind_of([&] { read_csv(scratch / "nowhere"); }) == "IO");
    CHECK_THROWS_AS(parse("a", with_delimiter('"')), ValueError);
}

TEST_CASE("CSV: rows that are too long", "[data][D1]") {
    CHECK_ERROR(parse("a,b\n1,2\n1,2,3\n"), DataError, "sample: line 3: expected 2 fields, found 3");
    CHECK(kind_of_parsing("a,b\n1,2\n1,2,\n") == "SHAPE");
}

TEST_CASE("CSV: rows that are too short", "[data][D2]") {
    CHECK_ERROR(parse("a,b\n\"x\ny\",2\n1\n"), DataError, "line 4: expected 2 fields, found 1");  // physical lines
    CHECK(kind_of_parsing("a,b\n ") == "SHAPE");
}

TEST_CASE("CSV: a quote that is never closed", "[data][D3]") {
    CHECK_ERROR(parse("a,b\n1,2\n3,\"x\ny\nz\n"), DataError, "line 3: this quote is never closed");
    CHECK_ERROR(parse("a,b\n\"1\n\",\"x"), DataError, "line 3: this quote");
    CHECK(kind_of_parsing("\"") == "SYNTAX");
    CHECK(kind_of_parsing("\"\"\"") == "SYNTAX");
}

TEST_CASE("CSV: quoting is RFC 4180's and nothing else", "[data][D4]") {
    CHECK_OK(flat(parse("a,b\n\"x\"\"y\",\"1,2\"\n")) == "x\"y|1,2");
    CHECK(flat(parse("a,b\n\"\",\"\"\"\"\n")) == "|\"");
    CHECK(flat(parse("a,b\n\"two\nlines\",2\n3,4")) == "two\nlines|2/3|4");
    CHECK(flat(parse("a,b\n\"two\r\nlines\r\",2\n3,4")) == "two\r\nlines\r|2/3|4");
    CHECK(flat(parse("a\n\"\\\"\"x\"\n")) == "\\\"x");  // a backslash is a character like any other
    CHECK_ERROR(parse("a,b\n1,x\"y\n"), DataError, "line 2: a quote in the middle of a field");
    CHECK_ERROR(parse("a,b\n\"1\\\"2\",3\n"), DataError, "line 2: text behind a closing quote");
    CHECK(kind_of_parsing("a,b\n\"1\" ,2\n") == "SYNTAX");
    CHECK(kind_of_parsing("a,b\n \"1\",2\n") == "SYNTAX");
}

TEST_CASE("CSV: byte order mark, line ends of every kind, blank lines", "[data][D5]") {
    const std::string kMark = "\xef\xbb\xbf";
    for (const std::string& text : std::vector<std::string>{
             "a,b\n1,2\n3,4\n", "a,b\r\n1,2\r\n3,4\r\n", "a,b\r1,2\r3,4\r", "a,b\n1,2\r3,4\r\n", "a,b\n1,2\n3,4",
             kMark + "a,b\n1,2\n3,4", kMark + "\"a\",b\n1,2\n3,4", "a,b\n\n1,2\r\n\r\n3,4\n\n\n"}) {
        const CsvTable table = parse(text);
        CHECK_OK(flat(table) == "1|2/3|4");
        CHECK(table.column("a") == 0);
    }
    CHECK(parse("a\r\n\r\n\"1\r\n\"\r\n2").line(1) == 5);
    CHECK(parse("a\r\r\"1\r\"\r2").line(1) == 5);
    CHECK(flat(parse("a\n\"\"\nx\n")) == "/x");  // an empty field, alone, is written ""
}

TEST_CASE("CSV: a NUL byte", "[data][D6]") {
    CHECK_ERROR(parse(std::string("a,b\n1,x\0y\n", 10)), DataError, "line 2: a NUL byte");
    CHECK(kind_of_parsing(std::string("a,b\n1,\"\0\"\n", 10)) == "SYNTAX");
    CHECK(kind_of_parsing(std::string("a\0,\0b\0", 6)) == "SYNTAX");
}

TEST_CASE("CSV: bytes that are not UTF-8, and Latin-1", "[data][D7]") {
    CHECK(flat(parse("a\nperché\n")) == "perché");
    CHECK_ERROR(parse("a\nx\nperch\xe9\n"), DataError, "line 3: not UTF-8 behind 'perch'");
    CHECK(kind_of_parsing("perch\xe9\n") == "UTF8");
    CHECK(kind_of_parsing("a\n\"\xc3\"\"\xa9\"\n") == "UTF8");  // a code point does not reach over a quote
    CsvOptions latin1;
    latin1.is_latin1 = true;
    CHECK_OK(flat(parse("a\nperch\xe9 \xff\n", latin1)) == "perché ÿ");
}

TEST_CASE("CSV: columns that are missing, doubled, or separated otherwise", "[data][D8]") {
    const CsvTable table = parse("text,label\nhello,1\n");
    CHECK_ERROR(table.column("source"), DataError, "no column 'source'; there are 'text', 'label'");
    CHECK(kind_of([&] { table.column("Text"); }) == "MISSING");
    CHECK_ERROR(parse("text,label,text\n"), DataError, "line 1: two columns are named 'text'");
    CHECK(kind_of_parsing("a,,\n") == "DUP");
    for (char delimiter : {';', '\t'}) {
        const std::string text = std::string("text") + delimiter + "label\na,b" + delimiter + "1\n";
        CHECK_ERROR(parse("text;label\nx\n").column("label"), DataError, "is the delimiter another one?");
        CHECK_OK(flat(parse(text, with_delimiter(delimiter))) == "a,b|1");
    }
}

TEST_CASE("CSV: labels that are none", "[data][D9]") {
    const std::vector<std::string> allowed = {"0", "1"};
    for (const std::string label : {"NA", "", " 1", "1 ", "1.0", "2", "01x", "+1", "99999999999999999999"}) {
        const CsvTable table = parse("text,label\nx,1\ny,\"" + label + "\"\n");
        CHECK(table.choice(0, 1, allowed) == 1);
        CHECK(table.integer(0, 1, 0, 1) == 1);
        CHECK_ERROR(table.choice(1, 1, allowed), DataError,
                    "line 3: column 'label' is '" + (label.size() > 40 ? "" : label) + "', expected one of '0', '1'");
        CHECK_ERROR(table.integer(1, 1, 0, 1), DataError, "expected an integer from 0 to 1");
        CHECK(kind_of([&] { table.choice(1, 1, allowed); }) == "VALUE");
    }
    CHECK(parse_integer("-7", -10, 0) == int64_t{-7});
    CHECK_FALSE(parse_integer("-11", -10, 0));
}

TEST_CASE("CSV: nothing, nearly nothing, and far too much", "[data][D10]") {
    check_refused([] { parse(""); }, "MISSING", "sample");
    CHECK(kind_of_parsing("\n\n") == "MISSING");
    CHECK_OK(parse("a,b\n").n_rows() == 0);
    CHECK(parse("a,b").n_rows() == 0);
    CHECK_ERROR(parse("a\n\"" + std::string(2 << 20, 'x')), DataError, "line 2: a field longer than 1048576 bytes");
    CHECK(kind_of_parsing(std::string(2 << 20, 'x')) == "LIMIT");
    CHECK(flat(parse("a\n" + std::string(1 << 20, 'x'))).size() == 1 << 20);
    CHECK(kind_of_parsing(std::string(1000000, ',')) == "LIMIT");
    // A gigabyte in one field, as 1 MB of gzip: refused at the limit.
    Bytes bomb;
    const Bytes member = gzipped(Bytes(10000000, 'x'), 9);
    for (int i = 0; i < 100; i++) bomb.insert(bomb.end(), member.begin(), member.end());
    CHECK(kind_of([&] { parse(bomb); }) == "LIMIT");
}

TEST_CASE("CSV: generic sweep", "[data][sweep][A11]") {
    const Bytes good = bytes_of("\xef\xbb\xbftext,label\r\n\"a \"\"quoted\"\", field\nof two lines\",1\nperché,2\n");
    const auto parse_it = [](const Bytes& file) {
        const CsvTable table = parse(file);
        for (int64_t row = 0; row < table.n_rows(); row++)
            REQUIRE_NOTHROW(table.cell(row, int(table.columns().size()) - 1));
    };
    CHECK(sweep(good, good.size(), {}, false, parse_it) > 128);
    const Bytes packed = gzipped(good);
    sweep(packed, packed.size(), {{packed.size() - 4, 4, false}}, false, parse_it);
}

TEST_CASE("CSV: the limit of a field holds for what Latin-1 becomes, too", "[data][D7][D10]") {
    CsvOptions options;
    options.is_latin1 = true;
    options.max_field_bytes = 4;
    const auto parse_field = [&](const std::string& field) { return parse("a\n" + field + "\n", options); };
    CHECK(parse_field("\xe9\xe9").cell(0, 0) == "\u00e9\u00e9");
    CHECK(parse_field("xx\xe9").cell(0, 0) == "xx\u00e9");
    check_refused([&] { parse_field("xxx\xe9"); }, "LIMIT", "a field longer than 4 bytes");
}

TEST_CASE("CSV: the real sentiment tables", "[data][real]") {
    const char* root = std::getenv("KOINE_DATA");
    if (!root || !std::filesystem::exists(std::string(root) + "/sentiment"))
        SKIP_TEST("no sentiment folder below KOINE_DATA");
    const std::vector<std::string> labels = {"negative", "neutral", "positive"};
    const std::pair<const char*, int> splits[] = {{"train", 613}, {"valid", 108}, {"test", 290}};
    for (const std::string language : {"english", "italian"}) {
        for (const auto& [split, per_label] : splits) {
            const CsvTable table = read_csv(std::string(root) + "/sentiment/" + language + "/" + split + ".csv");
            CHECK(table.columns() == std::vector<std::string>{"text", "label", "source"});
            std::vector<int> counts(3);
            for (int64_t row = 0; row < table.n_rows(); row++) {
                counts[size_t(table.choice(row, 1, labels))]++;
                if (table.line(row) != row + 2) FAIL_CHECK("row " << row << " is on line " << table.line(row));
            }
            CHECK(counts == std::vector<int>(3, per_label));
        }
    }
}
