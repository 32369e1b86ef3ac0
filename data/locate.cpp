// Finding and fetching; see locate.h.
#include "data/locate.h"

#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "tensor/error.h"

extern char** environ;

namespace koine {
namespace {

namespace fs = std::filesystem;

std::string cache_root() {
    const std::string home = cache_home();
    return home.empty() ? "" : home + "/koine";
}

/// $KOINE_DATA may be read-only: what is fetched never goes there.
std::string fetch_destination(const DataOptions& options) { return options.dir.empty() ? cache_root() : options.dir; }

/// The command as a user would type it, quoted where a shell needs it.
std::string fetch_command(const std::string& script, const std::string& name, const std::string& destination) {
    const auto quoted = [](const std::string& word) {
        const bool is_plain = std::all_of(word.begin(), word.end(), [](unsigned char c) {
            return std::isalnum(c) || std::string_view("/._-+,:@%").find(char(c)) != std::string_view::npos;
        });
        if (is_plain) return word;
        std::string s = "'";
        for (char c : word) s += c == '\'' ? std::string("'\\''") : std::string(1, c);
        return s + "'";
    };
    return (script.empty() ? "data/fetch.sh" : quoted(script)) + " " + name + " --to " + quoted(destination);
}

/// Runs the script, its messages on our stderr; true when it exits with 0.
bool run_fetch(const std::string& script, const std::string& name, const std::string& destination) {
    std::string words[] = {"sh", script, name, "--to", destination};
    char* arguments[] = {words[0].data(), words[1].data(), words[2].data(), words[3].data(), words[4].data(), nullptr};
    pid_t child = 0;
    if (posix_spawnp(&child, "sh", nullptr, nullptr, arguments, environ) != 0) return false;
    int status = 0;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) return false;
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

std::string environment_variable(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

std::string cache_home() {
    const std::string xdg = environment_variable("XDG_CACHE_HOME"), home = environment_variable("HOME");
    if (!xdg.empty()) return xdg;
    return home.empty() ? "" : home + "/.cache";
}

std::vector<std::string> data_roots(const DataOptions& options) {
    std::vector<std::string> roots;
    for (const std::string& root : {options.dir, environment_variable("KOINE_DATA"), cache_root()}) {
        if (!root.empty() && std::find(roots.begin(), roots.end(), root) == roots.end()) roots.push_back(root);
    }
    return roots;
}

std::string project_file(const std::string& path) {
    std::error_code ignored;
    const fs::path program = fs::read_symlink("/proc/self/exe", ignored);
    for (fs::path folder : {program.parent_path(), fs::current_path(ignored)}) {
        for (; !folder.empty(); folder = folder.parent_path()) {
            const fs::path file = folder / path;
            if (fs::is_regular_file(file, ignored)) return file.string();
            if (folder == folder.root_path()) break;
        }
    }
    return "";
}

std::string find_or_fetch(const std::string& name, const DataOptions& options,
                          const std::function<bool(const std::string& root)>& is_there, const std::string& elsewhere) {
    const auto roots = data_roots(options);
    const auto found = std::find_if(roots.begin(), roots.end(), is_there);
    if (found != roots.end()) return *found;

    const std::string destination = fetch_destination(options), script = project_file("data/fetch.sh");
    std::string looked, reason;
    for (const std::string& root : roots) looked += (looked.empty() ? "" : ", ") + root;
    if (looked.empty()) looked = "no folder: neither --data, $KOINE_DATA, $XDG_CACHE_HOME nor $HOME is set";
    if (!elsewhere.empty()) looked += ", and in " + elsewhere;
    if (options.is_offline) {
        reason = "offline, so nothing was fetched";
    } else if (script.empty()) {
        reason = "data/fetch.sh is not beside this program";
    } else if (destination.empty()) {
        reason = "there is no folder to fetch it to";
    } else {
        std::cerr << name << ": not below " << looked << "; running " << fetch_command(script, name, destination)
                  << std::endl;
        if (run_fetch(script, name, destination)) {
            if (is_there(destination)) return destination;
            reason = "what was fetched is not complete";
        } else {
            reason = "it could not be fetched";
        }
    }
    throw DataError("MISSING", name, "",
                    "not found; looked below " + looked + "; " + reason +
                        ". To fetch it: " + fetch_command(script, name, destination.empty() ? "DIR" : destination));
}

}  // namespace koine
