// Looks words up: near which words are they in A, near which in B, and near which words of B does a word of A land when
// it crosses over by its cosines with the anchors alone.
//
//   ./experiments/words near school ferrari
//   ./experiments/words translate school
//
// `translate` uses nothing that connects the two spaces but the 300 anchor words: the word's code in A is compared with
// the codes of all words in B. That the word itself comes back is what relative representations are about.
#include "experiments/common/run_main.h"
#include "experiments/common/table.h"
#include "experiments/common/word_data.h"
#include "nn/retrieval.h"

using namespace koine;

struct Config : WordFlags {
    Config() {
        name = "words", about = "neighbours of words in one space, in the other, and across";
        arguments_help = "near|translate WORD...";
        unused.insert(unused.end(), {"seeds", "full", "out", "json", "device"});
    }
};

Tensor row_of(const Tensor& x, int64_t row) { return x.slice(0, row, row + 1); }

Table translate(const WordPair& pair, const Config& config, const std::vector<int64_t>& rows) {
    const auto anchors = choose_word_anchors(config.anchor_strategy, config.n_anchors, uint64_t(config.seed), pair);
    const Spaces codes = relative_codes({centred_directions(pair.a), centred_directions(pair.b)}, anchors);
    Table table("Words across, by their cosines with " + std::to_string(anchors.size()) + " anchor words",
                {"word", "from A, lands in B near", "from B, lands in A near"});
    for (const int64_t row : rows) {
        table.add({pair.words[size_t(row)], listed(pair, nearest_rows(row_of(codes.a, row), codes.b, config.k)),
                   listed(pair, nearest_rows(row_of(codes.b, row), codes.a, config.k))});
    }
    table.note("Each space's mean is subtracted first. " + std::to_string(pair.size()) + " words to land near.");
    return table;
}

int main(int argc, char** argv) {
    Config config;
    return run_main(config, argc, argv, [&] {
        const std::string command = config.arguments.empty() ? "" : config.arguments[0];
        if ((command != "near" && command != "translate") || config.arguments.size() < 2) {
            throw UsageError("expected: words near|translate WORD..., such as: words translate school");
        }
        const WordPair pair = load_words(config);
        if (!config.quiet) std::fprintf(stderr, "A: %s\nB: %s\n", pair.source_a.c_str(), pair.source_b.c_str());
        std::vector<std::string> notes;
        std::vector<int64_t> rows;
        for (size_t i = 1; i < config.arguments.size(); i++)
            rows.push_back(find_or_replace(pair, config.arguments[i], notes));
        Table table = command == "near" ? neighbours_table(pair, rows, config.k) : translate(pair, config, rows);
        for (const std::string& note : notes) table.note(note);
        std::fputs(table.text().c_str(), stdout);
    });
}
