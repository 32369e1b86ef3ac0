// Fuzz target: what a resumed run reads in its folder, and what programs read in those of others. The first byte of the
// input chooses what the rest is: config.json and env.json; train.csv; a checkpoint and anchors.json.
// A DataError or a UsageError (other settings) is the right answer to a damaged file. Every other exception, and
// whatever the sanitizers see, is a finding. What is accepted must keep the promises of run.h, train_log.h and
// image_data.h.
#include "data/bytes.h"
#include "experiments/common/image_data.h"
#include "experiments/common/run.h"
#include "tests/fuzz/fuzz_file.h"

using namespace koine;
using namespace koine::testing;

namespace {

void resume(FuzzFolder& folder, ByteSpan rest) {
    const auto parts = parts_of(rest, 3);
    folder.put("run/config.json", parts[0]);
    folder.put("run/env.json", parts[1]);
    folder.put("run/train.csv", parts[2]);
    const std::string where = folder / "run";
    const char* arguments[] = {"fuzz", "--resume", where.c_str(), "--quiet", "--device", "cpu"};
    Flags flags;
    flags.name = "fuzz";
    flags.data_sets = {"mnist", "synthetic"}, flags.data_set = "synthetic";
    must(parse(flags, int(std::size(arguments)), arguments));
    must(flags.epochs >= 1 && flags.batch_size >= 1 && flags.lr > 0 && flags.seeds >= 1);
    must(flags.data_set == "mnist" || flags.data_set == "synthetic");
    RunInfo info;
    info.device = "cpu";
    // A run puts a link to itself below the working directory, which is the scratch folder meanwhile.
    const auto home = std::filesystem::current_path();
    std::filesystem::current_path(folder.path);
    try {
        const Run run(flags, info);
        must(run.is_resumed() && read_text(where + "/env.json").starts_with("{"));
    } catch (...) {
        std::filesystem::current_path(home);
        throw;
    }
    std::filesystem::current_path(home);
}

void read_log(FuzzFolder& folder, ByteSpan rest) {
    const std::string path = folder.put("train.csv", rest);
    TrainLog log(path);
    try {
        const std::vector<Series> curves = log.curves("loss");
        for (const Series& series : curves) must(series.x.size() == series.y.size() && !series.x.empty());
        log.add("absolute-0", 3, {{"loss", 0.5}});
        must(TrainLog(path).curves("loss").size() >= 1);
    } catch (const ValueError&) {  // no such column; a row of other names
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    static FuzzFolder folder;
    const ByteSpan rest(data + 1, size - 1);
    try {
        switch (data[0] % 4) {
            case 0: resume(folder, rest); break;
            case 1: read_log(folder, rest); break;
            case 2: must(!read_anchors(folder.put("anchors.json", rest)).ids.empty()); break;
            default: {
                const auto parts = parts_of(rest, 2);
                const std::string anchors = folder.put("anchors.json", parts[0]);
                const SavedModel model = open_model(folder.put("ckpt/relative-0.safetensors", parts[1]), anchors);
                must(!model.form.is_relative() || int64_t(model.anchors.ids.size()) == model.form.n_anchors);
            }
        }
    } catch (const DataError&) {
    } catch (const UsageError&) {
    }
    return 0;
}
