// The figures of `make bench`: what its scripts make of times. The times themselves are nobody's test.
#include <cstdlib>

#include "tests/catch.h"
#include "tests/experiments_common.h"

namespace {

using namespace koine::testing;
namespace fs = std::filesystem;

// The exit status of python3 with these words, and what it printed on stdout.
std::pair<int, std::string> python(const std::string& words) {
    const Capture out(1);
    const int status = std::system(("PYTHONDONTWRITEBYTECODE=1 python3 " + words).c_str());
    return {WEXITSTATUS(status), out.text()};
}

const std::string kScripts = KOINE_SOURCE_DIR "/tests/bench/";

}  // namespace

TEST_CASE("bench: medians, ratios, agreement, the table and the section of README.md", "[bench]") {
    if (std::system("command -v python3 > /dev/null 2>&1") != 0) SKIP_TEST("no python3");
    const auto [status, printed] = python("'" + kScripts + "run.py' --self-test 2>&1");
    CHECK(status == 0);
    CHECK(mentions(printed, "self-test passed"));
}

TEST_CASE("bench: what cannot be asked for is refused before anything runs", "[bench]") {
    if (std::system("command -v python3 > /dev/null 2>&1") != 0) SKIP_TEST("no python3");
    for (const auto& [variables, words] :
         {std::pair("WORKLOADS=ea", "want WORKLOADS out of ops gemm mlp ae"),
          std::pair("PAIRS=0", "PAIRS=0; want a number of 1"), std::pair("PAIRS=many", "PAIRS=many; want a number")}) {
        INFO(variables);
        const Capture out(1);
        const std::string command = std::string("BENCH=/nowhere ") + variables +
                                    " PYTHONDONTWRITEBYTECODE=1 python3 '" + kScripts + "run.py' 2>&1";
        CHECK(WEXITSTATUS(std::system(command.c_str())) == 1);
        CHECK(mentions(out.text(), words));
    }
}

// A peer is a server that answers what it is asked, in turn, and says what went wrong without ending.
TEST_CASE("bench: a peer answers every command, and errors are answers", "[bench]") {
    if (std::system("command -v python3 > /dev/null 2>&1") != 0) SKIP_TEST("no python3");
    const TemporaryFolder place;
    std::ofstream("peer.py") << "import sys\nsys.path.insert(0, '" << kScripts << "')\n"
                             << "from peer_server import Workload, serve\n"
                             << "print('not an answer')\n"
                             << "serve({'toy': '1.0'}, {'work/toy': Workload(lambda: lambda: print('noise'), lambda: "
                                "{'loss-1': 0.5}),\n"
                             << "                      'work/broken': Workload(lambda: 1 / 0)})\n";
    std::ofstream("commands") << "about\nnames\ncheck work/toy\nturn work/toy 3\nforget work/toy\nturn work/broken 1\n"
                              << "turn work/none 1\n";
    const auto [status, printed] = python("peer.py < commands 2> noise");
    CHECK(status == 0);
    std::istringstream lines(printed);
    std::vector<std::string> answers;
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("work/toy ms ")) line = "work/toy ms";
        answers.push_back(line);
    }
    CHECK(answers == std::vector<std::string>{"not an answer", "about toy 1.0", ".", "work/toy", "work/broken", ".",
                                              "work/toy loss-1 0.5", ".", "work/toy ms", ".", ".",
                                              "! ZeroDivisionError: division by zero", ".", "! KeyError: 'work/none'",
                                              "."});
}

// A program and a peer of a few lines stand in for koine_bench and PyTorch: what they compute is compared first.
TEST_CASE("bench: a peer that computes something else ends the run before anything is timed", "[bench]") {
    if (std::system("command -v python3 > /dev/null 2>&1") != 0) SKIP_TEST("no python3");
    const TemporaryFolder place;
    const auto write_server = [](const char* program, const char* name, const char* loss, const char* last) {
        std::ofstream(program) << "#!/usr/bin/env python3\nimport sys\nsys.path.insert(0, '" << kScripts << "')\n"
                               << "from peer_server import Workload, serve\n"
                               << last << "serve({'toy': '1'}, {'" << name
                               << "': Workload(lambda: 1 / 0, lambda: {'loss-1': " << loss << "})})\n";
        fs::permissions(program, fs::perms::owner_all);
    };
    const char* only_eager = "if sys.argv[2:] != ['eager']: sys.exit('nothing of that kind here')\n";
    write_server("bench", "mlp", "0.5", "");
    for (const auto& [loss, words] : {std::pair("0.5002", "mlp/toy computes something else: loss-1 0.5 and 0.5002"),
                                      std::pair("float('nan')", "loss-1 0.5 and nan"),
                                      // Equal, so turns begin, which this program cannot take.
                                      std::pair("0.50001", "1 results of the peers agree with ours.")}) {
        INFO(loss);
        write_server("peer", "mlp/toy", loss, only_eager);
        const Capture out(1);
        const std::string command = "BENCH=./bench PYTHON=./peer WORKLOADS=mlp python3 '" + kScripts + "run.py' 2>&1";
        CHECK(WEXITSTATUS(std::system(command.c_str())) == 1);
        CHECK(mentions(out.text(), words));
        CHECK(mentions(out.text(), "No numpy: nothing of that kind here"));
    }
}
