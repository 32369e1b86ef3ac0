// The programs of this build as a user calls them: words and a file in, exit code and texts out.
#pragma once
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "tests/experiments_common.h"

namespace koine::testing {

/// Of a command line.
using Words = std::vector<std::string>;

inline Words operator+(Words a, const Words& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

struct Outcome {
    int code;
    std::string out, err;
};

/// Where the programs are: of the same build as this one, or, if the environment says KOINE_PROGRAMS, there.
inline std::filesystem::path programs() {
    const char* other = std::getenv("KOINE_PROGRAMS");
    return other ? other : KOINE_PROGRAMS;
}

/// One of them, running in the working directory; stdin is the file `input`, or empty.
class Process {
public:
    Process(const std::string& program, const std::vector<std::string>& words, const std::string& input = "/dev/null")
        : name(program + std::to_string(++n_started)) {
        const std::string path = programs() / program;
        std::vector<char*> argv = {const_cast<char*>(path.c_str())};
        for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
        argv.push_back(nullptr);
        std::fflush(nullptr);  // what is buffered belongs to this process alone
        id = fork();
        if (id != 0) return;
        if (std::freopen(input.c_str(), "r", stdin) == nullptr) _exit(126);
        for (const auto& [ending, descriptor] : {std::pair(".out", 1), std::pair(".err", 2)}) {
            if (std::freopen((name + ending).c_str(), "w", descriptor == 1 ? stdout : stderr) == nullptr) _exit(126);
        }
        execv(path.c_str(), argv.data());
        _exit(127);
    }
    void interrupt() const { kill(id, SIGINT); }
    void kill_at_once() const { kill(id, SIGKILL); }
    Outcome wait() const {
        int status = 0;
        waitpid(id, &status, 0);
        return {WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), content_of(name + ".out"),
                content_of(name + ".err")};
    }

private:
    static inline int n_started = 0;
    std::string name;
    pid_t id;
};

inline Outcome run(const std::string& program, const std::vector<std::string>& words,
                   const std::string& input = "/dev/null") {
    return Process(program, words, input).wait();
}

}  // namespace koine::testing
