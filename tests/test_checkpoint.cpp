// nn/checkpoint.h: what is restored is what was saved, whatever happens while it is written. Catalogue rows A24, X1 to
// X6.
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "data/safetensors.h"
#include "nn/checkpoint.h"
#include "nn/optim.h"
#include "tests/data_samples.h"
#include "tests/nn_samples.h"

using namespace koine;
using namespace koine::testing;
namespace fs = std::filesystem;

namespace {

// A checkpoint of one tensor of n numbers, all equal.
Checkpoint filled(int64_t n, real value) {
    Checkpoint c;
    c.tensors = {{"w", Tensor::full({n}, value)}};
    c.set("epoch", uint64_t(value));
    return c;
}

size_t n_files(const std::string& folder) {
    return size_t(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

// No file that this process writes may grow beyond n bytes: write() then fails as on a full disk (EFBIG for ENOSPC).
struct FileSizeLimit {
    explicit FileSizeLimit(rlim_t n) {
        old_handler = std::signal(SIGXFSZ, SIG_IGN);
        getrlimit(RLIMIT_FSIZE, &old);
        const rlimit limit{n, old.rlim_max};
        setrlimit(RLIMIT_FSIZE, &limit);
    }
    ~FileSizeLimit() {
        setrlimit(RLIMIT_FSIZE, &old);
        std::signal(SIGXFSZ, old_handler);
    }
    rlimit old{};
    void (*old_handler)(int);
};

// One run of training with everything that has a state.
struct Run {
    explicit Run(uint64_t seed) : gen(seed), net(gen), adam(net, {.lr = 0.01}) {}
    void train(int n_steps) {
        for (int i = 0; i < n_steps; i++, step++) {
            const Tensor x = Tensor::normal({8, 4, 4, 2}, Random{99, step});
            adam.zero_grad();
            backward(mse_loss(net(x), Tensor::full({8, 3}, 1)));
            clip_grad_norm(adam.parameters, 1);
            adam.step();
        }
    }
    Checkpoint checkpoint() {
        Checkpoint c;
        c.add("model", net);
        c.add("optimizer", adam);
        c.set("step", step);
        return c;
    }
    void resume(const Checkpoint& c) {
        c.restore("model", net);
        c.restore("optimizer", adam);
        step = c.number("step");
    }
    Generator gen;
    SmallNet net;
    Adam adam;
    uint64_t step = 0;
};

}  // namespace

TEST_CASE("what is loaded is bit for bit what was saved", "[checkpoint]") {
    const ScratchFolder folder;
    Run run(1);
    run.train(2);
    Checkpoint c = run.checkpoint();
    c.set("note", "two words");
    c.tensors.push_back({"view", wave({3, 4}, 0.3).transpose(0, 1)});
    c.tensors.push_back({"none", Tensor::zeros({0, 2})});
    c.tensors.push_back({"odd", Tensor::from({real(-0.0), std::numeric_limits<real>::denorm_min()}, {2})});
    save_checkpoint(folder / "a.safetensors", c);
    const Checkpoint back = load_checkpoint(folder / "a.safetensors");
    CHECK(is_same(back.tensors, c.tensors));
    CHECK(back.metadata == c.metadata);
    CHECK(back.warnings.empty());
    CHECK(back.text("note") == "two words");
    CHECK(back.number("step") == 2);
    CHECK(back.number("counter.optimizer.n_steps") == 2);
    CHECK(back.number("counter.model.body.4.n_calls") == 2);
    CHECK(n_files(folder.path) == 1);
}

TEST_CASE("X4: a resumed run is the uninterrupted one, bit for bit", "[checkpoint][X4]") {
    const ScratchFolder folder;
    const std::string path = folder / "run.safetensors";
    Run straight(1), first(1), second(1);
    straight.train(9);
    first.train(4);
    save_checkpoint(path, first.checkpoint());
    second.train(2);  // whatever it did before
    second.resume(load_checkpoint(path));
    second.train(5);
    CHECK_OK(is_same(second.checkpoint().tensors, straight.checkpoint().tensors));
    CHECK(second.checkpoint().metadata == straight.checkpoint().metadata);

    SECTION("without the optimiser's moments or any of the counters it would not be, so their absence is an error") {
        const Checkpoint whole = load_checkpoint(path);
        Checkpoint c = whole;
        std::erase_if(c.tensors, [](const NamedTensor& t) { return t.name == "optimizer.v"; });
        CHECK_ERROR(second.resume(c), CheckpointError,
                    "run.safetensors: the part \"optimizer\" does not fit:\n  missing (1): v");
        c = whole;
        c.metadata.erase("counter.model.body.4.n_calls");
        CHECK_ERROR(second.resume(c), CheckpointError, "missing (1): body.4.n_calls");
        c = whole;
        c.metadata.erase("step");
        check_refused([&] { second.resume(c); }, "MISSING", "step");
        for (const char* text : {"", "-1", "1.5", "3 ", "0x3", "18446744073709551616"}) {
            c.set("step", std::string(text));
            check_refused([&] { c.number("step"); }, "VALUE", "step");
            c.set("counter.optimizer.n_steps", std::string(text));
            check_refused([&] { c.restore("optimizer", second.adam); }, "VALUE", "counter.optimizer.n_steps");
        }
        CHECK_ERROR(Checkpoint().restore("model", second.net), CheckpointError,
                    "missing (9): body.0.weight, body.0.bias");
    }
    SECTION("a part can be restored alone: an encoder for stitching") {
        Generator gen(2);
        SmallNet other(gen);
        load_checkpoint(path).restore("model.body", other.body);
        CHECK(is_same(other.body.state(), first.net.body.state()));
        CHECK_FALSE(is_same(other.head.state(), first.net.head.state()));
        CHECK_ERROR(load_checkpoint(path).restore("model.body", other.head), CheckpointError,
                    "missing (2): weight (nearest: 0.weight");
    }
}

TEST_CASE("X1: a disk that fills up leaves the old checkpoint and nothing else", "[checkpoint][X1][A24]") {
    const ScratchFolder folder;
    const std::string path = folder / "run.safetensors";
    save_checkpoint(path, filled(10, 1));
    const Bytes old = contents_of(path);
    save_checkpoint(folder / "larger", filled(5000, 2));
    const size_t size = contents_of(folder / "larger").size();
    fs::remove(folder / "larger");
    for (size_t limit : {size_t{0}, size_t{7}, size_t{100}, size_t{4096}, size - 100}) {
        {
            const FileSizeLimit full_disk(limit);
            check_refused([&] { save_checkpoint(path, filled(5000, 2)); }, "IO", "run.safetensors");
        }
        CHECK(contents_of(path) == old);
        CHECK(n_files(folder.path) == 1);
    }
    save_checkpoint(path, filled(5000, 2));
    CHECK(load_checkpoint(path).number("epoch") == 2);
}

TEST_CASE("X1: a program that is killed while it writes leaves the old checkpoint or the new one",
          "[checkpoint][X1][A24]") {
    const ScratchFolder folder;
    const std::string path = folder / "run.safetensors";
    save_checkpoint(path, filled(300, 1));
    const Checkpoint next = filled(300, 2);
    save_checkpoint(folder / "next", next);
    const size_t size = contents_of(folder / "next").size();
    int n_killed = 0;
    for (size_t limit = 0; limit <= size; limit += limit < 64 ? 1 : 37) {
        const pid_t child = fork();
        if (child == 0) {
            // SIGXFSZ ends a process in the middle of the write() that would go beyond the limit.
            const rlimit bytes{limit, limit}, no_core{0, 0};
            setrlimit(RLIMIT_CORE, &no_core);
            setrlimit(RLIMIT_FSIZE, &bytes);
            std::signal(SIGXFSZ, SIG_DFL);
            try {
                save_checkpoint(path, next);
            } catch (...) {
                _exit(1);
            }
            _exit(0);
        }
        int status = 0;
        REQUIRE(waitpid(child, &status, 0) == child);
        if (WIFSIGNALED(status)) n_killed++;
        REQUIRE(load_checkpoint(path).number("epoch") == (limit < size ? 1u : 2u));
        if (load_checkpoint(path).number("epoch") == 2) break;
    }
    CHECK(n_killed > 60);
    // What the killed ones left behind is in nobody's way, even when process ids come round again.
    for (int i = 0; i < 50; i++) {
        std::ofstream(folder / (".run.safetensors." + std::to_string(getpid()) + "-" + std::to_string(i) + ".tmp"));
    }
    save_checkpoint(path, filled(300, 3));
    CHECK_OK(load_checkpoint(path).number("epoch") == 3);
}

TEST_CASE("X2: places that cannot be written to", "[checkpoint][X2][A24]") {
    const ScratchFolder folder;
    CHECK(kind_of([&] { save_checkpoint(folder / "missing/x", filled(1, 1)); }) == "IO");
    CHECK(kind_of([&] { save_checkpoint(folder.path, filled(1, 1)); }) == "IO");
    CHECK(kind_of([&] { save_checkpoint("/proc/koine.safetensors", filled(1, 1)); }) == "IO");
    CHECK_ERROR(save_checkpoint(folder / "missing/x", filled(1, 1)), DataError, "No such file or directory");
    CHECK(n_files(folder.path) == 0);

    SECTION("a symbolic link stays one") {
        save_checkpoint(folder / "target", filled(1, 1));
        fs::create_symlink("target", folder / "link");
        save_checkpoint(folder / "link", filled(1, 2));
        CHECK(fs::is_symlink(folder / "link"));
        CHECK_OK(load_checkpoint(folder / "target").number("epoch") == 2);
    }
    SECTION("a file keeps its mode") {
        save_checkpoint(folder / "x", filled(1, 1));
        fs::permissions(folder / "x", fs::perms::owner_read | fs::perms::owner_write);
        save_checkpoint(folder / "x", filled(1, 2));
        CHECK(fs::status(folder / "x").permissions() == (fs::perms::owner_read | fs::perms::owner_write));
    }
    SECTION("a folder that may only be read") {
        save_checkpoint(folder / "x", filled(1, 1));
        const Bytes old = contents_of(folder / "x");
        fs::permissions(folder.path, fs::perms(0555));
        const pid_t child = fork();
        if (child == 0) {
            if (geteuid() == 0 && setuid(65534) != 0) _exit(2);  // root may write everywhere, nobody may not
            _exit(kind_of([&] { save_checkpoint(folder / "x", filled(1, 2)); }) == "IO" ? 0 : 1);
        }
        int status = -1;
        REQUIRE(waitpid(child, &status, 0) == child);
        fs::permissions(folder.path, fs::perms(0755));
        CHECK(status == 0);
        CHECK(contents_of(folder / "x") == old);
        CHECK(n_files(folder.path) == 1);
    }
}

TEST_CASE("X3: writers of one file do not mix", "[checkpoint][X3][A24][threads]") {
    const ScratchFolder folder;
    const std::string path = folder / "x";
    save_checkpoint(path, filled(2000, 0));
    std::vector<std::thread> writers;
    for (int w = 1; w <= 3; w++) {
        writers.emplace_back([&path, w] {
            for (int i = 0; i < 20; i++) save_checkpoint(path, filled(2000, real(w)));
        });
    }
    int n_whole = 0;
    for (int i = 0; i < 50; i++) {
        const Checkpoint c = load_checkpoint(path);  // throws VALUE for a mixture: the checksum
        n_whole += c.tensors[0].tensor.at({0}) == c.tensors[0].tensor.at({1999});
    }
    for (std::thread& writer : writers) writer.join();
    CHECK_OK(n_whole == 50);
    CHECK(n_files(folder.path) == 1);
}

TEST_CASE("X5: every flipped bit of a checkpoint is noticed, wherever it is", "[checkpoint][X5][A24]") {
    const ScratchFolder folder;
    Checkpoint c = filled(3, 1);
    c.tensors.push_back({"b", Tensor::scalar(2)});
    c.set("counter.optimizer.n_steps", 12);
    save_checkpoint(folder / "x", c);
    const Bytes good = contents_of(folder / "x");
    const auto is_refused = [&](const Bytes& bytes) {
        fs::remove(folder / "damaged");  // overwriting it would wait for the disk each time
        const std::string path = folder.write("damaged", bytes);
        return !kind_of([&] { load_checkpoint(path); }).empty();
    };
    REQUIRE_FALSE(is_refused(good));
    for (size_t bit = 0; bit < 8 * good.size(); bit++) {
        Bytes flipped = good;
        flipped[bit / 8] ^= uint8_t(1 << (bit % 8));
        if (!is_refused(flipped)) {
            FAIL_CHECK("bit " << bit % 8 << " of byte " << bit / 8 << " is flipped, and accepted");
        }
    }
    for (size_t n = 0; n < good.size(); n++) {
        if (!is_refused(Bytes(good.begin(), good.begin() + std::ptrdiff_t(n)))) {
            FAIL_CHECK("cut after " << n << ", and accepted");
        }
    }
    Bytes payload = good;
    payload.back() ^= 1;
    CHECK_ERROR(load_checkpoint(folder.write("payload", payload)), DataError, "the file is damaged: its crc32 is");
}

TEST_CASE("X6: a run that went wrong does not replace its last good checkpoint", "[checkpoint][X6]") {
    const ScratchFolder folder;
    save_checkpoint(folder / "x", filled(3, 1));
    Checkpoint broken = filled(3, 2);
    broken.tensors[0].tensor.data()[1] = std::nanf("");
    CHECK_ERROR(save_checkpoint(folder / "x", broken), NonFiniteError, "is not written: w holds nan at position 1");
    CHECK(load_checkpoint(folder / "x").number("epoch") == 1);
    save_checkpoint(folder / "x", broken, true);
    const Checkpoint back = load_checkpoint(folder / "x");
    CHECK_OK(back.number("epoch") == 2);
    CHECK(back.warnings.size() == 1);
    broken.tensors[0].tensor.data()[1] = -std::numeric_limits<real>::infinity();
    CHECK_ERROR(save_checkpoint(folder / "x", broken), NonFiniteError, "-inf");
}

TEST_CASE("names that the format does not have are refused before anything is written", "[checkpoint]") {
    const ScratchFolder folder;
    for (const char* name : {"w", "__metadata__", "\xff"}) {
        Checkpoint c = filled(1, 1);
        c.tensors.push_back({name, Tensor::zeros({1})});
        CHECK_THROWS_AS(save_checkpoint(folder / "x", c), ValueError);
    }
    CHECK(n_files(folder.path) == 0);
}

TEST_CASE("a file written in the other precision loads", "[checkpoint]") {
    const ScratchFolder folder;
    // One F32 and one F64 tensor, as other programs write them.
    const std::string json =
        R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F64","shape":[1],"data_offsets":[4,12]}})";
    Bytes file = {uint8_t(json.size()), 0, 0, 0, 0, 0, 0, 0};
    file = file + bytes_of(json) + Bytes{0, 0, 0xc0, 0x3f} + Bytes{0, 0, 0, 0, 0, 0, 0x04, 0xc0};
    const Checkpoint c = load_checkpoint(folder.write("x", file));
    CHECK(c.tensors[0].tensor.item() == 1.5);
    CHECK(c.tensors[1].tensor.item() == -2.5);
}

TEST_CASE("checksum() tells whether any parameter has changed", "[checkpoint]") {
    Generator gen(1);
    SmallNet net(gen);
    const uint32_t before = checksum(net.state());
    net.eval();
    net(wave({2, 4, 4, 2}, 0.7));
    CHECK(checksum(net.state()) == before);
    real& weight = net.head.weight.value.data()[5];
    weight = std::nextafter(weight, real(9));
    CHECK(checksum(net.state()) != before);
}
