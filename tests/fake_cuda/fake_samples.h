// What the tests of the fake share: its stream, memory with a destructor, launches, and faults that end a process or
// leave an error behind.
#pragma once
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "tensor/device.h"
#include "tests/catch.h"
#include "tests/fake_cuda/fake_cuda.h"

namespace koine::testing {

inline cudaStream_t new_stream() {
    cudaStream_t stream = nullptr;
    REQUIRE(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
    return stream;
}
inline cudaStream_t stream() {
    static const cudaStream_t the_stream = new_stream();
    return the_stream;
}
inline cudaError_t synchronise() { return cudaStreamSynchronize(stream()); }

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
inline std::string stderr_of(const std::function<void()>& f) {
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
inline End end_of_child(const std::function<void()>& f) {
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
inline cudaError_t error_of(const std::function<void()>& f, const std::string& text) {
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

}  // namespace koine::testing
