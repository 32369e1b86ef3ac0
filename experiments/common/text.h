// Small texts: numbers written and read, lists, and HTML escaping.
#pragma once
#include <charconv>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace koine {

/// Named numbers in a fixed order: one row of train.csv, one line of progress.
using Values = std::vector<std::pair<std::string, double>>;

/// x with `digits` decimals; with an exponent instead when x is not 0 but all of them would be.
std::string fixed(double x, int digits);

/// Nine significant digits: what it takes to read back the same float.
std::string nine_digits(double x);

/// The whole of `text` as a number, independent of the locale; false, and x as it was, when it is anything else.
template <class T>
bool read_number(std::string_view text, T& x) {
    T found{};
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, found);
    if (error != std::errc() || stop != end) return false;
    x = found;
    return true;
}

/// "a,b,c" -> a, b, c; empty parts are left out.
std::vector<std::string> split_list(std::string_view list);

/// "0:41", "12:05", "1:02:03"; whole seconds, rounded up so that it ends at 0:00 only when nothing is left.
std::string duration(double seconds);

/// The text with its control characters (C0 but for line feeds, DEL, C1) as U+FFFD: words and names from files must not
/// steer a terminal.
std::string without_controls(std::string_view text);

/// The text with & < > " ' as entities: safe as HTML content and inside a quoted attribute.
std::string escape_html(std::string_view text);

}  // namespace koine
