// Published encoders from their folders: config.json and the weights beside it, under the names that transformers
// gives them, into a TransformerEncoder.
//
//   const PretrainedEncoder roberta = load_encoder("encoders/roberta-base");
//   const Var states = (*roberta.model)(PackedTokens::from({{0, 31414, 232, 2}}));
//
// Where a folder is found is data/model_folder.h; the formats of weights are data/weights.h; text to ids is
// data/tokenizer.h.
#pragma once
#include <filesystem>

#include "data/json.h"
#include "nn/transformer.h"

namespace koine {

/// Reads a config.json, of the model types roberta, camembert, xlm-roberta and bert. Fields that have no influence on
/// the forward pass are not looked at. Throws DataError: what read_json throws; MISSING for a field that must be there;
/// VALUE for one out of range, for a choice that is not known here (the known ones are listed), and for models that are
/// no encoders.
EncoderConfig read_encoder_config(const std::filesystem::path& file);
EncoderConfig encoder_config(const JsonObject& config);

struct PretrainedEncoder {
    std::unique_ptr<TransformerEncoder> model;  ///< in eval mode
    std::string file;                           ///< the weights
    /// 16 hexadecimal digits: of the numbers in the config and of the weights as they are in memory, so the same for
    /// all formats.
    std::string hash;
    std::vector<std::string> ignored;   ///< tensors of the file that an encoder has no use for: heads, fixed tables
    std::vector<std::string> warnings;  ///< what was odd but harmless in the file
};

/// Loads the encoder in a folder. Memory: the encoder and a few MB, whatever the format; nothing is allocated before
/// all shapes are known to fit.
///
/// Names in the file may have the prefixes "module.", "model.", "0.auto_model.", "roberta." and "bert."; LayerNorm may
/// have gamma and beta for weight and bias. Heads (lm_head, cls, classifier, qa_outputs) and the fixed tables
/// (position_ids, token_type_ids) are ignored; the pooler is there when the file has one.
///
/// Throws DataError: what read_encoder_config, open_weights_in and WeightFile::read throw; DTYPE for weights that are
/// no fractions; VALUE for a weight that is not finite, and for a head that is to share the word embeddings but has
/// others. CheckpointError when names or shapes do not fit the config, with all of them and the config's numbers.
PretrainedEncoder load_encoder(const std::filesystem::path& folder);

}  // namespace koine
