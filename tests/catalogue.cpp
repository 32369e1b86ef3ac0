// What the tests verify, held against tests/catalogue.tsv, and the table of it in tests/README.md.
//
// A line of catalogue.tsv is `id <tab> case <tab> answer <tab> note`. The answer is a list of the kinds of errors that
// the tests with that id must verify, and OK for what must be read; `holds` for a promise whose tests must pass; `-`
// for what does not concern us, where the note says why.
//
// With KOINE_CATALOGUE=FILE the program runs the tests of all rows, but for those of whole programs ([programs]), which
// take minutes and are only listed; then it writes the table between the two marks in FILE (`make catalogue`: the
// README itself; `make catalogue-check`: a copy, which must come out the same). It fails when a row has no test, when
// one of its tests was skipped or failed, when they verified other kinds than the row says, or never looked at the text
// of one.
#define CATCH_CONFIG_EXTERNAL_INTERFACES
#include "tests/catalogue.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <vector>

#include "tests/catch.h"

namespace koine::testing {
namespace {

namespace fs = std::filesystem;

const char* const kBegin = "<!-- catalogue: begin (make catalogue) -->\n";
const char* const kEnd = "<!-- catalogue: end -->\n";

struct Row {
    std::string id, subject, answer, note;
    std::vector<std::string> kinds;  // of the answer; none for `holds` and `-`
};

struct TestName {
    std::string file;
    size_t line = 0;  // where it is written, for the order
    std::string name;
    bool is_of_programs = false;
    auto operator<=>(const TestName&) const = default;
};
using Tests = std::map<std::string, std::set<TestName>>;  // by id

// What was verified for one row: kinds, and for each the texts in the order of the tests in their files.
struct Seen {
    std::set<std::string> passed;  // names
    std::map<std::string, std::map<TestName, std::string>> kinds;
};

std::string read_whole(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) throw Error(path + ": cannot be read");
    return std::string(std::istreambuf_iterator<char>(in), {});
}

std::string source(const std::string& name) { return std::string(KOINE_SOURCE_DIR) + "/" + name; }

std::vector<std::string> split(const std::string& text, char separator) {
    std::vector<std::string> parts;
    std::istringstream in(text);
    for (std::string part; std::getline(in, part, separator);) parts.push_back(part);
    return parts;
}

std::vector<Row> read_rows() {
    std::vector<Row> rows;
    for (const std::string& line : split(read_whole(source("tests/catalogue.tsv")), '\n')) {
        if (line.empty() || line[0] == '#') continue;
        std::vector<std::string> fields = split(line, '\t');
        if (fields.size() < 3) throw Error("tests/catalogue.tsv: a row without an answer: " + line);
        fields.resize(4);
        Row row{fields[0], fields[1], fields[2], fields[3], {}};
        if (row.answer == "-" && row.note.empty()) throw Error("tests/catalogue.tsv: " + row.id + " does not say why");
        if (row.answer != "-" && row.answer != "holds") row.kinds = split(row.answer, ' ');
        rows.push_back(row);
    }
    return rows;
}

bool is_id(const std::string& tag) {
    static const std::regex id("[A-Z][0-9]+");
    return std::regex_match(tag, id);
}

// "[data][G1][G2]": the ids of rows among its tags.
std::vector<std::string> ids_of(const std::string& tags) {
    std::vector<std::string> ids;
    for (std::string tag : split(tags, ']')) {
        tag.erase(0, tag.find('[') + 1);
        if (is_id(tag)) ids.push_back(tag);
    }
    return ids;
}

// The test cases with ids that are written in a folder, found in the sources: other programs have them, too.
Tests tests_in(const std::string& folder) {
    static const std::regex test_case("TEST_CASE\\(\\s*\"((?:[^\"\\\\]|\\\\.)*)\",\\s*\"([^\"]*)\"");
    Tests found;
    if (!fs::is_directory(source(folder))) return found;
    for (const fs::directory_entry& entry : fs::directory_iterator(source(folder))) {
        if (entry.path().extension() != ".cpp") continue;
        const std::string text = read_whole(entry.path().string());
        for (std::sregex_iterator at(text.begin(), text.end(), test_case), end; at != end; ++at) {
            std::string name = std::regex_replace((*at)[1].str(), std::regex("\\\\(.)"), "$1");
            const size_t line = size_t(std::count(text.begin(), text.begin() + at->position(), '\n'));
            const std::string tags = (*at)[2].str();
            const bool is_of_programs = tags.find("[programs]") != tags.npos;
            for (const std::string& id : ids_of(tags))
                found[id].insert({entry.path().filename().string(), line, name, is_of_programs});
        }
    }
    return found;
}

// ---- what the tests verify ----------------------------------------------------------------------------------------

TestName test;                      // that runs
std::vector<std::string> test_ids;  // its rows
std::string marked;                 // by a CatalogueRow
bool is_skipped = false;
std::map<std::string, Seen> seen;  // by id, from tests that passed
std::map<std::string, Seen> now;   // from the test that runs
std::vector<std::string> problems;

// Names of scratch folders differ from run to run, and are of no interest.
std::string without_scratch(const std::string& text) {
    static const std::regex scratch("/[^ \"']*koine-test-[A-Za-z0-9]{6}/?");
    return std::regex_replace(text, scratch, "");
}

void verified(const std::string& kind, const std::string& text) {
    const auto count = [&](const std::string& id) {
        std::string& first = now[id].kinds[kind][test];
        if (first.empty()) first = without_scratch(text);
    };
    const auto is_promise = [](const std::string& id) { return id[0] == 'A'; };
    const auto n_inputs =
        std::count_if(test_ids.begin(), test_ids.end(), [&](const auto& id) { return !is_promise(id); });
    for (const std::string& id : test_ids) {
        if (id == marked || (is_promise(id) && marked.empty()) || (!is_promise(id) && n_inputs == 1)) count(id);
    }
}

#if __has_include(<catch2/catch_all.hpp>)
using ListenerBase = Catch::EventListenerBase;
#else
using ListenerBase = Catch::TestEventListenerBase;
#endif

struct Listener : ListenerBase {
    using ListenerBase::ListenerBase;
    void testCaseStarting(const Catch::TestCaseInfo& info) override {
        test = {fs::path(info.lineInfo.file).filename().string(), info.lineInfo.line, info.name};
        test_ids = ids_of(info.tagsAsString());
        is_skipped = false;
        now.clear();
    }
    void testCaseEnded(const Catch::TestCaseStats& stats) override {
        if (stats.totals.assertions.allOk() && stats.totals.assertions.passed > 0 && !is_skipped) {
            for (const std::string& id : test_ids) seen[id].passed.insert(test.name);
            for (auto& [id, one] : now) {
                for (auto& [kind, texts] : one.kinds) seen[id].kinds[kind].merge(texts);
            }
        }
        test_ids.clear();
    }
};
CATCH_REGISTER_LISTENER(Listener)

// ---- the table ----------------------------------------------------------------------------------------------------

// For a cell of a table in Markdown.
std::string cell(const std::string& text) {
    std::string out;
    for (const char c : text) {
        if (c == '|' || c == '<' || c == '*' || c == '_' || c == '`' || c == '\\' || c == '[' || c == ']') out += '\\';
        if (c == '\n' || c == '\r') {
            out += ' ';
        } else if (uint8_t(c) >= 0x20) {
            out += c;
        }
    }
    return out;
}

std::string joined(const std::set<TestName>& tests, const std::string& where) {
    std::string out, file;
    for (const TestName& t : tests) {
        out += t.file == file ? "; " : (out.empty() ? "" : "; ") + where + t.file + ": ";
        out += cell(t.name) + (t.is_of_programs ? " (programs)" : "");
        file = t.file;
    }
    return out;
}

std::string table(const std::vector<Row>& rows) {
    const Tests here = tests_in("tests"), hostile = tests_in("tests/hostile"), fake = tests_in("tests/fake_cuda");
    std::string out = "| row | case | answer | tests |\n|---|---|---|---|\n";
    for (const Row& row : rows) {
        std::string answer, tests;
        for (const auto& [kind, texts] : seen[row.id].kinds) {
            answer += (answer.empty() ? "" : "; ") + kind;
            for (const auto& [name, text] : texts) {
                if (text.empty()) continue;
                answer += " \"" + cell(text) + "\"";
                break;
            }
        }
        if (row.answer == "-") answer = "does not concern us";
        if (row.answer == "holds") answer = "holds";
        if (!row.note.empty()) answer += " (" + row.note + ")";
        const auto add = [&](const Tests& others, const std::string& folder) {
            const auto found = others.find(row.id);
            if (found != others.end()) tests += (tests.empty() ? "" : "; ") + joined(found->second, folder);
        };
        add(here, "");
        add(hostile, "hostile/");
        add(fake, "fake_cuda/");
        out += "| " + row.id + " | " + row.subject + " | " + answer + " | " + tests + " |\n";
    }
    return out;
}

std::string asked() {
    const char* file = std::getenv("KOINE_CATALOGUE");
    return file == nullptr ? "" : file;
}

std::string selection() {
    std::string out;
    if (!asked().empty()) {
        for (const Row& row : read_rows()) {
            if (row.answer != "-") out += (out.empty() ? "[" : ",[") + row.id + "]~[programs]";
        }
    }
    return out;
}

void check_kinds(const Row& row) {
    const Seen& found = seen[row.id];
    for (const std::string& kind : row.kinds) {
        const auto texts = found.kinds.find(kind);
        if (texts == found.kinds.end()) {
            problems.push_back(row.id + ": no test verifies " + kind);
        } else if (kind != "OK" && std::all_of(texts->second.begin(), texts->second.end(),
                                               [](const auto& text) { return text.second.empty(); })) {
            problems.push_back(row.id + ": no test verifies the text of " + kind);
        }
    }
    if (row.answer == "holds") return;
    for (const auto& [kind, texts] : found.kinds) {
        if (kind != "OK" && std::find(row.kinds.begin(), row.kinds.end(), kind) == row.kinds.end())
            problems.push_back(row.id + ": \"" + texts.begin()->first.name + "\" verifies " + kind +
                               ", which the row does not say");
    }
}

int finish() {
    if (asked().empty()) return 0;
    const std::vector<Row> rows = read_rows();
    for (const Row& row : rows) {
        if (row.answer != "-") check_kinds(row);
    }
    for (const auto& [id, tests] : tests_in("tests")) {
        for (const TestName& one : tests) {
            if (!one.is_of_programs && seen[id].passed.count(one.name) == 0)
                problems.push_back(id + ": \"" + one.name + "\" (" + one.file + ") was not run, skipped, or failed");
        }
    }
    for (const std::string& problem : problems) std::fprintf(stderr, "catalogue: %s\n", problem.c_str());
    const std::string text = read_whole(asked());
    const size_t begin = text.find(kBegin), end = text.find(kEnd);
    if (begin == text.npos || end == text.npos) throw Error(asked() + ": the marks of the catalogue are not there");
    if (problems.empty()) {
        std::ofstream(asked(), std::ios::binary) << text.substr(0, begin) << kBegin << "\n"
                                                 << table(rows) << "\n"
                                                 << text.substr(end);
    }
    return int(problems.size());
}

const bool is_registered = [] {
    catalogue.verified = verified;
    catalogue.skipped = [] { is_skipped = true; };
    catalogue.selection = selection;
    catalogue.finish = finish;
    return true;
}();

}  // namespace

