// One classifier, two languages: section 6 of the report, section 5.2 of the paper (Moschella et al., ICLR 2023).
//
// An English encoder and an Italian one were trained by different people on different texts: a vector of one means
// nothing to the other. Here a small classifier of sentiment learns from English vectors and then reads Italian ones,
// with no training in between. In absolute coordinates it guesses. In relative ones, the cosines of a text with a few
// hundred anchor sentences, each language with its own translation of them, it understands a language it never saw.
//
// Expect (MiniLM for English, a small multilingual E5 for Italian, 400 anchors, 5 seeds; accuracy, chance is 0.333,
// under two minutes on 2 cores): absolute 0.58 on English, 0.34 on Italian; relative 0.58 and 0.56, with the mean of
// the anchors subtracted first 0.57 and 0.49. With translated tweets as anchors 0.59 and 0.48, centred 0.57 and 0.56. A
// classifier that was trained on Italian reaches 0.62.
//
// With --device cuda the encoders run there. The classifiers stay on the CPU: a step of one (100 thousand weights, 32
// codes) is too little work for a GPU, which would take them one after the other; the cores take one each.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <optional>

#include "data/batches.h"
#include "experiments/common/progress.h"
#include "experiments/common/run_main.h"
#include "experiments/common/text_data.h"
#include "experiments/common/text_report.h"
#include "nn/checkpoint.h"
#include "nn/evaluate.h"
#include "nn/layers.h"
#include "nn/optim.h"
#include "nn/relative.h"

using namespace koine;

struct Config : TextFlags {
    std::string head, sweep = "10,25,50,100,200", explain;
    bool center = false;

    Config() {
        name = "text_classification",
        about = "a classifier of English texts reads Italian ones, with no training in between";
        seeds = 5;
    }
    void set_defaults() override {
        const bool is_paper = protocol == "paper";
        head = is_paper ? "paper" : "report", pool = is_paper ? "cls" : "mean";
        epochs = is_paper ? 5 : 20, batch_size = 32;
    }
    std::vector<Switch> switches() override {
        std::vector<Switch> list = TextFlags::switches();
        list.push_back(
            {"head", &head, "the classifier: the report's, or that of the paper's code", {}, {"report", "paper"}});
        list.push_back({"sweep", &sweep, "train with so many anchors, too; none: do not", {}, {}, "N,N,..."});
        list.push_back({"explain", &explain, "train nothing; show the anchors nearest to this text", {}, {}, "TEXT"});
        list.push_back({"center", &center, "with --explain: subtract the anchors' mean first"});
        return list;
    }
    std::vector<int64_t> sweep_sizes() const;
};

std::vector<int64_t> Config::sweep_sizes() const {
    std::vector<int64_t> sizes;
    if (sweep == "none") return sizes;
    for (const std::string& number : split_list(sweep)) {
        int64_t n = 0;
        if (!read_number(number, n) || n < 1)
            throw UsageError("--sweep " + sweep + ": '" + number + "' is not a number of anchors");
        sizes.push_back(n);
    }
    std::sort(sizes.begin(), sizes.end());
    sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
    return sizes;
}

// ---- what a classifier sees of a text -------------------------------------------------------------------------------

/// Training, validation and test texts of a language as rows of codes.
struct Codes {
    Tensor train, valid, test;
};

/// The codes of a language: "absolute", what the encoder says; "relative", cosines with the anchors of that language on
/// these lines; "relative_centered", the same with the mean of these anchors subtracted from texts and anchors.
Codes codes_of(const LanguageTexts& language, const std::string& kind, const std::vector<int32_t>& lines) {
    if (kind == "absolute") return {language.train(), language.valid(), language.test()};
    const NoGrad no_grad;
    const Var anchors = gather_rows(language.anchors(), lines);
    const Var origin = kind == "relative" ? Var(Tensor::scalar(0)) : mean(anchors, {0});
    const auto code = [&](const Tensor& x) { return relative(Var(x) - origin, anchors - origin).value; };
    return {code(language.train()), code(language.valid()), code(language.test())};
}

// ---- the classifier -------------------------------------------------------------------------------------------------

/// Each row at length 1.
struct UnitRows : StatelessModule {
    Var forward(const Var& x) override { return l2_normalize(x); }
};

/// Each feature at mean 0 and variance 1 over the rows at hand, in training and in evaluation alike: nn.InstanceNorm1d
/// on a batch that was turned round. So a text's class depends on the texts beside it.
struct NormalizeOverBatch : StatelessModule {
    Var forward(const Var& x) override {
        if (x.shape()[0] == 1) return x - x;  // one row is its own mean
        const Shape features{x.shape()[1]};
        const Tensor zeros = Tensor::zeros(features), ones = Tensor::full(features, 1);
        return batch_norm(x, ones, zeros, Tensor::zeros(features), Tensor::full(features, 1), true);
    }
};

