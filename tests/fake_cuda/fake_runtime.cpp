// The device, its errors, its streams and events, and copies. Work is queued; it runs when the host waits for it.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

#include "tests/fake_cuda/fake_state.h"

namespace fake_cuda {
namespace {

// More work than this runs without being waited for, as it would on a GPU, so that queues do not grow for ever.
constexpr size_t kLongQueue = 4096;

constexpr int kRuntimeVersion = CUDART_VERSION;

thread_local cudaError_t last_error = cudaSuccess;

struct Name {
    cudaError_t error;
    const char *name, *text;
};
#define NAMED(error, text) \
    { error, #error, text }
constexpr Name kNames[] = {
    NAMED(cudaSuccess, "no error"),
    NAMED(cudaErrorInvalidValue, "invalid argument"),
    NAMED(cudaErrorMemoryAllocation, "out of memory"),
    NAMED(cudaErrorInvalidConfiguration, "invalid configuration argument"),
    NAMED(cudaErrorInvalidMemcpyDirection, "invalid copy direction for memcpy"),
    NAMED(cudaErrorInsufficientDriver, "CUDA driver version is insufficient for CUDA runtime version"),
    NAMED(cudaErrorInvalidDeviceFunction, "invalid device function"),
    NAMED(cudaErrorNoDevice, "no CUDA-capable device is detected"),
    NAMED(cudaErrorInvalidDevice, "invalid device ordinal"),
    NAMED(cudaErrorNoKernelImageForDevice, "no kernel image is available for execution on the device"),
    NAMED(cudaErrorInvalidResourceHandle, "invalid resource handle"),
    NAMED(cudaErrorNotReady, "device not ready"),
    NAMED(cudaErrorIllegalAddress, "an illegal memory access was encountered"),
    NAMED(cudaErrorLaunchFailure, "unspecified launch failure"),
};
#undef NAMED

std::string_view configured() {
    const char* text = std::getenv("KOINE_FAKE_CUDA");
    return text ? text : "";
}

CUstream_st& default_stream() {
    static CUstream_st* const instance = new CUstream_st;
    return *instance;
}

cudaStream_t known(cudaStream_t stream) { return stream ? stream : &default_stream(); }

// What the host has to wait for, it waits for here.
cudaError_t wait(cudaStream_t stream, uint64_t end) {
    if (stream->n_done < end) state().counts.synchronisations++;
    run(stream, end);
    return report(usable());
}

}  // namespace

State& state() {
    static State* const instance = [] {
        State* s = new State;
        s->streams.insert(&default_stream());
        return s;
    }();
    return *instance;
}

cudaError_t usable() {
    const std::string_view text = configured();
    if (text == "no-driver" || text == "old-driver") return cudaErrorInsufficientDriver;
    if (text == "no-device") return cudaErrorNoDevice;
    return state().error;
}

cudaError_t report(cudaError_t status) {
    if (status != cudaSuccess && status != cudaErrorNotReady) last_error = status;
    return status;
}

// One write: lines of several threads, or of a signal handler, do not mix.
void complain(const char* format, ...) {
    char line[512] = "fake CUDA: ";
    const size_t begin = std::strlen(line);
    va_list arguments;
    va_start(arguments, format);
    const int n = std::vsnprintf(line + begin, sizeof line - begin - 1, format, arguments);
    va_end(arguments);
    const size_t end = std::min(begin + size_t(std::max(n, 0)), sizeof line - 2);
    line[end] = '\n';
    [[maybe_unused]] const auto written = write(STDERR_FILENO, line, end + 1);
}

bool is_stream(cudaStream_t stream) { return state().streams.contains(known(stream)); }

void enqueue(cudaStream_t stream, std::function<cudaError_t()> work) {
    watch();
    stream = known(stream);
    stream->waiting.push_back(std::move(work));
    if (stream->waiting.size() > kLongQueue) run(stream, stream->end());
}

void run(cudaStream_t stream, uint64_t end) {
    stream = known(stream);
    if (stream->n_done >= end) return;
    const DeviceAccess access;
    while (stream->n_done < end) {
        // After an error nothing runs any more.
        if (state().error == cudaSuccess) state().error = stream->waiting.front()();
        stream->waiting.pop_front();
        stream->n_done++;
    }
}

Counts counts() {
    const Lock lock;
    return state().counts;
}

void reset() {
    const Lock lock;
    last_error = cudaSuccess;
    state().error = cudaErrorLaunchFailure;  // drops what waits
    for (cudaStream_t stream : state().streams) run(stream, stream->end());
    state().error = cudaSuccess;
    state().orders = 0;
}

cudaError_t attributes(cudaFuncAttributes* to, bool is_null) {
    const Lock lock;
    if (const cudaError_t error = usable()) return report(error);
    if (!to) return report(cudaErrorInvalidValue);
    if (is_null) return report(cudaErrorInvalidDeviceFunction);
    if (configured() == "no-kernel-image") return report(cudaErrorNoKernelImageForDevice);
    *to = {};
    to->maxThreadsPerBlock = 1024;
    to->numRegs = 32;
    to->ptxVersion = to->binaryVersion = 90;
    return cudaSuccess;
}

}  // namespace fake_cuda

using namespace fake_cuda;

// ---- errors --------------------------------------------------------------------------------------------------------

const char* cudaGetErrorName(cudaError_t error) {
    for (const Name& n : kNames)
        if (n.error == error) return n.name;
    return "unrecognized error code";
}
const char* cudaGetErrorString(cudaError_t error) {
    for (const Name& n : kNames)
        if (n.error == error) return n.text;
    return "unrecognized error code";
}
cudaError_t cudaGetLastError() {
    const Lock lock;
    const cudaError_t error = std::exchange(last_error, cudaSuccess);
    return state().error != cudaSuccess ? state().error : error;
}

// ---- the device ----------------------------------------------------------------------------------------------------

cudaError_t cudaGetDeviceCount(int* count) {
    const Lock lock;
    if (!count) return report(cudaErrorInvalidValue);
    const cudaError_t error = usable();
    *count = error == cudaSuccess ? 1 : 0;
    return report(error);
}

cudaError_t cudaSetDevice(int device) {
    const Lock lock;
    if (const cudaError_t error = usable()) return report(error);
    return report(device == 0 ? cudaSuccess : cudaErrorInvalidDevice);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
    size_t n_free = 0, n_all = 0;
    if (const cudaError_t error = cudaMemGetInfo(&n_free, &n_all)) return error;
    const Lock lock;
    if (!properties) return report(cudaErrorInvalidValue);
    if (device != 0) return report(cudaErrorInvalidDevice);
    const int major = configured() == "no-kernel-image" ? 5 : 9;
    *properties = {.name = "Fake GPU", .totalGlobalMem = n_all, .major = major, .minor = 0, .multiProcessorCount = 4};
    return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int* version) {
    const Lock lock;
    if (!version) return report(cudaErrorInvalidValue);
    *version = configured() == "no-driver" ? 0 : configured() == "old-driver" ? 12020 : kRuntimeVersion;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
    const Lock lock;
    if (!version) return report(cudaErrorInvalidValue);
    *version = kRuntimeVersion;
    return cudaSuccess;
}

// ---- copies --------------------------------------------------------------------------------------------------------

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
    const Lock lock;
    State& s = state();
    if (const cudaError_t error = usable()) return report(error);
    if (!is_stream(stream)) return report(cudaErrorInvalidResourceHandle);
    if (kind < cudaMemcpyHostToHost || kind > cudaMemcpyDefault) return report(cudaErrorInvalidMemcpyDirection);
    if (bytes == 0) return cudaSuccess;
    const Memory source = memory_of(from, bytes), target = memory_of(to, bytes);
    if (source == Memory::none || target == Memory::none) return report(cudaErrorInvalidValue);
    const bool is_in = target == Memory::device, is_out = source == Memory::device;
    const cudaMemcpyKind real_kind = is_in ? (is_out ? cudaMemcpyDeviceToDevice : cudaMemcpyHostToDevice)
                                           : (is_out ? cudaMemcpyDeviceToHost : cudaMemcpyHostToHost);
    if (kind != cudaMemcpyDefault && kind != real_kind) return report(cudaErrorInvalidValue);
    const char *begin = static_cast<char*>(to), *other = static_cast<const char*>(from);
    if (begin < other + bytes && other < begin + bytes) return report(cudaErrorInvalidValue);  // they overlap
    if (is_in || is_out) (is_in && is_out ? s.counts.copies_on : is_in ? s.counts.copies_in : s.counts.copies_out)++;

