// Does the fake CUDA runtime find what it is there to find? Every fault that README.md names, planted; and what is
// right must come out right.
#include <cublas_v2.h>
#include <omp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

#include "tensor/random.h"
#include "tensor/storage.h"
#include "tests/catch.h"
#include "tests/fake_cuda/fake_cuda.h"

using namespace koine;

namespace {

cudaStream_t new_stream() {
    cudaStream_t stream = nullptr;
    REQUIRE(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
    return stream;
}
cudaStream_t stream() {
    static const cudaStream_t the_stream = new_stream();
    return the_stream;
}
cudaError_t synchronise() { return cudaStreamSynchronize(stream()); }

template <class T>
struct DeviceArray {
    explicit DeviceArray(size_t n_) : n(n_) { REQUIRE(cudaMalloc(&p, n * sizeof(T)) == cudaSuccess); }
    explicit DeviceArray(const std::vector<T>& x) : DeviceArray(x.size()) {
        REQUIRE(cudaMemcpyAsync(p, x.data(), n * sizeof(T), cudaMemcpyHostToDevice, stream()) == cudaSuccess);
    }
    ~DeviceArray() { cudaFree(p); }
    DeviceArray(const DeviceArray&) = delete;
    DeviceArray& operator=(const DeviceArray&) = delete;

    std::vector<T> read() const {
        std::vector<T> x(n);
        REQUIRE(cudaMemcpyAsync(x.data(), p, n * sizeof(T), cudaMemcpyDeviceToHost, stream()) == cudaSuccess);
        return x;
    }
    size_t n;
    T* p = nullptr;
};

template <class T>
struct PinnedArray {
    explicit PinnedArray(size_t n) { REQUIRE(cudaMallocHost(&p, n * sizeof(T)) == cudaSuccess); }
    ~PinnedArray() { cudaFreeHost(p); }
    PinnedArray(const PinnedArray&) = delete;
    PinnedArray& operator=(const PinnedArray&) = delete;
    T* p = nullptr;
};

template <class F>
cudaError_t launch_each(int64_t n, F f) {
    void* arguments[] = {&n, &f};
    const unsigned blocks = unsigned((n + kCudaLanes - 1) / kCudaLanes);
    return cudaLaunchKernel(each_kernel<F>, dim3(blocks), dim3(kCudaLanes), arguments, 0, stream());
}
template <class F>
cudaError_t launch_rows(int64_t rows, int lanes, F f) {
    void* arguments[] = {&rows, &f};
    return cudaLaunchKernel(rows_kernel<F>, dim3(unsigned(rows)), dim3(unsigned(lanes)), arguments, 0, stream());
}

// What this process prints to stderr while f runs.
std::string stderr_of(const std::function<void()>& f) {
    std::fflush(stderr);
    FILE* file = std::tmpfile();
    const int before = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    f();
    dup2(before, STDERR_FILENO);
    close(before);
    char text[4096];
    std::rewind(file);
    const std::string all(text, std::fread(text, 1, sizeof text, file));
    std::fclose(file);
    return all;
}

// What a child process that runs f prints to stderr, and the signal that ends it (0: none).
struct End {
    std::string text;
    int signal = 0;
};
End end_of_child(const std::function<void()>& f) {
    End end;
    end.text = stderr_of([&] {
        std::fflush(nullptr);  // what is buffered belongs to this process alone
        const pid_t child = fork();
        if (child == 0) {
            signal(SIGSEGV, SIG_DFL);  // the test framework's, which would report the test twice
            f();
            _exit(0);
        }
        int status = 0;
        waitpid(child, &status, 0);
        end.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    });
    return end;
}

// The error of queued work that should fail, and what is printed then. Afterwards all is as before.
cudaError_t error_of(const std::function<void()>& f, const std::string& text) {
    cudaError_t error = cudaSuccess;
    const std::string printed = stderr_of([&] {
        f();
        error = synchronise();
    });
    CHECK(testing::mentions(printed, text));
    CHECK(cudaGetLastError() == error);  // it stays
    CHECK(cudaStreamSynchronize(stream()) == error);
    fake_cuda::reset();
    CHECK(synchronise() == cudaSuccess);
    return error;
}

struct SetVariable {
    explicit SetVariable(const char* value) { setenv("KOINE_FAKE_CUDA", value, 1); }
    ~SetVariable() { unsetenv("KOINE_FAKE_CUDA"); }
};

struct Fill {
    real* y;
    real value;
    HD void operator()(int64_t i) const { y[i] = value; }
};
struct ReadAt {
    real* y;
    int64_t offset;
    HD void operator()(int64_t) const { *y = y[offset]; }
};
struct AddTo {
    real* y;
    const real* x;
    HD void operator()(int64_t i) const { y[i] += x[i]; }
};

struct Empty {};
struct Padded {
    real* y;
    Empty last;  // one byte, and seven that belong to nobody
    HD void operator()(int64_t i) const { y[i] = 3; }
};

struct Rows {
    real* y;
    const real* x;
    int64_t n;
};
struct Sum : Rows {
    template <class Team>
    HD void operator()(Team t, int64_t row) const {
        const real* in = x + row * n;
        const real s = t.sum(n, [=](int64_t i) { return in[i]; });
        real* out = y + row;
        t.once([=] { *out = s; });
    }
};
// Lane 0 writes what all lanes read, without waiting for each other: y counts those that were too early.
struct MissingBarrier : Rows {
    template <class Team>
    HD void operator()(Team t, int64_t row) const {
        real* shared = y + row;
        if (t.block.lane() == 0) *shared = 1;
        const real seen = *shared;
        const real wrong = t.sum(t.block.lanes(), [=](int64_t) { return seen == 1 ? real(0) : real(1); });
        t.once([=] { *shared = wrong; });
    }
};
struct RepeatedWrite : Rows {
    template <class Team>
    HD void operator()(Team t, int64_t row) const {
        y[row] += 1;
        t.once([] {});
    }
};
struct DivergentBarrier : Rows {
    template <class Team>
    HD void operator()(Team t, int64_t) const {
        if (t.block.lane() < 2) t.once([] {});
    }
};
// Reads the scratch of the block before it, and leaves something in it.
struct UnwrittenScratch : Rows {
    template <class Team>
    HD void operator()(Team t, int64_t row) const {
        real* out = y + row;
        t.once([=] { *out = t.block.scratch()[0]; });
        t.sum(1, [](int64_t) { return real(1); });
    }
};

bool all_nan(const std::vector<real>& x) {
    for (const real v : x)
        if (!std::isnan(v)) return false;
    return true;
}

}  // namespace

TEST_CASE("fake CUDA: the host cannot touch device memory", "[cuda][fake_cuda]") {
    const DeviceArray<real> x(10);
    CHECK(synchronise() == cudaSuccess);
    char* p = reinterpret_cast<char*>(x.p);
    const std::string n = std::to_string(10 * sizeof(real));

    const End reads = end_of_child([&] {
        cudaMemsetAsync(p, 0, 4, stream());
        synchronise();
        (void)*static_cast<volatile char*>(p + 9);
    });
    CHECK(reads.signal == SIGSEGV);
    CHECK(testing::mentions(reads.text, "fake CUDA: the host touched device memory: 0x"));
    CHECK(testing::mentions(reads.text, ", byte 9 of a buffer of " + n + " bytes\n"));

    const End writes = end_of_child([&] {
        void* other = nullptr;
        cudaMalloc(&other, 100);
        static_cast<volatile char*>(other)[100] = 1;
    });
    CHECK(writes.signal == SIGSEGV);
    CHECK(testing::mentions(writes.text, ", outside any buffer\n"));

    const End is_right = end_of_child([&] { (void)x.read(); });
    CHECK(is_right.signal == 0);
    CHECK(is_right.text.empty());
}

TEST_CASE("fake CUDA: other crashes stay what they are", "[cuda][fake_cuda]") {
    const End end = end_of_child([] {
        cudaStreamSynchronize(stream());
        void* p = nullptr;
        cudaMalloc(&p, 1);
        void* closed = mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        *static_cast<volatile char*>(closed) = 1;
    });
    CHECK(end.signal == SIGSEGV);
    CHECK(end.text.empty());
}

TEST_CASE("fake CUDA: memory is NaN when it is new and when it was freed", "[cuda][fake_cuda]") {
    const int64_t before = fake_cuda::bytes_in_use();
    real* first = nullptr;
    {
        const DeviceArray<real> x(1000);
        first = x.p;
        CHECK(all_nan(x.read()));
        CHECK(launch_each(1000, Fill{x.p, 3}) == cudaSuccess);
        CHECK(x.read() == std::vector<real>(1000, 3));
        CHECK(fake_cuda::bytes_in_use() == before + int64_t(1000 * sizeof(real)));
    }
    CHECK(fake_cuda::bytes_in_use() == before);
    const DeviceArray<real> y(1000);
    CHECK(y.p != first);  // what was freed rests
    CHECK(all_nan(y.read()));
    CHECK(launch_each(1, ReadAt{y.p, first - y.p}) == cudaSuccess);  // at an address that no argument gives away
    CHECK(std::isnan(y.read()[0]));

    const PinnedArray<real> pinned(10);
    CHECK(all_nan({pinned.p, pinned.p + 10}));
    CHECK(cudaMalloc(&first, 0) == cudaSuccess);
    CHECK(first == nullptr);
    CHECK(cudaFree(nullptr) == cudaSuccess);
}

TEST_CASE("fake CUDA: memory that rested is used again", "[cuda][fake_cuda]") {
    constexpr size_t kBytes = size_t(64) << 20;
    std::vector<void*> seen;
    for (int i = 0; i < 12; i++) {
        void* p = nullptr;
        REQUIRE(cudaMalloc(&p, kBytes) == cudaSuccess);
        seen.push_back(p);
        CHECK(cudaFree(p) == cudaSuccess);
    }
    for (size_t i = 1; i < seen.size(); i++)  // but not at once
        CHECK(std::abs(static_cast<char*>(seen[i]) - static_cast<char*>(seen[i - 1])) >= ptrdiff_t(kBytes));
    const auto [first, last] = std::minmax_element(seen.begin(), seen.end());
    CHECK(size_t(static_cast<char*>(*last) - static_cast<char*>(*first)) < 8 * kBytes);
}

TEST_CASE("fake CUDA: use after free, double free", "[cuda][fake_cuda]") {
    real* p = nullptr;
    REQUIRE(cudaMalloc(&p, 100 * sizeof(real)) == cudaSuccess);
    CHECK(cudaFree(p + 1) == cudaErrorInvalidValue);
    CHECK(cudaFree(p) == cudaSuccess);
    CHECK(cudaFree(p) == cudaErrorInvalidValue);
    CHECK(cudaGetLastError() == cudaErrorInvalidValue);
    CHECK(cudaGetLastError() == cudaSuccess);
    real x = 0;
    CHECK(cudaMemcpyAsync(&x, p, sizeof x, cudaMemcpyDeviceToHost, stream()) == cudaErrorInvalidValue);
    CHECK(cudaMemsetAsync(p, 0, sizeof x, stream()) == cudaErrorInvalidValue);
    CHECK(error_of(
              [&] {
                  CHECK(launch_each(100, Fill{p, 1}) == cudaSuccess);
              },
              "device memory that is nobody's (freed?)") == cudaErrorIllegalAddress);
    CHECK(cudaFreeHost(&x) == cudaErrorInvalidValue);
}

TEST_CASE("fake CUDA: what is queued sees the pinned memory of later", "[cuda][fake_cuda]") {
    const PinnedArray<real> pinned(2);
    const DeviceArray<real> x(2), y(2);
    pinned.p[0] = 1, pinned.p[1] = 2;
    CHECK(cudaMemcpyAsync(x.p, pinned.p, 2 * sizeof(real), cudaMemcpyHostToDevice, stream()) == cudaSuccess);
    pinned.p[0] = 5;  // too early
    CHECK(x.read() == std::vector<real>{5, 2});

    // Too early, the other way round: nothing has arrived.
    pinned.p[0] = pinned.p[1] = -1;
    CHECK(launch_each(2, Fill{x.p, 7}) == cudaSuccess);
    CHECK(cudaMemcpyAsync(y.p, x.p, 2 * sizeof(real), cudaMemcpyDeviceToDevice, stream()) == cudaSuccess);
    CHECK(cudaMemcpyAsync(pinned.p, y.p, 2 * sizeof(real), cudaMemcpyDefault, stream()) == cudaSuccess);
    CHECK(pinned.p[1] == -1);
    CHECK(synchronise() == cudaSuccess);
    CHECK(pinned.p[1] == 7);

    // Pageable memory and a kernel's arguments are read at once.
    std::vector<real> pageable = {3, 4};
    CHECK(cudaMemcpyAsync(x.p, pageable.data(), 2 * sizeof(real), cudaMemcpyHostToDevice, stream()) == cudaSuccess);
    pageable.assign(2, 0);
    Fill fill{y.p, 8};
    CHECK(launch_each(2, fill) == cudaSuccess);
    fill.value = 9;
    CHECK(x.read() == std::vector<real>{3, 4});
    CHECK(y.read() == std::vector<real>{8, 8});

    CHECK(error_of(
              [&] {
                  real* freed = nullptr;
                  REQUIRE(cudaMallocHost(&freed, sizeof(real)) == cudaSuccess);
                  CHECK(cudaMemcpyAsync(x.p, freed, sizeof(real), cudaMemcpyHostToDevice, stream()) == cudaSuccess);
                  CHECK(cudaFreeHost(freed) == cudaSuccess);
              },
              "pinned memory was freed before a copy") == cudaErrorIllegalAddress);
}

TEST_CASE("fake CUDA: copies are checked", "[cuda][fake_cuda]") {
    const DeviceArray<char> x(100), y(100);
    const PinnedArray<char> pinned(100);
    std::vector<char> host(300);
    const auto copy = [](void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
        return cudaMemcpyAsync(to, from, bytes, kind, stream());
    };
    CHECK(copy(x.p + 1, host.data(), 100, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
    CHECK(copy(host.data(), x.p - 1, 10, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue);
    CHECK(copy(pinned.p + 1, x.p, 100, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue);
    CHECK(copy(x.p, host.data(), 10, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue);
    CHECK(copy(x.p, y.p, 10, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
    CHECK(copy(x.p, x.p + 9, 10, cudaMemcpyDeviceToDevice) == cudaErrorInvalidValue);
    CHECK(copy(x.p, nullptr, 10, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
    CHECK(copy(x.p, y.p, 10, cudaMemcpyKind(7)) == cudaErrorInvalidMemcpyDirection);
    CHECK(cudaMemcpyAsync(x.p, y.p, 10, cudaMemcpyDefault, reinterpret_cast<cudaStream_t>(&host)) ==
          cudaErrorInvalidResourceHandle);
    CHECK(cudaMemsetAsync(x.p + 1, 0, 100, stream()) == cudaErrorInvalidValue);
    CHECK(cudaMemsetAsync(host.data(), 0, 100, stream()) == cudaErrorInvalidValue);
    CHECK(copy(x.p, x.p + 50, 50, cudaMemcpyDefault) == cudaSuccess);
    CHECK(copy(nullptr, nullptr, 0, cudaMemcpyDefault) == cudaSuccess);
    CHECK(cudaMemsetAsync(x.p, 'k', 100, stream()) == cudaSuccess);
    CHECK(x.read() == std::vector<char>(100, 'k'));
    cudaGetLastError();
}

TEST_CASE("fake CUDA: a kernel that is given host memory", "[cuda][fake_cuda]") {
    const DeviceArray<real> x(100);
    const Storage host(Device::cpu, 100 * sizeof(real));
    real* const p = static_cast<real*>(host.ptr);
    std::fill_n(p, 100, real(1));
    CHECK(error_of(
              [&] {
                  CHECK(launch_each(100, Fill{p, 1}) == cudaSuccess);
              },
              "fake CUDA: a kernel was given host memory: 0x") == cudaErrorIllegalAddress);
    CHECK(error_of(
              [&] {
                  launch_each(100, AddTo{x.p, p + 50});
              },
              ", byte 8 of argument 1\n") == cudaErrorIllegalAddress);
    // What lies between the members is nobody's: here, a pointer of earlier.
    alignas(Padded) char memory[sizeof(Padded)];
    for (size_t at = 0; at + sizeof p <= sizeof memory; at += sizeof p) std::memcpy(memory + at, &p, sizeof p);
    Padded* padded = new (memory) Padded;
    padded->y = x.p;
    int64_t n = 100;
    void* arguments[] = {&n, padded};
    CHECK(cudaLaunchKernel(each_kernel<Padded>, dim3(1), dim3(128), arguments, 0, stream()) == cudaSuccess);
    CHECK(x.read() == std::vector<real>(100, 3));
    // What comes after the error does not run; what is right, does.
    CHECK(launch_each(100, Fill{x.p, 2}) == cudaSuccess);
    CHECK(launch_each(0 + 100, AddTo{x.p, x.p}) == cudaSuccess);
    CHECK(launch_each(1, Fill{nullptr, 2}) == cudaSuccess);  // null is a pointer that is not used
    fake_cuda::reset();                                      // but this kernel would
    CHECK(launch_each(100, Fill{x.p, 2}) == cudaSuccess);
    CHECK(x.read() == std::vector<real>(100, 2));
}

TEST_CASE("fake CUDA: launches are checked", "[cuda][fake_cuda]") {
    const DeviceArray<real> x(10);
    int64_t n = 10;
    Fill fill{x.p, 1};
    void* arguments[] = {&n, &fill};
    const auto launch = [&](dim3 grid, dim3 block, size_t shared = 0) {
        return cudaLaunchKernel(each_kernel<Fill>, grid, block, arguments, shared, stream());
    };
    CHECK(launch(dim3(0), dim3(32)) == cudaErrorInvalidConfiguration);
    CHECK(launch(dim3(1), dim3(0)) == cudaErrorInvalidConfiguration);
    CHECK(launch(dim3(1), dim3(1025)) == cudaErrorInvalidConfiguration);
    CHECK(launch(dim3(1), dim3(32, 2)) == cudaErrorInvalidConfiguration);
    CHECK(launch(dim3(1), dim3(32), 4) == cudaErrorInvalidValue);
    CHECK(cudaLaunchKernel(static_cast<void (*)(int64_t, Fill)>(nullptr), dim3(1), dim3(1), arguments) ==
          cudaErrorInvalidDeviceFunction);
    CHECK(cudaGetLastError() == cudaErrorInvalidDeviceFunction);
    CHECK(launch(dim3(3), dim3(1)) == cudaSuccess);
    CHECK(x.read() == std::vector<real>(10, 1));
}

TEST_CASE("fake CUDA: blocks show missing barriers and repeated writes", "[cuda][fake_cuda]") {
    constexpr int64_t kRows = 70, kCols = 300;
    std::vector<real> numbers(kRows * kCols), sums(kRows);
    for (int64_t i = 0; i < kRows * kCols; i++) {
        numbers[i] = real(i % 17);
        sums[i / kCols] += numbers[i];
    }
    const DeviceArray<real> x(numbers), y(kRows);
    for (const int lanes : {1, 32, 256}) {
        CHECK(launch_rows(kRows, lanes, Sum{{y.p, x.p, kCols}}) == cudaSuccess);
        CHECK(y.read() == sums);
        CHECK(launch_each(kRows, Fill{y.p, 0}) == cudaSuccess);
        CHECK(launch_rows(kRows, lanes, RepeatedWrite{{y.p, x.p, kCols}}) == cudaSuccess);
        CHECK(y.read() == std::vector<real>(kRows, real(lanes)));
    }
    // Whoever reads too early, does so in most of the blocks, in each differently, and the same with any threads.
    const int n_threads = omp_get_max_threads();
    std::vector<real> before;
    for (const int threads : {1, 4}) {
        omp_set_num_threads(threads);
        REQUIRE(synchronise() == cudaSuccess);
        fake_cuda::reset();
        CHECK(launch_each(kRows, Fill{y.p, 0}) == cudaSuccess);
        CHECK(launch_rows(kRows, 256, MissingBarrier{{y.p, x.p, kCols}}) == cudaSuccess);
        std::vector<real> early = y.read();
        if (before.empty()) before = early;
        CHECK(early == before);
        CHECK(std::count_if(early.begin(), early.end(), [](real n) { return n > 0; }) > kRows * 9 / 10);
        std::sort(early.begin(), early.end());
        CHECK(std::unique(early.begin(), early.end()) - early.begin() > kRows / 3);
    }
    omp_set_num_threads(n_threads);
    CHECK(launch_rows(kRows, 32, MissingBarrier{{y.p, x.p, kCols}}) == cudaSuccess);
    CHECK(launch_rows(kRows, 1, MissingBarrier{{y.p, x.p, kCols}}) == cudaSuccess);
    CHECK(y.read() == std::vector<real>(kRows, 0));
    CHECK(launch_rows(kRows, 32, UnwrittenScratch{{y.p, x.p, kCols}}) == cudaSuccess);
    CHECK(all_nan(y.read()));
    CHECK(error_of(
              [&] {
                  launch_rows(kRows, 32, DivergentBarrier{{y.p, x.p, kCols}});
              },
              "a kernel failed: emulated block: 30 of 32 lanes ended") == cudaErrorLaunchFailure);
}

// ---- events, streams, threads --------------------------------------------------------------------------------------

TEST_CASE("fake CUDA: events and streams", "[cuda][fake_cuda]") {
    const DeviceArray<real> x(1), y(1);
    const PinnedArray<real> seen(2);
    cudaEvent_t event = nullptr;
    CHECK(cudaEventCreateWithFlags(&event, 0) == cudaErrorInvalidValue);
    CHECK(cudaGetLastError() == cudaErrorInvalidValue);
    REQUIRE(cudaEventCreateWithFlags(&event, cudaEventDisableTiming) == cudaSuccess);
    CHECK(cudaEventQuery(event) == cudaSuccess);  // never recorded
    seen.p[0] = seen.p[1] = 0;

    CHECK(launch_each(1, Fill{x.p, 1}) == cudaSuccess);
    CHECK(cudaMemcpyAsync(seen.p, x.p, sizeof(real), cudaMemcpyDeviceToHost, stream()) == cudaSuccess);
    CHECK(cudaEventRecord(event, stream()) == cudaSuccess);
    CHECK(launch_each(1, Fill{x.p, 2}) == cudaSuccess);
    CHECK(cudaMemcpyAsync(seen.p + 1, x.p, sizeof(real), cudaMemcpyDeviceToHost, stream()) == cudaSuccess);
    CHECK(cudaEventQuery(event) == cudaErrorNotReady);
    CHECK(cudaGetLastError() == cudaSuccess);  // not ready is no error
    CHECK(cudaEventSynchronize(event) == cudaSuccess);
    CHECK(cudaEventQuery(event) == cudaSuccess);
    CHECK(seen.p[0] == 1);
    CHECK(seen.p[1] == 0);  // behind the event
    CHECK(synchronise() == cudaSuccess);
    CHECK(seen.p[1] == 2);

    // A loop around cudaEventQuery ends.
    for (int i = 0; i < 5; i++) CHECK(launch_each(1, Fill{x.p, 3}) == cudaSuccess);
    CHECK(cudaEventRecord(event, stream()) == cudaSuccess);
    int n_queries = 0;
    while (cudaEventQuery(event) == cudaErrorNotReady) n_queries++;
    CHECK(n_queries == 5);

    // Waiting for one stream does not run another.
    const cudaStream_t other = new_stream();
    CHECK(launch_each(1, Fill{x.p, 4}) == cudaSuccess);
    CHECK(cudaMemcpyAsync(seen.p, x.p, sizeof(real), cudaMemcpyDeviceToHost, stream()) == cudaSuccess);
    CHECK(cudaStreamSynchronize(other) == cudaSuccess);
    CHECK(seen.p[0] == 1);
    CHECK(cudaDeviceSynchronize() == cudaSuccess);
    CHECK(seen.p[0] == 4);

    CHECK(cudaEventDestroy(event) == cudaSuccess);
    CHECK(cudaEventDestroy(event) == cudaErrorInvalidResourceHandle);
    CHECK(cudaEventRecord(event, stream()) == cudaErrorInvalidResourceHandle);
    cudaGetLastError();
}

TEST_CASE("fake CUDA: a long queue runs without being waited for", "[cuda][fake_cuda]") {
    const DeviceArray<real> x(1);
    const PinnedArray<real> seen(1);
    seen.p[0] = 0;
    CHECK(launch_each(1, Fill{x.p, 1}) == cudaSuccess);
    CHECK(cudaMemcpyAsync(seen.p, x.p, sizeof(real), cudaMemcpyDeviceToHost, stream()) == cudaSuccess);
    const int64_t waits = fake_cuda::counts().synchronisations;
    int n = 0;
    for (; n < 10000 && seen.p[0] == 0; n++) REQUIRE(cudaMemsetAsync(x.p, 0, 1, stream()) == cudaSuccess);
    CHECK(n > 1000);
    CHECK(n < 10000);
    CHECK(fake_cuda::counts().synchronisations == waits);
}

TEST_CASE("fake CUDA: several threads share a stream", "[cuda][fake_cuda]") {
    constexpr int kThreads = 4, kSteps = 50;
    const DeviceArray<real> ones(std::vector<real>(64, 1)), sums(std::vector<real>(64 * kThreads, 0));
    std::vector<real> ends(kThreads);
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; t++) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < kSteps; i++) launch_each(64, AddTo{sums.p + 64 * t, ones.p});
            cudaMemcpyAsync(&ends[t], sums.p + 64 * t + t, sizeof(real), cudaMemcpyDeviceToHost, stream());
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(ends == std::vector<real>(kThreads, kSteps));
    CHECK(sums.read() == std::vector<real>(64 * kThreads, kSteps));
}

TEST_CASE("fake CUDA: calls and waits are counted", "[cuda][fake_cuda]") {
    const DeviceArray<real> x(std::vector<real>(4, 1)), y(4);
    const PinnedArray<real> pinned(4);
    CHECK(synchronise() == cudaSuccess);
    fake_cuda::Counts before = fake_cuda::counts();
    CHECK(launch_each(4, Fill{y.p, 1}) == cudaSuccess);
    cudaMemcpyAsync(x.p, pinned.p, 4, cudaMemcpyHostToDevice, stream());
    cudaMemcpyAsync(pinned.p, x.p, 4, cudaMemcpyDeviceToHost, stream());
    cudaMemcpyAsync(y.p, x.p, 4, cudaMemcpyDeviceToDevice, stream());
    cudaMemsetAsync(y.p, 0, 4, stream());
    fake_cuda::Counts now = fake_cuda::counts();
    CHECK(now.launches == before.launches + 1);
    CHECK(now.copies_in == before.copies_in + 1);
    CHECK(now.copies_out == before.copies_out + 1);
    CHECK(now.copies_on == before.copies_on + 1);
    CHECK(now.memsets == before.memsets + 1);
    CHECK(now.synchronisations == before.synchronisations);
    CHECK(synchronise() == cudaSuccess);
    CHECK(synchronise() == cudaSuccess);  // nothing to wait for
    CHECK(fake_cuda::counts().synchronisations == before.synchronisations + 1);
    (void)x.read();                                       // into pageable memory
    { const DeviceArray<real> z(std::vector<real>{1}); }  // from pageable memory, and cudaFree
    now = fake_cuda::counts();
    CHECK(now.synchronisations == before.synchronisations + 4);
    CHECK(now.mallocs == before.mallocs + 1);
    CHECK(now.frees == before.frees + 1);
    CHECK(now.host_mallocs == before.host_mallocs);
}

// ---- a device that is not there, or too small ----------------------------------------------------------------------

TEST_CASE("fake CUDA: memory ends where a test says", "[cuda][fake_cuda]") {
    const size_t used = size_t(fake_cuda::bytes_in_use());
    fake_cuda::limit_memory(used + 1000);
    void *p = nullptr, *q = nullptr;
    size_t n_free = 0, n_all = 0;
    CHECK(cudaMalloc(&p, 900) == cudaSuccess);
    CHECK(cudaMemGetInfo(&n_free, &n_all) == cudaSuccess);
    CHECK(n_free == 100);
    CHECK(n_all == used + 1000);
    CHECK(cudaMalloc(&q, 101) == cudaErrorMemoryAllocation);
    CHECK(q == nullptr);
    CHECK(cudaGetLastError() == cudaErrorMemoryAllocation);
    CHECK(synchronise() == cudaSuccess);  // it does not stay
    CHECK(cudaMalloc(&q, 100) == cudaSuccess);
    CHECK(cudaFree(q) == cudaSuccess);
    CHECK(cudaFree(p) == cudaSuccess);
    fake_cuda::limit_memory(0);
    CHECK(cudaMalloc(&q, size_t(1) << 40) == cudaErrorMemoryAllocation);
    cudaGetLastError();
}

TEST_CASE("fake CUDA: devices and drivers that are missing", "[cuda][fake_cuda]") {
    int n = -1, driver = -1, runtime = -1;
    cudaDeviceProp gpu = {};
    cudaFuncAttributes kernel = {};
    CHECK(cudaRuntimeGetVersion(&runtime) == cudaSuccess);
    CHECK(runtime == 13000);
    CHECK(cudaGetDeviceCount(&n) == cudaSuccess);
    CHECK(n == 1);
    CHECK(cudaSetDevice(0) == cudaSuccess);
    CHECK(cudaSetDevice(1) == cudaErrorInvalidDevice);
    CHECK(cudaGetDeviceProperties(&gpu, 0) == cudaSuccess);
    CHECK(std::string(gpu.name) == "Fake GPU");
    CHECK(gpu.major == 9);
    CHECK(cudaFuncGetAttributes(&kernel, each_kernel<Fill>) == cudaSuccess);
    CHECK(kernel.maxThreadsPerBlock == 1024);

    struct Case {
        const char* value;
        cudaError_t error;
        int driver;
    };
    for (const Case& c : {Case{"no-driver", cudaErrorInsufficientDriver, 0},
                          {"old-driver", cudaErrorInsufficientDriver, 12020},
                          {"no-device", cudaErrorNoDevice, 13000}}) {
        const SetVariable guard(c.value);
        CHECK(cudaGetDeviceCount(&n) == c.error);
        CHECK(n == 0);
        CHECK(cudaDriverGetVersion(&driver) == cudaSuccess);
        CHECK(driver == c.driver);
        CHECK(cudaSetDevice(0) == c.error);
        CHECK(cudaGetDeviceProperties(&gpu, 0) == c.error);
        void* p = nullptr;
        CHECK(cudaMalloc(&p, 1) == c.error);
        CHECK(cudaMallocHost(&p, 1) == c.error);
        cublasHandle_t handle = nullptr;
        CHECK(cublasCreate(&handle) == CUBLAS_STATUS_NOT_INITIALIZED);
        CHECK(cudaGetLastError() == c.error);
    }
    {
        const SetVariable guard("no-kernel-image");
        CHECK(cudaGetDeviceCount(&n) == cudaSuccess);
        CHECK(cudaGetDeviceProperties(&gpu, 0) == cudaSuccess);
        CHECK(gpu.major == 5);
        CHECK(cudaFuncGetAttributes(&kernel, each_kernel<Fill>) == cudaErrorNoKernelImageForDevice);
        CHECK(launch_each(1, Fill{nullptr, 0}) == cudaErrorNoKernelImageForDevice);
        CHECK(std::string(cudaGetErrorName(cudaGetLastError())) == "cudaErrorNoKernelImageForDevice");
    }
    CHECK(std::string(cudaGetErrorString(cudaErrorMemoryAllocation)) == "out of memory");
    CHECK(std::string(cudaGetErrorString(cudaError_t(12345))) == "unrecognized error code");
    CHECK(synchronise() == cudaSuccess);
}

// ---- cuBLAS --------------------------------------------------------------------------------------------------------

namespace {

struct Blas {
    Blas() {
        REQUIRE(cublasCreate(&handle) == CUBLAS_STATUS_SUCCESS);
        REQUIRE(cublasSetStream(handle, stream()) == CUBLAS_STATUS_SUCCESS);
    }
    ~Blas() { cublasDestroy(handle); }
    cublasHandle_t handle = nullptr;
};

cublasStatus_t call(cublasHandle_t h, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k, float alpha,
                    const float* a, int lda, int64_t sa, const float* b, int ldb, int64_t sb, float beta, float* c,
                    int ldc, int64_t sc, int batch) {
    if (batch == 1) return cublasSgemm(h, ta, tb, m, n, k, &alpha, a, lda, b, ldb, &beta, c, ldc);
    return cublasSgemmStridedBatched(h, ta, tb, m, n, k, &alpha, a, lda, sa, b, ldb, sb, &beta, c, ldc, sc, batch);
}
cublasStatus_t call(cublasHandle_t h, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k, double alpha,
                    const double* a, int lda, int64_t sa, const double* b, int ldb, int64_t sb, double beta, double* c,
                    int ldc, int64_t sc, int batch) {
    if (batch == 1) return cublasDgemm(h, ta, tb, m, n, k, &alpha, a, lda, b, ldb, &beta, c, ldc);
    return cublasDgemmStridedBatched(h, ta, tb, m, n, k, &alpha, a, lda, sa, b, ldb, sb, &beta, c, ldc, sc, batch);
}

template <class T>
std::vector<T> random_numbers(int64_t n, uint64_t seed) {
    std::vector<T> x(n);
    for (int64_t i = 0; i < n; i++) x[i] = T(Random{seed, 0}.uniform(uint64_t(i))) - T(0.5);
    return x;
}

// The largest difference from sums of our own; infinite where anything but the elements of C was written.
template <class T>
double worst(bool ta, bool tb, int m, int n, int k, T alpha, T beta, int batch) {
    const int rows_a = ta ? k : m, cols_a = ta ? m : k, rows_b = tb ? n : k, cols_b = tb ? k : n;
    const int lda = rows_a + 3, ldb = rows_b + 1, ldc = m + 2;
    const int64_t sa = lda * cols_a + 5, sb = ldb * cols_b, sc = ldc * n + 7;
    const std::vector<T> a = random_numbers<T>(sa * batch, 1), b = random_numbers<T>(sb * batch, 2);
    std::vector<T> c = random_numbers<T>(sc * batch, 3);
    const auto c_at = [&](int i, int row, int col) { return i * sc + col * ldc + row; };
    std::vector<char> is_element(c.size());
    for (int i = 0; i < batch; i++)
        for (int col = 0; col < n; col++)
            for (int row = 0; row < m; row++) is_element[c_at(i, row, col)] = 1;
    if (beta == 0)
        for (T& v : c) v = std::numeric_limits<T>::quiet_NaN();
    const DeviceArray<T> da(a), db(b), dc(c);
    const Blas blas;
    REQUIRE(call(blas.handle, ta ? CUBLAS_OP_T : CUBLAS_OP_N, tb ? CUBLAS_OP_C : CUBLAS_OP_N, m, n, k, alpha, da.p, lda,
                 sa, db.p, ldb, sb, beta, dc.p, ldc, sc, batch) == CUBLAS_STATUS_SUCCESS);
    const std::vector<T> got = dc.read();
    double most = 0;
    for (size_t i = 0; i < c.size(); i++)
        if (!is_element[i] && std::memcmp(&got[i], &c[i], sizeof(T)) != 0) most = INFINITY;
    for (int i = 0; i < batch; i++) {
        for (int col = 0; col < n; col++) {
            for (int row = 0; row < m; row++) {
                double s = 0;
                for (int j = 0; j < k; j++) {
                    s += double(a[i * sa + (ta ? row * lda + j : j * lda + row)]) *
                         double(b[i * sb + (tb ? j * ldb + col : col * ldb + j)]);
                }
                s = alpha * s + (beta == 0 ? 0 : beta * double(c[c_at(i, row, col)]));
                const double difference = std::abs(s - double(got[c_at(i, row, col)]));
                most = std::isnan(difference) ? INFINITY : std::max(most, difference);
            }
        }
    }
    return most;
}

}  // namespace

TEST_CASE("fake cuBLAS: gemm is the sums that it stands for", "[cuda][fake_cuda]") {
    for (const bool ta : {false, true}) {
        for (const bool tb : {false, true}) {
            CAPTURE(ta, tb);
            CHECK(worst<float>(ta, tb, 5, 7, 11, 1.5f, -0.5f, 1) < 1e-6);
            CHECK(worst<float>(ta, tb, 33, 1, 20, 1, 0, 1) < 1e-5);
            CHECK(worst<float>(ta, tb, 1, 70, 9, 1, 0, 3) < 1e-6);
            CHECK(worst<float>(ta, tb, 40, 150, 60, 1, 0, 3) < 1e-5);
            CHECK(worst<double>(ta, tb, 5, 7, 11, 1.5, -0.5, 3) < 1e-14);
            CHECK(worst<double>(ta, tb, 70, 130, 65, 1, 0, 1) < 1e-13);
        }
    }
    CHECK(worst<float>(false, false, 4, 3, 0, 1, 0, 1) == 0);  // a sum of nothing, over NaN
}

TEST_CASE("fake cuBLAS: the same bytes with any number of threads", "[cuda][fake_cuda]") {
    constexpr int kSize = 200;
    const DeviceArray<float> a(random_numbers<float>(kSize * kSize, 1)), c(kSize * kSize);
    const Blas blas;
    const int n_threads = omp_get_max_threads();
    std::vector<float> first;
    for (const int threads : {1, 3}) {
        omp_set_num_threads(threads);
        REQUIRE(call(blas.handle, CUBLAS_OP_N, CUBLAS_OP_T, kSize, kSize, kSize, 1.0f, a.p, kSize, 0, a.p, kSize, 0,
                     0.0f, c.p, kSize, 0, 1) == CUBLAS_STATUS_SUCCESS);
        const std::vector<float> now = c.read();
        if (first.empty()) first = now;
        CHECK(std::memcmp(first.data(), now.data(), now.size() * sizeof(float)) == 0);
    }
    omp_set_num_threads(n_threads);
}

TEST_CASE("fake cuBLAS: what is wrong is refused, or found later", "[cuda][fake_cuda]") {
    // A is 3 x 4 in 12 numbers, B 4 x 5 in 20, C 3 x 5 in 15.
    const DeviceArray<float> a(12), b(20), c(15);
    const Blas blas;
    const auto gemm = [&](int m, int n, int k, int lda, int ldb, int ldc, const float* from = nullptr) {
        return call(blas.handle, CUBLAS_OP_N, CUBLAS_OP_N, m, n, k, 1.0f, from ? from : a.p, lda, 0, b.p, ldb, 0, 0.0f,
                    c.p, ldc, 0, 1);
    };
    CHECK(gemm(3, 5, 4, 3, 4, 3) == CUBLAS_STATUS_SUCCESS);
    CHECK(gemm(3, 5, 4, 2, 4, 3) == CUBLAS_STATUS_INVALID_VALUE);
    CHECK(gemm(3, 5, 4, 3, 3, 3) == CUBLAS_STATUS_INVALID_VALUE);
    CHECK(gemm(3, 5, 4, 3, 4, 2) == CUBLAS_STATUS_INVALID_VALUE);
    CHECK(gemm(-1, 5, 4, 3, 4, 3) == CUBLAS_STATUS_INVALID_VALUE);
    CHECK(gemm(0, 5, 4, 0, 4, 1) == CUBLAS_STATUS_INVALID_VALUE);
    CHECK(gemm(0, 5, 4, 1, 4, 1) == CUBLAS_STATUS_SUCCESS);
    CHECK(call(nullptr, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, 1.0f, a.p, 1, 0, b.p, 1, 0, 0.0f, c.p, 1, 0, 1) ==
          CUBLAS_STATUS_NOT_INITIALIZED);
    CHECK(call(blas.handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, 1.0f, a.p, 1, 1, b.p, 1, 1, 0.0f, c.p, 1, 1, -1) ==
          CUBLAS_STATUS_INVALID_VALUE);
    // The leading dimension of a row-major A: allowed, but beyond its end.
    CHECK(error_of([&] { CHECK(gemm(3, 5, 4, 4, 4, 3) == CUBLAS_STATUS_SUCCESS); },
                   "A of a gemm is not within one device buffer: NN, m 3, n 5, k 4, ld 4 4 3") ==
          cudaErrorIllegalAddress);
    CHECK(error_of([&] { gemm(3, 5, 4, 3, 5, 3); }, "B of a gemm") == cudaErrorIllegalAddress);
    CHECK(error_of([&] { gemm(3, 5, 4, 3, 4, 4); }, "C of a gemm") == cudaErrorIllegalAddress);
    const std::vector<float> host(12);
    CHECK(error_of([&] { gemm(3, 5, 4, 3, 4, 3, host.data()); }, "A of a gemm") == cudaErrorIllegalAddress);
    CHECK(error_of(
              [&] {
                  call(blas.handle, CUBLAS_OP_N, CUBLAS_OP_N, 3, 4, 2, 1.0f, a.p, 3, 6, b.p, 2, 8, 0.0f, c.p, 3, 4, 3);
              },
              "A of a gemm") == cudaErrorIllegalAddress);
    const int64_t gemms = fake_cuda::counts().gemms;
    CHECK(gemm(3, 5, 4, 3, 4, 3) == CUBLAS_STATUS_SUCCESS);
    CHECK(fake_cuda::counts().gemms == gemms + 1);
    CHECK(synchronise() == cudaSuccess);
}

TEST_CASE("fake cuBLAS: TF32 keeps ten bits", "[cuda][fake_cuda]") {
    // 1 + 2^-10 is exact in TF32, 1 + 2^-11 - 2^-20 is rounded down, and 1 + 2^-11 + 2^-20 up.
    const float x[] = {1 + 0x1p-10f, 1 + 0x1p-11f - 0x1p-20f, 1 + 0x1p-11f + 0x1p-20f, INFINITY};
    const float tf32[] = {1 + 0x1p-10f, 1, 1 + 0x1p-10f, INFINITY};
    const DeviceArray<float> unset(4);
    const DeviceArray<float> a(std::vector<float>(x, x + 4)), one(std::vector<float>{1}), c(4);
    const Blas blas;
    const auto product = [&](const float* from) {
        REQUIRE(call(blas.handle, CUBLAS_OP_N, CUBLAS_OP_N, 4, 1, 1, 1.0f, from, 4, 0, one.p, 1, 0, 0.0f, c.p, 4, 0,
                     1) == CUBLAS_STATUS_SUCCESS);
    };
    cublasMath_t mode = CUBLAS_PEDANTIC_MATH;
    CHECK(cublasGetMathMode(blas.handle, &mode) == CUBLAS_STATUS_SUCCESS);
    CHECK(mode == CUBLAS_DEFAULT_MATH);
    product(a.p);
    CHECK(c.read() == std::vector<float>(x, x + 4));
    CHECK(cublasSetMathMode(blas.handle, cublasMath_t(99)) == CUBLAS_STATUS_INVALID_VALUE);
    CHECK(cublasSetMathMode(blas.handle, CUBLAS_TF32_TENSOR_OP_MATH) == CUBLAS_STATUS_SUCCESS);
    product(a.p);
    CHECK(cublasSetMathMode(blas.handle, CUBLAS_DEFAULT_MATH) == CUBLAS_STATUS_SUCCESS);  // of later products
    CHECK(c.read() == std::vector<float>(tf32, tf32 + 4));
    CHECK(cublasSetMathMode(blas.handle, CUBLAS_TF32_TENSOR_OP_MATH) == CUBLAS_STATUS_SUCCESS);
    product(unset.p);
    CHECK(std::isnan(c.read()[3]));  // all bits set: rounded up, they would be those of 0
    int version = 0;
    CHECK(cublasGetVersion(blas.handle, &version) == CUBLAS_STATUS_SUCCESS);
    CHECK(version == 130000);
    CHECK(std::string(cublasGetStatusString(CUBLAS_STATUS_INVALID_VALUE)) == "CUBLAS_STATUS_INVALID_VALUE");
}
