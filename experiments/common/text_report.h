// What text_classification shows: tables, figures, metrics.json, and what the code of a text means.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "experiments/common/text_data.h"
#include "nn/evaluate.h"

namespace koine {

/// The codes that are compared, in the order in which they are shown.
inline const std::vector<std::string> kCodeKinds = {"absolute", "relative", "relative_centered"};

/// "en", "it_zero_shot" (trained on English), "it", "en_zero_shot" (trained on Italian): test texts counted by their
/// right and their predicted class, once for each seed.
using Results = std::map<std::string, std::vector<Confusion>>;

struct TextResults {
    std::map<std::string, Results> main;                      ///< by kind of code
    std::map<int64_t, std::map<std::string, Results>> sweep;  ///< by number of anchors, then by kind
};

/// The codes of the first seed, for pictures: test texts [N, D] of both languages by kind of code, and the lines of the
/// anchors that the columns of the relative ones stand for.
struct TextCodes {
    struct Pair {
        Tensor en, it;
    };
    std::map<std::string, Pair> test;
    std::vector<int32_t> lines;
};

/// Writes all figures, metrics.json and report.html, and prints the tables. `head`: of the classifier, as in --head.
void report_texts(const Run& run, const TextData& data, const TextResults& results, const TextCodes& codes,
                  const std::string& head);

/// Prints the anchors whose vectors have the largest cosines with that of a text, as each encoder sees it;
/// `is_centred`: with the mean of the anchors subtracted from all. Throws as load_explained_text.
void explain(const TextFlags& flags, const std::string& text, bool is_centred);

}  // namespace koine
