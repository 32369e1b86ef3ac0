// Looking for models; see model_folder.h.
#include "data/model_folder.h"

#include <algorithm>
#include <set>

#include "data/bytes.h"
#include "data/weights.h"

namespace koine {
namespace {

namespace fs = std::filesystem;

// NAME or ORG/NAME, of letters, digits, '.', '_' and '-'. Nothing else becomes part of a path or of an address.
bool is_plain_name(const std::string& name) {
    const auto is_part = [](std::string_view part) {
        const auto is_good = [](unsigned char c) { return std::isalnum(c) || c == '.' || c == '_' || c == '-'; };
        return !part.empty() && part[0] != '.' && part[0] != '-' && std::all_of(part.begin(), part.end(), is_good);
    };
    const std::string_view text = name;
    const size_t slash = text.find('/');
    return slash == text.npos ? is_part(text) : is_part(text.substr(0, slash)) && is_part(text.substr(slash + 1));
}

// The name itself first, then what else the model is called.
std::vector<std::string> synonyms(const std::string& name) {
    std::vector<std::string> all{name};
    for (const KnownModel& model : known_models()) {
        const auto& repositories = model.repositories;
        const bool is_it = model.name == name || std::count(repositories.begin(), repositories.end(), name) > 0;
        if (!is_it) continue;
        all.push_back(model.name);
        all.insert(all.end(), repositories.begin(), repositories.end());
    }
    return all;
}

// The folder below a data folder; "" when there is none.
std::string below(const std::string& root, const std::vector<std::string>& names) {
    for (const std::string& name : names) {
        for (const fs::path& folder : {fs::path(root) / "encoders" / name, fs::path(root) / name}) {
            if (is_model_folder(folder)) return folder.string();
        }
    }
    return "";
}

// models--ORG--NAME/refs/main holds the name of a folder in models--ORG--NAME/snapshots, whose files are links into
// models--ORG--NAME/blobs.
std::string in_hub_cache(const std::vector<std::string>& names) {
    const std::string cache = hub_cache();
    if (cache.empty()) return "";
    for (std::string name : names) {
        const size_t slash = name.find('/');
        if (slash != name.npos) name.replace(slash, 1, "--");
        const fs::path repository = fs::path(cache) / ("models--" + name);
        std::error_code ignored;
        if (!fs::is_regular_file(repository / "refs/main", ignored)) continue;
        std::string commit = read_text((repository / "refs/main").string(), 4096);
        commit.erase(commit.find_last_not_of(" \r\n") + 1);
        const fs::path snapshot = repository / "snapshots" / commit;
        if (is_plain_name(commit) && is_model_folder(snapshot)) return snapshot.string();
    }
    return "";
}

}  // namespace

bool is_model_folder(const fs::path& folder) {
    std::error_code ignored;
    return fs::is_regular_file(folder / "config.json", ignored) &&
           std::any_of(kWeightFiles.begin(), kWeightFiles.end(),
                       [&](const char* file) { return fs::is_regular_file(folder / file, ignored); });
}

// The same names are in data/sources.txt, for fetch.sh.
const std::vector<KnownModel>& known_models() {
    static const std::vector<KnownModel> all = {
        {"roberta-base", {"FacebookAI/roberta-base", "roberta-base"}},
        {"robit", {"AIDA-UPM/robit-roberta-base-it"}},
        {"umberto", {"Musixmatch/umberto-commoncrawl-cased-v1"}},
        {"minilm", {"sentence-transformers/all-MiniLM-L6-v2"}},
    };
    return all;
}

std::string short_name(const std::string& name) {
    for (const KnownModel& model : known_models()) {
        if (std::count(model.repositories.begin(), model.repositories.end(), name) > 0) return model.name;
    }
    return name;
}

std::string hub_cache() {
    const std::string hub = environment_variable("HF_HUB_CACHE"), home = environment_variable("HF_HOME");
    if (!hub.empty()) return hub;
    if (!home.empty()) return home + "/hub";
    const std::string cache = cache_home();
    return cache.empty() ? "" : cache + "/huggingface/hub";
}

std::string find_model(const std::string& name, const DataOptions& options) {
    if (is_model_folder(name)) return name;
    const auto refuse = [&] {
        throw DataError("MISSING", name, "",
                        "is neither a folder with config.json and weights (model.safetensors, pytorch_model.bin or "
                        "the index of one) nor the name of a model (roberta-base, ORG/NAME)");
    };
    if (!is_plain_name(name)) refuse();
    const std::vector<std::string> names = synonyms(name);
    for (const std::string& root : data_roots(options)) {
        const std::string found = below(root, names);
        if (!found.empty()) return found;
    }
    const std::string cached = in_hub_cache(names);
    if (!cached.empty()) return cached;
    if (fs::is_directory(name)) refuse();  // not worth asking a hub for
    const std::string cache = hub_cache();
    const std::string root = find_or_fetch(
        name, options, [&](const std::string& r) { return !below(r, names).empty(); },
        cache.empty() ? "" : "the hub's cache, " + cache);
    return below(root, names);
}

std::vector<std::string> models_at_hand(const DataOptions& options) {
    std::set<std::string> names;
    const auto folders_in = [](const fs::path& folder) {
        std::vector<std::string> found;
        std::error_code ignored;
        for (const auto& entry : fs::directory_iterator(folder, ignored)) found.push_back(entry.path().filename());
        return found;
    };
    for (const std::string& root : data_roots(options)) {
        for (const std::string& name : folders_in(fs::path(root) / "encoders")) {
            const fs::path folder = fs::path(root) / "encoders" / name;
            if (is_model_folder(folder)) names.insert(name);
            for (const std::string& inner : folders_in(folder)) {  // ORG/NAME
                if (is_model_folder(folder / inner)) names.insert(name + "/" + inner);
            }
        }
    }
    for (const std::string& repository : folders_in(hub_cache())) {
        const std::string start = "models--";
        if (!repository.starts_with(start)) continue;
        std::string name = repository.substr(start.size());
        const size_t dashes = name.find("--");
        if (dashes != name.npos) name.replace(dashes, 2, "/");
        try {
            if (!in_hub_cache({name}).empty()) names.insert(name);
        } catch (const DataError&) {  // nothing that could be used
        }
    }
    std::erase_if(names, [](const std::string& name) { return !is_plain_name(name); });
    return {names.begin(), names.end()};
}

}  // namespace koine