    // Pageable memory is read now, and written before the call returns: the host waits, as for CUDA's staging buffers.
    if (source == Memory::pageable) {
        std::vector<char> staged(other, other + bytes);
        enqueue(stream, [to, target, staged = std::move(staged)] {
            if (memory_of(to, staged.size()) != target) return cudaErrorIllegalAddress;
            std::memcpy(to, staged.data(), staged.size());
            return cudaSuccess;
        });
    } else {
        enqueue(stream, [=] {
            if (memory_of(to, bytes) != target || memory_of(from, bytes) != source) {
                complain("pinned memory was freed before a copy of %zu bytes from or to it ran", bytes);
                return cudaErrorIllegalAddress;
            }
            std::memcpy(to, from, bytes);
            return cudaSuccess;
        });
    }
    if (source == Memory::pageable || target == Memory::pageable) s.counts.synchronisations++;
    if (target == Memory::pageable) run(stream, known(stream)->end());
    return report(s.error);
}

cudaError_t cudaMemsetAsync(void* p, int value, size_t bytes, cudaStream_t stream) {
    const Lock lock;
    if (const cudaError_t error = usable()) return report(error);
    if (!is_stream(stream)) return report(cudaErrorInvalidResourceHandle);
    if (bytes == 0) return cudaSuccess;
    if (memory_of(p, bytes) != Memory::device) return report(cudaErrorInvalidValue);
    state().counts.memsets++;
    enqueue(stream, [=] {
        std::memset(p, value, bytes);
        return cudaSuccess;
    });
    return report(state().error);
}

