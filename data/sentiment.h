// Texts with a sentiment, in two languages: the English and Italian tweets of tyqiangz' multilingual sentiment datasets
// (SemEval-2017 task 4 and SENTIPOLC 2016), found or fetched (locate.h), read (csv.h) and repaired.
//
// Reading order: csv.h, locate.h, this file; then parallel_texts.h and synthetic_texts.h.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "data/locate.h"

namespace koine {

struct LabelledTexts {
    std::vector<std::string> texts;  ///< UTF-8, none of them empty
    std::vector<int32_t> labels;     ///< as many; places in sentiment_names()
    int64_t size() const { return int64_t(labels.size()); }
};

struct SentimentOptions {
    DataOptions data;  ///< test_limit also cuts the validation texts
    std::string text_column = "text";
    std::string label_column = "label";
    bool is_raw = false;  ///< texts stay as they are in the file
};

/// Texts in which repaired_text found something to repair, by what it was; a text can count in each.
struct TextRepairs {
    int64_t n_escapes = 0;   ///< \uXXXX or \" written out
    int64_t n_quotes = 0;    ///< quotes that follow one another
    int64_t n_entities = 0;  ///< &amp; &lt; &gt; &quot; &#39;
    int64_t n_blanks = 0;    ///< blanks at an end or in a row, tabs and other controls
};

struct SentimentSet {
    std::string language;  ///< "english"
    std::string source;    ///< in plain words: which files, how much of them
    std::string hash;      ///< of all texts as they are used and of their labels, whatever the limits: 16 digits
    LabelledTexts train, valid, test;
    TextRepairs repairs;  ///< in all three files, whatever the limits
};

/// negative, neutral, positive: classes 0, 1, 2.
const std::vector<std::string>& sentiment_names();

/// `language` is "english" or "italian": the files train, valid and test, .csv or .csv.gz, in sentiment/LANGUAGE below
/// a data root, or in LANGUAGE below the folder that the user named. With a limit K, a split is the first K of one
/// fixed shuffle, the same for every run and seed. Throws ValueError for another language or a negative limit;
/// DataError: MISSING (a file, a column), VALUE (another label; a text with nothing in it; a class without training
/// texts), SHAPE (a file without texts), and what read_csv throws.
SentimentSet load_sentiment(const std::string& language, const SentimentOptions& options = {});

/// The text without what went wrong before it came into the file, each step once and in this order: \uXXXX and \"
/// become what they stand for (two surrogates one character; a surrogate alone and anything else behind a backslash
/// stay); &amp; &lt; &gt; &quot; &#39; do, too; quotes " in a row become one; white space and controls in a row become
/// one blank, and none at the ends. What was found is added to `counts`.
std::string repaired_text(std::string_view text, TextRepairs* counts = nullptr);

/// Fnv1a over texts and labels, part after part. It names texts; it does not authenticate them.
std::string content_hash(std::initializer_list<const LabelledTexts*> parts);

}  // namespace koine
