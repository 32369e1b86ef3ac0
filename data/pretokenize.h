// From a text to words: the ways in which published tokenizers cut a text before their model sees it. The patterns are
// written out by hand; there is no engine for regular expressions, so no pattern in a file can make one run forever.
//
//   ByteLevelSplit    GPT-2, RoBERTa: contractions, letters, numbers, others, each with the space before it
//   BertSplit         BERT: at white space, and around every punctuation mark
//   WhitespaceSplit   at white space
//   WordSplit         runs of \w, runs of what is neither \w nor white space
//   PunctuationSplit, DigitSplit
#pragma once
#include <functional>

#include "data/tokenizer_parts.h"
#include "data/unicode.h"

namespace koine {

/// What becomes of the places where a text is cut ("-" in "a-b", twice in "a--b").
enum class SplitBehavior {
    removed,               ///< a b
    isolated,              ///< a - - b
    merged_with_previous,  ///< a- - b
    merged_with_next,      ///< a - -b
    contiguous,            ///< a -- b
};

/// Finds the next match at or behind `from` in a text: its bytes, or an empty span at the text's end.
using FindMatch = std::function<Span(std::string_view text, size_t from)>;

/// Cuts every word at the matches. Matches may not be empty; words that would be are left out.
void split_words(Words& words, const FindMatch& find, SplitBehavior behavior);
/// The same at single characters of a class.
void split_words(Words& words, bool (*is_match)(char32_t), SplitBehavior behavior);

/// GPT-2's pre-tokenizer (Radford et al. 2019, encoder.py), whose pattern is
///   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
/// It only cuts: that a byte may be no character is the model's business (BpeOptions::is_byte_level).
struct ByteLevelSplit : PreTokenizer {
    bool adds_prefix_space = false;  ///< puts a space before words that begin with none
    bool uses_pattern = true;        ///< false: nothing is cut
    void split(Words& words, bool is_first) const override;
};

struct BertSplit : PreTokenizer {
    void split(Words& words, bool is_first) const override;
};

struct WhitespaceSplit : PreTokenizer {
    void split(Words& words, bool is_first) const override;
};

struct WordSplit : PreTokenizer {
    void split(Words& words, bool is_first) const override;
};

struct PunctuationSplit : PreTokenizer {
    SplitBehavior behavior = SplitBehavior::isolated;
    void split(Words& words, bool is_first) const override;
};

struct DigitSplit : PreTokenizer {
    bool is_individual = false;  ///< every digit a word, or every run of them
    void split(Words& words, bool is_first) const override;
};

/// ASCII punctuation and symbols ("$", "^" too), and the category P: what BERT takes for punctuation.
bool is_bert_punctuation(char32_t c);

}  // namespace koine
