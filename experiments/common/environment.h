// Where a run ran: the content of env.json, and the first lines of every run.
#pragma once
#include <cstdint>
#include <string>

#include "experiments/common/flags.h"
#include "tensor/device.h"

namespace koine {

/// What the first lines of a run say beside its switches, known once the data is loaded.
struct RunInfo {
    std::string data;                 // the data set: "mnist"
    int64_t n_train = 0, n_test = 0;  // samples in use; 0: not shown
    int64_t n_available = 0;          // training samples in the whole data set; 0: no preset line
    std::string unit = "images";      // what a sample is called
    std::string plan = {};            // of programs without --epochs: "models of 3 and 4 epochs"
    std::string device = "cpu";       // where it computes: "cpu" or "cuda", never "auto"
    std::string gpu = {};             // the name of the GPU
};

/// The device that --device comes to; never a silent fall-back. Throws DeviceError, saying what is missing.
Device choose_device(const Flags& flags);

/// Version, compiler, vector unit, BLAS and its kernel, threads, OpenMP wait policy, device. No name of the machine.
OrderedJson environment(const Flags& flags, const RunInfo& info);

/// `koine 0.1.0  ae_stitch  data=mnist(4500/500)  device=cpu (2 threads, OpenBLAS 0.3.21 Cooperlake)  seed=0
/// protocol=report`, in one line, and `preset quick: 4500 of 60000 images, 10 epochs`.
std::string first_lines(const Flags& flags, const RunInfo& info);

/// The most memory that this program has had so far, in MB.
double peak_memory_mb();

}  // namespace koine
