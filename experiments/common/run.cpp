#include "experiments/common/run.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "data/bytes.h"
#include "data/files.h"
#include "experiments/common/progress.h"

namespace koine {
namespace fs = std::filesystem;
namespace {

std::string date_and_time() {
    const std::time_t now = std::time(nullptr);
    std::tm local = {};
    localtime_r(&now, &local);
    char text[32];
    std::strftime(text, sizeof text, "%Y%m%d-%H%M%S", &local);
    return text;
}

std::string dumped(const OrderedJson& json) {
    return json.dump(2, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

std::string plain(const OrderedJson& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

std::vector<std::pair<std::string, std::string>> pairs_of(const OrderedJson& json) {
    std::vector<std::pair<std::string, std::string>> pairs;
    for (const auto& [key, value] : json.items()) pairs.emplace_back(key, plain(value));
    return pairs;
}

void refuse_run_in(const fs::path& folder) {
    if (!fs::exists(folder / "config.json")) return;
    throw UsageError("--out: " + folder.string() + " holds a run already; to go on with it: --resume " +
                     folder.string());
}

// The folder of a new run: --out, or the first free name of this second below runs/NAME.
fs::path make_folder(const Flags& flags) {
    std::error_code problem;
    fs::path folder = flags.out;
    if (!flags.out.empty()) {
        refuse_run_in(folder);
        fs::create_directories(folder, problem);
    } else {
        const fs::path home = fs::path("runs") / flags.name;
        const std::string stem = date_and_time() + "-s" + std::to_string(flags.seed);
        fs::create_directories(home, problem);
        folder = home / stem;
        for (int i = 2; !problem && !fs::create_directory(folder, problem); ++i) {
            folder = home / (stem + "-" + std::to_string(i));
        }
    }
    if (!problem) fs::create_directory(folder / "ckpt", problem);
    if (!problem) fs::create_directory(folder / "figures", problem);
    if (!problem) return folder;
    throw UsageError("--out: cannot make the run folder " + folder.string() + ": " + problem.message());
}

// The folder to resume; for runs/NAME/latest the one it points to.
fs::path find_folder(const fs::path& named) {
    if (!fs::is_symlink(named)) return named;
    return named.parent_path() / fs::read_symlink(named);
}

// Points runs/NAME/latest to the folder, replacing an older link in one step. A run does without when it cannot.
void link_latest(const fs::path& folder, const std::string& name) {
    const fs::path home = fs::path("runs") / name, link = home / (".latest-" + std::to_string(::getpid()));
    const fs::path target = folder.parent_path() == home ? folder.filename() : fs::absolute(folder);
    std::error_code problem;
    fs::create_directories(home, problem);
    fs::create_directory_symlink(target, link, problem);
    if (!problem) fs::rename(link, home / "latest", problem);
    if (!problem) return;
    std::fprintf(stderr, "note: cannot update %s: %s\n", (home / "latest").c_str(), problem.message().c_str());
    fs::remove(link, problem);
}

// Throws UsageError naming every setting that differs between a run and its continuation.
void check_same(const OrderedJson& then, const OrderedJson& now, Flags& flags, const fs::path& folder) {
    std::vector<std::string> keys = {"experiment", "version"};
    for (const Switch& s : flags.switches()) {
        if (s.changes_results) keys.push_back(s.name);
    }
    std::string differences;
    for (const std::string& key : keys) {
        const OrderedJson before = then.contains(key) ? then[key] : OrderedJson("absent");
        const OrderedJson& after = now[key];
        if (before == after) continue;
        if (!differences.empty()) differences += ", ";
        differences += key + " (" + plain(before) + " there, " + plain(after) + " here)";
    }
    if (!differences.empty()) {
        throw UsageError("--resume: the run in " + folder.string() + " was begun with other settings: " + differences);
    }
}

// Another compiler or BLAS kernel rounds differently: allowed, but not in silence.
void note_other_environment(const fs::path& path, const OrderedJson& now) {
    if (!fs::exists(path)) return;
    const OrderedJson then = OrderedJson::parse(read_text(path), nullptr, false);
    for (const auto& [key, value] : now.items()) {
        const bool is_harmless = key == "threads" || key == "omp_wait_policy";
        if (is_harmless || !then.is_object() || (then.contains(key) && then[key] == value)) continue;
        std::fprintf(stderr, "note: resumed with another %s: the last digits may differ\n", key.c_str());
    }
}

OrderedJson resolved_settings(Flags& flags, const RunInfo& info) {
    OrderedJson json = settings(flags);
    json["device"] = info.device;  // what auto came to
    return json;
}

}  // namespace

FolderLock::FolderLock(const fs::path& folder)
    : descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    if (descriptor >= 0 && ::flock(descriptor, LOCK_EX | LOCK_NB) == 0) return;
    if (descriptor >= 0 && errno == EWOULDBLOCK) {
        ::close(descriptor);
        throw UsageError(folder.string() +
                         " is in use by another process; wait for it, or choose another folder by --out");
    }
    std::fprintf(stderr, "note: %s cannot be locked (%s): let no second process use it\n", folder.c_str(),
                 std::strerror(errno));
}

FolderLock::~FolderLock() {
    if (descriptor >= 0) ::close(descriptor);
}

Run::Run(Flags& flags, const RunInfo& info)
    : where(flags.resume.empty() ? make_folder(flags) : find_folder(flags.resume)),
      lock(where),
      train_log(where / "train.csv"),
      resumed(!flags.resume.empty()),
      is_json(flags.json),
      is_quiet(flags.quiet) {
    const OrderedJson settings_now = resolved_settings(flags, info), env_now = environment(flags, info);
    if (resumed) {
        check_same(read_settings(where), settings_now, flags, where);
        note_other_environment(where / "env.json", env_now);
    } else {
        refuse_run_in(where);  // a process that was faster may have begun one
    }
    write_file(where / "env.json", dumped(env_now));
    if (!resumed) write_file(where / "config.json", dumped(settings_now));  // the last: with it there is a run
    config = pairs_of(settings_now);
    env = pairs_of(env_now);
    flags.run_folder = where.string();
    link_latest(where, flags.name);
    if (!is_quiet) std::fputs(first_lines(flags, info).c_str(), stderr);
}

void Run::write_json(const std::string& name, const OrderedJson& json) const { write_file(where / name, dumped(json)); }

double Run::seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); }

void Run::finish(const OrderedJson& metrics, const std::vector<Table>& tables, Report report) const {
    write_json("metrics.json", metrics);
    report.add_details("Settings", config).add_details("Environment", env).write(where / "report.html");
    if (is_json) {
        std::fputs(dumped(metrics).c_str(), stdout);
    } else {
        for (size_t i = 0; i < tables.size(); ++i) {
            std::printf("%s%s", i == 0 ? "" : "\n", tables[i].text(has_colour(1)).c_str());
        }
    }
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
        throw DataError(
            "IO", "stdout", "",
            std::string("cannot write: ") + std::strerror(errno) + "; the results are in " + where.string());
    }
    if (is_quiet) return;
    std::fprintf(stderr, "report: %s\npeak memory: %s MB\n", (where / "report.html").c_str(),
                 fixed(peak_memory_mb(), 0).c_str());
}

}  // namespace koine
