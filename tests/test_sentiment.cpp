// Texts with a sentiment: what is repaired in them, how they are found and read, what is refused.
#include "data/sentiment.h"

#include <algorithm>
#include <sstream>

#include "tests/datasets_common.h"
#include "tests/fetch_samples.h"

using namespace koine;
using namespace koine::testing;

namespace {

/// A table as a file has it: `rows` of text and label, quoted as they must be.
std::string table(const std::vector<std::pair<std::string, std::string>>& rows) {
    std::string out = "text,label,source\n";
    for (const auto& [text, label] : rows) {
        out += '"';
        for (char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
        out += "\"," + label + ",somewhere\n";
    }
    return out;
}

const std::string kGood = table({{"so bad ", "negative"},
                                 {R"(it\u2019s a ""day"")", "neutral"},
                                 {"so good &amp;\tmore, more", "positive"},
                                 {"worse", "negative"}});
const std::string kSmallTable = table({{"well", "positive"}, {"why not", "neutral"}});

void write_language(const ScratchFolder& scratch, const std::string& folder, const std::string& train = kGood,
                    const std::string& valid = kSmallTable, const std::string& test = kSmallTable) {
    scratch.write(folder + "/train.csv", bytes_of(train));
    scratch.write(folder + "/valid.csv", bytes_of(valid));
    scratch.write(folder + "/test.csv", bytes_of(test));
}

SentimentOptions below(const std::string& dir) {
    SentimentOptions options;
    options.data = offline(dir);
    return options;
}

using Texts = std::vector<std::string>;
using Labels = std::vector<int32_t>;

}  // namespace

TEST_CASE("what is repaired in a text, and what is left alone", "[data][sentiment]") {
    const std::pair<std::string, std::string> cases[] = {
        {"", ""},
        {"nothing to do", "nothing to do"},
        // Escapes: two surrogates are one character.
        {R"(c\u2019mon\u002c it\u0027s)", "c’mon, it's"},
        {R"(\u00e8\u00E8)", "èè"},
        {R"(\ud83d\ude00!)", "😀!"},
        // What is none stays: a surrogate alone, the two in the wrong order, too short, no hexadecimal digits, a sign.
        {R"(\ud83d)", R"(\ud83d)"},
        {R"(\ud83d\u0041)", R"(\ud83dA)"},
        {R"(\ud83d\ud83d\ude00)", R"(\ud83d😀)"},
        {R"(\ude00\ud83d)", R"(\ude00\ud83d)"},
        {R"(\u201)", R"(\u201)"},
        {R"(\u)", R"(\u)"},
        {R"(\u20g9)", R"(\u20g9)"},
        {R"(\u-001)", R"(\u-001)"},
        {R"(\u+001)", R"(\u+001)"},
        {R"(\U2019 \x41 \n \\)", R"(\U2019 \x41 \n \\)"},
        // Once: what an escape or an entity leaves behind begins no other one of its kind.
        {R"(\u005cu2019)", R"(\u2019)"},
        {"&amp;lt;", "&lt;"},
        {R"(\u0026lt;)", "<"},
        {"&lt;3 &gt; &amp; &quot;x&quot; &#39;y&#39;", "<3 > & \"x\" 'y'"},
        {"&hellip; &AMP; &amp &#x27; & ;", "&hellip; &AMP; &amp &#x27; & ;"},
        // Quotes.
        {R"(a \"word\" here)", "a \"word\" here"},
        {R"(\"""""""Looming\"""""""")", "\"Looming\""},
        {"\"&quot;\"", "\""},
        {"\" \" ''x'' ““", "\" \" ''x'' ““"},
        // Blanks: also those that an escape stood for; what joins emoji is no blank.
        {" \t a \r\n\x01 b\u00a0\u3000c\x7f ", "a b c"},
        {R"(\u0000a\u0009\u0085b)", "a b"},
        {"👩‍👧", "👩‍👧"},
        {" \t\\u000a\u2028 ", ""},
        // Not UTF-8: none of our business.
        {"\xff\xc3 ", "\xff\xc3"},
    };
    for (const auto& [text, repaired] : cases) {
        INFO(text);
        CHECK(repaired_text(text) == repaired);
    }
}

TEST_CASE("repairs are counted by text and kind", "[data][sentiment]") {
    TextRepairs counts;
    const auto counted = [&](std::string_view text) {
        counts = {};
        repaired_text(text, &counts);
        return std::vector<int64_t>{counts.n_escapes, counts.n_quotes, counts.n_entities, counts.n_blanks};
    };
    CHECK(counted("nothing") == std::vector<int64_t>{0, 0, 0, 0});
    CHECK(counted(R"(\u2019 \u2019 \")") == std::vector<int64_t>{1, 0, 0, 0});
    CHECK(counted(R"(a "" b """)") == std::vector<int64_t>{0, 1, 0, 0});
    CHECK(counted("&lt;&gt;") == std::vector<int64_t>{0, 0, 1, 0});
    CHECK(counted(" a  b ") == std::vector<int64_t>{0, 0, 0, 1});
    CHECK(counted("a\tb") == std::vector<int64_t>{0, 0, 0, 1});
    CHECK(counted(R"(\"" &amp; )") == std::vector<int64_t>{1, 1, 1, 1});
    repaired_text("&amp;", &counts);
    CHECK(counts.n_entities == 2);  // added to what was there
}

TEST_CASE("sentiment texts: three files of a language, repaired or raw", "[data][sentiment]") {
    const NoOtherData machine;
    write_language(machine.scratch, "root/sentiment/english");
    const SentimentSet set = load_sentiment("english", below(machine.scratch / "root"));
    CHECK(set.language == "english");
    CHECK(sentiment_names() == Texts{"negative", "neutral", "positive"});
    CHECK(set.train.texts == Texts{"so bad", "it’s a \"day\"", "so good & more, more", "worse"});
    CHECK(set.train.labels == Labels{0, 1, 2, 0});
    CHECK(set.train.size() == 4);
    CHECK(set.valid.texts == Texts{"well", "why not"});
    CHECK(set.test.labels == Labels{2, 1});
    CHECK(set.repairs.n_escapes == 1);
    CHECK(set.repairs.n_quotes == 1);
    CHECK(set.repairs.n_entities == 1);
    CHECK(set.repairs.n_blanks == 2);
    CHECK(mentions(set.source,
                   "tweets in english, 4 training, 2 validation and 2 test texts (not all of the official "
                   "1839, 324 and 870), from " +
                       (machine.scratch / "root/sentiment/english")));

    SentimentOptions raw = below(machine.scratch / "root");
    raw.is_raw = true;
    const SentimentSet as_they_are = load_sentiment("english", raw);
    CHECK(as_they_are.train.texts == Texts{"so bad ", R"(it\u2019s a ""day"")", "so good &amp;\tmore, more", "worse"});
    CHECK(as_they_are.repairs.n_blanks == 0);
    CHECK(as_they_are.hash != set.hash);
}

TEST_CASE("sentiment texts: the hash is that of all texts and labels", "[data][sentiment]") {
    const NoOtherData machine;
    write_language(machine.scratch, "root/sentiment/english");
    const SentimentOptions options = below(machine.scratch / "root");
    const std::string hash = load_sentiment("english", options).hash;
    CHECK(hash.size() == 16);
    SentimentOptions few = options;
    few.data.train_limit = 1, few.data.test_limit = 1;
    CHECK(load_sentiment("english", few).hash == hash);
    const auto hash_with = [&](const std::string& valid, const std::string& test) {
        write_language(machine.scratch, "root/sentiment/english", kGood, valid, test);
        return load_sentiment("english", options).hash;
    };
    CHECK(hash_with(kSmallTable, kSmallTable) == hash);
    CHECK(hash_with(kSmallTable, table({{"well", "negative"}, {"why not", "neutral"}})) != hash);
    CHECK(hash_with(kSmallTable, table({{"wel", "positive"}, {"lwhy not", "neutral"}})) != hash);
    CHECK(hash_with(table({{"well", "positive"}}), table({{"why not", "neutral"}, {"well", "positive"}})) != hash);
}

TEST_CASE("sentiment texts: limits take the first of one fixed shuffle", "[data][sentiment]") {
    const NoOtherData machine;
    std::vector<std::pair<std::string, std::string>> rows;
    for (int i = 0; i < 60; i++) rows.emplace_back(std::to_string(i), sentiment_names()[size_t(i % 3)]);
    write_language(machine.scratch, "root/sentiment/italian", table(rows), table(rows), table(rows));
    SentimentOptions options = below(machine.scratch / "root");
    options.data.train_limit = 20, options.data.test_limit = 30;
    const SentimentSet set = load_sentiment("italian", options);
    REQUIRE(set.train.size() == 20);
    CHECK(set.valid.size() == 30);
    CHECK(set.test.size() == 30);
    CHECK(set.valid.texts == set.test.texts);
    CHECK(Texts(set.test.texts.begin(), set.test.texts.begin() + 20) == set.train.texts);
    for (size_t i = 0; i < 30; i++) CHECK(set.test.labels[i] == std::stoi(set.test.texts[i]) % 3);
    CHECK_FALSE(std::is_sorted(set.train.texts.begin(), set.train.texts.end(),
                               [](const auto& a, const auto& b) { return std::stoi(a) < std::stoi(b); }));
    options.data.train_limit = 1000;
    CHECK(load_sentiment("italian", options).train.size() == 60);
    CHECK(mentions(set.source, "60 training"));
    for (int64_t DataOptions::*limit : {&DataOptions::train_limit, &DataOptions::test_limit}) {
        SentimentOptions negative = below(machine.scratch / "root");
        negative.data.*limit = -1;
        CHECK_ERROR(load_sentiment("italian", negative), ValueError, "cannot be negative");
    }
}

TEST_CASE("sentiment texts: where they are looked for", "[data][sentiment]") {
    const NoOtherData machine;
    const ScratchFolder& scratch = machine.scratch;
    const auto with_text = [](const std::string& text) { return kGood + text + ",neutral,somewhere\n"; };
    const auto found = [&](const std::string& dir) { return load_sentiment("english", below(dir)).train.texts.back(); };
    write_language(scratch, "cache/koine/sentiment/english", with_text("cache"));
    CHECK(found("") == "cache");
    write_language(scratch, "env/sentiment/english", with_text("env"));
    const EnvironmentVariable data("KOINE_DATA", scratch / "env");
    CHECK(found("") == "env");
    // The folder that the user named may be the set itself.
    write_language(scratch, "dir/english", with_text("flat"));
    CHECK(found(scratch / "dir") == "flat");
    const EnvironmentVariable flat("KOINE_DATA", scratch / "dir");
    CHECK(found("") == "cache");
    write_language(scratch, "dir/sentiment/english", with_text("dir"));
    CHECK(found(scratch / "dir") == "dir");
    // gzip by content; a complete folder is better than an incomplete one.
    scratch.write("dir/sentiment/english/train.csv.gz", gzipped(bytes_of(with_text("packed"))));
    CHECK(found(scratch / "dir") == "dir");
    std::filesystem::remove(scratch / "dir/sentiment/english/train.csv");
    CHECK(found(scratch / "dir") == "packed");
    std::filesystem::remove(scratch / "dir/sentiment/english/valid.csv");
    CHECK(found(scratch / "dir") == "flat");
    CHECK_ERROR(load_sentiment("french", below(scratch / "dir")), ValueError,
                "no sentiment texts are in 'french'; there are english, italian");
}

TEST_CASE("sentiment texts: nowhere, or not all of them", "[data][sentiment]") {
    const NoOtherData machine;
    const ScratchFolder& scratch = machine.scratch;
    const SentimentOptions options = below(scratch / "dir");
    check_refused([&] { load_sentiment("english", options); }, "MISSING",
                  "sentiment: not found; looked below " + (scratch / "dir"));
    check_refused([&] { load_sentiment("english", options); }, "MISSING",
                  "fetch.sh sentiment --to " + (scratch / "dir"));
    write_language(scratch, "dir/sentiment/italian");
    check_refused([&] { load_sentiment("english", options); }, "MISSING", "not found");
    for (const std::string split : {"train", "valid", "test"}) {
        std::filesystem::remove_all(scratch / "dir");
        write_language(scratch, "dir/sentiment/english");
        std::filesystem::remove(scratch / "dir/sentiment/english/" + split + ".csv");
        check_refused([&] { load_sentiment("english", options); }, "MISSING",
                      (scratch / "dir/sentiment/english") + ": holds no " + split + ".csv; train.csv, valid.csv and");
    }
}

TEST_CASE("sentiment texts: other columns", "[data][sentiment]") {
    const NoOtherData machine;
    std::string train = kGood, rest = kSmallTable;
    for (std::string* file : {&train, &rest}) file->replace(0, 10, "tweet,mood");
    write_language(machine.scratch, "root/sentiment/english", train, rest, rest);
    SentimentOptions options = below(machine.scratch / "root");
    check_refused([&] { load_sentiment("english", options); }, "MISSING",
                  "train.csv: no column 'text'; there are 'tweet', 'mood', 'source'");
    options.text_column = "tweet";
    check_refused([&] { load_sentiment("english", options); }, "MISSING", "no column 'label'");
    options.label_column = "mood";
    CHECK(load_sentiment("english", options).train.labels == Labels{0, 1, 2, 0});
    options.label_column = "source";
    check_refused([&] { load_sentiment("english", options); }, "VALUE",
                  "line 2: column 'source' is 'somewhere', expected one of 'negative', 'neutral', 'positive'");
}

TEST_CASE("sentiment texts: what is refused, with file and line", "[data][sentiment]") {
    const NoOtherData machine;
    const auto refused = [&](const std::string& train, const std::string& test, const std::string& kind,
                             const std::string& part) {
        write_language(machine.scratch, "root/sentiment/english", train, kSmallTable, test);
        check_refused([&] { load_sentiment("english", below(machine.scratch / "root")); }, kind, part);
    };
    const auto row = [](const std::string& text, const std::string& label = "neutral") {
        return kGood + "\"" + text + "\"," + label + ",somewhere\n";
    };
    refused(row("x", "mixed"), kSmallTable, "VALUE", "train.csv: line 6: column 'label' is 'mixed', expected one of");
    refused(row("x", "Neutral"), kSmallTable, "VALUE", "'Neutral'");
    refused(row("x", ""), kSmallTable, "VALUE", "column 'label' is ''");
    refused(row(""), kSmallTable, "VALUE", "train.csv: line 6: column 'text' holds no text [VALUE]");
    refused(row(R"( \u0009 )"), kSmallTable, "VALUE",
            "train.csv: line 6: column 'text' holds no text, only what is repaired away");
    refused(kGood, row(" "), "VALUE", "test.csv: line 6: column 'text' holds no text");
    refused(kGood, "text,label\n", "SHAPE", "test.csv: has a header and no texts");
    refused(kGood, "", "MISSING", "test.csv: the file is empty");
    refused(table({{"a", "positive"}, {"b", "negative"}}), kSmallTable, "VALUE", "train.csv: no text is 'neutral'");
    refused(kGood + "x,neutral\n", kSmallTable, "SHAPE", "line 6: expected 3 fields, found 2");
    refused(kGood + "perch\xe9,neutral,x\n", kSmallTable, "UTF8", "line 6: not UTF-8");
    // A raw text of blanks is a text; one of nothing is none.
    SentimentOptions raw = below(machine.scratch / "root");
    raw.is_raw = true;
    write_language(machine.scratch, "root/sentiment/english", row(" "));
    CHECK(load_sentiment("english", raw).train.texts.back() == " ");
    write_language(machine.scratch, "root/sentiment/english", row(""));
    check_refused([&] { load_sentiment("english", raw); }, "VALUE", "line 6: column 'text' holds no text");
}

TEST_CASE("sentiment texts: generic sweep", "[data][sentiment][sweep]") {
    const NoOtherData machine;
    const Bytes good = bytes_of(table({{"a\\u2019 ", "negative"}, {"\"\"b", "neutral"}, {"c&lt;", "positive"}}));
    write_language(machine.scratch, "root/sentiment/english");
    const auto parse = [&](const Bytes& file) {
        machine.scratch.write("root/sentiment/english/train.csv", file);
        const SentimentSet set = load_sentiment("english", below(machine.scratch / "root"));
        REQUIRE(set.train.texts.size() == set.train.labels.size());
        for (const std::string& text : set.train.texts) REQUIRE_FALSE(text.empty());
    };
    CHECK(sweep(good, good.size(), {}, false, parse) > 128);
}

// ---- the real ones ------------------------------------------------------------------------------------------------

namespace {

/// The data folder of this machine when the set is in it, else "".
std::string real_root() {
    const char* root = std::getenv("KOINE_DATA");
    return root && std::filesystem::exists(std::string(root) + "/sentiment/english/train.csv") ? root : "";
}

}  // namespace

TEST_CASE("the real sentiment texts: how many, of which classes, how much is repaired", "[data][sentiment][real]") {
    if (real_root().empty()) SKIP_TEST("no sentiment folder below KOINE_DATA");
    SentimentOptions options;
    options.data = offline("");
    for (const std::string language : {"english", "italian"}) {
        const SentimentSet set = load_sentiment(language, options);
        CHECK(mentions(set.source, "1839 training, 324 validation and 870 test texts, from"));
        for (const auto& [part, n_each] : {std::pair{&set.train, 613}, {&set.valid, 108}, {&set.test, 290}}) {
            for (int32_t label = 0; label < 3; label++) {
                CHECK(std::count(part->labels.begin(), part->labels.end(), label) == n_each);
            }
        }
        // Counted with Python's csv and re, too.
        const TextRepairs& n = set.repairs;
        const bool is_english = language == "english";
        CHECK(n.n_escapes == (is_english ? 273 : 93));
        CHECK(n.n_quotes == (is_english ? 109 : 3));
        CHECK(n.n_entities == (is_english ? 88 : 41));
        CHECK(n.n_blanks == (is_english ? 3033 : 225));
        CHECK(set.hash == (is_english ? "7b1f18e5b7d9e232" : "d3c1128181109896"));
        if (is_english) CHECK(set.train.texts[0].starts_with("okay i’m sorry but TAYLOR SWIFT LOOKS NOTHING LIKE"));
    }
}

TEST_CASE("the real sentiment files are those of data/sources.txt", "[data][sentiment][fetch][real]") {
    if (real_root().empty()) SKIP_TEST("no sentiment folder below KOINE_DATA");
    std::ifstream in(project_file("data/sources.txt"));
    int n_files = 0;
    for (std::string line; std::getline(in, line);) {
        std::istringstream words(line);
        std::string set, kind, path;
        uint64_t n_bytes = 0;
        if (!(words >> set >> kind >> path >> n_bytes) || set != "sentiment" || kind != "file") continue;
        CHECK(std::filesystem::file_size(real_root() + "/sentiment/" + path) == n_bytes);
        n_files++;
    }
    CHECK(n_files == 6);
    if (!can_fetch()) SKIP_TEST("no curl or no data/fetch.sh");
    // The script checks the checksums of what it fetches, here from that folder.
    const ScratchFolder scratch;
    const std::string command = "KOINE_MIRROR='file://" + std::filesystem::absolute(real_root()).string() + "' sh '" +
                                project_file("data/fetch.sh") + "' sentiment --to '" + scratch.path + "' 2> '" +
                                (scratch / "log") + "'";
    CHECK(std::system(command.c_str()) == 0);
    SentimentOptions options;
    options.data = offline(scratch.path);
    CHECK(mentions(load_sentiment("italian", options).source, "870 test texts, from " + scratch.path));
}
