// Making up languages, sentences and encoders; see synthetic_texts.h.
#include "data/synthetic_texts.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <sstream>
#include <unordered_map>

#include "data/batches.h"
#include "data/fnv.h"
#include "data/made_up_word.h"
#include "tensor/random.h"

namespace koine {
namespace {

// Chosen so that the experiment shows with these texts what it shows with real ones (tests/test_synthetic_texts.cpp has
// the numbers): labels that cannot all be told, encoders that agree on angles only nearly, and not unless centred.
constexpr int64_t kConcepts = 300, kMeanings = 8, kHidden = 256, kMaxTexts = 1000000;
constexpr double kTopicSize = 0.5, kLabelNoise = 0.05, kNeutral = 0.06, kLean = 0.5;
constexpr int64_t kMinConcepts = 4, kMaxConcepts = 12;

// Everything here is in double, so that a float and a double build write the same texts.

/// Numbers of one stream, one after the other.
struct Draws {
    Random rng;
    uint64_t n_drawn = 0;

    double between(double low, double high) { return low + (high - low) * double(rng.uniform(n_drawn++)); }
    int64_t below(int64_t n) { return int64_t(rng.below(n_drawn++, uint32_t(n))); }
};

/// Where the streams of a seed begin. A split has one for each sentence.
constexpr uint64_t stream(uint64_t what) { return (uint64_t{0x7e87} << 48) + (what << 32); }
constexpr uint64_t kAnchorStreams = stream(6), kConceptStream = stream(7), kWordStream = stream(8);

// ---- meanings and words -------------------------------------------------------------------------------------------

/// Component 0 is sentiment, the others are topics.
using Meaning = std::array<double, kMeanings>;
/// Numbers of concepts, before a language writes them.
using Sentence = std::vector<int64_t>;

struct Language {
    const char* name;
    int64_t id;
    std::string_view consonants, vowels;
    bool is_reversed;  ///< writes the last concept first

    uint64_t split_streams(uint64_t split) const { return stream(uint64_t(3 * id) + split); }
    uint64_t map_stream() const { return stream(uint64_t(9 + id)); }
};
/// No consonant is in both, so no word is.
constexpr Language kEnglish = {"english", 0, "bdgkprtw", "aeiou", false};
constexpr Language kItalian = {"italian", 1, "fhjlmnsvz", "aiou", true};

Meaning draw_meaning(Draws& draws, double sentiment_size) {
    Meaning meaning;
    for (double& m : meaning) m = draws.between(-kTopicSize, kTopicSize);
    meaning[0] = draws.between(-sentiment_size, sentiment_size);
    return meaning;
}

std::vector<Meaning> meanings_of_concepts(uint64_t seed) {
    Draws draws{{seed, kConceptStream}};
    std::vector<Meaning> meanings;
    // Every other concept is hardly for or against anything.
    for (int64_t i = 0; i < kConcepts; i++) meanings.push_back(draw_meaning(draws, i % 2 == 0 ? 1 : 0.1));
    return meanings;
}

/// The word of each concept.
std::vector<std::string> words_of(const Language& language, uint64_t seed) {
    constexpr int64_t kWords = 5000;  // of two or three syllables
    const auto order = epoch_order(kWords, seed, language.id);
    std::vector<std::string> words;
    for (int64_t i = 0; i < kConcepts; i++) {
        words.push_back(made_up_word(order[size_t(i)], language.consonants, language.vowels));
    }
    return words;
}

// ---- sentences ----------------------------------------------------------------------------------------------------

struct Writer {
    Writer(const Language& language_, uint64_t seed) : language(language_), words(words_of(language_, seed)) {}

    std::string write(Sentence sentence) const {
        if (language.is_reversed) std::reverse(sentence.begin(), sentence.end());
        std::string text;
        for (int64_t concept_id : sentence) text += (text.empty() ? "" : " ") + words[size_t(concept_id)];
        return text;
    }

