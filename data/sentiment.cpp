// Reading and repairing the texts; see sentiment.h.
#include "data/sentiment.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>

#include "data/csv.h"
#include "data/datasets.h"
#include "data/fnv.h"
#include "data/unicode.h"

namespace koine {
namespace {

constexpr std::array<const char*, 3> kSplits = {"train", "valid", "test"};
constexpr std::array<int64_t, 3> kOfficial = {1839, 324, 870};

// ---- repairs ------------------------------------------------------------------------------------------------------

/// The number that \uXXXX at the front of the text stands for, or -1.
int escape_at(std::string_view text) {
    unsigned value = 0;
    if (!text.starts_with("\\u") || text.size() < 6) return -1;
    const auto [end, error] = std::from_chars(text.data() + 2, text.data() + 6, value, 16);
    return error == std::errc() && end == text.data() + 6 ? int(value) : -1;
}

std::string without_escapes(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        size_t n_taken = 1;
        const int first = escape_at(text);
        const bool is_high = 0xd800 <= first && first < 0xdc00, is_surrogate = 0xd800 <= first && first < 0xe000;
        const int second = is_high ? escape_at(text.substr(6)) : -1;
        if (0xdc00 <= second && second < 0xe000) {
            append_utf8(out, char32_t(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)));
            n_taken = 12;
        } else if (first >= 0 && !is_surrogate) {
            append_utf8(out, char32_t(first));
            n_taken = 6;
        } else if (text.starts_with("\\\"")) {
            out += '"';
            n_taken = 2;
        } else {
            out += text[0];
        }
        text.remove_prefix(n_taken);
    }
    return out;
}

