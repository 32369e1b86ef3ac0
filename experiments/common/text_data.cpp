#include "experiments/common/text_data.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "autograd/ops.h"
#include "data/json.h"
#include "data/model_folder.h"
#include "data/synthetic_texts.h"
#include "experiments/common/progress.h"
#include "experiments/common/run_main.h"
#include "experiments/common/text_encoder.h"

namespace koine {
namespace {

using Texts = std::vector<std::string>;

struct Language {
    const char *key, *name, *folder;
};
const Language kEnglish = {"en", "English", "english"};
const Language kItalian = {"it", "Italian", "italian"};

// flags.en or flags.it.
template <class F>
auto& side_of(F& flags, const Language& language) {
    return &language == &kEnglish ? flags.en : flags.it;
}

constexpr int64_t kSyntheticAnchors = 400;

bool is_synthetic(const TextFlags& flags) { return flags.data_set == "synthetic"; }

// E5 models were trained on texts that begin with "query: " or "passage: " (Wang et al. 2022, arXiv 2212.03533).
bool wants_query(const std::string& model) {
    return std::filesystem::path(model).filename().string().find("e5") != std::string::npos;
}

// ---- encoders that are not there ------------------------------------------------------------------------------------

// Of the models at hand the first of these short names; "" when there is none of them.
std::string pick(const Texts& at_hand, const Texts& wanted) {
    for (const std::string& name : wanted) {
        for (const std::string& model : at_hand) {
            if (short_name(model) == name) return model;
        }
    }
    return "";
}

// What a user can do who has not got the encoders that were asked for.
std::string advice(const TextFlags& flags) {
    const Texts at_hand = models_at_hand(data_options(flags)), english = {"roberta-base", "minilm"};
    if (at_hand.empty()) return "No model is at hand. --data-set synthetic needs none";
    std::string text = "At hand:";
    for (const std::string& name : at_hand) text += " " + name;
    Texts others = at_hand;  // of a language that we do not know
    std::erase_if(others, [&](const std::string& model) { return !pick({model}, english).empty(); });
    std::string en = pick(at_hand, english), it = pick(at_hand, {"robit", "umberto"});
    if (it.empty() && !others.empty()) it = others[0];
    if (it.empty()) return text + ", none of them for Italian. --data-set synthetic needs no model";
    // minilm comes from a package index, too, where the hub does not answer.
    const bool is_fetched = en.empty() && !flags.offline;
    if (en.empty()) en = is_fetched ? "minilm" : it;
    text += ". This runs with them: ./experiments/text_classification --encoder-en " + en + " --encoder-it " + it;
    if (wants_query(it)) text += " --prefix-it \"query: \"";
    if (wants_query(en)) text += " --prefix-en \"query: \"";
    return text + (is_fetched ? " (minilm is fetched: 90 MB)" : "");
}

// Before anything is read or computed: what cannot end well.
void require_usable(const TextFlags& flags) {
    if (flags.en.anchors.empty() != flags.it.anchors.empty())
        throw UsageError("--anchors-en and --anchors-it: expected both files, or neither");
    for (const Language* language : {&kEnglish, &kItalian}) {
        try {
            find_model(side_of(flags, *language).encoder, data_options(flags));
        } catch (const DataError& error) {
            const std::string what = error.what();  // "... [MISSING]"
            throw DataError(error.kind, std::string("the encoder for ") + language->name, "",
                            what.substr(0, what.rfind(" [")) + ". " + advice(flags));
        }
    }
}

// ---- vectors ------------------------------------------------------------------------------------------------------

// One block after the other, each of which stays in the cache whatever comes after it.
template <class F>
Tensor in_blocks(TextEncoder& encoder, const Texts& texts, F say_progress) {
    constexpr size_t kBlock = 512;
    std::vector<Var> blocks;
    for (size_t begin = 0; begin < texts.size(); begin += kBlock) {
        const size_t end = std::min(begin + kBlock, texts.size());
        blocks.emplace_back(encoder.encode({texts.begin() + int64_t(begin), texts.begin() + int64_t(end)}));
        say_progress();
        if (interrupted()) throw Interruption("interrupted; the vectors that are done are in the cache");
    }
    const NoGrad no_grad;
    return concat(blocks, 0).value;
}

TextVectors encode(const TextFlags& flags, const Language& language, const std::vector<Texts>& lists,
                   std::vector<std::string>& notes) {
    TextVectors vectors;
    if (is_synthetic(flags)) {
        vectors.encoder = vectors.weights = std::string("a random map of made-up ") + language.name;
        for (const Texts& texts : lists)
            vectors.of.push_back(synthetic_encode(texts, language.folder, uint64_t(flags.seed)));
        return vectors;
    }
    const auto start = std::chrono::steady_clock::now();
    const TextFlags::Side& side = side_of(flags, language);
    TextEncoder encoder({.model = side.encoder,
                         .pooling = flags.pool == "mean" ? Pooling::mean : Pooling::cls,
                         .prefix = side.prefix,
                         .max_tokens = flags.max_tokens,
                         .uses_cache = !flags.no_cache,
                         .device = choose_device(flags)},
                        data_options(flags));
    vectors.encoder = encoder.description();
    vectors.weights = encoder.hash();
    if (!flags.quiet)
        std::fprintf(stderr, "%s: %s\n  %s\n", language.name, encoder.folder().c_str(), vectors.encoder.c_str());
    size_t n_texts = 0;
    for (const Texts& texts : lists) n_texts += texts.size();
    const bool has_bar = !flags.quiet && is_terminal();
    for (const Texts& texts : lists) {
        vectors.of.push_back(in_blocks(encoder, texts, [&] {
            const auto done = static_cast<long long>(encoder.counts().n_texts);
            if (has_bar) std::fprintf(stderr, "\r\033[K  %lld of %zu texts", done, n_texts);
        }));
    }
    if (has_bar) std::fputs("\r\033[K", stderr);
    const EncoderCounts& n = encoder.counts();
    if (!flags.quiet) {
        const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
        std::fprintf(
            stderr, "  %lld texts, %lld of them from the cache; %lld tokens computed in %s; peak memory %s MB\n",
            static_cast<long long>(n.n_texts), static_cast<long long>(n.n_cached), static_cast<long long>(n.n_tokens),
            duration(seconds.count()).c_str(), fixed(peak_memory_mb(), 0).c_str());
    }
    if (n.n_cut > 0) {
        notes.push_back(std::string(language.name) + ": " + std::to_string(n.n_cut) +
                        " texts were longer than the encoder takes; their ends were cut off.");
    }
    if (wants_query(side.encoder) && side.prefix.empty()) {
        notes.push_back(side.encoder + " looks like an E5 model, which expects --prefix-" + language.key +
                        " \"query: \" in front of every text.");
    }
    return vectors;
}

ParallelTexts load_anchors(const TextFlags& flags) {
    const auto file = [&](const Language& language) {
        const std::string& given = side_of(flags, language).anchors;
        return given.empty() ? shipped_anchor(language.folder) : given;
    };
    return read_parallel_texts(file(kEnglish), file(kItalian));
}

void require_enough(const ParallelTexts& anchors, int64_t n_anchors) {
    if (n_anchors > anchors.size()) {
        throw UsageError("--anchors " + std::to_string(n_anchors) + ": there are " + std::to_string(anchors.size()) +
                         " pairs in " + anchors.source);
    }
}

std::string repairs_note(const LanguageTexts& l) {
    const TextRepairs& r = l.texts.repairs;
    const auto part = [](int64_t n, const char* what) { return std::to_string(n) + " " + what; };
    return l.name + " texts repaired: " + part(r.n_escapes, "with \\uXXXX or \\\" written out, ") +
           part(r.n_quotes, "with quotes in a row, ") + part(r.n_entities, "with HTML entities, ") +
           part(r.n_blanks, "with blanks at an end or in a row (--raw leaves them as they are).");
}

}  // namespace

TextFlags::TextFlags() {
    data_sets = {"sentiment", "synthetic"}, data_set = "sentiment";
    unused = {"full", "tf32"};  // vectors in the cache do not say how they were rounded
    en.encoder = "roberta-base", it.encoder = "robit";
}

std::vector<Switch> TextFlags::switches() {
    std::vector<Switch> list = Flags::switches();
    const auto add_side = [&](const Language& language) {
        const std::string suffix = std::string("-") + language.key, of = language.name;
        Side& side = side_of(*this, language);
        list.push_back({"encoder" + suffix, &side.encoder, "folder or name of the encoder for " + of, {}, {}, "MODEL"});
        list.push_back({"prefix" + suffix, &side.prefix, "put in front of every " + of + " text, such as \"query: \""});
        list.push_back({"anchors" + suffix,
                        &side.anchors,
                        of + " anchors, one a line, aligned with the other file; else those of the project",
                        {},
                        {},
                        "FILE"});
    };
    add_side(kEnglish);
    add_side(kItalian);
    list.push_back({"anchors", &n_anchors, "anchors in use, drawn by the seed; 0: all in the files"});
    list.push_back({"pool", &pool, "mean of a text's tokens, or its first token", {}, {"mean", "cls"}});
    list.push_back({"max-tokens", &max_tokens, "cut longer texts off there; 0: what the encoder takes"});
    list.push_back({"text-column", &text_column, "of the CSV files"});
    list.push_back({"label-column", &label_column, "of the CSV files: negative, neutral or positive"});
    list.push_back({"raw", &is_raw, "do not repair \\uXXXX, quotes, HTML entities and blanks in texts"});
    list.push_back({"no-cache", &no_cache, "compute all vectors anew and keep none", {}, {}, "", false});
    return list;
}

TextData load_text_data(const TextFlags& flags) {
    TextData data;
    data.name = flags.data_set;
    if (is_synthetic(flags)) {
        const int64_t n_train = flags.train_limit > 0 ? flags.train_limit : 1800;
        const int64_t n_test = flags.test_limit > 0 ? flags.test_limit : 600;
        SyntheticTexts made_up = synthetic_texts(n_train, n_test, kSyntheticAnchors, uint64_t(flags.seed));
        data.en.texts = made_up.en, data.it.texts = made_up.it, data.anchors = made_up.anchors;
        data.notes.push_back("Made-up languages and encoders: the numbers say nothing about real ones.");
    } else {
        require_usable(flags);
        data.anchors = load_anchors(flags);
        const SentimentOptions options = {data_options(flags), flags.text_column, flags.label_column, flags.is_raw};
        data.en.texts = load_sentiment(kEnglish.folder, options);
        data.it.texts = load_sentiment(kItalian.folder, options);
    }
    require_enough(data.anchors, flags.n_anchors);
    const auto run = [&](LanguageTexts& l, const Language& language, const Texts& anchors) {
        const SentimentSet& t = l.texts;
        l.key = language.key, l.name = language.name;
        l.vectors = encode(flags, language, {t.train.texts, t.valid.texts, t.test.texts, anchors}, data.notes);
        if (!flags.is_raw && !is_synthetic(flags)) data.notes.push_back(repairs_note(l));
    };
    run(data.en, kEnglish, data.anchors.en);
    run(data.it, kItalian, data.anchors.it);
    if (data.en.vectors.weights == data.it.vectors.weights) {
        data.notes.push_back(
            "Both languages are read with the same weights. An encoder of many languages is aligned by its training: "
            "absolute vectors can be exchanged, too.");
    }
    return data;
}

ExplainedText load_explained_text(const TextFlags& flags, const std::string& text) {
    ExplainedText e;
    if (is_synthetic(flags)) {
        e.anchors = synthetic_texts(0, 0, kSyntheticAnchors, uint64_t(flags.seed)).anchors;
    } else {
        require_usable(flags);
        e.anchors = load_anchors(flags);
    }
    require_enough(e.anchors, flags.n_anchors);
    std::vector<std::string> notes;
    e.en = encode(flags, kEnglish, {{text}, e.anchors.en}, notes);
    e.it = encode(flags, kItalian, {{text}, e.anchors.it}, notes);
    for (const std::string& note : notes) std::fprintf(stderr, "note: %s\n", note.c_str());
    return e;
}

RunInfo text_run_info(const TextFlags& flags, const TextData& data) {
    RunInfo info;
    choose_device(flags, info);
    info.data = flags.data_set;
    info.n_train = data.en.texts.train.size(), info.n_test = data.en.texts.test.size();
    return info;
}

void record_anchors(const Run& run, const TextData& data, const std::vector<std::vector<int32_t>>& lines) {
    const OrderedJson now = {{"source", data.anchors.source},
                             {"hash", data.anchors.hash},
                             {"english", data.en.texts.hash},
                             {"italian", data.it.texts.hash},
                             {"encoder_en", data.en.vectors.weights},
                             {"encoder_it", data.it.vectors.weights},
                             {"lines_from_0", lines}};
    const auto file = run.folder() / "anchors.json";
    if (run.is_resumed() && std::filesystem::exists(file)) {
        const OrderedJson then = read_json(file.string());
        for (const char* key : {"hash", "english", "italian", "encoder_en", "encoder_it"}) {
            if (then.contains(key) && then[key] == now[key]) continue;
            throw DataError("VALUE", file.string(), key,
                            "the run was begun with other texts, anchors or encoders than its settings give here");
        }
        return;
    }
    run.write_json("anchors.json", now);
}

}  // namespace koine
