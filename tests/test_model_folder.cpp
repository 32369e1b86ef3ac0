// data/model_folder.h: where models are looked for, and what is said when they are not there. No network.
#include "data/model_folder.h"

#include <fstream>
#include <sstream>

#include "tests/data_samples.h"

using namespace koine;
using namespace koine::testing;
namespace fs = std::filesystem;

namespace {

/// Three places, all in a scratch folder: --data, $KOINE_DATA and the caches.
struct Places {
    Places()
        : data("KOINE_DATA", scratch / "shared"),
          cache("XDG_CACHE_HOME", scratch / "cache"),
          hub("HF_HUB_CACHE", nullptr),
          home("HF_HOME", nullptr) {
        options.dir = scratch / "dir";
        options.is_offline = true;
    }
    void add(const std::string& folder, const std::string& weights = "model.safetensors") const {
        scratch.write(folder + "/config.json", {});
        scratch.write(folder + "/" + weights, {});
    }
    /// Adds a model as transformers keeps them: the files of a snapshot are links to blobs.
    void add_to_hub(const std::string& cache_folder, const std::string& repository, const std::string& commit) const {
        const std::string root = cache_folder + "/" + repository;
        scratch.write(root + "/refs/main", bytes_of(commit));
        fs::create_directories(scratch / root + "/snapshots/" + commit);
        for (const char* file : {"config.json", "model.safetensors"}) {
            scratch.write(root + "/blobs/" + file + "-blob", {});
            fs::create_symlink(std::string("../../blobs/") + file + "-blob",
                               scratch / root + "/snapshots/" + commit + "/" + file);
        }
    }
    std::string find(const std::string& name) const { return find_model(name, options); }

    ScratchFolder scratch;
    EnvironmentVariable data, cache, hub, home;
    DataOptions options;
};

}  // namespace

TEST_CASE("a folder with a config and weights is a model", "[data][model_folder]") {
    const Places places;
    const std::string folder = places.scratch / "mine";
    CHECK_FALSE(is_model_folder(folder));
    places.scratch.write("mine/config.json", {});
    CHECK_FALSE(is_model_folder(folder));
    places.scratch.write("mine/pytorch_model.bin.index.json", {});
    CHECK(is_model_folder(folder));
    CHECK(places.find(folder) == folder);
}

TEST_CASE("models are found below the data folders, best first", "[data][model_folder]") {
    const Places places;
    places.add("cache/koine/encoders/roberta-base");
    CHECK(places.find("roberta-base") == places.scratch / "cache/koine/encoders/roberta-base");
    places.add("shared/roberta-base", "pytorch_model.bin");
    CHECK(places.find("roberta-base") == places.scratch / "shared/roberta-base");
    places.add("shared/encoders/roberta-base");
    CHECK(places.find("roberta-base") == places.scratch / "shared/encoders/roberta-base");
    places.add("dir/encoders/roberta-base");
    CHECK(places.find("roberta-base") == places.scratch / "dir/encoders/roberta-base");
    // One model, whatever it is called.
    CHECK(places.find("FacebookAI/roberta-base") == places.scratch / "dir/encoders/roberta-base");
    places.add("dir/encoders/Musixmatch/umberto-commoncrawl-cased-v1");
    CHECK(places.find("umberto") == places.scratch / "dir/encoders/Musixmatch/umberto-commoncrawl-cased-v1");
    places.add("dir/encoders/org/other");
    CHECK(places.find("org/other") == places.scratch / "dir/encoders/org/other");
    // Without weights it is none, and the search goes on.
    places.scratch.write("dir/encoders/robit/config.json", {});
    places.add("shared/encoders/robit");
    CHECK(places.find("robit") == places.scratch / "shared/encoders/robit");
}

TEST_CASE("models are found in the hub's cache", "[data][model_folder]") {
    const Places places;
    const std::string file = "/models--FacebookAI--roberta-base/snapshots/e2da8e2/config.json";
    places.add_to_hub("cache/huggingface/hub", "models--FacebookAI--roberta-base", "e2da8e2");
    const std::string found = places.find("roberta-base");
    CHECK(found + "/config.json" == places.scratch / "cache/huggingface/hub" + file);
    CHECK(places.find("FacebookAI/roberta-base") == found);
    CHECK(hub_cache() == places.scratch / "cache/huggingface/hub");
    {
        const EnvironmentVariable home("HF_HOME", places.scratch / "home");
        CHECK(kind_of([&] { places.find("roberta-base"); }) == "MISSING");
        places.add_to_hub("home/hub", "models--roberta-base", "0123abc");  // as it was called before
        places.scratch.write("home/hub/models--roberta-base/refs/main", bytes_of("0123abc\n"));
        CHECK(places.find("roberta-base") == places.scratch / "home/hub/models--roberta-base/snapshots/0123abc");
        const EnvironmentVariable hub("HF_HUB_CACHE", places.scratch / "cache/huggingface/hub");
        CHECK(places.find("roberta-base") == found);
    }
    // A data folder comes first.
    places.add("shared/encoders/roberta-base");
    CHECK(places.find("roberta-base") == places.scratch / "shared/encoders/roberta-base");
    fs::remove_all(places.scratch / "shared");

    // A download that is not finished, a commit that is a path.
    fs::remove(places.scratch / "cache/huggingface/hub" + std::string("/models--FacebookAI--roberta-base/blobs/") +
               "model.safetensors-blob");
    CHECK(kind_of([&] { places.find("roberta-base"); }) == "MISSING");
    places.add("elsewhere");
    for (const char* commit : {"../../../../../elsewhere", "", "/", "..", "e2da8e3"}) {
        places.scratch.write("cache/huggingface/hub/models--org--x/refs/main", bytes_of(commit));
        CHECK(kind_of([&] { places.find("org/x"); }) == "MISSING");
    }
    places.scratch.write("cache/huggingface/hub/models--org--x/refs/main", Bytes(10000, 'a'));
    CHECK(kind_of([&] { places.find("org/x"); }) == "LIMIT");
}