Sequential make_classifier(const std::string& head, int64_t n_features, Generator gen) {
    const int64_t n_classes = int64_t(sentiment_names().size());
    if (head == "paper") {  // lucmos/relreps, multilingual_stitching.ipynb; yes, a ReLU on the logits
        return {UnitRows(), LayerNorm(n_features), Linear(gen, n_features, n_features),
                Silu(),     NormalizeOverBatch(),  Linear(gen, n_features, n_features),
                Silu(),     NormalizeOverBatch(),  Linear(gen, n_features, n_classes),
                Relu()};
    }
    return {LayerNorm(n_features), Linear(gen, n_features, 256), Silu(), Dropout(gen, real(0.3)),
            Linear(gen, 256, n_classes)};
}

/// A classifier that is to be trained on one language and tested on both.
struct Job {
    std::string name, kind;
    const LanguageTexts *from, *to;
    std::vector<int32_t> lines;  ///< of the anchors
    uint64_t seed;
};

/// What train.csv has of an epoch.
const std::vector<std::string> kColumns = {"train_loss", "train_accuracy", "valid_loss", "valid_accuracy"};

/// kColumns of every epoch, [E, 4]: kept with the classifier, so that a resumed run has them, too.
struct History : Stateful {
    explicit History(int64_t n_epochs) : rows(Tensor::zeros({n_epochs, int64_t(kColumns.size())})) {}
    void visit(Visitor& v) override { v("rows", rows); }
    Tensor rows;
};

/// Trains `model` on the codes of a language's training texts.
void train(Sequential& model, const Job& job, const Codes& codes, const Config& config, const Run& run,
           History& history) {
    const SentimentSet& texts = job.from->texts;
    const int64_t n_train = texts.train.size();
    AdamW adam(model, {.lr = config.lr, .weight_decay = config.head == "paper" ? 0 : 0.01});  // 0: plain Adam
    for (int64_t epoch = 0; epoch < config.epochs; epoch++) {
        if (interrupted()) throw Interrupted(run.folder());
        model.train();
        ClassScores mean;
        int64_t batch = 0;
        for (const auto rows : Batches(epoch_order(n_train, job.seed, epoch), config.batch_size)) {
            batch++;
            const Indices labels = gather_rows(texts.train.labels, rows);
            adam.zero_grad();
            const Var logits = model(Var(gather_rows(codes.train, rows)));
            const Var loss = cross_entropy(logits, labels);
            if (!std::isfinite(loss.item()))
                throw NonFiniteError(job.name + ": the loss is not finite at epoch " + std::to_string(epoch + 1) +
                                     ", batch " + std::to_string(batch));
            backward(loss);
            adam.step();
            const double share = double(rows.size()) / double(n_train);
            mean.loss += share * double(loss.item());
            mean.top1 += share * score_classes(logits.value, labels).top1;
        }
        model.eval();
        const NoGrad no_grad;
        const ClassScores valid = score_classes(model(Var(codes.valid)).value, Indices(texts.valid.labels));
        real* row = history.rows.data() + epoch * int64_t(kColumns.size());
        for (const double value : {mean.loss, mean.top1, valid.loss, valid.top1}) *row++ = real(value);
    }
}

Confusion evaluate(Sequential& model, const Tensor& codes, const LabelledTexts& texts) {
    const NoGrad no_grad;
    return count_confusion(model(Var(codes)).value, Indices(texts.labels));
}

// ---- the experiment -------------------------------------------------------------------------------------------------

struct Outcome {
    Tensor history;
    Confusion own;
    std::optional<Confusion> foreign;  ///< not there when the encoders differ in size: no classifier fits both
};

/// A classifier takes a second, so an interrupted run keeps those that are complete, and --resume trains the others.
Outcome train_and_test(const Job& job, const Config& config, const Run& run) {
    const Codes own = codes_of(*job.from, job.kind, job.lines), foreign = codes_of(*job.to, job.kind, job.lines);
    Sequential model = make_classifier(config.head, own.train.shape[1], Generator(job.seed));
    History history(config.epochs);
    const auto file = run.checkpoint(job.name + ".safetensors");
    if (std::filesystem::exists(file)) {
        const Checkpoint c = load_checkpoint(file);
        c.restore("model", model);
        c.restore("training", history);
    } else {
        train(model, job, own, config, run, history);
        Checkpoint c;
        c.set("head", config.head);
        c.add("model", model);
        c.add("training", history);
        save_checkpoint(file, c);
    }
    Outcome outcome;
    outcome.history = history.rows;
    model.eval();
    outcome.own = evaluate(model, own.test, job.from->texts.test);
    if (own.test.shape[1] == foreign.test.shape[1]) outcome.foreign = evaluate(model, foreign.test, job.to->texts.test);
    return outcome;
}

