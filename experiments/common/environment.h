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
    std::string gpu = {};             // the name of the GPU, and what it is
    std::string why_cpu = {};         // when auto came to the CPU, what is missing for a GPU, in few words
};

/// The device that --device comes to, auto to the GPU when there is one that can be used; never a silent fall-back.
/// Sets uses_tf32() to --tf32. Throws DeviceError, saying what is missing, UsageError for --tf32 where no product would
/// round so. Cheap, and to be called before anything is loaded.
Device choose_device(const Flags& flags);
/// The same, and what is said about it in `info`.
Device choose_device(const Flags& flags, RunInfo& info);

/// Version, compiler, vector unit, BLAS and its kernel, threads, OpenMP wait policy, device, GPU and how its products
/// round. No name of the machine.
OrderedJson environment(const Flags& flags, const RunInfo& info);

/// `device=cpu (2 threads, OpenBLAS 0.3.21 Cooperlake; auto: built without CUDA)`, or
/// `device=cuda (NVIDIA H200 (sm_90, 139.8 GB; driver 13.0, runtime 13.0))`.
std::string device_text(const Flags& flags, const RunInfo& info);

/// `koine 0.1.0  ae_stitch  data=mnist(4500/500)  device=cpu (2 threads, OpenBLAS 0.3.21 Cooperlake)  seed=0
/// protocol=report`, in one line, and `preset quick: 4500 of 60000 images, 10 epochs`.
std::string first_lines(const Flags& flags, const RunInfo& info);

/// The most memory that this program has had so far, in MB.
double peak_memory_mb();

}  // namespace koine