TEST_CASE("a model that is nowhere: where it was looked for, and how it is fetched", "[data][model_folder]") {
    const Places places;
    const std::string places_text = "looked below " + (places.scratch / "dir") + ", " + (places.scratch / "shared") +
                                    ", " + (places.scratch / "cache/koine") + ", and in the hub's cache, " +
                                    (places.scratch / "cache/huggingface/hub");
    check_refused([&] { places.find("roberta-base"); }, "MISSING", places_text);
    check_refused([&] { places.find("roberta-base"); }, "MISSING",
                  "fetch.sh roberta-base --to " + (places.scratch / "dir"));
    check_refused([&] { places.find("org/x"); }, "MISSING", "fetch.sh org/x --to ");
    // Nothing but a name becomes part of a path or of a command.
    places.add("outside");
    for (const char* name :
         {"", "../outside", "a/b/c", "/nowhere", "a b", "x;y", "--to", ".hidden", "org/../../outside"}) {
        INFO(name);
        check_refused([&] { places.find(name); }, "MISSING", "nor the name of a model");
    }
}

TEST_CASE("the models at hand, by name", "[data][model_folder]") {
    const Places places;
    const auto at_hand = [&] { return models_at_hand(places.options); };
    using Names = std::vector<std::string>;
    CHECK(at_hand() == Names{});
    {  // no folder at all to look in
        const EnvironmentVariable data("KOINE_DATA", nullptr), cache("XDG_CACHE_HOME", nullptr), home("HOME", nullptr);
        CHECK(models_at_hand({}) == Names{});
    }

    places.add("shared/encoders/umberto");
    places.add("shared/encoders/org/other", "pytorch_model.bin");
    places.add("cache/koine/encoders/minilm", "model.safetensors.index.json");
    places.add_to_hub("cache/huggingface/hub", "models--Musixmatch--umberto-x", "0123abc");
    places.add_to_hub("cache/huggingface/hub", "models--roberta-base", "e2da8e2");
    const Names all = {"Musixmatch/umberto-x", "minilm", "org/other", "roberta-base", "umberto"};
    CHECK(at_hand() == all);
    // Each of the names is one that find_model takes.
    for (const std::string& name : at_hand()) CHECK(is_model_folder(places.find(name)));

    // Once, wherever it is.
    places.add("dir/encoders/umberto");
    places.add("cache/koine/encoders/roberta-base");
    CHECK(at_hand() == all);

    // No model: without weights, without config, a file, a download that is not finished, what is no name.
    places.scratch.write("dir/encoders/robit/config.json", {});
    places.scratch.write("dir/encoders/weights/model.safetensors", {});
    places.scratch.write("dir/encoders/notes.txt", {});
    places.scratch.write("dir/encoders/org/half/config.json", {});
    places.scratch.write("cache/huggingface/hub/models--org--begun/refs/main", bytes_of("0123abc"));
    fs::create_directories(places.scratch / "cache/huggingface/hub/models--org--begun/snapshots/0123abc");
    places.add("cache/huggingface/hub/datasets--org--texts/snapshots/0123abc");
    places.add("dir/encoders/.hidden");
    places.add("dir/encoders/with blank");
    places.add("dir/encoders/a/b/c");
    CHECK(at_hand() == all);

    // The variables decide, as in find_model.
    const EnvironmentVariable hub("HF_HUB_CACHE", places.scratch / "nowhere");
    const EnvironmentVariable data("KOINE_DATA", nullptr);
    CHECK(at_hand() == Names{"minilm", "roberta-base", "umberto"});
}

TEST_CASE("short names are the same here and in data/sources.txt", "[data][model_folder]") {
    if (project_file("data/sources.txt").empty()) SKIP_TEST("no data/sources.txt");
    std::ifstream in(project_file("data/sources.txt"));
    std::vector<std::pair<std::string, std::string>> rows, known;
    std::string line, name, kind, repository;
    while (std::getline(in, line)) {
        std::istringstream words(line);
        if (words >> name >> kind >> repository && kind == "hub") rows.emplace_back(name, repository);
    }
    for (const KnownModel& model : known_models()) known.emplace_back(model.name, model.repositories.front());
    CHECK(rows == known);
    CHECK(rows.size() == 4);
}

TEST_CASE("repositories of the table have short names, others keep theirs", "[data][model_folder]") {
    CHECK(short_name("FacebookAI/roberta-base") == "roberta-base");
    CHECK(short_name("sentence-transformers/all-MiniLM-L6-v2") == "minilm");
    CHECK(short_name("minilm") == "minilm");
    CHECK(short_name("some/model") == "some/model");
}
