// KOINE_PROFILE: what is counted, and what becomes of it.
#include <chrono>
#include <cmath>
#include <map>
#include <thread>

#include "autograd/ops.h"
#include "autograd/profile.h"
#include "data/json.h"
#include "nn/layers.h"
#include "nn/optim.h"
#include "tests/catch.h"
#include "tests/process.h"

using namespace koine;
using namespace koine::testing;

namespace {

using Pass = Profiled::Pass;
constexpr int64_t kReal = sizeof(real);

// Profiling is on while it lives.
struct Profiling {
    Profiling() {
        clear_profile();
        profile_mode() = true;
    }
    ~Profiling() {
        profile_mode() = false;
        clear_profile();
    }
};

std::map<std::pair<std::string, Pass>, ProfileRow> rows() {
    std::map<std::pair<std::string, Pass>, ProfileRow> all;
    for (const ProfileRow& row : profile_rows()) all.insert({{row.op, row.pass}, row});
    return all;
}

void busy_for(double seconds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    while (std::chrono::steady_clock::now() < end) std::this_thread::yield();
}

}  // namespace

TEST_CASE("the profile counts calls, arithmetic and bytes of ops in both directions", "[profile]") {
    const Var x = Var::parameter(Tensor::normal({8, 5}, {1, 1})), w = Var::parameter(Tensor::normal({3, 5}, {1, 2})),
              b = Var::parameter(Tensor::normal({3}, {1, 3})), frozen = Var(Tensor::normal({8, 5}, {1, 4}));
    relu(x);  // before it is on
    const Profiling guard;
    backward(sum(linear(x, w, b)));
    backward(sum(linear(frozen, w, b)));
    const auto all = rows();
    CHECK(all.count({"relu", Pass::forward}) == 0);

    const ProfileRow forward = all.at({"linear", Pass::forward}), back = all.at({"linear", Pass::backward});
    CHECK(forward.calls == 2);
    CHECK(forward.flop == 2 * (2 * 8 * 5 * 3));
    CHECK(forward.bytes == 2 * kReal * (8 * 5 + 3 * 5 + 3 + 8 * 3));
    CHECK(back.calls == 2);
    CHECK(back.flop == (2 + 1) * (2 * 8 * 5 * 3));  // x and w, then w alone
    CHECK(back.bytes == kReal * (2 * (8 * 3 + 3 * 5 + 3) + 8 * 5));
    CHECK(all.at({"sum", Pass::forward}).calls == 2);
    for (const auto& [name, row] : all) CHECK(row.seconds >= 0);
}

TEST_CASE("a view moves nothing, and picked rows are not the whole table", "[profile]") {
    const Profiling guard;
    const Var x = Var::parameter(Tensor::normal({100, 4}, {1, 1}));
    const Var y = index_select(x, Indices(std::vector<int32_t>{3, 7}, Shape{2}));
    backward(sum(reshape(y, {8})));
    const auto all = rows();
    CHECK(all.at({"index_select", Pass::forward}).bytes == kReal * 2 * 8);
    CHECK(all.at({"reshape", Pass::backward}).bytes == 0);
}

TEST_CASE("the time of an op is without that of the ops inside of it", "[profile]") {
    const Profiling guard;
    {
        const Profiled outer("outer");
        const Profiled inner("inner");
        busy_for(0.2);
    }
    const auto all = rows();
    CHECK(all.at({"inner", Pass::forward}).seconds >= 0.2);
    CHECK(all.at({"outer", Pass::forward}).seconds < 0.1);
    CHECK(profile_rows().front().op == std::string("inner"));  // the most expensive first
}

TEST_CASE("the trace has every call of every thread", "[profile][threads]") {
    const TemporaryFolder here;
    const Profiling guard;
    const Tensor x = Tensor::normal({4}, {1, 1});
    relu(x);
    std::thread([&] { exp(relu(x)); }).join();
    REQUIRE(write_profile_trace("trace.json"));
    const Json trace = Json::parse(content_of("trace.json"));
    std::map<std::string, int> calls;
    std::map<int, int> threads;
    for (const Json& event : trace["traceEvents"]) {
        calls[event["name"]]++;
        threads[event["tid"]]++;
        CHECK(event["ph"] == "X");
        CHECK(event["ts"].get<double>() >= 0);
        CHECK(event["dur"].get<double>() >= 0);
    }
    CHECK((calls == std::map<std::string, int>{{"exp", 1}, {"relu", 2}}));
    CHECK(threads.size() == 2);
    CHECK_FALSE(write_profile_trace("no/such/folder/trace.json"));
}

TEST_CASE("an optimiser's step is in the profile, too", "[profile]") {
    const Profiling guard;
    Generator gen(0);
    Linear layer(gen, 3, 2);
    Adam adam(layer, AdamOptions{});
    backward(sum(layer(Tensor::normal({4, 3}, {1, 1}))));
    adam.step();
    CHECK(rows().at({"Adam::step", Pass::forward}).calls == 1);
}

TEST_CASE("KOINE_PROFILE=1: a program ends with a table and leaves a trace", "[profile][programs]") {
    const TemporaryFolder here;
    const auto run_with = [&](const char* where, const Words& words) {
        const EnvironmentVariable profile("KOINE_PROFILE", where);
        return run("invariance", words);
    };
    const Outcome profiled = run_with("profile.json", {"--data-set", "synthetic", "--out", "run"});
    const Outcome nowhere = run_with("no/such/folder.json", {"--data-set", "synthetic", "--out", "run2"});
    INFO(profiled.err);
    CHECK(profiled.code == 0);
    CHECK(profiled.err.find("op                                calls           ms") != std::string::npos);
    CHECK(profiled.err.find("ms from the first op to the last\nprofile.json: every call") != std::string::npos);
    CHECK(Json::parse(content_of("profile.json"))["traceEvents"].size() > 10);
    CHECK(nowhere.code == 0);
    CHECK(nowhere.err.find("no/such/folder.json: cannot be written") != std::string::npos);
}
