#include "experiments/common/flags.h"

#include <omp.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "data/json.h"
#include "experiments/common/text.h"
#include "nn/names.h"

namespace koine {
namespace {

constexpr int kMaxThreads = 1024;

std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) text += (text.empty() ? "" : "|") + word;
    return text;
}

bool is_within(const Range& range, double x) {
    return std::isfinite(x) && x <= range.max && (range.is_open ? x > range.min : x >= range.min);
}

// "a whole number from 1 to 1024", "a number > 0", "one of auto|cpu|cuda".
std::string expectation(const Switch& s) {
    if (std::holds_alternative<bool*>(s.value)) return "no value";
    if (!s.choices.empty()) return "one of " + joined(s.choices);
    if (std::holds_alternative<std::string*>(s.value)) return "some text";
    const auto number = [](double x) {
        return x == std::floor(x) && std::abs(x) < 1e15 ? std::to_string(static_cast<int64_t>(x)) : nine_digits(x);
    };
    const std::string kind = std::holds_alternative<int64_t*>(s.value) ? "a whole number " : "a number ";
    const std::string least = (s.range.is_open ? "> " : ">= ") + number(s.range.min);
    return kind + least + (std::isinf(s.range.max) ? "" : " and <= " + number(s.range.max));
}

[[noreturn]] void refuse_unknown(const std::string& argument, const std::vector<Switch>& switches) {
    const std::string help = " (--help lists them all)";
    if (argument.size() < 2 || argument[0] != '-') throw UsageError("unexpected argument '" + argument + "'" + help);
    const size_t start = std::min(argument.find_first_not_of('-'), argument.size());
    const std::string wanted = argument.substr(start, argument.find('=') - start);
    std::vector<std::string> names = {"help", "version"};
    for (const Switch& s : switches) names.push_back(s.name);
    const auto nearest = std::min_element(names.begin(), names.end(), [&](const auto& a, const auto& b) {
        return edit_distance(wanted, a) < edit_distance(wanted, b);
    });
    const bool is_near = edit_distance(wanted, *nearest) <= 1 + int(wanted.size()) / 3;
    throw UsageError("unknown switch " + argument + (is_near ? "; did you mean --" + *nearest + "?" : "") + help);
}

std::string default_text(const Switch& s) {
    if (std::holds_alternative<bool*>(s.value)) return *std::get<bool*>(s.value) ? "on" : "off";
    return s.text();
}

std::string help(const Flags& flags, const std::vector<Switch>& switches) {
    std::string text = flags.name + ": " + flags.about + "\n\nusage: " + flags.name + " [switches]" +
                       (flags.arguments_help.empty() ? "" : " " + flags.arguments_help) + "\n\n";
    const auto line = [&](std::string left, const std::string& right) {
        left.resize(std::max<size_t>(left.size() + 2, 30), ' ');
        text += "  " + left + right + "\n";
    };
    for (const Switch& s : switches) {
        const char* by_type[] = {"", " N", " X", " TEXT"};
        const std::string value = !s.choices.empty()       ? " " + joined(s.choices)
                                  : !s.placeholder.empty() ? " " + s.placeholder
                                                           : by_type[s.value.index()];
        const std::string standard = default_text(s);
        line("--" + s.name + value, s.help + (standard.empty() ? "" : " [" + standard + "]"));
    }
    const bool has_presets =
        std::any_of(switches.begin(), switches.end(), [](const Switch& s) { return s.name == "full"; });
    line("--help", has_presets ? "this text; with --full or --protocol paper it shows their defaults" : "this text");
    line("--version", "the version of Koine");
    return text;
}

// The defaults of a resumed run are the settings of that run.
void take_settings(const std::string& folder, const std::vector<Switch>& switches) {
    const OrderedJson saved = read_settings(folder);
    for (const Switch& s : switches) {
        if (!s.changes_results || !saved.contains(s.name)) continue;
        const OrderedJson& value = saved[s.name];
        if (value == "") continue;  // a text that was not given
        try {
            s.assign(value.is_string() ? value.get<std::string>() : value.dump());
        } catch (const UsageError& error) {
            throw DataError("VALUE", folder + "/config.json", "", error.what());
        }
    }
}

}  // namespace

std::string Switch::text() const {
    if (const auto on = std::get_if<bool*>(&value)) return **on ? "true" : "false";
    if (const auto n = std::get_if<int64_t*>(&value)) return std::to_string(**n);
    if (const auto x = std::get_if<double*>(&value)) return nine_digits(**x);
    return *std::get<std::string*>(value);
}

void Switch::assign(const std::string& text) const {
    bool is_valid = true;
    if (const auto on = std::get_if<bool*>(&value)) {
        is_valid = text == "true" || text == "false";
        if (is_valid) **on = text == "true";
    } else if (const auto n = std::get_if<int64_t*>(&value)) {
        int64_t found = 0;
        is_valid = read_number(text, found) && is_within(range, static_cast<double>(found));
        if (is_valid) **n = found;
    } else if (const auto x = std::get_if<double*>(&value)) {
        double found = 0;
        is_valid = read_number(text, found) && is_within(range, found);
        if (is_valid) **x = found;
    } else {
        is_valid = choices.empty() ? !text.empty() : std::find(choices.begin(), choices.end(), text) != choices.end();
        if (is_valid) *std::get<std::string*>(value) = text;
    }
    if (is_valid) return;
    const std::string found = text.empty() ? "nothing" : "'" + text + "'";
    throw UsageError("--" + name + ": expected " + expectation(*this) + ", found " + found);
}

