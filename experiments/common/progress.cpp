#include "experiments/common/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace koine {
namespace {

constexpr int kBarWidth = 24;
constexpr double kRedraw_s = 0.1;

double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// "  loss 0.3750  mse 1.000e-05".
std::string listed(const Values& values) {
    std::string text;
    for (const auto& [name, value] : values) text += "  " + name + " " + fixed(value, 4);
    return text;
}

size_t terminal_width() {
    winsize size = {};
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace

bool is_terminal(int descriptor) {
    const char* kind = std::getenv("TERM");
    return isatty(descriptor) != 0 && kind != nullptr && std::string(kind) != "dumb";
}

bool has_colour(int descriptor) {
    const char* unwanted = std::getenv("NO_COLOR");
    return is_terminal(descriptor) && (unwanted == nullptr || *unwanted == '\0');
}

Progress::Progress(bool is_quiet_, int64_t n_epochs, int64_t n_samples_, std::string unit_)
    : is_quiet(is_quiet_),
      has_bar(!is_quiet_ && is_terminal()),
      n_total(n_epochs * n_samples_),
      n_samples(n_samples_),
      unit(std::move(unit_)) {}

Progress::~Progress() { clear(); }

void Progress::start(const std::string& model, int64_t epoch, int64_t of) {
    std::string number = std::to_string(epoch);
    number.insert(0, std::to_string(of).size() - std::min(std::to_string(of).size(), number.size()), ' ');
    title = model + "  epoch " + number + "/" + std::to_string(of);
    n_in_epoch = 0;
    epoch_start = Clock::now();
}

void Progress::step(int64_t n, const std::function<Values()>& values) {
    n_in_epoch += n;
    n_seen += n;
    if (!has_bar || seconds_since(last_drawn) < kRedraw_s) return;
    last_drawn = Clock::now();
    draw(values());
}

void Progress::done(const Values& values) {
    if (is_quiet) return;
    clear();
    std::fprintf(stderr, "%s%s  %s\n", title.c_str(), listed(values).c_str(), speed_and_eta().c_str());
}

std::string Progress::speed_and_eta() const {
    const double speed = static_cast<double>(n_in_epoch) / std::max(seconds_since(epoch_start), 1e-9);
    const double mean_speed = static_cast<double>(n_seen) / std::max(seconds_since(run_start), 1e-9);
    const double left_s = static_cast<double>(std::max<int64_t>(n_total - n_seen, 0)) / std::max(mean_speed, 1e-9);
    return fixed(speed, 0) + " " + unit + "/s  ETA " + duration(left_s);
}

void Progress::draw(const Values& values) {
    const int64_t filled = std::min(n_in_epoch, n_samples) * kBarWidth / std::max<int64_t>(n_samples, 1);
    std::string bar(static_cast<size_t>(filled), '=');
    bar.resize(kBarWidth, ' ');
    std::string line = title + "  [" + bar + "]" + listed(values) + "  " + speed_and_eta();
    line.resize(std::min(line.size(), terminal_width() - 1));  // a wrapped line could not be redrawn
    const size_t start = line.find('['), end = line.find(']');
    if (has_colour() && end != std::string::npos) {
        line.insert(end, "\033[0m");
        line.insert(start + 1, "\033[36m");
    }
    std::fprintf(stderr, "\r\033[K%s", line.c_str());
    is_drawn = true;
}

void Progress::clear() {
    if (is_drawn) std::fputs("\r\033[K", stderr);
    is_drawn = false;
}

}  // namespace koine
