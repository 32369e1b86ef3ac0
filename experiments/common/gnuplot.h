// gnuplot as a function: a script in, a picture out. chart.h writes the scripts.
#pragma once
#include <string>
#include <string_view>

namespace koine {

/// What gnuplot prints when it is given `script` on its standard input (the picture, when the script sets no output).
/// Empty when gnuplot is not on the PATH, which is said once on stderr, or when it failed, which is said each time.
std::string run_gnuplot(const std::string& script);

/// The text as a gnuplot string. Single quotes: nothing in it is substituted or run. Control characters become blanks.
std::string gnuplot_string(std::string_view text);

/// The same for a tick label, which gnuplot would read as a number format.
std::string gnuplot_tick(std::string_view text);

}  // namespace koine