Flags::Flags() : threads(std::min(omp_get_max_threads(), kMaxThreads)) {
    const char* off = std::getenv("KOINE_OFFLINE");
    offline = off != nullptr && *off != '\0' && std::string(off) != "0";
}

std::vector<Switch> Flags::switches() {
    const Range positive = {.min = 1}, above_zero = {.is_open = true};
    std::vector<Switch> list = {
        {"data", &data, "where data sets are and go; else $KOINE_DATA, else the cache", {}, {}, "DIR", false},
        {"data-set", &data_set, "what to train on; synthetic needs no files", {}, data_sets},
        {"train-limit", &train_limit, "use at most N training samples, 0: all"},
        {"test-limit", &test_limit, "use at most N test samples, 0: all"},
        {"epochs", &epochs, "passes over the training samples", positive},
        {"batch-size", &batch_size, "samples in one step", positive},
        {"lr", &lr, "learning rate", above_zero},
        {"seed", &seed, "first seed; every random number follows from it"},
        {"seeds", &seeds, "repeat with N seeds: seed, seed + 1, ...", positive},
        {"protocol", &protocol, "the report's setting, or the paper's", {}, {"report", "paper"}},
        {"full", &full, "the protocol's whole scale, not the quick preset"},
        // These two may be others when a run is resumed: env.json has them, and that they changed is said.
        {"device",
         &device,
         "where to compute; auto: on a GPU if one can be used",
         {},
         {"auto", "cpu", "cuda"},
         "",
         false},
        {"tf32", &tf32, "on a GPU: products of numbers rounded to 10 bits, faster from sm_80 on", {}, {}, "", false},
        {"threads", &threads, "CPU threads; results do not depend on it", {1, kMaxThreads}, {}, "", false},
        {"out", &out, "run folder; else runs/" + name + "/DATE-TIME-sSEED", {}, {}, "DIR", false},
        {"resume", &resume, "go on with an interrupted run, without DIR the latest", {}, {}, "[DIR]", false},
        {"offline", &offline, "never fetch anything", {}, {}, "", false},
        {"quiet", &quiet, "only results and errors", {}, {}, "", false},
        {"json", &json, "print metrics.json instead of the table", {}, {}, "", false},
    };
    std::erase_if(list, [&](const Switch& s) { return std::count(unused.begin(), unused.end(), s.name) != 0; });
    return list;
}

DataOptions data_options(const Flags& flags) {
    return {flags.data, flags.offline, flags.train_limit, flags.test_limit};
}

bool parse(Flags& flags, int argc, const char* const* argv) {
    const std::vector<Switch> switches = flags.switches();

    CLI::App app;
    app.set_help_flag();
    app.allow_extras();  // unknown switches are ours to explain
    CLI::Option* wants_help = app.add_flag("-h,--help");
    CLI::Option* wants_version = app.add_flag("--version");
    std::vector<CLI::Option*> options;
    for (const Switch& s : switches) {
        const bool is_flag = std::holds_alternative<bool*>(s.value);
        // A value may be missing as far as CLI11 is concerned: assign() says better what was expected.
        const std::string name = "--" + s.name;
        options.push_back(is_flag ? app.add_flag(name) : app.add_option(name)->expected(0, 1)->take_last());
    }
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        throw UsageError(error.what());
    }
    for (const std::string& rest : app.remaining()) {
        if (flags.arguments_help.empty() || rest.starts_with("-")) refuse_unknown(rest, switches);
        flags.arguments.push_back(rest);
    }

    const auto assign_given = [&](const std::vector<std::string>& names) {
        for (size_t i = 0; i < switches.size(); ++i) {
            const bool is_wanted = names.empty() || std::count(names.begin(), names.end(), switches[i].name) != 0;
            if (options[i]->count() == 0 || !is_wanted) continue;
            const std::string& text = options[i]->results().back();
            const bool is_latest = switches[i].name == "resume" && text.empty();
            switches[i].assign(is_latest ? "runs/" + flags.name + "/latest" : text);
        }
    };
    // --full, --protocol and --resume decide what the others default to.
    assign_given({"full", "protocol", "resume"});
    if (wants_version->count() != 0) return std::printf("koine %s\n", KOINE_VERSION), false;
    flags.set_defaults();
    if (wants_help->count() != 0) return std::fputs(help(flags, switches).c_str(), stdout), false;
    if (!flags.resume.empty()) take_settings(flags.resume, switches);
    assign_given({});
    if (!flags.resume.empty() && !flags.out.empty()) {
        throw UsageError("--out and --resume exclude each other: a resumed run stays in its folder");
    }
    return true;
}

OrderedJson settings(Flags& flags) {
    OrderedJson json = {{"experiment", flags.name}, {"version", KOINE_VERSION}};
    for (const Switch& s : flags.switches()) std::visit([&](const auto* value) { json[s.name] = *value; }, s.value);
    return json;
}

OrderedJson read_settings(const std::string& folder) {
    const std::string path = folder + "/config.json";
    if (!std::filesystem::exists(path)) throw UsageError("--resume: no run in " + folder + " (no config.json)");
    const Json json = read_json(path);
    return JsonObject(json, path).json();
}

}  // namespace koine
