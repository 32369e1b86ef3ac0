// What text_classification works on: texts in two languages, anchors that say the same in both, a vector for each.
#pragma once
#include <string>
#include <vector>

#include "data/parallel_texts.h"
#include "data/sentiment.h"
#include "experiments/common/run.h"
#include "tensor/tensor.h"

namespace koine {

struct TextFlags : Flags {
    /// What each language is read with.
    struct Side {
        std::string encoder, prefix, anchors;
    } en, it;
    std::string pool = "mean", text_column = "text", label_column = "label";
    int64_t n_anchors = 0, max_tokens = 0;
    bool is_raw = false, no_cache = false;

    TextFlags();
    std::vector<Switch> switches() override;
};

/// The vectors of a language's texts, all from one encoder.
struct TextVectors {
    std::string encoder;     ///< what it is, in words
    std::string weights;     ///< their hash
    std::vector<Tensor> of;  ///< [N, D] for each list of texts
};

/// Texts of one language, and what its encoder makes of them.
struct LanguageTexts {
    std::string key, name;  ///< "en", "English"
    SentimentSet texts;
    TextVectors vectors;  ///< of training, validation and test texts, and of the anchors

    const Tensor& train() const { return vectors.of[0]; }
    const Tensor& valid() const { return vectors.of[1]; }
    const Tensor& test() const { return vectors.of[2]; }
    const Tensor& anchors() const { return vectors.of[3]; }
};

struct TextData {
    std::string name;  ///< as in --data-set
    LanguageTexts en, it;
    ParallelTexts anchors;
    std::vector<std::string> notes;  ///< what a reader of the numbers should know
};

/// Reads texts and anchors, finds both encoders and runs them, one after the other; says on stderr what it does. Throws
/// UsageError when only one of --anchors-en and --anchors-it is given, and for more anchors than there are; DataError
/// when an encoder cannot be had, with the models that are at hand and a command that runs with them; else as
/// load_sentiment, read_parallel_texts and TextEncoder.
TextData load_text_data(const TextFlags& flags);

/// The anchors of both languages, and one text, as both encoders see them.
struct ExplainedText {
    ParallelTexts anchors;
    TextVectors en, it;  ///< of the text [1, D], and of the anchors [A, D]
};
/// Throws as load_text_data.
ExplainedText load_explained_text(const TextFlags& flags, const std::string& text);

/// What the first lines of a run say about it.
RunInfo text_run_info(const TextFlags& flags, const TextData& data);
/// Writes anchors.json: which files, their hash, and which lines each seed takes. When the run is resumed, throws
/// DataError unless texts and anchors are those that it was begun with.
void record_anchors(const Run& run, const TextData& data, const std::vector<std::vector<int32_t>>& lines);

}  // namespace koine
