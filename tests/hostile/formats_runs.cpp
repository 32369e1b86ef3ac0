// What --resume and the stitching programs read of a run's folder.
#include <nlohmann/json.hpp>

#include "experiments/common/image_data.h"
#include "experiments/common/run.h"
#include "experiments/common/train_log.h"
#include "tests/experiments_common.h"
#include "tests/hostile/formats.h"

namespace koine::testing {
namespace {

const RunInfo kInfo = {.data = "mnist", .n_train = 4500, .n_test = 500};

/// A new run's file of this name.
Bytes file_of_run(const std::string& name) {
    const TemporaryFolder folder;
    ToyConfig config;
    parse_words(config, {"--out", folder.path, "--quiet"});
    const Run run(config, kInfo);
    return contents_of(folder / name);
}

void parse_settings(const std::string& folder) {
    ToyConfig config;
    parse_words(config, {"--resume", folder, "--quiet"});
}

/// The whole of it; a link to the latest run goes below the working directory.
void resume(const std::string& folder) {
    ToyConfig config;
    parse_words(config, {"--resume", folder, "--quiet"});
    const Run run(config, kInfo);
}

}  // namespace

std::vector<Format> run_formats() {
    Bytes config = file_of_run("config.json");
    config.pop_back();  // the line end, which nobody would miss
    const Bytes env = file_of_run("env.json");
    const Bytes log = bytes_of("model,epoch,loss\na,1,0.5\na,2,0.25\nb,1,1e-3\n");
    const Bytes anchors =
        bytes_of(R"({"data_set":"mnist","source":"s","hash":"0123456789abcdef","split":"train","seed":7,)"
                 R"("strategy":"uniform","ids":[3,14,15,92]})");
    return {
        {.name = "a run's config.json",
         .file = "config.json",
         .good = config,
         .load = parse_settings,
         .header = 400,
         .other_error = &typeid(UsageError)},
        {.name = "a run's train.csv",
         .file = "train.csv",
         .good = log,
         .load = [](const std::string& folder) { TrainLog(folder + "/train.csv").curves("loss"); },
         .refuses_cuts = false,  // what stands behind the last line end is dropped
         .may_be_missing = true,
         .other_error = &typeid(ValueError)},  // no such column
        // It is compared, for a note, and written anew. Without a lock on its folder a run goes on, and says so.
        {.name = "a run's env.json",
         .file = "env.json",
         .good = env,
         .load = resume,
         .header = 40,
         .refuses_cuts = false,
         .beside = {{"config.json", config}},
         .may_be_missing = true,
         .writes = true,
         .is_loud = true},
        {.name = "anchors.json",
         .file = "anchors.json",
         .good = anchors,
         .load = [](const std::string& folder) { read_anchors(folder + "/anchors.json"); }},
    };
}

}  // namespace koine::testing
