// The command line that the five experiments share: one list of switches, their defaults, their ranges.
//
// An experiment derives its Config from Flags, sets its defaults in set_defaults() and adds its own switches to the
// list; --help, config.json and --resume are all read from that list. Where data sets are looked for is not decided
// here (data/datasets): these are only the words that the user typed.
#pragma once
#include <cstdint>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <variant>
#include <vector>

#include "data/locate.h"
#include "tensor/error.h"

namespace koine {

/// JSON whose keys keep the order in which they were written.
using OrderedJson = nlohmann::ordered_json;

/// A command line that cannot be run: exit code 2.
struct UsageError : Error {
    using Error::Error;
};

/// What a number may be: min <= x <= max, or min < x when `is_open`.
struct Range {
    double min = 0;
    double max = std::numeric_limits<double>::infinity();
    bool is_open = false;
};

/// One switch: its name (--batch-size, and the key batch-size of config.json), the variable that it sets, whose value
/// before parsing is the default, and what --help says. A bool takes no value; with `choices` it takes one of them.
struct Switch {
    std::string name;
    std::variant<bool*, int64_t*, double*, std::string*> value;
    std::string help;
    Range range = {};
    std::vector<std::string> choices = {};
    std::string placeholder = {};  // what --help calls the value; chosen by type when empty
    bool changes_results = true;   // false: --resume may change it

    std::string text() const;
    /// Throws UsageError, saying what was expected, unless `text` is a value that this switch may have.
    void assign(const std::string& text) const;
};

struct Flags {
    // What an experiment says about itself.
    std::string name;                    // of the program, and of its folder below runs/
    std::string about;                   // one sentence for --help
    std::vector<std::string> data_sets;  // the choices of --data-set
    std::vector<std::string> unused;     // common switches it has no use for: neither offered nor recorded
    std::string arguments_help;          // what may stand beside the switches, such as "WORD..."; empty: nothing

    // What the user says: the common switches.
    std::string data, out, data_set, device = "auto", protocol = "report", resume;
    int64_t seed = 0, seeds = 1, epochs = 1, batch_size = 128, threads;
    int64_t train_limit = 0, test_limit = 0;  // 0: all there are
    double lr = 1e-3;
    bool full = false, tf32 = false, offline, quiet = false, json = false;
    std::vector<std::string> arguments;  // what stands beside the switches

    std::string run_folder;  // where the run is, once there is one: set by Run

    /// threads: what OpenMP would use (OMP_NUM_THREADS is honoured); offline: $KOINE_OFFLINE is set and is not 0.
    Flags();
    virtual ~Flags() = default;

    /// Called when `full` and `protocol` are known and before any other switch is read.
    virtual void set_defaults() {}
    /// Every switch but --help and --version. An experiment appends its own to Flags::switches().
    virtual std::vector<Switch> switches();
};

/// --data, --offline and the limits.
DataOptions data_options(const Flags& flags);

/// Reads the command line into `flags`. False when --help or --version was asked for: the text is then on stdout.
/// With --resume the settings of that run are the defaults; `resume` then names its folder. Throws UsageError.
bool parse(Flags& flags, int argc, const char* const* argv);

/// Every switch and its value, and the program and its version: the content of config.json.
OrderedJson settings(Flags& flags);

/// Reads the config.json of a run folder. Throws UsageError when there is none, DataError when it is damaged.
OrderedJson read_settings(const std::string& folder);

}  // namespace koine
