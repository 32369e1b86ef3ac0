// Writers while the system fails, or ends them: afterwards a file is the old one or the new one, byte for byte, nothing
// else is left, and the next writer succeeds. All files of a run are written by AtomicFile (data/files.h), but for the
// rows of train.csv, which are appended.
#include <omp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <map>
#include <set>

#include <nlohmann/json.hpp>

#include "data/bytes.h"
#include "data/files.h"
#include "experiments/common/image.h"
#include "experiments/common/run.h"
#include "nn/checkpoint.h"
#include "tests/hostile/watch.h"

using namespace koine;
using namespace koine::testing;
namespace fs = std::filesystem;

namespace {

struct Writer {
    std::string name;
    std::string path;
    Bytes old;                    ///< what is there before
    std::function<void()> write;  ///< puts something else in its place
    bool reads_first = false;     ///< and an open() that fails may be that of the reader
};

Checkpoint checkpoint(real value) {
    Checkpoint c;
    c.tensors = {{"a", Tensor::full({300}, value)}, {"b", Tensor::full({2, 2}, value)}};
    c.set("epoch", 2);
    return c;
}

const Bytes kLog = bytes_of("model,epoch,loss\na,1,0.5\na,2,0.25\nb,1,1\n");

/// A run in a folder of its own, and every function that writes one of the files that programs leave behind.
struct Writers {
    Writers() {
        fs::create_directories(folder / "files");
        ToyConfig config;
        parse_words(config, {"--out", folder / "run", "--quiet"});
        run.emplace(config, RunInfo{.data = "mnist"});
        save_checkpoint(folder / "old", checkpoint(1));
        const Bytes old_checkpoint = contents_of(folder / "old");
        fs::remove(folder / "old");

        const std::string files = folder / "files/";
        const auto add = [&](const std::string& name, const std::string& file, const Bytes& old, auto write) {
            list.push_back({name, file, old, write});
        };
        add("save_checkpoint", files + "c.safetensors", old_checkpoint,
            [=] { save_checkpoint(files + "c.safetensors", checkpoint(2)); });
        add("write_file", files + "a", bytes_of("old"), [=] { write_file(files + "a", std::string(5000, 'n')); });
        add("AtomicFile, in parts", files + "b", bytes_of("old"), [=] {
            AtomicFile file(files + "b");
            for (const char* part : {"one", "", "two", "three"}) file.write(part);
            file.commit();
        });
        add("Run::write_json", folder / "run/metrics.json", bytes_of("{}\n"), [this] {
            run->write_json("metrics.json", {{"loss", 0.5}});
        });
        add("write_png", folder / "run/figures/a.png", bytes_of("old"), [this] {
            write_png(run->figure("a.png"), Image(4, 4, {1, 2, 3}));
        });
        add("Report::write", folder / "run/report.html", bytes_of("old"),
            [this] { Report("title", "intro").add_text("text").write(run->folder() / "report.html"); });
        add("TrainLog, rows replaced", files + "train.csv", kLog, [=] {
            TrainLog(files + "train.csv").add("a", 1, {{"loss", 0.125}});
        });
        list.back().reads_first = true;
        add("TrainLog, half a row dropped", files + "cut.csv", kLog + bytes_of("b,2,0"),
            [=] { TrainLog(files + "cut.csv").add("b", 2, {{"loss", 0.75}}); });
        list.back().reads_first = true;
    }

    const TemporaryFolder folder;
    std::optional<Run> run;
    std::vector<Writer> list;
};

std::set<std::string> names_beside(const std::string& path) {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(fs::path(path).parent_path()))
        names.insert(entry.path().filename());
    return names;
}

struct Case {
    const char* name;
    Fault fault;
    bool is_harmless = false;  ///< the writer succeeds all the same
};

const std::vector<Case> kCases = {
    {"open: EMFILE", {.call = Call::open, .error = EMFILE}},
    {"open: ENOSPC", {.call = Call::open, .error = ENOSPC}},
    {"open: EEXIST", {.call = Call::open, .error = EEXIST}, true},  // another name, then
    {"write: ENOSPC", {.call = Call::write, .error = ENOSPC}},
    {"write: ENOSPC from then on", {.call = Call::write, .error = ENOSPC, .and_all_later = true}},
    {"write: EDQUOT", {.call = Call::write, .error = EDQUOT}},
    {"write: EIO", {.call = Call::write, .error = EIO}},
    {"write: EINTR", {.call = Call::write, .error = EINTR}, true},
    {"write: short", {.call = Call::write, .harm = Harm::is_short}, true},
    {"write: all short", {.call = Call::write, .harm = Harm::is_short, .and_all_later = true}, true},
    {"fsync: EIO", {.call = Call::fsync, .error = EIO}},
    {"fsync: ENOSPC", {.call = Call::fsync, .error = ENOSPC}},
    {"rename: EIO", {.call = Call::rename, .error = EIO}},
    {"close: EIO", {.call = Call::close, .error = EIO}},
    {"close: EDQUOT", {.call = Call::close, .error = EDQUOT}},
    {"malloc: once", {.call = Call::malloc}},
    {"malloc: from then on", {.call = Call::malloc, .and_all_later = true}},
};