std::vector<Job> list_jobs(const Config& config, const TextData& data, const std::vector<std::vector<int32_t>>& lines) {
    std::vector<Job> jobs;
    for (int64_t i = 0; i < config.seeds; i++) {
        const uint64_t seed = uint64_t(config.seed + i);
        const std::vector<int32_t>& all = lines[size_t(i)];
        const std::string suffix = "-" + std::to_string(i);
        for (const std::string& kind : kCodeKinds) {
            jobs.push_back({kind + "-en" + suffix, kind, &data.en, &data.it, all, seed});
            jobs.push_back({kind + "-it" + suffix, kind, &data.it, &data.en, all, seed});
        }
        for (const int64_t n : config.sweep_sizes()) {
            if (n >= int64_t(all.size())) continue;
            const std::vector<int32_t> some(all.begin(), all.begin() + n);
            for (const std::string kind : {"relative", "relative_centered"})
                jobs.push_back(
                    {kind + "-" + std::to_string(n) + "-anchors" + suffix, kind, &data.en, &data.it, some, seed});
        }
    }
    return jobs;
}

/// Trains and tests all classifiers, many at once: each is so small that it is best left to one thread.
TextResults train_all(const std::vector<Job>& jobs, const Config& config, Run& run) {
    std::vector<Outcome> outcomes(jobs.size());
    std::atomic<int64_t> n_done = 0;
    const auto start = run.seconds();
    for_tasks(Device::cpu, int64_t(jobs.size()), [&](int64_t i) {
        outcomes[size_t(i)] = train_and_test(jobs[size_t(i)], config, run);
        if (!config.quiet && is_terminal())
            std::fprintf(stderr, "\r\033[K%lld of %zu classifiers", static_cast<long long>(++n_done), jobs.size());
    });
    if (!config.quiet) {
        std::fprintf(stderr, "%s%zu classifiers in %s\n", is_terminal() ? "\r\033[K" : "", jobs.size(),
                     duration(run.seconds() - start).c_str());
    }
    TextResults results;
    const size_t n_all = jobs[0].lines.size();
    for (size_t i = 0; i < jobs.size(); i++) {
        const Job& job = jobs[i];
        const real* row = outcomes[i].history.data();
        for (int64_t epoch = 1; epoch <= config.epochs; epoch++) {
            Values values;
            for (const std::string& column : kColumns) values.emplace_back(column, double(*row++));
            run.log(job.name, epoch, values);
        }
        const bool is_main = job.lines.size() == n_all;
        Results& r = is_main ? results.main[job.kind] : results.sweep[int64_t(job.lines.size())][job.kind];
        r[job.from->key].push_back(outcomes[i].own);
        if (outcomes[i].foreign) r[job.to->key + "_zero_shot"].push_back(*outcomes[i].foreign);
    }
    results.sweep[int64_t(n_all)] = results.main;
    return results;
}

/// The lines of the anchors that each seed takes.
std::vector<std::vector<int32_t>> choose_anchors(const Config& config, TextData& data) {
    const int64_t n = config.n_anchors > 0 ? config.n_anchors : data.anchors.size();
    for (const int64_t wanted : config.sweep_sizes()) {
        if (wanted > n) data.notes.push_back("--sweep: no " + std::to_string(wanted) + " anchors, there are fewer.");
    }
    std::vector<std::vector<int32_t>> lines;
    for (int64_t i = 0; i < config.seeds; i++)
        lines.push_back(uniform_anchors(data.anchors.size(), n, uint64_t(config.seed + i)));
    return lines;
}

int main(int argc, char** argv) {
    Config config;
    return run_main(config, argc, argv, [&] {
        config.sweep_sizes();  // what is wrong there is said before anything is computed
        const Device device = choose_device(config);
        if (!config.explain.empty()) return explain(config, config.explain, config.center);
        TextData data = load_text_data(config);
        const auto lines = choose_anchors(config, data);
        Run run(config, text_run_info(config, data));
        record_anchors(run, data, lines);
        if (device == Device::cuda && !config.quiet)
            std::fputs("on the GPU: the encoders; on the CPU: the classifiers, which are small, one a thread\n",
                       stderr);
        const TextResults results = train_all(list_jobs(config, data, lines), config, run);
        TextCodes shown{{}, lines[0]};
        for (const std::string& kind : kCodeKinds)
            shown.test[kind] = {codes_of(data.en, kind, lines[0]).test, codes_of(data.it, kind, lines[0]).test};
        report_texts(run, data, results, shown, config.head);
    });
}
