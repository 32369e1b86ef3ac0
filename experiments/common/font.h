// A bitmap font for labels inside images, drawn in its own source: font.cpp shows every letter.
#pragma once
#include <string_view>

namespace koine {

// In font pixels: five and a gap; seven above the base line and two below.
constexpr int kLetterWidth = 6, kLetterHeight = 9;

/// True where the letter has ink: 0 <= x < kLetterWidth, 0 <= y < kLetterHeight. A byte outside ASCII shows as '?'.
bool has_ink(char letter, int x, int y);

/// Font pixels that the text takes from left to right.
inline int text_width(std::string_view text) { return static_cast<int>(text.size()) * kLetterWidth; }

}  // namespace koine
