// Fuzz target: texts with a sentiment. The first byte of the input chooses: a text that is repaired, or the three
// tables of a language and how they are read. A DataError is the right answer to a damaged file. Every other exception,
// and whatever the sanitizers see, is a finding. What is accepted must keep the promises of sentiment.h.
#include "data/sentiment.h"

#include "data/utf8.h"
#include "tensor/error.h"
#include "tests/fuzz/fuzz_file.h"

using namespace koine;
using namespace koine::testing;

namespace {

bool is_utf8(std::string_view text) { return utf8_valid_prefix(text) == text.size(); }

void repair(std::string_view text) {
    TextRepairs counts;
    const std::string repaired = repaired_text(text, &counts);
    must(repaired.size() <= text.size() && (!is_utf8(text) || is_utf8(repaired)));
    if (counts.n_escapes + counts.n_quotes + counts.n_entities + counts.n_blanks == 0) must(repaired == text);
    for (char c : repaired) must(c < 0 || c >= ' ');
    must(!repaired.starts_with(' ') && !repaired.ends_with(' ') && repaired.find("\"\"") == repaired.npos);
}

void check(const LabelledTexts& split, int64_t limit) {
    must(split.texts.size() == split.labels.size() && (limit == 0 || split.size() <= limit));
    for (const std::string& text : split.texts) must(!text.empty() && is_utf8(text));
    must(std::all_of(split.labels.begin(), split.labels.end(), [](int32_t label) { return label >= 0 && label < 3; }));
}

void load(ByteSpan bytes, bool is_raw, int64_t limit) {
    static FuzzFolder folder;
    const auto parts = parts_of(bytes, 3);
    folder.put("sentiment/english/train.csv", parts[0]);
    folder.put("sentiment/english/valid.csv", parts[1]);
    folder.put("sentiment/english/test.csv", parts[2]);
    SentimentOptions options;
    options.data = {folder.path, true, limit, limit};
    options.is_raw = is_raw;
    const SentimentSet set = load_sentiment("english", options);
    for (const LabelledTexts* split : {&set.train, &set.valid, &set.test}) check(*split, limit);
    must(set.hash.size() == 16);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    const ByteSpan rest(data + 1, size - 1);
    try {
        if (data[0] & 1) {
            repair(text_of(rest));
        } else {
            load(rest, data[0] & 2, data[0] & 4 ? 2 : 0);
        }
    } catch (const DataError&) {
    }
    return 0;
}