/// What is wrong after a writer met a fault; "" for nothing.
std::string complaint(const Outcome& o, const Case& c, const Writer& writer, const Bytes& fresh) {
    const Bytes now = contents_of(writer.path);
    if (o.has_returned() && now != fresh) return "returned, and the file is not the new one";
    if (!o.has_returned() && now != writer.old) return "threw, and the file is not the old one";
    if (o.n_left_descriptors != 0) return "left a file open";
    if (o.n_left_bytes != 0 && writer.name != "Run::write_json") {  // nlohmann-json's, see Format::writes
        return "left " + std::to_string(o.n_left_bytes) + " bytes of memory in use";
    }
    if (o.end == Outcome::End::forbidden) return "threw what is no Error: " + o.text;
    const Call call = c.fault.call;
    if (call == Call::malloc) return "";
    if (o.has_returned()) {
        // Once the file has its name, whether its folder can be opened, flushed and closed does not matter any more.
        const bool may_return = c.is_harmless || call == Call::open || call == Call::fsync || call == Call::close;
        return may_return ? "" : "went unnoticed";
    }
    if (c.is_harmless && !(writer.reads_first && call == Call::open)) return "is no reason to fail: " + o.text;
    if (o.end != Outcome::End::refused || o.kind != "IO") return "is no DataError(IO): " + o.text;
    const bool is_named = o.text.find(writer.path) != o.text.npos;
    return is_named && o.text.find(std::strerror(c.fault.error)) != o.text.npos ? "" : "does not say what: " + o.text;
}

/// A child process in which the fault happens to the writer. True when the child was killed.
bool is_killed(const Writer& writer, const Fault& fault) {
    std::fflush(nullptr);
    const pid_t child = fork();
    if (child == 0) {
        omp_set_num_threads(1);  // the threads of the parent are not in this process
        const Armed armed(fault);
        try {
            writer.write();
        } catch (...) {
            _exit(2);
        }
        _exit(armed.has_struck() ? 3 : 0);
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE((status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)));
    return status != 0;
}

const std::vector<std::pair<const char*, Fault>> kKills = {
    {"open", {.call = Call::open, .harm = Harm::kills}},
    {"write", {.call = Call::write, .harm = Harm::kills}},
    {"half a write", {.call = Call::write, .harm = Harm::kills_midway}},
    {"fsync", {.call = Call::fsync, .harm = Harm::kills}},
    {"rename", {.call = Call::rename, .harm = Harm::kills}},
    {"close", {.call = Call::close, .harm = Harm::kills}},
};

}  // namespace

TEST_CASE("a writer that fails leaves the old file, and nothing else", "[hostile][A24][X1]") {
    const Writers writers;
    std::map<std::string, int> n_struck;
    for (const Writer& writer : writers.list) {
        put_file(writer.path, writer.old);
        writer.write();
        const Bytes fresh = contents_of(writer.path);
        REQUIRE(fresh != writer.old);
        const auto names = names_beside(writer.path);
        int n = 0, n_failed = 0;
        for (const Case& c : kCases) {
            bool has_struck = true;
            for (int64_t nth = 1; has_struck && n_failed < 20; nth++) {
                Fault fault = c.fault;
                fault.nth = nth;
                const std::string what = writer.name + ", " + c.name + ", call " + std::to_string(nth);
                const Outcome o =
                    watch_fault(what, fault, has_struck, writer.write, [&] { put_file(writer.path, writer.old); });
                n += has_struck;
                n_struck[c.name] += has_struck;
                const std::string problem = has_struck         ? complaint(o, c, writer, fresh)
                                            : o.has_returned() ? ""
                                                               : "fails without a fault: " + o.text;
                if (!problem.empty()) FAIL_CHECK(what << ": " << problem);
                CHECK(names_beside(writer.path) == names);
                writer.write();
                const bool next_succeeds = contents_of(writer.path) == fresh;
                if (!next_succeeds) FAIL_CHECK(what << ": and the next one fails, too");
                n_failed += !problem.empty() || !next_succeeds;
            }
        }
        CHECK(n > 20);
        if (wants_report()) std::printf("%-36s %6d faults\n", writer.name.c_str(), n);
    }
    if (!wants_report()) return;
    for (const auto& [name, n] : n_struck) std::printf("%6d  %s\n", n, name.c_str());
}

