// Where data lives on this machine, and how it gets there when it does not.
//
// A data set is looked for below --data DIR, then $KOINE_DATA, then ${XDG_CACHE_HOME:-~/.cache}/koine. When it is in
// none of them, data/fetch.sh is run, which knows mirrors and checksums. What is in the files is not known here.
#pragma once
#include <functional>
#include <string>
#include <vector>

namespace koine {

/// How the user wants data to be found.
struct DataOptions {
    std::string dir;          ///< --data; empty when not given
    bool is_offline = false;  ///< --offline: nothing is ever fetched
    int64_t train_limit = 0;  ///< --train-limit; 0 for all
    int64_t test_limit = 0;   ///< --test-limit; 0 for all
};

/// The value of an environment variable; "" when it is not set.
std::string environment_variable(const char* name);

/// ${XDG_CACHE_HOME:-~/.cache}; "" when neither it nor $HOME is set.
std::string cache_home();

/// The folders to look in, best first. They need not exist.
std::vector<std::string> data_roots(const DataOptions& options);

/// The path of a file of the source tree, such as data/fetch.sh: found beside the running program or below the working
/// directory, or above them; else "".
std::string project_file(const std::string& path);

/// The first root for which `is_there(root)` holds, after running data/fetch.sh NAME once if there is none. Throws
/// DataError(MISSING), which lists where it looked and the command that fetches, when that does not help or is not
/// allowed. `elsewhere` names, for the message, where the caller has looked besides.
std::string find_or_fetch(const std::string& name, const DataOptions& options,
                          const std::function<bool(const std::string& root)>& is_there,
                          const std::string& elsewhere = "");

}  // namespace koine
