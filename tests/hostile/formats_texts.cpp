// Tables of text, sentiments, lines in two languages.
#include "data/csv.h"
#include "data/parallel_texts.h"
#include "data/sentiment.h"
#include "tests/datasets_common.h"
#include "tests/hostile/formats.h"

namespace koine::testing {

std::vector<Format> text_formats() {
    const Bytes table = bytes_of("text,label\n\"a \"\"b\"\"\nc\",1\nd,2\ncaf\xc3\xa9,3\r\n");
    const Bytes tweets = bytes_of(
        "text,label\ngood day,positive\n\"so, so\",neutral\nbad \\u0041 &amp; "
        "sad,negative\n\"\"\"quoted\"\"\",neutral\n");
    const Bytes english = bytes_of("a cat\nthe dog\nit rains\n"), italian = bytes_of("un gatto\nil cane\npiove\n");
    const auto reads_csv = [](const std::string& folder) {
        const CsvTable t = read_csv(folder + "/a.csv");
        for (int64_t row = 0; row < t.n_rows(); row++) t.cell(row, int(t.columns().size()) - 1);
    };
    const auto reads_pair = [](const std::string& folder) {
        read_parallel_texts(folder + "/en.txt", folder + "/it.txt");
    };
    // A cut table or list is a smaller one.
    return {
        {.name = "CSV", .file = "a.csv", .good = table, .load = reads_csv, .refuses_cuts = false},
        {.name = "CSV, gzip", .file = "a.csv", .good = gzipped(table), .load = reads_csv, .refuses_cuts = false},
        {.name = "sentiment, CSV",
         .file = "sentiment/english/train.csv",
         .good = tweets,
         .load = [](const std::string& folder) { load_sentiment("english", {.data = offline(folder)}); },
         .refuses_cuts = false,
         .beside = {{"sentiment/english/valid.csv", tweets}, {"sentiment/english/test.csv", tweets}}},
        {.name = "parallel texts",
         .file = "en.txt",
         .good = english,
         .load = reads_pair,
         .refuses_cuts = false,
         .beside = {{"it.txt", italian}}},
        {.name = "parallel texts, gzip",
         .file = "en.txt",
         .good = gzipped(english),
         .load = reads_pair,
         .beside = {{"it.txt", italian}}},
    };
}

}  // namespace koine::testing
