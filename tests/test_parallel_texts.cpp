// Pairs of lines in two languages: what is read, what is refused; the anchors that the project brings along.
#include "data/parallel_texts.h"

#include "data/locate.h"
#include "tests/data_samples.h"

using namespace koine;
using namespace koine::testing;

namespace {

using Texts = std::vector<std::string>;

struct Pair {
    ParallelTexts read(const Bytes& en, const Bytes& it) const {
        return read_parallel_texts(scratch.write("en.txt", en), scratch.write("it.txt", it));
    }
    ParallelTexts read(const std::string& en, const std::string& it) const { return read(bytes_of(en), bytes_of(it)); }
    /// What is wrong with a first file, beside a good second one.
    void check(const std::string& en, const std::string& kind, const std::string& part) const {
        check_refused([&] { read(en, "uno\ndue\ntre\n"); }, kind, (scratch / "en.txt") + ": " + part);
        check_refused([&] { read("one\ntwo\nthree\n", en); }, kind, (scratch / "it.txt") + ": " + part);
    }
    ScratchFolder scratch;
};

}  // namespace

TEST_CASE("parallel texts: line ends, byte order mark, gzip", "[data][parallel_texts]") {
    const Pair pair;
    const Texts en = {"one", "two words", "three"}, it = {"uno", "due parole", "perché"};
    const std::string good_it = "uno\ndue parole\nperché\n";
    const std::string hash = pair.read("one\ntwo words\nthree\n", good_it).hash;
    CHECK(hash.size() == 16);
    for (const std::string& text :
         std::vector<std::string>{"one\ntwo words\nthree\n", "one\ntwo words\nthree", "one\r\ntwo words\r\nthree\r\n",
                                  "one\r\ntwo words\nthree\r", "\xef\xbb\xbfone\ntwo words\nthree\n"}) {
        for (const Bytes& file : {bytes_of(text), gzipped(bytes_of(text))}) {
            const ParallelTexts texts = pair.read(file, bytes_of(good_it));
            CHECK(texts.en == en);
            CHECK(texts.it == it);
            CHECK(texts.size() == 3);
            CHECK(texts.hash == hash);
            CHECK(texts.source ==
                  "3 pairs of lines, from " + (pair.scratch / "en.txt") + " and " + (pair.scratch / "it.txt"));
        }
    }
    // Lines are kept as they are, with blanks, and a CR that ends none.
    CHECK(pair.read(" a\tb \nc\rd\n", "x\ny\n").en == Texts{" a\tb ", "c\rd"});
}

TEST_CASE("parallel texts: the hash is that of both languages, line by line", "[data][parallel_texts]") {
    const Pair pair;
    const std::string hash = pair.read("one\ntwo\n", "uno\ndue\n").hash;
    CHECK(pair.read("one\ntwo\n", "uno\ndui\n").hash != hash);
    CHECK(pair.read("uno\ndue\n", "one\ntwo\n").hash != hash);
    CHECK(pair.read("onet\nwo\n", "uno\ndue\n").hash != hash);
    CHECK(pair.read("two\none\n", "due\nuno\n").hash != hash);
}

TEST_CASE("parallel texts: lines that cannot be pairs", "[data][parallel_texts]") {
    const Pair pair;
    const std::string en_path = pair.scratch / "en.txt", it_path = pair.scratch / "it.txt";
    check_refused(
        [&] { pair.read("one\ntwo\nthree\n", "uno\ndue\n"); }, "SHAPE",
        it_path + ": has 2 lines, " + en_path + " has 3; line i of one must say what line i of the other says");
    check_refused([&] { pair.read("one\ntwo\n", "uno\n"); }, "SHAPE", it_path + ": has 1 line, " + en_path + " has 2");
    check_refused([&] { pair.read("one\n", "uno\n"); }, "SHAPE", en_path + ": has 1 line, at least 2 are expected");
    const std::string same = "has the same content as " + en_path + "; one must be the translation of the other";
    check_refused([&] { pair.read("one\ntwo\n", "one\ntwo\n"); }, "VALUE", it_path + ": " + same);
    check_refused([&] { pair.read("one\ntwo", "one\r\ntwo\r\n"); }, "VALUE", same);
    check_refused([&] { read_parallel_texts(it_path, it_path); }, "VALUE", "has the same content");
    CHECK(pair.read("one\ntwo\n", "one\ndue\n").size() == 2);  // a name may be the same in both
}

