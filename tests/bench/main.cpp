// koine_bench: how long ops, products, training steps, encoders and readers take.
//
//   koine_bench [NAME...]     once each: ops, gemm, mlp, ae, ...; koine_bench names lists them
//   koine_bench losses        the numbers that a peer must have, too
//   koine_bench serve         goes on reading commands until its input ends: what run.py talks to
//
// DEVICE=cuda in the environment runs on the GPU what can. KOINE_BENCH names a folder with the files that some
// workloads read; without it they are not there (run.py makes them).
//
// Results are printed as "workload quantity value", `ours` in ms. Commands are
//
//   about             "about quantity words"
//   names             every workload, a line each
//   check NAME        what a peer must have, too
//   turn NAME STEPS   the median of so many steps, after a warm-up the first time, and facts about one
//   forget NAME       frees what a turn has set up
//
// and each is answered by lines and then by one with a dot alone. A line that begins with "!" says what went wrong.
#include <omp.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <map>
#include <sstream>

#include "tensor/cuda.h"
#include "tensor/gemm.h"
#include "tensor/tensor.h"
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

void finish() {
    if (device() == Device::cuda) Tensor::zeros({}, Device::cuda).item();
}

std::string bench_folder() {
    const char* folder = std::getenv("KOINE_BENCH");
    return folder ? folder : "";
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const size_t middle = values.size() / 2;
    return values.size() % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

std::function<std::vector<Value>()> gflop_of(double gflop) {
    return [=] { return std::vector<Value>{{"gflop", gflop}}; };
}

std::vector<Value> losses(const Step& step, int n_steps) {
    std::vector<Value> values;
    for (int i = 1; i <= n_steps; i++) values.push_back({"loss-" + std::to_string(i), step()});
    return values;
}

namespace {

std::vector<Workload> all_workloads() {
    std::vector<Workload> all;
    for (const auto& part :
         {product_workloads, training_workloads, encoder_workloads, space_workloads, tokenizer_workloads,
          word_vector_workloads, image_scaling_workloads, token_scaling_workloads, word_scaling_workloads}) {
        for (Workload& workload : part()) {
            if (device() == Device::cpu || !workload.is_cpu_only) all.push_back(std::move(workload));
        }
    }
    return all;
}

void print(const std::string& workload, const std::vector<Value>& values) {
    for (const Value& v : values) std::printf("%s %s %.10g\n", workload.c_str(), v.quantity.c_str(), v.value);
    std::fflush(stdout);
}

Step warm(const Workload& workload) {
    Step step = workload.make();
    for (int i = 0; i < workload.n_warm_up; i++) step();
    return step;
}

void print_turn(const Workload& workload, const Step& step, int n_steps) {
    std::vector<double> times;
    const int64_t misses = pool().misses;
    for (int i = 0; i < n_steps; i++) {
        if (workload.before) workload.before();
        times.push_back(1e3 * seconds(step));
    }
    const int64_t n_misses = pool().misses - misses;
    print(workload.name, {{"ours", median(times)}});
    if (workload.facts) print(workload.name, workload.facts());
    print(workload.name, {{"pool_misses", double(n_misses)}});
    if (n_misses > 0 && !workload.may_allocate)
        throw Error(workload.name + ": a step after the first ones allocated memory");
}

// ---- by hand -------------------------------------------------------------------------------------------------------

void print_losses(const std::vector<Workload>& all) {
    for (const Workload& workload : all) {
        if (workload.check && workload.is_default) print(workload.name, workload.check());
    }
}

void print_header() {
    const std::string gpu = device() == Device::cuda ? ", " + cuda_report().text : "";
    std::printf("# koine_bench: %d threads, %s%s\n", omp_get_max_threads(), blas_description(), gpu.c_str());
}

int run_once(const std::vector<std::string>& names) {
    const std::vector<Workload> all = all_workloads();
    const auto is_meant = [](const Workload& workload, const std::string& name) {
        return workload.name == name || workload.group == name;
    };
    for (const std::string& name : names) {
        if (name == "ops" || name == "losses" || name == "names") continue;
        if (std::none_of(all.begin(), all.end(), [&](const Workload& w) { return is_meant(w, name); })) {
            std::fprintf(stderr, "koine_bench: there is no %s here; want ops, losses, names, serve", name.c_str());
            std::string last;
            for (const Workload& workload : all) {
                if (workload.group != last) std::fprintf(stderr, ", %s", workload.group.c_str());
                last = workload.group;
            }
            std::fprintf(stderr, "%s\n", bench_folder().empty() ? " (KOINE_BENCH is not set: no files to read)" : "");
            return 2;
        }
    }
    if (names != std::vector<std::string>{"names"}) print_header();
    for (const std::string& name : names) {
        if (name == "ops") bench_ops();
        if (name == "losses") print_losses(all);
        for (const Workload& workload : all) {
            if (name == "names") std::printf("%s\n", workload.name.c_str());
            if (is_meant(workload, name)) print_turn(workload, warm(workload), workload.n_steps);
        }
    }
    if (names.empty()) {
        bench_ops();
        for (const Workload& workload : all) {
            if (workload.is_default) print_turn(workload, warm(workload), workload.n_steps);
        }
    }
    return 0;
}

// ---- for run.py ------------------------------------------------------------------------------------------------------

class Server {
public:
    void answer(const std::string& line) {
        std::istringstream words(line);
        std::string command, name;
        words >> command >> name;
        if (command == "about") return about();
        if (command == "names") {
            for (const Workload& workload : all) std::printf("%s\n", workload.name.c_str());
            return;
        }
        const Workload& workload = find(name);
        if (command == "check") {
            if (workload.check) print(name, workload.check());
        } else if (command == "turn") {
            int n_steps = 0;
            if (!(words >> n_steps) || n_steps < 1) throw ValueError("turn: '" + line + "'; want turn NAME STEPS");
            auto step = steps.find(name);
            if (step == steps.end()) step = steps.emplace(name, warm(workload)).first;
            print_turn(workload, step->second, n_steps);
        } else if (command == "forget") {
            steps.erase(name);
            pool().trim();
        } else {
            throw ValueError("'" + line + "'; want about, names, check, turn or forget");
        }
    }

private:
    void about() const {
        std::printf("about threads %d\nabout blas %s\nabout koine %s\nabout compiler %s\nabout precision float%d\n",
                    omp_get_max_threads(), blas_description(), KOINE_VERSION, compiler().c_str(),
                    int(8 * sizeof(real)));
        if (device() == Device::cuda) std::printf("about gpu %s\n", cuda_report().text.c_str());
    }
    static std::string compiler() {
#ifdef __clang__
        return "clang++ " __clang_version__;
#else
        return "g++ " __VERSION__;
#endif
    }
    const Workload& find(const std::string& name) const {
        for (const Workload& workload : all) {
            if (workload.name == name) return workload;
        }
        throw ValueError("there is no workload '" + name + "'; names lists them");
    }

    std::vector<Workload> all = all_workloads();
    std::map<std::string, Step> steps;
};

int serve() {
    Server server;
    std::string line;
    while (std::getline(std::cin, line)) {
        try {
            server.answer(line);
        } catch (const std::exception& error) {
            std::printf("! %s\n", error.what());
        }
        std::printf(".\n");
        std::fflush(stdout);
    }
    return 0;
}

}  // namespace
}  // namespace koine::bench

int main(int argc, char** argv) {
    try {
        const std::vector<std::string> names(argv + 1, argv + argc);
        if (names == std::vector<std::string>{"serve"}) return koine::bench::serve();
        return koine::bench::run_once(names);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "koine_bench: %s\n", error.what());
        return 1;
    }
}
