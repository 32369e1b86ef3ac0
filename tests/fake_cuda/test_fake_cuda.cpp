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
#include "tests/fake_cuda/fake_samples.h"
#include "tests/scratch.h"

using namespace koine;
using namespace koine::testing;

namespace {

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
        const EnvironmentVariable guard("KOINE_FAKE_CUDA", c.value);
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
        const EnvironmentVariable guard("KOINE_FAKE_CUDA", "no-kernel-image");
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