CatalogueRow::CatalogueRow(const std::string& id) : before(marked) {
    if (std::find(test_ids.begin(), test_ids.end(), id) == test_ids.end())
        FAIL_CHECK("CatalogueRow(\"" + id + "\") in a test case without that id");
    marked = id;
}
CatalogueRow::~CatalogueRow() { marked = before; }

}  // namespace koine::testing

using namespace koine::testing;

// Without running them: what is written in the sources of the tests, the rows, and the table in the README.
TEST_CASE("the catalogue, the tags of the tests and the table in the README are of one mind", "[catalogue]") {
    const std::string readme = read_whole(source("tests/README.md"));
    const size_t begin = readme.find(kBegin), end = readme.find(kEnd);
    REQUIRE(begin != readme.npos);
    REQUIRE(end != readme.npos);
    std::map<std::string, std::string> lines;
    for (const std::string& line : split(readme.substr(begin, end - begin), '\n')) {
        if (line.rfind("| ", 0) == 0) lines[line.substr(2, line.find(' ', 2) - 2)] = line;
    }
    lines.erase("row");
    std::set<std::string> ids;
    for (const Row& row : read_rows()) {
        INFO(row.id);
        CHECK(is_id(row.id));
        CHECK(ids.insert(row.id).second);
        CHECK(mentions(lines[row.id], "| " + row.subject + " | "));
        CHECK(mentions(lines[row.id], row.note));
    }
    CHECK(lines.size() == ids.size());
    std::set<std::string> with_tests;
    for (const char* folder : {"tests", "tests/hostile", "tests/fake_cuda"}) {
        for (const auto& [id, tests] : tests_in(folder)) {
            INFO("[" << id << "]");
            CHECK(ids.count(id) == 1);
            with_tests.insert(id);
            for (const TestName& name : tests) CHECK(mentions(lines[id], cell(name.name)));
        }
    }
    for (const Row& row : read_rows()) {
        INFO(row.id);
        CHECK((row.answer == "-" || with_tests.count(row.id) == 1));
    }
}