    const Language& language;
    std::vector<std::string> words;
};

/// Concepts are drawn until their mean sentiment, with some noise, gives the label.
Sentence draw_sentence(const std::vector<Meaning>& meanings, int32_t label, const Random& rng) {
    Draws draws{rng};
    for (;;) {
        Sentence sentence(size_t(kMinConcepts + draws.below(kMaxConcepts - kMinConcepts + 1)));
        double sentiment = draws.between(-kLabelNoise, kLabelNoise);
        for (int64_t& concept_id : sentence) {
            concept_id = draws.below(kConcepts);
            sentiment += meanings[size_t(concept_id)][0] / double(sentence.size());
        }
        if (label == (sentiment < -kNeutral ? 0 : sentiment <= kNeutral ? 1 : 2)) return sentence;
    }
}

/// Sentence i of an endless list, label i mod 3.
Sentence sentence_at(int64_t i, const std::vector<Meaning>& meanings, uint64_t seed, uint64_t first_stream) {
    return draw_sentence(meanings, int32_t(i % 3), {seed, first_stream + uint64_t(i)});
}

SentimentSet make_set(const Writer& writer, const std::vector<Meaning>& meanings, int64_t n_train, int64_t n_test,
                      uint64_t seed) {
    SentimentSet out;
    const auto split = [&](uint64_t number, int64_t n) {
        LabelledTexts part;
        for (int64_t i = 0; i < n; i++) {
            const uint64_t streams = writer.language.split_streams(number);
            part.texts.push_back(writer.write(sentence_at(i, meanings, seed, streams)));
            part.labels.push_back(int32_t(i % 3));
        }
        return part;
    };
    out.language = writer.language.name;
    out.train = split(0, n_train), out.valid = split(1, n_test), out.test = split(2, n_test);
    out.hash = content_hash({&out.train, &out.valid, &out.test});
    out.source = "sentences that this program made up, " + std::to_string(n_train) + " for training, " +
                 std::to_string(n_test) + " for validation and " + std::to_string(n_test) +
                 " for testing; not language";
    return out;
}

// ---- encoders -----------------------------------------------------------------------------------------------------

/// v = w2 (tanh(w1 m + b1) + lean), m the mean of what the words mean. The encoders lean towards directions of their
/// own, among those in which texts differ, as real ones do: that is what centring takes away.
struct Encoder {
    Encoder(const Language& language, uint64_t seed_)
        : seed(seed_), w1(kHidden * kMeanings), b1(kHidden), lean(kHidden), w2(kSyntheticFeatures * kHidden) {
        const auto words = words_of(language, seed);
        const auto meanings = meanings_of_concepts(seed);
        for (size_t i = 0; i < words.size(); i++) known.emplace(words[i], meanings[i]);
        Draws draws{{seed, language.map_stream()}};
        for (double& w : w1) w = draws.between(-0.7, 0.7);
        for (double& b : b1) b = draws.between(-0.3, 0.3);
        for (double& w : w2) w = draws.between(-1, 1) / std::sqrt(double(kHidden));
        Meaning favourite;
        for (double& m : favourite) m = draws.between(-kLean, kLean);
        for (size_t h = 0; h < kHidden; h++) lean[h] = product(h, favourite);
    }

    /// v[kSyntheticFeatures].
    void encode(const std::string& text, real* v) const {
        Meaning mean{};
        int64_t n_words = 0;
        std::istringstream words(text);
        for (std::string word; words >> word; n_words++) {
            const Meaning meaning = meaning_of(word);
            for (size_t k = 0; k < kMeanings; k++) mean[k] += meaning[k];
        }
        for (double& m : mean) m /= double(std::max<int64_t>(n_words, 1));
        std::array<double, kHidden> hidden;
        for (size_t h = 0; h < kHidden; h++) hidden[h] = std::tanh(product(h, mean) + b1[h]) + lean[h];
        for (size_t d = 0; d < kSyntheticFeatures; d++) {
            double sum = 0;
            for (size_t h = 0; h < kHidden; h++) sum += w2[d * kHidden + h] * hidden[h];
            v[d] = real(sum);
        }
    }

private:
    Meaning meaning_of(const std::string& word) const {
        if (const auto found = known.find(word); found != known.end()) return found->second;
        Fnv1a spelling;
        spelling.add(word);
        Draws draws{{seed ^ spelling.value, kWordStream}};
        return draw_meaning(draws, 1);
    }
    /// Row h of w1 with a meaning.
    double product(size_t h, const Meaning& meaning) const {
        double sum = 0;
        for (size_t k = 0; k < kMeanings; k++) sum += w1[h * kMeanings + k] * meaning[k];
        return sum;
    }

    uint64_t seed;
    std::unordered_map<std::string, Meaning> known;
    std::vector<double> w1, b1, lean, w2;
};

}  // namespace

SyntheticTexts synthetic_texts(int64_t n_train, int64_t n_test, int64_t n_anchors, uint64_t seed) {
    for (int64_t n : {n_train, n_test, n_anchors}) {
        if (n < 0 || n > kMaxTexts) {
            throw ValueError("synthetic_texts: " + std::to_string(n) + " texts; want 0 to " +
                             std::to_string(kMaxTexts));
        }
    }
    const auto meanings = meanings_of_concepts(seed);
    const Writer en(kEnglish, seed), it(kItalian, seed);
    SyntheticTexts out;
    out.en = make_set(en, meanings, n_train, n_test, seed);
    out.it = make_set(it, meanings, n_train, n_test, seed);
    for (int64_t i = 0; i < n_anchors; i++) {
        const Sentence sentence = sentence_at(i, meanings, seed, kAnchorStreams);
        out.anchors.en.push_back(en.write(sentence));
        out.anchors.it.push_back(it.write(sentence));
    }
    out.anchors.hash = content_hash(out.anchors);
    out.anchors.source = std::to_string(n_anchors) + " sentences that this program made up, in both languages";
    return out;
}

Tensor synthetic_encode(const std::vector<std::string>& texts, const std::string& language, uint64_t seed) {
    for (const Language* known : {&kEnglish, &kItalian}) {
        if (language != known->name) continue;
        const Encoder encoder(*known, seed);
        Tensor v = Tensor::empty({int64_t(texts.size()), kSyntheticFeatures});
        for (size_t n = 0; n < texts.size(); n++) encoder.encode(texts[n], v.data() + n * kSyntheticFeatures);
        return v;
    }
    throw ValueError("no made-up language is named '" + language + "'; there are english, italian");
}

}  // namespace koine