std::string without_entities(std::string_view text) {
    constexpr std::pair<std::string_view, char> kEntities[] = {
        {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&#39;", '\''}};
    std::string out;
    while (!text.empty()) {
        const auto entity = std::find_if(std::begin(kEntities), std::end(kEntities),
                                         [&](const auto& e) { return text.starts_with(e.first); });
        const bool is_entity = entity != std::end(kEntities);
        out += is_entity ? entity->second : text[0];
        text.remove_prefix(is_entity ? entity->first.size() : 1);
    }
    return out;
}

std::string with_single_quotes(std::string_view text) {
    std::string out;
    for (char c : text) {
        if (c != '"' || !out.ends_with('"')) out += c;
    }
    return out;
}

std::string with_single_blanks(std::string_view text) {
    std::string out;
    for (size_t at = 0; at < text.size();) {
        const auto [c, n_bytes] = code_point_at(text, at);
        const bool is_control = c < 0x20 || (0x7f <= c && c < 0xa0);
        if (!is_control && !is_white_space(c)) {
            out += text.substr(at, n_bytes);
        } else if (!out.empty() && !out.ends_with(' ')) {
            out += ' ';
        }
        at += n_bytes;
    }
    if (out.ends_with(' ')) out.pop_back();
    return out;
}

// ---- files --------------------------------------------------------------------------------------------------------

using SplitPaths = std::array<std::string, 3>;

/// The three files of a language in a folder; "" for one that is not there.
SplitPaths files_in(const std::string& folder) {
    SplitPaths paths;
    for (size_t i = 0; i < kSplits.size(); i++) {
        for (const char* ending : {".csv.gz", ".csv"}) {
            const std::string path = folder + "/" + kSplits[i] + ending;
            std::error_code ignored;
            if (std::filesystem::is_regular_file(path, ignored)) paths[i] = path;
        }
    }
    return paths;
}

SplitPaths find_files(const std::string& language, const DataOptions& options) {
    SplitPaths paths;
    std::string incomplete, missing;  // a folder that has some of the files, and one that it has not
    const auto is_complete = [&](const std::string& folder) {
        paths = files_in(folder);
        const auto none = std::find(paths.begin(), paths.end(), "");
        if (none == paths.end()) return true;
        if (paths != SplitPaths{}) incomplete = folder, missing = kSplits[size_t(none - paths.begin())];
        return false;
    };
    const auto is_there = [&](const std::string& root) {
        return is_complete(root + "/sentiment/" + language) ||
               (root == options.dir && is_complete(root + "/" + language));
    };
    const auto roots = data_roots(options);
    if (options.is_offline && std::none_of(roots.begin(), roots.end(), is_there) && !incomplete.empty()) {
        throw DataError("MISSING", incomplete, "",
                        "holds no " + missing +
                            ".csv; train.csv, valid.csv and test.csv are needed, each perhaps .gz. To fetch all of "
                            "them: data/fetch.sh sentiment");
    }
    find_or_fetch("sentiment", options, is_there);
    return paths;
}

LabelledTexts read_texts(const std::string& path, const SentimentOptions& options, TextRepairs& repairs) {
    const CsvTable table = read_csv(path);
    const int text_column = table.column(options.text_column), label_column = table.column(options.label_column);
    if (table.n_rows() == 0) throw DataError("SHAPE", path, "", "has a header and no texts");
    LabelledTexts out;
    for (int64_t row = 0; row < table.n_rows(); row++) {
        const std::string_view text = table.cell(row, text_column);
        out.texts.push_back(options.is_raw ? std::string(text) : repaired_text(text, &repairs));
        if (out.texts.back().empty()) {
            throw DataError("VALUE", path, "line " + std::to_string(table.line(row)),
                            "column '" + options.text_column + "' holds no text" +
                                (text.empty() ? "" : ", only what is repaired away"));
        }
        out.labels.push_back(table.choice(row, label_column, sentiment_names()));
    }
    return out;
}

void require_all_classes(const LabelledTexts& train, const std::string& path) {
    for (size_t label = 0; label < sentiment_names().size(); label++) {
        if (std::find(train.labels.begin(), train.labels.end(), int32_t(label)) != train.labels.end()) continue;
        throw DataError("VALUE", path, "",
                        "no text is '" + sentiment_names()[label] + "'; a class cannot be learned from nothing");
    }
}

LabelledTexts limited(const LabelledTexts& all, int64_t limit) {
    LabelledTexts out;
    for (int32_t id : limited_ids(all.size(), limit)) {
        out.texts.push_back(all.texts[size_t(id)]);
        out.labels.push_back(all.labels[size_t(id)]);
    }
    return out;
}

}  // namespace

const std::vector<std::string>& sentiment_names() {
    static const std::vector<std::string> names = {"negative", "neutral", "positive"};
    return names;
}

std::string repaired_text(std::string_view text, TextRepairs* counts) {
    TextRepairs ignored;
    TextRepairs& found = counts ? *counts : ignored;
    std::string out(text);
    const auto repair = [&](std::string (*step)(std::string_view), int64_t& n) {
        std::string after = step(out);
        n += after != out;
        out = std::move(after);
    };
    repair(without_escapes, found.n_escapes);
    repair(without_entities, found.n_entities);
    repair(with_single_quotes, found.n_quotes);
    repair(with_single_blanks, found.n_blanks);
    return out;
}

SentimentSet load_sentiment(const std::string& language, const SentimentOptions& options) {
    if (language != "english" && language != "italian") {
        throw ValueError("no sentiment texts are in '" + language + "'; there are english, italian");
    }
    if (std::min(options.data.train_limit, options.data.test_limit) < 0) {
        throw ValueError("a limit of texts cannot be negative");
    }
    const SplitPaths paths = find_files(language, options.data);
    SentimentSet out;
    out.language = language;
    std::array<LabelledTexts, 3> all;
    for (size_t i = 0; i < all.size(); i++) all[i] = read_texts(paths[i], options, out.repairs);
    require_all_classes(all[0], paths[0]);
    out.hash = content_hash({&all[0], &all[1], &all[2]});

    const auto listed = [](const std::array<int64_t, 3>& n, const std::array<const char*, 3>& words) {
        return std::to_string(n[0]) + words[0] + ", " + std::to_string(n[1]) + words[1] + " and " +
               std::to_string(n[2]) + words[2];
    };
    const std::array<int64_t, 3> sizes = {all[0].size(), all[1].size(), all[2].size()};
    out.source = "tweets in " + language + ", " + listed(sizes, {" training", " validation", " test texts"});
    if (sizes != kOfficial) out.source += " (not all of the official " + listed(kOfficial, {"", "", ""}) + ")";
    out.source += ", from " + std::filesystem::path(paths[0]).parent_path().string();
    out.train = limited(all[0], options.data.train_limit);
    out.valid = limited(all[1], options.data.test_limit);
    out.test = limited(all[2], options.data.test_limit);
    return out;
}

std::string content_hash(std::initializer_list<const LabelledTexts*> parts) {
    Fnv1a hash;
    for (const LabelledTexts* part : parts) {
        for (size_t i = 0; i < part->texts.size(); i++) {
            hash.add(part->texts[i]);
            hash.add(uint8_t(0xff));  // in no UTF-8: where a text ends counts, too
            hash.add(uint8_t(part->labels[i]));
        }
        hash.add(uint8_t(0xff));
    }
    return hash.hex();
}

}  // namespace koine