TEST_CASE("parallel texts: files that are no lines of text", "[data][parallel_texts]") {
    const Pair pair;
    pair.check("", "MISSING", "the file is empty");
    pair.check("\xef\xbb\xbf", "MISSING", "the file is empty");
    pair.check("one\n\nthree\n", "VALUE", "line 2: is empty");
    pair.check("one\ntwo\n \t\u00a0\n", "VALUE", "line 3: is empty");
    pair.check("one\ntwo\nthree\n\n", "VALUE", "line 4: is empty");
    pair.check("\r\none\ntwo\n", "VALUE", "line 1: is empty");
    pair.check("one\nperch\xe9\n", "UTF8", "line 2: not UTF-8 from byte 6 of the line on");
    pair.check("one\n\xed\xa0\x80\nthree", "UTF8", "line 2: not UTF-8 from byte 1");
    pair.check(std::string("one\ntw\0o\nthree", 14), "SYNTAX", "line 2: a NUL byte");
    pair.check(std::string("\xff\xfeo\0n\0e\0\n\0", 10), "SYNTAX", "line 1: a NUL byte; is the file UTF-16");
    pair.check("one\n" + std::string((1 << 16) + 1, 'x') + "\n", "LIMIT",
               "line 2: has 65537 bytes; at most 65536 are accepted");
    std::string many;
    for (int i = 0; i < 1000001; i++) many += "x\n";
    pair.check(many, "LIMIT", "line 1000001: more than 1000000 lines");
    CHECK(pair.read(std::string(1 << 16, 'x') + "\r\ny", "x\ny").en[0].size() == 1 << 16);
    check_refused([&] { read_parallel_texts(pair.scratch / "nowhere", pair.scratch / "it.txt"); }, "IO", "nowhere");
    check_refused([&] { read_parallel_texts(pair.scratch / "en.txt", pair.scratch.path); }, "IO", pair.scratch.path);
    // A gigabyte of one line, as 1 MB of gzip.
    Bytes bomb;
    const Bytes member = gzipped(Bytes(10000000, 'x'), 9);
    for (int i = 0; i < 100; i++) bomb.insert(bomb.end(), member.begin(), member.end());
    CHECK(kind_of([&] { pair.read(bomb, bytes_of("x\ny\n")); }) == "LIMIT");
}

TEST_CASE("parallel texts: generic sweep", "[data][parallel_texts][sweep]") {
    const Pair pair;
    const Bytes good = bytes_of("\xef\xbb\xbfone\r\nperché\nthree\n"), other = bytes_of("uno\ndue\ntre\n");
    const auto parse = [&](const Bytes& file) {
        const ParallelTexts texts = pair.read(file, other);
        REQUIRE(texts.en.size() == texts.it.size());
    };
    CHECK(sweep(good, good.size(), {}, false, parse) > 64);
    const Bytes packed = gzipped(good);
    CHECK(sweep(packed, packed.size(), {{packed.size() - 4, 4, false}}, true, parse) > 64);
}

TEST_CASE("files of the project are found beside the program or above the working directory", "[data][locate]") {
    const std::string script = project_file("data/fetch.sh");
    if (script.empty()) SKIP_TEST("no data/fetch.sh");
    CHECK(std::filesystem::path(script).parent_path() / "sources.txt" == project_file("data/sources.txt"));
    CHECK(project_file("data/nowhere.txt") == "");
    CHECK(project_file("data") == "");  // a folder is no file
}

TEST_CASE("the anchors that the project brings along", "[data][parallel_texts]") {
    CHECK_ERROR(shipped_anchor("french"), ValueError, "no anchors are in 'french'; there are english, italian");
    if (project_file("data/anchors/en.txt").empty()) SKIP_TEST("no data/anchors");
    CHECK(shipped_anchor("english") == project_file("data/anchors/en.txt"));
    const ParallelTexts anchors = read_parallel_texts(shipped_anchor("english"), shipped_anchor("italian"));
    CHECK(anchors.size() == 400);
}