TEST_CASE("a writer that is killed leaves the old file or the new one, and the next one succeeds",
          "[hostile][A24][X1]") {
    const Writers writers;
    int n_killed = 0, n_left = 0;
    for (const Writer& writer : writers.list) {
        INFO(writer.name);
        put_file(writer.path, writer.old);
        writer.write();
        const Bytes fresh = contents_of(writer.path);
        const auto names = names_beside(writer.path);
        int n_old = 0, n_new = 0;
        for (const auto& [name, kill] : kKills) {
            for (int64_t nth = 1;; nth++) {
                INFO(name << ", call " << nth);
                Fault fault = kill;
                fault.nth = nth;
                put_file(writer.path, writer.old);
                if (!is_killed(writer, fault)) break;
                n_killed++;
                const Bytes now = contents_of(writer.path);
                CHECK((now == writer.old || now == fresh));
                (now == fresh ? n_new : n_old)++;
                // What is left has a name that nobody asks for, and does not disturb.
                for (const std::string& left : names_beside(writer.path)) {
                    if (names.contains(left)) continue;
                    n_left++;
                    CHECK((left.starts_with(".") && left.ends_with(".tmp")));
                }
                put_file(writer.path, writer.old);
                writer.write();
                CHECK(contents_of(writer.path) == fresh);
                for (const std::string& left : names_beside(writer.path)) {
                    if (!names.contains(left)) fs::remove(fs::path(writer.path).parent_path() / left);
                }
            }
        }
        CHECK(n_old >= 5);
        CHECK(n_new >= 2);
    }
    if (wants_report()) std::printf("%6d  writers killed, %d left a temporary file\n", n_killed, n_left);
}

TEST_CASE("rows appended to train.csv: whatever happens, the rows before it are there", "[hostile][A24][X1][X4]") {
    const TemporaryFolder folder;
    const std::string path = folder / "train.csv";
    const Bytes fresh = kLog + bytes_of("b,2,0.75\n");
    const auto append = [&] { TrainLog(path).add("b", 2, {{"loss", 0.75}}); };
    const auto check = [&] {
        const Bytes now = contents_of(path);
        CHECK(now.size() >= kLog.size());
        CHECK(now == Bytes(fresh.begin(), fresh.begin() + std::ptrdiff_t(std::min(now.size(), fresh.size()))));
        append();  // a resumed run
        CHECK(contents_of(path) == fresh);
    };
    int n = 0;
    for (const Case& c : kCases) {
        if (c.fault.error == EEXIST) continue;  // no name is tried here
        bool has_struck = true;
        for (int64_t nth = 1; has_struck; nth++) {
            INFO(c.name << ", call " << nth);
            Fault fault = c.fault;
            fault.nth = nth;
            const Outcome o = watch_fault(c.name, fault, has_struck, append, [&] { put_file(path, kLog); });
            n += has_struck;
            INFO(o.text);
            CHECK(o.is_clean());
            CHECK(o.end != Outcome::End::forbidden);
            if (c.is_harmless || !has_struck) CHECK(o.has_returned());
            if (o.has_returned()) CHECK(contents_of(path) == fresh);
            if (o.end == Outcome::End::refused) CHECK(mentions(o.text, path));
            check();
        }
    }
    for (const auto& [name, kill] : kKills) {
        for (int64_t nth = 1;; nth++) {
            INFO(name << ", call " << nth);
            Fault fault = kill;
            fault.nth = nth;
            put_file(path, kLog);
            if (!is_killed({"append", path, kLog, append}, fault)) break;
            n++;
            check();
        }
    }
    CHECK(n > 20);
    if (wants_report()) std::printf("%6d  faults while a row was appended\n", n);
}

TEST_CASE("temporary files that killed processes left are read by nobody", "[hostile][X4]") {
    const TemporaryFolder folder;
    const auto open_run = [&](const std::string& flag) {
        ToyConfig config;
        parse_words(config, {flag, folder / "run", "--quiet"});
        return Run(config, RunInfo{.data = "mnist"});
    };
    {
        Run run = open_run("--out");
        run.log("a", 1, {{"loss", 0.5}});
        save_checkpoint(run.checkpoint("a.safetensors"), checkpoint(1));
    }
    for (const char* name : {"config.json", "env.json", "train.csv", "metrics.json", "ckpt/a.safetensors"}) {
        const fs::path file = folder / ("run/" + std::string(name));
        for (int i = 0; i < 3; i++) {  // also under the very names that this process will want
            const std::string temporary =
                "." + file.filename().string() + "." + std::to_string(getpid()) + "-" + std::to_string(i) + ".tmp";
            put_file((file.parent_path() / temporary).string(), bytes_of("{\"half\": "));
        }
    }
    Run run = open_run("--resume");
    CHECK(run.curves("loss").size() == 1);
    CHECK(load_checkpoint(run.checkpoint("a.safetensors")).number("epoch") == 2);
    run.write_json("metrics.json", {{"loss", 0.5}});
    save_checkpoint(run.checkpoint("a.safetensors"), checkpoint(2));
    CHECK(load_checkpoint(run.checkpoint("a.safetensors")).tensors[0].tensor.at({0}) == 2);
}