// ---- streams and events --------------------------------------------------------------------------------------------

// Blocking streams, which wait for the default stream and it for them, are not there.
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
    const Lock lock;
    if (const cudaError_t error = usable()) return report(error);
    if (!stream || flags != cudaStreamNonBlocking) return report(cudaErrorInvalidValue);
    *stream = new CUstream_st;
    state().streams.insert(*stream);
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    const Lock lock;
    if (!is_stream(stream)) return report(cudaErrorInvalidResourceHandle);
    return wait(known(stream), known(stream)->end());
}

cudaError_t cudaDeviceSynchronize() {
    const Lock lock;
    bool is_busy = false;
    for (cudaStream_t stream : state().streams) {
        is_busy |= !stream->waiting.empty();
        run(stream, stream->end());
    }
    state().counts.synchronisations += is_busy;
    return report(usable());
}

// Events without times are all that there is.
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
    const Lock lock;
    if (const cudaError_t error = usable()) return report(error);
    if (!event || flags != cudaEventDisableTiming) return report(cudaErrorInvalidValue);
    *event = new CUevent_st;
    state().events.insert(*event);
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
    const Lock lock;
    if (state().events.erase(event) == 0) return report(cudaErrorInvalidResourceHandle);
    delete event;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    const Lock lock;
    if (const cudaError_t error = usable()) return report(error);
    if (!state().events.contains(event) || !is_stream(stream)) return report(cudaErrorInvalidResourceHandle);
    *event = {known(stream), known(stream)->end()};
    return cudaSuccess;
}

// Who asks again and again, sees the device advance: by one piece of work each time.
cudaError_t cudaEventQuery(cudaEvent_t event) {
    const Lock lock;
    if (!state().events.contains(event)) return report(cudaErrorInvalidResourceHandle);
    if (!event->stream || event->stream->n_done >= event->end) return report(usable());
    run(event->stream, event->stream->n_done + 1);
    return state().error != cudaSuccess ? report(state().error) : cudaErrorNotReady;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    const Lock lock;
    if (!state().events.contains(event)) return report(cudaErrorInvalidResourceHandle);
    return event->stream ? wait(event->stream, event->end) : report(usable());
}
