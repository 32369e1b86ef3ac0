// koine_bench: how long ops, products and training steps take.
//
//   koine_bench [ops] [gemm] [mlp] [ae] [convnet] [cnn] [encoder] [encoder-step] [losses] [vectors]
//
// All but the last two when nothing is named. DEVICE=cuda in the environment runs all but vectors on the GPU.
//
// Products and steps are printed as "workload quantity value", `ours` in ms. `make bench` puts PyTorch beside them.
#include <omp.h>

#include <cstdlib>
#include <cstring>
#include <exception>

#include "tensor/cuda.h"
#include "tensor/gemm.h"
#include "tests/bench/bench.h"

namespace koine::bench {

Device device() {
    static const Device the_device = [] {
        const char* wanted = std::getenv("DEVICE");
        const std::string name = wanted && *wanted ? wanted : "cpu";
        if (name != "cpu" && name != "cuda") throw ValueError("DEVICE=" + name + "; want cpu or cuda");
        const Device d = name == "cuda" ? Device::cuda : Device::cpu;
        require_device(d);
        return d;
    }();
    return the_device;
}

namespace {

struct Part {
    const char* name;
    void (*run)();
};
constexpr Part kParts[] = {{"ops", bench_ops},         {"gemm", bench_gemm},
                           {"mlp", bench_mlp},         {"ae", bench_ae},
                           {"convnet", bench_convnet}, {"cnn", bench_cnn},
                           {"encoder", bench_encoder}, {"encoder-step", bench_encoder_step},
                           {"losses", print_losses},   {"vectors", bench_vectors}};

const Part* find(const char* name) {
    const auto part =
        std::find_if(std::begin(kParts), std::end(kParts), [&](const Part& p) { return !std::strcmp(p.name, name); });
    return part == std::end(kParts) ? nullptr : part;
}

int run(int argc, char** argv) {
    for (int i = 1; i < argc; i++) {
        if (!find(argv[i])) {
            std::fprintf(stderr,
                         "koine_bench: there is no %s; want ops, gemm, mlp, ae, convnet, cnn, encoder, encoder-step, "
                         "losses or vectors\n",
                         argv[i]);
            return 2;
        }
    }
    const std::string gpu = device() == Device::cuda ? ", " + cuda_report().text : "";
    std::printf("# koine_bench: %d threads, %s%s\n", omp_get_max_threads(), blas_description(), gpu.c_str());
    for (int i = 1; i < argc; i++) find(argv[i])->run();
    if (argc == 1) {
        for (const Part& part : kParts) {
            if (part.run != print_losses && part.run != bench_vectors) part.run();
        }
    }
    return 0;
}

}  // namespace
}  // namespace koine::bench

int main(int argc, char** argv) {
    try {
        return koine::bench::run(argc, argv);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "koine_bench: %s\n", error.what());
        return 1;
    }
}
