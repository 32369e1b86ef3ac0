#include "experiments/common/environment.h"

#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tensor/cuda.h"
#include "tensor/gemm.h"

extern "C" {
char* openblas_get_config();
char* openblas_get_corename();
}

namespace koine {
namespace {

// "OpenBLAS 0.3.21": the name and version that its build settings begin with.
std::string blas_name() {
    std::istringstream config(openblas_get_config());
    std::string name, version;
    config >> name >> version;
    return name + " " + version;
}

// What the compiler was allowed to use; -march=native makes it the build machine's best.
const char* vector_unit() {
#if defined(__AVX512F__)
    return "AVX-512";
#elif defined(__AVX2__)
    return "AVX2";
#elif defined(__ARM_NEON)
    return "NEON";
#else
    return "baseline";
#endif
}

std::string compiler() {
#ifdef __clang__
    return __VERSION__;  // "Clang 14.0.6": says its name itself
#else
    return std::string("g++ ") + __VERSION__;
#endif
}

std::string count(int64_t n, const std::string& noun) { return std::to_string(n) + " " + noun + (n == 1 ? "" : "s"); }

// What is missing, without what could be done about it: `--device cuda` says that, too.
std::string in_brief(std::string text) {
    const std::string start = "this program was ";
    if (text.starts_with(start)) text.erase(0, start.size());
    text.resize(std::min(text.find(" ("), text.size()));
    const size_t colon = text.find(": ");
    if (text.find(' ') < colon) text.resize(std::min(colon, text.size()));  // not behind the name of a function
    return text;
}

}  // namespace

Device choose_device(const Flags& flags) {
    RunInfo info;
    return choose_device(flags, info);
}

Device choose_device(const Flags& flags, RunInfo& info) {
    const CudaReport report = flags.device == "cpu" ? CudaReport{} : cuda_report();
    if (flags.device == "cuda" && !report.is_usable) throw DeviceError("--device cuda: no usable GPU: " + report.text);
    const Device device = report.is_usable ? Device::cuda : Device::cpu;
    info.device = name_of(device);
    (report.is_usable ? info.gpu : info.why_cpu) = report.is_usable ? report.text : in_brief(report.text);
    if (flags.tf32 && device == Device::cpu) {
        throw UsageError("--tf32: only a GPU rounds so, and this run is on the CPU (" +
                         (flags.device == "cpu" ? "--device cpu" : "auto: " + info.why_cpu) + ")");
    }
    if (flags.tf32 && sizeof(real) != sizeof(float)) throw UsageError("--tf32: this program was built for float64");
    uses_tf32() = flags.tf32;
    return device;
}

OrderedJson environment(const Flags& flags, const RunInfo& info) {
    const char* wait_policy = std::getenv("OMP_WAIT_POLICY");
    return {{"version", KOINE_VERSION},
            {"compiler", compiler()},
            {"vector_unit", vector_unit()},
            {"real", sizeof(real) == sizeof(float) ? "float" : "double"},
            {"blas", openblas_get_config()},
            {"blas_kernel", openblas_get_corename()},
            {"threads", flags.threads},
            {"omp_wait_policy", wait_policy == nullptr ? "default" : wait_policy},
            {"device", info.device},
            {"gpu", info.gpu},
            {"tf32", flags.tf32}};
}

std::string device_text(const Flags& flags, const RunInfo& info) {
    std::string text = info.gpu + (flags.tf32 ? "; TF32" : "");
    if (info.device == "cpu") {
        text = count(flags.threads, "thread") + ", " + blas_name() + " " + openblas_get_corename();
        if (!info.why_cpu.empty()) text += "; auto: " + info.why_cpu;
    }
    return "device=" + info.device + " (" + text + ")";
}

std::string first_lines(const Flags& flags, const RunInfo& info) {
    std::string lines = std::string("koine ") + KOINE_VERSION + "  " + flags.name + "  data=" + info.data;
    const std::string n_train = std::to_string(info.n_train), n_test = std::to_string(info.n_test);
    if (info.n_train > 0) lines += "(" + n_train + "/" + n_test + ")";
    lines += "  " + device_text(flags, info);
    const auto has = [&](const char* name) { return std::count(flags.unused.begin(), flags.unused.end(), name) == 0; };
    lines += "  seed=" + std::to_string(flags.seed) + (has("protocol") ? "  protocol=" + flags.protocol : "") + "\n";
    if (info.n_available == 0) return lines;

    lines += std::string("preset ") + (flags.full ? "full: " : "quick: ") + n_train;
    if (info.n_train < info.n_available) lines += " of " + std::to_string(info.n_available);
    lines += " " + info.unit;
    if (has("epochs")) lines.append(", ").append(count(flags.epochs, "epoch"));
    if (!info.plan.empty()) lines.append(", ").append(info.plan);
    return lines + "\n";
}

double peak_memory_mb() {
    rusage usage = {};
    getrusage(RUSAGE_SELF, &usage);
#ifdef __APPLE__
    return double(usage.ru_maxrss) / (1 << 20);  // counted in bytes there, in kB elsewhere
#else
    return double(usage.ru_maxrss) / (1 << 10);
#endif
}

}  // namespace koine
