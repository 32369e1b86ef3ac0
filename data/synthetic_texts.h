// Texts in two languages that we make up ourselves, and an encoder for each: no file, no network.
//
// A concept is a point in a hidden space of meanings, one direction of which is sentiment. A sentence is a few
// concepts, which each language writes in words and in an order of its own. The encoder of a language knows the words
// of that language alone: it averages what they mean and sends the mean through a random network of its own, so that
// two encoders agree on angles between texts (nearly) and on nothing else. Results on them are no results on language.
//
// Reading order: sentiment.h, parallel_texts.h, this file.
#pragma once
#include "data/parallel_texts.h"
#include "data/sentiment.h"
#include "tensor/tensor.h"

namespace koine {

/// Features of the vectors of synthetic_encode.
inline constexpr int64_t kSyntheticFeatures = 64;

struct SyntheticTexts {
    SentimentSet en, it;    ///< languages "english" and "italian", for want of other names; no sentence is in both
    ParallelTexts anchors;  ///< sentences that are in neither set, in both languages
};

/// n_train training texts, n_test for validation and n_test for testing in each language, three classes in turn, and
/// n_anchors pairs. A split does not depend on the sizes of the others. Throws ValueError unless 0 <= n <= 1000000.
SyntheticTexts synthetic_texts(int64_t n_train, int64_t n_test, int64_t n_anchors, uint64_t seed);

/// v[N, kSyntheticFeatures]: the texts as the encoder of a language sees them. A word that it does not know, such as
/// every word of the other language, means something that only its spelling decides; a text without words means
/// nothing at all. `seed` must be that of the texts. Throws ValueError unless language is "english" or "italian".
Tensor synthetic_encode(const std::vector<std::string>& texts, const std::string& language, uint64_t seed);

}  // namespace koine
