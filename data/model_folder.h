// Where a published model lies on this machine: config.json, tokenizer files and weights in one folder. What is in them
// is nn/pretrained.h and data/tokenizer.h.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "data/locate.h"

namespace koine {

/// Whether a folder holds a config.json and weights (kWeightFiles of weights.h).
bool is_model_folder(const std::filesystem::path& folder);

/// A model that has a short name here, and its repositories on the hub: the present one, and one that it had before.
struct KnownModel {
    std::string name;
    std::vector<std::string> repositories;
};
const std::vector<KnownModel>& known_models();
/// The short name of a model that has one; any other name as it is.
std::string short_name(const std::string& name);

/// The folder in which transformers and its relatives keep what they fetch: $HF_HUB_CACHE, else $HF_HOME/hub, else
/// ${XDG_CACHE_HOME:-~/.cache}/huggingface/hub; "" when none of the variables is set.
std::string hub_cache();

/// The folder of a model, which `name` gives as
///   a path, if it is a folder that holds a model;
///   a short name, roberta-base, robit, umberto or minilm, or a repository of the hub, ORG/NAME: looked for as
///   encoders/NAME and NAME below the folders of data_roots(), then in hub_cache(), then fetched by data/fetch.sh.
/// Throws DataError(MISSING), which lists where it looked and the command that fetches, when there is none.
std::string find_model(const std::string& name, const DataOptions& options);

/// The models in encoders/ below the folders of data_roots() and in hub_cache(), by names that find_model() takes, in
/// alphabetical order. A cache that is damaged holds none.
std::vector<std::string> models_at_hand(const DataOptions& options);

}  // namespace koine
