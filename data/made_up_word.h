// Words that can be pronounced and that mean nothing.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace koine {

/// Word i >= 0 of an endless list in which no word comes twice: i in a number system whose digits are syllables of a
/// consonant and a vowel, two syllables at least. Letters are ASCII.
inline std::string made_up_word(int64_t i, std::string_view consonants, std::string_view vowels) {
    const int64_t n_vowels = int64_t(vowels.size()), n_syllables = int64_t(consonants.size()) * n_vowels;
    std::string word;
    for (int64_t left = i; left > 0 || word.size() < 4; left /= n_syllables) {
        word += consonants[size_t(left % n_syllables / n_vowels)];
        word += vowels[size_t(left % n_vowels)];
    }
    return word;
}

}  // namespace koine
