#include "experiments/common/text.h"

#include <cmath>
#include <cstdint>
#include <cstdio>

namespace koine {
namespace {

std::string printed(const char* format, int digits, double x) {
    std::string text(static_cast<size_t>(std::snprintf(nullptr, 0, format, digits, x)), '\0');
    std::snprintf(text.data(), text.size() + 1, format, digits, x);
    return text;
}

}  // namespace

std::string fixed(double x, int digits) {
    const bool vanishes = x != 0 && std::abs(x) < 0.5 * std::pow(10.0, -digits);
    return printed(vanishes ? "%.*e" : "%.*f", vanishes ? 1 : digits, x);
}

std::string nine_digits(double x) { return printed("%.*g", 9, x); }

std::vector<std::string> split_list(std::string_view list) {
    std::vector<std::string> parts(1);
    for (const char c : list) {
        if (c == ',') {
            parts.emplace_back();
        } else {
            parts.back() += c;
        }
    }
    std::erase(parts, "");
    return parts;
}

std::string duration(double seconds) {
    if (!std::isfinite(seconds) || seconds < 0 || seconds > 1e9) return "?";
    const auto s = static_cast<int64_t>(std::ceil(seconds));
    const auto two = [](int64_t n) { return std::to_string(100 + n).substr(1); };
    if (s < 3600) return std::to_string(s / 60) + ":" + two(s % 60);
    return std::to_string(s / 3600) + ":" + two(s / 60 % 60) + ":" + two(s % 60);
}

std::string without_controls(std::string_view text) {
    std::string safe;
    for (size_t i = 0; i < text.size(); i++) {
        const auto c = static_cast<unsigned char>(text[i]);
        const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0;
        const bool is_c1 = c == 0xc2 && next >= 0x80 && next < 0xa0;  // in UTF-8
        if (is_c1 || (c < 0x20 && c != '\n') || c == 0x7f) {
            safe += "\ufffd";
            i += is_c1;
        } else {
            safe += text[i];
        }
    }
    return safe;
}

std::string escape_html(std::string_view text) {
    std::string safe;
    for (const char c : text) {
        switch (c) {
            case '&': safe += "&amp;"; break;
            case '<': safe += "&lt;"; break;
            case '>': safe += "&gt;"; break;
            case '"': safe += "&quot;"; break;
            case '\'': safe += "&#39;"; break;
            default: safe += c;
        }
    }
    return safe;
}

}  // namespace koine
