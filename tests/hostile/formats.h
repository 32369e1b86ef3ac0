// Every kind of file that our programs read, as one table: a small good sample, and the function that reads it.
//
// A new reader gets a row, and with it everything in test_sweep.cpp and test_faults.cpp. Which functions open files,
// and in which row they are:
//
//   read_idx, read_labelled_images, load_images (mnist, the subset in CSV, cifar-10, cifar-100)    formats_images.cpp
//   read_cifar; the CIFAR archives by way of TarReader; names of classes
//   read_csv, load_sentiment, read_parallel_texts                                                   formats_texts.cpp
//   load_word_vectors (word2vec, text with and without header), FastText, load_word_pair            formats_words.cpp
//   open_weights (safetensors, indices of shards, both layouts of torch.save), read_pickle,         formats_weights.cpp
//   load_checkpoint, load_encoder (config.json and weights), find_model (refs/main of the hub's cache)
//   Tokenizer::load and all the files of a tokenizer's folder formats_tokenizers.cpp read_settings (a run's
//   config.json), Run (env.json), TrainLog (train.csv), read_anchors         formats_runs.cpp
//
// Not here, because they go through one of these: the cache of vectors in text_encoder.cpp and a run's checkpoints
// (load_checkpoint), anchors.json of text experiments (read_json, as read_anchors does). The images that a report
// embeds were written by the same process. .npy files are written only.
#pragma once
#include <functional>
#include <string>
#include <typeinfo>
#include <utility>
#include <vector>

#include "tests/data_samples.h"

namespace koine::testing {

struct Format {
    std::string name;
    std::string file;  ///< the sample's place below a folder; its name matters to some readers
    Bytes good;
    std::function<void(const std::string& folder)> load;  ///< reads folder/file, and uses what it has read

    size_t header = 0;                                       ///< bytes of which every bit is flipped; 0: all
    std::vector<LengthField> fields = {};                    ///< binary ones; numbers in text are found without
    bool refuses_cuts = true;                                ///< no part of it is a smaller file of the format
    std::vector<std::pair<std::string, Bytes>> beside = {};  ///< other files in the folder
    bool may_be_missing = false;                             ///< it only adds to others
    const std::type_info* other_error = nullptr;             ///< documented beside DataError
    /// It writes, too: a close() may be a reason to fail, an open() need not be one, and without memory nlohmann-json's
    /// constructor from a list loses what it has made so far.
    bool writes = false;
    bool is_loud = false;  ///< notes on stderr, which are not shown

    size_t n_header() const { return header == 0 ? good.size() : header; }
};

std::vector<Format> image_formats();
std::vector<Format> text_formats();
std::vector<Format> word_formats();
std::vector<Format> weight_formats();
std::vector<Format> tokenizer_formats();
std::vector<Format> run_formats();

/// All of them; those whose names hold $KOINE_HOSTILE_FORMAT, where it is set.
const std::vector<Format>& formats();

}  // namespace koine::testing
